"""Where fits start: correlations with templates, on the pixels of the fit."""

from __future__ import annotations

from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from siderea.binaries.composite_fit import CompositeFit, CompositeFitter, Observed
from siderea.binaries.star_bank import StarSpectra
from siderea.constants import C_KMS

__all__ = ["Starts"]

Array = NDArray[np.float64]

DWARFS = tuple(product((4550.0, 5000.0, 5500.0, 6000.0, 6600.0), (4.4,), (0.0, -0.7, -1.7)))
GIANTS = tuple(product((4550.0, 5000.0), (2.4,), (0.0, -0.7, -1.7)))
ROTATIONS = (4.0, 12.0, 25.0)

PAIRS = ((0.95, True), (0.75, True), (0.75, False), (0.55, False))
"""Mass ratios at which pairs of velocities are searched, with narrow lines or with the rotation of
the single star: that is the first star's where the second is faint."""

PAIRS_KEPT = 3

AT_REST, TWIN = 0.7, 0.93
"""Mass ratios at which companions start that move with their primary."""

CLOSE = 3.5
"""Half of the Δv, km/s, at which twins start that no correlation separates."""

SEPARATE = 2
"""Binned pixels between two stars from which a correlation can tell them."""

NARROW = 8.0
"""km/s: rotation of the templates of a pair."""

REACH = 150.0
"""km/s on either side of 0 within which pairs are searched."""


