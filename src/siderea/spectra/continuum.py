"""Continuum normalisation of a set of spectra, arm by arm, as a `ContinuumRecipe` says.

The fits themselves are `fit_chebyshev` and `fit_spline`
(`siderea.spectra.continuum_fit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.data import Spectra
from siderea.errors import DataError, MediumError
from siderea.flags import SpectrumFlag
from siderea.spectra.clipped_fit import covered, masked_quantile
from siderea.spectra.continuum_basis import ChebyshevBasis, SplineBasis
from siderea.spectra.continuum_fit import (
    ContinuumFit,
    fit_basis,
    fit_chebyshev,
    fit_pixels,
    fit_spline,
    smooth_weights,
)
from siderea.spectra.continuum_pixels import (
    BALMER_AND_O2,
    GALAH_WINDOWS,
    Windows,
    cannon_pixels,
    in_windows,
)

__all__ = [
    "GALAH",
    "ContinuumFit",
    "ContinuumRecipe",
    "cannon_pixels",
    "fit_chebyshev",
    "fit_pixels",
    "fit_spline",
    "normalise",
]


@dataclass(frozen=True)
class ContinuumRecipe:
    """How the arms of an instrument are normalised.

    Parameters
    ----------
    method : {"chebyshev", "spline", "windows"}
        Which fit; ``"windows"`` is `fit_chebyshev` of what lies in ``windows``.
    degree : int or sequence of int
        Degree of the polynomial, one for all arms or one per arm.
    spacing : float
        Knot distance of the spline, Å.
    windows : tuple of (low, high)
        Line-free windows, rest frame, Å, for ``"windows"``.
    window_lower : float
        Lower cut within the windows, in σ: a window that is free of lines in most stars is not
        in the coolest.
    avoid : tuple of (low, high)
        Windows (rest frame, Å) that a clipped fit leaves out: wings wider than the clip can
        see, telluric bands.
    medium : {"air", "vacuum"}, optional
        Medium of ``windows`` and ``avoid``; needed where either is given.
    lower, upper : float
        Cuts of the clipped fits, in σ.
    """

    method: Literal["chebyshev", "spline", "windows"] = "chebyshev"
    degree: int | Sequence[int] = 4
    spacing: float = 300.0
    windows: Windows = ()
    window_lower: float = 1.5
    avoid: Windows = ()
    medium: Literal["air", "vacuum"] | None = None
    lower: float = 0.5
    upper: float = 3.0


GALAH = ContinuumRecipe(
    method="windows",
    degree=(3, 3, 4, 4),
    windows=GALAH_WINDOWS,
    avoid=BALMER_AND_O2,
    medium="air",
)
"""For GALAH: line-free windows from synthetic FGK spectra, and the survey's own degrees, which its
normalised extension tells (raw over normalised is an exact polynomial of the pixel number)."""


def normalise(
    spectra: Spectra,
    recipe: ContinuumRecipe | None = None,
    *,
    velocity: ArrayLike | None = None,
    exclude: NDArray[np.bool_] | None = None,
    reference: NDArray | None = None,
) -> tuple[Spectra, tuple[ContinuumFit, ...]]:
    """Divide every arm of every spectrum by its continuum.

    Flux becomes flux/continuum and ivar becomes ivar × continuum². An arm without a continuum
    has flux 1 and ivar 0 afterwards and its row is flagged (``ZERO_SNR`` where its median flux is
    not above 0, else ``NO_CONTINUUM``); a row left without any pixel is flagged
    ``NO_GOOD_PIXELS``. No row disturbs another.

    Parameters
    ----------
    spectra : Spectra
        N spectra, at rest or with ``velocity`` given.
    recipe : ContinuumRecipe, optional
        How; by default a clipped Chebyshev polynomial of degree 4 per arm. `GALAH` is
        one for GALAH.
    velocity : (N,) array-like, optional
        Velocity still in the spectra, km/s, for the windows. A row where it is NaN, or
        that is flagged ``NO_RV``, has windows nobody can place: it gets the clipped fit.
    exclude : (P,) or (N, P) ndarray of bool, optional
        Pixels kept out of the fit though they stay in the spectrum (telluric bands, cosmic
        rays: `siderea.spectra.masks`).
    reference : (P,) or (N, P) ndarray, optional
        Normalised model of each spectrum on the same grid. The continuum is then fitted to
        spectrum/reference with even cuts, so that data and model are normalised alike.

    Returns
    -------
    normalised : Spectra
    fits : tuple of ContinuumFit
        One per arm; ``normalised.flux × fit.continuum`` is the flux that came in.

    Raises
    ------
    MediumError
        If the recipe's windows are in another medium than the spectra.
    DataError
        If a per-arm setting does not have one value per arm.
    """
    recipe = recipe or ContinuumRecipe()
    if (recipe.windows or recipe.avoid) and recipe.medium != spectra.medium:
        raise MediumError(
            f"recipe: windows in {recipe.medium!r}, spectra in {spectra.medium!r}; "
            "convert one of them first (siderea.spectra.wavelength)"
        )
    speed, placed = _placed(spectra, velocity)
    flux, ivar = np.ones(spectra.flux.shape), np.zeros(spectra.ivar.shape)
    flags = np.zeros(len(spectra), dtype=np.int64)
    fits = []
    for number, arm in enumerate(spectra.arms):
        raw = np.asarray(spectra.flux[:, arm], dtype=float)
        good = np.where(np.isfinite(raw), spectra.ivar[:, arm], 0.0).astype(float)
        used = good if exclude is None else np.where(exclude[..., arm], 0.0, good)
        piece = _Arm(
            spectra.wavelength[arm],
            raw,
            used,
            speed if speed.any() else None,
            _of_arm(recipe.degree, number),
        )
        template = None if reference is None else np.atleast_2d(reference)[:, arm]
        fit = _fit_arm(piece, recipe, placed, template)
        fits.append(fit)
        _divide(flux[:, arm], ivar[:, arm], raw, good, fit)
        flags |= _flag(raw, good, fit.ok)
    flags |= np.where((ivar > 0).any(axis=1), 0, int(SpectrumFlag.NO_GOOD_PIXELS))
    return _with_flags(spectra, flux, ivar, flags), tuple(fits)


def _placed(
    spectra: Spectra, velocity: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the velocity of each row, and whether it is known."""
    n = len(spectra)
    speed = np.broadcast_to(np.asarray(0.0 if velocity is None else velocity, float), (n,))
    known = np.isfinite(speed)
    if "flags" in spectra.table:
        known = known & (spectra.table["flags"].to_numpy() & int(SpectrumFlag.NO_RV) == 0)
    return np.where(known, speed, 0.0), known


