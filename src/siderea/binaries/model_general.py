"""One star or two with any model that can weigh two stars, by the general fitter.

What `siderea.binaries.composite_search` does fast for the shipped emulator, for every other
`siderea.models.protocol.DifferentiableModel`: El-Badry's APOGEE networks, an emulator on a survey's
grid, a data-driven model with a continuum. The columns are those of
`siderea.binaries.model_selection.detect_model`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from siderea.binaries.companions import Companions
from siderea.binaries.evenness import evenness
from siderea.binaries.model_composites import composites_of, on_grid
from siderea.binaries.model_flags import ModelFlag, near_end, whole_table
from siderea.binaries.model_pixels import good_pixels, guarded, plausible, renormalised, weighed
from siderea.data import Spectra
from siderea.flags import FitFlag
from siderea.models.composite import Binary, Composite, Single
from siderea.models.descent import Descents
from siderea.models.fitting import fit
from siderea.models.model_error import ModelError
from siderea.models.protocol import DifferentiableModel, FitResult
from siderea.models.velocity_grid import is_broadening

__all__ = ["GeneralSearch"]

MIN_PIXELS = 200
"""Good pixels below which nothing is fitted."""

PIECE = 32
"""Pixels of a piece of spectrum, in which a gain is looked at."""

ROUGH_STEPS, ROUGH = 8, 10.0
"""Steps and tolerance of the fit that only gives a spectrum a star's shape."""

SPARE = 40.0
"""km/s beyond the single star's velocity at which edges are guarded at first; where a component is
faster, all is done again with the edges guarded for the whole range."""

