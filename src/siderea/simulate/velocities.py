"""Radial velocities of the stars of a system at any time, and series of epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.data import RVSeries
from siderea.errors import DataError
from siderea.simulate.orbits import radial_velocity

__all__ = ["TIME_0", "epochs", "rv_error", "velocities_at"]

TIME_0 = 57_388.0
"""BMJD at which ``phase`` is given: the start of 2016."""

Table: TypeAlias = "Mapping[str, NDArray] | pd.DataFrame"


def velocities_at(table: Table, time: ArrayLike) -> NDArray[np.float64]:
    """Return the radial velocities of the three stars of each system.

    Parameters
    ----------
    table : columns or pandas.DataFrame
        ``rv_system`` and both orbits, as in `siderea.simulate.truth`.
    time : (N,) or (N, V) array-like
        BMJD.

    Returns
    -------
    (N, 3) or (N, V, 3) ndarray
        km/s; NaN where there is no such star. The pair of a triple moves about the common centre of
        mass, and its stars about that of the pair.
    """
    time = np.asarray(time, dtype=float)
    shape = (-1,) + (1,) * (time.ndim - 1)
    gamma = np.asarray(table["rv_system"], dtype=float).reshape(shape)
    pair, third = (_motion(table, time, "_outer", star) for star in (1, 2))
    first, second = (_motion(table, time, "", star) for star in (1, 2))
    base = gamma + np.nan_to_num(pair)
    return np.stack([base + np.nan_to_num(first), base + second, gamma + third], axis=-1)


def _motion(table: Table, time: NDArray, end: str, star: int) -> NDArray[np.float64]:
    """Return the motion of one side of an orbit about its centre of mass, NaN without an orbit."""
    shape = (-1,) + (1,) * (time.ndim - 1)
    period, e, omega, phase, amplitude = (
        np.asarray(table[name + end], dtype=float).reshape(shape)
        for name in ("period", "eccentricity", "arg_periastron", "phase", f"k_{star}")
    )
    rows = np.isfinite(period).ravel()
    out = np.full(time.shape, np.nan)
    omega = np.deg2rad(omega + 180.0 * (star - 1))
    start = TIME_0 - phase * period
    out[rows] = radial_velocity(
        time[rows], period[rows], start[rows], amplitude[rows], e[rows], omega[rows]
    )
    return out


def rv_error(snr: ArrayLike, *, at_100: float = 0.1, floor: float = 0.1) -> NDArray[np.float64]:
    """Return the error of a radial velocity, √(floor² + (at_100 · 100 / (S/N))²).

    Parameters
    ----------
    snr : array-like
        Per pixel.
    at_100, floor : float
        Photon noise at S/N 100 and systematic floor, km/s. The defaults give GALAH's .1 to .3 km/s
        (Zwitter et al. 2021, MNRAS 508, 4202).
    """
    return np.hypot(floor, at_100 * 100.0 / np.asarray(snr, dtype=float))


def epochs(
    table: pd.DataFrame,
    *,
    rng: np.random.Generator,
    visits: int | tuple[int, int] = (2, 8),
    dates: tuple[float, float] = (56_600.0, 58_540.0),
    error: ArrayLike | None = None,
) -> tuple[RVSeries, pd.DataFrame]:
    """Observe the first star of every system at several epochs.

    Parameters
    ----------
    table : pandas.DataFrame
        Truth of N systems.
    rng : numpy.random.Generator
    visits : int or (int, int)
        Epochs per star, or the least and most of them, even between.
    dates : (float, float)
        BMJD; epochs are even between.
    error : array-like, optional
        Error per star, km/s; from ``snr`` by `rv_error` when None.

    Returns
    -------
    series : RVSeries
        One row per epoch of the first star's velocity, with noise.
    truth : pandas.DataFrame
        The same rows: ``star_id``, ``time``, and the true ``rv_1``, ``rv_2``, ``rv_3``.

    Raises
    ------
    DataError
        If fewer than one visit is asked for.
    """
    low, high = (visits, visits) if isinstance(visits, int) else visits
    if not 1 <= low <= high:
        raise DataError(f"visits: found {visits}; expected 1 <= least <= most")
    count = rng.integers(low, high + 1, len(table))
    row = np.repeat(np.arange(len(table)), count)
    observed = table.iloc[row].reset_index(drop=True)
    time = rng.uniform(*dates, row.size)
    order = np.lexsort((time, row))
    time = time[order]
    rv = velocities_at(observed, time)
    sigma = rv_error(table["snr"]) if error is None else error
    sigma = np.broadcast_to(np.asarray(sigma, dtype=float), len(table))[row]
    star = observed["star_id"].to_numpy()
    series = RVSeries(star, time, rv[:, 0] + sigma * rng.standard_normal(row.size), sigma)
    columns = {f"rv_{number + 1}": rv[:, number] for number in range(3)}
    return series, pd.DataFrame({"star_id": star, "time": time} | columns)
