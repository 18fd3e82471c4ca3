"""Single stars of the emulator on the pixels of a fit, with slopes, for many stars at once.

Between the coefficients of the emulator's components and a pixel everything is linear. So the
components are brought to the survey's resolution, broadened by each of a few rotation velocities
and kept; a star is a product of its coefficients with them, between the two rotations next to its
own (linear in v sin i²), shifted by its velocity and summed over pairs of pixels: the spectra of a
survey are sampled twice as finely as their resolution needs.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from siderea.binaries.survey_correction import SurveyCorrection, design
from siderea.constants import C_KMS
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.models.emulator import Emulator, continuum_design, label_inputs
from siderea.models.tied import microturbulence
from siderea.spectra.broadening import macroturbulent, rotational

__all__ = ["LABELS", "StarBank", "StarSpectra"]

LABELS = ("teff", "logg", "fe_h", "alpha_fe")
"""Labels of a star; v_mic follows from them."""

ROTATIONS = tuple(
    float(v)
    for v in (
        *(0, 2, 3, 4, 5, 6, 7, 8, 9.5, 11, 13, 15, 17.5, 20, 23),
        *(26, 30, 35, 40, 46, 53, 60, 70, 82, 96, 120, 145, 170, 200),
    )
)
"""km/s. Between them the flux is linear in v sin i²: 3e-4 rms at most."""

VMAC = 2.0
"""Macroturbulence of every star, km/s: what rotation adds takes up the rest."""

KNOWN = 60
"""Pixels beyond an arm's ends to which the emulator reaches, whatever the star's velocity."""

MARGIN = 96
"""Pixels beyond an arm's ends that are held: the last of them without lines."""

STEPS = np.array([20.0, 0.03, 0.02, 0.02])
"""Of the labels, for slopes."""

SECOND_RADIATION = 1.438777e8
"""hc/k, Å K (CODATA)."""

TAPS = np.arange(-2, 4)

TYPICAL = 6.0
"""v sin i, km/s, of the stars that a survey's correction is learned from: what rotates no faster
needs it no broader."""


@dataclass(frozen=True)
class StarSpectra:
    """N stars on the binned pixels (A arms of Q).

    Parameters
    ----------
    flux : (N, A, Q) ndarray of float32
        Normalised.
    slopes : (N, 6, A, Q) ndarray of float32
        By `LABELS`, v sin i and velocity.
    brightness : (N, A, Q) ndarray of float32
        Logarithm of the continuum's surface flux density.
    brightness_slopes : (N, 4, A) ndarray
        By `LABELS`, in the middle of the arm.
    """

    flux: NDArray[np.float32]
    slopes: NDArray[np.float32]
    brightness: NDArray[np.float32]
    brightness_slopes: NDArray[np.float64]