EDGES = ("teff", "logg", "fe_h", "rv")
"""Labels of the single star whose edges say that it is another kind of star."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """N spectra as they were fitted, and their fits by 1, 2, … stars."""

    spectra: Spectra
    fits: tuple[FitResult, ...]


class GeneralSearch:
    """Fits of one star and two to spectra, and what they say.

    Parameters
    ----------
    model : DifferentiableModel or Binary
    n_stars : {2, 3}
        Stars of the largest fit.
    companions : Companions, optional
        See `siderea.binaries.model_composites.composites_of`.
    model_error : ModelError, optional
        What the model gets wrong of itself; the noise is all there is by default.

    Raises
    ------
    DataError
        If the model cannot weigh two stars.
    """

    def __init__(
        self,
        model: DifferentiableModel | Binary,
        *,
        n_stars: int = 2,
        companions: Companions | None = None,
        model_error: ModelError | None = None,
    ) -> None:
        self.composites = composites_of(model, n_stars=n_stars, companions=companions)
        self.model_error = model_error

    def __call__(self, spectra: Spectra) -> pd.DataFrame:
        """Return the table of N spectra, without what a calibration adds."""
        raw = good_pixels(on_grid(spectra, self.composites[1]))  # type: ignore[arg-type]
        enough = np.flatnonzero((raw.ivar > 0).sum(axis=1) >= MIN_PIXELS)
        found = self._search(raw[enough])
        known = np.all([np.isfinite(f.labels).all(axis=1) for f in found.fits], axis=0)
        rows = enough[known]
        columns = self._measured(_rows(found, np.flatnonzero(known)), raw[rows])
        return whole_table(spectra.ids, rows, columns)

    def _search(self, raw: Spectra) -> Fitted:
        """Fit spectra, those again whose stars are faster than the edges were guarded for."""
        single = self._single
        if not len(raw):
            return Fitted(raw, tuple(_none(composite) for composite in self.composites))
        rough = fit(raw, single, tolerance=ROUGH, max_iterations=ROUGH_STEPS)
        labels = np.where(np.isfinite(rough.labels), rough.labels, _middle(single))
        reach = np.abs(labels[:, -1]) + SPARE
        found = self._fitted(raw, labels, reach)
        fastest = np.max([_fastest(result) for result in found.fits], axis=0)
        again = np.flatnonzero(fastest > reach)
        if again.size:
            whole = np.full(again.size, single.max_velocity)
            found = _replaced(found, again, self._fitted(raw[again], labels[again], whole))
        return found

    def _fitted(self, raw: Spectra, labels: Array, reach: Array) -> Fitted:
        """Fit one star, two and more to the same pixels with the same weights."""
        single, (binary, *more) = self._single, self.composites[1:]
        known = guarded(raw.wavelength, single.model, reach)
        kept = raw.with_flux(raw.flux, np.where(known, raw.ivar, 0.0))
        first = renormalised(kept, single, labels)
        likely = plausible(first.flux, first.ivar)
        kept = kept.with_flux(kept.flux, np.where(likely, kept.ivar, 0.0))
        data = renormalised(kept, single, labels)
        one = fit(data, single)
        if self.model_error is not None:
            theta = np.where(np.isfinite(one.labels), one.labels, labels)
            flux = data.flux - _residuals(single, theta, data, unit=True)
            heavy = weighed(data, flux, theta[:, -1], self.model_error)
            data = renormalised(kept.with_flux(kept.flux, heavy.ivar), single, theta)
            one = fit(data, single, start=theta)
        fits = [one, _nested(data, binary, one, fit(data, binary, alone=one))]
        fits += [_three(data, composite, fits[1]) for composite in more]
        return Fitted(data, tuple(fits))

    @property
    def _single(self) -> Single:
        single = self.composites[0]
        assert isinstance(single, Single)
        return single

    def _measured(self, found: Fitted, raw: Spectra) -> dict[str, NDArray]:
        """Return the columns of spectra that were fitted."""
        one, two, *more = found.fits
        n_pixels = (found.spectra.ivar > 0).sum(axis=1).astype(np.int64)
        ln_n = np.log(np.maximum(n_pixels, 1))
        extra = [len(b.label_names) - len(a.label_names) for a, b in _pairs(found.fits)]
        gain = one.chi2 - two.chi2
        out: dict[str, NDArray] = {
            "chi2_single": one.chi2,
            "chi2_binary": two.chi2,
            "delta_chi2": gain,
            **self._gain(found),
            "delta_bic": gain - extra[0] * ln_n,
            "n_pixels": n_pixels,
            "snr": _signal_to_noise(raw),
        }
        if more:
            third = two.chi2 - more[0].chi2
            out |= {"chi2_triple": more[0].chi2, "delta_bic_triple": third - extra[1] * ln_n}
        out |= _labels("single", one) | _rotation(one) | _labels("binary", two)
        out |= self._pair(two)
        if more:
            out |= _labels("triple", more[0])
        out["flags"] = self._flags(one, two, n_pixels, out["flux_ratio"])
        return out

    def _gain(self, found: Fitted) -> dict[str, Array]:
        """Return f_imp (`siderea.binaries.model_selection.improvement_fraction`) and `evenness`."""
        single, binary = (
            _residuals(composite, result.labels, found.spectra)
            for composite, result in zip(self.composites[:2], found.fits[:2], strict=True)
        )
        top = (np.abs(single) - np.abs(binary)).sum(axis=1)
        change = np.abs(single - binary).sum(axis=1)
        return {
            "f_imp": np.divide(top, change, out=np.zeros_like(top), where=change > 1e-3),
            "gain_significance": evenness(single**2 - binary**2, found.spectra.ivar > 0, PIECE),
        }

    def _pair(self, two: FitResult) -> dict[str, NDArray]:
        """Return what a pair is: mass ratio, Δv, light, the second star's labels."""
        names, theta, errors = list(two.label_names), two.labels, two.errors
        one, other = names.index("rv_1"), names.index("rv_2")
        nothing = np.full(len(theta), np.nan)
        q = names.index("q") if "q" in names else None
        first_rv, second_rv = two.covariance[:, one], two.covariance[:, other]
        variance = first_rv[:, one] + second_rv[:, other] - 2 * first_rv[:, other]
        stars = self.composites[1].components(torch.from_numpy(theta))
        second = dict(zip(self.composites[1].model.label_names, stars.labels[:, 1].T, strict=True))
        return {
            "q": nothing if q is None else theta[:, q],
            "q_err": nothing if q is None else errors[:, q],
            "dv": theta[:, other] - theta[:, one],
            "dv_err": np.sqrt(np.maximum(variance, 0.0)),
            "flux_ratio": _light(self.composites[1].model, stars.labels, stars.weight),
            "binary_teff_2": second["teff"].numpy().copy(),
            "binary_logg_2": second["logg"].numpy().copy(),
        }

    def _flags(
        self, one: FitResult, two: FitResult, n_pixels: NDArray, flux_ratio: NDArray
    ) -> NDArray[np.int64]:
        unfinished = (one.flags | two.flags) & int(FitFlag.NOT_CONVERGED)
        flags = np.where(unfinished, int(ModelFlag.NOT_CONVERGED), 0)
        single = self._single
        chosen = [i for i, name in enumerate(single.label_names) if name in EDGES]
        low, high = single.label_range[chosen].T
        margin = 1e-6 * (high - low)
        theta = one.labels[:, chosen]
        at = (theta <= low + margin) | (theta >= high - margin)
        flags |= np.where(at.any(axis=1), int(ModelFlag.AT_BOUND), 0)
        beyond = near_end(theta[:, 0], low[0], high[0]) | at[:, 1]
        flags |= np.where(beyond, int(ModelFlag.BEYOND), 0)
        flags |= np.where(two.chi2 > 2.0 * n_pixels, int(ModelFlag.POOR_FIT), 0)
        flags |= np.where(flux_ratio < 0.02, int(ModelFlag.FAINT), 0)
        return np.asarray(flags, dtype=np.int64)


