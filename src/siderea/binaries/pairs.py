"""Two stars, two templates: which pair explains a spectrum best.

TODCOR (Zucker & Mazeh 1994, ApJ 420, 806) at given velocities and rotations: with cᵢ = Σ d tᵢ and
Mᵢⱼ = Σ tᵢ tⱼ of the moved and broadened templates, the pair with the largest cᵀ M⁻¹ c is taken. The
heights are then shares of the light also where the stars are unlike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siderea.binaries.correlation import Transformed
from siderea.binaries.refine import Refined, factors

__all__ = ["best_pair"]


def best_pair(source: Transformed, template: NDArray[np.intp], stars: Refined) -> NDArray[np.intp]:
    """Choose the templates of two stars.

    Parameters
    ----------
    source : Transformed
        N spectra.
    template : (N,) ndarray of int
        The template that both were found with; kept where a spectrum's own reference is it, for
        the brighter star.
    stars : Refined
        Two stars in each.

    Returns
    -------
    (N, 2) ndarray of int
    """
    library = source.library
    x = np.stack([stars.height, stars.velocity, stars.rotation**2], axis=2)
    phase, kernel, _ = factors(source, x)
    moved = phase * kernel
    fold = np.full(library.frequency.size, 2.0 / library.size, np.float32)
    fold[0] /= 2
    chosen = np.empty((len(x), 2), np.intp)
    for row in range(len(x)):
        c, m = _products(source, row, moved[row], fold)
        chosen[row] = _best(c, m)
    own = template >= len(library.transform)
    chosen[own, 0] = template[own]
    return chosen


def _products(
    source: Transformed, row: int, moved: NDArray, fold: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return c (2, T) and M (2, 2, T, T) of one spectrum, arms added."""
    library = source.library
    number = len(library.transform)
    c, m = np.zeros((2, number)), np.zeros((2, 2, number, number))
    unfiltered = fold / np.maximum(library.slow, 1e-6)
    for arm in range(len(library.arms)):
        weight = source.weight[row, arm]
        if weight == 0:
            continue
        one, two = (library.transform[:, arm].conj() * factor for factor in moved)
        data = source.data[row, arm].conj() * fold
        c += weight * np.stack([(one @ data).real, (two @ data).real])
        strength = weight * source.share[row, arm]
        both = [(one, one), (one, two), (two, two)]
        a, b, d = (strength * ((p * unfiltered) @ q.conj().T).real for p, q in both)
        m += np.array([[a, b], [b.T, d]])
    return c, m


def _best(c: NDArray, m: NDArray) -> tuple[int, int]:
    """Return the pair of largest cᵀ M⁻¹ c among those of positive heights."""
    first, second = np.diag(m[0, 0])[:, None], np.diag(m[1, 1])[None, :]
    mixed, one, two = m[0, 1], c[0][:, None], c[1][None, :]
    determinant = np.maximum(first * second - mixed**2, 1e-3 * first * second)
    height_1, height_2 = second * one - mixed * two, first * two - mixed * one
    power = (one * height_1 + two * height_2) / determinant
    power = np.where((height_1 > 0) & (height_2 > 0), power, -np.inf)
    place = int(power.argmax())
    return place // power.shape[1], place % power.shape[1]
