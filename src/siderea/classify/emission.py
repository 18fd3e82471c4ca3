"""Light added at Hα and Hβ: what a spectrum has above its reference.

After Čotar et al. (2021): the residual's equivalent width within ±3.5 Å of the line, where the
reference is what the spectrum would be without emission. Any reference serves: the reconstruction
of an autoencoder, a model at the star's labels, the median of its neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.classify.detection import Detection
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.spectra.lines import BALMER, equivalent_width

__all__ = ["HALF_WIDTH", "asymmetry", "balmer_emission", "residual_width"]

HALF_WIDTH = 3.5
"""Half the window, Å, of Čotar et al. (2021)."""

_SIGNIFICANT = 3.0


def residual_width(
    spectra: Spectra, reference: ArrayLike, line: float, *, half_width: float = HALF_WIDTH
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure the light that a line has above a reference, W = ∫ (f − f_ref) dλ.

    Parameters
    ----------
    spectra : Spectra
        N normalised spectra, at rest.
    reference : (N, P) or (P,) array-like
        Expected flux on the same pixels.
    line : float
        Centre in air, Å.
    half_width : float
        Half the window, Å.

    Returns
    -------
    width, error : (N,) ndarray
        Å, positive where light is added; the error is that of the photons alone.
    """
    expected = np.asarray(reference, dtype=float)
    if expected.shape[-1] != spectra.n_pixels or expected.ndim > 2:
        raise DataError(
            f"reference: found shape {expected.shape}; expected ({len(spectra)}, "
            f"{spectra.n_pixels})"
        )
    added = spectra.with_flux(1.0 + expected - spectra.flux, spectra.ivar)
    return equivalent_width(added, line, half_width=half_width)


def balmer_emission(
    spectra: Spectra, reference: ArrayLike, *, half_width: float = HALF_WIDTH
) -> dict[str, Detection]:
    """Measure emission in Hα and Hβ.

    Parameters
    ----------
    spectra, reference, half_width
        See `residual_width`.

    Returns
    -------
    dict of str to Detection
        By line (``halpha``, ``hbeta``), Å; NaN where the line is not covered.
    """
    return {
        name: Detection(
            f"{name}_emission",
            *residual_width(spectra, reference, line, half_width=half_width),
            "Å",
        )
        for name, line in BALMER.items()
    }


def asymmetry(
    spectra: Spectra, reference: ArrayLike, line: float, *, half_width: float = HALF_WIDTH
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure on which side of a line the residual lies, (|W_red| − |W_blue|) / sum.

    Within ±0.25 Čotar et al. (2021) call emission chromospheric; P Cygni and accretion profiles
    lie beyond.

    Parameters
    ----------
    spectra, reference, line, half_width
        See `residual_width`.

    Returns
    -------
    asymmetry, error : (N,) ndarray
        −1 (all blue) to 1 (all red); NaN where neither side is significant (3σ).
    """
    half = half_width / 2.0
    expected = np.asarray(reference, dtype=float)
    red, red_error = residual_width(spectra, expected, line + half, half_width=half)
    blue, blue_error = residual_width(spectra, expected, line - half, half_width=half)
    total = np.abs(red) + np.abs(blue)
    seen = (np.abs(red) > _SIGNIFICANT * red_error) | (np.abs(blue) > _SIGNIFICANT * blue_error)
    value, error = np.full(len(spectra), np.nan), np.full(len(spectra), np.nan)
    np.divide(np.abs(red) - np.abs(blue), total, out=value, where=seen)
    variance = (blue * red_error) ** 2 + (red * blue_error) ** 2
    np.divide(2.0 * np.sqrt(variance), total**2, out=error, where=seen)
    return value, error
