"""The network inside the decoder, its exact derivatives in the labels, and how it is trained.

A pixel of flux f is drawn around the model m(ℓ) with variance

    V = σ² + s² + Σ_l (∂m/∂ℓ_l)² σ_l²:

its own error, the intrinsic scatter, and the label errors σ_l marginalised to first order, pixel by
pixel; the loss is −2 ln L = Σ (f − m)² / V + ln V. What an error of a label would do to a pixel is
not held against the network, and a star with poor labels counts little where they matter. The
covariance between the pixels that the same error of a label causes is left out on purpose: with it
(or with the labels as latent variables) the thousands of pixels of a spectrum outvote the one
catalogue value, and the labels lose the catalogue's scale.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from siderea.models.polynomial import PolynomialTerms

__all__ = ["Batch", "DecoderNetwork", "Training", "minus_two_ln_l", "train"]


class DecoderNetwork(nn.Module):
    """Scaled labels (N, L) -> flux (N, P): SiLU layers beside a polynomial, and ln s per pixel.

    The network only has to learn what the quadratic Cannon leaves.

    Parameters
    ----------
    terms : PolynomialTerms
        Of the polynomial.
    hidden : tuple of int
        Widths of the layers.
    mean, spread : (P,) Tensor
        Of the training flux: what comes out is mean + spread × network.
    """

    mean: Tensor
    spread: Tensor

    def __init__(
        self, terms: PolynomialTerms, hidden: tuple[int, ...], mean: Tensor, spread: Tensor
    ) -> None:
        super().__init__()
        self.terms = terms
        widths = (terms.n_labels, *hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.head = nn.Linear(widths[-1], len(mean))
        self.polynomial = nn.Linear(len(terms), len(mean), bias=False)
        for weight in (self.head.weight, self.head.bias, self.polynomial.weight):
            nn.init.zeros_(weight)
        nn.init.normal_(self.head.weight, std=0.1 / widths[-1] ** 0.5)
        self.ln_scatter = nn.Parameter(torch.log(0.5 * spread))
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, labels: Tensor) -> Tensor:
        """Return flux (N, P)."""
        x = labels
        for layer in self.layers:
            x = nn.functional.silu(layer(x))
        return self._flux(x, labels)

    def _flux(self, x: Tensor, labels: Tensor) -> Tensor:
        smooth = self.polynomial(self.terms.design_torch(labels))
        return self.mean + self.spread * (self.head(x) + smooth)

    def start_at(self, labels: Tensor, flux: Tensor) -> None:
        """Set the polynomial to its least-squares fit of the training flux."""
        design = self.terms.design_torch(labels)
        fitted = torch.linalg.lstsq(design, (flux - self.mean) / self.spread).solution
        with torch.no_grad():
            self.polynomial.weight.copy_(fitted.T)

    def with_jacobian(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return flux (N, P) and its derivatives (N, L, P), by tangents carried forward."""
        x = labels
        tangent = torch.eye(labels.shape[1], dtype=labels.dtype).expand(len(labels), -1, -1)
        smooth = self.terms.gradient_torch(labels) @ self.polynomial.weight.T
        for layer in self.layers:
            z = layer(x)
            gate = torch.sigmoid(z)
            x = z * gate
            tangent = (gate * (1 + z * (1 - gate)))[:, None] * (tangent @ layer.weight.T)
        slopes = self.spread * (tangent @ self.head.weight.T + smooth)
        return self._flux(x, labels), slopes


@dataclass(frozen=True)
class Batch:
    """Spectra (N, P) with scaled labels (N, L) and their errors (N, L)."""

    flux: Tensor
    ivar: Tensor
    labels: Tensor
    label_errors: Tensor

    def take(self, rows: Tensor) -> Batch:
        """Return some of the stars."""
        return Batch(self.flux[rows], self.ivar[rows], self.labels[rows], self.label_errors[rows])

    def __len__(self) -> int:
        return len(self.flux)


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Parameters
    ----------
    max_epochs, batch_size, patience : int
        ``patience``: epochs without a better validation before it stops.
    learning_rate, weight_decay : float
        Of AdamW; the rate falls to nothing along a cosine.
    validation_fraction : float
        Of the stars, that only say when to stop.
    """

    max_epochs: int = 300
    batch_size: int = 16
    patience: int = 40
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    validation_fraction: float = 0.15


def minus_two_ln_l(network: DecoderNetwork, batch: Batch) -> Tensor:
    """Return −2 ln L per good pixel, labels marginalised to first order (a scalar)."""
    variance = torch.exp(2 * network.ln_scatter)
    if batch.label_errors.any():
        model, jacobian = network.with_jacobian(batch.labels)
        slopes = jacobian * batch.label_errors[:, :, None]
        variance = variance + (slopes**2).sum(dim=1)
    else:
        model = network(batch.labels)
    weights = batch.ivar / (1 + variance * batch.ivar)
    good = batch.ivar > 0
    terms = weights * (batch.flux - model) ** 2 - torch.log(torch.where(good, weights, 1.0))
    return terms.sum() / good.sum().clamp(min=1)


def train(
    network: DecoderNetwork, data: Batch, settings: Training, generator: torch.Generator
) -> list[tuple[float, float]]:
    """Train in place; stop when the validation stars stop improving, and keep the best weights.

    Parameters
    ----------
    network : DecoderNetwork
    data : Batch
    settings : Training
    generator : torch.Generator
        Splits and shuffles the stars.

    Returns
    -------
    list of (float, float)
        Loss on the training and on the validation stars, by epoch.
    """
    order = torch.randperm(len(data), generator=generator)
    n_held = max(round(settings.validation_fraction * len(data)), 1)
    held, used = data.take(order[:n_held]), data.take(order[n_held:])
    optimiser = torch.optim.AdamW(
        _groups(network, settings.weight_decay), lr=settings.learning_rate
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.max_epochs)
    history: list[tuple[float, float]] = []
    best, lowest, since = copy.deepcopy(network.state_dict()), float("inf"), 0
    for _ in range(settings.max_epochs):
        fitted = _epoch(network, used, optimiser, settings.batch_size, generator)
        schedule.step()
        with torch.no_grad():
            value = float(minus_two_ln_l(network, held))
        history.append((fitted, value))
        since += 1
        if value < lowest:
            best, lowest, since = copy.deepcopy(network.state_dict()), value, 0
        if since >= settings.patience:
            break
    network.load_state_dict(best)
    return history


def _groups(network: DecoderNetwork, weight_decay: float) -> list[dict]:
    """Decay the weights; never the scatter, the biases, or the polynomial."""
    decayed = [*(layer.weight for layer in network.layers), network.head.weight]
    names = {id(one) for one in decayed}
    others = [one for one in network.parameters() if id(one) not in names]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _epoch(
    network: DecoderNetwork,
    data: Batch,
    optimiser: torch.optim.Optimizer,
    batch_size: int,
    generator: torch.Generator,
) -> float:
    """Pass once over the stars; return their mean loss."""
    total = 0.0
    for rows in _shuffled(len(data), batch_size, generator):
        loss = minus_two_ln_l(network, data.take(rows))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        total += float(loss.detach()) * len(rows)
    return total / max(len(data), 1)


def _shuffled(n: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    yield from torch.randperm(n, generator=generator).split(size)
