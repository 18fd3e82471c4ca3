"""Which pixels not to believe: cosmic rays, telluric bands, sky lines, gaps.

Every function is pure and returns True for a bad pixel, as (P,) or (N, P); `apply` sets their
inverse variance to 0. Masks combine with ``|``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.constants import C_KMS
from siderea.data import Medium, Spectra
from siderea.errors import DataError, MediumError
from siderea.flags import SpectrumFlag
from siderea.spectra.clipped_fit import masked_quantile
from siderea.spectra.continuum_pixels import Windows, in_windows
from siderea.spectra.cosmic_rays import cosmic_rays
from siderea.spectra.doppler import add_velocities
from siderea.spectra.wavelength import air_to_vacuum

__all__ = [
    "SKY_LINES",
    "TELLURIC_BANDS",
    "apply",
    "cosmic_rays",
    "excess_noise",
    "gaps",
    "implausible",
    "sky_residuals",
    "telluric",
]

Frame = Literal["observatory", "barycentric", "rest"]

TELLURIC_BANDS: dict[str, tuple[float, float]] = {
    "O2 gamma": (6276.0, 6318.0),
    "O2 B": (6867.0, 6944.0),
    "H2O 7200": (7160.0, 7340.0),
    "O2 A": (7593.0, 7700.0),
    "H2O 8200": (8125.0, 8350.0),
    "H2O 9300": (8930.0, 9800.0),
    "H2O 6500": (6470.0, 6600.0),
}
"""Telluric absorption bands: first and last wavelength, air, observatory frame, Å."""

STRONG_BANDS = ("O2 gamma", "O2 B", "H2O 7200", "O2 A", "H2O 8200", "H2O 9300")

SKY_LINES: tuple[float, ...] = (
    5577.338,  # [O I]
    5889.951,  # Na I
    5895.924,  # Na I
    6300.304,  # [O I]
    6363.776,  # [O I]
    6498.73,  # OH from here on
    6533.04,
    6553.62,
    6577.28,
    7276.405,
    7316.282,
    7340.885,
    7750.640,
    7794.112,
    7808.467,
    7821.503,
    7964.650,
    7993.332,
    8344.602,
    8399.170,
    8430.174,
    8885.850,
)
"""Strong lines of the night sky, air, observatory frame, Å (Osterbrock et al. 1996, PASP 108, 277).

