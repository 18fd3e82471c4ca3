"""Where the continuum is: windows known to hold no lines, and pixels chosen from the data.

`GALAH_WINDOWS` are the windows of the GALAH survey's own normalisation (GUESS, see
`siderea.spectra.continuum.GALAH`); `cannon_pixels` chooses pixels as Ness et al. 2015 do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.constants import C_KMS
from siderea.errors import DataError

__all__ = ["BALMER_AND_O2", "GALAH_WINDOWS", "cannon_pixels", "in_windows"]

Windows = tuple[tuple[float, float], ...]

# Published with GUESS, the parameter and normalisation code of the GALAH reduction (J. Lin 2015,
# github.com/jlin0504/GUESS, MIT licence, file hermes_continuum_160201; Kos et al. 2017, MNRAS 464,
# 1259). Rest frame, air, Å; sorted, with one doubled window written once.
# fmt: off
GALAH_WINDOWS: Windows = (
    (4705.6588, 4705.7587), (4711.2000, 4711.3000), (4718.0748, 4718.1547),
    (4726.4575, 4726.6971), (4738.5740, 4738.7537), (4750.2712, 4750.7603),
    (4760.3311, 4760.6405), (4770.1514, 4770.4509), (4774.7304, 4774.9500),
    (4788.1247, 4788.4642), (4795.2795, 4795.4592), (4803.2029, 4803.5124),
    (4811.6500, 4811.7500), (4819.8518, 4820.0415), (4834.9500, 4835.0898),
    (4887.9251, 4888.0349), (4894.9400, 4895.3094), (5643.4325, 5643.6522),
    (5652.7000, 5653.5000), (5655.9584, 5656.6572), (5660.0000, 5660.3000),
    (5665.9384, 5666.2479), (5672.4242, 5672.7936), (5676.6172, 5677.3061),
    (5684.9800, 5685.3893), (5693.9517, 5694.3710), (5704.0415, 5704.3710),
    (5710.1979, 5710.5474), (5716.7500, 5717.0000), (5722.7435, 5723.3227),
    (5724.8000, 5725.2000), (5730.0981, 5730.4675), (5735.1000, 5735.4000),
    (5740.3000, 5740.6000), (5745.3593, 5746.0582), (5755.6289, 5756.0981),
    (5764.0915, 5765.5989), (5770.9367, 5771.1563), (5772.8000, 5773.2000),
    (5779.1730, 5779.3926), (5787.3460, 5787.5856), (5792.3500, 5792.6500),
    (5799.0132, 5799.5424), (5802.1048, 5802.7137), (5810.1500, 5810.4500),
    (5820.3976, 5820.9567), (5826.8000, 5827.2000), (5832.7000, 5833.0000),
    (5840.0316, 5840.3810), (5841.6655, 5842.0848), (5851.4459, 5851.8452),
    (5861.4000, 5861.8000), (5868.4741, 5868.7337), (5870.0000, 5870.5000),
    (5874.2612, 5874.8003), (6472.3943, 6472.6638), (6479.7500, 6480.0000),
    (6480.4775, 6480.7071), (6485.4392, 6485.7786), (6492.1846, 6492.4242),
    (6500.1214, 6500.5109), (6505.7986, 6506.0083), (6513.3627, 6513.7320),
    (6525.2695, 6525.6588), (6590.2479, 6590.9467), (6603.7121, 6604.0815),
    (6605.0000, 6605.2500), (6608.3000, 6608.7000), (6615.3194, 6616.2678),
    (6620.0615, 6620.6106), (6625.4991, 6625.8984), (6626.5000, 6627.1000),
    (6630.3675, 6630.7171), (6632.7500, 6633.1000), (6638.7534, 6639.1231),
    (6641.6855, 6641.9151), (6648.7936, 6649.0432), (6649.7487, 6649.9583),
    (6657.8252, 6658.1247), (6663.8618, 6664.0216), (6669.8518, 6670.0515),
    (6689.5723, 6690.0016), (6691.2500, 6692.0000), (6699.5124, 6699.9217),
    (6702.7500, 6703.0500), (6718.5241, 6719.0232), (6723.0532, 6723.3427),
    (6727.4000, 6727.7000), (6730.7000, 6731.0000), (6736.1000, 6736.3500),
    (6744.1613, 6744.8103), (7694.1114, 7694.5108), (7706.5673, 7706.9766),
    (7716.0083, 7716.6771), (7721.1464, 7721.6655), (7728.3444, 7729.0232),
    (7735.1297, 7735.5291), (7740.2379, 7741.1364), (7754.1000, 7754.8000),
    (7755.8785, 7756.4375), (7762.3144, 7762.8136), (7766.1000, 7767.1000),
    (7773.2500, 7773.7500), (7775.8000, 7776.2500), (7777.9051, 7778.4043),
    (7779.3000, 7780.0000), (7783.0432, 7783.4525), (7791.6054, 7792.4044),
    (7796.2578, 7796.9766), (7798.1246, 7798.6040), (7801.5056, 7802.1049),
    (7804.9000, 7805.2500), (7808.6036, 7809.3229), (7817.6355, 7818.2845),
    (7822.1545, 7822.7238), (7823.3000, 7823.9000), (7829.3000, 7829.8000),
    (7838.5000, 7839.3000), (7846.8768, 7847.8352), (7858.0000, 7858.4000),
    (7859.7986, 7860.5074), (7866.2000, 7866.7000), (7870.3000, 7870.7000),
    (7878.0149, 7878.4841), (7885.7786, 7886.0000),
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
        beta = np.asarray(velocity, dtype=float)[..., None] / C_KMS
        rest = rest / np.sqrt((1 + beta) / (1 - beta))
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
