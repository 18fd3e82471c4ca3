"""GALAH DR3: four FITS files per star, one per CCD of the HERMES spectrograph.

A file ``<sobject_id><ccd>.fits`` (15 + 1 digits) holds, for CCD 1 blue, 2 green, 3 red, 4 IR:

- HDU 0: sky- and telluric-corrected flux, counts, on a linear grid in air, barycentric frame;
- HDU ``input_sigma`` (1): relative error, σ/flux;
- HDU ``normalised spectra`` (last): flux over continuum, on a grid of its own: that of HDU 0
  divided by the Doppler factor of the star. The star's radial velocity is written nowhere else in
  the file, and the ratio of the two grids returns it.

References: Buder et al. 2021 (DR3), Kos et al. 2017 (reduction).
"""

from __future__ import annotations

import heapq
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from siderea.data import Spectra
from siderea.errors import DataError, NotThisProductError
from siderea.flags import SpectrumFlag
from siderea.io.fits_product import FitsProduct, open_product
from siderea.io.native import Arm, Frame, InstrumentGrid, NativeSpectrum, to_common_grid
from siderea.io.pixels import clean
from siderea.spectra.doppler import velocity_from_factor
from siderea.spectra.instruments import GALAH_GRID

__all__ = ["ARM_NAMES", "GRID", "group", "identify", "read_native", "read_spectra", "sources"]

EXPECTED = "a GALAH DR3 spectrum (one CCD per file)"
ARM_NAMES = GALAH_GRID.arm_names
GRID = GALAH_GRID
"""Common grid: 4 x 4,096 pixels, uniform in ln λ with one velocity step, air."""

Extension = Literal["raw", "normalised"]

_NAME = re.compile(r"(\d{15})([1-4])\.fits(?:\.gz)?")
_NORMALISED, _EXTNAME = 4, "normalised spectra"
_SPECTROGRAPH = {"BL": 0, "GN": 1, "RD": 2, "RR": 3}


def identify(path: str | Path) -> bool:
    """Say whether a file is a GALAH DR3 spectrum, from its contents."""
    try:
        with open_product(path, expected=EXPECTED) as product:
            _check(product)
    except NotThisProductError:
        return False
    return True


def group(paths: Iterable[str | Path]) -> dict[str, tuple[str, ...]]:
    """Gather the files of each star, by name where that tells, else by header.

    Parameters
    ----------
    paths : iterable of path-like
        Files in any order.

    Returns
    -------
    dict
        As `sources` yields them.
    """
    return dict(sources([str(path) for path in paths]))


