"""How the stars of a multiple system are tied together: free radii, mass ratios, isochrones.

A pairing turns named parameters into the atmosphere of every star and the weight, R² in any unit,
with which its flux density enters the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

__all__ = [
    "ByIsochrone",
    "ByMassRatio",
    "ByRatio",
    "FreeRadii",
    "Pairing",
    "Sequence",
    "mass_ratios",
    "smallest_ratio",
]

Columns = Mapping[str, torch.Tensor]
Star = tuple[dict[str, torch.Tensor], torch.Tensor]
Companion = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]
]


class Sequence(Protocol):
    """Stars of one sequence: radii, and companions of a mass ratio."""

    def radius(self, teff: torch.Tensor, logg: torch.Tensor, fe_h: torch.Tensor) -> torch.Tensor:
        """Return the radius, solar."""
        ...

    def companion(
        self, teff: torch.Tensor, logg: torch.Tensor, fe_h: torch.Tensor, q: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (teff, logg) of the companion of mass ratio q."""
        ...


class Pairing(Protocol):
    """What a composite asks of a pairing."""

    def parameters(self, n_stars: int) -> dict[str, tuple[float, float]]:
        """Return the names of the pairing's own parameters, with their ranges."""
        ...

    def own(self) -> frozenset[str]:
        """Return the labels of the model that every star has as a parameter of its own."""
        ...

    def derived(self) -> frozenset[str]:
        """Return the labels of the model that the pairing gives to stars after the first."""
        ...

    def stars(self, columns: Columns, n_stars: int) -> list[Star]:
        """Return the derived labels and the weight of every star."""
        ...


def _numbered(name: str, n_stars: int) -> list[str]:
    return [name] if n_stars == 2 else [f"{name}_{star}" for star in range(2, n_stars + 1)]


def mass_ratios(n_stars: int) -> list[str]:
    """Return the names of the mass ratios: ``q``, or ``q_2``, ``q_3``."""
    return _numbered("q", n_stars)


def smallest_ratio(
    companion: Companion, lowest_q: float, columns: Columns, coolest: float
) -> torch.Tensor:
    """Return the smallest q (N,) from ``lowest_q`` whose companion is not cooler than a limit.

    Parameters
    ----------
    companion : callable
        (teff, logg, fe_h, q) -> (teff, logg).
    lowest_q : float
    columns : mapping of str to (N,) tensor
        With teff, logg, fe_h of the first star.
    coolest : float
        K.
    """
    teff, logg, fe_h = (columns[name] for name in ("teff", "logg", "fe_h"))
    grid = torch.linspace(lowest_q, 1.0, 17, dtype=teff.dtype, device=teff.device)
    every = teff[:, None].expand(-1, grid.numel()), logg[:, None].expand(-1, grid.numel())
    metals = fe_h[:, None].expand(-1, grid.numel())
    cool, _ = companion(*every, metals, grid.expand(teff.numel(), -1))
    # The first q of the run that stays warm enough up to q = 1.
    warm = (cool >= coolest).flip(1).cumprod(1).sum(1)
    above = (grid.numel() - warm).clamp(1, grid.numel() - 1)
    below = above - 1
    rows = torch.arange(teff.numel(), device=teff.device)
    part = (coolest - cool[rows, below]) / (cool[rows, above] - cool[rows, below])
    return torch.where(
        warm >= grid.numel(),
        grid[0],
        grid[below] + (grid[above] - grid[below]) * part.nan_to_num(1.0).clamp(0, 1),
    )


@dataclass(frozen=True)
class FreeRadii:
    """Every star has its own atmosphere; R₂/R₁ (and R₃/R₁) are parameters.

    Parameters
    ----------
    largest : float
        Upper end of the range of the radius ratio.
    """

    largest: float = 3.0

    def parameters(self, n_stars: int) -> dict[str, tuple[float, float]]:
        """See `Pairing.parameters`."""
        return dict.fromkeys(_numbered("radius_ratio", n_stars), (0.0, self.largest))

    def own(self) -> frozenset[str]:
        """See `Pairing.own`."""
        return frozenset({"teff", "logg"})

    def derived(self) -> frozenset[str]:
        """See `Pairing.derived`."""
        return frozenset()

    def stars(self, columns: Columns, n_stars: int) -> list[Star]:
        """See `Pairing.stars`."""
        ratios = [columns[name] for name in _numbered("radius_ratio", n_stars)]
        one = torch.ones_like(ratios[0])
        return [({}, one), *(({}, ratio * ratio) for ratio in ratios)]


