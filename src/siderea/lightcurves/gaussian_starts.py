"""Where the fits of the two-Gaussian family begin: eclipses by matched filter.

Every position and a ladder of widths are tried at once by Fourier transforms: for each, the best
constant and depth are known in closed form, and with them by how much they lower χ². What a
constant and an ellipsoidal term explain can be taken off first, in closed form as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from siderea.lightcurves.gaussian_family import FOUR_PI, WIDEST, Points

__all__ = ["Dip", "Dips", "MatchedFilter", "Tide", "compressed", "dips", "paired", "tide"]

WIDTH_STEP = 2.2
"""Ratio of neighbouring widths of the ladder."""


@dataclass
class Dips:
    """Two eclipses of each of R light curves: (R, 2) position, depth and σ, deepest gain first."""

    mu: torch.Tensor
    depth: torch.Tensor
    sigma: torch.Tensor


@dataclass
class Tide:
    """Constant, phase of minimum and amplitude (R,) of the best ellipsoidal term, and its χ²."""

    level: torch.Tensor
    position: torch.Tensor
    amplitude: torch.Tensor
    chi2: torch.Tensor

    def light(self, phase: torch.Tensor) -> torch.Tensor:
        """Return the ellipsoidal term alone (R, M), without the constant."""
        angle = FOUR_PI * (phase - self.position[:, None])
        return -0.5 * self.amplitude[:, None] * torch.cos(angle)


def tide(points: Points) -> Tide:
    """Fit C − ½ A cos 4π(φ − μₑ): linear in C and the two parts of the wave."""
    angle = FOUR_PI * points.phase
    basis = torch.stack((torch.ones_like(angle), torch.cos(angle), torch.sin(angle)), 1)
    weighted = basis * points.weight[:, None]
    normal = weighted @ basis.mT
    ridge = 1e-12 * torch.diagonal(normal, dim1=1, dim2=2).sum(1) + 1e-300
    normal = normal + ridge[:, None, None] * torch.eye(3, dtype=angle.dtype)
    linear = torch.linalg.solve(normal, (weighted @ points.flux[..., None]))[..., 0]
    residual = points.flux - (linear[:, None] @ basis)[:, 0]
    amplitude = 2.0 * torch.hypot(linear[:, 1], linear[:, 2])
    position = torch.remainder(torch.atan2(-linear[:, 2], -linear[:, 1]) / FOUR_PI, 0.5)
    return Tide(linear[:, 0], position, amplitude, (points.weight * residual**2).sum(1))


@dataclass
class Dip:
    """One eclipse of each of R light curves: position, depth and σ (R,)."""

    mu: torch.Tensor
    depth: torch.Tensor
    sigma: torch.Tensor


class MatchedFilter:
    """Gains of every position (n bins) and width, for the weights of one set of light curves.

    Parameters
    ----------
    points : Points
        Their fluxes do not count.
    bins : int
        Bins of phase, a power of two.
    narrowest : float
        Smallest σ.
    """

    def __init__(self, points: Points, bins: int, narrowest: float) -> None:
        self.n, self.weights = bins, points.weight
        self.place = (points.phase * bins).long().clamp(0, bins - 1)
        binned = self._sum(points.weight)
        # With weights about 1, single precision is enough to find a start.
        self.scale = binned.mean(1, keepdim=True)
        self.weight = (binned / self.scale).float()
        sigma = [max(narrowest, 0.5 / bins)]
        while sigma[-1] * WIDTH_STEP < 0.8 * WIDEST:
            sigma.append(sigma[-1] * WIDTH_STEP)
        self.sigma = torch.tensor([*sigma, 0.8 * WIDEST])
        offset = torch.arange(bins) / bins
        offset = offset - torch.round(offset)
        bell = torch.exp(-0.5 * (offset / self.sigma[:, None]).clamp(-12.0, 12.0) ** 2)
        self.bell = torch.fft.rfft(bell)
        self.total = self.weight.sum(1)[:, None, None]
        transform = torch.fft.rfft(self.weight)[:, None]
        self.mean = torch.fft.irfft(transform * self.bell, n=bins) / self.total
        square = torch.fft.irfft(transform * torch.fft.rfft(bell**2), n=bins) / self.total
        spread = square - self.mean**2  # weighted variance of the template
        # An eclipse that no weight falls on, or that is everywhere, has no depth.
        self.known = (self.mean * bins > 0.2) & (spread > 1e-4 * square)
        self.spread = torch.where(self.known, spread, 1.0)

    def _sum(self, values: torch.Tensor) -> torch.Tensor:
        binned = torch.zeros((len(values), self.n), dtype=values.dtype)
        return binned.scatter_add_(1, self.place, values)

    def best(self, flux: torch.Tensor, *, apart_from: Dip | None = None) -> Dip:
        """Return the eclipse that lowers χ² most, constant and depth being free.

        Parameters
        ----------
        flux : (R, M) tensor
            What is to be explained.
        apart_from : Dip, optional
            An eclipse that was taken off already. What is left beside it, where it was no Gaussian,
            is no second eclipse: nearer than 2.8 of the larger σ does not count. Where nothing
            counts, the answer is half a period away.
        """
        level = (self.weights * flux).sum(1, keepdim=True) / self.weights.sum(1, keepdim=True)
        light = (self._sum(self.weights * (flux - level)) / self.scale).float()
        cross = torch.fft.irfft(torch.fft.rfft(light)[:, None] * self.bell, n=self.n) / self.total
        depth = -cross / self.spread
        gain = torch.where(self.known & (depth > 0), depth**2 * self.spread, 0.0)
        if apart_from is not None:
            grid = (torch.arange(self.n) + 0.5) / self.n
            off = grid - apart_from.mu[:, None].float()
            off = (off - torch.round(off)).abs()[:, None]
            reach = torch.maximum(apart_from.sigma[:, None, None].float(), self.sigma[:, None])
            gain = torch.where(off < 2.8 * reach, 0.0, gain)
        gain, depth = gain.flatten(1), depth.flatten(1)
        most, place = gain.max(1)
        sigma = self.sigma[place // self.n].double()
        mu = ((place % self.n) + 0.5).double() / self.n
        deep = depth.gather(1, place[:, None])[:, 0].double()
        if apart_from is None:
            return Dip(mu, torch.where(most > 0, deep, 0.0), sigma)
        none = most <= 0
        return Dip(
            torch.where(none, torch.remainder(apart_from.mu + 0.5, 1.0), mu),
            torch.where(none, 0.1 * apart_from.depth, deep),
            torch.where(none, apart_from.sigma, sigma),
        )


def dips(points: Points, *, bins: int, narrowest: float) -> Dips:
    """Find the best eclipse, then the best of what is left when its Gaussian is taken off."""
    filters = MatchedFilter(points, bins, narrowest)
    first = filters.best(points.flux)
    off = points.phase - first.mu[:, None]
    off = ((off - torch.round(off)) / first.sigma[:, None]).clamp(-12.0, 12.0)
    bell = first.depth[:, None] * torch.exp(-0.5 * off**2)
    return paired(first, filters.best(points.flux + bell, apart_from=first))


def paired(first: Dip, second: Dip) -> Dips:
    """Return two eclipses as one."""
    names = ("mu", "depth", "sigma")
    return Dips(*(torch.stack((getattr(first, n), getattr(second, n)), 1) for n in names))


def compressed(points: Points, found: Dips, bins: int) -> Points:
    """Average points in bins that are narrow in the eclipses and wide between them.

    Three eighths of the bins are shared by the whole circle, the others by ±4.5 σ of the eclipses:
    of 160 bins each is then narrower than σ/5, and a Gaussian loses less than 2e-3 of its depth
    when averaged over one. The mean phase of the points goes with each bin.
    """
    phase = torch.remainder(points.phase, 1.0)
    place = 0.375 * phase
    for number in (0, 1):
        half = (4.5 * found.sigma[:, number, None]).clamp(max=0.5)
        start = torch.remainder(found.mu[:, number, None] - half, 1.0)
        # The share of the window that lies below this phase, when the window may wrap around 1.
        inside = (phase - start).clamp(min=0.0).minimum(2 * half)
        wrapped = (start + 2 * half - 1.0).clamp(min=0.0)
        inside = inside.minimum(2 * half - wrapped) + phase.minimum(wrapped)
        place = place + 0.3125 * inside / (2 * half)
    index = (place * bins).long().clamp(0, bins - 1)
    weight = torch.zeros((len(phase), bins), dtype=phase.dtype)
    light, where = torch.zeros_like(weight), torch.zeros_like(weight)
    weight.scatter_add_(1, index, points.weight)
    light.scatter_add_(1, index, points.weight * points.flux)
    where.scatter_add_(1, index, points.weight * phase)
    held = torch.where(weight > 0, weight, 1.0)
    return Points(where / held, light / held, weight)
