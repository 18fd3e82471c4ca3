"""Several visits to each star: when, and how fast its components move then."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.simulate.orbits import radial_velocity
from siderea.simulate.peculiar import star_generator

__all__ = ["velocities", "visit_times"]

Array = NDArray[np.float64]

_STREAM = 8
SHORTEST = 0.02
"""d, between visits: back-to-back exposures."""


def visit_times(
    time: Array, n_visits: int, first: int, *, seed: int, baseline: float
) -> NDArray[np.float64]:
    """Draw the times of visits.

    Parameters
    ----------
    time : (N,) array-like
        Of the first visit, BMJD.
    n_visits : int
        V.
    first : int
        Number of the first star in the survey.
    seed : int
    baseline : float
        Longest time from the first visit, d.

    Returns
    -------
    (N, V) ndarray
        Sorted. The delays are spread evenly in their logarithm, from minutes to the baseline, so
        that short and long periods are both sampled.
    """
    start = np.asarray(time, dtype=float)[:, None]
    u = np.array(
        [star_generator(seed, _STREAM, first + i).random(n_visits - 1) for i in range(len(start))]
    ).reshape(len(start), n_visits - 1)
    delay = SHORTEST * (baseline / SHORTEST) ** u
    return np.concatenate([start, start + np.sort(delay, axis=1)], axis=1)


def velocities(stars: pd.DataFrame, times: Array) -> NDArray[np.float64]:
    """Return the velocity of each component at each time.

    Parameters
    ----------
    stars : pandas.DataFrame
        N rows of the population table, with ``time`` and ``rv_1``, ``rv_2``, ``rv_3`` at it.
    times : (N, V) ndarray
        BMJD.

    Returns
    -------
    (N, V, 3) ndarray
        km/s; NaN for stars that are not there.

    Notes
    -----
    The orbits only change the velocities of the table: those at ``time`` are the table's exactly.
    """
    now = stars[["rv_1", "rv_2", "rv_3"]].to_numpy(dtype=float)
    out = np.repeat(now[:, None], times.shape[1], axis=1)
    many = stars["n_stars"].to_numpy() > 1
    if not many.any() or times.shape[1] == 1:
        return out
    double = stars[many]
    inner = _reflex(double, times[many], "", ("k_1", "k_2"))
    out[many, :, :2] += inner
    if (double["n_stars"] > 2).any():
        outer = _reflex(double, times[many], "_outer", ("k_1_outer", "k_2_outer"))
        outer = np.nan_to_num(outer)
        out[many, :, :2] += outer[..., :1]
        out[many, :, 2] += outer[..., 1]
    return out


def _reflex(
    stars: pd.DataFrame, times: Array, suffix: str, amplitudes: tuple[str, str]
) -> NDArray[np.float64]:
    """Change of the velocities (N, V, 2) of both bodies of an orbit since ``time``."""

    def column(name: str) -> Array:
        return np.asarray(stars[name].to_numpy(dtype=float)[:, None])

    period, start = column(f"period{suffix}"), column("time")
    passage = start - column(f"phase{suffix}") * period
    omega = np.deg2rad(column(f"arg_periastron{suffix}"))
    e = column(f"eccentricity{suffix}")
    both = []
    for name, angle in zip(amplitudes, (omega, omega + np.pi), strict=True):
        arguments = (period, passage, column(name), e, angle)
        both.append(radial_velocity(times, *arguments) - radial_velocity(start, *arguments))
    return np.stack(both, axis=-1)
