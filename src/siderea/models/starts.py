"""Where the descents start: from the velocity grids, at several mass ratios."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.models.composite import Composite, Single
from siderea.models.protocol import DifferentiableModel
from siderea.models.velocity_grid import (
    SearchGrid,
    is_broadening,
    pair_power,
    single_power,
    template_labels,
)

__all__ = ["binary_starts", "single_starts"]

MASS_RATIOS = (0.95, 0.8, 0.6)
"""Where descents start: far enough apart for the valleys in q, which χ² can have two of."""

NARROW = 0.2
"""Part of the range of a broadening label that templates of a pair have at most."""


def _light(model: DifferentiableModel, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return normalised flux (R, Q) and the mean continuum (R,) of stars."""
    flux = model.normalised(labels)
    density = model.density(labels)
    return flux, (density.mean(1) / flux.mean(1)).to(torch.float64)


@torch.no_grad()
def single_starts(
    single: Single,
    model: DifferentiableModel,
    search: SearchGrid,
    binned: tuple[torch.Tensor, torch.Tensor],
) -> NDArray[np.float64]:
    """Return the best template's labels and velocity for every spectrum, (N, L + 1)."""
    labels = template_labels(model)
    templates = search.template(model, model.normalised(torch.as_tensor(labels)))
    power = single_power(*binned, templates.to(binned[0].dtype), search.n_lags)
    best = power.flatten(1).argmax(1).cpu().numpy()
    template, lag = np.divmod(best, power.shape[2])
    return np.column_stack([labels[template], search.velocities[lag]])


def _theta_at(
    binary: Composite, labels: NDArray, names: tuple[str, ...], q: float
) -> NDArray[np.float64]:
    """Return parameters (N, D) of a binary with a primary of given labels, velocities 0."""
    known = dict(zip(names, labels.T, strict=True))
    theta = np.zeros((len(labels), len(binary.label_names)))
    for column, (name, (low, high)) in enumerate(
        zip(binary.label_names, binary.label_range, strict=True)
    ):
        base, _, number = name.rpartition("_")
        base = base if number.isdigit() else name
        if base in ("q", "radius_ratio"):
            theta[:, column] = q
        elif base in known and base != "rv":
            value = known[base]
            if is_broadening(base):
                value = np.minimum(value, low + NARROW * (high - low))
            if base == "teff" and number == "2":  # a cooler companion, roughly T ∝ M^0.6
                value = value * q**0.6
            theta[:, column] = value
        elif base != "rv":
            theta[:, column] = 0.5 * (low + high)
    return np.clip(theta, *binary.label_range.T)


@torch.no_grad()
def binary_starts(
    binary: Composite,
    model: DifferentiableModel,
    search: SearchGrid,
    binned: tuple[torch.Tensor, torch.Tensor],
    labels: NDArray,
    names: tuple[str, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return starts (N, K, D), and the χ² explained (N, K), for primaries near ``labels`` (N, L).

    At every mass ratio the best pair of velocities with the primary receding, and the best with
    it approaching.
    """
    velocities, starts, explained = search.velocities, [], []
    lags = np.arange(velocities.size)
    sides = np.sign(lags[:, None] - lags[None, :])
    for q in MASS_RATIOS:
        theta = _theta_at(binary, labels, names, q)
        stars = binary.components(torch.as_tensor(theta))
        flux, level = _light(model, stars.labels.flatten(0, 1))
        depth = search.template(model, flux).unflatten(0, (-1, 2))
        light = level.unflatten(0, (-1, 2)) * stars.weight
        depth = depth * (light / light.sum(1, keepdim=True)).to(depth.dtype)[..., None]
        dtype = binned[0].dtype
        power = pair_power(*binned, depth[:, 0].to(dtype), depth[:, 1].to(dtype)).cpu().numpy()
        for side in (1, -1):
            chosen = np.where(sides == side, power, -1.0).reshape(len(theta), -1)
            best = chosen.argmax(1)
            one, two = np.divmod(best, velocities.size)
            start = theta.copy()
            start[:, binary.label_names.index("rv_1")] = velocities[one]
            start[:, binary.label_names.index("rv_2")] = velocities[two]
            starts.append(start)
            explained.append(chosen[np.arange(len(theta)), best])
    return np.stack(starts, 1), np.stack(explained, 1)
