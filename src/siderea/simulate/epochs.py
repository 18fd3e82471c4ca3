"""Several visits to each star: when they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siderea.simulate.peculiar import star_generator

__all__ = ["visit_times"]

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
