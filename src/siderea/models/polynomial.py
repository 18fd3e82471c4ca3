"""The polynomial in the labels that The Cannon is made of: its terms, and their derivatives.

The terms are ordered by degree, [1, ℓ₁ … ℓ_L, ℓ₁², ℓ₁ℓ₂ … ℓ_L², ℓ₁³ …]; a term of degree d is a
term of degree d − 1 (its parent) times one more label, so that all of them, and the exact
derivatives, follow from one product each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.errors import DataError

__all__ = ["PolynomialTerms"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PolynomialTerms:
    """Every product of up to ``order`` of ``n_labels`` labels: K = C(L + order, order) terms.

    Parameters
    ----------
    n_labels : int
        L, at least 1.
    order : int
        Degree, at least 1; 2 is the quadratic Cannon.

    Examples
    --------
    >>> terms = PolynomialTerms(2, 2)
    >>> terms.members
    ((), (0,), (1,), (0, 0), (0, 1), (1, 1))
    >>> terms.design(np.array([[2.0, 3.0]])).tolist()
    [[1.0, 2.0, 3.0, 4.0, 6.0, 9.0]]
    """

    n_labels: int
    order: int

    def __post_init__(self) -> None:
        for name in ("n_labels", "order"):
            value = getattr(self, name)
            if value != int(value) or value < 1:
                raise DataError(f"{name}: found {value!r}; expected a whole number of at least 1")

    @cached_property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """The labels (by number, with repeats) that each of the K terms multiplies."""
        degrees = range(self.order + 1)
        labels = range(self.n_labels)
        return tuple(t for d in degrees for t in combinations_with_replacement(labels, d))

    @cached_property
    def _parents(self) -> tuple[int, ...]:
        where = {members: k for k, members in enumerate(self.members)}
        return tuple(where[members[:-1]] for members in self.members[1:])

    def __len__(self) -> int:
        return len(self.members)

    def involves(self, label: int) -> NDArray[np.bool_]:
        """Return (K,): whether each term contains a label."""
        return np.array([label in members for members in self.members])

    def design(self, labels: Array) -> Array:
        """Return the terms (N, K) at scaled labels (N, L)."""
        terms = np.ones((len(labels), len(self)))
        for k, parent in enumerate(self._parents, 1):
            np.multiply(terms[:, parent], labels[:, self.members[k][-1]], out=terms[:, k])
        return terms

    def gradient(self, labels: Array, design: Array | None = None) -> Array:
        """Return the derivatives (N, L, K) of the terms with respect to the labels."""
        terms = self.design(labels) if design is None else design
        slopes = np.zeros((len(labels), self.n_labels, len(self)))
        for k, parent in enumerate(self._parents, 1):
            last = self.members[k][-1]
            slopes[:, :, k] = slopes[:, :, parent] * labels[:, last, None]
            slopes[:, last, k] += terms[:, parent]
        return slopes

    def design_torch(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the terms (N, K) as PyTorch differentiates them."""
        terms = [torch.ones_like(labels[:, 0])]
        for k, parent in enumerate(self._parents, 1):
            terms.append(terms[parent] * labels[:, self.members[k][-1]])
        return torch.stack(terms, dim=1)

    def gradient_torch(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the derivatives (N, L, K) of the terms, themselves differentiable."""
        unit = torch.eye(self.n_labels, dtype=labels.dtype, device=labels.device)
        terms = [torch.ones_like(labels[:, 0])]
        slopes = [torch.zeros_like(labels)]
        for k, parent in enumerate(self._parents, 1):
            last = self.members[k][-1]
            slopes.append(
                slopes[parent] * labels[:, last, None] + terms[parent][:, None] * unit[last]
            )
            terms.append(terms[parent] * labels[:, last])
        return torch.stack(slopes, dim=2)
