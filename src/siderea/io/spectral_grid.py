"""Grids of synthetic spectra: a folder with one ``BAND.npz`` per band."""

from __future__ import annotations

import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siderea.errors import NotThisProductError
from siderea.io.files import atomic_write
from siderea.models.emulator_training import SpectralGrid

__all__ = ["read_grid", "write_grid"]

EXPECTED = "a band of synthetic spectra (labels, wave, flux, continuum_wave, continuum)"


def read_grid(folder: str | Path) -> SpectralGrid:
    """Read a grid, as `siderea synthesise` writes it.

    Parameters
    ----------
    folder : path-like
        With one ``.npz`` per band: ``labels`` (M, 5), ``wave`` (P,) Å in air, ``flux`` (M, P)
        normalised, ``continuum_wave`` (C,) and ``continuum`` (M, C).

    Returns
    -------
    SpectralGrid
        Bands by wavelength.

    Raises
    ------
    NotThisProductError
        If there is no band, one is damaged, or the bands are not of the same models.
    """
    bands = {path.stem: _read_band(path) for path in sorted(Path(folder).glob("*.npz"))}
    if not bands:
        raise NotThisProductError(folder, "no .npz file", EXPECTED)
    names = sorted(bands, key=lambda name: float(bands[name]["wave"][0]))
    labels = bands[names[0]]["labels"]
    for name in names[1:]:
        if not np.array_equal(labels, bands[name]["labels"]):
            path = Path(folder) / f"{name}.npz"
            raise NotThisProductError(path, "other labels", f"those of {names[0]}.npz")
    edges = np.cumsum([0, *(bands[name]["wave"].size for name in names)]).tolist()
    return SpectralGrid(
        labels=labels,
        wavelength=np.concatenate([bands[name]["wave"] for name in names]),
        arms=tuple(slice(a, b) for a, b in pairwise(edges)),
        arm_names=tuple(names),
        flux=np.concatenate([bands[name]["flux"] for name in names], axis=1).astype(np.float32),
        continuum_wavelength=np.stack([bands[name]["continuum_wave"] for name in names]),
        continuum=np.stack([bands[name]["continuum"] for name in names], axis=1),
        medium="air",
    )


def _read_band(path: Path) -> dict[str, NDArray]:
    names = ("labels", "wave", "flux", "continuum_wave", "continuum")
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as content:
            return {name: content[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise NotThisProductError(path, f"{error}", EXPECTED) from error


def write_grid(folder: str | Path, grid: SpectralGrid) -> None:
    """Write a grid, one file per band, flux in half precision.

    Parameters
    ----------
    folder : path-like
        Existing folder.
    grid : SpectralGrid
        In air.
    """
    for i, (name, arm) in enumerate(zip(grid.arm_names, grid.arms, strict=True)):
        with atomic_write(Path(folder) / f"{name}.npz") as handle:
            np.savez_compressed(
                handle,
                labels=grid.labels.astype(np.float32),
                wave=grid.wavelength[arm],
                flux=grid.flux[:, arm].astype(np.float16),
                continuum_wave=grid.continuum_wavelength[i],
                continuum=grid.continuum[:, i].astype(np.float32),
            )