def _of_arm(setting: int | Sequence[int], number: int) -> int:
    if not isinstance(setting, Sequence):
        return setting
    if number >= len(setting):
        raise DataError(f"recipe: {len(setting)} values for arms; arm {number + 1} has none")
    return setting[number]


@dataclass(frozen=True)
class _Arm:
    """What every fit of one arm needs."""

    wavelength: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    velocity: NDArray[np.float64] | None
    degree: int

    def rows(self, chosen: NDArray[np.bool_]) -> _Arm:
        """Return the same arm of some of the spectra."""
        speed = self.velocity if self.velocity is None else self.velocity[chosen]
        return replace(self, flux=self.flux[chosen], ivar=self.ivar[chosen], velocity=speed)


def _fit_arm(
    arm: _Arm, recipe: ContinuumRecipe, placed: NDArray[np.bool_], template: NDArray | None
) -> ContinuumFit:
    """Fit one arm by the recipe; rows whose windows cannot be placed get the clipped fit."""
    if template is not None:
        return _fit_ratio(arm, recipe, template)
    if recipe.method != "windows" or not placed.any():
        return _fit_clipped(arm, recipe)
    pixels = in_windows(arm.wavelength, recipe.windows, velocity=arm.velocity)
    fit = _fit_within(arm, pixels, (recipe.window_lower, recipe.upper))
    other = ~placed | (~fit.ok & (arm.ivar > 0).any(axis=1))
    if not other.any():
        return fit
    return _with_rows(fit, other, _fit_clipped(arm.rows(other), recipe))


