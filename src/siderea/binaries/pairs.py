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

USED = 0.6
"""Share of the frequencies that is used: a resolved line has next to nothing in the rest."""


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
    used = int(USED * library.frequency.size)
    moved = (phase * kernel)[..., :used]
    fold = np.full(used, 2.0 / library.size, np.float32)
    fold[0] /= 2
    chosen = np.empty((len(x), 2), np.intp)
    for row in range(len(x)):
        chosen[row] = _best(*_products(source, row, moved[row], fold))
    own = template >= len(library.transform)
    chosen[own, 0] = template[own]
    return chosen


def _products(
    source: Transformed, row: int, moved: NDArray, fold: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return c (2, T), the diagonals of M (2, T) and its mixed part (T, T), arms added."""
    library = source.library
    number, used = len(library.transform), fold.size
    c, own, mixed = np.zeros((2, number)), np.zeros((2, number)), np.zeros((number, number))
    unfiltered = fold / np.maximum(library.slow[:used], 1e-6)
    for arm in range(len(library.arms)):
        weight = source.weight[row, arm]
        if weight == 0:
            continue
        strength = weight * source.share[row, arm]
        stored = library.transform[:, arm, :used]
        data = source.data[row, arm, :used] * fold * moved.conj()
        c += weight * (stored @ data.T).real.T
        square = (stored.real**2 + stored.imag**2) @ (unfiltered * np.abs(moved) ** 2).T
        own += strength * square.T
        between = unfiltered * moved[0] * moved[1].conj()
        mixed += strength * ((stored.conj() * between) @ stored.T).real
    return c, own, mixed


def _best(c: NDArray, own: NDArray, mixed: NDArray) -> tuple[int, int]:
    """Return the pair of largest cᵀ M⁻¹ c among those of positive heights."""
    first, second = own[0][:, None], own[1][None, :]
    one, two = c[0][:, None], c[1][None, :]
    determinant = np.maximum(first * second - mixed**2, 1e-3 * first * second)
    height_1, height_2 = second * one - mixed * two, first * two - mixed * one
    power = (one * height_1 + two * height_2) / determinant
    power = np.where((height_1 > 0) & (height_2 > 0), power, -np.inf)
    place = int(power.argmax())
    return place // power.shape[1], place % power.shape[1]
