"""Companions of isochrones as a pairing of composites: for models without a main sequence.

The second star follows from the first one's Teff, log g, [Fe/H] and the mass ratio (see
`siderea.binaries.companions`), and weighs (R₂/R₁)² = q g₁/g₂. At q = 1 it is the first star.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import torch

from siderea.binaries.companions import Companions, default_companions
from siderea.models.pairing import ByRatio, Columns, Star, mass_ratios, smallest_ratio

__all__ = ["ByCompanions"]


@dataclass(frozen=True)
class ByCompanions(ByRatio):
    """A `siderea.models.pairing.Pairing` by tabulated companions.

    Parameters
    ----------
    companions : Companions
        Of the shipped isochrones by default.
    lowest_q : float
        Lower end of the range of q.
    """

    companions: Companions = field(default_factory=default_companions)
    lowest_q: float = 0.2

    def stars(self, columns: Columns, n_stars: int) -> list[Star]:
        """See `Pairing.stars`."""
        teff, logg, fe_h = columns["teff"], columns["logg"], columns["fe_h"]
        stars: list[Star] = [({"teff": teff, "logg": logg}, torch.ones_like(teff))]
        for name in mass_ratios(n_stars):
            q = columns[name]
            cool, dense = self.companion(teff, logg, fe_h, q)
            stars.append(({"teff": cool, "logg": dense}, q * 10 ** (logg - dense)))
        return stars

    def smallest_q(self, columns: Columns, coolest: float) -> torch.Tensor:
        """Return the smallest q (N,) whose companion is not cooler than ``coolest`` (K)."""
        return smallest_ratio(self.companion, self.lowest_q, columns, coolest)

    def companion(
        self, teff: torch.Tensor, logg: torch.Tensor, fe_h: torch.Tensor, q: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (teff, logg) of the companion, differentiable; arguments of one shape."""
        axes, table = self._tables
        cells = [_cell(axis.to(x), x) for axis, x in zip(axes, (teff, logg, fe_h, q), strict=True)]
        warmer, denser = torch.zeros_like(teff), torch.zeros_like(teff)
        for corner in product((0, 1), repeat=4):
            weight = torch.ones_like(teff)
            for above, (_, part) in zip(corner, cells, strict=True):
                weight = weight * (part if above else 1 - part)
            rows = tuple(low + above for above, (low, _) in zip(corner, cells, strict=True))
            entry = table.to(teff)[rows]
            warmer, denser = warmer + weight * entry[..., 0], denser + weight * entry[..., 1]
        return teff * torch.exp(warmer), logg + denser

    @cached_property
    def _tables(self) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        axes = tuple(torch.from_numpy(axis.copy()) for axis in self.companions.axes)
        return axes, torch.from_numpy(self.companions.table.copy())


def _cell(axis: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the entry below each value, and the part of the interval above it."""
    place = torch.searchsorted(axis, x.detach().contiguous(), right=True) - 1
    low = place.clamp(0, axis.numel() - 2)
    return low, ((x - axis[low]) / (axis[low + 1] - axis[low])).clamp(0.0, 1.0)
