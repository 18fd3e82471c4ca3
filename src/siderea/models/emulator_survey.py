"""The emulator on the grid of a survey: resolution folded in, velocities as extra labels.

Everything between the coefficients of the components and the pixels of the survey is linear, so
the line spread function and the resampling are applied once, to the components. Velocities that
vary from star to star multiply the Fourier transform of the components' sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.fft import next_fast_len

from siderea.constants import C_KMS, GAUSSIAN_FWHM
from siderea.data import Medium, Spectra, plain
from siderea.errors import DataError
from siderea.models.emulator import Emulator, continuum_design, evaluate, label_inputs
from siderea.models.velocity_kernels import KERNELS, MAX_VELOCITY
from siderea.spectra.broadening import to_resolution
from siderea.spectra.resample import interpolate
from siderea.spectra.wavelength import convert_medium, velocity_step

__all__ = ["SurveyEmulator"]

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
class _Arm:
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
class _Transform:
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


@dataclass(frozen=True, repr=False)
class SurveyEmulator:
    """An `Emulator` as one survey would see its stars; made by `Emulator.at`.

    Parameters
    ----------
    emulator : Emulator
    wavelength : (P,) ndarray
        Å, in ``medium``.
    medium : {"air", "vacuum"}
    arms : tuple of slice
    resolution : tuple of float
        Per arm.
    extra_labels : tuple of str
    basis : (K + 1, P) ndarray of float32
        Components and, last, 1 − mean, as the survey sees them at rest and without broadening.
    """

    emulator: Emulator
    wavelength: Array
    medium: Medium
    arms: tuple[slice, ...]
    resolution: tuple[float, ...]
    extra_labels: tuple[str, ...]
    basis: NDArray[np.float32]
    _arms: tuple[_Arm, ...]
    _transform: _Transform | None

    @classmethod
    def of(
        cls,
        emulator: Emulator,
        wavelength: ArrayLike,
        *,
        resolution: float | Sequence[float],
        medium: Medium,
        arms: tuple[slice, ...],
        extra_labels: tuple[str, ...],
    ) -> SurveyEmulator:
        """Make it; see `Emulator.at`."""
        unknown = [name for name in extra_labels if name not in KERNELS]
        if unknown or len(set(extra_labels)) < len(extra_labels):
            raise DataError(
                f"extra_labels: found {', '.join(extra_labels)}; expected any of "
                f"{', '.join(KERNELS)}, each once"
            )
        grid = plain(wavelength, "Angstrom")
        arms = arms or split_arms(grid)
        pieces = _survey_arms(emulator, grid, resolution, medium, arms)
        transform = _transform_of(emulator, pieces, extra_labels) if extra_labels else None
        basis = [_resampled(emulator, arm, arm.wavelength) for arm in pieces]
        return cls(
            emulator,
            grid,
            medium,
            arms,
            tuple(arm.resolution for arm in pieces),
            extra_labels,
            np.concatenate(basis, axis=1).astype(np.float32),
            pieces,
            transform,
        )

    def __repr__(self) -> str:
        return f"<SurveyEmulator of {', '.join(self.label_names)}: {self.wavelength.size} pixels>"

    @property
    def label_names(self) -> tuple[str, ...]:
        """The five labels of the star, then the velocities."""
        return self.emulator.label_names + self.extra_labels

    @cached_property
    def label_range(self) -> Array:
        """Lowest and highest value of each label (L, 2)."""
        low = {"rv": -MAX_VELOCITY["rv"]}
        extra = [[low.get(name, 0.0), MAX_VELOCITY[name]] for name in self.extra_labels]
        return np.concatenate([self.emulator.label_range, np.reshape(extra, (-1, 2))])

    def normalised(self, labels: torch.Tensor) -> torch.Tensor:
        """Return normalised flux (N, P), differentiable, in the precision of the labels."""
        n_star = len(self.emulator.label_names)
        coefficients = self.emulator.lines(label_inputs(labels[:, :n_star])).to(labels.dtype)
        tables = self._tables(labels.dtype, labels.device)
        if self._transform is None:
            return 1 - (coefficients @ tables["lines"] + tables["mean"])
        n, (n_arms, n_waves) = self._transform.n, self._transform.waves.shape[1:]
        waves = coefficients @ tables["lines"] + tables["mean"]
        waves = torch.view_as_complex(waves.reshape(-1, n_arms, n_waves, 2))
        for name, value in zip(self.extra_labels, labels[:, n_star:].T, strict=True):
            waves = waves * KERNELS[name](tables["frequency"], value[:, None])[:, None]
        depth = torch.fft.irfft(waves, n=n)
        pieces = [self._read(depth[:, i], i, tables) for i in range(n_arms)]
        return 1 - torch.cat(pieces, dim=1)

    def continuum_density(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the surface flux density (N, P) of the continuum, at the wavelengths at rest.

        A velocity moves the continuum by 1e-3 of its slope at most: that is left out.
        """
        n_star = len(self.emulator.label_names)
        coefficients = self.emulator.continuum(label_inputs(labels[:, :n_star]))
        pieces = coefficients.chunk(len(self.emulator.arms), dim=1)
        tables = self._tables(labels.dtype, labels.device)
        values = [
            pieces[arm.source] @ tables[f"design{i}"].to(coefficients)
            for i, arm in enumerate(self._arms)
        ]
        return torch.exp(torch.cat(values, dim=1)).to(labels.dtype)

    def density(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the surface flux density (N, P), lines included, erg s⁻¹ cm⁻² Å⁻¹."""
        return self.normalised(labels) * self.continuum_density(labels)

    def predict(self, labels: ArrayLike) -> NDArray[np.float32]:
        """Return normalised flux (N, P) for labels (N, L); a NaN label gives a NaN spectrum.

        Raises
        ------
        DataError
            If a label lies outside `label_range`.
        """
        return evaluate(self, self.normalised, labels)

    def flux_density(self, labels: ArrayLike) -> NDArray[np.float32]:
        """Return the surface flux density (N, P), lines included, erg s⁻¹ cm⁻² Å⁻¹.

        Raises
        ------
        DataError
            If a label lies outside `label_range`.
        """
        return evaluate(self, self.density, labels)

    def _read(self, depth: torch.Tensor, arm: int, tables: dict[str, torch.Tensor]) -> torch.Tensor:
        """Read the depth (N, n) of one arm at its pixels."""
        assert self._transform is not None
        position = self._transform.position[arm]
        if position[0] == np.rint(position[0]) and np.all(np.diff(position) == 1):
            start = int(position[0])
            return depth[:, start : start + position.size]
        index, weight = tables[f"index{arm}"], tables[f"weight{arm}"]
        taken = depth[:, index.ravel()].reshape(len(depth), *index.shape)
        return (taken * weight).sum(dim=-1)

    @cached_property
    def _cache(self) -> dict[tuple[torch.dtype, torch.device], dict[str, torch.Tensor]]:
        return {}

    def _tables(self, dtype: torch.dtype, device: torch.device) -> dict[str, torch.Tensor]:
        """Return the arrays in one precision and place, made once."""
        key = (dtype, device)
        if key not in self._cache:
            tables = {name: torch.from_numpy(value) for name, value in self._numbers().items()}
            self._cache[key] = {
                name: value.to(device, dtype if value.is_floating_point() else None)
                for name, value in tables.items()
            }
        return self._cache[key]

    def _numbers(self) -> dict[str, NDArray]:
        model = self.emulator
        numbers: dict[str, NDArray] = {}
        for i, arm in enumerate(self._arms):
            span = model.arm_span(arm.source)
            design = continuum_design(arm.wavelength, span, model.continuum_degree)
            numbers[f"design{i}"] = np.ascontiguousarray(design.T)
        basis: NDArray = self.basis
        if self._transform is not None:
            waves = np.ascontiguousarray(self._transform.waves)
            basis = waves.view(np.float64).reshape(len(waves), -1)
            numbers["frequency"] = self._transform.frequency
            for i, position in enumerate(self._transform.position):
                numbers[f"index{i}"], numbers[f"weight{i}"] = _cubic(position)
        return numbers | {"lines": basis[:-1], "mean": basis[-1]}


def split_arms(wavelength: Array) -> tuple[slice, ...]:
    """Split a grid where the wavelength falls, or leaps by many pixels."""
    step = np.diff(wavelength)
    if step.size == 0:
        return (slice(0, wavelength.size),)
    broken = (step <= 0) | (step > GAP * np.median(np.abs(step)))
    edges = [0, *(np.flatnonzero(broken) + 1).tolist(), wavelength.size]
    return tuple(slice(a, b) for a, b in pairwise(edges))


def _survey_arms(
    emulator: Emulator,
    wavelength: Array,
    resolution: float | Sequence[float],
    medium: Medium,
    arms: tuple[slice, ...],
) -> tuple[_Arm, ...]:
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
        pieces.append(_Arm(pixels, piece, min(power, UNBROADENED), inside[0]))
    return tuple(pieces)


def _resampled(emulator: Emulator, arm: _Arm, grid: Array) -> NDArray[np.float64]:
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


def _transform_of(
    emulator: Emulator, arms: tuple[_Arm, ...], extra_labels: tuple[str, ...]
) -> _Transform:
    """Transform the components on grids uniform in ln λ, one step and length for all arms."""
    step, aligned = _internal_step(emulator, arms)
    margin = int(np.ceil(sum(MAX_VELOCITY[name] for name in extra_labels) / step)) + 4
    sizes = [int(np.ceil(C_KMS * np.log(a.wavelength[-1] / a.wavelength[0]) / step)) for a in arms]
    n = next_fast_len(max(sizes) + 1 + 2 * margin, real=True)
    waves, position = [], []
    for arm in arms:
        grid = arm.wavelength[0] * np.exp((np.arange(n) - margin) * step / C_KMS)
        rows = _resampled(emulator, arm, grid) * _taper(grid, emulator.arm_span(arm.source))
        waves.append(np.fft.rfft(rows))
        where = margin + C_KMS / step * np.log(arm.wavelength / arm.wavelength[0])
        position.append(np.rint(where) if aligned else where)
    return _Transform(step, n, np.stack(waves, axis=1), tuple(position))


def _internal_step(emulator: Emulator, arms: tuple[_Arm, ...]) -> tuple[float, bool]:
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


def _cubic(position: Array) -> tuple[NDArray[np.int64], Array]:
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
