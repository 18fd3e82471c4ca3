"""A mock sky: the Milky Way as a wide photometric survey sees it, one HEALPix pixel at a time.

Every pixel is drawn from a generator of its own (seed and pixel), so that any part of a sky of any
size can be made by itself, on any machine. Within a pixel of order `FIELDS` the density and the
dust are those of its centre; the stars are spread evenly over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.photometry.extinction import coefficients
from siderea.simulate.components import MILKY_WAY, MONOCEROS
from siderea.simulate.draw import Columns, Sampler, star_magnitudes, together
from siderea.simulate.galaxy_model import galactic
from siderea.simulate.photometry import DEEP, SDSS, observe
from siderea.simulate.population import SurveySettings, sampler

__all__ = ["FIELDS", "INDEX_ORDER", "SKY", "MockSky", "SkyPixel"]

FIELDS = 5
"""Order of the pixels of one density: 1.8° across."""
INDEX_ORDER = 29
"""Order of the pixels that say where a star is: 0.4 mas across."""
PIXEL_STARS = 100_000
"""Stars of a pixel that is drawn at once, on average and at most, as far as orders allow."""
STREAM = 12
"""Second word of the seed of every pixel's generator."""

SKY = replace(DEEP, bands=SDSS, components=(*MILKY_WAY, MONOCEROS))
"""The high-latitude northern sky to r = 20 in SDSS bands, with a Monoceros-like overdensity."""


@dataclass(frozen=True)
class SkyPixel:
    """A pixel of a mock sky.

    Parameters
    ----------
    order, number : int
        Of the nested HEALPix pixel (ICRS).
    n_stars : int
    first : int
        Stars of the pixels before it.
    """

    order: int
    number: int
    n_stars: int
    first: int = 0


@dataclass(frozen=True)
class MockSky:
    """A mock photometric survey of n stars.

    Parameters
    ----------
    n : int
        Systems, each one unresolved source.
    seed : int
    settings : SurveySettings
        Selection, populations, companions and dust; its fields are replaced by pixels.
    missing : float
        Share of each band missing at random.
    order : int, optional
        Of the pixels that are drawn at once, 0 to `FIELDS`; by default so that they hold some
        `PIXEL_STARS` at most.
    """

    n: int
    seed: int = 0
    settings: SurveySettings = SKY
    missing: float = 0.02
    order: int | None = None

    def __post_init__(self) -> None:
        if self.n < 1 or self.seed < 0:
            raise DataError(f"mock sky: found n {self.n}, seed {self.seed}; expected n above 0")
        if self.order is not None and not 0 <= self.order <= FIELDS:
            raise DataError(f"mock sky: found order {self.order}; expected 0 to {FIELDS}")

    def pixels(self) -> tuple[SkyPixel, ...]:
        """Return the pixels with stars; the numbers of stars follow the Galaxy and sum to n."""
        field, expected = _expected(self.settings)
        order = self._order(field) if self.order is None else self.order
        number, back = np.unique(_parent(field, order), return_inverse=True)
        share = np.bincount(back, expected)
        ends = np.rint(self.n * np.cumsum(share) / share.sum()).astype(int)
        starts = np.concatenate([[0], ends[:-1]])
        return tuple(
            SkyPixel(order, int(pixel), int(end - start), int(start))
            for pixel, start, end in zip(number, starts, ends, strict=True)
            if end > start
        )

    def _order(self, field: NDArray[np.int64]) -> int:
        """Return the lowest order whose pixels hold few enough stars."""
        for order in range(FIELDS):
            if self.n <= PIXEL_STARS * np.unique(_parent(field, order)).size:
                return order
        return FIELDS

    def stars(self, pixel: SkyPixel) -> pd.DataFrame:
        """Draw the stars of a pixel.

        Parameters
        ----------
        pixel : SkyPixel
            One of `pixels`.

        Returns
        -------
        pandas.DataFrame
            Sorted by ``_healpix_29``: ``id`` (a number), ``ra``, ``dec``, ``ebv``, ``mag_<band>``
            and ``mag_<band>_err``; and the truth: ``true_teff``, ``true_logg`` (of the first star),
            ``true_fe_h``, ``true_distance`` (kpc), ``true_mag_<band>`` (without noise, extinction
            included), ``n_stars``, ``population`` (number of the component).
        """
        rng = np.random.default_rng([self.seed, STREAM, pixel.order, pixel.number])
        field = _fields_in(self.settings, pixel)
        source = _aimed(self.settings, pixel.order, pixel.number)
        systems = source.draw(pixel.n_stars, rng)
        index, ra, dec = _positions(field[systems["field"]], rng)
        table = {"_healpix_29": index, "ra": ra, "dec": dec, "ebv": systems["ebv"]}
        table |= self._light(source, systems, rng)
        stars = pd.DataFrame(table).sort_values("_healpix_29", ignore_index=True, kind="stable")
        stars.insert(1, "id", pixel.first + np.arange(len(stars)))
        return stars

    def _light(self, source: Sampler, systems: Columns, rng: np.random.Generator) -> Columns:
        """Return magnitudes as observed, and the truth."""
        bands = tuple(self.settings.bands or SDSS)
        true = together(star_magnitudes(source.isochrones, systems, bands))
        true += (5 * np.log10(systems["distance"]) + 10)[:, None]
        true += systems["ebv"][:, None] * coefficients(bands)
        mag, mag_err = observe(true, bands, rng=rng, missing=self.missing)
        star = source.isochrones.stars(systems["mass"], systems["age"], systems["fe_h"])
        columns: Columns = {}
        for k, band in enumerate(bands):
            columns |= {f"mag_{band}": mag[:, k], f"mag_{band}_err": mag_err[:, k]}
        columns |= {"true_teff": star.teff, "true_logg": star.logg, "true_fe_h": systems["fe_h"]}
        columns |= {"true_distance": systems["distance"], "n_stars": systems["n_stars"]}
        columns |= {f"true_mag_{band}": true[:, k] for k, band in enumerate(bands)}
        return columns | {"population": systems["component"]}


