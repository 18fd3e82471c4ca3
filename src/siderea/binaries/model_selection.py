"""One star or two: the model fitted both ways to every spectrum, and what speaks for the second.

Both fits use the same pixels and weights, and one star is a case of two, so Δχ² ≥ 0. How large it
must be depends on what the model gets wrong: `siderea.binaries.model_calibration` says it, per
model and survey.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.binaries.companions import Companions
from siderea.binaries.composite_fit import CompositeFit, CompositeFitter, Observed
from siderea.binaries.composite_search import CompositeSearch, Found
from siderea.binaries.evenness import evenness
from siderea.binaries.model_calibration import ModelCalibration, shipped_calibration
from siderea.binaries.model_flags import ModelFlag, near_end, whole_table
from siderea.binaries.model_general import GeneralSearch
from siderea.binaries.survey_correction import SurveyCorrection
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.models.composite import Binary
from siderea.models.emulator import Emulator, load_default
from siderea.models.model_error import ModelError
from siderea.models.protocol import DifferentiableModel

__all__ = ["ModelDetector", "ModelFlag", "detect_model", "improvement_fraction", "measured"]

CHUNK = 96
"""Spectra fitted together."""

PIECE = 64
"""Binned pixels of a piece of spectrum: several lines."""

MIN_PIXELS = 500
"""Good binned pixels below which nothing is fitted."""


class ModelDetector:
    """The fits of one and two stars made ready for spectra of one grid.

    Parameters
    ----------
    spectra : Spectra
        Any set on the grid (its rows are not used).
    model : Emulator, DifferentiableModel or Binary, optional
        The shipped emulator by default. Any other model with physical flux, or a composite of it,
        is fitted by `siderea.binaries.model_general`.
    n_stars : {2, 3}
        Stars of the largest fit.
    model_error : ModelError, optional
        What the model gets wrong of itself, such as `siderea.models.model_error.LTE`; the noise is
        all there is by default.
    correction : SurveyCorrection, optional
        What the survey's own stars say that the model gets wrong: for real spectra of GALAH
        `siderea.binaries.survey_correction.default_correction`.
    calibration : ModelCalibration, optional
        Of thresholds and probability; by default the shipped one, with a correction that of GALAH.
    companions : Companions, optional
        Of the shipped isochrones by default.
    """

    def __init__(
        self,
        spectra: Spectra,
        model: Emulator | DifferentiableModel | Binary | None = None,
        *,
        n_stars: int = 2,
        model_error: ModelError | None = None,
        correction: SurveyCorrection | None = None,
        calibration: ModelCalibration | None = None,
        companions: Companions | None = None,
    ) -> None:
        if n_stars not in (2, 3):
            raise DataError(f"n_stars: found {n_stars}; expected 2 or 3")
        chosen = model if model is not None else load_default()
        if correction is not None and not isinstance(chosen, Emulator):
            raise DataError("correction: only the emulator takes one; give none with another model")
        options: dict[str, Any] = {"companions": companions, "model_error": model_error}
        self.search: CompositeSearch | GeneralSearch = (
            CompositeSearch(chosen, spectra, correction=correction, **options)
            if isinstance(chosen, Emulator)
            else GeneralSearch(chosen, n_stars=n_stars, **options)
        )
        self.n_stars = n_stars
        self.calibration = calibration or shipped_calibration(chosen, model_error, correction)
        self.calibration.check(chosen, spectra, model_error, correction)

    def __call__(self, spectra: Spectra) -> pd.DataFrame:
        """Return the table of detections, see `detect_model`."""
        starts = range(0, max(1, len(spectra)), CHUNK)
        parts = [self._chunk(spectra[start : start + CHUNK]) for start in starts]
        table = pd.concat(parts, ignore_index=True)
        table["probability"] = self.calibration.probability(table)
        table["threshold"] = self.calibration.threshold
        table["is_binary"] = self.calibration.decide(table)
        return table

    def _chunk(self, spectra: Spectra) -> pd.DataFrame:
        if isinstance(self.search, GeneralSearch):
            return self.search(spectra)
        data = Observed.of(spectra, self.search.bank)
        rows = np.flatnonzero(data.n_pixels >= MIN_PIXELS)
        values = measured(self.search, self.search(spectra[rows], n_stars=self.n_stars))
        return whole_table(spectra.ids, rows, values)


def measured(search: CompositeSearch, found: Found) -> dict[str, NDArray]:
    """Return the columns of spectra that were fitted."""
    data, (one, two, *more) = found.data, found.fits
    n_pixels = data.n_pixels.astype(np.int64)
    single, binary = (search.fitter.flux(fit.theta, data) for fit in (one, two))
    ln_n = np.log(np.maximum(n_pixels, 1))
    out: dict[str, NDArray] = {
        "chi2_single": one.chi2,
        "chi2_binary": two.chi2,
        "delta_chi2": one.chi2 - two.chi2,
        "f_imp": improvement_fraction(data, single, binary),
        "gain_significance": evenness(_gain(data, single, binary), data.root > 0, PIECE),
        "delta_bic": one.chi2 - two.chi2 - 3 * ln_n,
        "n_pixels": n_pixels,
        "snr": _signal_to_noise(data),
    }
    if more:
        out |= {"chi2_triple": more[0].chi2, "delta_bic_triple": two.chi2 - more[0].chi2 - 3 * ln_n}
    out |= _labels("single", one) | _labels("binary", two)
    out |= _pair(search.fitter, two)
    if more:
        out |= _labels("triple", more[0])
    out["flags"] = _flags(search.fitter, one, two, n_pixels, out["flux_ratio"])
    return out


def improvement_fraction(data: Observed, single: NDArray, binary: NDArray) -> NDArray[np.float64]:
    """Return f_imp = Σ[(|f_s − f| − |f_b − f|)/σ] / Σ[|f_s − f_b|/σ] (El-Badry et al. 2018b).

    1 where the pair explains all by which it differs from the single star, 0 where it is no better.

    Parameters
    ----------
    data : Observed
    single, binary : (N, A, Q) ndarray
        Models.
    """
    better = np.abs(single - data.flux) - np.abs(binary - data.flux)
    top = (better * data.root).sum(axis=(1, 2), dtype=float)
    change = (np.abs(single - binary) * data.root).sum(axis=(1, 2), dtype=float)
    return np.divide(top, change, out=np.zeros_like(top), where=change > 1e-3)


def _gain(data: Observed, single: NDArray, binary: NDArray) -> NDArray:
    """Return the gain in χ² of every pixel (N, A, Q)."""
    gain = (single - data.flux) ** 2 - (binary - data.flux) ** 2
    return np.asarray(data.root**2 * gain)


def _signal_to_noise(data: Observed) -> NDArray[np.float64]:
    """Return the median flux over σ of the good pixels, per pixel of the spectrum."""
    ratio = np.where(data.root > 0, data.flux * data.root, np.nan)
    flat = ratio.reshape(len(ratio), -1).astype(float)
    good = np.isfinite(flat).any(axis=1)
    out = np.full(len(flat), np.nan)
    if good.any():
        out[good] = np.nanmedian(flat[good], axis=1) / np.sqrt(2.0)
    return out


def _labels(word: str, fit: CompositeFit) -> dict[str, NDArray]:
    """Return the parameters of a fit and their errors."""
    errors = fit.errors
    out: dict[str, NDArray] = {}
    for column, name in enumerate(fit.names):
        plain = name.removesuffix("_1") if word == "single" else name
        out[f"{word}_{plain}"] = fit.theta[:, column]
        out[f"{word}_{plain}_err"] = errors[:, column]
    return out


def _pair(fitter: CompositeFitter, two: CompositeFit) -> dict[str, NDArray]:
    """Return what a pair is: mass ratio, Δv, light, the second star's labels."""
    labels, q = two.theta[:, :4], two.theta[:, 6]
    cool, _, ratio, _ = fitter.companion(labels, q)
    first = fitter.bank(labels, two.theta[:, 4], two.theta[:, 5])
    second = fitter.bank(cool, two.theta[:, 7], two.theta[:, 8])
    light = np.exp((second.brightness - first.brightness).mean(axis=(1, 2)) + ratio)
    errors = two.errors
    return {
        "q": q,
        "q_err": errors[:, 6],
        "dv": two.theta[:, 8] - two.theta[:, 5],
        "dv_err": np.hypot(errors[:, 5], errors[:, 8]),
        "flux_ratio": light.astype(float),
        "binary_teff_2": cool[:, 0],
        "binary_logg_2": cool[:, 1],
    }


