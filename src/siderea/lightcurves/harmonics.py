"""Fourier series of folded light curves about their deeper minimum, for any sampling.

The data themselves, not a fitted curve: what no Gaussian can follow (reflection, the shape between
the eclipses) stays. Coefficients that the points do not fix are held near 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.lightcurves.usable import Curves, usable_curves

__all__ = ["ORDERS", "described", "series"]

Array = NDArray[np.float64]

ORDERS = 10
"""Waves per period, the highest."""

EXPECTED = (0.5, 0.2)
"""Spread of the cosine and sine coefficients of order k before the data are seen, times amplitude
over k: an eclipsing binary is nearly even about its eclipse."""

FLOOR = 0.02
"""Of the amplitude, added to the errors: ten waves are no narrow eclipse."""

SOFT = 0.02
"""Coefficients, over the amplitude, are compared by size below this and by order above."""

BATCH_POINTS = 2**18


def series(
    phase: ArrayLike | Sequence[ArrayLike],
    flux: ArrayLike | Sequence[ArrayLike],
    flux_err: ArrayLike | Sequence[ArrayLike] | float,
    *,
    position: ArrayLike,
    amplitude: ArrayLike,
) -> Array:
    """Return the coefficients of every curve, over its amplitude.

    Parameters
    ----------
    phase, flux, flux_err
        As in `siderea.lightcurves.two_gaussian.fit`.
    position : (N,) array-like
        Phase of the deeper minimum.
    amplitude : (N,) array-like
        Maximum − minimum of a fitted curve, in the unit of the flux.

    Returns
    -------
    (N, 2 `ORDERS`) ndarray
        Cosines, then sines, of orders 1 to `ORDERS`; NaN without points, position or amplitude.

    Notes
    -----
    The maximum of the posterior, (Aᵀ W A + Λ) c = Aᵀ W y, Λ by `EXPECTED` and W by the errors and
    `FLOOR`.
    """
    curves = usable_curves(phase, flux, flux_err)
    place, span = (np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (position, amplitude))
    found = np.full((len(curves), 2 * ORDERS), np.nan)
    known = np.isfinite(place) & (span > 0) & (curves.lengths > 0)
    for rows in curves.batches(np.flatnonzero(known), BATCH_POINTS):
        found[rows] = _solved(curves, rows, place[rows], span[rows])
    return found


def _solved(curves: Curves, rows: NDArray[np.int64], place: Array, span: Array) -> Array:
    points = curves.padded(rows)
    unit = torch.from_numpy(span)[:, None]
    order = torch.arange(1, ORDERS + 1, dtype=torch.float64)
    angle = 2.0 * torch.pi * (points.phase - torch.from_numpy(place)[:, None])[:, None]
    wave = angle * order[:, None]
    basis = torch.cat((torch.ones_like(angle), torch.cos(wave), torch.sin(wave)), 1)
    # 1/(σ² + floor²), and still 0 where there is no point.
    weight = points.weight / (1.0 + points.weight * (FLOOR * unit) ** 2)
    spread = torch.cat([expected / order for expected in EXPECTED])
    prior = torch.cat((torch.zeros(1, dtype=torch.float64), spread**-2))
    weighted = basis * weight[:, None]
    normal = unit[..., None] ** 2 * (weighted @ basis.mT) + torch.diag(prior + 1e-12)
    level = (weight * points.flux).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
    right = unit[..., None] * (weighted @ (points.flux - level)[..., None])
    return np.asarray(torch.linalg.solve(normal, right)[:, 1:, 0].numpy())


def described(coefficients: ArrayLike, amplitude: ArrayLike, noise: ArrayLike) -> Array:
    """Return what a kind is told by: the series, the order of the amplitude, and of the noise.

    Parameters
    ----------
    coefficients : (N, 2 `ORDERS`) array-like
        Of `series`.
    amplitude : (N,) array-like
        Relative, (maximum − minimum)/maximum.
    noise : (N,) array-like
        Error of the mean flux over the amplitude.

    Returns
    -------
    (N, 2 `ORDERS` + 2) ndarray
    """
    waves = np.arcsinh(np.asarray(coefficients, dtype=np.float64) / SOFT)
    order = np.log10(np.clip(np.asarray(amplitude, dtype=np.float64), 1e-4, 1.0))
    quiet = np.log10(np.clip(np.asarray(noise, dtype=np.float64), 1e-6, 10.0))
    return np.column_stack((waves, order, quiet))
