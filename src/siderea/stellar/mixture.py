"""Mixtures of Gaussians as the distribution of a label: likelihood, moments, quantiles.

The K components stand first, (K, ...). The error of a measured label is Gaussian, so
the likelihood of what was measured adds its variance to each component: maximising it *deconvolves*
the label errors, and the mixture describes the true label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Mixture", "from_outputs", "joined", "merge"]

SPREAD = 0.8
"""First places of the components, in units of the label's robust width: -0.8, 0, 0.8."""
FIRST_SIGMA = 0.5
"""First width of a component, in the same units."""
FLOOR = 1e-4
"""Least variance of a component: 1 % of the label's width."""
NODES = 33
"""Points at which a distribution function is tabulated to read quantiles from it."""
REACH = 4.5
"""The table reaches so many standard deviations to either side of the mean."""


@dataclass(frozen=True)
class Mixture:
    """Mixtures of K Gaussians.

    Parameters
    ----------
    weight, mean, variance : (K, ...) tensor
        The weights sum to 1.
    """

    weight: Tensor
    mean: Tensor
    variance: Tensor

    def negative_log_likelihood(self, y: Tensor, error: Tensor) -> Tensor:
        """Return −ln p(y) of measured labels y (...) with Gaussian errors (...)."""
        variance = self.variance + error**2
        exponent = (y - self.mean) ** 2 / variance + torch.log(variance)
        log_weight = torch.log(self.weight.clamp(min=1e-12))
        total = torch.logsumexp(log_weight - 0.5 * exponent, dim=0)
        return 0.5 * math.log(2 * math.pi) - total

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation (...)."""
        mean = (self.weight * self.mean).sum(0)
        spread = self.variance + (self.mean - mean) ** 2
        return mean, (self.weight * spread).sum(0).sqrt()

    def cdf(self, y: Tensor) -> Tensor:
        """Return the distribution function at y, which broadcasts with (...)."""
        # by erf, which runs on vector instructions where ndtr does not
        total = torch.full((), 0.5, dtype=self.mean.dtype) * self.weight.sum(0)
        for weight, mean, scale in zip(
            0.5 * self.weight, self.mean, (0.5 / self.variance).sqrt(), strict=True
        ):
            total = total + weight * torch.erf((y - mean) * scale)
        return total

    def quantiles(self, levels: Tensor) -> Tensor:
        """Return the quantiles (N, Q) of mixtures (K, N) at levels (N, Q).

        The distribution function is tabulated over ±4.5 standard deviations and inverted by linear
        interpolation; the error is below 1 % of the standard deviation.
        """
        mean, sigma = self.moments()
        nodes = torch.linspace(-2.0, 2.0, NODES, dtype=mean.dtype)
        # denser in the middle, where the distribution function is steep
        nodes = torch.sinh(nodes) * (REACH / math.sinh(2.0))
        table = self.cdf(mean + sigma * nodes[:, None]).T.contiguous()
        above = torch.searchsorted(table, levels.contiguous()).clamp(1, NODES - 1)
        low, high = table.gather(1, above - 1), table.gather(1, above)
        share = ((levels - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
        standard = nodes[above - 1] + share * (nodes[above] - nodes[above - 1])
        return mean[:, None] + sigma[:, None] * standard

    def convolved(self, error: Tensor) -> Mixture:
        """Return the distribution of a measurement with Gaussian errors (...)."""
        return Mixture(self.weight, self.mean, self.variance + error**2)

    def __getitem__(self, index: Any) -> Mixture:
        """Return the mixtures of some members or stars."""
        keep = (slice(None), *(index if isinstance(index, tuple) else (index,)))
        return Mixture(self.weight[keep], self.mean[keep], self.variance[keep])


def merge(mixture: Mixture) -> Mixture:
    """Join the members of an ensemble, (K, M, N), to one mixture (K, N).

    Components are ordered by their means and each rank is joined over the members to one Gaussian
    of the same first two moments, so that mean and variance of the whole are those of the ensemble:
    the disagreement of the members is in the variance.
    """
    order = mixture.mean.argsort(dim=0)
    weight, mean, variance = (
        part.gather(0, order) for part in (mixture.weight, mixture.mean, mixture.variance)
    )
    total = weight.sum(1).clamp(min=1e-12)
    centre = (weight * mean).sum(1) / total
    spread = (weight * (variance + (mean - centre[:, None]) ** 2)).sum(1) / total
    return Mixture(total / weight.shape[1], centre, spread)


def joined(parts: Sequence[Mixture]) -> Mixture:
    """Return the mixtures of all stars from those of pieces, (K, n) each."""
    return Mixture(
        torch.cat([part.weight for part in parts], dim=-1),
        torch.cat([part.mean for part in parts], dim=-1),
        torch.cat([part.variance for part in parts], dim=-1),
    )


def from_outputs(outputs: Tensor) -> Mixture:
    """Read mixtures (K, M, N) from raw outputs (M, 3K, N): logits, means, ln sigma."""
    logit, mean, log_sigma = outputs.transpose(0, 1).chunk(3, dim=0)
    reach = SPREAD if len(mean) > 1 else 0.0
    places = torch.linspace(-reach, reach, len(mean), dtype=mean.dtype)[:, None, None]
    variance = FIRST_SIGMA**2 * torch.exp(2 * log_sigma.clamp(-8, 4)) + FLOOR
    return Mixture(torch.softmax(logit, dim=0), mean + places, variance)
