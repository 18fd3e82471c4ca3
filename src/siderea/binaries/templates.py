"""What spectra are correlated with: a dozen stars of the emulator, or given spectra."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.data import Spectra
from siderea.errors import DataError

__all__ = ["STARS", "checked_templates", "emulator_templates"]

STARS = np.array(
    [
        # teff, logg, fe_h, alpha_fe, vmic
        (4200.0, 1.6, -0.6, 0.2, 1.6),
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
        (6600.0, 4.2, -0.2, 0.0, 1.6),
    ]
)
"""Labels of the dozen templates: dwarfs and giants over the range of the emulator."""


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
    key = (
        spectra.wavelength.tobytes(),
        spectra.medium,
        spectra.resolution,
        tuple((arm.start, arm.stop) for arm in spectra.arms),
    )
    return _templates(*key, rows.tobytes(), len(rows)).copy()


@lru_cache(maxsize=4)
def _templates(
    wavelength: bytes,
    medium: str,
    resolution: tuple[float, ...],
    arms: tuple[tuple[int, int], ...],
    labels: bytes,
    n: int,
) -> NDArray[np.float32]:
    from siderea.models.emulator import load_default

    model = load_default().at(
        np.frombuffer(wavelength),
        resolution=list(resolution),
        medium=medium,  # type: ignore[arg-type]
        arms=tuple(slice(*arm) for arm in arms),
    )
    low, high = np.asarray(model.label_range).T
    return model.predict(np.clip(np.frombuffer(labels).reshape(n, -1), low, high))


def checked_templates(templates: ArrayLike | None, spectra: Spectra) -> NDArray[np.float32]:
    """Return templates (T, P): those given, or the dozen of the emulator."""
    if templates is None:
        return emulator_templates(spectra)
    given = np.atleast_2d(np.asarray(templates, dtype=np.float32))
    if given.ndim != 2 or given.shape[1] != spectra.n_pixels or not np.isfinite(given).all():
        raise DataError(
            f"templates: found shape {given.shape}; expected finite (T, {spectra.n_pixels}), "
            "normalised, on the grid of the spectra"
        )
    return given
