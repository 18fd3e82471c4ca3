"""Model spectra seen at the velocities of their stars, on the pixels of the data, differentiable.

On a grid uniform in ln λ a Doppler shift is the same number of pixels everywhere, so a spectrum is
shifted by two weights for all of its pixels (`LogGrid`). Any other pair of grids is served by
`PixelGrid`, which looks up the place of every pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.constants import C_KMS
from siderea.errors import DataError

__all__ = ["Kernel", "LogGrid", "PixelGrid", "grid_of"]

Kernel = Literal["linear", "cubic"]

_Numbers = TypeVar("_Numbers", torch.Tensor, NDArray[np.float64])

UNIFORM = 1e-3
"""A grid counts as uniform in ln λ where no pixel is further than this from its place (pixels)."""

TAPS = {"linear": 2, "cubic": 4}


def _log_shift(rv: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ln(λ_observed / λ_rest) and its derivative by rv (per km/s)."""
    beta = rv / C_KMS
    return torch.atanh(beta), 1.0 / (C_KMS * (1.0 - beta * beta))


def _weights(u: _Numbers, kernel: Kernel) -> tuple[list[_Numbers], list[_Numbers]]:
    """Return the weights of the taps at fraction u of an interval, and their derivatives by u."""
    if kernel == "linear":
        one = 0 * u + 1
        return [1 - u, u], [-one, one]
    # Lagrange polynomials through −1, 0, 1, 2
    values = [
        -u * (u - 1) * (u - 2) / 6,
        (u + 1) * (u - 1) * (u - 2) / 2,
        -(u + 1) * u * (u - 2) / 2,
        (u + 1) * u * (u - 1) / 6,
    ]
    slopes = [
        -(3 * u * u - 6 * u + 2) / 6,
        (3 * u * u - 4 * u - 1) / 2,
        -(3 * u * u - 2 * u - 2) / 2,
        (3 * u * u - 1) / 6,
    ]
    return values, slopes


