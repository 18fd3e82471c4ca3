"""One, two and three stars of any model, as the model channel fits them, and a name for them.

A pair must hold the single star as a case (q = 1 at one velocity, or no second light), or what a
model gets wrong of every star would speak for a companion. The companion comes from the model's own
main sequence, else from the shipped isochrones.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.binaries.companion_pairing import ByCompanions
from siderea.binaries.companions import Companions, default_companions
from siderea.data import Spectra
from siderea.errors import DataError, MediumError
from siderea.models.composite import Binary, Composite, Single, Triple, pairing_of
from siderea.models.pairing import Pairing
from siderea.models.protocol import DifferentiableModel
from siderea.models.renormalise import PseudoContinuum

__all__ = ["arms_of", "composites_of", "digest", "holding_grid", "on_grid"]

DEGREE = 3
"""Degree of the polynomial per arm that is fitted to data and model of a model without a
pseudo-continuum of its own: a survey's continuum is known to .2 to 2 % (docs/decisions/0008)."""

SAME_PIXEL = 1e-7
"""Relative difference of wavelengths up to which two pixels are one: .03 km/s."""

PROBES = (0.3, 0.5, 0.7)
"""Places in the ranges of the parameters where a model is looked at to tell it from others."""

VELOCITY, MASS_RATIO = 20.0, 0.8


def composites_of(
    model: DifferentiableModel | Binary,
    *,
    n_stars: int = 2,
    companions: Companions | None = None,
) -> tuple[Composite, ...]:
    """Return the composites of 1, 2, … ``n_stars`` stars.

    Parameters
    ----------
    model : DifferentiableModel or Binary
        Of a `Binary` the pairing and all other settings are kept.
    n_stars : {2, 3}
    companions : Companions, optional
        For a model without a main sequence of its own; of the shipped isochrones by default.

    Raises
    ------
    DataError
        If the model cannot weigh two stars.
    """
    if isinstance(model, Binary):
        two = model
    else:
        _weighable(model)
        continuum = getattr(model, "pseudo_continuum", None)
        if continuum is None:
            continuum = PseudoContinuum.everywhere(arms_of(model), DEGREE)
        two = Binary(model, pairing=_pairing(model, companions), continuum=continuum)
    one = Single(two.model, two.continuum, two.kernel, two.rv_range)
    if n_stars == 2:
        return one, two
    options = (two.pairing, two.shared, two.continuum, two.kernel, two.rv_range)
    return one, two, Triple(two.model, *options)


def arms_of(model: DifferentiableModel) -> tuple[slice, ...]:
    """Return the arms of a model's grid: one where it says nothing."""
    return tuple(getattr(model, "arms", ())) or (slice(0, model.wavelength.size),)


def _weighable(model: DifferentiableModel) -> None:
    if not isinstance(model, DifferentiableModel):
        raise DataError(
            f"model: found {type(model).__name__}; expected an Emulator, a model with normalised() "
            "and density(), or a Binary of one"
        )
    middle = np.asarray(model.label_range, dtype=float).mean(axis=1)
    try:
        density = model.density(torch.from_numpy(middle[None]))
    except DataError as error:
        raise DataError(
            f"model: {type(model).__name__} cannot compose two stars, it knows no flux density to "
            "weigh them; give it a continuum (siderea.models.lit.Lit)"
        ) from error
    missing = int((~torch.isfinite(density)).sum())
    if missing:
        raise DataError(
            f"model: {type(model).__name__} has no flux at {missing} of its {density.shape[1]} "
            "pixels: train it, and give the spectra, without them"
        )


def _pairing(model: DifferentiableModel, companions: Companions | None) -> Pairing:
    """Return the model's own pairing, or that by companions where it has no main sequence."""
    known = {"teff", "logg", "fe_h"} <= set(model.label_names)
    if companions is None and (not known or getattr(model, "main_sequence", None) is not None):
        return pairing_of(model, None)
    return ByCompanions(companions or default_companions())


def on_grid(spectra: Spectra, model: DifferentiableModel | Binary) -> Spectra:
    """Return spectra on the model's own pixels, where theirs hold these.

    Raises
    ------
    MediumError
        If spectra and model are in different media.
    DataError
        If a pixel of the model is not among theirs.
    """
    star = model.model if isinstance(model, Binary) else model
    if spectra.medium != star.medium:
        raise MediumError(
            f"medium: spectra in {spectra.medium}, model in {star.medium}; convert the spectra "
            "(siderea.spectra.wavelength.convert_medium)"
        )
    chosen = _places(spectra.wavelength, star.wavelength)
    if chosen is None:
        raise DataError(
            f"wavelength: found {spectra.n_pixels} pixels from {spectra.wavelength[0]:.2f} Å; "
            f"expected among them the model's {star.wavelength.size} from {star.wavelength[0]:.2f} "
            "Å: interpolate the spectra to model.wavelength, or bring the model to their grid"
        )
    return Spectra(
        star.wavelength,
        spectra.flux[:, chosen],
        spectra.ivar[:, chosen],
        spectra.medium,
        arms=arms_of(star),
        resolution=_resolution(spectra, star),
        table=spectra.table,
    )


def holding_grid(spectra: Spectra, model: DifferentiableModel | Binary) -> Spectra:
    """Return no spectra on the grid that is fitted: what a calibration holds for."""
    empty = replace(
        spectra, flux=spectra.flux[:0], ivar=spectra.ivar[:0], table=spectra.table.iloc[:0]
    )
    return on_grid(empty, model)


def _places(theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> NDArray[np.intp] | None:
    """Return which of their pixels are ours, or None where one is missing."""
    order = np.argsort(theirs, kind="stable")
    right = np.searchsorted(theirs[order], ours).clip(0, order.size - 1)
    left = (right - 1).clip(0)
    nearer = np.where(
        np.abs(theirs[order[left]] - ours) < np.abs(theirs[order[right]] - ours), left, right
    )
    chosen = order[nearer]
    same = np.abs(theirs[chosen] - ours) <= SAME_PIXEL * ours
    return chosen if same.all() else None


def _resolution(spectra: Spectra, model: DifferentiableModel) -> tuple[float, ...]:
    """Return one resolving power per arm: the model's, unless the spectra have another."""
    own = np.broadcast_to(np.asarray(model.resolution, dtype=float), len(arms_of(model)))
    theirs = np.unique(spectra.resolution)
    known = theirs[np.isfinite(theirs)]
    same = known.size == 0 or np.allclose(known, own.mean(), rtol=0.01)
    return tuple(own.tolist()) if same or known.size != 1 else tuple(np.full(own.size, known[0]))


def digest(model: DifferentiableModel | Binary) -> str:
    """Return a word that tells a model of two stars from others, by the spectra it gives.

    Parameters
    ----------
    model : DifferentiableModel or Binary
    """
    two = composites_of(model)[1]
    rows = [_probe(two, part) for part in PROBES]
    flux = np.rint(two.predict(rows) * 1e5).astype(np.int64)
    named = [*two.label_names, *np.round(two.label_range, 3).ravel().tolist()]
    grid = np.rint(two.wavelength * 1e3).astype(np.int64)
    content = repr(named).encode() + grid.tobytes() + flux.tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def _probe(two: Composite, part: float) -> list[float]:
    """Return parameters at a part of their ranges, of stars 40 km/s apart."""
    values = []
    for name, (low, high) in zip(two.label_names, two.label_range.tolist(), strict=True):
        if name.startswith("rv_"):
            values.append(VELOCITY if name == "rv_1" else -VELOCITY)
        else:
            values.append(MASS_RATIO if name == "q" else low + part * (high - low))
    return values
