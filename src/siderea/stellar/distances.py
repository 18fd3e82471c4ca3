"""Distances of stars from their magnitudes, labels and, where there is one, a parallax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.flags import DistanceFlag
from siderea.stellar.absolute_magnitude import MODEL_SCATTER, MagnitudeTable, load_table
from siderea.stellar.coordinates import COORDINATES, TEFF_OFFSET, Coordinate, Offset
from siderea.stellar.distance_inputs import Given, Stars
from siderea.stellar.distance_posterior import Posterior, photometric, with_parallax
from siderea.stellar.distance_summary import COLUMNS, quantiles, summary
from siderea.stellar.galactic_prior import DistancePrior, GalacticPrior
from siderea.stellar.isochrone_stars import StellarPrior
from siderea.stellar.parallax import ParallaxErrors
from siderea.stellar.photometric_parallax import distance_of

__all__ = ["DistanceModel", "distances", "sample_distances"]

TEMPERATURES = ("colour", "teff", "both")
CHUNK = 2048
"""Stars of one pass: their grids stay in the processor's cache."""
SECOND = 0.05
"""Probability of the less probable solution from which on a star counts as two-fold."""
TENSION = 16.0
"""Tension from which on parallax and colours are said to disagree: 4σ."""


@dataclass(frozen=True)
class DistanceModel:
    """What is believed beside the data.

    Parameters
    ----------
    temperature : {"colour", "teff", "both"}
        What places a star along the isochrones: its colour, its Teff, or the mean of the two by
        their errors, which is for temperatures that owe nothing to the colour. Where one is
        missing the other is taken.
    stars : StellarPrior
        Ages and companions.
    galaxy : DistancePrior
        Density of stars along the line of sight.
    parallax : ParallaxErrors
        Zero point and further errors of the parallaxes.
    scatter : float
        Scatter of real stars about the isochrones, mag.
    logg_inflation : float
        Factor on the errors of log g. A log g found from colours already holds what its training
        set expects of such stars, which is counted again here; 1 for spectroscopy.
    colours : tuple of Coordinate
        Colours that may place a star, in the order of preference.
    teff_offset : tuple of (log₁₀ Teff, dwarf, giant)
        Knots of how much fainter real stars are than the isochrones' of the same Teff, mag.
    """

    temperature: str = "colour"
    stars: StellarPrior = field(default_factory=StellarPrior)
    galaxy: DistancePrior = field(default_factory=GalacticPrior)
    parallax: ParallaxErrors = field(default_factory=ParallaxErrors)
    scatter: float = MODEL_SCATTER
    logg_inflation: float = 1.5
    colours: tuple[Coordinate, ...] = COORDINATES
    teff_offset: Offset = TEFF_OFFSET

    @classmethod
    def of_spectra(cls, **options: Any) -> DistanceModel:
        """Return the model for labels from spectra: Teff beside the colour, log g as it stands.

        Parameters
        ----------
        **options
            Fields of `DistanceModel`.
        """
        return cls(**{"temperature": "both", "logg_inflation": 1.0, **options})

    @classmethod
    def of_isochrones(cls, **options: Any) -> DistanceModel:
        """Return the model for stars that are as the isochrones say: simulated ones.

        Parameters
        ----------
        **options
            Fields of `DistanceModel`.
        """
        colours = tuple(replace(one, offset=()) for one in COORDINATES)
        return cls(**{"colours": colours, "teff_offset": (), **options})

    def __post_init__(self) -> None:
        if self.temperature not in TEMPERATURES:
            raise DataError(
                f"temperature: found {self.temperature!r}; expected one of {TEMPERATURES}"
            )


def distances(
    photometry: Photometry,
    labels: pd.DataFrame | Mapping[str, ArrayLike],
    *,
    ebv: ArrayLike | None = None,
    ebv_err: ArrayLike | None = None,
    parallax: ArrayLike | None = None,
    parallax_err: ArrayLike | None = None,
    lon: ArrayLike | None = None,
    lat: ArrayLike | None = None,
    model: DistanceModel | None = None,
) -> pd.DataFrame:
    """Find the distances of stars.

    Parameters
    ----------
    photometry : Photometry
        N stars. What is not given by keyword is read from its table where the column is there:
        ``ebv``, ``ebv_err``, ``parallax``, ``parallax_err``, and ``l``, ``b`` or ``ra``, ``dec``.
    labels : DataFrame or mapping
        As `siderea.stellar.network.LabelNetwork.predict` returns them: ``teff`` (K), ``fe_h``,
        ``logg`` (dex), each with ``_err``, ``p_giant``, ``flags``. Any may be absent or NaN; a star
        needs a colour or Teff. Labels that were found with a parallax must not meet it again here.
    ebv : (N,) array-like or float, optional
        E(B−V) on the scale of the SFD map, mag; 0 for magnitudes that are free of extinction.
    ebv_err : (N,) array-like or float, optional
        Its error, mag; 0 by default.
    parallax, parallax_err : (N,) array-like, optional
        mas; NaN where there is none.
    lon, lat : (N,) array-like, optional
        Galactic, deg.
    model : DistanceModel, optional
        Beliefs about stars, Galaxy and parallaxes.

    Returns
    -------
    pandas.DataFrame
        N rows, with the index of 0 to N − 1:

        - ``distance``, ``distance_lo``, ``distance_hi`` (kpc): median and central 68.3 % of the
          whole posterior;
        - ``distance_dwarf``, ``distance_giant`` with ``_lo`` and ``_hi``: the same of each solution
          by itself (dwarf: log g above 3.5), and ``p_giant``, the giant's probability;
        - ``absolute_magnitude``, ``absolute_magnitude_err`` (mag): median and half the central
          68.3 %, in the ``band`` (a category) that was used;
        - ``flags``: bits of `siderea.flags.DistanceFlag`.

        A star that cannot be placed is NaN, with a flag.

    Raises
    ------
    DataError
        If an array does not fit the N stars.

    Examples
    --------
    >>> sun = Photometry(("sdss_g", "sdss_r", "sdss_i"), [[15.12, 14.68, 14.55]], [[0.01] * 3])
    >>> labels = {"teff": [5772.0], "fe_h": [0.0], "fe_h_err": [0.1],
    ...           "logg": [4.44], "logg_err": [0.05]}
    >>> found = distances(sun, labels, ebv=0.0)
    >>> bool(abs(found["distance"][0] - 1.0) < 0.2)
    True
    """
    model = model or DistanceModel()
    given = Given(ebv, ebv_err, parallax, parallax_err, lon, lat)
    stars = Stars(photometry, labels, given, model.parallax, logg_inflation=model.logg_inflation)
    n = len(stars)
    out = {name: np.full(n, np.nan, dtype=np.float32) for name in COLUMNS}
    band, bands, flags = np.full(n, -1, dtype=np.int8), [], stars.flags()
    for table, rows, found, outside in _posteriors(stars, model):
        name = table.coordinate.band
        bands += [] if name in bands else [name]
        band[rows] = bands.index(name)
        flags[rows[outside]] |= int(DistanceFlag.OFF_GRID)
        for column, values in summary(found, stars.magnitude(name)[rows]).items():
            out[column][rows] = values
    flags |= _flags(out)
    del out["tension"]
    categories = pd.Categorical.from_codes(band, bands)  # type: ignore[arg-type]
    return pd.DataFrame(out).assign(band=categories, flags=flags)


