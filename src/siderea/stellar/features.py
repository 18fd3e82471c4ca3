"""Magnitudes to the inputs of a network, with any band missing, as a differentiable module.

A star is described by the *shape* of its energy distribution and never by its brightness unless
asked: magnitudes relative to the star's own mean offset from the average star, the colours of
neighbouring bands, which bands are missing, and the errors. So a common offset changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["CONTEXT", "FeatureOptions", "Features", "average_star"]

CONTEXT = ("ebv", "parallax", "parallax_err")
"""What may be known of a star besides its magnitudes, in this order in the context array."""
SOFT_LIMIT = 5.0
"""Scaled inputs x become x / sqrt(1 + (x/5)²): a wild value cannot reach further than 5."""
DEFAULT_ERROR = 0.02
"""mag; stands for an error that is unknown in every star of the training set."""


@dataclass(frozen=True)
class FeatureOptions:
    """What the network may look at.

    Parameters
    ----------
    ebv, parallax : bool
        Use the table's reddening; its parallax (with error), as an absolute magnitude.
    errors : bool
        Use the magnitude errors as inputs.
    brightness : bool
        Use the apparent magnitude: it carries the survey's selection, so not by default.
    """

    ebv: bool = False
    parallax: bool = False
    errors: bool = True
    brightness: bool = False


def average_star(mag: NDArray[np.float64], *, n_iterations: int = 10) -> NDArray[np.float64]:
    """Return the magnitudes (B,) of the average star, up to a common offset.

    Alternating medians: of each band relative to each star's offset, and mean offsets of each star.

    Parameters
    ----------
    mag : (N, B) ndarray
        NaN is missing; every band has some value.
    n_iterations : int
        Rounds of the alternation.

    Returns
    -------
    (B,) ndarray
        With mean zero.
    """
    known = ~np.isnan(mag)
    filled = np.where(known, mag, 0.0)
    average = np.zeros(mag.shape[1])
    for _ in range(n_iterations):
        offset = (np.where(known, filled - average, 0.0).sum(axis=1)) / known.sum(axis=1)
        average = np.array(
            [np.median((mag[:, b] - offset)[known[:, b]]) for b in range(mag.shape[1])]
        )
        average -= average.mean()
    return average


class Features(nn.Module):
    """Inputs of the network: F numbers that are embedded, and G that enter as they are.

    Parameters
    ----------
    n_bands : int
        B, in the order of wavelength.
    options : FeatureOptions
        What to look at.
    """

    average: Tensor
    centre: Tensor
    width: Tensor
    error_centre: Tensor

    def __init__(self, n_bands: int, options: FeatureOptions) -> None:
        super().__init__()
        self.n_bands, self.options = n_bands, options
        extra = options.ebv + 2 * options.parallax + options.brightness
        self.n_embedded = 2 * n_bands - 1 + extra
        self.n_plain = n_bands * (1 + options.errors) + options.ebv + options.parallax
        for name, size in (
            ("average", n_bands),
            ("centre", self.n_embedded),
            ("width", self.n_embedded),
            ("error_centre", n_bands),
        ):
            self.register_buffer(name, torch.zeros(size))

    def fit(self, mag: NDArray, err: NDArray, context: NDArray) -> Features:
        """Learn the average star, and centre and width of every input.

        Parameters
        ----------
        mag, err : (N, B) ndarray
            Cleaned magnitudes and errors.
        context : (N, 3) ndarray
            `CONTEXT`.

        Returns
        -------
        Features
            Itself.
        """
        self.average.copy_(torch.from_numpy(average_star(mag)))
        typical = [np.median(column[~np.isnan(column)], axis=0) if np.isfinite(column).any()
                   else DEFAULT_ERROR for column in err.T]  # fmt: skip
        self.error_centre.copy_(torch.from_numpy(np.asarray(typical)))
        raw = self._raw(*(torch.from_numpy(a).float() for a in (mag, context))).numpy()
        low, middle, high = (_quantile(raw, level) for level in (0.16, 0.5, 0.84))
        self.centre.copy_(torch.from_numpy(middle))
        self.width.copy_(torch.from_numpy(np.maximum((high - low) / 2, 1e-3)))
        return self

    def _raw(self, mag: Tensor, context: Tensor) -> Tensor:
        """Return the unscaled inputs (..., F), NaN where missing."""
        known = ~mag.isnan()
        relative = torch.nan_to_num(mag - self.average) * known
        offset = relative.sum(-1, keepdim=True) / known.sum(-1, keepdim=True).clamp(min=1)
        parts = [mag - self.average - offset, mag[..., 1:] - mag[..., :-1]]
        if self.options.ebv:
            parts.append(context[..., :1])
        if self.options.parallax:
            parts.append(_from_parallax(offset, context[..., 1:2], context[..., 2:3]))
        if self.options.brightness:
            parts.append(offset)
        return torch.cat(parts, dim=-1)

    def forward(self, mag: Tensor, err: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs of the network.

        Parameters
        ----------
        mag, err : (..., B) tensor
            NaN is missing.
        context : (..., 3) tensor
            `CONTEXT`; NaN is unknown.

        Returns
        -------
        embedded : (..., F) tensor
            Scaled to about -1 to 1, missing at 0.
        plain : (..., G) tensor
            Which bands (and context) are missing, and the logarithms of the errors.
        """
        scaled = (self._raw(mag, context) - self.centre) / self.width
        scaled = torch.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)
        plain = [mag.isnan().to(mag.dtype)]
        if self.options.errors:
            ratio = torch.where(mag.isnan() | err.isnan(), self.error_centre, err)
            plain.append(torch.log10(ratio.clamp(min=1e-4) / self.error_centre).clamp(-2, 2))
        if self.options.ebv:
            plain.append(context[..., :1].isnan().to(mag.dtype))
        if self.options.parallax:
            plain.append((context[..., 1:2] + context[..., 2:3]).isnan().to(mag.dtype))
        return scaled * torch.rsqrt(1 + (scaled / SOFT_LIMIT) ** 2), torch.cat(plain, dim=-1)


def _from_parallax(offset: Tensor, parallax: Tensor, error: Tensor) -> Tensor:
    """Return a softened absolute magnitude, and the logarithm of the parallax's signal to noise.

    A parallax that is small or negative within its error is replaced by the positive
    (ϖ + √(ϖ² + σ²)) / 2, which tends to ϖ for a good one and to a small positive number else.
    """
    error = error.clamp(min=1e-4)
    soft = 0.5 * (parallax + torch.sqrt(parallax**2 + error**2))
    absolute = offset + 5 * torch.log10(soft) - 10
    return torch.cat([absolute, torch.log10(soft / error)], dim=-1)


def _quantile(values: NDArray, level: float) -> NDArray:
    """Return the quantile of each column over its values that are not NaN (0 where all are)."""
    columns = (column[~np.isnan(column)] for column in values.T)
    return np.array([np.quantile(c, level) if c.size else 0.0 for c in columns])
