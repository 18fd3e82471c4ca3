"""Folded light curves as chains of four parabolas (Prša et al. 2008, ApJ 687, 542).

Four knots cut the circle of phase; between two knots the flux is a parabola, and the chain is
continuous. Every curve has twelve parameters: place and flux of each knot, and how far each
parabola bulges above its chord.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.lightcurves.gaussian_family import Points
from siderea.lightcurves.gaussian_starts import Dips, compressed, dips
from siderea.lightcurves.quality import LightCurveFlag
from siderea.lightcurves.usable import usable_curves
from siderea.models.levenberg_marquardt import Quadratic, minimise

__all__ = ["PolyFit", "chain", "fit"]

Array = NDArray[np.float64]

SHORTEST = 0.004
"""Smallest distance of two knots, phase."""

BINS, FILTER_BINS, BATCH_POINTS = 256, 512, 2**19
STARTS = (2.0, 3.2)
"""Knots begin at this many σ on either side of two eclipses: the better of these wins."""
MIN_POINTS = 16


@dataclass(frozen=True)
class PolyFit:
    """Chains fitted to N light curves.

    Parameters
    ----------
    knots : (N, 4) ndarray
        Phases of the knots, increasing from the first on (the last may exceed 1).
    levels : (N, 4) ndarray
        Flux at the knots.
    bulges : (N, 4) ndarray
        Height of each parabola above the middle of its chord.
    chi2 : (N,) ndarray
    n_points : (N,) ndarray of int
    flags : (N,) ndarray of int
        `LightCurveFlag`.
    """

    knots: Array
    levels: Array
    bulges: Array
    chi2: Array
    n_points: NDArray[np.int64]
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.knots)

    def curve(self, phase: ArrayLike) -> Array:
        """Return the fitted flux (N, M) at phases (M,)."""
        grid = torch.as_tensor(np.atleast_1d(np.asarray(phase, dtype=np.float64)))
        theta = torch.from_numpy(np.concatenate((self.knots, self.levels, self.bulges), axis=1))
        return chain(theta, grid.expand(len(self), -1))[0].numpy()

    def minima(self) -> tuple[Array, Array, Array]:
        """Return phase (N, 2), flux (N, 2) and width (N, 2) of the two lowest parabolas.

        The width is the distance of the parabola's knots. The deeper one comes first.
        """
        length = np.diff(self.knots, axis=1, append=self.knots[:, :1] + 1.0)
        rise = np.roll(self.levels, -1, axis=1) - self.levels
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.where(
                self.bulges < 0, 0.5 + rise / (8.0 * self.bulges), np.where(rise < 0, 1, 0)
            )
        t = np.clip(t, 0.0, 1.0)
        flux = self.levels + rise * t + 4.0 * self.bulges * t * (1.0 - t)
        # The two eclipses are parabolas that bend upwards; a chord may end as low as one begins.
        order = np.argsort(np.where(self.bulges < 0, flux, np.inf), axis=1, kind="stable")[:, :2]
        phase = np.mod(self.knots + t * length, 1.0)
        return tuple(np.take_along_axis(one, order, axis=1) for one in (phase, flux, length))  # type: ignore[return-value]


def fit(
    phase: ArrayLike | Sequence[ArrayLike],
    flux: ArrayLike | Sequence[ArrayLike],
    flux_err: ArrayLike | Sequence[ArrayLike] | float,
) -> PolyFit:
    """Fit a chain of four parabolas to one folded light curve or many.

    Parameters
    ----------
    phase, flux, flux_err
        As in `siderea.lightcurves.two_gaussian.fit`.

    Returns
    -------
    PolyFit
        NaN, flagged, for curves of fewer than 16 usable points.

    Raises
    ------
    DataError
        If the three do not have the same shapes.

    Notes
    -----
    All twelve parameters descend together, with exact derivatives, from knots beside the eclipses
    that a matched filter finds; levels and bulges begin at their linear solution.
    """
    curves = usable_curves(phase, flux, flux_err)
    n = len(curves)
    theta, chi2 = np.full((n, 12), np.nan), np.full(n, np.nan)
    flags = curves.flags.copy()
    enough = curves.lengths >= MIN_POINTS
    flags[~enough] |= LightCurveFlag.TOO_FEW
    for rows in curves.batches(np.flatnonzero(enough), BATCH_POINTS):
        points = curves.padded(rows)
        found, converged, least = _fit_batch(points)
        theta[rows], chi2[rows] = found.numpy(), least.numpy()
        flags[rows] |= LightCurveFlag.NOT_CONVERGED * (~converged).numpy()
    turn = np.floor(theta[:, :1])
    return PolyFit(theta[:, :4] - turn, theta[:, 4:8], theta[:, 8:], chi2, curves.lengths, flags)


def chain(theta: torch.Tensor, phase: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the flux (R, M) of chains (R, 12) and its derivatives (R, 12, M)."""
    knots, levels, bulges = theta[:, :4], theta[:, 4:8], theta[:, 8:]
    length = torch.cat((knots[:, 1:], knots[:, :1] + 1.0), 1) - knots
    onward = torch.remainder(phase - knots[:, :1], 1.0)
    piece = sum((onward >= (knots[:, k : k + 1] - knots[:, :1])).long() for k in (1, 2, 3))
    after = torch.remainder(piece + 1, 4)
    here = length.gather(1, piece)
    t = (onward - (knots - knots[:, :1]).gather(1, piece)) / here
    start, stop, bulge = levels.gather(1, piece), levels.gather(1, after), bulges.gather(1, piece)
    parabola = 4.0 * t * (1.0 - t)
    flux = start + (stop - start) * t + bulge * parabola
    slope = (stop - start + 4.0 * bulge * (1.0 - 2.0 * t)) / here
    derivative = torch.zeros((len(theta), 12, phase.shape[1]), dtype=phase.dtype)
    for offset, first, second in ((0, -slope * (1.0 - t), -slope * t), (4, 1.0 - t, t)):
        derivative.scatter_add_(1, (piece + offset)[:, None], first[:, None])
        derivative.scatter_add_(1, (after + offset)[:, None], second[:, None])
    derivative.scatter_add_(1, (piece + 8)[:, None], parabola[:, None])
    return flux, derivative


