"""A small model with known answers, for tests and examples that must not need any files.

Lines whose optical depth follows temperature, gravity and metallicity, on a black body. It teaches
nothing about real stars.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.constants import C_KMS
from siderea.data import Medium

__all__ = ["PowerLawSequence", "SchematicModel"]

HC_K = 1.438_776_877e8
"""h c / k, Å K (CODATA)."""

TWO_HC2 = 1.191_042_972e27
"""2 h c² in erg s⁻¹ cm⁻² Å⁻¹ Å⁵ (CODATA)."""


@dataclass(frozen=True)
class PowerLawSequence:
    """A main sequence of power laws: T ∝ M^0.6, R ∝ M^0.9, with R = 1 at 5800 K."""

    def radius(self, teff: torch.Tensor, logg: torch.Tensor, fe_h: torch.Tensor) -> torch.Tensor:
        """Return radii, solar."""
        return (teff / 5800.0) ** 1.5 + 0.0 * (logg + fe_h)

    def companion(
        self, teff: torch.Tensor, logg: torch.Tensor, fe_h: torch.Tensor, q: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (teff, logg) of the companion of mass ratio q."""
        return teff * q**0.6, logg - 0.8 * torch.log10(q) + 0.0 * fe_h


@dataclass(frozen=True)
class SchematicModel:
    """Gaussian lines on a black body; a `siderea.models.protocol.DifferentiableModel`.

    Parameters
    ----------
    wavelength : (P,) ndarray
        Å.
    medium : {"air", "vacuum"}
    arms : tuple of slice
        Tiles of the P pixels.
    n_lines : int
        Lines, at places and of strengths that a fixed seed draws.
    """

    wavelength: NDArray[np.float64]
    medium: Medium = "vacuum"
    arms: tuple[slice, ...] = ()
    n_lines: int = 80
    resolution: float = 20_000.0
    label_names: tuple[str, ...] = ("teff", "logg", "fe_h", "vbroad")

    @property
    def label_range(self) -> NDArray[np.float64]:
        """Range of the labels."""
        return np.array([[4000.0, 7500.0], [3.5, 5.0], [-1.0, 0.5], [1.0, 60.0]])

    @property
    def main_sequence(self) -> PowerLawSequence:
        """Radii and companions."""
        return PowerLawSequence()

    @cached_property
    def _lines(self) -> tuple[torch.Tensor, ...]:
        rng = np.random.default_rng(20)
        low, high = np.log(self.wavelength[[0, -1]])
        margin = 0.02 * (high - low)
        place = rng.uniform(low - margin, high + margin, self.n_lines)
        strength = rng.uniform(-1.6, 0.3, self.n_lines)
        slopes = rng.normal(-2.0, 3.0, self.n_lines)
        gravity = rng.normal(0.0, 0.15, self.n_lines)
        values = (place, strength, slopes, gravity)
        return tuple(torch.tensor(v, dtype=torch.float64) for v in values)

    def normalised(self, labels: torch.Tensor) -> torch.Tensor:
        """Return normalised flux (N, P) for labels (N, 4)."""
        teff, logg, fe_h, width = (labels[:, i, None] for i in range(4))
        place, strength, slopes, gravity = (line.to(labels.device) for line in self._lines)
        hot = torch.log(teff / 5500.0)
        log_depth = strength + 0.4 * fe_h + gravity * (logg - 4.5) + 0.43 * slopes * hot
        sigma = torch.sqrt(width**2 + 6.0**2) / C_KMS
        x = torch.as_tensor(np.log(self.wavelength), device=labels.device)[:, None] - place
        shape = torch.exp(-0.5 * (x / sigma[..., None]) ** 2) * (6.0 / C_KMS / sigma[..., None])
        return torch.exp(-(shape @ (10.0**log_depth)[..., None])[..., 0])

    def density(self, labels: torch.Tensor) -> torch.Tensor:
        """Return flux density (N, P), erg s⁻¹ cm⁻² Å⁻¹."""
        x = torch.as_tensor(self.wavelength, device=labels.device)
        planck = TWO_HC2 / x**5 / torch.expm1(HC_K / x / labels[:, :1])
        return np.pi * planck * self.normalised(labels)

    def predict(self, labels: ArrayLike) -> NDArray[np.float64]:
        """Return normalised flux (N, P)."""
        rows = torch.as_tensor(np.atleast_2d(np.asarray(labels, dtype=float)))
        return self.normalised(rows).numpy()

    def flux_density(self, labels: ArrayLike) -> NDArray[np.float64]:
        """Return flux density (N, P)."""
        rows = torch.as_tensor(np.atleast_2d(np.asarray(labels, dtype=float)))
        return self.density(rows).numpy()
