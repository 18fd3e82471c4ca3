"""A model of normalised flux with the continuum of another: what lets it weigh two stars.

The Cannon and the decoder learn normalised spectra; how bright one star is beside another they do
not know. Given the continuum of an emulator at their labels, F = f · C, they compose.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.models.protocol import DifferentiableModel
from siderea.models.wrapped import OnGrid

__all__ = ["Lit"]


class Lit(OnGrid):
    """A `siderea.models.protocol.DifferentiableModel` of normalised flux, lit by another.

    Parameters
    ----------
    model : DifferentiableModel
        What gives the lines.
    light : DifferentiableModel
        What gives the continuum, on the same pixels; such as ``load_default().at(…)``. Its labels
        are the model's of the same name; one that the model lacks is 0 where its range has 0 in it,
        else the middle of its range.

    Raises
    ------
    DataError
        If the pixels are not the same, or the model has no temperature.
    """

    def __init__(self, model: DifferentiableModel, light: DifferentiableModel) -> None:
        ours, theirs = model.wavelength, light.wavelength
        if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=1e-7, atol=0):
            raise DataError(
                f"light: found {theirs.size} pixels from {theirs[0]:.2f} Å; expected the model's "
                f"{ours.size} from {ours[0]:.2f} Å"
            )
        if model.medium != light.medium or "teff" not in model.label_names:
            raise DataError(
                f"model: found {', '.join(model.label_names)} in {model.medium}; expected a label "
                f"teff, in {light.medium} as the light"
            )
        self.model, self.light = model, light

    @property
    def label_names(self) -> tuple[str, ...]:
        """The model's labels."""
        return self.model.label_names

    @property
    def label_range(self) -> NDArray[np.float64]:
        """Their ranges (L, 2)."""
        return self.model.label_range

    @property
    def arms(self) -> tuple[slice, ...]:
        """Arms of the grid: the model's, else the light's."""
        return super().arms or tuple(getattr(self.light, "arms", ()))

    def normalised(self, labels: torch.Tensor) -> torch.Tensor:
        """Return normalised flux (N, P) for labels (N, L), differentiable."""
        return self.model.normalised(labels)

    def continuum(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the flux density of the continuum (N, P), erg s⁻¹ cm⁻² Å⁻¹, differentiable."""
        known = dict(zip(self.label_names, labels.unbind(-1), strict=True))
        columns = []
        for name, (low, high) in zip(
            self.light.label_names, self.light.label_range.tolist(), strict=True
        ):
            neutral = 0.0 if low < 0 < high else 0.5 * (low + high)
            value = known.get(name, torch.full_like(labels[:, 0], neutral))
            columns.append(value.clamp(low, high))
        rows = torch.stack(columns, dim=-1)
        level = getattr(self.light, "continuum_density", None)
        return self.light.density(rows) / self.light.normalised(rows) if not level else level(rows)

    def density(self, labels: torch.Tensor) -> torch.Tensor:
        """Return flux density (N, P), lines included, differentiable."""
        return self.normalised(labels) * self.continuum(labels)

    def predict(self, labels: ArrayLike) -> NDArray:
        """Return normalised flux (N, P); a NaN label gives a NaN spectrum."""
        return self.model.predict(labels)

    def flux_density(self, labels: ArrayLike) -> NDArray:
        """Return surface flux density (N, P), erg s⁻¹ cm⁻² Å⁻¹, lines included."""
        rows = torch.from_numpy(np.atleast_2d(np.asarray(labels, dtype=np.float64)))
        return self.density(rows).numpy()