def _fit_within(arm: _Arm, pixels: NDArray[np.bool_], cuts: tuple[float, float]) -> ContinuumFit:
    """Fit what lies in windows; where these are the same for all rows, nothing else is touched."""
    used = np.flatnonzero(pixels.any(axis=0) if pixels.ndim == 2 else pixels)
    ivar = np.where(pixels, arm.ivar, 0.0)[:, used]
    fit = fit_chebyshev(
        arm.wavelength[used],
        arm.flux[:, used],
        ivar,
        degree=arm.degree,
        lower=cuts[0],
        upper=cuts[1],
    )
    kept = np.zeros(arm.flux.shape, dtype=bool)
    kept[:, used] = fit.kept
    return replace(fit, continuum=fit.evaluate(arm.wavelength), kept=kept)


def _fit_clipped(arm: _Arm, recipe: ContinuumRecipe) -> ContinuumFit:
    ivar = arm.ivar
    if recipe.avoid:
        avoid = in_windows(arm.wavelength, recipe.avoid, velocity=arm.velocity)
        ivar = np.where(avoid, 0.0, ivar)
    cuts = (recipe.lower, recipe.upper)
    if recipe.method == "spline":
        return fit_spline(
            arm.wavelength, arm.flux, ivar, spacing=recipe.spacing, lower=cuts[0], upper=cuts[1]
        )
    return fit_chebyshev(
        arm.wavelength, arm.flux, ivar, degree=arm.degree, lower=cuts[0], upper=cuts[1]
    )


def _fit_ratio(arm: _Arm, recipe: ContinuumRecipe, template: NDArray) -> ContinuumFit:
    """Fit flux ≈ continuum × template with even cuts."""
    safe = np.isfinite(template) & (template > 0)
    model = np.where(safe, template, 1.0)
    weight = np.where(safe, smooth_weights(arm.flux, arm.ivar) * model**2, 0.0)
    basis: ChebyshevBasis | SplineBasis = ChebyshevBasis.over(arm.wavelength, arm.degree)
    if recipe.method == "spline":
        basis = SplineBasis.over(arm.wavelength, recipe.spacing)
    return fit_basis(
        basis, arm.wavelength, arm.flux / model, weight, (recipe.upper, recipe.upper), 8
    )


def _with_rows(fit: ContinuumFit, chosen: NDArray[np.bool_], other: ContinuumFit) -> ContinuumFit:
    """Return a fit whose chosen rows are those of another."""
    columns: dict[str, Any] = {}
    for name in ("coefficients", "continuum", "kept", "ok"):
        columns[name] = np.array(getattr(fit, name))
        columns[name][chosen] = getattr(other, name)
    return replace(fit, **columns)


def _divide(flux: NDArray, ivar: NDArray, raw: NDArray, good: NDArray, fit: ContinuumFit) -> None:
    """Write flux/continuum and ivar × continuum² of one arm into the (1, 0) that was there."""
    use = np.isfinite(raw) & fit.ok[:, None] & (fit.continuum > 0) & covered(good > 0)
    np.divide(raw, fit.continuum, out=flux, where=use)
    np.multiply(good, fit.continuum**2, out=ivar, where=use)


def _flag(raw: NDArray, good: NDArray, ok: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Say why an arm has no continuum; an arm without pixels was missing before."""
    seen = (good > 0).any(axis=1)
    dark = seen & ~(masked_quantile(raw, good > 0, 0.5) > 0)
    return np.where(
        dark, int(SpectrumFlag.ZERO_SNR), np.where(seen & ~ok, int(SpectrumFlag.NO_CONTINUUM), 0)
    )


def _with_flags(spectra: Spectra, flux: NDArray, ivar: NDArray, flags: NDArray) -> Spectra:
    before = spectra.table["flags"].to_numpy() if "flags" in spectra.table else 0
    table = spectra.table.assign(flags=(before | flags).astype(np.int64))
    kind = spectra.flux.dtype, spectra.ivar.dtype
    return replace(spectra, flux=flux.astype(kind[0]), ivar=ivar.astype(kind[1]), table=table)
