"""Layers of a whole ensemble at once, for tensors (M members, features, N stars).

The stars stand last, so that what is done to a few features of each runs along memory. One batched
product serves all members, which on a CPU costs hardly more than one network of the same number of
weights, and the members stay independent networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from siderea.errors import DataError

__all__ = [
    "BACKBONES",
    "FeatureAttention",
    "Linear",
    "PeriodicEmbedding",
    "Plain",
    "ResDense",
    "ResDenseBlock",
    "Wide",
    "make_backbone",
]


class Linear(nn.Module):
    """M linear layers side by side.

    Parameters
    ----------
    members, n_in, n_out : int
        M, and the widths.
    gain : float
        Of the initial weights: standard deviation gain / sqrt(n_in).
    """

    def __init__(self, members: int, n_in: int, n_out: int, *, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(members, n_out, n_in) * gain / math.sqrt(n_in))
        self.bias = nn.Parameter(torch.zeros(members, n_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(M, n_in, N) to (M, n_out, N)."""
        return torch.baddbmm(self.bias, self.weight, x)


class PeriodicEmbedding(nn.Module):
    """Each number to itself and a few learned linear mixtures of cos(2π f x + φ).

    Fine structure along one colour becomes linear in what follows, which plain layers learn slowly.

    Parameters
    ----------
    members, n_in : int
        M and F.
    n_frequencies, n_out : int
        Frequencies, and outputs per number (the number itself is one of them).
    sigma : float
        Standard deviation of the initial frequencies.

    References
    ----------
    Gorishniy, Rubachev & Babenko (2022); the variant with bias and skip is that of Holzmüller,
    Grinsztajn & Steinwart (2024).
    """

    def __init__(
        self,
        members: int,
        n_in: int,
        *,
        n_frequencies: int = 8,
        n_out: int = 4,
        sigma: float = 0.2,
    ) -> None:
        super().__init__()
        shape = (members, n_in, n_frequencies, 1)
        self.frequency = nn.Parameter(2 * math.pi * sigma * torch.randn(shape))
        self.phase = nn.Parameter((2 * torch.rand(shape) - 1) * math.pi)
        mix = torch.randn(members, n_in, n_out - 1, n_frequencies)
        self.weight = nn.Parameter(mix / math.sqrt(n_frequencies))
        self.n_out = n_in * n_out

    def forward(self, x: Tensor) -> Tensor:
        """(M, F, N) to (M, F · n_out, N)."""
        angle = torch.addcmul(self.phase, x.unsqueeze(2), self.frequency)  # (M, F, waves, N)
        wave = torch.cos(angle) if self.training else angle.cos_()
        return torch.cat([x, torch.matmul(self.weight, wave).flatten(1, 2)], dim=1)


class Plain(nn.Module):
    """The report's first net: dense layers with rectifiers, 1024 and 512 wide.

    References
    ----------
    Ramuz (2020), section 3.4.
    """

    def __init__(
        self, members: int, n_in: int, *, widths: tuple[int, ...] = (1024, 512), dropout: float = 0
    ) -> None:
        super().__init__()
        sizes = (n_in, *widths)
        self.layers = nn.ModuleList(Linear(members, a, b) for a, b in pairwise(sizes))
        self.dropout, self.n_out = dropout, sizes[-1]

    def forward(self, x: Tensor) -> Tensor:
        """(M, n_in, N) to (M, n_out, N)."""
        for layer in self.layers:
            x = functional.dropout(torch.relu(layer(x)), self.dropout, self.training)
        return x


class Wide(nn.Module):
    """Ours: smooth dense layers, to be fed with a periodic embedding."""

    def __init__(
        self, members: int, n_in: int, *, width: int = 96, depth: int = 2, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Linear(members, n_in if k == 0 else width, width) for k in range(depth)
        )
        self.dropout, self.n_out = dropout, width

    def forward(self, x: Tensor) -> Tensor:
        """(M, n_in, N) to (M, width, N)."""
        for layer in self.layers:
            x = functional.silu(layer(x), inplace=not self.training)
            x = functional.dropout(x, self.dropout, self.training)
        return x


