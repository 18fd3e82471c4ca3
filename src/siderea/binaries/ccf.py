"""Cross-correlation of spectra with templates, all arms, many spectra at once.

With line depths d = 1 − f and the template's depths t, both without their mean and without what
varies more slowly than lines do, an arm's correlation is C(v) = Σ d(x) t(x − v) (by FFT, on pixels
uniform in ln λ). Arms are added with weights 1/σ², and divided by Σ t²: a star that is the
template gives a peak of height 1, and the components of a binary peaks as high as their shares of
the light. Weights are constant over an arm: weights that follow the noise from pixel to pixel
follow the star's own lines, and would distort the profile.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from siderea.binaries.correlation import Correlation, Library, Transformed, lags_of
from siderea.binaries.templates import checked_templates
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.spectra.lines import BALMER
from siderea.spectra.masks import telluric
from siderea.spectra.wavelength import air_to_vacuum, velocity_step

__all__ = ["Correlator"]

BALMER_HALF_WIDTH = 10.0
"""Masked on each side of a Balmer line, Å: their wings are wider than any CCF's peak."""

SLOWEST = 500.0
"""Scale, km/s, of what is filtered out: errors of the continuum are slower, lines are faster."""

TAPER = 16
"""Pixels over which the ends of an arm fade, lest a line that is cut by the end counts."""

WORST = 0.04
"""Pixels of less than this share of the median inverse variance are left out."""

LARGEST_DEPTH = 1.5
"""Depths beyond ± this are cut: cosmic rays and emission outweigh every line otherwise."""


