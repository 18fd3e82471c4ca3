"""One spectrum as its file gives it, and the step from there to one grid for all.

A reader turns a file into `NativeSpectrum` objects, pixel for pixel; `to_common_grid` puts any
number of them on one `InstrumentGrid`, and is the only place where a reader resamples.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.constants import C_KMS
from siderea.data import Medium, Spectra
from siderea.errors import DataError, MediumError
from siderea.flags import SpectrumFlag
from siderea.spectra.doppler import to_rest
from siderea.spectra.instruments import InstrumentGrid
from siderea.spectra.resample import interpolate

__all__ = [
    "Arm",
    "Frame",
    "InstrumentGrid",
    "NativeSpectrum",
    "as_paths",
    "median_snr",
    "to_common_grid",
]

Frame = Literal["rest", "barycentric"]
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

SAME_PIXEL = 1e-3
"""Pixels of a file that lie within this fraction of a pixel of the grid's are the grid's own: a
wavelength stored as a 32-bit float is off by less (2.6e-4 of a LAMOST LRS pixel at 4000 Å)."""


class Arm(NamedTuple):
    """One arm of a spectrum on its own pixels: wavelength Å increasing, ivar 0 = bad pixel."""

    name: str
    wavelength: NDArray[np.float64]
    flux: NDArray
    ivar: NDArray


@dataclass(frozen=True)
class NativeSpectrum:
    """A spectrum on the pixels of its file.

    Parameters
    ----------
    id : str
        Unique among all spectra of the survey.
    arms : tuple of Arm
        The arms that the file has (fewer than the instrument has where one is missing).
    medium : {"air", "vacuum"}
        What the wavelengths are measured in.
    resolution : tuple of float
        Resolving power λ/FWHM per arm (NaN where unknown).
    row : mapping
        Catalogue values under the names of CONVENTIONS.md; ``rv`` (km/s, barycentric) is used.
    flags : SpectrumFlag
        What is known to be wrong.
    path : str
        Where it came from.
    frame : {"barycentric", "rest"}
        What the wavelengths refer to: the barycentre, or the star (already shifted by ``rv``).
    """

    id: str
    arms: tuple[Arm, ...]
    medium: Medium
    resolution: tuple[float, ...]
    row: Mapping[str, Any] = field(default_factory=dict)
    flags: SpectrumFlag = SpectrumFlag.NONE
    path: str = ""
    frame: Frame = "barycentric"


def as_paths(paths: Paths) -> tuple[Path, ...]:
    """Return one path or many as a tuple of `pathlib.Path`.

    Raises
    ------
    DataError
        If there is none.
    """
    if isinstance(paths, str | os.PathLike):
        return (Path(paths),)
    found = tuple(Path(path) for path in paths)
    if not found:
        raise DataError("paths: found no file; expected at least one")
    return found


def median_snr(*arms: Arm) -> float:
    """Return the median signal to noise per good pixel of all arms, NaN where none is good."""
    ratio = [(arm.flux * np.sqrt(arm.ivar))[arm.ivar > 0] for arm in arms]
    joined = np.concatenate(ratio) if ratio else np.empty(0)
    return float(np.median(joined)) if joined.size else float("nan")


def to_common_grid(
    natives: Iterable[NativeSpectrum], grid: InstrumentGrid, *, frame: Frame | None = "rest"
) -> Spectra:
    """Put spectra on one grid, shifted to one frame.

    A spectrum that needs no shift and whose pixels are the grid's is copied, value by value.
    Anything else is interpolated (`siderea.spectra.resample.interpolate`, cubic).

    Parameters
    ----------
    natives : iterable of NativeSpectrum
        Spectra of the grid's instrument.
    grid : InstrumentGrid
        Where to put them; an arm goes to the arm of the same name.
    frame : {"rest", "barycentric"} or None
        Where the wavelengths shall refer to. A spectrum without a finite ``rv`` that would need
        one is left as it is and flagged ``NO_RV``. None leaves every spectrum as it is.

    Returns
    -------
    Spectra
        One row per spectrum. An arm that a spectrum lacks has ivar 0 and flag ``MISSING_ARM``.
        The table holds ``id``, the rows of the spectra, ``flags`` and ``path``.

    Raises
    ------
    MediumError
        If a spectrum is in another medium than the grid.
    DataError
        If ``frame`` is none of the three.
    """
    natives = list(natives)
    if frame not in ("rest", "barycentric", None):
        raise DataError(f"frame: found {frame!r}; expected 'rest', 'barycentric' or None")
    for native in natives:
        if native.medium != grid.medium:
            raise MediumError(
                f"{native.path}: found {native.medium} wavelengths; expected {grid.medium}"
            )
    velocity = np.array([_velocity_to(frame, native) for native in natives], dtype=np.float64)
    flags = np.array([int(native.flags) for native in natives], dtype=np.int64)
    flags[np.isnan(velocity)] |= SpectrumFlag.NO_RV
    velocity = np.nan_to_num(velocity)
    flux = np.zeros((len(natives), len(grid.wavelength)))
    ivar = np.zeros_like(flux)
    for name, pixels in zip(grid.arm_names, grid.arms, strict=True):
        arms = [_arm_of(native, name) for native in natives]
        missing = np.array([arm is None for arm in arms], dtype=bool)
        flags[missing] |= SpectrumFlag.MISSING_ARM
        _fill(arms, velocity, grid.wavelength[pixels], flux[:, pixels], ivar[:, pixels])
    flags[~np.any(ivar > 0, axis=1)] |= SpectrumFlag.NO_GOOD_PIXELS
    return Spectra(
        grid.wavelength,
        flux,
        ivar,
        grid.medium,
        grid.arms,
        grid.arm_names,
        grid.resolution,
        _table(natives, flags),
    )


def _velocity_to(frame: Frame | None, native: NativeSpectrum) -> float:
    """Velocity (km/s) to take out of the wavelengths; NaN where it is needed but not known."""
    if frame is None or frame == native.frame:
        return 0.0
    rv = float(native.row.get("rv", np.nan))
    if not abs(rv) < C_KMS:
        return float("nan")
    return rv if frame == "rest" else -rv


def _arm_of(native: NativeSpectrum, name: str) -> Arm | None:
    found = [arm for arm in native.arms if arm.name == name and len(arm.wavelength) > 1]
    return found[0] if found else None


def _fill(
    arms: Sequence[Arm | None],
    velocity: NDArray[np.float64],
    grid: NDArray[np.float64],
    flux: NDArray[np.float64],
    ivar: NDArray[np.float64],
) -> None:
    """Write one arm of every spectrum into its rows of ``flux`` and ``ivar`` (views)."""
    groups: dict[int, list[int]] = {}
    for row, arm in enumerate(arms):
        if arm is None or (velocity[row] == 0 and _copy(arm, grid, flux[row], ivar[row])):
            continue
        groups.setdefault(len(arm.wavelength), []).append(row)
    for rows in groups.values():  # spectra with as many pixels are interpolated together
        group = [arm for arm in (arms[row] for row in rows) if arm is not None]
        wavelength = to_rest(np.stack([arm.wavelength for arm in group]), velocity[rows])
        flux[rows], ivar[rows] = interpolate(
            wavelength,
            np.stack([arm.flux for arm in group]),
            np.stack([arm.ivar for arm in group]),
            grid,
            kernel="cubic",
        )


def _copy(arm: Arm, grid: NDArray, flux: NDArray, ivar: NDArray) -> bool:
    """Copy an arm whose pixels are the grid's, up to a shift by whole pixels; else say False."""
    if len(grid) < 2:
        return False
    offset = int(np.abs(grid - arm.wavelength[0]).argmin())
    offset -= int(np.abs(arm.wavelength - grid[offset]).argmin())
    first, last = max(offset, 0), min(offset + len(arm.wavelength), len(grid))
    if last <= first:
        return False
    own = slice(first - offset, last - offset)
    pixel = np.gradient(grid)[first:last]
    if np.any(np.abs(arm.wavelength[own] - grid[first:last]) > SAME_PIXEL * pixel):
        return False
    flux[first:last], ivar[first:last] = arm.flux[own], arm.ivar[own]
    return True


def _table(natives: Sequence[NativeSpectrum], flags: NDArray[np.int64]) -> pd.DataFrame:
    table = pd.DataFrame([dict(native.row) for native in natives])
    table = table.drop(columns=[name for name in ("id", "flags", "path") if name in table])
    table.insert(0, "id", [native.id for native in natives])
    return table.assign(flags=flags, path=[native.path for native in natives])
