"""What every model of a spectrum offers, whatever is inside, and what every fit returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.data import Medium

__all__ = ["DifferentiableModel", "FitResult", "SpectralModel"]


@runtime_checkable
class SpectralModel(Protocol):
    """Labels in, spectra out, on the model's own grid, at rest.

    Attributes
    ----------
    label_names : tuple of str
        L labels, by the names of CONVENTIONS.md.
    label_range : (L, 2) ndarray
        Lowest and highest value that each label was trained on.
    wavelength : (P,) ndarray
        Å, in ``medium``.
    medium : {"air", "vacuum"}
    resolution : float or sequence of float
        Resolving power λ/FWHM that the spectra come at (infinite: only what the star broadens).
    """

    @property
    def label_names(self) -> tuple[str, ...]:  # noqa: D102
        ...

    @property
    def label_range(self) -> NDArray[np.float64]:  # noqa: D102
        ...

    @property
    def wavelength(self) -> NDArray[np.float64]:  # noqa: D102
        ...

    @property
    def medium(self) -> Medium:  # noqa: D102
        ...

    @property
    def resolution(self) -> float | Sequence[float]:  # noqa: D102
        ...

    def predict(self, labels: ArrayLike) -> NDArray:
        """Return normalised flux (N, P) for labels (N, L); a NaN label gives a NaN spectrum."""
        ...

    def flux_density(self, labels: ArrayLike) -> NDArray:
        """Return surface flux density (N, P), erg s⁻¹ cm⁻² Å⁻¹, lines included.

        Raises
        ------
        DataError
            If the model knows only normalised flux.
        """
        ...


@runtime_checkable
class DifferentiableModel(SpectralModel, Protocol):
    """A model that can also be evaluated, and differentiated, in PyTorch."""

    def normalised(self, labels: torch.Tensor) -> torch.Tensor:
        """Return normalised flux (N, P) for labels (N, L), differentiable in the labels."""
        ...

    def density(self, labels: torch.Tensor) -> torch.Tensor:
        """Return surface flux density (N, P) for labels (N, L), differentiable in the labels."""
        ...


@dataclass(frozen=True)
class FitResult:
    """The fit of N spectra.

    Parameters
    ----------
    label_names : tuple of str
        L parameters.
    labels : (N, L) ndarray
        Best values; NaN where a spectrum could not be fitted.
    covariance : (N, L, L) ndarray
        From the exact derivatives at the optimum; NaN where it is singular.
    chi2 : (N,) ndarray
    n_pixels : (N,) ndarray of int
        Good pixels that entered.
    flags : (N,) ndarray of int
        Bits of `siderea.flags.FitFlag`.
    """

    label_names: tuple[str, ...]
    labels: NDArray[np.float64]
    covariance: NDArray[np.float64]
    chi2: NDArray[np.float64]
    n_pixels: NDArray[np.int64]
    flags: NDArray[np.int64]

    @property
    def errors(self) -> NDArray[np.float64]:
        """1σ errors (N, L), the square roots of the covariance's diagonal."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))
