"""Stars of a CCF fitted once more, to the pixels: velocities, rotations and errors that hold.

A CCF is searched on a grid of velocities and rotations. Here the heights h, velocities v and
squared rotations s = u² of all K stars descend together (Gauss-Newton) on the line depths
themselves, d(x) = Σ h t(x − v) ∗ K_u. The errors are those of the "sandwich" estimator: with J the
derivatives of the model and r what it leaves, the covariance is A⁻¹ B A⁻¹, A = Σ J Jᵀ and
B = Σ_b g_b g_bᵀ with the scores g_b = Σ J r summed over blocks of pixels that are longer than any
line. B knows nothing of where r comes from: photon noise and lines that the template has wrong
count alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

from siderea.binaries.correlation import Transformed
from siderea.models.velocity_kernels import rotation

__all__ = ["Refined", "block_residuals", "factors", "refine"]

BLOCK = 128
"""Pixels whose residuals are added up before they are squared: 350 km/s of GALAH."""

FASTEST = 400.0
"""Largest v sin i, km/s."""

TABLE_STEP, TABLE_SIZE = 0.01, 60_000
"""Of the tabulated rotation profile: linear interpolation errs by 1e-5 at most."""

LARGEST_STEP = 4.0
"""A velocity moves no further than this in one step, km/s."""


@dataclass(frozen=True)
class Refined:
    """K stars in each of N spectra.

    Parameters
    ----------
    velocity, velocity_err : (N, K) ndarray
        km/s.
    rotation : (N, K) ndarray
        v sin i, km/s.
    height, height_err : (N, K) ndarray
        In units of the template.
    left : (N,) ndarray
        χ² that the stars leave.
    total : (N,) ndarray
        χ² without any star.
    gained : (N,) ndarray
        χ² that the descent gained.
    """

    velocity: NDArray[np.float64]
    velocity_err: NDArray[np.float64]
    rotation: NDArray[np.float64]
    height: NDArray[np.float64]
    height_err: NDArray[np.float64]
    left: NDArray[np.float64]
    total: NDArray[np.float64]
    gained: NDArray[np.float64]

    @property
    def correlation(self) -> NDArray[np.float64]:
        """Correlation coefficient (N,) of the spectra with their model."""
        explained = 1.0 - self.left / np.maximum(self.total, 1e-12)
        return np.sqrt(np.clip(explained, 0.0, 1.0))

    def __getitem__(self, rows: NDArray | slice) -> Refined:
        """Return chosen rows."""
        return Refined(*(value[rows] for value in vars(self).values()))

    def replaced(self, rows: NDArray, other: Refined) -> Refined:
        """Return this with some rows from another."""
        values = []
        for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True):
            mine = mine.copy()
            mine[rows] = theirs
            values.append(mine)
        return Refined(*values)

    def brightest_first(self) -> Refined:
        """Return the stars in order of their heights."""
        order = np.argsort(-self.height, axis=1, kind="stable")
        names = ("velocity", "velocity_err", "rotation", "height", "height_err")
        stars = {name: np.take_along_axis(getattr(self, name), order, 1) for name in names}
        return replace(self, **stars)


def refine(
    source: Transformed,
    template: NDArray[np.intp],
    velocity: NDArray[np.float64],
    rotations: NDArray[np.float64],
    height: NDArray[np.float64],
    *,
    steps: int = 2,
) -> Refined:
    """Descend from stars found on a grid.

    Parameters
    ----------
    source : Transformed
        N spectra.
    template : (N,) or (N, K) ndarray of int
        Template of each star.
    velocity, rotations, height : (N, K) ndarray
        Where to start: lags times the step (c ln λ, km/s), km/s, units of the template.
    steps : int
        Of Gauss and Newton, damped (Levenberg): one that does not fit better is not taken. With 0,
        one step is taken, and what it leaves is foreseen rather than looked at.

    Returns
    -------
    Refined
    """
    shape = velocity.shape
    kinds = np.broadcast_to(template.reshape(len(template), -1), shape)
    lines = [source.of_template("transform", kinds[:, k]).conj() for k in range(shape[1])]
    spectra = _Spectra(source, np.stack(lines, axis=1), source.good.astype(np.float32))
    x = np.stack([height, velocity, np.maximum(rotations, 1.0) ** 2], axis=2)
    best = start = _linearised(spectra, x)
    damping = np.full(len(x), 1e-4)
    for _ in range(steps):
        tried = _linearised(spectra, _moved(best, damping))
        better = tried.left < best.left
        damping = np.where(better, 0.1 * damping, 1e3 * np.maximum(damping, 1e-4))
        best = best.where_not(better, tried)
    if steps == 0:
        best = _foreseen(best)
    return _measured(best, start.left, source)


@dataclass(frozen=True)
class _Spectra:
    """Spectra that are compared with stars again and again.

    Parameters
    ----------
    source : Transformed
    lines : (N, K, A, F) complex ndarray
        Transforms of the templates' line depths.
    good : (N, P) ndarray
        1 for good pixels, else 0.
    """

    source: Transformed
    lines: NDArray[np.complex64]
    good: NDArray[np.float32]


@dataclass(frozen=True)
class _State:
    """Stars x (N, K, 3), A and B (N, 3K, 3K), J r (N, 3K) and χ² (N,)."""

    x: NDArray[np.float64]
    normal: NDArray[np.float64]
    blocks: NDArray[np.float64]
    right: NDArray[np.float64]
    left: NDArray[np.float64]

    def where_not(self, better: NDArray[np.bool_], other: _State) -> _State:
        """Return this, and the other where it is better."""
        values = [
            np.where(better.reshape(-1, *[1] * (old.ndim - 1)), new, old)
            for old, new in zip(vars(self).values(), vars(other).values(), strict=True)
        ]
        return _State(*values)


def _foreseen(state: _State) -> _State:
    """Take a step, and believe the linear model about what it brings."""
    x = _moved(state, np.full(len(state.x), 1e-3))
    step = (x - state.x).reshape(len(x), -1)
    gain = 2 * (state.right * step).sum(axis=1)
    gain -= np.einsum("ni,nij,nj->n", step, state.normal, step)
    return replace(state, x=x, left=state.left - np.maximum(gain, 0.0))


def _measured(state: _State, start: NDArray, source: Transformed) -> Refined:
    inverse = np.linalg.inv(_damped(state.normal, np.full(len(state.x), 1e-4)))
    n_blocks = sum(len(_starts(arm.stop - arm.start)) for arm in source.library.arms)
    free = state.normal.shape[1]  # the parameters have taken their part of the residuals
    lost = n_blocks / max(n_blocks - free, 1)
    covariance = lost * inverse @ state.blocks @ inverse
    spread = np.sqrt(np.maximum(np.einsum("nii->ni", covariance), 0.0)).reshape(state.x.shape)
    pairs = zip(source.weight.T, source.depths, strict=True)
    total = [weight * np.einsum("np,np->n", depth, depth) for weight, depth in pairs]
    return Refined(
        state.x[..., 1],
        spread[..., 1],
        np.sqrt(state.x[..., 2]),
        state.x[..., 0],
        spread[..., 0],
        state.left,
        np.asarray(np.sum(total, axis=0)),
        start - state.left,
    )


def _damped(normal: NDArray, damping: NDArray) -> NDArray[np.float64]:
    """Return the matrix with its diagonal enlarged."""
    damped = normal.copy()
    diagonal = np.einsum("nii->ni", damped)
    diagonal += damping[:, None] * diagonal + 1e-12
    return damped


def _moved(state: _State, damping: NDArray) -> NDArray[np.float64]:
    """Take one step, within bounds."""
    x = state.x
    step = np.linalg.solve(_damped(state.normal, damping), state.right[..., None]).reshape(x.shape)
    limit = np.maximum(LARGEST_STEP, 0.1 * np.sqrt(x[..., 2]))
    turn = x[..., 2]
    moved = x + step
    moved[..., 1] = x[..., 1] + np.clip(step[..., 1], -limit, limit)
    moved[..., 2] = np.clip(moved[..., 2], np.maximum(0.5 * turn - 40.0, 1.0), 1.6 * turn + 40.0)
    moved[..., 2] = np.minimum(moved[..., 2], FASTEST**2)
    return np.asarray(moved)


def _linearised(spectra: _Spectra, x: NDArray) -> _State:
    """Compare the stars with the spectra, and take derivatives."""
    source, (n, k, _) = spectra.source, x.shape
    normal, blocks = np.zeros((2, n, 3 * k, 3 * k))
    right, left = np.zeros((n, 3 * k)), np.zeros(n)
    ways, height = _ways(source, x), x[..., 0].astype(np.float32)
    product = np.empty_like(ways)
    for arm, place in enumerate(source.library.arms):
        np.multiply(ways, spectra.lines[:, :, None, arm], out=product)
        full = scipy.fft.irfft(product.reshape(n, 3 * k, -1), source.library.size)
        j = full[..., : place.stop - place.start] * spectra.good[:, None, place]
        rest = source.depths[arm] - np.einsum("nk,nkp->np", height, j[:, ::3])
        weight = source.weight[:, arm]
        normal += weight[:, None, None] * _products(j)
        left += weight * np.einsum("np,np->n", rest, rest)
        scores = _scores(j, rest)
        right += weight[:, None] * scores.sum(axis=2)
        blocks += weight[:, None, None] ** 2 * (scores @ np.swapaxes(scores, 1, 2))
    return _State(x, normal, blocks, right, left)


def _ways(source: Transformed, x: NDArray) -> NDArray[np.complex64]:
    """Return what turns a template's transform into a star and its derivatives, (N, K, 3, F).

    With E = e^{−2πi k v}: E K_u for the height, −2πi k h E K_u for v and h E dK_u/ds for s.
    """
    phase, kernel, slope = factors(source, x)
    k = (2 * np.pi * source.library.frequency).astype(np.float32)
    ways = np.empty((*x.shape, k.size), np.complex64)
    star, moving, turning = (ways[:, :, number] for number in range(3))
    np.multiply(phase, kernel, out=star)
    np.multiply(star.imag, k, out=moving.real)
    np.multiply(star.real, -k, out=moving.imag)
    np.multiply(phase, slope, out=turning)
    ways[:, :, 1:] *= x[..., 0, None, None].astype(np.float32)
    return ways


def _products(j: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return J Jᵀ (N, M, M) of derivatives (N, M, P).

    Row by row: for so few rows of so many pixels four times as fast as a product of matrices.
    """
    products = np.empty((*j.shape[:2], j.shape[1]), np.float32)
    for row in range(j.shape[1]):
        products[:, row, row:] = np.einsum("np,nmp->nm", j[:, row], j[:, row:])
        products[:, row:, row] = products[:, row, row:]
    return products


