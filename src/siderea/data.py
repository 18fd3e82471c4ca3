"""What travels between rooms: frozen sets of arrays, checked once at the door.

Shapes use N stars (spectra), P pixels, B bands. Missing values are NaN, a bad pixel has ivar 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError, MediumError

__all__ = ["LightCurve", "Medium", "Photometry", "RVSeries", "Spectra", "plain"]

Medium = Literal["air", "vacuum"]


def plain(value: Any, unit: str) -> NDArray[np.float64]:
    """Turn an astropy Quantity, or anything array-like, into a plain float array in a unit.

    Parameters
    ----------
    value : array-like or astropy.units.Quantity
        Plain numbers are taken to be in ``unit`` already.
    unit : str
        An astropy unit string, for instance ``"Angstrom"``.

    Returns
    -------
    ndarray of float64
        The values in ``unit``.
    """
    if hasattr(value, "to_value"):
        return np.asarray(value.to_value(unit), dtype=np.float64)
    return np.asarray(value, dtype=np.float64)


def _check_medium(medium: str) -> None:
    if medium not in ("air", "vacuum"):
        raise MediumError(f"medium: found {medium!r}; expected 'air' or 'vacuum'")


def _check_grid(wavelength: NDArray, arms: Sequence[slice]) -> None:
    if wavelength.ndim != 1 or wavelength.size == 0:
        raise DataError(f"wavelength: found shape {wavelength.shape}; expected (P,) with P > 0")
    covered = 0
    for arm in arms:
        start, stop, step = arm.indices(wavelength.size)
        if step != 1 or start != covered or stop <= start:
            raise DataError(f"arms: found {arm}; expected slices that tile the P pixels in order")
        covered = stop
        piece = wavelength[arm]
        if not np.all(np.isfinite(piece)) or piece[0] <= 0 or np.any(np.diff(piece) <= 0):
            raise DataError(
                f"wavelength: arm {arm.start}:{arm.stop} is not positive and increasing; "
                "sort each arm by wavelength first"
            )
    if covered != wavelength.size:
        raise DataError(f"arms: found {covered} pixels covered; expected all {wavelength.size}")


@dataclass(frozen=True)
class Spectra:
    """N spectra on one common grid of P pixels.

    Parameters
    ----------
    wavelength : (P,) array-like or Quantity
        Å, increasing within each arm; the arms of one instrument stand one after another.
    flux : (N, P) array-like
        Flux; normalised to the continuum once `siderea.spectra.continuum` has been applied.
    ivar : (N, P) array-like
        Inverse variance of ``flux``; 0 marks a bad pixel. Never negative, never NaN.
    medium : {"air", "vacuum"}
        What the wavelengths are measured in.
    arms : sequence of slice, optional
        Consecutive slices that tile the P pixels; one slice over all of them by default.
    arm_names : sequence of str, optional
        A name per arm.
    resolution : float or sequence of float
        Resolving power λ/FWHM per arm (NaN where unknown).
    table : pandas.DataFrame or astropy.table.Table, optional
        N rows; column ``id`` (str, one per spectrum) is made if absent. Names: ``ra``, ``dec``
        (deg, ICRS), ``rv``, ``rv_err`` (km/s, barycentric), ``snr`` (per pixel), ``flags``
        (`siderea.flags.SpectrumFlag`).

    Raises
    ------
    DataError, MediumError
        If shapes, arms or medium do not fit together.

    Examples
    --------
    >>> spectra = Spectra([5000., 5001.], [[1., .9]], [[100., 0.]], medium="air")
    >>> len(spectra), spectra.n_pixels, spectra.table["id"].tolist()
    (1, 2, ['0'])
    """

    wavelength: NDArray[np.float64]
    flux: NDArray
    ivar: NDArray
    medium: Medium
    arms: tuple[slice, ...] = ()
    arm_names: tuple[str, ...] = ()
    resolution: tuple[float, ...] = ()
    table: pd.DataFrame = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        _check_medium(self.medium)
        wavelength = plain(self.wavelength, "Angstrom")
        flux, ivar = _floating(self.flux), _floating(self.ivar)
        arms = tuple(self.arms) or (slice(0, wavelength.size),)
        _check_grid(wavelength, arms)
        if flux.ndim != 2 or flux.shape[1] != wavelength.size or ivar.shape != flux.shape:
            raise DataError(
                f"flux {flux.shape}, ivar {ivar.shape}; expected both (N, {wavelength.size})"
            )
        if ivar.size and not ivar.min() >= 0:  # also catches NaN
            raise DataError("ivar: found negative or NaN values; expected 0 for a bad pixel")
        names = tuple(self.arm_names) or tuple(f"arm{i + 1}" for i in range(len(arms)))
        resolution = np.atleast_1d(np.asarray(self.resolution, dtype=float)).tolist() or [np.nan]
        resolution = resolution * len(arms) if len(resolution) == 1 else resolution
        if len(names) != len(arms) or len(resolution) != len(arms):
            raise DataError(
                f"{len(arms)} arms, but {len(names)} names and {len(resolution)} resolutions"
            )
        for name, value in (
            ("wavelength", wavelength),
            ("flux", flux),
            ("ivar", ivar),
            ("arms", tuple(slice(*arm.indices(wavelength.size)[:2]) for arm in arms)),
            ("arm_names", names),
            ("resolution", tuple(resolution)),
            ("table", _table_of(self.table, flux.shape[0])),
        ):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return int(self.flux.shape[0])

    @property
    def n_pixels(self) -> int:
        """Number of pixels P of the common grid."""
        return int(self.wavelength.size)

    @property
    def ids(self) -> NDArray[np.object_]:
        """Identifiers (N,), as strings."""
        return self.table["id"].to_numpy(dtype=object)

    def __getitem__(self, rows: Any) -> Spectra:
        """Return the chosen rows (a slice, an index array or a boolean mask) as a new set."""
        index = np.atleast_1d(np.arange(len(self))[rows])
        table = self.table.iloc[index].reset_index(drop=True)
        return replace(self, flux=self.flux[index], ivar=self.ivar[index], table=table)

    def arm(self, which: int | str) -> Spectra:
        """Return one arm, by number or name, as a set of its own."""
        number = self.arm_names.index(which) if isinstance(which, str) else which
        pixels = self.arms[number]
        return Spectra(
            self.wavelength[pixels],
            self.flux[:, pixels],
            self.ivar[:, pixels],
            self.medium,
            arm_names=(self.arm_names[number],),
            resolution=(self.resolution[number],),
            table=self.table,
        )

    def with_flux(self, flux: ArrayLike, ivar: ArrayLike) -> Spectra:
        """Return the same spectra with new flux and ivar on the same grid."""
        return replace(self, flux=np.asarray(flux), ivar=np.asarray(ivar))

    def iter_arms(self) -> Iterator[tuple[str, slice, float]]:
        """Yield (name, slice of pixels, resolution) of every arm."""
        return iter(zip(self.arm_names, self.arms, self.resolution, strict=True))


def _floating(values: ArrayLike) -> NDArray:
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _table_of(table: Any, n: int) -> pd.DataFrame:
    """Return a pandas frame of N rows with a string ``id``, whatever kind of table came in."""
    if table is None:
        frame = pd.DataFrame(index=range(n))
    elif isinstance(table, pd.DataFrame):
        frame = table
    else:
        frame = table.to_pandas()
    if len(frame) != n:
        raise DataError(f"table: found {len(frame)} rows; expected one per spectrum, {n}")
    if "id" not in frame:
        frame = frame.assign(id=np.arange(n).astype(str))
    elif pd.api.types.infer_dtype(frame["id"], skipna=False) not in ("string", "empty"):
        frame = frame.assign(id=frame["id"].astype(str))
    return frame.reset_index(drop=True)


@dataclass(frozen=True)
class Photometry:
    """Magnitudes of N stars in B bands.

    Parameters
    ----------
    bands : tuple of str
        B band names.
    mag, mag_err : (N, B) array-like
        Magnitudes and their errors; NaN is a band that is missing.
    table : pandas.DataFrame, optional
        N rows (``id`` and any labels).
    """

    bands: tuple[str, ...]
    mag: NDArray[np.float64]
    mag_err: NDArray[np.float64]
    table: pd.DataFrame = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        bands = tuple(self.bands)
        mag, err = plain(self.mag, "mag"), plain(self.mag_err, "mag")
        if mag.ndim != 2 or mag.shape[1] != len(bands) or err.shape != mag.shape:
            raise DataError(f"mag {mag.shape}, mag_err {err.shape}; expected (N, {len(bands)})")
        object.__setattr__(self, "bands", bands)
        object.__setattr__(self, "mag", mag)
        object.__setattr__(self, "mag_err", err)
        object.__setattr__(self, "table", _table_of(self.table, mag.shape[0]))

    def __len__(self) -> int:
        return int(self.mag.shape[0])


@dataclass(frozen=True)
class RVSeries:
    """Radial velocities, one row per epoch.

    Parameters
    ----------
    star_id : (M,) array-like of str
        Star of each epoch.
    time : (M,) array-like
        Barycentric modified Julian date (BMJD), d.
    rv, rv_err : (M,) array-like
        Velocity and error, km/s.
    """

    star_id: NDArray
    time: NDArray[np.float64]
    rv: NDArray[np.float64]
    rv_err: NDArray[np.float64]

    def __post_init__(self) -> None:
        time = self.time.mjd if hasattr(self.time, "mjd") else plain(self.time, "d")
        values = {
            "star_id": np.asarray(self.star_id).astype(str),
            "time": np.asarray(time, dtype=float),
            "rv": plain(self.rv, "km/s"),
            "rv_err": plain(self.rv_err, "km/s"),
        }
        shapes = {name: value.shape for name, value in values.items()}
        if len(set(shapes.values())) != 1 or values["rv"].ndim != 1:
            raise DataError(f"RVSeries: found shapes {shapes}; expected four arrays of one length")
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return int(self.rv.size)


@dataclass(frozen=True)
class LightCurve:
    """One light curve.

    Parameters
    ----------
    time : (M,) array-like
        Time (BMJD, d), or orbital phase when ``folded``.
    flux, flux_err : (M,) array-like
        Relative flux and error.
    folded : bool
        Whether ``time`` is a phase in [0, 1).
    """

    time: NDArray[np.float64]
    flux: NDArray[np.float64]
    flux_err: NDArray[np.float64]
    folded: bool = False

    def __post_init__(self) -> None:
        time = self.time.mjd if hasattr(self.time, "mjd") else plain(self.time, "d")
        values = {
            "time": np.asarray(time, dtype=float),
            "flux": np.asarray(self.flux, dtype=float),
            "flux_err": np.asarray(self.flux_err, dtype=float),
        }
        shapes = {name: value.shape for name, value in values.items()}
        if len(set(shapes.values())) != 1 or values["flux"].ndim != 1:
            raise DataError(f"LightCurve: found shapes {shapes}; expected three arrays of a length")
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return int(self.flux.size)
