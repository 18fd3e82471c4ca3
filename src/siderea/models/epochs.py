"""Repeated visits of one star: the same stars at every visit, seen at other velocities.

SB1: a velocity v₁ᵢ per visit. SB2: v₁ᵢ, the systemic velocity γ and q_dyn = m₂/m₁; momentum is
conserved, so v₂ᵢ = (γ (1 + q_dyn) − v₁ᵢ)/q_dyn (El-Badry et al. 2018, MNRAS 476, 528).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from siderea.errors import DataError
from siderea.models.composite import Binary, Components, Composite, Single

__all__ = ["SB1", "SB2", "Steady"]

Q_DYN_RANGE = (0.2, 1.5)
"""Range of the dynamical mass ratio that El-Badry et al. 2018 allow."""


@dataclass(eq=False)
class _Visits(Composite):
    """A composite of one epoch, seen at ``n_visits`` epochs."""

    base: Composite
    n_visits: int

    def _adopt(self, extra: dict[str, tuple[float, float]], *, replaced: tuple[str, ...]) -> None:
        base = self.base
        if self.n_visits < 1:
            raise DataError(f"n_visits: found {self.n_visits}; expected at least 1")
        self.model, self.continuum, self.kernel = base.model, base.continuum, base.kernel
        self.n_stars = base.n_stars
        kept = [i for i, name in enumerate(base.label_names) if name not in replaced]
        self._kept = kept
        self.label_names = (*(base.label_names[i] for i in kept), *extra)
        ranges = [base.label_range[i] for i in kept]
        self.label_range = np.array([*ranges, *extra.values()], dtype=float)

    def _per_visit(self, rv_range: tuple[float, float]) -> dict[str, tuple[float, float]]:
        return {f"rv_{visit}": rv_range for visit in range(1, self.n_visits + 1)}

    def bounds(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Composite.bounds`."""
        low, high = torch.as_tensor(self.label_range.T.copy(), device=theta.device)
        lower, upper = low.expand_as(theta).clone(), high.expand_as(theta).clone()
        n_kept = len(self._kept)
        missing = len(self.base.label_names) - n_kept
        once = torch.cat([theta[:, :n_kept], torch.zeros_like(theta[:, :missing])], dim=1)
        of_base = self.base.bounds(once)
        lower[:, :n_kept], upper[:, :n_kept] = of_base[0][:, :n_kept], of_base[1][:, :n_kept]
        return lower, upper

    def _of_base(self, theta: torch.Tensor, n_velocities: int) -> Components:
        n_kept = len(self._kept)
        still = torch.zeros_like(theta[:, :n_velocities])
        return self.base.components(torch.cat([theta[:, :n_kept], still], dim=1))


@dataclass(eq=False)
class Steady(_Visits):
    """One or more stars whose velocities are the same at every visit: the null hypothesis."""

    def __post_init__(self) -> None:
        self._adopt({}, replaced=())

    def components(self, theta: torch.Tensor) -> Components:
        """See `Composite.components`."""
        once = self.base.components(theta)
        return Components(once.labels, once.weight, once.rv.expand(-1, self.n_visits, -1))


@dataclass(eq=False)
class SB1(_Visits):
    """A single star with a velocity of its own at every visit, ``rv_1`` to ``rv_V``.

    Parameters
    ----------
    base : Single
    n_visits : int
        V.
    """

    base: Single

    def __post_init__(self) -> None:
        if not isinstance(self.base, Single):
            raise DataError(f"SB1: found {type(self.base).__name__}; expected a Single")
        self._adopt(self._per_visit(self.base.rv_range), replaced=("rv",))

    def components(self, theta: torch.Tensor) -> Components:
        """See `Composite.components`."""
        once = self._of_base(theta, 1)
        return Components(once.labels, once.weight, theta[:, -self.n_visits :, None])


@dataclass(eq=False)
class SB2(_Visits):
    """A binary at several visits: ``q_dyn``, ``gamma`` and v₁ at each, ``rv_1`` to ``rv_V``.

    Parameters
    ----------
    base : Binary
    n_visits : int
        V, at least 2: one visit cannot tell γ from q_dyn.
    """

    base: Binary

    def __post_init__(self) -> None:
        if not isinstance(self.base, Binary):
            raise DataError(f"SB2: found {type(self.base).__name__}; expected a Binary")
        if self.n_visits < 2:
            raise DataError(f"SB2: found {self.n_visits} visit; expected at least 2, or a Binary")
        velocities = self._per_visit(self.base.rv_range)
        extra = {"q_dyn": Q_DYN_RANGE, "gamma": self.base.rv_range, **velocities}
        self._adopt(extra, replaced=("rv_1", "rv_2"))

    @property
    def max_velocity(self) -> float:  # type: ignore[override]
        """Largest |rv| that the bounds allow, km/s; the secondary may move five times faster."""
        low, high = self.base.rv_range
        return 3.0 * max(abs(low), abs(high))

    def components(self, theta: torch.Tensor) -> Components:
        """See `Composite.components`."""
        once = self._of_base(theta, 2)
        n_kept = len(self._kept)
        q_dyn, gamma = theta[:, n_kept, None], theta[:, n_kept + 1, None]
        primary = theta[:, -self.n_visits :]
        secondary = (gamma + gamma * q_dyn - primary) / q_dyn
        return Components(once.labels, once.weight, torch.stack([primary, secondary], dim=2))
