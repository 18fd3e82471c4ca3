"""Distances of stars from their magnitudes, labels and, where there is one, a parallax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.flags import DistanceFlag
from siderea.stellar.absolute_magnitude import MODEL_SCATTER, Folded, MagnitudeTable, load_table
from siderea.stellar.distance_inputs import Given, Stars
from siderea.stellar.distance_posterior import Evidence, Posterior, posterior
from siderea.stellar.distance_summary import COLUMNS, summary
from siderea.stellar.galactic_prior import DistancePrior, GalacticPrior
from siderea.stellar.isochrone_stars import StellarPrior
from siderea.stellar.parallax import ParallaxErrors

__all__ = ["DistanceModel", "distances"]

CHUNK = 1024
"""Stars of one pass: their grids stay in the processor's cache."""
PRECISE, FINE = 8.0, 96
"""A star with a parallax of more than `PRECISE` σ is put on a grid of `FINE` nodes about it."""
REACH = 6.0
"""σ of the parallax that such a grid reaches to either side."""
SECOND = 0.05
"""Probability of the less probable solution from which on a star counts as two-fold."""
TENSION = 16.0
"""Tension from which on parallax and colours are said to disagree: 4σ."""


@dataclass(frozen=True)
class DistanceModel:
    """What is believed beside the data.

    Parameters
    ----------
    temperature : {"colour", "teff"}
        What places a star along the isochrones first; the other where that is missing.
    stars : StellarPrior
        Ages and companions.
    galaxy : DistancePrior
        Density of stars along the line of sight.
    parallax : ParallaxErrors
        Zero point and further errors of the parallaxes.
    scatter : float
        Scatter of real stars about the isochrones, mag.
    """

    temperature: str = "colour"
    stars: StellarPrior = field(default_factory=StellarPrior)
    galaxy: DistancePrior = field(default_factory=GalacticPrior)
    parallax: ParallaxErrors = field(default_factory=ParallaxErrors)
    scatter: float = MODEL_SCATTER

    def __post_init__(self) -> None:
        if self.temperature not in ("colour", "teff"):
            raise DataError(f"temperature: found {self.temperature!r}; expected 'colour' or 'teff'")


def distances(
    photometry: Photometry,
    labels: pd.DataFrame | Mapping[str, ArrayLike],
    *,
    ebv: ArrayLike | None = None,
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
        ``ebv``, ``parallax``, ``parallax_err``, and ``l``, ``b`` or ``ra``, ``dec``.
    labels : DataFrame or mapping
        As `siderea.stellar.network.LabelNetwork.predict` returns them: ``teff`` (K), ``fe_h``,
        ``logg`` (dex), each with ``_err``, ``p_giant``, ``flags``. Any may be absent or NaN; a star
        needs a colour or Teff. Labels that were found with a parallax must not meet it again here.
    ebv : (N,) array-like or float, optional
        E(B−V) on the scale of the SFD map, mag; 0 for magnitudes that are free of extinction.
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
    >>> sun = Photometry(("sdss_g", "sdss_r", "sdss_i"), [[15.12, 14.68, 14.57]], [[0.01] * 3])
    >>> labels = {"teff": [5772.0], "fe_h": [0.0], "fe_h_err": [0.1], "p_giant": [0.0]}
    >>> found = distances(sun, labels, ebv=0.0)
    >>> bool(abs(found["distance"][0] - 1.0) < 0.25)
    True
    """
    model = model or DistanceModel()
    given = Given(ebv, parallax, parallax_err, lon, lat)
    stars = Stars(photometry, labels, given, model.parallax)
    n = len(stars)
    out = {name: np.full(n, np.nan, dtype=np.float32) for name in COLUMNS}
    band, bands, flags = np.full(n, -1, dtype=np.int8), [], stars.flags()
    for coordinate, rows in stars.by_coordinate(model.temperature):
        table = load_table(coordinate, model.stars, model.scatter)
        bands += [] if coordinate.band in bands else [coordinate.band]
        band[rows] = bands.index(coordinate.band)
        flags[rows[stars.off_grid(table, rows)]] |= int(DistanceFlag.OFF_GRID)
        for part, found in _posteriors(stars, table, rows, model.galaxy):
            columns = summary(found, stars.magnitude(coordinate.band)[part])
            for name, values in columns.items():
                out[name][part] = values
    flags |= _flags(out)
    del out["tension"]
    categories = pd.Categorical.from_codes(band, bands)  # type: ignore[arg-type]
    return pd.DataFrame(out).assign(band=categories, flags=flags)


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
    stars: Stars, table: MagnitudeTable, rows: NDArray[np.int64], prior: DistancePrior
) -> Iterator[tuple[NDArray[np.int64], Posterior]]:
    """Yield rows and their posteriors, stars of like errors together."""
    x, x_err = (values[rows] for values in stars.coordinate(table.coordinate))
    levels = table.levels(x_err, stars.fe_h_err[rows])
    precise = stars.parallax[rows] > PRECISE * stars.parallax_err[rows]
    key = (levels[0] * 100 + levels[1]) * 2 + precise
    order = np.argsort(key, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        folded = table.folded(*levels[:, group[0]])
        for start in range(0, group.size, CHUNK):
            part = group[start : start + CHUNK]
            evidence = stars.evidence(table.coordinate.band, rows[part])
            number, logg = _look_up(folded, x[part], stars.fe_h[rows[part]])
            absolute = table.magnitude
            if precise[part[0]]:
                absolute = _fine_nodes(evidence)
                number, logg = _interpolated(table.magnitude, (number, logg), absolute)
            yield rows[part], posterior(absolute, number, logg, evidence, prior)


def _look_up(folded: Folded, x: NDArray, fe_h: NDArray) -> tuple[NDArray, NDArray]:
    """Return n(M) and log g (n, K) of stars, between the rows of the table."""
    rows, weights = folded.rows(x, fe_h)
    number = np.zeros((x.size, folded.number.shape[1]), dtype=np.float32)
    logg = np.zeros_like(number)
    for row, weight in zip(rows, weights, strict=True):
        number += weight[:, None] * folded.number[row]
        logg += weight[:, None] * folded.logg[row]
    return number, logg


def _fine_nodes(evidence: Evidence) -> NDArray[np.float64]:
    """Return nodes (n, FINE) in absolute magnitude about what the parallax says."""
    reach = REACH * evidence.parallax_err
    near = 10 - 5 * np.log10(evidence.parallax + reach)
    far = 10 - 5 * np.log10(evidence.parallax - reach)
    share = np.linspace(1, 0, FINE)
    modulus = near[:, None] + (far - near)[:, None] * share
    return np.asarray(evidence.magnitude[:, None] - modulus)


def _interpolated(
    grid: NDArray, values: tuple[NDArray, NDArray], wanted: NDArray
) -> tuple[NDArray, NDArray]:
    """Read rows (n, K) on the grid at other places (n, W); n(M) is 0 beyond the grid."""
    place = (wanted - grid[0]) / (grid[1] - grid[0])
    inside = (place >= 0) & (place <= grid.size - 1)
    below = np.clip(place.astype(np.int64), 0, grid.size - 2)
    part = np.clip(place - below, 0, 1).astype(np.float32)
    number, logg = (
        np.take_along_axis(a, below, 1) * (1 - part) + np.take_along_axis(a, below + 1, 1) * part
        for a in values
    )
    return np.where(inside, number, 0).astype(np.float32), logg
