"""What is wrong with a magnitude: sentinels, impossible values, errors that say nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.flags import LabelFlag

__all__ = ["BRIGHTEST", "FAINTEST", "SENTINELS", "clean", "select_bands"]

SENTINELS = (99.0, 99.9, 99.99, 99.999, 999.0, 9999.0, 1e4, 1e20)
"""Numbers, of either sign, by which surveys write "no value"."""
BRIGHTEST, FAINTEST = -30.0, 45.0
"""No magnitude lies beyond: the Sun is at -26.8, and no telescope sees 45. (Wide on purpose: a set
of colours is held as magnitudes relative to one band, so 0 and small negative values are fine.)"""


def clean(photometry: Photometry) -> tuple[Photometry, NDArray[np.int64]]:
    """Turn what cannot be a measurement into NaN, and say so in flags.

    Parameters
    ----------
    photometry : Photometry
        N stars, B bands, as read.

    Returns
    -------
    photometry : Photometry
        Magnitude and error are NaN where the magnitude was a sentinel, impossible, or had a
        negative or infinite error. A NaN error beside a good magnitude stays: it is unknown.
    flags : (N,) ndarray of int
        Bits of `siderea.flags.LabelFlag`: SENTINEL, BAD_ERROR.
    """
    mag, err = photometry.mag, photometry.mag_err
    size = np.abs(mag)
    impossible = ~np.isnan(mag) & (
        np.isinf(mag) | (mag < BRIGHTEST) | (mag > FAINTEST) | np.isin(size, SENTINELS)
    )
    bad_error = ~np.isnan(mag) & ((err < 0) | np.isinf(err))
    missing = impossible | bad_error | np.isnan(mag)
    flags = np.where(impossible.any(axis=1), int(LabelFlag.SENTINEL), 0)
    flags = flags | np.where((bad_error & ~impossible).any(axis=1), int(LabelFlag.BAD_ERROR), 0)
    cleaned = replace(
        photometry, mag=np.where(missing, np.nan, mag), mag_err=np.where(missing, np.nan, err)
    )
    return cleaned, flags.astype(np.int64)


def select_bands(photometry: Photometry, bands: tuple[str, ...]) -> Photometry:
    """Put the bands in a given order; one that the photometry lacks is missing for every star.

    Parameters
    ----------
    photometry : Photometry
        N stars.
    bands : tuple of str
        The B bands wanted.

    Returns
    -------
    Photometry
        N stars in those B bands.

    Raises
    ------
    DataError
        If the photometry holds a band that is not wanted: a band of another survey is not
        silently dropped.
    """
    unknown = [name for name in photometry.bands if name not in bands]
    if unknown:
        raise DataError(
            f"bands: found {', '.join(unknown)}; the model knows {', '.join(bands)}: "
            "leave out the others, or train with them"
        )
    shape = (len(photometry), len(bands))
    mag, err = np.full(shape, np.nan), np.full(shape, np.nan)
    places = [bands.index(name) for name in photometry.bands]
    mag[:, places], err[:, places] = photometry.mag, photometry.mag_err
    return replace(photometry, bands=bands, mag=mag, mag_err=err)