Those in the HERMES arms were found again, within 0.06 Å, in the sky that GALAH subtracted.
"""


def telluric(
    wavelength: NDArray,
    medium: Medium,
    *,
    frame: Frame = "rest",
    barycentric_velocity: ArrayLike = 0.0,
    rv: ArrayLike = 0.0,
    bands: Iterable[str] = STRONG_BANDS,
) -> NDArray[np.bool_]:
    """Mark the telluric bands where they fall in each spectrum.

    A telluric line at λ over the observatory lies at λ D(v_bary) in a spectrum that was brought to
    the barycentre by the correction v_bary, and at λ D(v_bary)/D(rv) in the star's rest frame, with
    D the relativistic Doppler factor. In GALAH files v_bary is ``BARYEFF``.

    Parameters
    ----------
    wavelength : (P,) ndarray
        Å.
    medium : {"air", "vacuum"}
        Medium of ``wavelength``.
    frame : {"observatory", "barycentric", "rest"}
        Frame of ``wavelength``; a velocity that the frame does not need is ignored.
    barycentric_velocity, rv : float or (N,) array-like
        km/s; NaN counts as 0.
    bands : iterable of str
        Names from `TELLURIC_BANDS`. The weak ``"H2O 6500"`` (about Hα) is not in the default.

    Returns
    -------
    (P,) or (N, P) ndarray of bool
        (N, P) where a velocity is an array.

    Raises
    ------
    DataError, MediumError
        If a band, frame or medium is not known.
    """
    unknown = set(bands) - TELLURIC_BANDS.keys()
    if unknown:
        raise DataError(f"bands: found {sorted(unknown)}; expected {sorted(TELLURIC_BANDS)}")
    windows = tuple(TELLURIC_BANDS[name] for name in bands)
    velocity = _total_velocity(frame, barycentric_velocity, rv)
    return in_windows(wavelength, _in_medium(windows, medium), velocity=velocity)


def sky_residuals(
    wavelength: NDArray,
    medium: Medium,
    *,
    half_width: float = 15.0,
    frame: Frame = "rest",
    barycentric_velocity: ArrayLike = 0.0,
    rv: ArrayLike = 0.0,
    lines: Iterable[float] = SKY_LINES,
) -> NDArray[np.bool_]:
    """Mark what strong lines of the night sky leave behind.

    Parameters
    ----------
    wavelength, medium, frame, barycentric_velocity, rv
        As in `telluric`.
    half_width : float
        Masked on each side of a line, km/s.
    lines : iterable of float
        Å, air, observatory frame.

    Returns
    -------
    (P,) or (N, P) ndarray of bool
    """
    share = half_width / C_KMS
    windows = tuple((line * (1 - share), line * (1 + share)) for line in lines)
    velocity = _total_velocity(frame, barycentric_velocity, rv)
    return in_windows(wavelength, _in_medium(windows, medium), velocity=velocity)


def _total_velocity(
    frame: Frame, barycentric_velocity: ArrayLike, rv: ArrayLike
) -> NDArray[np.float64]:
    """Return the one velocity whose Doppler factor is D(v_bary)/D(rv)."""
    if frame not in ("observatory", "barycentric", "rest"):
        raise DataError(f"frame: found {frame!r}; expected observatory, barycentric or rest")
    velocity = np.zeros(())
    if frame != "observatory":
        velocity = np.nan_to_num(np.asarray(barycentric_velocity, dtype=float))
    if frame == "rest":
        velocity = add_velocities(velocity, -np.nan_to_num(np.asarray(rv, dtype=float)))
    return velocity


def _in_medium(windows: Windows, medium: Medium) -> Windows:
    """Give air windows in the medium asked for (Ciddor 1996, Appl. Opt. 35, 1566)."""
    if medium == "air":
        return windows
    if medium != "vacuum":
        raise MediumError(f"medium: found {medium!r}; expected 'air' or 'vacuum'")
    edges = air_to_vacuum(np.array(windows, dtype=float).reshape(-1, 2))
    return tuple((float(low), float(high)) for low, high in edges)


def excess_noise(
    flux: NDArray, ivar: NDArray, *, threshold: float = 3.0, window: int = 101
) -> NDArray[np.bool_]:
    """Find pixels that scatter among the spectra far more than their errors say.

    For a set of spectra in the observatory frame (lines of many stars at many velocities average
    out there, bad sky subtraction and bad columns do not). Each spectrum is taken relative to
    its own running level; the scatter over the set in units of the errors (1.4826 times the
    median absolute value) is compared with its median within the window.

    Parameters
    ----------
    flux, ivar : (N, P) ndarray
        Tens of spectra at least, of different stars.
    threshold : float
        Ratio of a pixel's scatter to that of its surroundings.
    window : int
        Pixels of the running level and of the surroundings.

    Returns
    -------
    (P,) ndarray of bool
    """
    flux, ivar = np.asarray(flux, dtype=float), np.asarray(ivar, dtype=float)
    good = np.isfinite(flux) & (ivar > 0)
    deviation = np.abs(np.where(good, flux - _running_median(flux, good, window), 0.0))
    scaled = deviation * np.sqrt(np.where(good, ivar, 0.0))
    scatter = 1.4826 * masked_quantile(scaled.T, good.T, 0.5)
    seen = np.isfinite(scatter)
    around = _running_median(np.where(seen, scatter, 0.0)[None], seen[None], window)[0]
    return seen & (np.where(seen, scatter, 0.0) > threshold * around)


def _running_median(flux: NDArray, good: NDArray[np.bool_], window: int) -> NDArray[np.float64]:
    """Return medians over blocks of ``window`` pixels, joined by straight lines."""
    n, p = flux.shape
    starts = np.arange(0, p, window)
    level = np.empty((n, starts.size))
    for number, start in enumerate(starts):
        block = slice(start, start + window)
        level[:, number] = masked_quantile(flux[:, block], good[:, block], 0.5)
    overall = np.nan_to_num(masked_quantile(flux, good, 0.5))[:, None]
    level = np.where(np.isfinite(level), level, overall)
    centre = np.minimum(starts + (window - 1) / 2, p - 1)
    return np.stack([np.interp(np.arange(p), centre, row) for row in level])


def implausible(flux: NDArray, *, limit: float = 50.0) -> NDArray[np.bool_]:
    """Mark pixels of normalised spectra that no star has: wreckage of a failed correction.

    Parameters
    ----------
    flux : (N, P) ndarray
        Normalised flux.
    limit : float
        Largest |flux − 1|. At R = 28,000 the Balmer lines of the strongest emitters stand some ten
        times above the continuum; an overcorrected telluric band reaches 10⁶.

    Returns
    -------
    (N, P) ndarray of bool
    """
    return np.abs(flux - 1.0) > limit


def gaps(spectra: Spectra, *, trim: int = 0, jump: float = 5.0) -> NDArray[np.bool_]:
    """Mark pixels without data, and those next to the end of an arm, a jump or the data.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    trim : int
        Pixels to mask at each end of every arm, on both sides of a jump of the grid, and at the
        ends of what each spectrum covers of the arm. Bad pixels in between are marked, not
        grown.
    jump : float
        A step of the grid this many times the arm's median step is a jump.

    Returns
    -------
    (N, P) ndarray of bool
    """
    bad = ~((spectra.ivar > 0) & np.isfinite(spectra.flux))
    out = bad.copy()
    for _, arm, _ in spectra.iter_arms():
        step = np.diff(spectra.wavelength[arm])
        ends = np.flatnonzero(step > jump * np.median(step)) + 1 if step.size else np.array([], int)
        for start, stop in zip([0, *ends], [*ends, arm.stop - arm.start], strict=True):
            piece = slice(arm.start + start, arm.start + stop)
            out[:, piece] |= _ends(~bad[:, piece], trim)
    return out


def _ends(good: NDArray[np.bool_], trim: int) -> NDArray[np.bool_]:
    """Mark ``trim`` pixels inward from the first and the last good pixel, and all outside."""
    index = np.arange(good.shape[1])
    first = np.where(good.any(axis=1), good.argmax(axis=1), good.shape[1])[:, None]
    last = good.shape[1] - 1 - good[:, ::-1].argmax(axis=1)[:, None]
    return (index < first + trim) | (index > last - trim)


def apply(
    spectra: Spectra, bad: NDArray[np.bool_], *, flag: SpectrumFlag = SpectrumFlag.NONE
) -> Spectra:
    """Set the inverse variance of bad pixels to 0.

    Parameters
    ----------
    spectra : Spectra
        N spectra of P pixels.
    bad : (P,) or (N, P) ndarray of bool
        Pixels to take out.
    flag : SpectrumFlag
        Set for the rows that lose a pixel by it, for instance ``COSMIC_RAY``. Rows without
        a pixel left are flagged ``NO_GOOD_PIXELS`` in any case.

    Returns
    -------
    Spectra
        With a column ``flags`` in its table.

    Raises
    ------
    DataError
        If ``bad`` has another shape or type.
    """
    bad = np.asarray(bad)
    if bad.dtype != np.bool_ or bad.shape not in (spectra.flux.shape, spectra.flux.shape[1:]):
        raise DataError(
            f"bad: found {bad.dtype} of shape {bad.shape}; expected bool, {spectra.flux.shape} "
            f"or {spectra.flux.shape[1:]}"
        )
    lost = ((spectra.ivar > 0) & bad).any(axis=1)
    ivar = np.where(bad, 0, spectra.ivar).astype(spectra.ivar.dtype)
    flags = np.where(lost, int(flag), 0)
    flags |= np.where((ivar > 0).any(axis=1), 0, int(SpectrumFlag.NO_GOOD_PIXELS))
    if "flags" in spectra.table:
        flags = flags | spectra.table["flags"].to_numpy()
    table = spectra.table.assign(flags=flags.astype(np.int64))
    return replace(spectra, ivar=ivar, table=table)
