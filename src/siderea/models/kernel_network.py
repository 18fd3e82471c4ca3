"""A network of one hidden layer of kernel units, whose output weights have a closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from siderea.errors import DataError

__all__ = ["KernelNetwork"]

Array = NDArray[np.float64]

LENGTH_BOUNDS = (-3.0, 6.0)
NOISE_BOUNDS = (-17.0, 0.0)
LINEAR_BOUNDS = (-6.0, 6.0)
"""Bounds of the natural logarithms of what is optimised; inputs span [−1, 1]."""


@dataclass(frozen=True)
class KernelNetwork:
    """Inputs to outputs through units centred on the training points, plus an affine part.

    Parameters
    ----------
    low, high : (D,) ndarray
        Smallest and largest input of the training set, mapped to −1 and 1.
    centres : (M, D) ndarray
        Training inputs, scaled, divided by the length scales.
    length : (D,) ndarray
        Length scale of each scaled input.
    weights : (M, Q) ndarray
        From units to outputs.
    slope : (D, Q) ndarray
    offset : (Q,) ndarray
        The affine part.

    Notes
    -----
    With unit φ_i(x) = (1 + d + d²/3) e^{−d}, d = √5 |x − c_i| (Matérn 5/2), the output is
    offset + x·slope + Σ_i φ_i(x) weights_i: the mean of a Gaussian process [1]_ with that kernel
    and a linear one. Some hundred spectra over five labels are too few for gradient descent on a
    multilayer network to do as well, and this has no learning rate, no seed and no early stop.

    References
    ----------
    .. [1] Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, sections 2.7, 5.4.2.
    """

    low: Array
    high: Array
    centres: Array
    length: Array
    weights: Array
    slope: Array
    offset: Array

    @classmethod
    def fit(
        cls, inputs: ArrayLike, outputs: ArrayLike, *, max_iterations: int = 25
    ) -> tuple[KernelNetwork, Array]:
        """Train on M examples; the length scales minimise the leave-one-out error.

        Parameters
        ----------
        inputs : (M, D) array-like
        outputs : (M, Q) array-like
            On one common scale: the error that is minimised is the sum over outputs.
        max_iterations : int
            Of the search over length scales (L-BFGS).

        Returns
        -------
        network : KernelNetwork
        residuals : (M, Q) ndarray
            What each example misses by when it is left out of the training.

        Raises
        ------
        DataError
            If the shapes do not fit, a value is not finite, or an input does not vary.
        """
        x, y = np.asarray(inputs, dtype=np.float64), np.asarray(outputs, dtype=np.float64)
        _check(x, y)
        low, high = x.min(axis=0), x.max(axis=0)
        x = 2 * (x - low) / (high - low) - 1
        offset = y.mean(axis=0)
        y = y - offset
        n_inputs = x.shape[1]
        start = np.r_[np.log(np.full(n_inputs, 4.0)), np.log(1e-6), 0.0]
        bounds = [LENGTH_BOUNDS] * n_inputs + [NOISE_BOUNDS, LINEAR_BOUNDS]
        found = minimize(
            lambda p: np.log(np.mean(_left_out(x, y, p)[1] ** 2)),
            start,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": max_iterations},
        )
        weights, residuals = _left_out(x, y, found.x)
        length, linear = np.exp(found.x[:n_inputs]), np.exp(found.x[-1])
        slope = linear * x.T @ weights
        offset = offset + linear * weights.sum(axis=0)
        return cls(low, high, x / length, length, weights, slope, offset), residuals

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return outputs (N, Q) for inputs (N, D), in float64, differentiable."""
        x = inputs.to(torch.float64)
        if x.device not in self._tensors:
            self._tensors[x.device] = tuple(
                torch.from_numpy(value).to(x.device) for value in self._arrays().values()
            )
        low, high, centres, length, weights, slope, offset = self._tensors[x.device]
        x = 2 * (x - low) / (high - low) - 1
        difference = (x / length)[:, None] - centres
        # The tiny constant keeps the root differentiable at a centre, where the slope is 0.
        distance = torch.sqrt(5 * (difference**2).sum(dim=-1) + 1e-20)
        units = (1 + distance + distance**2 / 3) * torch.exp(-distance)
        return offset + x @ slope + units @ weights

    @cached_property
    def _tensors(self) -> dict[torch.device, tuple[torch.Tensor, ...]]:
        """Hold the arrays on each device that was asked for."""
        return {}

    def _arrays(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def state(self, prefix: str) -> dict[str, Array]:
        """Return the arrays of the network under names that begin with ``prefix``."""
        return {f"{prefix}{name}": value for name, value in self._arrays().items()}

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray], prefix: str) -> KernelNetwork:
        """Make the network from what `state` returned."""
        names = cls.__dataclass_fields__
        return cls(**{name: arrays[f"{prefix}{name}"].astype(np.float64) for name in names})


def _check(x: Array, y: Array) -> None:
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2:
        raise DataError(f"inputs {x.shape}, outputs {y.shape}; expected (M, D) and (M, Q), M > 1")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("found inputs or outputs that are not finite; leave such examples out")
    still = np.flatnonzero(np.ptp(x, axis=0) == 0)
    if still.size:
        raise DataError(f"inputs {still.tolist()} do not vary over the examples; leave them out")


def _left_out(x: Array, y: Array, parameters: Array) -> tuple[Array, Array]:
    """Return weights, and leave-one-out residuals [K⁻¹y]_i / [K⁻¹]_ii."""
    length, (noise, linear) = np.exp(parameters[:-2]), np.exp(parameters[-2:])
    scaled = x / length
    square = (scaled**2).sum(axis=1)
    square = np.maximum(square[:, None] + square - 2 * scaled @ scaled.T, 0)
    distance = np.sqrt(5 * square)
    kernel = (1 + distance + distance**2 / 3) * np.exp(-distance) + linear * (1 + x @ x.T)
    kernel[np.diag_indices_from(kernel)] += noise
    inverse = cho_solve(cho_factor(kernel, lower=True), np.eye(len(x)))
    weights = inverse @ y
    return weights, weights / np.diag(inverse)[:, None]
