"""What `siderea.stellar.distances` is given, checked and laid out as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.flags import DistanceFlag, LabelFlag
from siderea.photometry.bands import BANDS
from siderea.photometry.extinction import coefficient, deredden
from siderea.photometry.quality import clean
from siderea.simulate.galaxy_model import galactic
from siderea.stellar.absolute_magnitude import MagnitudeTable
from siderea.stellar.coordinates import Coordinate, Offset, log_teff
from siderea.stellar.distance_posterior import PRECISE, Evidence
from siderea.stellar.parallax import ParallaxErrors

__all__ = ["Given", "Stars"]

BAND_ORDER = ("sdss_r", "ps1_r", "gaia_g", "sdss_i", "ps1_i", "twomass_j", "sdss_g", "ps1_g")
"""Bands of the absolute magnitude where there is no colour, in the order of preference."""
UNKNOWN_ERR = 0.03
"""Error of a magnitude whose error is not known."""
ANY_FE_H, ANY_FE_H_ERR = -0.5, 0.6
"""What a star without a metallicity is taken to have, dex."""
LABEL_ERRORS = {"teff": 100.0, "fe_h": 0.2, "logg": 0.3}
"""Errors of labels that come without, K and dex."""


@dataclass(frozen=True)
class Given:
    """What is given by keyword; None where the photometry's table is to be asked."""

    ebv: ArrayLike | None = None
    ebv_err: ArrayLike | None = None
    parallax: ArrayLike | None = None
    parallax_err: ArrayLike | None = None
    lon: ArrayLike | None = None
    lat: ArrayLike | None = None


