"""What a correlation gives, and the transforms it was made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from siderea.constants import C_KMS

__all__ = ["Correlation", "Library", "Transformed", "lags_of"]


def lags_of(product: NDArray, library_size: int, oversampling: int, n_lags: int) -> NDArray:
    """Return lags −n_lags to n_lags (N, 2 n_lags + 1) of a correlation, from its transform.

    Parameters
    ----------
    product : (N, F) complex ndarray
    library_size : int
        Pixels of the padded arms.
    oversampling : int
        Lags per pixel.
    n_lags : int
    """
    size = library_size * oversampling
    full = scipy.fft.irfft(product, size) * oversampling
    return np.concatenate([full[:, size - n_lags :], full[:, : n_lags + 1]], axis=1)


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
        own, known = self.own, vars(self).get("depths")
        if own is not None:
            parts = ("transform", "power", "noise", "acf")
            own = replace(own, **{name: getattr(own, name)[rows] for name in parts})
        part = replace(self, **{name: getattr(self, name)[rows] for name in names}, own=own)
        if known is not None:  # four transforms of each spectrum are saved
            vars(part)["depths"] = [depth[rows] for depth in known]
        return part

    @cached_property
    def depths(self) -> list[NDArray[np.float32]]:
        """Line depths (N, P) of each arm, filtered as the templates are; bad pixels 0."""
        return self.pixels(self.data * self.library.slow)

    def pixels(self, transform: NDArray) -> list[NDArray[np.float32]]:
        """Return the pixels (N, P) of each arm, bad ones 0, from transforms (N, A, F)."""
        full = scipy.fft.irfft(transform, self.library.size)
        return [
            full[:, number, : arm.stop - arm.start] * self.good[:, arm]
            for number, arm in enumerate(self.library.arms)
        ]

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
    arm_error : (N, A) ndarray
        1σ of each arm's own CCF; NaN for a missing arm.
    acf : (N, 4V + 1) ndarray
        What a star that is the template gives, over lags twice as wide.
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
    arm_error: NDArray[np.float64]
    acf: NDArray[np.float64]
    template: NDArray[np.intp]
    height: NDArray[np.float64]
    source: Transformed

    def __len__(self) -> int:
        return len(self.ccf)

    @property
    def n_lags(self) -> int:
        """Lags V on each side of 0."""
        return (self.ccf.shape[1] - 1) // 2

    def of_arm(self, arm: int) -> Correlation:
        """Return the correlation of one arm alone, in its own units; 0 where the arm is missing."""
        library, template = self.source.library, self.template
        error = self.arm_error[:, arm]
        missing = np.isnan(error)
        power = self.source.of_template("power", template)[:, arm] * self.source.share[:, arm]
        product = self.source.data[:, arm] * self.source.of_template("transform", template)[:, arm]
        oversampling = round(library.pixel / self.step)
        ccf = lags_of(product, library.size, oversampling, self.n_lags).astype(float)
        ccf /= np.maximum(power, 1e-30)[:, None]
        ccf[missing] = 0.0
        acf = self.source.of_template("acf", template)[:, arm]
        return replace(self, ccf=ccf, error=np.where(missing, 1.0, error), acf=acf)

    def velocity(self, lag: ArrayLike) -> NDArray[np.float64]:
        """Return the relativistic velocity, km/s, of a lag counted in steps from 0."""
        return np.asarray(C_KMS * np.tanh(np.asarray(lag, dtype=float) * (self.step / C_KMS)))

    @property
    def velocities(self) -> NDArray[np.float64]:
        """Velocity (2V + 1,) of every point of ``ccf``, km/s."""
        return self.velocity(np.arange(-self.n_lags, self.n_lags + 1))

    def __getitem__(self, rows: NDArray | slice) -> Correlation:
        """Return chosen rows."""
        names = ("ccf", "error", "arm_error", "acf", "template", "height")
        return replace(
            self, **{name: getattr(self, name)[rows] for name in names}, source=self.source[rows]
        )

    def replaced(self, rows: NDArray, other: Correlation) -> Correlation:
        """Return this with some rows of another template; the spectra are the same."""
        names = ("ccf", "error", "arm_error", "acf", "template", "height")
        values = {}
        for name in names:
            values[name] = getattr(self, name).copy()
            values[name][rows] = getattr(other, name)
        return replace(self, **values)
