"""What a model of stellar spectra gets wrong of itself, as an error that a fit can weigh.

At high signal to noise the model errs by more than the data do, and least squares with the noise
alone hands the fit to the few lines that the model has worst. Three things are known beforehand
of any 1D LTE model: a line is off in proportion to its depth (the scatter of oscillator strengths,
saturated cores), lines that no list holds lie everywhere at some level, and the cores of strong
lines form where LTE does not hold. The first two add to the noise in quadrature, the last is left
out; what is still many σ off is weighed down, so that it cannot decide the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siderea.errors import DataError
from siderea.spectra.doppler import doppler_factor

__all__ = ["LTE", "ModelError"]


@dataclass(frozen=True)
class ModelError:
    """The model's own error: σ² = σ_noise² + floor² + (depth · (1 − flux))².

    Parameters
    ----------
    depth : float
        Relative error of the depth of a line.
    floor : float
        Error of the normalised flux everywhere.
    excluded : tuple of (low, high)
        Windows that the model cannot reproduce, Å at rest, in the model's medium.
    soft : float
        Residual, in σ, beyond which a pixel counts as |r| and no longer as r² (the weight is
        1/√(1 + (r/soft)²), the smooth form of Huber's); infinite for plain least squares.
    passes : int
        Fits with the errors of the fit before: the errors depend on the model's own depth.

    Raises
    ------
    DataError
        If a value is negative, or ``soft`` or ``passes`` is not positive.
    """

    depth: float = 0.1
    floor: float = 0.005
    excluded: tuple[tuple[float, float], ...] = ()
    soft: float = np.inf
    passes: int = 6

    def __post_init__(self) -> None:
        if self.depth < 0 or self.floor < 0 or not self.soft > 0 or self.passes < 1:
            raise DataError(
                f"model error: found depth {self.depth}, floor {self.floor}, soft {self.soft}, "
                f"passes {self.passes}; expected depth and floor of 0 or more, the others positive"
            )

    def ivar(
        self,
        ivar: NDArray[np.float64],
        flux: NDArray[np.float64],
        model: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the weights (..., P) of pixels: of noise and model error together.

        Parameters
        ----------
        ivar, flux : (..., P) ndarray
            Of the data; 0 stays 0.
        model : (..., P) ndarray
            Normalised flux of the model there.
        """
        own = self.floor**2 + (self.depth * np.clip(1.0 - model, 0.0, 1.0)) ** 2
        weight = ivar / (1.0 + ivar * own)
        squared = weight * (flux - model) ** 2
        return weight / np.sqrt(1.0 + squared / self.soft**2)

    def kept(self, wavelength: NDArray[np.float64], rv: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which pixels (..., P) none of the stars (..., S) at ``rv``, km/s, spoils."""
        factor = doppler_factor(rv)[..., None]
        keep = np.ones((*rv.shape[:-1], wavelength.size), dtype=bool)
        for low, high in self.excluded:
            inside = (wavelength > low * factor) & (wavelength < high * factor)
            keep &= ~inside.any(axis=-2)
        return keep


BALMER_CORES = ((4860.3, 4862.3), (6561.3, 6564.3))
"""Å, air. Formed in the chromosphere, out of LTE: no LTE model has them."""

LTE = ModelError(excluded=BALMER_CORES, soft=1.0)
"""For 1D LTE models in the optical, air, such as the shipped emulator."""
