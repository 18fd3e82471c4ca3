"""What is kept of a posterior: medians, intervals and the two solutions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from siderea.stellar.distance_posterior import Posterior
from siderea.stellar.photometric_parallax import distance_of

__all__ = ["COLUMNS", "quantiles", "summary"]

LEVELS = (0.158655, 0.5, 0.841345)
KINDS = ("distance", "distance_dwarf", "distance_giant")
COLUMNS = (
    *(f"{kind}{end}" for kind in KINDS for end in ("", "_lo", "_hi")),
    "p_giant",
    "absolute_magnitude",
    "absolute_magnitude_err",
    "tension",
)


def summary(posterior: Posterior, magnitude: NDArray) -> dict[str, NDArray]:
    """Return the columns of `COLUMNS` for n stars.

    Parameters
    ----------
    posterior : Posterior
    magnitude : (n,) ndarray
        Apparent, free of extinction.

    Returns
    -------
    dict of str to (n,) ndarray
    """
    out: dict[str, NDArray] = {}
    every = np.cumsum(posterior.probability, axis=1)
    giants = np.cumsum(np.where(posterior.giant, posterior.probability, 0), axis=1)
    out["p_giant"] = giants[:, -1]
    kinds = (("distance", every), ("distance_dwarf", every - giants), ("distance_giant", giants))
    for kind, cumulative in kinds:
        bright, middle, faint = _read(posterior.absolute, cumulative, LEVELS)
        for end, absolute in (("_hi", bright), ("", middle), ("_lo", faint)):
            out[kind + end] = distance_of(magnitude, absolute)
        if kind == "distance":
            out["absolute_magnitude"] = middle
            out["absolute_magnitude_err"] = 0.5 * (faint - bright)
    out["tension"] = posterior.tension
    return out


def quantiles(
    absolute: NDArray, weight: NDArray, levels: Sequence[float | NDArray]
) -> list[NDArray]:
    """Return quantiles (n,) per level of densities that are even within each node's cell.

    Parameters
    ----------
    absolute : (K,) or (n, K) ndarray
        Nodes, even within a row.
    weight : (n, K) ndarray
        Need not add up to 1; rows without weight give NaN.
    levels : sequence of float or (n,) ndarray
        Between 0 and 1.
    """
    return _read(absolute, np.cumsum(weight, axis=1), levels)


def _read(
    absolute: NDArray, cumulative: NDArray, levels: Sequence[float | NDArray]
) -> list[NDArray]:
    """Return the quantiles of cumulative sums (n, K)."""
    n, size = cumulative.shape
    total = cumulative[:, -1].copy()
    total[~(total > 1e-6)] = np.nan
    nodes = np.broadcast_to(absolute, cumulative.shape)
    first, step = nodes[:, 0], nodes[:, 1] - nodes[:, 0]
    rows, out = np.arange(n), []
    for level in levels:
        wanted = level * total
        below = (cumulative < wanted[:, None]).sum(axis=1)
        below = np.minimum(below, size - 1)
        before = np.where(below > 0, cumulative[rows, below - 1], 0.0)
        held = np.maximum(cumulative[rows, below] - before, 1e-30)
        part = np.clip((wanted - before) / held, 0, 1)
        out.append(first + (below - 0.5 + part) * step)
    return out
