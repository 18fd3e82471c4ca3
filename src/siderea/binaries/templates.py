"""What spectra are correlated with: stars of the emulator, line masks, or given spectra."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.data import Medium, Spectra
from siderea.errors import DataError
from siderea.models.emulator import load_default
from siderea.models.emulator_survey import SurveyEmulator

__all__ = ["STARS", "checked_templates", "emulator_templates", "label_templates", "mask_template"]

STARS = np.array(
    [
        # teff, logg, fe_h, alpha_fe, vmic
        (4200.0, 1.6, -0.6, 0.2, 1.6),
        (4700.0, 1.4, -2.0, 0.4, 1.8),
        (4400.0, 4.6, -0.1, 0.0, 0.8),
        (4600.0, 2.4, 0.0, 0.0, 1.5),
        (4800.0, 2.6, -0.8, 0.3, 1.5),
        (4900.0, 4.6, 0.0, 0.0, 0.9),
        (5300.0, 4.5, 0.0, 0.0, 1.0),
        (5400.0, 4.4, -0.8, 0.3, 1.0),
        (5700.0, 4.4, 0.1, 0.0, 1.1),
        (5800.0, 4.2, -0.4, 0.1, 1.2),
        (6100.0, 4.2, -0.9, 0.3, 1.3),
        (6200.0, 4.2, 0.0, 0.0, 1.4),
        (6100.0, 4.0, -2.0, 0.4, 1.4),
        (6600.0, 4.2, -0.2, 0.0, 1.6),
    ]
)
"""Labels of the templates: dwarfs and giants over the range of the emulator."""


LABELS = ("teff", "logg", "fe_h", "alpha_fe", "vmic")
SUN = (5772.0, 4.44, 0.0, 0.0, 1.1)


def emulator_templates(spectra: Spectra, labels: ArrayLike = STARS) -> NDArray[np.float32]:
    """Return normalised spectra of the shipped emulator on the grid of a set of spectra.

    Parameters
    ----------
    spectra : Spectra
        Its wavelengths, medium, arms and resolution are used.
    labels : (T, 5) array-like
        teff (K), logg, fe_h, alpha_fe (dex), vmic (km/s); moved into the emulator's range.

    Returns
    -------
    (T, P) ndarray
        Without rotation: the lines are as narrow as the resolution allows.

    Raises
    ------
    DataError
        If the emulator does not cover the wavelengths, or a resolution is not known.
    """
    rows = np.atleast_2d(np.asarray(labels, dtype=float))
    model = _model(
        spectra.wavelength.tobytes(),
        spectra.medium,
        spectra.resolution,
        tuple((arm.start, arm.stop) for arm in spectra.arms),
    )
    low, high = np.asarray(model.label_range).T
    return model.predict(np.clip(rows, low, high))


@lru_cache(maxsize=4)
def _model(
    wavelength: bytes,
    medium: Medium,
    resolution: tuple[float, ...],
    arms: tuple[tuple[int, int], ...],
) -> SurveyEmulator:
    return load_default().at(
        np.frombuffer(wavelength),
        resolution=list(resolution),
        medium=medium,
        arms=tuple(slice(*arm) for arm in arms),
    )


def label_templates(spectra: Spectra) -> NDArray[np.float32] | None:
    """Return a template for each spectrum at the labels that its table holds.

    Parameters
    ----------
    spectra : Spectra
        Its table may hold ``teff`` (K), ``logg``, ``fe_h``, and ``alpha_fe``, ``vmic`` (km/s).

    Returns
    -------
    (N, P) ndarray or None
        None where no spectrum has the first three labels; the Sun for a spectrum without.
    """
    if any(name not in spectra.table for name in LABELS[:3]):
        return None
    rows = np.tile(SUN, (len(spectra), 1))
    for column, name in enumerate(LABELS):
        if name in spectra.table:
            values = pd.to_numeric(spectra.table[name], errors="coerce").to_numpy(dtype=float)
            rows[:, column] = np.where(np.isfinite(values), values, rows[:, column])
    known = np.isfinite(spectra.table[list(LABELS[:3])].to_numpy(dtype=float)).all(axis=1)
    rows[~known] = SUN
    return emulator_templates(spectra, rows) if known.any() else None


def mask_template(spectra: Spectra, wavelength: ArrayLike, depth: ArrayLike) -> NDArray[np.float32]:
    """Return a template of given lines, as wide as the resolution lets them be.

    Parameters
    ----------
    spectra : Spectra
        Its wavelengths, arms and resolution are used.
    wavelength, depth : (M,) array-like
        Of the lines, Å in the medium of the spectra, and weights between 0 and 1.

    Returns
    -------
    (1, P) ndarray

    Raises
    ------
    DataError
        If the shapes differ, or an arm's resolution is not known.
    """
    centre, weight = np.asarray(wavelength, dtype=float), np.asarray(depth, dtype=float)
    if (
        centre.ndim != 1
        or centre.shape != weight.shape
        or not np.isfinite(spectra.resolution).all()
    ):
        raise DataError(
            f"mask: found wavelengths {centre.shape}, depths {weight.shape}, resolution "
            f"{spectra.resolution}; expected two arrays of one length, and a resolution of each arm"
        )
    flux = np.ones(spectra.n_pixels)
    for _, arm, resolution in spectra.iter_arms():
        grid = spectra.wavelength[arm]
        for place, height in zip(centre, weight, strict=True):
            sigma = place / resolution / 2.3548
            low, high = np.searchsorted(grid, [place - 5 * sigma, place + 5 * sigma])
            line = np.exp(-0.5 * ((grid[low:high] - place) / sigma) ** 2)
            flux[arm][low:high] *= 1 - height * line
    return flux[None].astype(np.float32)


def checked_templates(templates: ArrayLike | None, spectra: Spectra) -> NDArray[np.float32]:
    """Return templates (T, P): those given, or those of the emulator."""
    if templates is None:
        return emulator_templates(spectra)
    given = np.atleast_2d(np.asarray(templates, dtype=np.float32))
    if given.ndim != 2 or given.shape[1] != spectra.n_pixels or not np.isfinite(given).all():
        raise DataError(
            f"templates: found shape {given.shape}; expected finite (T, {spectra.n_pixels}), "
            "normalised, on the grid of the spectra"
        )
    return given