@dataclass(frozen=True)
class LogGrid:
    """One grid, uniform in ln λ but for gaps between its arms, for model and data.

    Between arms the spectrum is the straight line (in λ) from edge to edge, beyond the ends it is
    the end pixel: within |rv| of the edges of an arm the model is not known, and this is what the
    linear interpolation of the whole array gives.

    Parameters
    ----------
    place : (P,) ndarray of int
        Place of every pixel on the gapless grid.
    step : float
        ln λ per pixel.
    margin : int
        Pixels by which a spectrum may be shifted.
    kernel : {"linear", "cubic"}
        Linear in λ, or a cubic in ln λ.
    """

    place: NDArray[np.intp]
    step: float
    margin: int
    kernel: Kernel

    @property
    def n_pixels(self) -> int:
        """Pixels of the gapless grid."""
        return int(self.place[-1]) + 1

    @property
    def pixel_velocity(self) -> float:
        """Velocity by which a spectrum moves one pixel, km/s."""
        return C_KMS * float(np.tanh(self.step))

    def spread(self, values: ArrayLike, fill: float = 0.0) -> NDArray[np.float64]:
        """Return arrays (..., P) on the gapless grid, ``fill`` in the gaps."""
        values = np.asarray(values)
        out = np.full((*values.shape[:-1], self.n_pixels), fill)
        out[..., self.place] = values
        return out

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        """Return what lies on the pixels of the data (..., P)."""
        return values[..., torch.as_tensor(self.place, device=values.device)]

    def prepare(self, columns: torch.Tensor) -> torch.Tensor:
        """Return columns (..., P) with gaps bridged and margins added, for `shift`."""
        margin, width = self.margin, self.n_pixels
        out = columns.new_empty((*columns.shape[:-1], width + 2 * margin))
        for first, last in self._runs:
            start = margin + int(self.place[first])
            out[..., start : start + last - first] = columns[..., first:last]
        for right, end, part in self._bridges:
            left, width_of_gap = columns[..., right - 1 : right], len(part)
            line = torch.as_tensor(part, dtype=columns.dtype, device=columns.device)
            rise = columns[..., right : right + 1] - left
            torch.addcmul(left, rise, line, out=out[..., end - width_of_gap : end])
        out[..., :margin] = columns[..., :1]
        out[..., margin + width :] = columns[..., -1:]
        return out

    @cached_property
    def _runs(self) -> list[tuple[int, int]]:
        breaks = (np.flatnonzero(np.diff(self.place) > 1) + 1).tolist()
        return list(zip([0, *breaks], [*breaks, self.place.size], strict=True))

    @cached_property
    def _bridges(self) -> list[tuple[int, int, NDArray[np.float64]]]:
        """First pixel after each gap, its place, and how far along the gap's pixels are."""
        out = []
        for _, right in self._runs[:-1]:
            n = int(self.place[right] - self.place[right - 1])
            part = np.expm1(self.step * np.arange(1, n)) / np.expm1(self.step * n)
            out.append((right, self.margin + int(self.place[right]), part))
        return out

    def _taps(self, rv: torch.Tensor) -> tuple[list[int], list[list[float]], list[list[float]]]:
        """Return the first pixel, the weights and their derivatives by rv of each row.

        In NumPy: of a few numbers, where a tensor operation costs more than they do.
        """
        beta = rv.detach().cpu().numpy().astype(np.float64) / C_KMS
        pixels = -np.arctanh(beta) / self.step
        whole = np.floor(pixels)
        u, slope = pixels - whole, -1.0 / (C_KMS * (1.0 - beta * beta) * self.step)
        if self.kernel == "linear":  # linear in λ, not in ln λ: the authors' interpolation
            growth = np.expm1(self.step)
            slope = slope * self.step * np.exp(u * self.step) / growth
            u = np.expm1(u * self.step) / growth
        values, slopes = _weights(u, self.kernel)
        first = whole.astype(np.int64) + self.margin - (TAPS[self.kernel] // 2 - 1)
        changes = (np.stack(slopes, -1) * slope[:, None]).tolist()
        return first.tolist(), np.stack(values, -1).tolist(), changes

    def shift(self, prepared: torch.Tensor, rv: torch.Tensor, out: torch.Tensor) -> None:
        """Shift prepared columns (R, C, ...) by rv (R,), km/s, into ``out`` (R, C + 1, n_pixels).

        The last column of ``out`` is the derivative of the first by rv.
        """
        first, weights, changes = self._taps(rv)
        width = self.n_pixels
        # One row after another: a row stays in the cache, and its shift is one slice per tap.
        for source, target, a, weight, change in zip(
            prepared, out, first, weights, changes, strict=True
        ):
            taps = [source[:, a + tap : a + tap + width] for tap in range(len(weight))]
            if len(taps) == 2:
                torch.lerp(taps[0], taps[1], weight[1], out=target[:-1])
                torch.sub(taps[1][0], taps[0][0], out=target[-1]).mul_(change[1])
                continue
            torch.mul(taps[0], weight[0], out=target[:-1])
            torch.mul(taps[0][0], change[0], out=target[-1])
            for tap, w, c in zip(taps[1:], weight[1:], change[1:], strict=True):
                target[:-1].add_(tap, alpha=w)
                target[-1].add_(tap[0], alpha=c)


@dataclass(frozen=True)
class PixelGrid:
    """Any grid of the model, and any grid of the data, in the same medium.

    Parameters
    ----------
    model_wavelength, data_wavelength : (Q,), (P,) ndarray
        Å, the model's increasing throughout.
    kernel : {"linear", "cubic"}
        Linear in λ, or a cubic in the pixel number.
    """

    model_wavelength: NDArray[np.float64]
    data_wavelength: NDArray[np.float64]
    kernel: Kernel

    @property
    def n_pixels(self) -> int:
        """Pixels of the data."""
        return int(self.data_wavelength.size)

    @property
    def pixel_velocity(self) -> float:
        """Median velocity by which a spectrum moves one pixel of the model, km/s."""
        return C_KMS * float(np.median(np.diff(np.log(self.model_wavelength))))

    def spread(self, values: ArrayLike, fill: float = 0.0) -> NDArray[np.float64]:
        """Return arrays (..., P) as they are: the data have no gaps to fill."""
        return np.asarray(values, dtype=float)

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        """Return values (..., P) as they are."""
        return values

    def prepare(self, columns: torch.Tensor) -> torch.Tensor:
        """Return columns as they are."""
        return columns

    def shift(self, prepared: torch.Tensor, rv: torch.Tensor, out: torch.Tensor) -> None:
        """Shift columns (R, C, Q) by rv (R,) into (R, C + 1, P), see `LogGrid.shift`."""
        options = {"dtype": torch.float64, "device": prepared.device}
        grid = torch.as_tensor(self.model_wavelength, **options)
        data = torch.as_tensor(self.data_wavelength, **options)
        log_shift, rate = _log_shift(rv.to(torch.float64))
        rest = data * torch.exp(-log_shift)[:, None]
        outer = TAPS[self.kernel] // 2 - 1
        below = torch.searchsorted(grid, rest, right=True) - 1
        below = below.clamp(outer, grid.numel() - 2 - outer)
        width = grid[below + 1] - grid[below]
        u = ((rest - grid[below]) / width).clamp(0.0, 1.0)
        values, slopes = _weights(u, self.kernel)
        by_rv = -rest * rate[:, None] / width
        out.zero_()
        for tap, (value, change) in enumerate(zip(values, slopes, strict=True)):
            index = (below + tap - outer)[:, None].expand(-1, prepared.shape[1], -1)
            taken = torch.gather(prepared, 2, index)
            out[:, :-1].addcmul_(taken, value.to(out.dtype)[:, None])
            out[:, -1].addcmul_(taken[:, 0], (change * by_rv).to(out.dtype))


def _log_places(wavelength: NDArray, arms: Sequence[slice]) -> tuple[NDArray, float] | None:
    logs = np.log(wavelength)
    inside = np.concatenate([np.diff(logs[arm]) for arm in arms])
    if inside.size == 0:
        return None
    guess = float(np.median(inside))
    places = np.rint((logs - logs[0]) / guess)
    if places[-1] == 0 or np.any(np.diff(places) < 1):
        return None
    step = float((logs[-1] - logs[0]) / places[-1])
    uniform = np.abs((logs - logs[0]) / step - places).max() < UNIFORM
    return (places.astype(np.intp), step) if uniform else None


def grid_of(
    model_wavelength: ArrayLike,
    data_wavelength: ArrayLike,
    *,
    arms: Sequence[slice] = (),
    max_velocity: float,
    kernel: Kernel = "cubic",
) -> LogGrid | PixelGrid:
    """Choose how a model is shifted and brought to the pixels of the data.

    Parameters
    ----------
    model_wavelength, data_wavelength : (Q,), (P,) array-like
        Å, in one medium.
    arms : sequence of slice
        Arms of the model's grid; all of it by default.
    max_velocity : float
        Largest |rv| that will be asked for, km/s.
    kernel : {"linear", "cubic"}
        Interpolation.

    Raises
    ------
    DataError
        If the two grids do not overlap, or the kernel is not known.
    """
    if kernel not in TAPS:
        raise DataError(f"kernel: found {kernel!r}; expected 'linear' or 'cubic'")
    model, data = np.asarray(model_wavelength, float), np.asarray(data_wavelength, float)
    if data.min() > model.max() or data.max() < model.min():
        raise DataError(
            f"wavelength: data {data.min():.1f}-{data.max():.1f} Å, model {model.min():.1f}-"
            f"{model.max():.1f} Å do not overlap; choose a model of this survey"
        )
    if model.shape == data.shape and np.allclose(model, data, rtol=1e-9, atol=0):
        uniform = _log_places(model, arms or (slice(0, model.size),))
        if uniform is not None:
            place, step = uniform
            margin = int(np.arctanh(max_velocity / C_KMS) / step) + 4
            return LogGrid(place, step, margin, kernel)
    if np.any(np.diff(model) <= 0):
        raise DataError("wavelength: the model's arms overlap; fit one arm at a time")
    return PixelGrid(model, data, kernel)
