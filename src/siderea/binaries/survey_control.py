"""Correction, probability and threshold of the model channel, learned from a survey's own stars.

Simulated control stars have no errors that nature has and the model has not. Here they have: a
control star is the model at the labels of a real star (a little moved), alone or with a companion,
plus what that real star's spectrum leaves of its own single-star fit, noise and all. The correction
(`siderea.binaries.survey_correction`) that this fit used was learned from other stars. A tenth of
the stars, those that look most like binaries, are not taken for single ones: about as many as are
(El-Badry et al. 2018, MNRAS 476, 528: 3,000 of 20,000 dwarfs).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.binaries.composite_fit import Observed
from siderea.binaries.composite_search import CompositeSearch
from siderea.binaries.model_calibration import (
    ModelCalibration,
    default_calibration,
    recalibrate,
)
from siderea.binaries.model_evidence import robust_gain
from siderea.binaries.model_fingerprint import fingerprint
from siderea.binaries.model_selection import CHUNK, MIN_PIXELS, measured
from siderea.binaries.survey_correction import (
    FOLDS,
    LEAST_STARS,
    SurveyCorrection,
    learn_correction,
)
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.models.emulator import Emulator, load_default
from siderea.models.model_error import LTE, ModelError

__all__ = ["SurveyCalibration", "calibrate_on_survey", "cross_fitted"]

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]

CONTAMINATION = 0.1

GROSS = 3.0
"""χ² per pixel beyond which a star is of a kind that the model does not have: not learned from."""

ROUNDS = 2
"""Fits and corrections in turn."""

JITTER = np.array([100.0, 0.1, 0.08, 0.04])
"""Standard deviations by which labels of control stars differ from the real ones': K, dex."""

BINARIES = 0.4
"""Share of binaries among the control stars."""

FAST, MAX_VSINI = 0.3, 60.0
DV = (1.0, 150.0)
Q = (0.2, 1.0)


@dataclass(frozen=True)
class SurveyCalibration:
    """What `calibrate_on_survey` learned.

    Parameters
    ----------
    correction : SurveyCorrection
    calibration : ModelCalibration
    stars : pandas.DataFrame
        The fits of the real stars, each with a correction that was learned from others: what
        `siderea.binaries.model_selection.detect_model` returns, without probabilities.
    """

    correction: SurveyCorrection
    calibration: ModelCalibration
    stars: pd.DataFrame


@dataclass(frozen=True)
class _Left:
    """Single-star fits of N real stars and what they leave (N, A, Q)."""

    rows: NDArray[np.intp]
    theta: Array
    residual: NDArray[np.float32]
    table: pd.DataFrame


def calibrate_on_survey(
    spectra: Spectra,
    model: Emulator | None = None,
    *,
    model_error: ModelError = LTE,
    base: ModelCalibration | None = None,
    n_controls: int = 4096,
    false_positives: float = 0.01,
    prior: float = 0.1,
    rng: np.random.Generator | int = 0,
    progress: Progress | None = None,
) -> SurveyCalibration:
    """Learn from real spectra what the model gets wrong, and what evidence of two stars means.

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra of the survey, 40 or more, near rest; 2,000 are enough.
    model : Emulator, optional
        The shipped one by default.
    model_error : ModelError
        Of the first fits; its excluded windows hold throughout.
    base : ModelCalibration, optional
        Of simulated stars, whose log odds are scaled; the shipped one by default.
    n_controls : int
        Control stars.
    false_positives : float
        Share of single control stars that may be called binary.
    prior : float
        Share of binaries that probabilities shall assume.
    rng : numpy.random.Generator or int
    progress : callable, optional
        Called with (done, in all).

    Returns
    -------
    SurveyCalibration
        ``calibration.metrics`` are of control stars made from real stars that set nothing.

    Raises
    ------
    DataError
        If too few stars are left to learn from.
    """
    generator = np.random.default_rng(rng)
    chosen = model if model is not None else load_default()
    search = CompositeSearch(chosen, spectra, model_error=model_error)
    data = Observed.of(spectra, search.bank)
    first = _normal_stars(search, data)
    left = _left(search, data, first, generator)
    correction = _learned(search, data, first)
    calm = _not_binary(left.table)
    corrected = search.corrected(correction)
    table, binary, star = _controls(
        corrected, data, left, calm, n_controls, generator, progress or (lambda _done, _all: None)
    )
    calibration = recalibrate(
        base or default_calibration(),
        table,
        binary,
        star,
        holds_for=fingerprint(chosen, spectra, model_error, correction),
        false_positives=false_positives,
        prior=prior,
        rng=generator,
    )
    stars = left.table.assign(id=spectra.ids[left.rows])
    return SurveyCalibration(correction, calibration, stars)


