"""Where the fits of the two-Gaussian family begin: eclipses by matched filter.

Every position and a ladder of widths are tried at once by Fourier transforms: for each, the best
constant and depth are known in closed form, and with them by how much they lower χ². What a
constant and an ellipsoidal term explain can be taken off first, in closed form as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from siderea.lightcurves.gaussian_family import FOUR_PI, WIDEST, Points

__all__ = ["Dips", "Tide", "compressed", "dips", "tide"]

WIDTHS_PER_FOLD = 2.2
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


def _binned(points: Points, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights and weighted fluxes (R, n) of equal bins of phase."""
    place = (points.phase * n).long().clamp(0, n - 1)
    weight = torch.zeros((len(place), n), dtype=points.phase.dtype)
    light = torch.zeros_like(weight)
    weight.scatter_add_(1, place, points.weight)
    light.scatter_add_(1, place, points.weight * points.flux)
    # About the mean, and with weights about 1, single precision is enough to find a start.
    light -= weight * (light.sum(1) / weight.sum(1))[:, None]
    scale = weight.mean(1, keepdim=True)
    return (weight / scale).float(), (light / scale).float()


class _Filter:
    """Gains of every position (n bins) and width, for one set of weights."""

    def __init__(self, weight: torch.Tensor, narrowest: float) -> None:
        n = weight.shape[1]
        sigma = [max(narrowest, 0.5 / n)]
        while sigma[-1] * WIDTHS_PER_FOLD < 0.8 * WIDEST:
            sigma.append(sigma[-1] * WIDTHS_PER_FOLD)
        self.sigma = torch.tensor([*sigma, 0.8 * WIDEST], dtype=weight.dtype)
        offset = torch.arange(n, dtype=weight.dtype) / n
        offset = offset - torch.round(offset)
        bell = torch.exp(-0.5 * (offset / self.sigma[:, None]) ** 2)
        self.bell = torch.fft.rfft(bell)
        self.n, self.total = n, weight.sum(1)[:, None, None]
        transform = torch.fft.rfft(weight)[:, None]
        self.mean = torch.fft.irfft(transform * self.bell, n=n) / self.total
        square = torch.fft.irfft(transform * torch.fft.rfft(bell**2), n=n) / self.total
        self.spread = square - self.mean**2  # weighted variance of the template
        # An eclipse that no weight falls on, or that is everywhere, has no depth.
        self.known = (self.mean * n > 0.2) & (self.spread > 1e-4 * square)

    def gains(self, light: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return by how much χ² falls (R, widths, n; 0 for a bump) and the depths."""
        level = light.sum(1)[:, None, None] / self.total
        cross = torch.fft.irfft(torch.fft.rfft(light)[:, None] * self.bell, n=self.n) / self.total
        slope = cross - level * self.mean
        spread = torch.where(self.known, self.spread, 1.0)
        depth = torch.where(self.known, -slope / spread, 0.0)
        gain = torch.where(depth > 0, slope**2 / spread * self.total, 0.0)
        return torch.where(self.known, gain, 0.0), depth


def dips(points: Points, *, bins: int, narrowest: float) -> Dips:
    """Find the best eclipse, then the best of what is left.

    Parameters
    ----------
    points : Points
    bins : int
        Bins of phase, a power of two.
    narrowest : float
        Smallest σ.
    """
    weight, light = _binned(points, bins)
    filters = _Filter(weight, narrowest)
    gain, depth = filters.gains(light)
    mu_1, depth_1, sigma_1 = _best(filters, gain, depth)
    grid = (torch.arange(bins, dtype=weight.dtype) + 0.5) / bins
    apart = grid - mu_1[:, None]
    apart = (apart - torch.round(apart)).abs()
    bell = torch.exp(-0.5 * (apart / sigma_1[:, None]) ** 2)
    gain, depth = filters.gains(light + weight * depth_1[:, None] * bell)
    # What is left beside an eclipse of another shape than a Gaussian is no second eclipse.
    beside = apart[:, None] < 2.8 * torch.maximum(sigma_1[:, None, None], filters.sigma[:, None])
    gain = torch.where(beside, 0.0, gain)
    mu_2, depth_2, sigma_2 = _best(filters, gain, depth)
    none = gain.amax((1, 2)) <= 0
    mu_2 = torch.where(none, torch.remainder(mu_1 + 0.5, 1.0), mu_2)
    sigma_2 = torch.where(none, sigma_1, sigma_2)
    depth_2 = torch.where(none, 0.1 * depth_1, depth_2)
    pairs = ((mu_1, mu_2), (depth_1, depth_2), (sigma_1, sigma_2))
    return Dips(*(torch.stack(pair, 1).double() for pair in pairs))


def _best(
    filters: _Filter, gain: torch.Tensor, depth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    place = gain.flatten(1).argmax(1)
    width, position = place // filters.n, place % filters.n
    mu = (position + 0.5) / filters.n
    return mu, depth.flatten(1).gather(1, place[:, None])[:, 0], filters.sigma[width]


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