def _middle(single: Single) -> Array:
    """Return labels in the middle of their ranges, at rest."""
    return np.asarray(single.label_range.mean(axis=1))


def _fastest(result: FitResult) -> Array:
    """Return the largest |velocity| (N,) of the stars of a fit, km/s."""
    chosen = [i for i, name in enumerate(result.label_names) if name.startswith("rv")]
    return np.nan_to_num(np.abs(result.labels[:, chosen]).max(axis=1))


def _pairs(fits: tuple[FitResult, ...]) -> list[tuple[FitResult, FitResult]]:
    return list(pairwise(fits))


def _nested(data: Spectra, binary: Composite, one: FitResult, two: FitResult) -> FitResult:
    """Return pairs no worse than the single star: where none was found, from a twin at rest."""
    rows = np.flatnonzero(two.chi2 > one.chi2)
    if not rows.size:
        return two
    names = one.label_names
    columns = []
    for name in binary.label_names:
        stem = name if name in names else name.rpartition("_")[0]
        if name == "q":
            columns.append(np.ones(rows.size))
        elif name == "radius_ratio":
            columns.append(np.zeros(rows.size))
        else:
            columns.append(one.labels[rows, names.index(stem)])
    start = np.column_stack(columns)
    found = fit(data[rows], binary, start=start)
    # Its descent begins with another interpolation and can end above the twin, which is the star.
    lost = found.chi2 > one.chi2[rows]
    found.labels[lost], found.chi2[lost] = start[lost], one.chi2[rows[lost]]
    better = np.flatnonzero(found.chi2 < two.chi2[rows])
    return _with_rows(two, rows[better], _taken(found, better))


def _three(data: Spectra, triple: Composite, two: FitResult) -> FitResult:
    """Return the better of triples from the fitter's own starts, and from the pair's.

    The latter: the third star as the second one, and as the first. A pair that is a twin at rest
    makes a triple that is the single star.
    """
    names, labels = two.label_names, np.nan_to_num(two.labels)
    starts = []
    for like in ("2", "1"):
        columns = []
        for name in triple.label_names:
            stem, _, number = name.rpartition("_")
            if stem in ("q", "radius_ratio"):
                same = number == "2" or like == "2"
                columns.append(labels[:, names.index(stem)] if same else np.ones(len(labels)))
            else:
                source = f"{stem}_{like}" if number == "3" else name
                columns.append(labels[:, names.index(source)])
        starts.append(np.column_stack(columns))
    own, near = fit(data, triple), fit(data, triple, start=np.stack(starts, axis=1))
    better = np.flatnonzero(near.chi2 < own.chi2)
    return _with_rows(own, better, _taken(near, better))


