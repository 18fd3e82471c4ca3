"""Fits of models to many spectra at once: a velocity grid, several starts, an exact descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.data import Spectra
from siderea.errors import DataError, MediumError
from siderea.flags import FitFlag
from siderea.models.composite import Composite, Single
from siderea.models.descent import Descents
from siderea.models.levenberg_marquardt import Minimum
from siderea.models.model_error import ModelError
from siderea.models.protocol import DifferentiableModel, FitResult
from siderea.models.starts import find_starts, simpler

__all__ = ["fit"]

BATCH = 256
"""Stars fitted together: enough to share the fixed costs, few enough for the memory."""

LARGEST_CONDITION = 1e12
"""A normal matrix (scaled to unit diagonal) of a larger condition number is called singular."""

EDGE = 1e-6
"""A label this close to a bound, in parts of its range, is at the bound."""


def fit(
    spectra: Spectra,
    model: Composite | DifferentiableModel,
    *,
    star_id: ArrayLike | None = None,
    start: ArrayLike | None = None,
    alone: FitResult | None = None,
    model_error: ModelError | None = None,
    device: str = "cpu",
    tolerance: float = 1e-2,
    max_iterations: int = 60,
) -> FitResult:
    """Fit a model to spectra by χ², from starts that a grid of velocities gives.

    The data must be normalised as the composite normalises its model: by
    ``composite.continuum.normalise`` where it has a pseudo-continuum, by any true continuum
    otherwise. A pixel of ivar 0, or that is not finite, is left out.

    Parameters
    ----------
    spectra : Spectra
        N spectra in the model's medium. With a composite of V visits, V rows for each star.
    model : Composite or DifferentiableModel
        A model alone is fitted as `siderea.models.composite.Single`.
    star_id : (N,) array-like, optional
        Which rows are visits of one star; by default ``spectra.table["star_id"]``, else rows
        that stand together. Visits are taken in the order of the rows.
    start : (M, D) or (M, K, D) array-like, optional
        Parameters to start from, K starts per star, instead of the grid's.
    alone : FitResult, optional
        For a binary: the fit of one star to the same spectra, if it was made (of `Single` for
        `Binary`, of `SB1` for `SB2`). It gives the first labels, which are otherwise fitted anew.
    model_error : ModelError, optional
        What the model itself gets wrong, such as `siderea.models.model_error.LTE`; by default
        the noise is all there is. χ² and covariance are then those of noise and model error
        together, pixels of windows that the model cannot reproduce do not count, and a
        pseudo-continuum is fitted anew with these errors.
    device : str
        Where the spectra are computed: ``"cpu"`` or ``"cuda"``.
    tolerance : float
        A fit has converged when its next step promises to lower χ² by less.
    max_iterations : int
        Largest number of steps of a descent.

    Returns
    -------
    FitResult
        One row per star (M of them; the order of first appearance). The covariance is the
        inverse of the normal matrix at the optimum.

    Raises
    ------
    MediumError
        If spectra and model are in different media.
    DataError
        If the grids do not fit, a star does not have V visits, or ``start`` or ``alone`` is of
        another shape or model.
    """
    composite = model if isinstance(model, Composite) else Single(model)
    _check(spectra, composite)
    visits = _visits(spectra, composite.n_visits, star_id)
    starts = _given(start, len(visits), len(composite.label_names))
    known = _known(composite, alone, len(visits))
    search = _Descent(composite, spectra, torch.device(device), tolerance, max_iterations)
    parts = []
    for first in range(0, len(visits), BATCH):
        rows = visits[first : first + BATCH]
        batch = slice(first, first + BATCH)
        hints = _Hints(*(None if a is None else a[batch] for a in (starts, known)))
        data = _clean(spectra, composite, rows)
        parts.append(_fit_batch(search, data, hints, model_error))
    if not parts:
        parts = [_empty(composite, 0, np.zeros(0, dtype=np.int64))]
    merged = (np.concatenate([getattr(p, name) for p in parts]) for name in _ARRAYS)
    return FitResult(composite.label_names, *merged)


_ARRAYS = ("labels", "covariance", "chi2", "n_pixels", "flags")


def _check(spectra: Spectra, composite: Composite) -> None:
    if spectra.medium != composite.medium:
        raise MediumError(
            f"medium: spectra in {spectra.medium}, model in {composite.medium}; convert the "
            "spectra (siderea.spectra.wavelength.convert_medium)"
        )
    continuum = composite.continuum
    if continuum is None:
        return
    same = spectra.n_pixels == continuum.pixels.size == composite.wavelength.size
    if not same or not np.allclose(spectra.wavelength, composite.wavelength, rtol=1e-7, atol=0):
        raise DataError(
            f"wavelength: found {spectra.n_pixels} pixels from {spectra.wavelength[0]:.2f} Å; the "
            f"model's pseudo-continuum is defined on its own {composite.wavelength.size} pixels: "
            "interpolate the spectra to model.wavelength first"
        )


def _visits(spectra: Spectra, n_visits: int, star_id: ArrayLike | None) -> NDArray[np.intp]:
    """Return the rows (M, V) of every star."""
    n = len(spectra)
    if n_visits == 1:
        return np.arange(n)[:, None]
    if star_id is None and "star_id" in spectra.table:
        star_id = spectra.table["star_id"].to_numpy()
    names = np.arange(n) // n_visits if star_id is None else np.asarray(star_id)
    if names.shape != (n,):
        raise DataError(f"star_id: found shape {names.shape}; expected ({n},)")
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    counts = np.bincount(inverse, minlength=first.size)
    if n and not np.all(counts == n_visits):
        wrong = names[first[np.argmax(counts != n_visits)]]
        raise DataError(
            f"star {wrong}: found {counts[counts != n_visits][0]} visits; the model has "
            f"{n_visits}: fit stars of equal numbers of visits together"
        )
    rows = np.argsort(inverse, kind="stable").reshape(-1, n_visits)
    return rows[np.argsort(first)]


def _given(start: ArrayLike | None, n: int, d: int) -> NDArray[np.float64] | None:
    if start is None:
        return None
    values = np.asarray(start, dtype=float)
    values = values[:, None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[0] != n or values.shape[2] != d:
        raise DataError(
            f"start: found shape {np.shape(start)}; expected ({n}, {d}) or ({n}, K, {d})"
        )
    if not np.isfinite(values).all():
        raise DataError("start: found values that are not finite; give every parameter")
    return values


def _known(composite: Composite, alone: FitResult | None, n: int) -> NDArray[np.float64] | None:
    if alone is None:
        return None
    single = simpler(composite)
    expected = None if single is None else single.label_names
    if alone.label_names != expected or len(alone.labels) != n:
        raise DataError(
            f"alone: found {len(alone.labels)} fits of {', '.join(alone.label_names)}; expected "
            f"{n} of {'nothing' if expected is None else ', '.join(expected)}"
        )
    return alone.labels


@dataclass(frozen=True)
class _Hints:
    """What is known of M stars beforehand: starts (M, K, D), the fit of one star (M, L)."""

    starts: NDArray[np.float64] | None
    alone: NDArray[np.float64] | None

    def __getitem__(self, rows: NDArray[np.intp]) -> _Hints:
        return _Hints(*(None if a is None else a[rows] for a in (self.starts, self.alone)))


@dataclass(frozen=True)
class _Clean:
    """Finite spectra (M, V, P) with ivar 0 wherever nothing can be compared."""

    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]


def _clean(spectra: Spectra, composite: Composite, rows: NDArray[np.intp]) -> _Clean:
    flux = spectra.flux[rows].astype(np.float64)
    ivar = spectra.ivar[rows].astype(np.float64)
    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
    if composite.continuum is not None:
        flat = np.where(good, ivar, 0.0).reshape(-1, spectra.n_pixels)
        good &= composite.continuum.usable(flat).reshape(good.shape)
    else:  # the model must reach a pixel at the velocities that are searched
        low, high = composite.wavelength[[0, -1]]
        good &= (spectra.wavelength >= low) & (spectra.wavelength <= high)
    return _Clean(np.where(good, flux, 1.0), np.where(good, ivar, 0.0))


def _empty(composite: Composite, n: int, n_pixels: NDArray[np.int64]) -> FitResult:
    d = len(composite.label_names)
    return FitResult(
        composite.label_names,
        np.full((n, d), np.nan),
        np.full((n, d, d), np.nan),
        np.full(n, np.nan),
        n_pixels,
        np.full(n, int(FitFlag.BAD_DATA), dtype=np.int64),
    )


@dataclass(frozen=True)
class _Descent:
    """What all batches of a fit have in common."""

    composite: Composite
    spectra: Spectra
    device: torch.device
    tolerance: float
    max_iterations: int

    def over(self, data: _Clean) -> Descents:
        """Return the ways down for some data."""
        arrays = self.spectra.wavelength, data.flux, data.ivar
        return Descents(self.composite, *arrays, self.device)

    def run(self, descents: Descents, hints: _Hints) -> Minimum:
        """Return the best optimum of N stars."""
        starts = hints.starts
        if starts is None:
            starts = find_starts(self.composite, descents, hints.alone)
        return descents.run(starts, tolerance=self.tolerance, max_iterations=self.max_iterations)


def _fit_batch(
    search: _Descent, data: _Clean, hints: _Hints, model_error: ModelError | None
) -> FitResult:
    composite = search.composite
    n_pixels = (data.ivar > 0).sum(axis=(1, 2))
    each_visit = np.all((data.ivar > 0).any(axis=2), axis=1)
    out = _empty(composite, len(n_pixels), n_pixels.astype(np.int64))
    enough = np.flatnonzero((n_pixels > len(composite.label_names)) & each_visit)
    if enough.size == 0:
        return out
    mine = _Clean(data.flux[enough], data.ivar[enough])
    if model_error is None:
        found = search.run(search.over(mine), hints[enough])
    else:
        found, mine = _reweighted(search, mine, hints[enough], model_error)
        out.n_pixels[enough] = (mine.ivar > 0).sum(axis=(1, 2))
    at = found.at
    finite = (torch.isfinite(at.chi2) & torch.isfinite(at.normal).all(2).all(1)).cpu().numpy()
    flags = np.where(found.converged.cpu().numpy(), 0, int(FitFlag.NOT_CONVERGED))
    covariance, singular = _covariance(at.normal.cpu().numpy()[finite])
    flags[finite] |= np.where(singular, int(FitFlag.SINGULAR), 0)
    flags |= np.where(_at_bound(composite, found), int(FitFlag.AT_BOUND), 0)
    out.flags[enough] = flags
    rows = enough[finite]
    out.labels[rows], out.covariance[rows] = found.theta.cpu().numpy()[finite], covariance
    out.chi2[rows] = at.chi2.cpu().numpy()[finite]
    return out


def _reweighted(
    search: _Descent, data: _Clean, hints: _Hints, model_error: ModelError
) -> tuple[Minimum, _Clean]:
    """Fit with the errors that the data's own depths give, then with those of the last fit.

    A pseudo-continuum is fitted anew with these errors, to data and model alike.
    """
    weights = model_error.ivar(data.ivar, data.flux, data.flux)
    now = _renormalised(search.composite, data.flux, weights)
    descents = search.over(now)
    found = search.run(descents, hints)
    for _ in range(model_error.passes - 1):
        model = descents.model_flux(found.theta)
        rv = search.composite.components(found.theta).rv.cpu().numpy()
        kept = model_error.kept(search.spectra.wavelength, np.nan_to_num(rv))
        weights = np.where(kept, model_error.ivar(data.ivar, now.flux, model), 0.0)
        now = _renormalised(search.composite, data.flux, np.nan_to_num(weights))
        descents = search.over(now)
        found = search.run(descents, _Hints(found.theta.cpu().numpy()[:, None], None))
    return found, now


def _renormalised(composite: Composite, flux: NDArray, ivar: NDArray) -> _Clean:
    """Return the data with the continuum that these weights give, where the model has one."""
    continuum = composite.continuum
    if continuum is None:
        return _Clean(flux, ivar)
    rows = flux.reshape(-1, flux.shape[-1]), ivar.reshape(-1, flux.shape[-1])
    level = continuum.fit(*rows).reshape(flux.shape)
    known = np.isfinite(level) & (level > 0)
    new = np.divide(flux, level, out=np.ones_like(flux), where=known)
    return _Clean(new, np.where(known, ivar, 0.0))


def _at_bound(composite: Composite, found: Minimum) -> NDArray[np.bool_]:
    lower, upper = composite.bounds(found.theta)
    margin = EDGE * (upper - lower)
    at = (found.theta <= lower + margin) | (found.theta >= upper - margin)
    return at.any(dim=1).cpu().numpy()


def _covariance(normal: NDArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return inverses (N, D, D), NaN for labels that are not determined, and who has such."""
    diagonal = np.diagonal(normal, axis1=1, axis2=2)
    dead = diagonal <= 1e-20 * diagonal.max(axis=1, keepdims=True, initial=0)
    scale = np.sqrt(np.where(dead, 1.0, diagonal))
    scaled = normal / (scale[:, :, None] * scale[:, None, :])
    alive = ~dead[:, :, None] & ~dead[:, None, :]
    scaled = np.where(alive, scaled, np.eye(normal.shape[1]))
    values, vectors = np.linalg.eigh(scaled)
    poor = values[:, 0] < values[:, -1] / LARGEST_CONDITION
    inverse = (vectors / np.where(poor[:, None], np.nan, values)[:, None, :]) @ vectors.mT
    inverse = np.where(alive, inverse / (scale[:, :, None] * scale[:, None, :]), np.nan)
    return inverse, poor | dead.any(axis=1)
