"""What models that wrap another one share with it: the grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from siderea.data import Medium
from siderea.models.protocol import DifferentiableModel

__all__ = ["OnGrid"]


class OnGrid:
    """A model on the grid of another, ``model``."""

    model: DifferentiableModel

    @property
    def wavelength(self) -> NDArray[np.float64]:
        """Grid of the spectra (P,), Å, in ``medium``."""
        return self.model.wavelength

    @property
    def medium(self) -> Medium:
        """Medium of the wavelengths."""
        return self.model.medium

    @property
    def resolution(self) -> float | Sequence[float]:
        """Resolving power of the model."""
        return self.model.resolution

    @property
    def arms(self) -> tuple[slice, ...]:
        """Arms of the grid, where the model has any."""
        return tuple(getattr(self.model, "arms", ()))