def _quadratic(theta: torch.Tensor, points: Points) -> Quadratic:
    flux, derivative = chain(theta, points.phase)
    residual = points.flux - flux
    weighted = derivative * points.weight[:, None]
    return Quadratic(
        (points.weight * residual**2).sum(1),
        (weighted @ residual[..., None])[..., 0],
        weighted @ derivative.mT,
    )


def _fit_batch(points: Points) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    found = dips(points, bins=FILTER_BINS, narrowest=0.002)
    few = compressed(points, found, BINS) if points.phase.shape[1] > 1.5 * BINS else points
    best: torch.Tensor | None = None
    for reach in STARTS:
        start = _linear(_knots(found, reach), few)
        poor = (_quadratic(start, few).chi2 / few.phase.shape[1]).clamp(min=1.0)
        used = Points(few.phase, few.flux, few.weight / poor[:, None])

        def objective(theta: torch.Tensor, rows: torch.Tensor, used: Points = used) -> Quadratic:
            return _quadratic(theta, used[rows])

        end = minimise(objective, start, _box, tolerance=1e-2, max_iterations=40)
        chi2 = _chi2(end.theta, points)
        if best is None:
            best, least, converged = end.theta, chi2, end.converged
        else:
            better = chi2 < least
            best = torch.where(better[:, None], end.theta, best)
            least, converged = (
                torch.minimum(chi2, least),
                torch.where(better, end.converged, converged),
            )
    assert best is not None
    return best, converged, least


def _chi2(theta: torch.Tensor, points: Points) -> torch.Tensor:
    return (points.weight * (points.flux - chain(theta, points.phase)[0]) ** 2).sum(1)


def _knots(found: Dips, reach: float) -> torch.Tensor:
    """Return four phases beside two eclipses, in order round the circle."""
    half = (reach * found.sigma).clamp(min=0.01, max=0.2)
    first, second = found.mu[:, 0], found.mu[:, 1]
    apart = torch.remainder(second - first, 1.0)
    # Where the eclipses touch, the knots between them share the way.
    before = torch.minimum(half[:, 0], apart * half[:, 0] / (half[:, 0] + half[:, 1]) * 0.9)
    after = torch.minimum(half[:, 0], (1.0 - apart) * half[:, 0] / (half[:, 0] + half[:, 1]) * 0.9)
    ahead = torch.minimum(half[:, 1], apart * half[:, 1] / (half[:, 0] + half[:, 1]) * 0.9)
    behind = torch.minimum(half[:, 1], (1.0 - apart) * half[:, 1] / (half[:, 0] + half[:, 1]) * 0.9)
    offsets = torch.stack((-after, before, apart - ahead, apart + behind), 1)
    return first[:, None] + offsets


def _linear(knots: torch.Tensor, points: Points) -> torch.Tensor:
    """Solve for levels and bulges at given knots."""
    theta = torch.cat((knots, torch.zeros((len(knots), 8), dtype=knots.dtype)), 1)
    basis = chain(theta, points.phase)[1][:, 4:]
    weighted = basis * points.weight[:, None]
    normal = weighted @ basis.mT
    size = torch.diagonal(normal, dim1=1, dim2=2)
    ridge = 1e-6 * size + 1e-9 * size.amax(1, keepdim=True)
    normal = normal + torch.diag_embed(ridge)
    theta[:, 4:] = torch.linalg.solve(normal, (weighted @ points.flux[..., None]))[..., 0]
    return theta


def _box(theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return bounds (R, 12) that keep the knots in order."""
    knots = theta[:, :4]
    after = torch.cat((knots[:, 1:], knots[:, :1] + 1.0), 1) - knots
    before = torch.roll(after, 1, dims=1)
    room = [torch.minimum(0.4 * gap, (gap - SHORTEST).clamp(min=0.0)) for gap in (before, after)]
    lower, upper = torch.full_like(theta, -torch.inf), torch.full_like(theta, torch.inf)
    lower[:, :4], upper[:, :4] = knots - room[0], knots + room[1]
    return lower, upper
