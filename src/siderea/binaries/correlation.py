"""What a correlation gives, and the transforms it was made from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.constants import C_KMS

__all__ = ["Correlation", "Library", "Transformed"]


@dataclass(frozen=True)
class Library:
    """Templates made ready for one grid, and the geometry of the transforms.

    Parameters
    ----------
    transform : (T, A, F) complex ndarray
        Complex conjugate of the transform of the templates' line depths, slow changes filtered out.
    power, noise : (T, A) ndarray
        Σ t², and Σ t² of the filtered templates.
    acf : (T, A, 4V + 1) ndarray
        Autocorrelation over its own height.
    arms : tuple of slice
    size : int
        Pixels of an arm, padded.
    pixel : float
        Step of the grid, km/s.
    slow : (F,) ndarray
        The filter.
    """

    transform: NDArray[np.complex64]
    power: NDArray[np.float64]
    noise: NDArray[np.float64]
    acf: NDArray[np.float64]
    arms: tuple[slice, ...]
    size: int
    pixel: float
    slow: NDArray[np.float32]

    @property
    def frequency(self) -> NDArray[np.float64]:
        """Cycles per km/s (F,)."""
        return np.arange(self.size // 2 + 1) / (self.size * self.pixel)


@dataclass(frozen=True)
class Transformed:
    """Transforms of the line depths of N spectra.

    Parameters
    ----------
    data : (N, A, F) complex ndarray
    good : (N, P) ndarray of bool
        Pixels that were used.
    weight, share, variance : (N, A) ndarray
        1/σ² (0 for an arm left out), share of good pixels, Σ d².
    library : Library
    own : Library or None
        The spectra's own references: N templates, one for each.
    """

    data: NDArray[np.complex64]
    good: NDArray[np.bool_]
    weight: NDArray[np.float64]
    share: NDArray[np.float64]
    variance: NDArray[np.float64]
    library: Library
    own: Library | None = None

    def __getitem__(self, rows: NDArray | slice) -> Transformed:
        """Return chosen rows."""
        names = ("data", "good", "weight", "share", "variance")
        own = self.own
        if own is not None:
            parts = ("transform", "power", "noise", "acf")
            own = replace(own, **{name: getattr(own, name)[rows] for name in parts})
        return replace(self, **{name: getattr(self, name)[rows] for name in names}, own=own)

    def of_template(self, name: str, template: NDArray[np.intp]) -> NDArray:
        """Return what the libraries hold (``name``) of the template (N,) of each spectrum."""
        shared = getattr(self.library, name)
        if self.own is None:
            return np.asarray(shared[template])
        last = len(shared) - 1
        chosen = shared[np.minimum(template, last)]
        mine = template > last
        chosen[mine] = getattr(self.own, name)[mine]
        return np.asarray(chosen)


@dataclass(frozen=True)
class Correlation:
    """Cross-correlations of N spectra, A arms, at 2V + 1 velocities.

    Parameters
    ----------
    step : float
        Step of the velocities, km/s (c times the step in ln λ).
    ccf : (N, 2V + 1) ndarray
        Arms combined; height 1 for a star that is the template.
    error : (N,) ndarray
        1σ of ``ccf`` from the pixels' errors; NaN for a spectrum without a good arm.
    arm_ccf : (N, A, 2V + 1) ndarray
        Each arm alone, in its own units of the template.
    arm_error : (N, A) ndarray
        NaN for a missing arm.
    acf : (N, 4V + 1) ndarray
        What a star that is the template gives, over lags twice as wide.
    arm_acf : (N, A, 4V + 1) ndarray
    template : (N,) ndarray of int
        The template that was chosen; T, one more than the last, is the spectrum's own reference.
    height : (N,) ndarray
        Highest correlation coefficient, at most 1.
    source : Transformed
        What was correlated.
    """

    step: float
    ccf: NDArray[np.float64]
    error: NDArray[np.float64]
    arm_ccf: NDArray[np.float64]
    arm_error: NDArray[np.float64]
    acf: NDArray[np.float64]
    arm_acf: NDArray[np.float64]
    template: NDArray[np.intp]
    height: NDArray[np.float64]
    source: Transformed

    def __len__(self) -> int:
        return len(self.ccf)

    @property
    def n_lags(self) -> int:
        """Lags V on each side of 0."""
        return (self.ccf.shape[1] - 1) // 2

    def velocity(self, lag: ArrayLike) -> NDArray[np.float64]:
        """Return the relativistic velocity, km/s, of a lag counted in steps from 0."""
        return np.asarray(C_KMS * np.tanh(np.asarray(lag, dtype=float) * (self.step / C_KMS)))

    @property
    def velocities(self) -> NDArray[np.float64]:
        """Velocity (2V + 1,) of every point of ``ccf``, km/s."""
        return self.velocity(np.arange(-self.n_lags, self.n_lags + 1))

    def __getitem__(self, rows: NDArray | slice) -> Correlation:
        """Return chosen rows."""
        names = ("ccf", "error", "arm_ccf", "arm_error", "acf", "arm_acf", "template", "height")
        return replace(
            self, **{name: getattr(self, name)[rows] for name in names}, source=self.source[rows]
        )

    def replaced(self, rows: NDArray, other: Correlation) -> Correlation:
        """Return this with some rows of another template; the spectra are the same."""
        names = ("ccf", "error", "arm_ccf", "arm_error", "acf", "arm_acf", "template", "height")
        values = {}
        for name in names:
            values[name] = getattr(self, name).copy()
            values[name][rows] = getattr(other, name)
        return replace(self, **values)