def _positions(
    field: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Spread stars evenly over their pixels: index of order 29, ra and dec (deg)."""
    children = 4 ** (INDEX_ORDER - FIELDS)
    index = field * children + rng.integers(0, children, field.size)
    return index, *_centres(index, INDEX_ORDER)


def _centres(
    number: NDArray[np.int64], order: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        from cdshealpix.nested import healpix_to_lonlat
    except ImportError:
        raise DataError(
            "a mock sky needs HEALPix, which is not installed; pip install 'siderea[scale]'"
        ) from None
    lon, lat = healpix_to_lonlat(number.astype(np.uint64), order)
    return np.asarray(lon.to_value("deg")), np.asarray(lat.to_value("deg"))


def _parent(number: NDArray[np.int64], order: int) -> NDArray[np.int64]:
    return number >> (2 * (FIELDS - order))


@lru_cache(maxsize=4)
def _sky(settings: SurveySettings) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pixels of order `FIELDS` that are observed, and their l, b (2, J)."""
    number = np.arange(12 * 4**FIELDS)
    ra, dec = _centres(number, FIELDS)
    lon, lat = galactic(ra, dec)
    low, high = settings.selection.declinations
    seen = (np.abs(lat) > settings.selection.least_latitude) & (dec > low) & (dec < high)
    if not seen.any():
        raise DataError("mock sky: no pixel is within the limits of latitude and declination")
    return number[seen], np.stack([lon[seen], lat[seen]])


@lru_cache(maxsize=4)
def _expected(settings: SurveySettings) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pixels with stars, and how many each holds (in proportion)."""
    number, place = _sky(settings)
    parts = [np.flatnonzero(_parent(number, 2) == one) for one in np.unique(_parent(number, 2))]
    source = sampler(settings)
    expected = [source.towards(*place[:, rows]).expected() for rows in parts]
    return number[np.concatenate(parts)], np.concatenate(expected)


def _fields_in(settings: SurveySettings, pixel: SkyPixel) -> NDArray[np.int64]:
    number, _ = _sky(settings)
    return number[_parent(number, pixel.order) == pixel.number]


@lru_cache(maxsize=2)
def _aimed(settings: SurveySettings, order: int, number: int) -> Sampler:
    fields, place = _sky(settings)
    return sampler(settings).towards(*place[:, _parent(fields, order) == number])


def bands_of(settings: SurveySettings) -> Sequence[str]:
    """Return the bands of a mock sky."""
    return tuple(settings.bands or SDSS)