def sample_distances(
    photometry: Photometry,
    labels: pd.DataFrame | Mapping[str, ArrayLike],
    n_samples: int,
    *,
    rng: np.random.Generator,
    ebv: ArrayLike | None = None,
    ebv_err: ArrayLike | None = None,
    parallax: ArrayLike | None = None,
    parallax_err: ArrayLike | None = None,
    lon: ArrayLike | None = None,
    lat: ArrayLike | None = None,
    model: DistanceModel | None = None,
) -> NDArray[np.float32]:
    """Draw from the posteriors of `distances`.

    Parameters
    ----------
    photometry, labels, ebv, ebv_err, parallax, parallax_err, lon, lat, model
        As of `distances`.
    n_samples : int
        Samples per star.
    rng : numpy.random.Generator

    Returns
    -------
    (N, n_samples) ndarray
        kpc; NaN for a star without a distance.
    """
    model = model or DistanceModel()
    given = Given(ebv, ebv_err, parallax, parallax_err, lon, lat)
    stars = Stars(photometry, labels, given, model.parallax, logg_inflation=model.logg_inflation)
    level = rng.random((len(stars), n_samples), dtype=np.float32)
    out = np.full(level.shape, np.nan, dtype=np.float32)
    for table, rows, found, _ in _posteriors(stars, model):
        magnitude = stars.magnitude(table.coordinate.band)[rows]
        drawn = quantiles(found.absolute, found.probability, list(level[rows].T))
        out[rows] = np.stack([distance_of(magnitude, one) for one in drawn], axis=1)
    return out


def _flags(out: Mapping[str, NDArray]) -> NDArray[np.int64]:
    """Return the bits that the posteriors give."""
    lost = ~np.isfinite(out["distance"])
    two = np.minimum(out["p_giant"], 1 - out["p_giant"]) > SECOND
    bits = (
        (lost, DistanceFlag.NO_DISTANCE),
        (two, DistanceFlag.TWO_SOLUTIONS),
        (out["tension"] > TENSION, DistanceFlag.TENSION),
    )
    return np.asarray(sum(np.where(rows, int(bit), 0) for rows, bit in bits))


def _posteriors(
    stars: Stars, model: DistanceModel
) -> Iterator[tuple[MagnitudeTable, NDArray[np.int64], Posterior, NDArray[np.bool_]]]:
    """Yield tables, rows, their posteriors and who is off the grid, chunk by chunk."""
    for coordinate, rows in stars.by_coordinate(
        model.temperature, model.colours, model.teff_offset
    ):
        table = load_table(coordinate, model.stars, model.scatter)
        x, x_err = (values[rows] for values in stars.coordinate(coordinate))
        outside = table.outside(x, stars.fe_h[rows])
        if model.temperature == "both":
            x, x_err = stars.with_teff(table, rows, x, x_err)
        levels = table.levels(
            x_err, stars.fe_h_err[rows], stars.magnitude_err(coordinate.band)[rows]
        )
        for group in _alike(levels, stars.parallax_class(rows)):
            x_level, fe_h_level, blur = levels[:, group[0]]
            folded = table.folded(x_level, fe_h_level)
            for start in range(0, group.size, CHUNK):
                part = group[start : start + CHUNK]
                number, logg = folded.look_up(x[part], stars.fe_h[rows[part]])
                number, logg = table.blurred(number, logg, blur)
                evidence = stars.evidence(coordinate.band, rows[part])
                found = photometric(table.magnitude, number, logg, evidence, model.galaxy)
                if np.isfinite(evidence.parallax[0]):
                    found = with_parallax(found, evidence)
                yield table, rows[part], found, outside[part]


def _alike(levels: NDArray[np.int64], kind: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of stars of the same levels and one kind."""
    key = ((levels[0] * 100 + levels[1]) * 100 + levels[2]) * 10 + kind
    order = np.argsort(key, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(key[order])) + 1)