def _residuals(
    composite: Composite, theta: Array, spectra: Spectra, *, unit: bool = False
) -> Array:
    """Return (data − model)/σ (N, P), 0 at bad pixels; with ``unit`` in flux."""
    if not len(theta):
        return np.zeros_like(spectra.flux)
    arrays = spectra.wavelength, spectra.flux[:, None], spectra.ivar[:, None]
    descents = Descents(composite, *arrays, torch.device("cpu"))
    parameters = torch.from_numpy(np.ascontiguousarray(theta))
    objective = descents.objective(torch.float64, composite.kernel)
    left = objective.residuals(parameters, torch.arange(len(theta))).numpy()[:, 0]
    if not unit:
        return left
    root = np.sqrt(spectra.ivar)
    return np.divide(left, root, out=np.zeros_like(left), where=root > 0)


def _light(model: DifferentiableModel, labels: torch.Tensor, weight: torch.Tensor) -> Array:
    """Return the second star's light over the first's (N,), the mean over the spectrum."""
    level = [
        torch.log(model.density(star) / model.normalised(star)).mean(dim=1)
        for star in labels.unbind(1)
    ]
    area = torch.log(weight[:, 1].clamp(min=1e-12) / weight[:, 0])
    return torch.exp(level[1] - level[0] + area).numpy().astype(np.float64)


def _signal_to_noise(spectra: Spectra) -> Array:
    """Return the median flux over σ of the good pixels (N,)."""
    ratio = np.where(spectra.ivar > 0, spectra.flux * np.sqrt(spectra.ivar), np.nan)
    return np.nanmedian(ratio, axis=1) if len(ratio) else np.zeros(0)


def _labels(word: str, result: FitResult) -> dict[str, NDArray]:
    """Return the parameters of a fit and their errors."""
    out: dict[str, NDArray] = {}
    for column, name in enumerate(result.label_names):
        out[f"{word}_{name}"] = result.labels[:, column]
        out[f"{word}_{name}_err"] = result.errors[:, column]
    return out


def _rotation(one: FitResult) -> dict[str, NDArray]:
    """Return ``single_vsini``: the broadening under another name, 0 where the model has none.

    A calibration reads it, and is made for one model: it learns what the width means there.
    """
    if "vsini" in one.label_names:
        return {}
    widths = [i for i, name in enumerate(one.label_names) if is_broadening(name)]
    if not widths:
        return {"single_vsini": np.zeros(len(one.labels))}
    return {
        "single_vsini": one.labels[:, widths[0]],
        "single_vsini_err": one.errors[:, widths[0]],
    }


def _none(composite: Composite) -> FitResult:
    """Return the fits of no spectra."""
    d, nothing = len(composite.label_names), np.zeros(0, dtype=np.int64)
    shapes = np.zeros((0, d)), np.zeros((0, d, d)), np.zeros(0)
    return FitResult(composite.label_names, *shapes, nothing, nothing)


_FIT_ARRAYS = ("labels", "covariance", "chi2", "n_pixels", "flags")


def _taken(result: FitResult, rows: NDArray[np.intp]) -> FitResult:
    return FitResult(result.label_names, *(getattr(result, name)[rows] for name in _FIT_ARRAYS))


def _with_rows(result: FitResult, rows: NDArray[np.intp], other: FitResult) -> FitResult:
    """Return a result with some rows from another."""
    arrays = []
    for name in _FIT_ARRAYS:
        values = getattr(result, name).copy()
        values[rows] = getattr(other, name)
        arrays.append(values)
    return FitResult(result.label_names, *arrays)


def _rows(found: Fitted, rows: NDArray[np.intp]) -> Fitted:
    return Fitted(found.spectra[rows], tuple(_taken(result, rows) for result in found.fits))


def _replaced(found: Fitted, rows: NDArray[np.intp], other: Fitted) -> Fitted:
    flux, ivar = found.spectra.flux.copy(), found.spectra.ivar.copy()
    flux[rows], ivar[rows] = other.spectra.flux, other.spectra.ivar
    fits = tuple(
        _with_rows(mine, rows, new) for mine, new in zip(found.fits, other.fits, strict=True)
    )
    return Fitted(found.spectra.with_flux(flux, ivar), fits)