class Starts:
    """Starts on the pixels of a fitter's bank."""

    def __init__(self, fitter: CompositeFitter) -> None:
        self.fitter, self.bank = fitter, fitter.bank
        self.velocity_step = 2 * self.bank.pixel
        self._size = 2 * self.bank.n_pixels

    @cached_property
    def _templates(self) -> tuple[Array, NDArray, NDArray]:
        """Parameters (T, 6), and transforms (T, A, F) of depth and its square."""
        rows = np.array([(*star, vsini) for star in (*DWARFS, *GIANTS) for vsini in ROTATIONS])
        alpha = np.clip(-0.3 * rows[:, 2], 0.0, 0.3)
        theta = np.column_stack([rows[:, :3], alpha, rows[:, 3], np.zeros(len(rows))])
        low, high = self.fitter.bounds(1)
        theta = theta.clip(low, high)
        depth = 1.0 - self.bank(theta[:, :4], theta[:, 4], theta[:, 5]).flux
        return theta, self._transform(depth), self._transform(depth**2)

    def _transform(self, values: NDArray) -> NDArray[np.complex64]:
        return np.asarray(np.fft.rfft(values, self._size).astype(np.complex64))

    def _lags(self, reach: float) -> NDArray[np.int64]:
        most = int(reach / self.velocity_step)
        return np.arange(-most, most + 1)

    def _rv(self, lag: NDArray) -> Array:
        return np.asarray(C_KMS * np.tanh(lag * self.velocity_step / C_KMS))

    def single(self, data: Observed) -> Array:
        """Return parameters (N, 6): the template and velocity of the smallest χ²."""
        theta, depth, squared = self._templates
        weight = data.root**2
        seen = self._transform(weight * (1.0 - data.flux)).transpose(2, 0, 1)
        heavy = self._transform(weight).transpose(2, 0, 1)
        gained = 2 * seen @ depth.conj().transpose(2, 1, 0) - heavy @ squared.conj().transpose(
            2, 1, 0
        )
        lags = self._lags(self.bank.bounds[5, 1])
        gained = np.fft.irfft(gained.transpose(1, 2, 0), self._size)[:, :, lags]
        flat = gained.reshape(len(gained), -1).argmax(axis=1)
        out = theta[flat // lags.size].copy()
        out[:, 5] = self._rv(lags[flat % lags.size])
        return out

    def together(self, alone: CompositeFit) -> Array:
        """Return parameters (N, K, 9) of pairs that move as one: unlike stars, and twins.

        Twins at one velocity are told by their rotation alone, so both orders are there; those that
        correlations do not separate, by lines that are too wide.
        """
        n = len(alone.theta)
        vsini, rv = alone.theta[:, 4], alone.theta[:, 5]
        slow, fast = 0.5 * vsini, 1.3 * vsini + 4.0
        less = np.sqrt(np.maximum(vsini**2 - 4.0 * CLOSE**2, 1.0))
        kinds = (
            (AT_REST, vsini, vsini, 0.0),
            (TWIN, slow, fast, 0.0),
            (TWIN, fast, slow, 0.0),
            (TWIN, less, less, CLOSE),
        )
        starts = []
        for q, one, two, half in kinds:
            start = np.column_stack([alone.theta, np.full(n, q), two, rv + half])
            start[:, 4], start[:, 5] = one, rv - half
            starts.append(start)
        return np.stack(starts, axis=1)

    def apart(self, data: Observed, alone: CompositeFit) -> Array:
        """Return parameters (N, K, 9): the best pair of velocities of each of `PAIRS`.

        Those that explain least are left out.
        """
        n = len(alone.theta)
        labels, vsini = alone.theta[:, :4], alone.theta[:, 4]
        still, narrow = np.zeros(n), np.minimum(vsini, NARROW)
        weight = data.root**2
        seen = self._transform(weight * (1.0 - data.flux))
        mean = weight.mean(axis=2)
        starts, powers = [], []
        for q, sharp in PAIRS:
            cool, _, ratio, _ = self.fitter.companion(labels, np.full(n, q))
            turning = narrow if sharp else vsini
            first = self.bank(labels, turning, still)
            second = self.bank(cool, narrow, still)
            lags, power = self._pair(seen, mean, *self._depths(first, second, ratio))
            start = np.column_stack([alone.theta, np.full(n, q), narrow, still])
            start[:, 4] = turning
            start[:, 5], start[:, 8] = self._rv(lags[:, 0]), self._rv(lags[:, 1])
            starts.append(start)
            powers.append(power)
        best = np.argsort(-np.array(powers), axis=0)[:PAIRS_KEPT].T
        return np.stack(starts, axis=1)[np.arange(n)[:, None], best]

    def third(self, data: Observed, model: NDArray, binary: CompositeFit) -> Array:
        """Return parameters (N, K, 12): a third star where the residuals show one, and at rest."""
        n = len(binary.theta)
        labels = binary.theta[:, :4]
        cool, _, _, _ = self.fitter.companion(labels, np.full(n, AT_REST))
        depth = 1.0 - self.bank(cool, np.full(n, NARROW), np.zeros(n)).flux
        weight = data.root**2
        seen = self._transform(weight * (model - data.flux))
        lags = self._lags(REACH)
        power = np.fft.irfft((seen * self._transform(depth).conj()).sum(axis=1), self._size)
        rv = self._rv(lags[power[:, lags].argmax(axis=1)])
        starts = []
        for velocity in (rv, binary.theta[:, 5]):
            columns = [binary.theta, np.full(n, AT_REST), np.full(n, NARROW), velocity]
            starts.append(np.column_stack(columns))
        return np.stack(starts, axis=1)

    @staticmethod
    def _depths(
        first: StarSpectra, second: StarSpectra, ratio: Array
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the depths of two stars' lines, weighed with their light."""
        log = second.brightness - first.brightness + ratio[:, None, None].astype(np.float32)
        share = 1.0 / (1.0 + np.exp(-log))
        return (1.0 - share) * (1.0 - first.flux), share * (1.0 - second.flux)

    def _pair(
        self, seen: NDArray, mean: NDArray, one: NDArray, two: NDArray
    ) -> tuple[NDArray[np.int64], Array]:
        """Return the lags (N, 2) of two stars that explain most, and how much that is (N,)."""
        lags = self._lags(REACH)
        t1, t2 = self._transform(one), self._transform(two)
        c1, c2, cross = (
            np.fft.irfft(x.sum(axis=1), self._size)
            for x in (seen * t1.conj(), seen * t2.conj(), mean[:, :, None] * t1 * t2.conj())
        )
        norm = (mean * ((one**2).sum(axis=2) + (two**2).sum(axis=2))).sum(axis=1)
        apart = lags[None, :] - lags[:, None]  # v2 - v1
        top = np.maximum(c1[:, lags][:, :, None] + c2[:, lags][:, None, :], 0.0)
        # t2 moved by v2 - v1 against t1
        both = norm[:, None, None] + 2 * cross[:, -apart]
        power = np.where(np.abs(apart) >= SEPARATE, top**2 / both, 0.0)
        flat = power.reshape(len(power), -1)
        best = flat.argmax(axis=1)
        pair = np.column_stack([lags[best // lags.size], lags[best % lags.size]])
        return pair, flat.max(axis=1)
