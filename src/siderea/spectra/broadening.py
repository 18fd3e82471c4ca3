"""Broadening of spectra: instrument, rotation, macroturbulence, and lower resolution.

The kernels are convolutions in velocity, on a grid uniform in ln λ (`wavelength.log_grid`). Each is
applied as the exact Fourier transform of its continuous profile, so that one narrower than a pixel
does what it should, and each row may have its own width. The transform is the cosine one, which
mirrors a spectrum at its two ends: nothing wraps around, and the sum of a row, a constant and an
equivalent width are conserved to rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct
from scipy.ndimage import gaussian_filter1d
from scipy.special import j1

from siderea.constants import C_KMS, GAUSSIAN_FWHM
from siderea.data import Spectra, plain
from siderea.errors import DataError
from siderea.spectra.resample import bridge, interpolate, is_good
from siderea.spectra.wavelength import log_grid

__all__ = ["gaussian", "macroturbulent", "rotational", "to_resolution"]

Array = NDArray[np.float64]

BLOCK = 1 << 18
"""Pixels transformed at once, which bounds the memory of the temporaries."""

LARGEST_LOSS = 0.1
"""Part of a kernel that may fall on bad pixels before the broadened pixel is bad too."""

KERNEL_REACH = 4
"""Standard deviations within which a Gaussian has all but 6e-5 of its weight."""

STEADY = 0.02
"""Relative drift of the pixel size within the reach of a kernel that counts as none."""

WIDTH_STEP = 0.02
"""Step in ln(width) of the convolutions that are blended where the pixel size drifts."""


def gaussian(flux: Any, dv: Any, sigma: Any) -> NDArray:
    """Broaden by a Gaussian, the line spread function of most spectrographs.

    Parameters
    ----------
    flux : (N, P) or (P,) array-like
        Spectra on a grid uniform in ln λ, without NaN.
    dv : float or Quantity
        Step of the grid, km/s.
    sigma : (N,) array-like or Quantity, or a scalar
        Standard deviation, km/s. A row of width 0 is returned as it is, one of width NaN as NaN.

    Returns
    -------
    (N, P) or (P,) ndarray
        In the precision of ``flux``; (N, P) also for one spectrum (P,) and N widths.

    Raises
    ------
    DataError
        If a width is negative or infinite, or the shapes do not fit.

    Notes
    -----
    Multiplies the transform by exp(−2π² σ² k²), k in cycles per km/s.
    """
    return _broaden(flux, dv, sigma, lambda kw: np.exp(-2 * (np.pi * kw) ** 2))


def rotational(flux: Any, dv: Any, vsini: Any, *, limb_darkening: float = 0.6) -> NDArray:
    """Broaden by the rotation of a rigid, spherical star.

    Parameters
    ----------
    flux : (N, P) or (P,) array-like
        Spectra on a grid uniform in ln λ, without NaN.
    dv : float or Quantity
        Step of the grid, km/s.
    vsini : (N,) array-like or Quantity, or a scalar
        Projected equatorial velocity, km/s. A row of 0 is returned as it is, one of NaN as NaN.
    limb_darkening : float
        Coefficient ε of the linear law, from 0 to 1.

    Returns
    -------
    (N, P) or (P,) ndarray
        In the precision of ``flux``; (N, P) also for one spectrum (P,) and N widths.

    Raises
    ------
    DataError
        If a width is negative or infinite, ε is out of range, or the shapes do not fit.

    Notes
    -----
    The profile [1]_ over x = Δv / (v sin i), |x| ≤ 1, is
    [2 (1 − ε) √(1 − x²) + (π ε / 2) (1 − x²)] / [π (1 − ε / 3)]. Its transform at
    q = 2π k v sin i is [2 (1 − ε) J₁(q) / q + 2 ε (sin q − q cos q) / q³] / (1 − ε / 3).

    References
    ----------
    .. [1] Gray 2005, The Observation and Analysis of Stellar Photospheres, chapter 18.
    """
    if not 0 <= limb_darkening <= 1:
        raise DataError(f"limb_darkening: found {limb_darkening}; expected 0 to 1")
    return _broaden(flux, dv, vsini, lambda kw: _rotation(2 * np.pi * kw, limb_darkening))


def _rotation(q: Array, limb_darkening: float) -> Array:
    q = np.maximum(q, 1e-8)  # the limits at 0 are 1/2 and 1/3
    # Near 0 the sine and cosine cancel; the series is exact to rounding below 0.05.
    q2 = q * q
    series = 1 / 3 - q2 * (1 / 30 - q2 * (1 / 840 - q2 / 45360))
    limb = np.where(q < 0.05, series, (np.sin(q) - q * np.cos(q)) / (q2 * q))
    uniform = 2 * (1 - limb_darkening) * j1(q) / q
    return (uniform + 2 * limb_darkening * limb) / (1 - limb_darkening / 3)


def macroturbulent(flux: Any, dv: Any, vmac: Any) -> NDArray:
    """Broaden by macroturbulence, radial and tangential in equal parts.

    Parameters
    ----------
    flux : (N, P) or (P,) array-like
        Spectra on a grid uniform in ln λ, without NaN.
    dv : float or Quantity
        Step of the grid, km/s.
    vmac : (N,) array-like or Quantity, or a scalar
        Velocity ζ_RT, km/s. A row of 0 is returned as it is, one of NaN as NaN.

    Returns
    -------
    (N, P) or (P,) ndarray
        In the precision of ``flux``; (N, P) also for one spectrum (P,) and N widths.

    Raises
    ------
    DataError
        If a width is negative or infinite, or the shapes do not fit.

    Notes
    -----
    Over a disc without limb darkening the profile [1]_ is
    2 |Δv| / (√π ζ²) ∫₀^{ζ/|Δv|} exp(−1/u²) du. Its transform is (1 − e^{−y}) / y, y = (π k ζ)²:
    the mean over the disc of Gaussians of width ζ cos θ.

    References
    ----------
    .. [1] Gray 2005, The Observation and Analysis of Stellar Photospheres, chapter 17.
    """

    def transform(kw: Array) -> Array:
        y = np.maximum((np.pi * kw) ** 2, 1e-20)
        return -np.expm1(-y) / y

    return _broaden(flux, dv, vmac, transform)


def _broaden(flux: Any, dv: Any, width: Any, transform: Callable[[Array], Array]) -> NDArray:
    """Multiply each row's spectrum of frequencies by ``transform(frequency × width)``."""
    spectra, widths = _rows(flux, width)
    step = float(plain(dv, "km/s"))
    if not 0 < step < np.inf:
        raise DataError(f"dv: found {step} km/s; expected a positive step of a grid in ln λ")
    n_pixels = spectra.shape[1]
    frequency = np.arange(n_pixels) / (2 * n_pixels * step)  # cycles per km/s
    out = np.array(spectra)
    rows = np.flatnonzero(widths != 0)
    size = max(1, BLOCK // max(1, n_pixels))
    for block in (rows[i : i + size] for i in range(0, rows.size, size)):
        distinct = widths[block][:, None]
        if np.ptp(distinct) == 0:
            distinct = distinct[:1]
        factor = transform(frequency * distinct)
        waves = dct(spectra[block], type=2, axis=1) * factor.astype(spectra.dtype)
        out[block] = idct(waves, type=2, axis=1, overwrite_x=True)
    return out[0] if np.ndim(flux) == 1 and np.ndim(width) == 0 else out


def _rows(flux: Any, width: Any) -> tuple[NDArray, Array]:
    """Check, and bring flux to (N, P) and width to (N,)."""
    spectra, widths = np.atleast_2d(np.asarray(flux)), np.atleast_1d(plain(width, "km/s"))
    if spectra.dtype not in (np.float32, np.float64):
        spectra = spectra.astype(np.float64)
    n = widths.size if np.ndim(flux) == 1 else len(spectra)
    if spectra.ndim != 2 or widths.ndim != 1 or widths.size not in (1, n):
        raise DataError(
            f"flux {np.shape(flux)}, width {np.shape(width)}; expected (N, P) with (N,) or a scalar"
        )
    if np.any((widths < 0) | (widths == np.inf)):
        raise DataError("width: found negative or infinite values; expected km/s, 0 for none")
    return np.broadcast_to(spectra, (n, spectra.shape[1])), np.broadcast_to(widths, n)


def to_resolution(
    spectra: Spectra,
    resolution: float | Sequence[float],
    *,
    from_resolution: float | Sequence[float] | None = None,
) -> Spectra:
    """Lower the resolving power of spectra, arm by arm, with a Gaussian line spread function.

    Parameters
    ----------
    spectra : Spectra
        On any grid. Where the pixels change little within the reach of a kernel (a grid uniform
        in ln λ or in λ) the pixels themselves are convolved; any other grid goes through one
        uniform in ln λ, by cubic interpolation there and back.
    resolution : float or sequence of float
        Resolving power λ/FWHM to reach: one for all, or one per arm.
    from_resolution : float or sequence of float, optional
        What the spectra have; ``spectra.resolution`` by default.

    Returns
    -------
    Spectra
        Of the new resolution, on the same grid. An arm that has it already is not touched.

    Raises
    ------
    DataError
        If the resolution of an arm is not known or not positive, or lower than the one to reach.

    Notes
    -----
    The kernel's variance is the difference of the two, σ² = (c / 2.3548)² (1/R_to² − 1/R_from²).

    Bad pixels are bridged from their good neighbours before the convolution. They stay bad, and a
    pixel of which more than a tenth of the kernel falls on bad pixels becomes bad. The variance is
    smoothed with the same kernel as the flux. The true variance of one smoothed pixel is smaller,
    but its noise is then shared with its neighbours, which a diagonal ivar cannot say; smoothing
    the variance keeps the information of a stretch of spectrum what it was, and ivar never grows.
    Within a kernel's width of the end of an arm the flux stands on the mirrored spectrum.
    """
    target = _per_arm(resolution, spectra)
    source = spectra.resolution if from_resolution is None else _per_arm(from_resolution, spectra)
    flux, ivar = np.array(spectra.flux), np.array(spectra.ivar)
    for i, (name, pixels, _) in enumerate(spectra.iter_arms()):
        sigma = _missing_width(name, source[i], target[i])
        if sigma > 0:
            flux[:, pixels], ivar[:, pixels] = _lower(
                spectra.wavelength[pixels], flux[:, pixels], ivar[:, pixels], sigma
            )
    return replace(spectra, flux=flux, ivar=ivar, resolution=target)


def _per_arm(resolution: float | Sequence[float], spectra: Spectra) -> tuple[float, ...]:
    values = np.atleast_1d(np.asarray(resolution, dtype=np.float64))
    n_arms = len(spectra.arms)
    if values.ndim != 1 or values.size not in (1, n_arms):
        raise DataError(f"resolution: found shape {values.shape}; expected one, or one per arm")
    return tuple(np.broadcast_to(values, n_arms).tolist())


def _missing_width(name: str, source: float, target: float) -> float:
    """Standard deviation, km/s, of the Gaussian that takes one resolving power to the other."""
    if not (0 < source < np.inf and 0 < target < np.inf):
        raise DataError(
            f"resolution of {name}: found {source}, to be made {target}; expected both known and "
            "positive (pass from_resolution)"
        )
    if target > source:
        raise DataError(
            f"resolution of {name}: found {source:g}, to be made {target:g}; "
            "expected a lower one: broadening cannot sharpen"
        )
    return float(C_KMS / GAUSSIAN_FWHM * np.sqrt(1 / target**2 - 1 / source**2))


def _lower(
    wavelength: Array, flux: NDArray, ivar: NDArray, sigma: float
) -> tuple[NDArray, NDArray]:
    if wavelength.size < 2:
        raise DataError("wavelength: found an arm of one pixel; expected a profile to broaden")
    good = is_good(flux, ivar)
    broadened = _gaussian_on(wavelength, bridge(flux, good), sigma)
    # These need a kernel that is nowhere negative, hence sampled, not the transform.
    width = sigma / (C_KMS * float(np.median(np.diff(np.log(wavelength)))))
    lost = gaussian_filter1d((~good).astype(np.float64), width, axis=1)
    variance = bridge(1 / np.where(good, ivar, 1).astype(np.float64), good)
    variance = gaussian_filter1d(variance, width, axis=1)
    usable = good & (lost <= LARGEST_LOSS)
    return broadened, np.where(usable, 1 / np.where(usable, variance, 1), 0)


def _gaussian_on(wavelength: Array, flux: NDArray, sigma: float) -> NDArray:
    """Broaden on any grid."""
    steps = C_KMS * np.diff(np.log(wavelength))
    width = sigma / (C_KMS * np.gradient(np.log(wavelength)))
    if KERNEL_REACH * np.abs(np.diff(width)).max() <= STEADY:
        return _gradual(flux, width)
    # The finest step loses nothing; a few odd pixels must not make the grid endless.
    dv = float(max(steps.min(), np.median(steps) / 4))
    grid = log_grid(wavelength[0], int(np.ceil(steps.sum() / dv)) + 1, dv)
    uniform, _ = interpolate(wavelength, flux, np.ones_like(flux), grid)
    broadened = gaussian(uniform, dv, sigma)
    return interpolate(grid, broadened, np.ones_like(broadened), wavelength)[0]


def _gradual(flux: NDArray, width: Array) -> NDArray:
    """Broaden by a Gaussian whose width (P,), in pixels, drifts along the spectrum.

    Blends convolutions of a few constant widths, in proportion to the variance.
    """
    narrow, wide = width.min(), width.max()
    nodes = np.geomspace(narrow, wide, 1 + int(np.ceil(np.log(wide / narrow) / WIDTH_STEP - 0.01)))
    position = np.interp(width**2, nodes**2, np.arange(nodes.size))
    out = np.zeros_like(flux)
    for i, node in enumerate(nodes):
        weight = np.maximum(1 - np.abs(position - i), 0)
        out += weight.astype(flux.dtype) * gaussian(flux, 1.0, node)
    return out
