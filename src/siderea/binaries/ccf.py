"""Cross-correlation of spectra with templates, all arms, many spectra at once.

With line depths d = 1 − f and the template's depths t, both without their mean and without what
varies more slowly than lines do, an arm's correlation is C(v) = Σ d(x) t(x − v) (by FFT, on pixels
uniform in ln λ). Arms are added with weights 1/σ², and divided by Σ t²: a star that is the
template gives a peak of height 1, and the components of a binary peaks as high as their shares of
the light. Weights are constant over an arm: weights that follow the noise from pixel to pixel
follow the star's own lines, and would distort the profile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from siderea.binaries.templates import checked_templates
from siderea.constants import C_KMS
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.spectra.lines import BALMER
from siderea.spectra.masks import telluric
from siderea.spectra.wavelength import air_to_vacuum, velocity_step

__all__ = ["Correlation", "Correlator"]

BALMER_HALF_WIDTH = 10.0
"""Masked on each side of a Balmer line, Å: their wings are wider than any CCF's peak."""

SLOWEST = 500.0
"""Scale, km/s, of what is filtered out: errors of the continuum are slower, lines are faster."""

TAPER = 16
"""Pixels over which the ends of an arm fade, lest a line that is cut by the end counts."""

LARGEST_DEPTH = 1.5
"""Depths beyond ± this are cut: cosmic rays and emission outweigh every line otherwise."""


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
    arm_acf : (T, A, 4V + 1) ndarray
    template : (N,) ndarray of int
        The template that was chosen.
    height : (N,) ndarray
        Highest correlation coefficient, at most 1.
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
        names = ("ccf", "error", "arm_ccf", "arm_error", "acf", "template", "height")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


