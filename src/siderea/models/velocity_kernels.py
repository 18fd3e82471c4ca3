"""Broadening and Doppler shift as factors in Fourier space, in PyTorch, differentiable.

The same profiles as `siderea.spectra.broadening`; there in NumPy for arrays of data, here for
models, whose velocities are labels that a fit differentiates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import j1

from siderea.constants import C_KMS

__all__ = ["KERNELS", "MAX_VELOCITY", "doppler_phase", "macroturbulence", "rotation"]

LIMB_DARKENING = 0.6
"""Linear coefficient ε of the rotation profile, as by default in `spectra.broadening`."""

TABLE_STEP, TABLE_END = 0.05, 1000.0
"""Grid in q = 2π k v sin i of the tabulated transform; the cubic spline errs by 2e-8 at most."""


def _rotation_transform(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate the transform of the rotation profile (Gray 2005, chapter 18)."""
    q = np.maximum(q, 1e-8)
    q2 = q * q
    # Near 0 the sine and cosine cancel; the series is exact to rounding below 0.05.
    series = 1 / 3 - q2 * (1 / 30 - q2 / 840)
    limb = np.where(q < 0.05, series, (np.sin(q) - q * np.cos(q)) / (q2 * q))
    uniform = (1 - LIMB_DARKENING) * j1(q) / q
    return 2 * (uniform + LIMB_DARKENING * limb) / (1 - LIMB_DARKENING / 3)


@lru_cache(maxsize=1)
def _rotation_table() -> torch.Tensor:
    """Coefficients (intervals, 4) of the cubic spline, highest power first."""
    q = np.arange(0, TABLE_END + TABLE_STEP, TABLE_STEP)
    spline = CubicSpline(q, _rotation_transform(q), bc_type=((1, 0.0), "not-a-knot"))
    return torch.from_numpy(np.ascontiguousarray(spline.c.T))


def rotation(frequency: torch.Tensor, vsini: torch.Tensor) -> torch.Tensor:
    """Transform of the profile of a rigidly rotating, limb-darkened (ε = 0.6) sphere.

    Parameters
    ----------
    frequency : (F,) tensor
        Cycles per km/s.
    vsini : (N, 1) tensor
        Projected equatorial velocity, km/s.

    Returns
    -------
    (N, F) tensor
        1 at frequency 0.

    Notes
    -----
    PyTorch cannot differentiate Bessel functions: a cubic spline stands for the transform.
    """
    q = (2 * math.pi * frequency * vsini.abs()).clamp(max=TABLE_END)
    table = _rotation_table().to(q)
    cell = (q.detach() / TABLE_STEP).nan_to_num(0.0).long().clamp(max=len(table) - 1)
    x = q - cell * TABLE_STEP
    c = table[cell]
    return ((c[..., 0] * x + c[..., 1]) * x + c[..., 2]) * x + c[..., 3]


def macroturbulence(frequency: torch.Tensor, vmac: torch.Tensor) -> torch.Tensor:
    """Transform of radial-tangential macroturbulence, (1 − e^{−y}) / y, y = (π k ζ)².

    Parameters
    ----------
    frequency : (F,) tensor
        Cycles per km/s.
    vmac : (N, 1) tensor
        ζ_RT, km/s.

    Returns
    -------
    (N, F) tensor
        1 at frequency 0.
    """
    y = (math.pi * frequency * vmac) ** 2
    small = y < 1e-3
    safe = torch.where(small, torch.ones_like(y), y)
    return torch.where(small, 1 - y / 2 * (1 - y / 3), -torch.expm1(-safe) / safe)


def doppler_phase(frequency: torch.Tensor, rv: torch.Tensor) -> torch.Tensor:
    """Factor that shifts a spectrum uniform in ln λ by a radial velocity.

    Parameters
    ----------
    frequency : (F,) tensor
        Cycles per km/s of c · ln λ.
    rv : (N, 1) tensor
        km/s, positive receding.

    Returns
    -------
    (N, F) complex tensor
        exp(−2πi k c artanh(v/c)): the relativistic shift in ln λ is artanh(v/c).
    """
    angle = (-2 * math.pi * C_KMS) * frequency * torch.atanh(rv / C_KMS)
    return torch.complex(torch.cos(angle), torch.sin(angle))


KERNELS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "vsini": rotation,
    "vbroad": rotation,
    "vmac": macroturbulence,
    "rv": doppler_phase,
}
"""Labels that act in Fourier space. ``vbroad`` is all broadening together as if it were rotation,
which is how surveys without separate v sin i and v_mac define it."""

MAX_VELOCITY = {"vsini": 200.0, "vbroad": 200.0, "vmac": 50.0, "rv": 500.0}
"""Largest value of each, km/s: what the margins of the transforms are made for."""
