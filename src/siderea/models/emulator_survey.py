"""The emulator on the grid of a survey: resolution folded in, velocities as extra labels.

Everything between the coefficients of the components and the pixels of the survey is linear, so
the line spread function and the resampling are applied once, to the components. Velocities that
vary from star to star multiply the Fourier transform of the components' sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.data import Medium, plain
from siderea.errors import DataError
from siderea.models.emulator import Emulator, continuum_design, evaluate, label_inputs
from siderea.models.emulator_projection import (
    SurveyArm,
    Waves,
    cubic,
    resampled,
    split_arms,
    survey_arms,
    waves_of,
)
from siderea.models.velocity_kernels import KERNELS, MAX_VELOCITY

__all__ = ["SurveyEmulator"]

Array = NDArray[np.float64]


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
    _arms: tuple[SurveyArm, ...]
    _transform: Waves | None

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
        pieces = survey_arms(emulator, grid, resolution, medium, arms)
        transform = waves_of(emulator, pieces, extra_labels) if extra_labels else None
        basis = [resampled(emulator, arm, arm.wavelength) for arm in pieces]
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
                numbers[f"index{i}"], numbers[f"weight{i}"] = cubic(position)
        return numbers | {"lines": basis[:-1], "mean": basis[-1]}
