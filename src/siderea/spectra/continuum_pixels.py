"""Where the continuum is: windows known to hold no lines, and pixels chosen from the data.

`GALAH_WINDOWS` come from synthetic spectra (``benchmarks/continuum_windows.py``); `cannon_pixels`
chooses pixels as Ness et al. 2015 do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.spectra.doppler import doppler_factor

__all__ = ["BALMER_AND_O2", "GALAH_WINDOWS", "cannon_pixels", "in_windows"]

Windows = tuple[tuple[float, float], ...]

# Made by benchmarks/continuum_windows.py from the synthetic grid; rest frame, air, Å.
# fmt: off
GALAH_WINDOWS: Windows = (
    (4708.27, 4708.45), (4712.53, 4712.74), (4717.30, 4717.48), (4721.62, 4721.86),
    (4726.39, 4726.60), (4739.80, 4739.98), (4740.61, 4740.79), (4750.33, 4750.60),
    (4753.36, 4753.54), (4760.38, 4760.62), (4764.91, 4765.09), (4770.22, 4770.52),
    (4774.78, 4774.99), (4776.70, 4777.06), (4780.99, 4781.17), (4785.34, 4785.52),
    (4791.82, 4792.00), (4793.59, 4793.77), (4797.31, 4797.52), (4803.28, 4803.52),
    (4809.55, 4809.73), (4812.55, 4812.73), (4819.81, 4819.99), (4820.02, 4820.14),
    (4824.97, 4825.24), (4828.21, 4828.45), (4834.93, 4835.41), (4894.78, 4895.26),
    (4897.39, 4897.72), (4901.17, 4901.38), (4906.18, 4906.57), (5646.36, 5646.57),
    (5649.03, 5649.21), (5653.29, 5653.56), (5656.41, 5656.68), (5660.04, 5660.25),
    (5664.87, 5665.14), (5670.30, 5670.54), (5673.69, 5674.02), (5676.78, 5677.05),
    (5680.50, 5680.74), (5685.27, 5685.63), (5689.74, 5690.01), (5693.82, 5694.45),
    (5695.32, 5695.68), (5699.64, 5699.88), (5704.20, 5704.47), (5707.41, 5707.59),
    (5713.14, 5713.59), (5716.74, 5717.04), (5721.21, 5721.45), (5723.13, 5723.43),
    (5730.00, 5730.33), (5734.83, 5734.98), (5736.03, 5736.39), (5742.27, 5742.57),
    (5745.24, 5745.48), (5750.25, 5750.49), (5751.06, 5751.27), (5755.65, 5755.98),
    (5761.83, 5762.01), (5766.75, 5766.99), (5767.02, 5767.47), (5771.01, 5771.19),
    (5776.95, 5777.43), (5779.02, 5779.44), (5783.31, 5783.55), (5789.31, 5789.55),
    (5792.40, 5792.70), (5796.87, 5797.11), (5802.60, 5802.99), (5803.29, 5803.74),
    (5808.54, 5808.87), (5811.18, 5811.39), (5818.83, 5818.98), (5819.01, 5819.16),
    (5826.87, 5826.99), (5829.24, 5829.57), (5833.29, 5833.62), (5835.84, 5836.20),
    (5839.98, 5840.37), (5843.55, 5844.30), (5847.45, 5847.78), (5854.05, 5854.77),
    (5855.37, 5855.73), (5860.35, 5860.65), (5865.42, 5865.72), (5869.59, 5869.89),
    (5874.12, 5874.99), (5875.02, 5875.41), (6473.00, 6473.84), (6477.02, 6477.53),
    (6481.01, 6481.46), (6485.03, 6486.05), (6489.02, 6489.56), (6496.01, 6496.19),
    (6500.33, 6500.90), (6502.46, 6503.21), (6505.34, 6506.09), (6510.38, 6511.58),
    (6513.92, 6514.49), (6517.28, 6517.79), (6521.12, 6521.72), (6525.23, 6525.95),
    (6529.34, 6529.76), (6533.15, 6533.63), (6537.02, 6537.41), (6588.68, 6588.98),
    (6589.79, 6590.39), (6596.78, 6596.99), (6599.42, 6600.98), (6603.29, 6604.25),
    (6608.33, 6608.69), (6612.41, 6612.98), (6614.84, 6615.92), (6619.79, 6620.90),
    (6624.02, 6624.53), (6626.51, 6627.05), (6632.75, 6632.99), (6633.02, 6633.11),
    (6638.18, 6639.08), (6641.54, 6642.59), (6645.50, 6646.70), (6649.01, 6649.82),
    (6653.03, 6653.54), (6659.57, 6660.53), (6661.61, 6662.27), (6667.97, 6668.15),
    (6669.71, 6670.73), (6674.42, 6674.96), (6680.87, 6680.99), (6681.53, 6681.95),
    (6686.39, 6687.17), (6690.92, 6691.94), (6694.85, 6695.66), (6699.44, 6700.58),
    (6702.32, 6703.16), (6708.50, 6708.80), (6711.89, 6712.16), (6714.23, 6715.04),
    (6718.58, 6719.99), (6724.43, 6725.00), (6727.04, 6727.52), (6730.64, 6731.45),
    (6735.77, 6736.25), (6740.33, 6740.99), (6741.02, 6741.23), (7581.14, 7581.77),
    (7584.29, 7585.31), (7589.27, 7589.72), (7702.46, 7703.39), (7707.11, 7707.53),
    (7708.07, 7708.79), (7713.02, 7713.80), (7716.02, 7717.46), (7720.01, 7720.34),
    (7724.21, 7724.54), (7730.42, 7731.50), (7734.59, 7735.34), (7737.98, 7738.37),
    (7740.02, 7740.56), (7744.10, 7744.70), (7751.57, 7751.99), (7752.02, 7752.29),
    (7756.01, 7757.00), (7761.68, 7762.64), (7765.19, 7766.15), (7768.01, 7770.05),
    (7773.05, 7773.62), (7777.34, 7777.73), (7782.86, 7784.00), (7784.03, 7784.63),
    (7791.62, 7791.98), (7792.37, 7793.72), (7796.03, 7796.30), (7803.41, 7803.98),
    (7805.48, 7807.22), (7808.57, 7809.11), (7813.97, 7815.86), (7816.94, 7817.63),
    (7823.03, 7823.99), (7824.02, 7826.33), (7828.01, 7829.63), (7833.50, 7834.07),
    (7838.51, 7839.65), (7841.69, 7841.93), (7846.61, 7847.30), (7848.65, 7849.07),
    (7853.18, 7854.77), (7859.63, 7859.99), (7861.40, 7862.87), (7864.22, 7865.93),
    (7868.03, 7869.02), (7872.02, 7874.93), (7878.11, 7879.40), (7883.66, 7883.99),
    (7884.02, 7884.65), (7891.31, 7891.97),
)
# fmt: on
"""Line-free windows of FGK stars in the four HERMES arms (rest frame, air, Å)."""

BALMER_AND_O2: Windows = ((4846.0, 4876.0), (6543.0, 6583.0), (7592.0, 7700.0))
"""Hβ and Hα with their wings, and the telluric O2 A band: no continuum there (air, Å)."""


def in_windows(
    wavelength: NDArray, windows: Windows, *, velocity: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Mark the pixels that lie in windows given in the rest frame.

    Parameters
    ----------
    wavelength : (P,) ndarray
        Å, in the medium of the windows.
    windows : tuple of (low, high)
        Å, rest frame; they may overlap.
    velocity : float or (N,) array-like, optional
        Velocity by which the spectra are still shifted, km/s (positive = receding); none when
        they are at rest.

    Returns
    -------
    (P,) or (N, P) ndarray of bool
        One row per velocity where velocities are given.
    """
    rest = np.asarray(wavelength, dtype=float)
    if velocity is not None:
        rest = rest / doppler_factor(velocity)[..., None]
    edges = _merge(windows)
    return np.searchsorted(edges, rest.ravel(), side="right").reshape(rest.shape) % 2 == 1