def cross_fitted(
    spectra: Spectra,
    model: Emulator | None = None,
    *,
    model_error: ModelError = LTE,
    rng: np.random.Generator | int = 0,
) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """Fit every star with a correction that was learned from others (five folds).

    Parameters
    ----------
    spectra, model, model_error, rng
        See `calibrate_on_survey`.

    Returns
    -------
    table : pandas.DataFrame
        As `SurveyCalibration.stars`; stars that the model does not fit at all are not in it.
    rows : ndarray of int
        Of the spectra, in the order of the table.
    """
    search = CompositeSearch(model or load_default(), spectra, model_error=model_error)
    data = Observed.of(spectra, search.bank)
    left = _left(search, data, _normal_stars(search, data), np.random.default_rng(rng))
    return left.table.assign(id=spectra.ids[left.rows]), left.rows


def _normal_stars(search: CompositeSearch, data: Observed) -> NDArray[np.intp]:
    """Return the rows that the model fits at all."""
    rows = np.flatnonzero(data.n_pixels >= MIN_PIXELS)
    if rows.size:
        _, fit = search.single(data[rows])
        rows = rows[fit.chi2 < GROSS * data.n_pixels[rows]]
    if rows.size < 2 * LEAST_STARS:
        raise DataError(
            f"calibration: found {rows.size} stars that the model fits; expected "
            f"{2 * LEAST_STARS} or more: give more spectra of the survey"
        )
    return rows


def _learned(search: CompositeSearch, data: Observed, rows: NDArray[np.intp]) -> SurveyCorrection:
    """Return the correction from some stars: fits and corrections in turn."""
    now, correction = search, None
    for _ in range(ROUNDS + 1):
        weighed, fit = now.single(data[rows])
        model = now.fitter.flux(fit.theta, weighed)
        if correction is not None:
            model = model - correction.flux(fit.theta[:, :4]).astype(np.float32)
        correction = learn_correction(
            data.flux[rows],
            data.root[rows],
            model,
            fit.theta[:, :4],
            fit.theta[:, 5],
            2 * search.bank.pixel,
        )
        now = search.corrected(correction)
    assert correction is not None
    return correction


def _left(
    search: CompositeSearch, data: Observed, rows: NDArray[np.intp], rng: np.random.Generator
) -> _Left:
    """Return what every star leaves of a fit whose correction was learned from others."""
    fold = rng.permutation(rows.size) % FOLDS
    parts = []
    for number in range(FOLDS):
        mine = rows[fold == number]
        corrected = search.corrected(_learned(search, data, rows[fold != number]))
        found = corrected.observed(data[mine])
        table = pd.DataFrame(measured(corrected, found))
        residual = data.flux[mine] - corrected.fitter.flux(found.fits[0].theta, found.data)
        parts.append(_Left(mine, found.fits[0].theta, residual, table))
    return _Left(
        np.concatenate([p.rows for p in parts]),
        np.concatenate([p.theta for p in parts]),
        np.concatenate([p.residual for p in parts]),
        pd.concat([p.table for p in parts], ignore_index=True),
    )


def _not_binary(table: pd.DataFrame) -> NDArray[np.intp]:
    """Return the rows of stars that may stand for single ones."""
    gain = robust_gain(table)
    return np.flatnonzero(gain <= np.quantile(gain, 1.0 - CONTAMINATION))


def _controls(
    search: CompositeSearch,
    data: Observed,
    left: _Left,
    calm: NDArray[np.intp],
    n: int,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[pd.DataFrame, NDArray[np.bool_], NDArray[np.intp]]:
    """Return the fits of control stars, which are binaries, and whose residuals they have."""
    star = calm[rng.integers(0, calm.size, n)]
    binary = rng.random(n) < BINARIES
    theta = _parameters(search, left.theta[star], rng)
    parts = []
    for start in range(0, n, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n))
        model = np.empty((rows.size, *data.flux.shape[1:]), dtype=np.float32)
        for kind, size in ((False, 6), (True, 9)):
            some = binary[rows] == kind
            if some.any():
                model[some] = search.fitter.model(theta[rows[some], :size])
        own = star[rows]
        made = Observed(model + left.residual[own], data.root[left.rows[own]])
        parts.append(pd.DataFrame(measured(search, search.observed(made))))
        progress(int(rows[-1]) + 1, n)
    return pd.concat(parts, ignore_index=True), binary, star


def _parameters(search: CompositeSearch, theta: Array, rng: np.random.Generator) -> Array:
    """Return parameters (N, 9) of pairs whose first star is like the given single ones (N, 6)."""
    n = len(theta)
    low, high = search.fitter.bounds(2)
    out = np.column_stack([theta, np.zeros((n, 3))])
    out[:, :4] += rng.normal(size=(n, 4)) * JITTER
    out[:, 4] *= np.exp(0.1 * rng.normal(size=n))
    low_dv, high_dv = np.log(DV).tolist()
    dv = np.exp(rng.uniform(low_dv, high_dv, n)) * rng.choice([-1.0, 1.0], n)
    out[:, 6] = rng.uniform(*Q, n)
    out[:, 7] = np.where(rng.random(n) < FAST, rng.uniform(0, MAX_VSINI, n), rng.uniform(1, 6, n))
    out[:, 8] = out[:, 5] + dv
    return np.asarray(out.clip(low, high))
