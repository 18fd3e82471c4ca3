"""Heads: from the backbone's features to a distribution per label and a class.

`Causal` follows the physics of the report: the temperature sets the colours first, so it is found
first; the metallicity is found knowing it, the gravity knowing both, and the class knowing all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from siderea.errors import DataError
from siderea.stellar.blocks import Linear
from siderea.stellar.mixture import Mixture, from_outputs

__all__ = ["CAUSAL_ORDER", "HEADS", "Heads", "make_heads"]

CAUSAL_ORDER = ("teff", "fe_h", "logg")
"""Each label is found knowing those before it."""
HEADS = ("causal", "independent", "scaled_sigmoid")
"""Kinds of heads."""


class Heads(nn.Module):
    """A mixture per label, then the logit of being a giant.

    Parameters
    ----------
    members, n_in, n_labels : int
        M, features of the backbone, L.
    n_components : int
        K Gaussians per label.
    causal : bool
        Give each head mean and standard deviation of the labels before it.
    hidden : int
        Width of the layer that each head has of its own.
    """

    def __init__(
        self,
        members: int,
        n_in: int,
        n_labels: int,
        *,
        n_components: int = 3,
        causal: bool = True,
        hidden: int = 32,
    ) -> None:
        super().__init__()
        self.causal, self.hidden = causal, hidden
        outputs = [3 * n_components] * n_labels + [1]
        self.inner = Linear(members, n_in, hidden * len(outputs))
        self.known = nn.ModuleList(
            Linear(members, 2 * k, hidden) for k in range(1, len(outputs) * causal)
        )
        self.outer = nn.ModuleList(Linear(members, hidden, out, gain=0.3) for out in outputs)

    def forward(self, features: Tensor) -> tuple[list[Mixture], Tensor]:
        """Return L mixtures (K, M, N), and the giants' logit (M, N)."""
        inner = self.inner(features).split(self.hidden, dim=1)
        known: list[Tensor] = []
        mixtures: list[Mixture] = []
        for k, outer in enumerate(self.outer[:-1]):  # type: ignore[index]
            mixtures.append(from_outputs(outer(functional.silu(self._given(inner[k], known)))))
            if self.causal:
                mean, sigma = mixtures[-1].moments()
                known += [mean.clamp(-10, 10), sigma.clamp(max=5.0)]
        logit = self.outer[-1](functional.silu(self._given(inner[-1], known)))
        return mixtures, logit.squeeze(1)

    def _given(self, hidden: Tensor, known: list[Tensor]) -> Tensor:
        """Add what the labels before this one say."""
        if not known:
            return hidden
        return hidden + self.known[len(known) // 2 - 1](torch.stack(known, dim=1))


class ScaledSigmoid(nn.Module):
    """The report's first output: one number per label, squeezed into a range by a sigmoid.

    It is returned as a mixture of one Gaussian of constant width, whose likelihood is the squared
    error that the report minimised.
    """

    low: Tensor
    high: Tensor

    def __init__(self, members: int, n_in: int, n_labels: int) -> None:
        super().__init__()
        self.linear = Linear(members, n_in, n_labels, gain=0.3)
        self.giant = Linear(members, n_in, 1, gain=0.3)
        self.register_buffer("low", torch.full((n_labels, 1), -5.0))
        self.register_buffer("high", torch.full((n_labels, 1), 5.0))
        self.log_sigma = nn.Parameter(torch.zeros(members, n_labels, 1))

    def forward(self, features: Tensor) -> tuple[list[Mixture], Tensor]:
        """Return L mixtures of one component (1, M, N), and the giants' logit (M, N)."""
        squeezed = torch.sigmoid(self.linear(features))
        value = self.low + (self.high - self.low) * squeezed
        parts = [torch.zeros_like(value), value, self.log_sigma.expand_as(value)]
        raw = torch.stack(parts, dim=2)  # (M, L, 3, N)
        mixtures = [from_outputs(raw[:, k]) for k in range(raw.shape[1])]
        return mixtures, self.giant(features).squeeze(1)


def make_heads(
    kind: str, members: int, n_in: int, n_labels: int, *, n_components: int = 3
) -> nn.Module:
    """Return heads by name.

    Raises
    ------
    DataError
        If there is no such kind.
    """
    if kind not in HEADS:
        raise DataError(f"heads: found {kind!r}; expected one of {', '.join(HEADS)}")
    if kind == "scaled_sigmoid":
        return ScaledSigmoid(members, n_in, n_labels)
    causal = kind == "causal"
    return Heads(members, n_in, n_labels, n_components=n_components, causal=causal)