class Stars:
    """N stars as plain arrays.

    Parameters
    ----------
    photometry : Photometry
        As observed.
    labels : DataFrame or mapping
    given : Given
    errors : ParallaxErrors
    logg_inflation : float
        Factor on the errors of log g.

    Raises
    ------
    DataError
        If an array does not fit the N stars.
    """

    def __init__(
        self,
        photometry: Photometry,
        labels: pd.DataFrame | Mapping[str, ArrayLike],
        given: Given,
        errors: ParallaxErrors,
        *,
        logg_inflation: float = 1.0,
    ) -> None:
        n = len(photometry)
        table = photometry.table

        def column(name: str, value: ArrayLike | None) -> NDArray[np.float64]:
            return _array(table[name] if value is None and name in table else value, name, n)

        cleaned, self.label_flags = clean(photometry)
        ebv = column("ebv", given.ebv)
        if given.ebv is None and "ebv" not in table:
            ebv = np.zeros(n)
        known = tuple(name for name in cleaned.bands if name in BANDS)
        self.photometry = deredden(_in_bands(cleaned, known), ebv)
        self.ebv_err = np.maximum(np.nan_to_num(column("ebv_err", given.ebv_err)), 0)
        for name, default in LABEL_ERRORS.items():
            value = _array(labels.get(name), name, n)
            err = _array(labels.get(f"{name}_err"), f"{name}_err", n)
            setattr(self, name, value)
            setattr(self, f"{name}_err", np.where(np.isfinite(err) & (err >= 0), err, default))
        self.logg_err = self.logg_err * logg_inflation
        self.p_giant = _array(labels.get("p_giant"), "p_giant", n)
        self.out_of_distribution = (
            np.nan_to_num(_array(labels.get("flags"), "flags", n)).astype(np.int64)
            & int(LabelFlag.OUT_OF_DISTRIBUTION)
        ) > 0
        self.no_fe_h = ~np.isfinite(self.fe_h)
        self.fe_h = np.where(self.no_fe_h, ANY_FE_H, self.fe_h)
        self.fe_h_err = np.where(self.no_fe_h, ANY_FE_H_ERR, self.fe_h_err)
        raw = column("parallax", given.parallax), column("parallax_err", given.parallax_err)
        self.bad_parallax = np.isfinite(raw[0]) & ~(np.isfinite(raw[1]) & (raw[1] > 0))
        self.parallax, self.parallax_err = errors.apply(*raw)
        self.parallax = np.where(self.bad_parallax, np.nan, self.parallax)
        self.lon, self.lat = _directions(table, given, n)

    teff: NDArray[np.float64]
    teff_err: NDArray[np.float64]
    fe_h: NDArray[np.float64]
    fe_h_err: NDArray[np.float64]
    logg: NDArray[np.float64]
    logg_err: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.photometry)

    def by_coordinate(
        self, first: str, colours: tuple[Coordinate, ...], teff_offset: Offset
    ) -> Iterator[tuple[Coordinate, NDArray[np.int64]]]:
        """Yield coordinates and the rows of the stars that are to be placed by them.

        Parameters
        ----------
        first : {"colour", "teff", "both"}
            What is preferred; "both" starts from the colour.
        colours : tuple of Coordinate
            In the order of preference.
        teff_offset : tuple
            Of the coordinate log₁₀ Teff.
        """
        bands = tuple(name for name in BAND_ORDER if name in self.photometry.bands)
        options: list[Coordinate] = [log_teff(name, teff_offset) for name in bands]
        options = [*options, *colours] if first == "teff" else [*colours, *options]
        left = np.ones(len(self), dtype=bool)
        for coordinate in options:
            if not set(coordinate.bands()) <= set(self.photometry.bands):
                continue
            x, _ = self.coordinate(coordinate)
            good = left & np.isfinite(x) & np.isfinite(self.magnitude(coordinate.band))
            left &= ~good
            if good.any():
                yield coordinate, np.flatnonzero(good)

    def magnitude(self, band: str) -> NDArray[np.float64]:
        """Return the magnitudes (N,) in a band, free of extinction."""
        return self.photometry.mag[:, self.photometry.bands.index(band)]

    def coordinate(self, coordinate: Coordinate) -> tuple[NDArray, NDArray]:
        """Return the coordinate of every star and its error, (N,)."""
        if coordinate.colour is None:
            with np.errstate(invalid="ignore", divide="ignore"):
                x = np.where(self.teff > 0, np.log10(self.teff), np.nan)
                return x, self.teff_err / self.teff / np.log(10)
        blue, red = (self.photometry.bands.index(name) for name in coordinate.colour)
        reddening = coefficient(coordinate.colour[0]) - coefficient(coordinate.colour[1])
        err = np.hypot(self._mag_err(blue), self._mag_err(red))
        mag = self.photometry.mag
        return mag[:, blue] - mag[:, red], np.hypot(err, reddening * self.ebv_err)

    def magnitude_err(self, band: str) -> NDArray[np.float64]:
        """Return the errors (N,) of `magnitude`, that of the extinction included."""
        own = self._mag_err(self.photometry.bands.index(band))
        return np.asarray(np.hypot(own, coefficient(band) * self.ebv_err))

    def _mag_err(self, index: int) -> NDArray[np.float64]:
        err = self.photometry.mag_err[:, index]
        return np.where(np.isfinite(err), err, UNKNOWN_ERR)

    def with_teff(
        self, table: MagnitudeTable, rows: NDArray[np.int64], x: NDArray, x_err: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Return the mean of some stars' colours and of those that belong to their Teff.

        Weights are inverse variances, the table's floor included in each; the error returned is
        without it, as the table adds it again.
        """
        if table.coordinate.colour is None:
            return x, x_err
        sigma = self.teff_err[rows] / self.teff[rows] / np.log(10)
        with np.errstate(invalid="ignore", divide="ignore"):
            log_teff = np.log10(np.where(self.teff[rows] > 0, self.teff[rows], np.nan))
        other, other_err = table.expected(log_teff, sigma, self.fe_h[rows])
        floor2 = table.coordinate.floor**2
        mine, theirs = 1 / (x_err**2 + floor2), 1 / (other_err**2 + floor2)
        known = np.isfinite(other) & np.isfinite(theirs)
        theirs, other = np.where(known, theirs, 0), np.where(known, other, 0)
        total = mine + theirs
        return (mine * x + theirs * other) / total, np.sqrt(np.maximum(1 / total - floor2, 0))

    def evidence(self, band: str, rows: NDArray[np.int64]) -> Evidence:
        """Return what else is known of some stars."""
        names = ("logg", "logg_err", "p_giant", "parallax", "parallax_err", "lon", "lat")
        values = {name: getattr(self, name)[rows] for name in (*names, "fe_h", "fe_h_err")}
        values["fe_h"] = np.where(self.no_fe_h[rows], np.nan, values["fe_h"])
        return Evidence(magnitude=self.magnitude(band)[rows], **values)

    def parallax_class(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return 0 for a star without a parallax, 1 with one, 2 with a precise one."""
        value, sigma = self.parallax[rows], self.parallax_err[rows]
        return np.isfinite(value).astype(np.int64) + (value > PRECISE * sigma)

    def flags(self) -> NDArray[np.int64]:
        """Return the bits that do not depend on the posterior, (N,)."""
        no_magnitude = ~np.isfinite(self.photometry.mag).any(axis=1)
        bits = (
            (no_magnitude, DistanceFlag.NO_MAGNITUDE),
            (self.no_fe_h, DistanceFlag.NO_METALLICITY),
            (self.bad_parallax, DistanceFlag.BAD_PARALLAX),
            (~(np.isfinite(self.lon) & np.isfinite(self.lat)), DistanceFlag.NO_POSITION),
            (self.out_of_distribution, DistanceFlag.OUT_OF_DISTRIBUTION),
        )
        return sum((np.where(rows, int(bit), 0) for rows, bit in bits), np.zeros(len(self), int))


def _array(value: Any, name: str, n: int) -> NDArray[np.float64]:
    """Return (N,) plain floats; NaN for None, and for what is masked."""
    if value is None:
        return np.full(n, np.nan)
    array = np.asarray(pd.to_numeric(np.ravel(value)) if np.ndim(value) else value, dtype=float)
    if array.shape not in ((), (n,)):
        raise DataError(f"{name}: found shape {array.shape}; expected one number or ({n},)")
    return np.broadcast_to(array, n)


def _in_bands(photometry: Photometry, bands: tuple[str, ...]) -> Photometry:
    index = [photometry.bands.index(name) for name in bands]
    return Photometry(
        bands, photometry.mag[:, index], photometry.mag_err[:, index], photometry.table
    )


def _directions(table: pd.DataFrame, given: Given, n: int) -> tuple[NDArray, NDArray]:
    """Return Galactic (l, b) in deg, NaN where not known."""
    if given.lon is not None and given.lat is not None:
        return _array(given.lon, "lon", n), _array(given.lat, "lat", n)
    if {"l", "b"} <= set(table):
        return _array(table["l"], "l", n), _array(table["b"], "b", n)
    if {"ra", "dec"} <= set(table):
        return galactic(_array(table["ra"], "ra", n), _array(table["dec"], "dec", n))
    return np.full(n, np.nan), np.full(n, np.nan)