def sources(paths: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the stars of a list of files, holding no more than one of them at a time.

    Parameters
    ----------
    paths : sequence of str
        Files in any order.

    Yields
    ------
    name, files
        Sorted: ``sobject_id`` and its files, one per CCD. A second copy of a CCD goes to
        ``"<sobject_id> (copy 2)"``, and a file that tells no star stands alone under its own
        path: the first copy is whole, and the rest is for the job to report.
    """
    named = (path for path in paths if _NAME.fullmatch(os.path.basename(path)))
    by_name = sorted(named)
    if not _ordered(by_name):  # the keys of a sort take a hundred bytes a file
        by_name.sort(key=os.path.basename)  # stable: of equal names, the first path comes first
    odd = sorted(
        (*_object_of(path), path) for path in paths if not _NAME.fullmatch(os.path.basename(path))
    )
    entries = heapq.merge(map(_parsed, by_name), odd)
    for star, files in itertools.groupby(entries, key=lambda entry: entry[0]):
        yield from _copies(star, list(files))


def _ordered(paths: list[str]) -> bool:
    names = map(os.path.basename, paths)
    return all(one <= other for one, other in itertools.pairwise(names))


def _parsed(path: str) -> tuple[str, str, str]:
    name = os.path.basename(path)
    return name[:15], name[15], path


def _object_of(path: str) -> tuple[str, str]:
    """Ask a file that is not named after its star for it."""
    try:
        with open_product(path, expected=EXPECTED) as product:
            star, spectrograph = product.text("OBJECT"), product.text("SPECTID")
    except NotThisProductError:
        return path, ""
    known = re.fullmatch(r"\d{15}", star) and spectrograph in _SPECTROGRAPH
    return (star, str(_SPECTROGRAPH[spectrograph] + 1)) if known else (path, "")


def _copies(star: str, files: list[tuple[str, str, str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Deal the files of a star out to as many sources as its most frequent CCD needs."""
    copies: list[dict[str, str]] = []
    for _, ccd, path in files:
        room = next((one for one in copies if ccd not in one), None)
        if room is None:
            room = {}
            copies.append(room)
        room[ccd] = path
    for number, one in enumerate(copies, 1):
        name = star if number == 1 else f"{star} (copy {number})"
        yield name, tuple(one[ccd] for ccd in sorted(one))


def read_native(
    paths: str | Path | Sequence[str | Path], *, extension: Extension = "raw"
) -> NativeSpectrum:
    """Read the CCD files of one star, on the pixels of the detectors.

    Parameters
    ----------
    paths : path-like or sequence of path-like
        One to four files of the same star, one per CCD.
    extension : {"raw", "normalised"}
        The reduced counts (barycentric frame), or the survey's own normalised flux (rest frame).

    Returns
    -------
    NativeSpectrum
        ``row`` holds ``sobject_id``, ``rv`` (km/s), ``snr_<arm>`` (median per pixel), ``mjd``
        (UTC, start of an exposure), ``barycentric_velocity`` (km/s), ``telluric_corrected``.

    Raises
    ------
    NotThisProductError
        If a file is damaged, not GALAH DR3, of another star, or doubles a CCD.
    """
    if extension not in ("raw", "normalised"):
        raise DataError(f"extension: found {extension!r}; expected 'raw' or 'normalised'")
    files = (paths,) if isinstance(paths, str | Path) else tuple(paths)
    ccds: dict[int, _Ccd] = {}
    for path in files:
        with open_product(path, expected=EXPECTED) as product:
            ccd = _Ccd(product)
            number = ccd.number
        if number in ccds:
            raise NotThisProductError(path, f"CCD {number + 1} a second time", "one file per CCD")
        if any(other.star != ccd.star for other in ccds.values()):
            raise NotThisProductError(path, f"star {ccd.star}", "files of one star")
        ccds[number] = ccd
    return _star([ccds[number] for number in sorted(ccds)], extension)


def _star(ccds: list[_Ccd], extension: Extension) -> NativeSpectrum:
    flags = SpectrumFlag.NONE
    arms, row = [], _row(ccds)
    for ccd in ccds:
        arm, found = ccd.arm(extension)
        arms.append(arm)
        flags |= found & ~SpectrumFlag.NO_GOOD_PIXELS
        row[f"snr_{arm.name}"] = ccd.snr
    if not any(arm.ivar.any() for arm in arms):
        flags |= SpectrumFlag.NO_GOOD_PIXELS
    if len(arms) < len(ARM_NAMES):
        flags |= SpectrumFlag.MISSING_ARM
    if not np.isfinite(row["rv"]):
        flags |= SpectrumFlag.NO_RV
    return NativeSpectrum(
        id=ccds[0].star,
        arms=tuple(arms),
        medium="air",
        resolution=GRID.resolution[: len(arms)],
        row=row,
        flags=flags,
        path=ccds[0].path,
        frame="barycentric" if extension == "raw" else "rest",
    )


def _row(ccds: list[_Ccd]) -> dict:
    """Return the catalogue values of a star; every key is there whatever CCDs are."""
    velocities = [ccd.rv for ccd in ccds if np.isfinite(ccd.rv)]
    snrs = np.concatenate([ccd.pixel_snr for ccd in ccds])
    return {
        "star_id": ccds[0].star,
        "sobject_id": int(ccds[0].star),
        "ra": np.nan,  # the files hold the centre of the field only; a catalogue has the stars
        "dec": np.nan,
        "field_ra": ccds[0].field[0],
        "field_dec": ccds[0].field[1],
        "mjd": float(np.nanmean([ccd.mjd for ccd in ccds])) if ccds else np.nan,
        "rv": float(np.median(velocities)) if velocities else np.nan,
        "barycentric_velocity": float(np.mean([ccd.barycentric_velocity for ccd in ccds])),
        "snr": float(np.median(snrs)) if snrs.size else 0.0,
        **{f"snr_{name}": np.nan for name in ARM_NAMES},
        "n_arms": len(ccds),
        "telluric_corrected": any(ccd.number == 3 and ccd.telluric_corrected for ccd in ccds),
    }


class _Ccd:
    """What one file holds, read while it is open."""

    def __init__(self, product: FitsProduct) -> None:
        header = _check(product)
        self.path = product.path
        self.star = _star_id(product)
        self.number = _SPECTROGRAPH[product.text("SPECTID")]
        self.mjd = product.number("UTMJD")
        self.field = (product.number("MEANRA"), product.number("MEANDEC"))
        self.barycentric_velocity = product.number("BARYEFF")
        self.telluric_corrected = product.text("MOLECFIT") == "SUCCESS"
        self.flux = product.image(0, ndim=1).astype(np.float64)
        self.relative_error = np.asarray(product.image(1, ndim=1), dtype=np.float64)
        if self.relative_error.size != self.flux.size:
            raise product.wrong(f"{self.relative_error.size} errors for {self.flux.size} pixels")
        self.wavelength = _linear_grid(header, self.flux.size, product)
        self.normalised, self.rest_wavelength = self._normalised(product)
        usable = self.relative_error[np.isfinite(self.relative_error) & (self.relative_error > 0)]
        self.pixel_snr = 1.0 / usable
        self.snr = float(np.median(self.pixel_snr)) if usable.size else 0.0

    def _normalised(self, product: FitsProduct) -> tuple[NDArray | None, NDArray | None]:
        try:
            header, values = product.last_image()
        except NotThisProductError:
            if product.has(_NORMALISED):
                raise
            return None, None
        if str(header.get("EXTNAME", "")).lower() != _EXTNAME:
            return None, None
        flux = np.asarray(values, dtype=np.float64)
        if flux.shape != self.flux.shape:
            raise product.wrong(f"{flux.size} normalised for {self.flux.size} raw pixels")
        return flux, _linear_grid(header, flux.size, product)

    @property
    def rv(self) -> float:
        """Velocity that shifts the rest-frame grid onto the barycentric one, km/s."""
        if self.rest_wavelength is None:
            return float("nan")
        middle = self.wavelength.size // 2
        factor = self.wavelength[middle] / self.rest_wavelength[middle]
        return float(velocity_from_factor(factor))

    def arm(self, extension: Extension) -> tuple[Arm, SpectrumFlag]:
        """Return one extension as an arm, with absolute errors."""
        name = ARM_NAMES[self.number]
        if extension == "raw":
            values, wavelength = self.flux, self.wavelength
        elif self.normalised is not None and self.rest_wavelength is not None:
            values, wavelength = self.normalised, self.rest_wavelength
        else:
            raise NotThisProductError(self.path, "no normalised extension", EXPECTED)
        # σ/flux does not diverge where the sky-subtracted flux crosses zero, so there σ would
        # vanish; sky and read noise do not, and a tenth of the continuum is a cautious floor.
        finite = values[np.isfinite(values)]
        level = float(np.median(finite)) if finite.size else 0.0
        scale = np.maximum(np.abs(values), 0.1 * abs(level))
        flux, ivar, flags = clean(values, error=self.relative_error * scale)
        if not level > 0:
            flags |= SpectrumFlag.ZERO_SNR
        return Arm(name, wavelength, flux, ivar), flags


def _check(product: FitsProduct) -> fits.Header:
    """Return the primary header of a file that is GALAH DR3; raise for any other."""
    if product.text("INSTRUME") != "HERMES-2dF" or product.text("SPECTID") not in _SPECTROGRAPH:
        found = product.text("INSTRUME") or product.text("TELESCOP") or "no instrument"
        raise product.wrong(f"a FITS file of another product ({found})")
    return product.header(0)


def _star_id(product: FitsProduct) -> str:
    name = product.text("OBJECT")
    match = _NAME.fullmatch(Path(product.path).name)
    if match:
        return match.group(1)
    if re.fullmatch(r"\d{15}", name):
        return name
    raise product.wrong(f"OBJECT {name!r} and a file name without a sobject_id")


def _linear_grid(header: fits.Header, size: int, product: FitsProduct) -> NDArray[np.float64]:
    values = [header.get(key) for key in ("CRVAL1", "CDELT1")]
    if not all(isinstance(value, (int, float)) and value > 0 for value in values):
        raise product.wrong(f"CRVAL1, CDELT1 = {values}")
    reference = float(header.get("CRPIX1", 1.0))
    return values[0] + (np.arange(size) + 1.0 - reference) * values[1]


def read_spectra(
    paths: Iterable[str | Path],
    *,
    extension: Extension = "raw",
    frame: Frame = "rest",
    grid: InstrumentGrid = GRID,
) -> Spectra:
    """Read GALAH DR3 files onto one grid.

    Parameters
    ----------
    paths : iterable of path-like
        Files of any number of stars, in any order.
    extension : {"raw", "normalised"}
        Reduced counts, not normalised; or the survey's own normalised flux.
    frame : {"rest", "barycentric"}
        Whether the star's velocity (column ``rv``) is taken out. A star without one stays
        barycentric, flagged ``NO_RV``.
    grid : InstrumentGrid, optional
        Another grid than `GRID`.

    Returns
    -------
    Spectra
        One row per star, sorted by ``sobject_id``; a CCD that is missing has ivar 0.

    Raises
    ------
    NotThisProductError
        If any file is not what it should be. To skip bad files and go on, use
        `siderea.pipelines.ingest`.
    """
    natives = [read_native(files, extension=extension) for files in group(paths).values()]
    if not natives:
        raise DataError("paths: found no file; expected GALAH DR3 FITS files")
    return to_common_grid(natives, grid, frame=frame)