class ByRatio:
    """What pairings by mass ratios share: q is all that a second star has of its own."""

    lowest_q: float

    def parameters(self, n_stars: int) -> dict[str, tuple[float, float]]:
        """See `Pairing.parameters`."""
        return dict.fromkeys(mass_ratios(n_stars), (self.lowest_q, 1.0))

    def own(self) -> frozenset[str]:
        """See `Pairing.own`."""
        return frozenset()

    def derived(self) -> frozenset[str]:
        """See `Pairing.derived`."""
        return frozenset({"teff", "logg"})


@dataclass(frozen=True)
class ByMassRatio(ByRatio):
    """Companions by mass ratio from a sequence of equal age and [Fe/H].

    Parameters
    ----------
    sequence : Sequence
        For instance `siderea.models.binspec.MainSequence`.
    lowest_q : float
        Lower end of the range of q.
    """

    sequence: Sequence
    lowest_q: float = 0.2

    def stars(self, columns: Columns, n_stars: int) -> list[Star]:
        """See `Pairing.stars`."""
        teff, logg, fe_h = columns["teff"], columns["logg"], columns["fe_h"]
        radius = self.sequence.radius(teff, logg, fe_h)
        stars: list[Star] = [({"teff": teff, "logg": logg}, radius * radius)]
        for name in mass_ratios(n_stars):
            cool, dense = self.sequence.companion(teff, logg, fe_h, columns[name])
            radius = self.sequence.radius(cool, dense, fe_h)
            stars.append(({"teff": cool, "logg": dense}, radius * radius))
        return stars

    def smallest_q(self, columns: Columns, coolest: float) -> torch.Tensor:
        """Return the smallest q (N,) whose companion is not cooler than ``coolest`` (K)."""
        return smallest_ratio(self.sequence.companion, self.lowest_q, columns, coolest)


@dataclass(frozen=True)
class ByIsochrone:
    """All stars from one isochrone: mass of the first, mass ratios, age.

    Parameters
    ----------
    star : callable
        (mass, age, fe_h) -> (teff, logg, radius), tensors in and out, differentiable.
    masses, ages : (float, float)
        Ranges of the mass of the first star (solar) and of the age, in the unit that ``star``
        takes.
    lowest_q : float
        Lower end of the range of q.
    """

    star: Callable[
        [torch.Tensor, torch.Tensor, torch.Tensor],
        tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    ]
    masses: tuple[float, float] = (0.5, 2.0)
    ages: tuple[float, float] = (0.5, 13.5)
    lowest_q: float = 0.2

    def parameters(self, n_stars: int) -> dict[str, tuple[float, float]]:
        """See `Pairing.parameters`."""
        ratios = dict.fromkeys(_numbered("q", n_stars), (self.lowest_q, 1.0))
        return {"mass": self.masses, "age": self.ages, **ratios}

    def own(self) -> frozenset[str]:
        """See `Pairing.own`."""
        return frozenset()

    def derived(self) -> frozenset[str]:
        """See `Pairing.derived`."""
        return frozenset({"teff", "logg"})

    def stars(self, columns: Columns, n_stars: int) -> list[Star]:
        """See `Pairing.stars`."""
        masses = [columns["mass"]]
        masses += [columns["mass"] * columns[name] for name in _numbered("q", n_stars)]
        stars: list[Star] = []
        for mass in masses:
            teff, logg, radius = self.star(mass, columns["age"], columns["fe_h"])
            stars.append(({"teff": teff, "logg": logg}, radius * radius))
        return stars