def _flags(
    fitter: CompositeFitter,
    one: CompositeFit,
    two: CompositeFit,
    n_pixels: NDArray,
    flux_ratio: NDArray,
) -> NDArray[np.int64]:
    low, high = fitter.bounds(1)
    margin = 1e-6 * (high - low)
    at = (one.theta[:, :3] <= (low + margin)[:3]) | (one.theta[:, :3] >= (high - margin)[:3])
    hot_or_cool = near_end(one.theta[:, 0], low[0], high[0])
    flags = np.where(one.converged & two.converged, 0, int(ModelFlag.NOT_CONVERGED))
    flags |= np.where(at.any(axis=1), int(ModelFlag.AT_BOUND), 0)
    flags |= np.where(hot_or_cool, int(ModelFlag.BEYOND), 0)
    flags |= np.where(two.chi2 > 2.0 * n_pixels, int(ModelFlag.POOR_FIT), 0)
    flags |= np.where(flux_ratio < 0.02, int(ModelFlag.FAINT), 0)
    return np.asarray(flags, dtype=np.int64)


def detect_model(
    spectra: Spectra,
    model: Emulator | DifferentiableModel | Binary | None = None,
    *,
    n_stars: int = 2,
    model_error: ModelError | None = None,
    correction: SurveyCorrection | None = None,
    calibration: ModelCalibration | None = None,
) -> pd.DataFrame:
    """Find spectra of two stars by fitting one star and two.

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra; for the emulator arms uniform in ln λ with one step, near rest.
    model : Emulator, DifferentiableModel or Binary, optional
        The shipped emulator by default; or any model with physical flux that
        `siderea.models.fitting.fit` takes, on whose grid the spectra are, such as
        `siderea.models.binspec.load`. It renormalises the spectra as it is itself.
    n_stars : {2, 3}
        3 fits triples too.
    model_error : ModelError, optional
        What the model gets wrong of itself, where no correction is known of a survey:
        `siderea.models.model_error.LTE`. Its excluded windows hold with a correction too.
    correction : SurveyCorrection, optional
        What the survey's own stars say that the model gets wrong: see `ModelDetector`.
    calibration : ModelCalibration, optional
        By default the shipped one that was made for the model, else for the emulator; one that was
        made for another model or grid says so.

    Returns
    -------
    pandas.DataFrame
        N rows: ``id``, ``chi2_single``, ``chi2_binary``, ``delta_chi2``, ``f_imp``
        (`improvement_fraction`), ``gain_significance`` (`evenness`), ``delta_bic`` (of single
        minus binary, positive for two), ``n_pixels`` (pairs of pixels), ``snr``,
        ``single_<label>``, ``binary_<parameter>`` and their ``_err``, ``q``, ``dv`` (second minus
        first, km/s), ``flux_ratio``, ``flags`` (`ModelFlag`), ``probability``, its
        ``threshold`` (of the calibration) and ``is_binary``.
        With three stars also ``chi2_triple``, ``delta_bic_triple``, ``triple_<parameter>``.

    Raises
    ------
    DataError
        If the grid does not fit the model, or the model cannot weigh two stars.

    References
    ----------
    El-Badry et al. (2018), MNRAS 473, 5043 (method); MNRAS 476, 528 (f_imp).
    """
    detector = ModelDetector(
        spectra,
        model,
        n_stars=n_stars,
        model_error=model_error,
        correction=correction,
        calibration=calibration,
    )
    return detector(spectra)
