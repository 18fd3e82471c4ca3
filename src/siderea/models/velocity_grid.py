"""Velocities before the descent: cross-correlation with templates on a grid, so no start is missed.

One star: cross-correlation (a matrix product for few lags, FFT for many) with templates over the
label range. With line depths d of the data, t of the template and weights w,
χ²(v) = Σ w d² − C(v)²/A(v) for the best amplitude of the template, with C = Σ w d t(v) and
A = Σ w t(v)².

Two stars (TODCOR, Zucker & Mazeh 1994, ApJ 420, 806): the sum t₁(v₁) + t₂(v₂), each with its part
of the light, has C = C₁(v₁) + C₂(v₂) and A = A₁(v₁) + A₂(v₂) + 2 Σ w t₁(v₁) t₂(v₂), on all pairs of
velocities at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.constants import C_KMS
from siderea.models.protocol import DifferentiableModel

__all__ = [
    "SearchGrid",
    "is_broadening",
    "momentum_line",
    "pair_power",
    "single_power",
    "template_labels",
]

DIRECT_LAGS = 200
"""Up to so many lags one matrix product is faster than FFTs (measured: four times at 75)."""

COARSE_STEP = 8.0
"""Aimed step of the search, km/s: below the narrowest peak that a descent must start inside."""


@dataclass(frozen=True)
class SearchGrid:
    """Data in bins uniform in ln λ, and the lags that are searched.

    Parameters
    ----------
    log_centres : (B,) ndarray
        ln λ of the bins.
    step : float
        Bin width in ln λ.
    n_lags : int
        Lags searched on either side of 0.
    bin_of_pixel : (P,) ndarray of int
    """

    log_centres: NDArray[np.float64]
    step: float
    n_lags: int
    bin_of_pixel: NDArray[np.intp]

    @classmethod
    def over(
        cls, wavelength: NDArray[np.float64], max_velocity: float, step: float = COARSE_STEP
    ) -> SearchGrid:
        """Build the bins for the data's wavelengths."""
        logs = np.log(wavelength)
        pixel = float(np.median(np.diff(logs))) if logs.size > 1 else step / C_KMS
        width = pixel * max(1, round(step / C_KMS / pixel)) if pixel > 0 else step / C_KMS
        bins = np.floor((logs - logs.min()) / width + 1e-3).astype(np.intp)
        centres = logs.min() + width * np.arange(bins.max() + 1) + (width - pixel) / 2
        n_lags = int(np.ceil(np.arctanh(max_velocity / C_KMS) / width))
        return cls(centres, width, n_lags, bins)

    @property
    def velocities(self) -> NDArray[np.float64]:
        """Velocity of every lag (2 n_lags + 1,), km/s."""
        return C_KMS * np.tanh(self.step * np.arange(-self.n_lags, self.n_lags + 1))

    def bin(self, flux: NDArray, ivar: NDArray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return depths below the mean level and their weights (N, B)."""
        n_bins, n = self.log_centres.size, len(flux)
        place = (self.bin_of_pixel + n_bins * np.arange(n)[:, None]).ravel()
        weight = np.bincount(place, ivar.ravel(), n * n_bins).reshape(n, n_bins)
        depth = np.bincount(place, (ivar * (1 - flux)).ravel(), n * n_bins).reshape(n, n_bins)
        depth = np.divide(depth, weight, out=np.zeros_like(depth), where=weight > 0)
        mean = (weight * depth).sum(1) / np.maximum(weight.sum(1), 1e-300)
        # Only ratios matter; the scale keeps single precision from overflowing.
        weight = weight / np.maximum(weight.max(axis=1, keepdims=True), 1e-300)
        return torch.from_numpy(depth - mean[:, None]), torch.from_numpy(weight)

    def template(self, model: DifferentiableModel, flux: torch.Tensor) -> torch.Tensor:
        """Return depths (T, B + 2 n_lags) of model spectra (T, Q), with margins for the lags."""
        logs = torch.as_tensor(np.log(model.wavelength), device=flux.device)
        lags = self.step * np.arange(1, self.n_lags + 1)
        centres = np.concatenate(
            [self.log_centres[0] - lags[::-1], self.log_centres, self.log_centres[-1] + lags]
        )
        x = torch.as_tensor(centres, device=flux.device).clamp(float(logs[0]), float(logs[-1]))
        right = torch.searchsorted(logs, x).clamp(1, logs.numel() - 1)
        part = ((x - logs[right - 1]) / (logs[right] - logs[right - 1])).to(flux.dtype)
        depth = 1 - torch.lerp(flux[:, right - 1], flux[:, right], part)
        return depth - depth.mean(dim=1, keepdim=True)


def is_broadening(name: str) -> bool:
    """Tell whether a label is a width of lines."""
    return name in ("vmac", "vsini", "vbroad", "vmic_broad")


def template_labels(model: DifferentiableModel) -> NDArray[np.float64]:
    """Return labels (T, L) that cover the model's range for cross-correlation.

    Four temperatures, gravities at the middle (or three where the range exceeds 1.5 dex), two
    metallicities; narrow lines; solar [α/Fe]; the middle of anything else.
    """
    choices = []
    for name, (low, high) in zip(model.label_names, model.label_range, strict=True):
        if name == "teff":
            parts: tuple[float, ...] = (0.1, 0.35, 0.6, 0.85)
        elif name == "logg":
            parts = (0.5,) if high - low < 1.5 else (0.2, 0.5, 0.85)
        elif name == "fe_h":
            parts = (0.4, 0.8)
        elif is_broadening(name):
            parts = (0.15,)
        elif low < 0 < high:
            parts = (-low / (high - low),)
        else:
            parts = (0.5,)
        choices.append([low + part * (high - low) for part in parts])
    return np.array(list(product(*choices)))


def single_power(
    depth: torch.Tensor, weight: torch.Tensor, templates: torch.Tensor, n_lags: int
) -> torch.Tensor:
    """Return C²/A, the χ² that each template explains at each lag, (N, T, 2 n_lags + 1).

    Parameters
    ----------
    depth, weight : (N, B) tensor
    templates : (T, B + 2 n_lags) tensor
    n_lags : int
        A lag of +k bins is a star that recedes.
    """
    n_bins, n_lags_in_all = depth.shape[1], 2 * n_lags + 1
    weighted, powers = weight * depth, []
    for template in templates:
        if n_lags_in_all <= DIRECT_LAGS:
            shifted = template.unfold(0, n_bins, 1).flip(0)
            crossed, squared = weighted @ shifted.T, weight @ (shifted * shifted).T
        else:
            crossed = _correlation(weighted, template)[:, :n_lags_in_all].flip(-1)
            squared = _correlation(weight, template**2)[:, :n_lags_in_all].flip(-1)
        powers.append(crossed.clamp(min=0) ** 2 / squared.clamp(min=1e-300))
    return torch.stack(powers, 1)


def _correlation(data: torch.Tensor, template: torch.Tensor) -> torch.Tensor:
    """Return Σᵢ dataᵢ templateᵢ₊ₖ for k from 0, by FFT."""
    size = 1 << (template.numel() + data.shape[1]).bit_length()
    spectrum = torch.fft.rfft(data, size).conj() * torch.fft.rfft(template, size)
    return torch.fft.irfft(spectrum, size)


def pair_power(
    depth: torch.Tensor, weight: torch.Tensor, first: torch.Tensor, second: torch.Tensor
) -> torch.Tensor:
    """Return the χ² that a pair of templates explains at each pair of lags, (N, V, V).

    Parameters
    ----------
    depth, weight : (N, B) tensor
    first, second : (N, B + 2 n_lags) tensor
        Depths times the part of the light, one pair per spectrum.
    """
    n_bins = depth.shape[1]
    weighted = depth * weight
    out = []
    for one, two, d, w in zip(first, second, weighted, weight, strict=True):
        a, b = one.unfold(0, n_bins, 1).flip(0), two.unfold(0, n_bins, 1).flip(0)
        a_weighted = a * w
        crossed = (a @ d)[:, None] + (b @ d)[None, :]
        own = (a_weighted * a).sum(1)[:, None] + ((b * b) @ w)[None, :]
        both = own + 2 * (a_weighted @ b.T)
        out.append(crossed.clamp(min=0) ** 2 / both.clamp(min=1e-300))
    return torch.stack(out)


def momentum_line(
    power: NDArray, velocities: NDArray, ratios: tuple[float, float], n_ratios: int = 24
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Find q_dyn, γ and v₁ᵢ whose pairs of velocities explain most, at all visits together.

    Every visit's pair must lie on v₂ = (γ (1 + q) − v₁)/q; all q and γ of a grid are tried.

    Parameters
    ----------
    power : (N, V, lags, lags) ndarray
        From `pair_power`.
    velocities : (lags,) ndarray
        km/s.
    ratios : (float, float)
        Range of q_dyn.

    Returns
    -------
    q_dyn, gamma : (N,) ndarray
    primary : (N, V) ndarray
        v₁ᵢ, km/s.
    """
    step = velocities[1] - velocities[0]
    grid = np.linspace(*ratios, n_ratios)
    best = np.full(len(power), -np.inf)
    q_dyn, gamma = np.zeros(len(power)), np.zeros(len(power))
    primary = np.zeros(power.shape[:2])
    lags = np.arange(velocities.size)
    rows = np.arange(len(power))
    for q in grid:
        second = (velocities[:, None] * (1 + q) - velocities[None, :]) / q  # (γ, v₁)
        place = np.rint((second - velocities[0]) / step).astype(int)
        inside = (place >= 0) & (place < velocities.size)
        along = power[:, :, lags[None, :], np.clip(place, 0, velocities.size - 1)]
        along = np.where(inside, along, -1.0)
        total = along.max(axis=3).sum(axis=1)
        systemic = total.argmax(axis=1)
        value = total[rows, systemic]
        better = np.flatnonzero(value > best)
        best[better], q_dyn[better] = value[better], q
        gamma[better] = velocities[systemic[better]]
        primary[better] = velocities[along[better, :, systemic[better]].argmax(axis=2)]
    return q_dyn, gamma, primary
