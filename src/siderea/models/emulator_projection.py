"""The components of an emulator projected on the pixels of a survey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from siderea.constants import C_KMS, GAUSSIAN_FWHM
from siderea.data import Medium, Spectra
from siderea.errors import DataError
from siderea.models.emulator import Emulator
from siderea.models.velocity_kernels import MAX_VELOCITY
from siderea.spectra.broadening import to_resolution
from siderea.spectra.resample import interpolate
from siderea.spectra.wavelength import convert_medium, velocity_step

__all__ = ["SurveyArm", "Waves", "cubic", "resampled", "split_arms", "survey_arms", "waves_of"]

Array = NDArray[np.float64]

UNBROADENED = 1e9
"""Resolving power that stands for a spectrum which no instrument has seen."""

BAND_LIMITED = 1.3
"""Standard deviations of the line spread function per pixel above which the pixels themselves are
transformed: what lies beyond the highest frequency is then below 3e-4."""

FINE = 3.0
"""Internal pixels per standard deviation otherwise, so that cubic interpolation errs by 1e-4."""

GAP = 20
"""A leap of so many pixels separates two arms."""


@dataclass(frozen=True)
class SurveyArm:
    """One arm of the survey, in the medium of the emulator."""

    pixels: slice
    wavelength: Array
    resolution: float
    source: int  # arm of the emulator that covers it

    @property
    def sigma(self) -> float:
        """Standard deviation of the line spread function, km/s."""
        return C_KMS / GAUSSIAN_FWHM / self.resolution


@dataclass(frozen=True)
class Waves:
    """What turns coefficients into spectra when there are velocities.

    ``waves`` (K + 1, A, F) are transforms of the components and, last, of 1 − mean; arm ``a`` is
    read at ``position[a]``, in pixels of the internal grid of ``step`` km/s and ``n`` pixels.
    """

    step: float
    n: int
    waves: NDArray[np.complex128]
    position: tuple[Array, ...]

    @property
    def frequency(self) -> Array:
        """Cycles per km/s."""
        return np.asarray(np.fft.rfftfreq(self.n, self.step), dtype=np.float64)


def split_arms(wavelength: Array) -> tuple[slice, ...]:
    """Split a grid where the wavelength falls, or leaps by many pixels."""
    step = np.diff(wavelength)
    if step.size == 0:
        return (slice(0, wavelength.size),)
    broken = (step <= 0) | (step > GAP * np.median(np.abs(step)))
    edges = [0, *(np.flatnonzero(broken) + 1).tolist(), wavelength.size]
    return tuple(slice(a, b) for a, b in pairwise(edges))


def survey_arms(
    emulator: Emulator,
    wavelength: Array,
    resolution: float | Sequence[float],
    medium: Medium,
    arms: tuple[slice, ...],
) -> tuple[SurveyArm, ...]:
    """Check the arms of the survey, and find the arm of the emulator that covers each."""
    values = np.atleast_1d(np.asarray(resolution, dtype=np.float64))
    if values.size not in (1, len(arms)) or not np.all(values > 0):
        raise DataError(
            f"resolution: found {resolution}; expected λ/FWHM, one for all or one for each of "
            f"the {len(arms)} arms"
        )
    grid = convert_medium(wavelength, medium, emulator.medium)
    spans = [emulator.arm_span(i) for i in range(len(emulator.arms))]
    pieces = []
    for pixels, power in zip(arms, np.broadcast_to(values, len(arms)).tolist(), strict=True):
        piece = grid[pixels]
        inside = [i for i, (a, b) in enumerate(spans) if a <= piece[0] and piece[-1] <= b]
        if not inside or piece.size < 2 or np.any(np.diff(piece) <= 0):
            raise DataError(
                f"wavelength: found an arm from {piece[0]:.2f} to {piece[-1]:.2f} Å "
                f"({emulator.medium}); expected increasing pixels within one of "
                + ", ".join(f"{a:.2f}-{b:.2f}" for a, b in spans)
            )
        pieces.append(SurveyArm(pixels, piece, min(power, UNBROADENED), inside[0]))
    return tuple(pieces)


def resampled(emulator: Emulator, arm: SurveyArm, grid: Array) -> NDArray[np.float64]:
    """Components and depth of the mean (K + 1, P) at the resolution of an arm, on ``grid``.

    Beyond the ends of the emulator's arm the end pixel is held.
    """
    source = emulator.arms[arm.source]
    rows = np.concatenate(
        [-emulator.components[:, source].astype(np.float64), 1.0 - emulator.mean[None, source]]
    )
    wavelength = emulator.wavelength[source]
    if arm.resolution < UNBROADENED:
        spectra = Spectra(wavelength, rows, np.ones_like(rows), emulator.medium)
        rows = to_resolution(spectra, arm.resolution, from_resolution=UNBROADENED).flux
    return interpolate(wavelength, rows, np.ones_like(rows), grid)[0]


def waves_of(
    emulator: Emulator, arms: tuple[SurveyArm, ...], extra_labels: tuple[str, ...]
) -> Waves:
    """Transform the components on grids uniform in ln λ, one step and length for all arms."""
    step, aligned = _internal_step(emulator, arms)
    margin = int(np.ceil(sum(MAX_VELOCITY[name] for name in extra_labels) / step)) + 4
    sizes = [int(np.ceil(C_KMS * np.log(a.wavelength[-1] / a.wavelength[0]) / step)) for a in arms]
    n = next_fast_len(max(sizes) + 1 + 2 * margin, real=True)
    waves, position = [], []
    for arm in arms:
        grid = arm.wavelength[0] * np.exp((np.arange(n) - margin) * step / C_KMS)
        rows = resampled(emulator, arm, grid) * _taper(grid, emulator.arm_span(arm.source))
        waves.append(np.fft.rfft(rows))
        where = margin + C_KMS / step * np.log(arm.wavelength / arm.wavelength[0])
        position.append(np.rint(where) if aligned else where)
    return Waves(step, n, np.stack(waves, axis=1), tuple(position))


def _internal_step(emulator: Emulator, arms: tuple[SurveyArm, ...]) -> tuple[float, bool]:
    """Return the step of the transforms, km/s, and whether the arms' pixels are on it."""
    try:
        steps = [velocity_step(arm.wavelength) for arm in arms]
    except DataError:
        steps = []
    sigma = min(arm.sigma for arm in arms)
    if steps and np.ptp(steps) < 1e-6 * steps[0] and sigma > BAND_LIMITED * steps[0]:
        return steps[0], True
    native = min(
        C_KMS * float(np.diff(np.log(emulator.wavelength[arm])).min()) for arm in emulator.arms
    )
    return max(native, sigma / FINE), False


def _taper(grid: Array, span: tuple[float, float]) -> Array:
    """Fall from 1 to 0 outside what the emulator covers, so that the ends join smoothly."""
    low, high = span
    covered = np.flatnonzero((grid >= low) & (grid <= high))
    first, last = int(covered[0]), int(covered[-1])
    weight = np.ones(grid.size)
    weight[:first] = np.sin(np.linspace(0, np.pi / 2, first, endpoint=False)) ** 2
    weight[last + 1 :] = np.cos(np.linspace(np.pi / 2, 0, grid.size - last - 1)[::-1]) ** 2
    return weight


def cubic(position: Array) -> tuple[NDArray[np.int64], Array]:
    """Pixels (P, 4) and weights (P, 4) of Lagrange's cubic interpolation at ``position``."""
    first = np.floor(position).astype(np.int64)
    t = (position - first)[:, None]
    weights = np.concatenate(
        [
            -t * (t - 1) * (t - 2) / 6,
            (t + 1) * (t - 1) * (t - 2) / 2,
            -(t + 1) * t * (t - 2) / 2,
            (t + 1) * t * (t - 1) / 6,
        ],
        axis=1,
    )
    return first[:, None] + np.arange(-1, 3), weights