class Correlator:
    """Templates made ready for the correlation of spectra of one grid.

    Parameters
    ----------
    spectra : Spectra
        Any set on the grid (its rows are not used).
    templates : (T, P) array-like, optional
        Normalised spectra on the same grid; a dozen of the emulator by default.
    max_velocity : float
        Range on either side of 0, km/s.
    oversampling : int
        Points of the CCF per pixel.

    Raises
    ------
    DataError
        If the arms are not uniform in ln λ with one step, or templates do not fit.
    """

    def __init__(
        self,
        spectra: Spectra,
        *,
        templates: ArrayLike | None = None,
        max_velocity: float = 200.0,
        oversampling: int = 3,
    ) -> None:
        pixel = _common_step(spectra)
        if not (max_velocity > 4 * pixel and oversampling >= 1):
            raise DataError(
                f"max_velocity {max_velocity} km/s, oversampling {oversampling}; expected above "
                f"{4 * pixel:.1f} km/s and at least 1"
            )
        self.wavelength, self.medium, self.arms = spectra.wavelength, spectra.medium, spectra.arms
        self.oversampling, self.step = oversampling, pixel / oversampling
        self.n_lags = int(np.ceil(max_velocity / self.step))
        longest = max(arm.stop - arm.start for arm in self.arms)
        reach = 2 * self.n_lags // oversampling + 2
        self._size = int(scipy.fft.next_fast_len(longest + reach, real=True))
        self._window = _window(spectra)
        self._prepare(checked_templates(templates, spectra), pixel)

    def _prepare(self, templates: NDArray[np.float32], pixel: float) -> None:
        depth = (1.0 - templates).astype(np.float32)
        frequency = np.arange(self._size // 2 + 1) / (self._size * pixel)
        slow = 1.0 - np.exp(-((frequency * SLOWEST) ** 2))
        shape = (len(templates), len(self.arms))
        self._transform = np.empty((*shape, frequency.size), np.complex64)
        self.arm_acf = np.empty((*shape, 4 * self.n_lags + 1))
        self._power, self._noise = np.empty(shape), np.empty(shape)
        for number, arm in enumerate(self.arms):
            own = _centred(depth[:, arm], self._window[arm])
            transform = scipy.fft.rfft(own, self._size)
            self._transform[:, number] = np.conj(transform) * slow
            power = np.abs(transform) ** 2
            acf = self._back(power * slow, 2 * self.n_lags)
            self._power[:, number] = acf[:, 2 * self.n_lags]
            self._noise[:, number] = self._back(power * slow**2, 0)[:, 0]
            self.arm_acf[:, number] = acf / np.maximum(self._power[:, number, None], 1e-30)

    def _back(self, product: NDArray, n_lags: int) -> NDArray:
        """Return lags −n_lags to n_lags of a correlation, from its transform."""
        size = self._size * self.oversampling
        full = scipy.fft.irfft(product, size) * self.oversampling
        return np.concatenate([full[:, size - n_lags :], full[:, : n_lags + 1]], axis=1)

    def __call__(self, spectra: Spectra) -> Correlation:
        """Correlate spectra with every template, and keep the best template's.

        Parameters
        ----------
        spectra : Spectra
            N normalised spectra on the grid of the correlator.

        Returns
        -------
        Correlation

        Raises
        ------
        DataError
            If the grid is another.
        """
        if spectra.arms != self.arms or not np.array_equal(spectra.wavelength, self.wavelength):
            raise DataError("spectra: found another grid than that of the correlator")
        data, weight, share, variance = self._transforms(spectra)
        best, height = self._choose(data, weight, share, variance)
        return self._correlation(data, weight, share, best, height)

    def _transforms(self, spectra: Spectra) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Return transforms of the depths (A, N, F), 1/σ², share of good pixels, Σ d² (N, A)."""
        shape = (len(spectra), len(self.arms))
        data = np.empty((len(self.arms), len(spectra), self._size // 2 + 1), np.complex64)
        weight, share, variance = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for number, arm in enumerate(self.arms):
            ivar, window = spectra.ivar[:, arm], self._window[arm]
            good = (ivar > 0) & (window > 0)
            raw = np.clip(1.0 - spectra.flux[:, arm], -LARGEST_DEPTH, LARGEST_DEPTH)
            depth = _centred(raw.astype(np.float32), np.where(good, window, np.float32(0)))
            data[number] = scipy.fft.rfft(depth, self._size)
            count = good.sum(axis=1)
            noise = np.divide(1.0, ivar, out=np.zeros_like(ivar), where=good).sum(axis=1)
            share[:, number] = count / max(1, np.count_nonzero(window))
            np.divide(count, noise, out=weight[:, number], where=count > 0)
            variance[:, number] = np.einsum("np,np->n", depth, depth)
        weight[share < 0.3] = 0.0  # an arm with less left is no witness
        return data, weight, share, variance

    def _choose(
        self, data: NDArray, weight: NDArray, share: NDArray, variance: NDArray
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Choose the template that measures the velocity best: the highest, narrowest CCF.

        σ_v⁻² ∝ −(C″/C) C²/(1 − C²), of the correlation coefficient C (Zucker 2003).
        """
        n, number = len(weight), len(self._transform)
        score, height = np.zeros((n, number)), np.zeros((n, number))
        total = (weight * variance).sum(axis=1)
        coarse = self.n_lags // self.oversampling
        for one in range(number):
            product = np.einsum(
                "anf,na,af->nf",
                data,
                weight.astype(np.float32),
                self._transform[one],
                optimize=True,
            )
            full = scipy.fft.irfft(product, self._size)
            ccf = np.concatenate([full[:, self._size - coarse :], full[:, : coarse + 1]], axis=1)
            scale = np.sqrt(np.maximum(total * ((weight * share) @ self._power[one]), 1e-30))
            ccf = np.clip(ccf / scale[:, None], -1, 0.999)
            peak = ccf[:, 1:-1].argmax(axis=1)[:, None] + 1
            left, top, right = (np.take_along_axis(ccf, peak + k, 1)[:, 0] for k in (-1, 0, 1))
            curvature = np.maximum(2 * top - left - right, 0.0)
            height[:, one] = top
            score[:, one] = curvature * np.maximum(top, 0) / (1 - top**2)
        best = score.argmax(axis=1)
        return best, np.take_along_axis(height, best[:, None], 1)[:, 0]

    def _correlation(
        self, data: NDArray, weight: NDArray, share: NDArray, best: NDArray, height: NDArray
    ) -> Correlation:
        n, a = weight.shape
        power = self._power[best] * share
        arm_ccf = np.zeros((n, a, 2 * self.n_lags + 1))
        for number in range(a):
            own = self._back(data[number] * self._transform[best, number], self.n_lags)
            arm_ccf[:, number] = own / np.maximum(power[:, number, None], 1e-30)
        arm_variance = np.divide(
            self._noise[best] * share,
            weight * power**2,
            out=np.full((n, a), np.nan),
            where=weight * power > 0,
        )
        arm_ccf[np.isnan(arm_variance)] = 0.0
        part = weight * power
        total = part.sum(axis=1, keepdims=True)
        part = np.divide(part, total, out=np.zeros_like(part), where=total > 0)
        variance = np.nansum(part**2 * arm_variance, axis=1)
        error = np.where(total[:, 0] > 0, np.sqrt(variance), np.nan)
        return Correlation(
            self.step,
            np.einsum("na,nav->nv", part, arm_ccf),
            error,
            arm_ccf,
            np.sqrt(arm_variance),
            np.einsum("na,nav->nv", part, self.arm_acf[best]),
            self.arm_acf,
            best,
            height,
        )


def _common_step(spectra: Spectra) -> float:
    steps = [velocity_step(spectra.wavelength[arm]) for arm in spectra.arms]
    if max(steps) - min(steps) > 1e-3 * max(steps):
        raise DataError(
            f"arms: found steps of {min(steps):.4f} to {max(steps):.4f} km/s; expected one step: "
            "resample to log_grid first (siderea.spectra.resample)"
        )
    return float(np.mean(steps))


def _window(spectra: Spectra) -> NDArray[np.float32]:
    """Return the weight (P,) of pixels: 0 about Balmer lines and telluric bands, fading ends."""
    lines = np.array(list(BALMER.values()))
    lines = air_to_vacuum(lines) if spectra.medium == "vacuum" else lines
    near = np.abs(spectra.wavelength[:, None] - lines).min(axis=1) < BALMER_HALF_WIDTH
    bad = near | telluric(spectra.wavelength, spectra.medium)
    window = np.where(bad, 0.0, 1.0)
    for arm in spectra.arms:
        ramp = np.arange(arm.stop - arm.start) + 1.0
        window[arm] *= np.minimum(1.0, np.minimum(ramp, ramp[::-1]) / TAPER)
    return window.astype(np.float32)


def _centred(depth: NDArray[np.float32], window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return depths without their mean within the window, times the window."""
    window = np.broadcast_to(window, depth.shape)
    total = np.maximum(window.sum(axis=1, keepdims=True), 1e-6)
    mean = np.einsum("np,np->n", depth, window)[:, None] / total
    return np.asarray((depth - mean) * window)