class FeatureAttention(nn.Module):
    """Weigh each feature by what all of them say: x · 2σ(W₂ relu(W₁ x)).

    The squeeze-and-excitation gate (Hu et al. 2018), 1 for every feature at the start.
    """

    def __init__(self, members: int, n: int, *, squeeze: int = 4) -> None:
        super().__init__()
        inner = max(n // squeeze, 4)
        self.squeeze = Linear(members, n, inner)
        self.excite = Linear(members, inner, n, gain=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """(M, n, N) to (M, n, N)."""
        return x * 2 * torch.sigmoid(self.excite(torch.relu(self.squeeze(x))))


class ResDenseBlock(nn.Module):
    """A dense layer, attention, a second dense layer; the input is added, brought to their width.

    The residual branch starts small, so that a deep stack is close to linear at first and trains
    without batch statistics.
    """

    def __init__(
        self, members: int, n_in: int, n_out: int, *, attention: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.first = Linear(members, n_in, n_out)
        self.second = Linear(members, n_out, n_out, gain=0.3)
        self.attention = FeatureAttention(members, n_out) if attention else nn.Identity()
        self.skip = nn.Identity() if n_in == n_out else Linear(members, n_in, n_out, gain=1.0)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(M, n_in, N) to (M, n_out, N)."""
        inner = self.attention(functional.silu(self.first(x)))
        inner = functional.dropout(inner, self.dropout, self.training)
        return self.skip(x) + self.second(inner)


class ResDense(nn.Module):
    """The report's encoder and decoder: widths double up to a largest, then halve again.

    Each level of the decoder is given, added, what the encoder had at that width.

    Parameters
    ----------
    members, n_in : int
        M, and the inputs.
    depth : int
        Number of ResDense blocks, even: half of them encode.
    n_first, n_max : int
        Width of the first block, and the largest width (the report: 64 and 2048 to 4096).
    attention : bool
        A gate in every block.
    dropout : float
        Inside the blocks.

    References
    ----------
    Ramuz (2020), section 4.3.
    """

    def __init__(
        self,
        members: int,
        n_in: int,
        *,
        depth: int = 6,
        n_first: int = 64,
        n_max: int = 256,
        attention: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if depth < 2 or depth % 2:
            raise DataError(f"depth: found {depth}; expected an even number of blocks, 2 or more")
        widths = [min(n_first * 2**k, n_max) for k in range(depth // 2)]

        def block(a: int, b: int) -> ResDenseBlock:
            return ResDenseBlock(members, a, b, attention=attention, dropout=dropout)

        self.start = Linear(members, n_in, n_first)
        self.down = nn.ModuleList(
            block(a, b) for a, b in zip([n_first, *widths[:-1]], widths, strict=True)
        )
        back = [n_first, *widths[:-1]][::-1]
        self.up = nn.ModuleList(
            block(a, b) for a, b in zip([widths[-1], *back[:-1]], back, strict=True)
        )
        self.n_out = n_first

    def forward(self, x: Tensor) -> Tensor:
        """(M, n_in, N) to (M, n_first, N)."""
        x = self.start(x)
        kept = []
        for block in self.down:
            kept.append(x)
            x = block(x)
        for block in self.up:
            x = block(x) + kept.pop()
        return functional.silu(x)


BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "wide": Wide,
    "resdense": ResDense,
    "plain": Plain,
}
"""Backbones by name."""


def make_backbone(name: str, members: int, n_in: int, **options: float) -> nn.Module:
    """Return a backbone with its options.

    Raises
    ------
    DataError
        If there is no such backbone, or it has no such option.
    """
    if name not in BACKBONES:
        raise DataError(f"backbone: found {name!r}; expected one of {', '.join(BACKBONES)}")
    try:
        return BACKBONES[name](members, n_in, **options)
    except TypeError as error:
        raise DataError(f"backbone {name!r}: {error}; found options {sorted(options)}") from error