def _scores(j: NDArray[np.float32], rest: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sums (N, M, B) of derivatives (N, M, P) times residuals (N, P) over blocks."""
    number = len(_starts(rest.shape[1])) - 1  # the last may be longer
    whole = BLOCK * number
    scores = np.empty((*j.shape[:2], number + 1), np.float32)
    first = j[..., :whole].reshape(*j.shape[:2], number, BLOCK)
    left = rest[:, :whole].reshape(len(rest), number, BLOCK)
    np.einsum("nmbp,nbp->nmb", first, left, out=scores[..., :-1])
    np.einsum("nmp,np->nm", j[..., whole:], rest[:, whole:], out=scores[..., -1])
    return scores


def block_residuals(
    source: Transformed, template: NDArray[np.intp], stars: Refined
) -> NDArray[np.float64]:
    """Return the χ² (N, B) that stars leave in each block of pixels, all arms one after another.

    Parameters
    ----------
    source : Transformed
        N spectra.
    template : (N,) ndarray of int
        Of all stars of a spectrum.
    stars : Refined
    """
    x = np.stack([stars.height, stars.velocity, stars.rotation**2], axis=2)
    phase, kernel, _ = factors(source, x)
    light = np.einsum("nk,nkf->nf", stars.height.astype(np.float32), kernel * phase)
    stored = source.of_template("transform", template).conj()
    rest = source.data * source.library.slow - stored * light[:, None]
    parts = [
        weight[:, None] * _in_blocks(pixels**2)
        for weight, pixels in zip(source.weight.T, source.pixels(rest), strict=True)
    ]
    return np.concatenate(parts, axis=1)


def _in_blocks(values: NDArray) -> NDArray[np.float32]:
    """Return the sums (..., B) over blocks of pixels; the last may be longer."""
    return np.asarray(np.add.reduceat(values, _starts(values.shape[-1]), axis=-1))


def _starts(n_pixels: int) -> NDArray[np.intp]:
    return np.arange(max(1, n_pixels // BLOCK)) * BLOCK


def factors(source: Transformed, x: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return e^{−2πi k v}, K_u and dK_u/ds, (N, K, F)."""
    k = (2 * np.pi * source.library.frequency).astype(np.float32)
    turn = x[..., 1:2].astype(np.float32) * k
    phase = np.empty(turn.shape, np.complex64)
    np.cos(turn, out=phase.real)
    np.sin(-turn, out=phase.imag)
    cell = np.sqrt(x[..., 2:3]).astype(np.float32) * (k / TABLE_STEP)
    np.minimum(cell, TABLE_SIZE - 2, out=cell)
    low = cell.astype(np.int32)
    cell -= low
    kernel, kernel_step, slope, slope_step = (column.take(low) for column in _kernel_table())
    return phase, kernel + kernel_step * cell, (slope + slope_step * cell) * (k * k)


@lru_cache(maxsize=1)
def _kernel_table() -> tuple[NDArray[np.float32], ...]:
    """Return K and its steps, dK/dq² and its steps, at every step of q = 2πk u."""
    q = np.arange(TABLE_SIZE) * TABLE_STEP
    one = torch.ones((1, 1), dtype=torch.float64)
    kernel = rotation(torch.from_numpy(q / (2 * np.pi)), one).numpy()[0]
    slope = np.gradient(kernel, TABLE_STEP) / np.maximum(2 * q, 1e-9)
    slope[0] = slope[1]
    columns = (kernel, np.diff(kernel, append=0.0), slope, np.diff(slope, append=0.0))
    return tuple(column.astype(np.float32) for column in columns)
