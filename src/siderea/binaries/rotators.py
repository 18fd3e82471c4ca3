"""Stars that rotate: the template that fits them, and pairs of them.

The narrowest, highest CCF chooses a template well for sharp lines. Of a rotator it chooses by
noise, and what a wrong template leaves looks like faint companions far away, or hides a second
rotator. Here the template is chosen at the rotation found: it explains c²/G of the χ², with
c = Σ d (t ∗ K_u) and G = Σ (t ∗ K_u)².

Two rotators closer than their profiles are wide make one profile of another shape. The descent to
them starts from profiles that share the single one between them. What they gain is judged by how
evenly all parts of the spectrum gain (`steadiness`): a second star improves nearly every line,
lines that the template has wrong improve and worsen at random.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from siderea.binaries.correlation import Library, Transformed
from siderea.binaries.evenness import steadiness_of
from siderea.binaries.refine import Refined, block_residuals, factors, refine

__all__ = ["TURNING", "best_template", "binned", "steadiness", "two_rotators"]

TURNING = 15.0
"""v sin i, km/s, from which the template is chosen anew."""

USED = 0.5
"""Share of the frequencies that is used: a line broadened by `TURNING` has next to nothing in the
rest."""

COARSE = 9.0
"""Width, km/s, that pixels taken together may have: the profiles of rotators are wider."""

SHARES = (
    ((-0.50, 0.50), (0.60, 0.60), (0.50, 0.50)),
    ((-0.30, 0.60), (0.70, 0.50), (0.65, 0.35)),
    ((-0.60, 0.30), (0.50, 0.70), (0.35, 0.65)),
)
"""Offsets, rotations (in units of the single star's rotation) and heights (of its height) of two
stars to start from."""


def best_template(
    source: Transformed, velocity: NDArray[np.float64], rotation: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Choose the template that explains most of each spectrum.

    Parameters
    ----------
    source : Transformed
        N spectra.
    velocity, rotation : (N,) ndarray
        c ln λ and v sin i of the star, km/s.

    Returns
    -------
    template : (N,) ndarray of int
        One more than the last is the spectrum's own.
    height : (N,) ndarray
        Of the star, in units of that template.
    """
    library = source.library
    x = np.stack([np.ones_like(velocity), velocity, rotation**2], axis=1)[:, None]
    phase, kernel, _ = factors(source, x)
    used = int(USED * library.frequency.size)
    moved, square = (phase * kernel)[:, 0, :used], kernel[:, 0, :used] ** 2
    square = square / np.maximum(library.slow[:used], 1e-6)
    square[:, 0] /= 2
    moved[:, 0] /= 2
    n, number = len(velocity), len(library.transform)
    c, g = np.zeros((2, n, number + (source.own is not None)))
    for arm in range(len(library.arms)):
        stored = library.transform[:, arm, :used]
        weight = source.weight[:, arm, None]
        strength = weight * source.share[:, arm, None]
        data = source.data[:, arm, :used] * moved.conj()
        c[:, :number] += weight * (data @ stored.T).real
        g[:, :number] += strength * (square @ (stored.real**2 + stored.imag**2).T)
        if source.own is not None:
            mine = source.own.transform[:, arm, :used]
            c[:, number] += weight[:, 0] * np.einsum("nf,nf->n", data, mine).real
            g[:, number] += strength[:, 0] * np.einsum("nf,nf->n", square, np.abs(mine) ** 2)
    g = np.maximum(g, 1e-12)
    best = (np.maximum(c, 0.0) ** 2 / g).argmax(axis=1)
    row = np.arange(n)
    return best, np.maximum(c[row, best], 0.0) / g[row, best]


def two_rotators(
    source: Transformed, template: NDArray[np.intp], single: Refined
) -> tuple[Refined, NDArray[np.float64]]:
    """Descend to two rotators from several shares of a single one, on pixels taken together.

    Parameters
    ----------
    source : Transformed
        N spectra.
    template : (N,) ndarray of int
        Of both stars.
    single : Refined
        The best single star of each, of the same template.

    Returns
    -------
    double : Refined
        The best two stars of positive light.
    gain : (N,) ndarray
        χ² that they gain over that which one star explains; 0 where none was found.
    """
    coarse = binned(source)
    alone = refine(coarse, template, single.velocity, single.rotation, single.height, steps=1)
    best = _best_start(coarse, template, single)
    rows = np.flatnonzero(best.left < alone.left)
    if rows.size:
        mine = best[rows]
        start = mine.velocity, mine.rotation, mine.height
        best = best.replaced(rows, refine(coarse[rows], template[rows], *start, steps=3))
    gain = (alone.left - best.left) / np.maximum(alone.total - alone.left, 1e-12)
    return best, np.where((best.height > 0).all(axis=1), np.maximum(gain, 0.0), 0.0)


def _best_start(source: Transformed, template: NDArray[np.intp], single: Refined) -> Refined:
    """Take two steps from each of the `SHARES`, and return the best."""
    n = len(template)
    offset, turn, share = (np.repeat(value, n, axis=0) for value in np.swapaxes(SHARES, 0, 1))
    rows = np.tile(np.arange(n), len(SHARES))
    one = single[rows]
    tried = refine(
        source[rows],
        template[rows],
        one.velocity + one.rotation * offset,
        one.rotation * turn,
        one.height * share,
        steps=2,
    )
    best = tried.left.reshape(len(SHARES), n).argmin(axis=0)
    return tried[best * n + np.arange(n)]


def binned(source: Transformed) -> Transformed:
    """Return the filtered line depths with as many pixels taken together as rotation allows.

    The mean over a bin is a factor D(k) = Σ_r e^{2πi k r}/f, r < f, of the transforms of lines.
    """
    library = source.library
    factor = max(1, int(COARSE / library.pixel))
    while library.size % factor:
        factor -= 1
    if factor == 1:
        return source
    size = library.size // factor
    kept = size // 2 + 1
    turn = 2j * np.pi * np.arange(kept)[:, None] * np.arange(factor) / library.size
    fold = (np.exp(-turn).mean(axis=1) / factor).astype(np.complex64)
    arms, parts, good, start = [], [], [], 0
    for arm, depth in zip(library.arms, source.depths, strict=True):
        number = (arm.stop - arm.start) // factor
        together = slice(0, number * factor), (len(depth), number, factor)
        seen = source.good[:, arm][:, together[0]].reshape(together[1]).all(axis=2)
        mean = depth[:, together[0]].reshape(together[1]).mean(axis=2) * seen
        parts.append(scipy.fft.rfft(mean, size))
        good.append(seen)
        arms.append(slice(start, start + number))
        start += number

    def coarse(fine: Library) -> Library:
        return replace(
            fine,
            transform=fine.transform[..., :kept] * fold,
            arms=tuple(arms),
            size=size,
            pixel=fine.pixel * factor,
            slow=np.ones(kept, np.float32),
        )

    return replace(
        source,
        data=np.stack(parts, axis=1),
        good=np.concatenate(good, axis=1),
        weight=source.weight * factor,
        library=coarse(library),
        own=None if source.own is None else coarse(source.own),
    )


def steadiness(
    source: Transformed, template: NDArray[np.intp], single: Refined, double: Refined
) -> NDArray[np.float64]:
    """Return the mean gain of the blocks of pixels over its scatter from block to block (N,).

    With g_b the χ² that two stars gain in block b: ḡ / s(g). It does not depend on how large the
    errors are, nor on the number of blocks, and one strong line cannot raise it.
    """
    before, after = (block_residuals(source, template, fit) for fit in (single, double))
    return steadiness_of(before - after, before > 0)[0]
