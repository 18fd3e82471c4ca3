"""The networks of the autoencoder: dense or convolutional, one for all arms or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["ConvolutionalBlock", "DenseBlock", "SpectrumNetwork", "weighted_loss"]

_CHANNELS = (8, 16, 32)
_STRIDE = 4


def weighted_loss(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return Σ w (x̂ − x)² / (number of good pixels) over a batch.

    Parameters
    ----------
    output, target, weight : (N, B) Tensor
        The network's spectra, the observed ones, and 1/(σ² + s²) or 0 for a bad pixel.

    Returns
    -------
    Tensor
        About 1 where the spectra are met within their errors.
    """
    return (weight * (output - target) ** 2).sum() / (weight > 0).sum().clamp(min=1)


class DenseBlock(nn.Module):
    """Dense autoencoder that starts as principal components and learns what they miss.

    z = A h + MLP(h) with h = W (x − μ), and back likewise: with the outputs of the two MLPs at zero
    it is the projection on the leading components.

    Parameters
    ----------
    mean : (B,) ndarray
        Mean spectrum μ.
    components : (H, B) ndarray
        Orthonormal rows; H is the width of the hidden layers.
    scale : float
        Spread of the leading scores, by which the latent coordinates are divided.
    latent_dim : int
        K, no more than H.
    """

    def __init__(self, mean: NDArray, components: NDArray, scale: float, latent_dim: int) -> None:
        super().__init__()
        width, n_bins = components.shape
        rows = torch.as_tensor(components, dtype=torch.float32)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.first, self.last = nn.Linear(n_bins, width), nn.Linear(width, n_bins)
        self.down, self.up = nn.Linear(width, latent_dim), nn.Linear(latent_dim, width)
        self.bend_down = _bend(width, width, latent_dim)
        self.bend_up = _bend(latent_dim, width, width)
        with torch.no_grad():
            for layer in (self.first, self.last, self.down, self.up):
                layer.bias.zero_()
            self.first.weight.copy_(rows / scale)
            self.last.weight.copy_(rows.T * scale)
            self.down.weight.copy_(torch.eye(latent_dim, width))
            self.up.weight.copy_(torch.eye(width, latent_dim))

    def encode(self, x: Tensor, good: Tensor) -> Tensor:
        """Return latent coordinates (N, K) of spectra (N, B) and their good bins."""
        hidden = self.first((x - self.mean) * good)
        return self.down(hidden) + self.bend_down(hidden)

    def decode(self, z: Tensor) -> Tensor:
        """Return spectra (N, B)."""
        return self.last(self.up(z) + self.bend_up(z)) + self.mean


def _bend(n_in: int, width: int, n_out: int) -> nn.Sequential:
    """Return one hidden layer whose output starts at zero."""
    last = nn.Linear(width, n_out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(n_in, width), nn.GELU(), last)


class ConvolutionalBlock(nn.Module):
    """One-dimensional convolutions of stride 4, three of them, and a dense layer to the latent.

    Parameters
    ----------
    mean : (B,) ndarray
        Mean spectrum.
    scale : float
        rms of a bin about the mean, to which the input is scaled.
    latent_dim : int
        K.
    """

    def __init__(self, mean: NDArray, scale: float, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(float(scale)))
        self.n_bins = mean.size
        self.n_coarse = -(-mean.size // _STRIDE ** len(_CHANNELS))
        wide = (1, *_CHANNELS)
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for n_in, n_out in pairwise(wide):
            down += [nn.Conv1d(n_in, n_out, 9, stride=_STRIDE, padding=4), nn.GELU()]
            up = [nn.ConvTranspose1d(n_out, n_in, 8, stride=_STRIDE, padding=2), nn.GELU(), *up]
        self.down, self.up = nn.Sequential(*down), nn.Sequential(*up[:-1])
        self.squeeze = nn.Linear(_CHANNELS[-1] * self.n_coarse, latent_dim)
        self.expand = nn.Linear(latent_dim, _CHANNELS[-1] * self.n_coarse)

    def encode(self, x: Tensor, good: Tensor) -> Tensor:
        """Return latent coordinates (N, K) of spectra (N, B) and their good bins."""
        offset = (x - self.mean) * good / self.scale
        padding = self.n_coarse * _STRIDE ** len(_CHANNELS) - self.n_bins
        seen = self.down(nn.functional.pad(offset, (0, padding))[:, None])
        return self.squeeze(seen.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Return spectra (N, B)."""
        coarse = nn.functional.gelu(self.expand(z)).unflatten(1, (_CHANNELS[-1], self.n_coarse))
        return self.up(coarse)[:, 0, : self.n_bins] * self.scale + self.mean


class SpectrumNetwork(nn.Module):
    """One block for all bins, or one for each arm, whose latent coordinates stand side by side.

    Parameters
    ----------
    blocks : sequence of Module
        Each encodes and decodes its own bins.
    slices : sequence of slice
        The bins of each block, consecutive.
    latent_dims : sequence of int
        Latent coordinates of each block.
    """

    def __init__(
        self, blocks: Sequence[nn.Module], slices: Sequence[slice], latent_dims: Sequence[int]
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.slices = tuple(slices)
        ends = np.cumsum(latent_dims)
        self.latents = tuple(
            slice(int(end - k), int(end)) for end, k in zip(ends, latent_dims, strict=True)
        )

    def encode(self, x: Tensor, good: Tensor) -> Tensor:
        """Return latent coordinates (N, K) of spectra (N, B) and their good bins."""
        pieces = zip(self.blocks, self.slices, strict=True)
        return torch.cat([b.encode(x[:, bins], good[:, bins]) for b, bins in pieces], dim=1)

    def decode(self, z: Tensor) -> Tensor:
        """Return spectra (N, B)."""
        pieces = zip(self.blocks, self.latents, strict=True)
        return torch.cat([block.decode(z[:, part]) for block, part in pieces], dim=1)

    def forward(self, x: Tensor, good: Tensor) -> Tensor:
        """Return what the network makes of spectra (N, B)."""
        return self.decode(self.encode(x, good))