class Correlator:
    """Templates made ready for the correlation of spectra of one grid.

    Parameters
    ----------
    spectra : Spectra
        Any set on the grid (its rows are not used).
    templates : (T, P) array-like, optional
        Normalised spectra on the same grid; those of the emulator by default.
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
        self._size = 6 * int(scipy.fft.next_fast_len(-(-(longest + reach) // 6), real=True))
        self._window = _window(spectra)
        self._pixel = pixel
        self.library = self._library(checked_templates(templates, spectra))

    def _library(self, templates: NDArray[np.float32]) -> Library:
        """Return templates (T, P) made ready."""
        depth = (1.0 - templates).astype(np.float32)
        frequency = np.arange(self._size // 2 + 1) / (self._size * self._pixel)
        slow = (1.0 - np.exp(-((frequency * SLOWEST) ** 2))).astype(np.float32)
        shape = (len(templates), len(self.arms))
        stored = np.empty((*shape, frequency.size), np.complex64)
        acf = np.empty((*shape, 4 * self.n_lags + 1))
        power, noise = np.empty(shape), np.empty(shape)
        for number, arm in enumerate(self.arms):
            transform = scipy.fft.rfft(_centred(depth[:, arm], self._window[arm]), self._size)
            stored[:, number] = np.conj(transform) * slow
            square = np.abs(transform) ** 2
            own = lags_of(square * slow, self._size, self.oversampling, 2 * self.n_lags)
            power[:, number] = own[:, 2 * self.n_lags]
            noise[:, number] = (square * slow**2) @ self._fold
            acf[:, number] = own / np.maximum(power[:, number, None], 1e-30)
        return Library(stored, power, noise, acf, self.arms, self._size, self._pixel, slow)

    @property
    def _fold(self) -> NDArray[np.float32]:
        """Weights (F,) that make the sum over half a transform the sum over all of it."""
        fold = np.full(self._size // 2 + 1, 2.0 / self._size, np.float32)
        fold[0] /= 2
        if self._size % 2 == 0:
            fold[-1] /= 2
        return fold

    def __call__(self, spectra: Spectra, *, references: ArrayLike | None = None) -> Correlation:
        """Correlate spectra with every template, and keep the best template's.

        Parameters
        ----------
        spectra : Spectra
            N normalised spectra on the grid of the correlator.
        references : (N, P) array-like, optional
            A template of each spectrum's own, tried beside the others.

        Returns
        -------
        Correlation

        Raises
        ------
        DataError
            If the grid is another, or references do not fit.
        """
        if spectra.arms != self.arms or not np.array_equal(spectra.wavelength, self.wavelength):
            raise DataError("spectra: found another grid than that of the correlator")
        source = self._transforms(spectra)
        if references is not None:
            own = checked_templates(references, spectra)
            if len(own) != len(spectra):
                raise DataError(f"references: found {len(own)}; expected {len(spectra)}, one each")
            source = replace(source, own=self._library(own))
        best, height = self._choose(source)
        return self._correlation(source, best, height)

    def with_templates(self, correlation: Correlation, template: NDArray[np.intp]) -> Correlation:
        """Return the correlation of the same spectra with other templates (N,) of the library."""
        rows = np.flatnonzero(template != correlation.template)
        if not rows.size:
            return correlation
        part = self._correlation(correlation.source[rows], template[rows], correlation.height[rows])
        return correlation.replaced(rows, part)

    def _transforms(self, spectra: Spectra) -> Transformed:
        """Transform the line depths."""
        shape = (len(spectra), len(self.arms))
        data = np.empty((*shape, self._size // 2 + 1), np.complex64)
        good = _witnesses(spectra) & (self._window > 0)
        weight, share, variance = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for number, arm in enumerate(self.arms):
            ivar, window, used = spectra.ivar[:, arm], self._window[arm], good[:, arm]
            raw = np.clip(1.0 - spectra.flux[:, arm], -LARGEST_DEPTH, LARGEST_DEPTH)
            depth = _centred(raw.astype(np.float32), np.where(used, window, np.float32(0)))
            data[:, number] = scipy.fft.rfft(depth, self._size)
            count = used.sum(axis=1)
            noise = np.divide(1.0, ivar, out=np.zeros_like(ivar), where=used).sum(axis=1)
            share[:, number] = count / max(1, np.count_nonzero(window))
            np.divide(count, noise, out=weight[:, number], where=count > 0)
            variance[:, number] = np.einsum("np,np->n", depth, depth)
        weight[share < 0.3] = 0.0  # an arm with less left is no witness
        return Transformed(data, good, weight, share, variance, self.library)

    def _choose(self, source: Transformed) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Choose the template that measures the velocity best: the highest, narrowest CCF.

        σ_v⁻² ∝ −(C″/C) C²/(1 − C²), of the correlation coefficient C (Zucker 2003).
        """
        weight = source.weight
        weighted = source.data * weight.astype(np.float32)[:, :, None]
        total = (weight * source.variance).sum(axis=1)
        tried = list(zip(source.library.transform, source.library.power, strict=True))
        if source.own is not None:
            tried.append((source.own.transform, source.own.power))
        score, height = np.zeros((2, len(weight), len(tried)))
        coarse = self.n_lags // self.oversampling
        product, part = np.empty((2, len(weight), weighted.shape[2]), np.complex64)
        for one, (transform, power) in enumerate(tried):
            np.multiply(weighted[:, 0], transform[..., 0, :], out=product)
            for arm in range(1, weight.shape[1]):
                product += np.multiply(weighted[:, arm], transform[..., arm, :], out=part)
            full = scipy.fft.irfft(product, self._size)
            ccf = np.concatenate([full[:, self._size - coarse :], full[:, : coarse + 1]], axis=1)
            strength = (weight * source.share * power).sum(axis=1)
            ccf = np.clip(ccf / np.sqrt(np.maximum(total * strength, 1e-30))[:, None], -1, 0.999)
            peak = ccf[:, 1:-1].argmax(axis=1)[:, None] + 1
            left, top, right = (np.take_along_axis(ccf, peak + k, 1)[:, 0] for k in (-1, 0, 1))
            curvature = np.maximum(2 * top - left - right, 0.0)
            height[:, one] = top
            score[:, one] = curvature * np.maximum(top, 0) / (1 - top**2)
        best = score.argmax(axis=1)
        return best, np.take_along_axis(height, best[:, None], 1)[:, 0]

    def _correlation(self, source: Transformed, best: NDArray, height: NDArray) -> Correlation:
        weight, share = source.weight, source.share
        power = source.of_template("power", best) * share
        arm_variance = np.divide(
            source.of_template("noise", best) * share,
            weight * power**2,
            out=np.full(weight.shape, np.nan),
            where=weight * power > 0,
        )
        seen = np.isfinite(arm_variance)
        total = (weight * power).sum(axis=1, keepdims=True)
        total = np.where(total > 0, total, np.inf)
        part = weight * power / total
        variance = np.nansum(part**2 * arm_variance, axis=1)
        error = np.where(np.isfinite(total[:, 0]), np.sqrt(variance), np.nan)
        transform = source.of_template("transform", best)
        transform *= np.where(seen, weight / total, 0.0).astype(np.float32)[:, :, None]
        transform *= source.data
        ccf = lags_of(transform.sum(axis=1), self._size, self.oversampling, self.n_lags)
        return Correlation(
            self.step,
            ccf.astype(float),
            error,
            np.sqrt(arm_variance),
            np.einsum("na,nav->nv", part, source.of_template("acf", best)),
            best,
            height,
            source,
        )


def _common_step(spectra: Spectra) -> float:
    steps = [velocity_step(spectra.wavelength[arm]) for arm in spectra.arms]
    if max(steps) - min(steps) > 1e-3 * max(steps):
        raise DataError(
            f"arms: found steps of {min(steps):.4f} to {max(steps):.4f} km/s; expected one step: "
            "resample to log_grid first (siderea.spectra.resample)"
        )
    return float(np.mean(steps))


def _witnesses(spectra: Spectra) -> NDArray[np.bool_]:
    """Return the pixels (N, P) that are good, and not much worse than their arm's typical one.

    All pixels of an arm have one weight: one with a hundred times the variance would spoil it.
    """
    good = spectra.ivar > 0
    for arm in spectra.arms:
        ivar = spectra.ivar[:, arm]
        # The median of all pixels would take as long as a correlation.
        some = ivar[:, :: max(1, ivar.shape[1] // 1024)]
        typical = np.median(some, axis=1, keepdims=True)
        good[:, arm] &= ivar > WORST * typical
    return good


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