class StarBank:
    """The emulator on the grid of some spectra.

    Parameters
    ----------
    emulator : Emulator
    spectra : Spectra
        Any set on the grid: uniform in ln λ within every arm, resolution known.
    correction : SurveyCorrection, optional
        What is added to the model's flux, on the same grid.

    Attributes
    ----------
    n_arms, n_pixels : int
        A and Q, binned; shorter arms are filled up.
    bounds : (6, 2) ndarray
        Of `LABELS`, v sin i and velocity.

    Raises
    ------
    DataError
        If the grid is not uniform, the medium differs, or the emulator does not cover it.
    """

    def __init__(
        self,
        emulator: Emulator,
        spectra: Spectra,
        *,
        correction: SurveyCorrection | None = None,
    ) -> None:
        self.emulator = emulator
        arms = [spectra.wavelength[arm] for arm in spectra.arms]
        steps = np.array([np.log(arm[-1] / arm[0]) / (arm.size - 1) for arm in arms])
        uniform = [np.ptp(np.diff(np.log(arm))) < 1e-3 * steps[0] for arm in arms]
        if not all(uniform) or np.ptp(steps) > 1e-3 * steps[0] or spectra.medium != emulator.medium:
            raise DataError(
                f"model: needs arms uniform in ln λ with one step, in {emulator.medium}; use the "
                "survey's common grid (siderea ingest)"
            )
        self.step = float(steps.mean())
        self.pixel = C_KMS * self.step
        self.n_arms, fine = len(arms), max(arm.size for arm in arms)
        self.sizes = tuple(arm.size // 2 for arm in arms)
        self.n_pixels, self._fine = fine // 2, fine // 2 * 2
        self.slices = spectra.arms
        self._tables(arms, spectra)
        self.correction: SurveyCorrection | None = None
        if correction is not None:
            self._correct(correction)
        low, high = emulator.label_range[:4, 0], emulator.label_range[:4, 1]
        reach = (MARGIN - 4) * self.pixel
        self.bounds = np.array(
            [*zip(low, high, strict=True), (0.0, ROTATIONS[-1]), (-reach, reach)], dtype=float
        )

    def _tables(self, arms: list[NDArray], spectra: Spectra) -> None:
        padded = [
            arm[0] * np.exp(self.step * np.arange(-KNOWN, self._fine + KNOWN)) for arm in arms
        ]
        self.wavelength = np.stack([p[KNOWN:-KNOWN].reshape(-1, 2).mean(axis=1) for p in padded])
        self._designs = [self._continuum_of(grid) for grid in self.wavelength]
        reach = [p[: arm.size + 2 * KNOWN] for p, arm in zip(padded, arms, strict=True)]
        ends = np.cumsum([r.size for r in reach]).tolist()
        slices = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        seen = self.emulator.at(
            np.concatenate(reach),
            resolution=spectra.resolution,
            medium=spectra.medium,
            arms=slices,
        )
        size = padded[0].size
        basis = np.zeros((len(seen.basis), len(arms), size))
        for number, piece in enumerate(slices):
            basis[:, number, : piece.stop - piece.start] = seen.basis[:, piece]
        flat = macroturbulent(basis.reshape(-1, size), self.pixel, VMAC)
        self._bases = []
        for vsini in ROTATIONS:
            turned = rotational(flat, self.pixel, vsini) if vsini else flat
            wide = np.zeros((len(basis), len(arms), self._fine + 2 * MARGIN), dtype=np.float32)
            wide[:, :, MARGIN - KNOWN : MARGIN + self._fine + KNOWN] = turned.reshape(basis.shape)
            self._bases.append(wide.reshape(len(basis), -1))

    def corrected(self, correction: SurveyCorrection) -> StarBank:
        """Return the bank with a correction; the model's own tables are not made anew.

        Raises
        ------
        DataError
            If the correction is of another grid.
        """
        out = copy.copy(self)
        out._bases = [np.delete(b, self._own, axis=0) for b in self._bases]
        out._correct(correction)
        return out

    @property
    def _own(self) -> slice:
        """Rows of the tables that are the correction's."""
        last = len(self._bases[0]) - 1
        return slice(last - (0 if self.correction is None else len(self.correction.terms)), last)

    def _correct(self, correction: SurveyCorrection) -> None:
        """Add a correction's terms to the tables, before the model's mean."""
        if correction.factor.shape != (self.n_arms, self.n_pixels):
            raise DataError(
                f"correction: found {correction.factor.shape} arms and binned pixels; expected "
                f"{(self.n_arms, self.n_pixels)}: it was learned on another grid"
            )
        depth = -correction.fine()
        tables = []
        for vsini, table in zip(ROTATIONS, self._bases, strict=True):
            more = float(np.sqrt(max(vsini**2 - TYPICAL**2, 0.0)))
            flat = depth.reshape(-1, self._fine)
            turned = rotational(flat, self.pixel, more) if more > 1.0 else flat
            wide = np.zeros((*depth.shape[:2], self._fine + 2 * MARGIN), dtype=np.float32)
            wide[:, :, MARGIN : MARGIN + self._fine] = turned.reshape(depth.shape)
            rows = wide.reshape(len(depth), -1)
            tables.append(np.concatenate([table[:-1], rows, table[-1:]]))
        self._bases, self.correction = tables, correction

    def _continuum_of(self, grid: NDArray) -> tuple[int, NDArray[np.float64]]:
        """Return the emulator's arm that covers a grid, and the polynomials of its continuum."""
        model = self.emulator
        for number in range(len(model.arms)):
            span = model.arm_span(number)
            if span[0] <= grid[0] and grid[-1] <= span[1]:
                return number, continuum_design(grid, span, model.continuum_degree)
        raise DataError(f"model: no arm covers {grid[0]:.1f} to {grid[-1]:.1f} Å")

    def __call__(self, labels: NDArray, vsini: NDArray, rv: NDArray) -> StarSpectra:
        """Return the spectra of N stars.

        Parameters
        ----------
        labels : (N, 4) ndarray
            `LABELS`; beyond the emulator's range those of its edge count, with the light of a
            black body of the true temperature.
        vsini, rv : (N,) ndarray
            km/s.
        """
        inside = labels.clip(self.bounds[:4, 0], self.bounds[:4, 1])
        lines, lines_slopes, light, light_slopes = self._coefficients(inside)
        beyond = inside[:, 0] != labels[:, 0]
        brightness = self._brightness(light)
        middle = self.n_pixels // 2
        bright_slopes = np.stack(
            [self._brightness(light_slopes[:, k], [middle])[..., 0] for k in range(4)], axis=1
        )
        if beyond.any():
            ratio = _black_bodies(self.wavelength, labels[beyond, 0], inside[beyond, 0])
            brightness[beyond] += ratio
            step = _black_bodies(self.wavelength, labels[beyond, 0] + 1.0, inside[beyond, 0])
            bright_slopes[beyond, 0] = (step - ratio)[..., middle]
            lines_slopes[beyond, 0] = 0.0
        flux, slopes = self._spectra(lines, lines_slopes, vsini, rv)
        return StarSpectra(flux, slopes, brightness.astype(np.float32), bright_slopes)

    def _coefficients(self, labels: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Return the coefficients of lines and continuum (N, K), and their slopes (N, 4, K)."""
        n = len(labels)
        sign = np.where(labels + STEPS > self.bounds[:4, 1], -STEPS, STEPS)
        moved = labels[:, None, :] + np.eye(4) * sign[:, None, :]
        rows = np.concatenate([labels[:, None], moved], axis=1).reshape(-1, 4)
        tensor = torch.from_numpy(rows)
        named = {"teff": tensor[:, 0], "logg": tensor[:, 1]}
        low, high = self.emulator.label_range[4].tolist()
        vmic = microturbulence(named).clamp(low, high)
        with torch.no_grad():
            inputs = label_inputs(torch.cat([tensor, vmic[:, None]], dim=1))
            lines = self.emulator.lines(inputs).numpy().reshape(n, 5, -1)
            light = self.emulator.continuum(inputs).numpy().reshape(n, 5, -1)
        if self.correction is not None:
            own = design(rows).reshape(n, 5, -1)
            lines = np.concatenate([lines, own], axis=2)
        by = sign[:, :, None]
        return (
            lines[:, 0],
            (lines[:, 1:] - lines[:, :1]) / by,
            light[:, 0],
            (light[:, 1:] - light[:, :1]) / by,
        )

    def _brightness(self, coefficients: NDArray, pixels: list[int] | None = None) -> NDArray:
        """Return ln C (N, A, Q), or on some pixels of every arm."""
        pieces = np.split(coefficients, len(self.emulator.arms), axis=1)
        chosen = slice(None) if pixels is None else pixels
        values = [pieces[source] @ design[chosen].T for source, design in self._designs]
        return np.stack(values, axis=1)

    def _spectra(
        self, lines: NDArray, slopes: NDArray, vsini: NDArray, rv: NDArray
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        n, wide = len(lines), self._fine + 2 * MARGIN
        nodes = np.asarray(ROTATIONS)
        low = np.clip(np.searchsorted(nodes, vsini, side="right") - 1, 0, nodes.size - 2)
        gap = nodes[low + 1] ** 2 - nodes[low] ** 2
        part = np.clip((vsini**2 - nodes[low] ** 2) / gap, 0.0, 1.0)
        whole = np.concatenate([lines, np.ones((n, 1))], axis=1).astype(np.float32)
        change = np.concatenate([slopes, np.zeros((n, 4, 1))], axis=2).astype(np.float32)
        flux = np.empty((n, self.n_arms, self.n_pixels), dtype=np.float32)
        out = np.empty((n, 6, self.n_arms, self.n_pixels), dtype=np.float32)
        for node in np.unique(low):
            rows = np.flatnonzero(low == node)
            both = np.concatenate([whole[rows, None], change[rows]], axis=1)
            here = (both.reshape(-1, both.shape[-1]) @ self._bases[node]).reshape(
                rows.size, 5, self.n_arms, wide
            )
            next_ = (whole[rows] @ self._bases[node + 1]).reshape(rows.size, self.n_arms, wide)
            for k, row in enumerate(rows):
                more = next_[k] - here[k, 0]
                here[k, 0] += np.float32(part[row]) * more
                self._shift(here[k], more, float(rv[row]), flux[row], out[row])
                out[row, 4] *= np.float32(-2.0 * vsini[row] / gap[row])
        return flux, out

    def _shift(self, depth: NDArray, more: NDArray, rv: float, flux: NDArray, out: NDArray) -> None:
        """Put one star at its velocity, binned: depths (5, A, W) into flux and slopes."""
        offset = -np.arctanh(rv / C_KMS) / self.step
        whole = int(np.floor(offset))
        weights = _lagrange(offset - whole)
        first, n = MARGIN + whole, self._fine
        moved = weights[0] * depth[0, :, first - 3 : first - 1 + n]
        for tap, weight in zip(TAPS[1:], weights[1:], strict=True):
            moved += weight * depth[0, :, first + tap - 1 : first + tap + 1 + n]
        # two more pixels than needed: the slope by velocity is a difference
        inner = moved[:, 1:-1]
        flux[:] = 1.0 - 0.5 * (inner[:, 0::2] + inner[:, 1::2])
        np.subtract(moved[:, 2::2], moved[:, 0:-2:2], out=out[5])
        out[5] += moved[:, 3::2] - moved[:, 1:-2:2]
        out[5] *= np.float32(0.25 / self.pixel)  # depth(x + δ): δ falls as the velocity rises
        nearest = MARGIN + round(offset)
        cut = depth[1:, :, nearest : nearest + n]
        out[:4] = -0.5 * (cut[:, :, 0::2] + cut[:, :, 1::2])
        cut = more[:, nearest : nearest + n]
        out[4] = 0.5 * (cut[:, 0::2] + cut[:, 1::2])  # scaled by the caller, sign too


def _lagrange(u: float) -> NDArray[np.float32]:
    """Return the weights of the six pixels around a place, u beyond the third."""
    weights = np.ones(6)
    for i, one in enumerate(TAPS):
        for other in TAPS:
            if one != other:
                weights[i] *= (u - other) / (one - other)
    return weights.astype(np.float32)


def _black_bodies(wavelength: NDArray, teff: NDArray, other: NDArray) -> NDArray[np.float64]:
    """Return the logarithm of the ratio (N, A, Q) of two black bodies."""
    x = SECOND_RADIATION / wavelength
    return np.log(np.expm1(x / other[:, None, None]) / np.expm1(x / teff[:, None, None]))
