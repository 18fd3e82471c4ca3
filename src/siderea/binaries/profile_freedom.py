"""The freedom that line profiles have in a fit: derivatives of the model by velocity.

To the survey's profile belong things that are known to some per cent only: the wavelengths and the
resolution of an arm, which differs between fibres, and the forms of rotation and macroturbulence.
Σⱼ bⱼ ∂ʲf/∂vʲ, j = 1 to 4, is what changes of them make of a spectrum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["PROFILE_ERRORS", "derivatives", "reprofiled"]

PROFILE_ERRORS = (0.3, 2.0, 3.0, 10.0)
"""Standard deviations of the bⱼ, (km/s)ʲ: an arm's wavelengths to .3 km/s, its resolution to a
tenth (½ Δσ²), skewness and kurtosis (κ₃/6, κ₄/24) as rotation and macroturbulence differ in."""


def derivatives(model: NDArray) -> NDArray[np.float32]:
    """Return the first four differences (N, A, 4, Q) of models (N, A, Q), per pixel."""
    out = np.zeros((*model.shape[:2], len(PROFILE_ERRORS), model.shape[2]), dtype=np.float32)
    out[:, :, 0, 1:-1] = 0.5 * (model[:, :, 2:] - model[:, :, :-2])
    out[:, :, 1, 1:-1] = model[:, :, 2:] - 2.0 * model[:, :, 1:-1] + model[:, :, :-2]
    for j in (2, 3):  # second differences of the first and the second
        before = out[:, :, j - 2]
        out[:, :, j, 2:-2] = before[:, :, 3:-1] - 2.0 * before[:, :, 2:-2] + before[:, :, 1:-3]
    return out


def reprofiled(slopes: NDArray, profile: NDArray[np.float64]) -> NDArray:
    """Return slopes (N, D, A, Q) with the line profiles (N, A, 4) of the data.

    Without, the slope by rotation is not that of χ²: descents end where χ² still falls. For labels
    the difference does not matter.
    """
    b1, b2, b3, b4 = np.moveaxis(profile.astype(np.float32), -1, 0)[:, :, None, :, None]
    size, out = slopes.shape[-1], slopes.copy()
    for move, weight in (
        (-2, b4 - 0.5 * b3),
        (-1, b2 - 0.5 * b1 + b3 - 4.0 * b4),
        (0, 6.0 * b4 - 2.0 * b2),
        (1, b2 + 0.5 * b1 - b3 - 4.0 * b4),
        (2, b4 + 0.5 * b3),
    ):
        out[..., 2:-2] += weight * slopes[..., 2 + move : size - 2 + move]
    return out