def _merge(windows: Windows) -> NDArray[np.float64]:
    """Return the edges low, high, low, high ... of the windows' union, in order."""
    edges: list[float] = []
    for low, high in sorted(windows):
        if not high > low:
            raise DataError(f"window ({low}, {high}): expected low < high")
        if edges and low <= edges[-1]:
            edges[-1] = max(edges[-1], high)
        else:
            edges += [low, high]
    return np.array(edges)


def cannon_pixels(
    flux: NDArray,
    ivar: NDArray,
    *,
    fraction: float = 0.05,
    coefficients: NDArray | None = None,
) -> NDArray[np.bool_]:
    """Choose the continuum pixels of a training set of normalised spectra.

    A continuum pixel has a flux near 1 that does not change from star to star. With the
    coefficients of a linear Cannon, flux = θ₀ + Σ θₗ lₗ (labels scaled to unit spread), the pixels
    are ranked by max(|θ₀ − 1|/s₀, |θ₁|/s₁, ...), s the median of each over the pixels: all the
    conditions that Ness et al. 2015 (ApJ 808, 16, section 2.3) put are then held equally tight.
    Without coefficients the rank is max(|m − 1|/s₀, d/s₁), m the weighted mean flux and d its
    scatter among the stars with the mean noise taken off.

    Parameters
    ----------
    flux, ivar : (N, P) ndarray
        Normalised flux of the training set; ivar 0 marks bad pixels.
    fraction : float
        Part of the pixels to choose, of those with data in at least half of the stars.
    coefficients : (P, 1 + L) ndarray, optional
        Linear coefficients per pixel, the constant first.

    Returns
    -------
    (P,) ndarray of bool
    """
    if not 0 < fraction <= 1:
        raise DataError(f"fraction: found {fraction}; expected above 0 and at most 1")
    seen = (np.asarray(ivar) > 0).sum(axis=0) * 2 >= len(flux)
    measures = _scatter(flux, ivar) if coefficients is None else np.abs(coefficients).T.copy()
    if coefficients is not None:
        measures[0] = np.abs(np.asarray(coefficients)[:, 0] - 1.0)
    if not seen.any():
        return seen
    typical = np.maximum(np.median(measures[:, seen], axis=1, keepdims=True), 1e-12)
    rank = np.where(seen, (measures / typical).max(axis=0), np.inf)
    chosen = np.zeros(rank.size, dtype=bool)
    chosen[np.argsort(rank, kind="stable")[: max(1, round(fraction * seen.sum()))]] = True
    return chosen & seen


def _scatter(flux: NDArray, ivar: NDArray) -> NDArray[np.float64]:
    """Return |mean − 1| and the scatter beyond the noise, (2, P)."""
    weight = np.asarray(ivar, dtype=float)
    total = np.maximum(weight.sum(axis=0), 1e-300)
    mean = (weight * flux).sum(axis=0) / total
    variance = (weight * (flux - mean) ** 2).sum(axis=0) / total
    noise = (weight > 0).sum(axis=0) / total
    return np.stack([np.abs(mean - 1.0), np.sqrt(np.maximum(variance - noise, 0.0))])
