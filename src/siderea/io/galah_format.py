"""Writing files in the format of GALAH DR3, for mock surveys and for tests of the reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from siderea.spectra.doppler import doppler_factor

__all__ = ["CCD_GRIDS", "write_ccd"]

CCD_GRIDS = (
    (4713.5, 0.04602),
    (5649.0, 0.05470),
    (6478.3, 0.06313),
    (7585.5, 0.07356),
)
"""First wavelength and pixel (Å, air) of the four CCDs, as in the survey's files."""
_SPECTROGRAPH = ("BL", "GN", "RD", "RR")


def write_ccd(
    folder: str | Path,
    sobject_id: str,
    ccd: int,
    *,
    counts: NDArray,
    relative_error: NDArray,
    normalised: NDArray,
    rv: float,
    grid: tuple[float, float] | None = None,
    barycentric_velocity: float = 0.0,
) -> Path:
    """Write one CCD of one star as GALAH DR3 does.

    Parameters
    ----------
    folder : path-like
        Existing folder.
    sobject_id : str
        15 digits.
    ccd : int
        1 (blue) to 4 (IR).
    counts, relative_error, normalised : (P,) ndarray
        The three extensions; ``normalised`` is on the same pixels.
    rv : float
        km/s: the rest-frame grid is the barycentric one over the Doppler factor.
    grid : tuple of float, optional
        First wavelength and pixel, Å; those of `CCD_GRIDS` by default.
    barycentric_velocity : float
        km/s.

    Returns
    -------
    Path
        The file.
    """
    start, step = grid or CCD_GRIDS[ccd - 1]
    factor = float(doppler_factor(rv))
    primary = fits.PrimaryHDU(np.asarray(counts, dtype=np.float32))
    primary.header.update(
        {
            "ORIGIN": "GALAH DR3",
            "OBJECT": sobject_id,
            "INSTRUME": "HERMES-2dF",
            "SPECTID": _SPECTROGRAPH[ccd - 1],
            "UTMJD": 57000.5,
            "MEANRA": 120.0,
            "MEANDEC": -30.0,
            "CRVAL1": start,
            "CDELT1": step,
            "CRPIX1": 1.0,
            "BARYEFF": barycentric_velocity,
            "MOLECFIT": "SUCCESS" if ccd > 2 else "FAILED",
        }
    )
    relative = fits.ImageHDU(np.asarray(relative_error, dtype=np.float32), name="input_sigma")
    with_sky = fits.ImageHDU(np.asarray(counts, dtype=np.float32), name="no_sky_subspectrum")
    sky_error = fits.ImageHDU(np.asarray(relative_error, dtype=np.float32), name="no_sky_sigma")
    rest = fits.ImageHDU(np.asarray(normalised, dtype=np.float64), name="normalised spectra")
    rest.header.update({"CRVAL1": start / factor, "CDELT1": step / factor, "CRPIX1": 1.0})
    path = Path(folder) / f"{sobject_id}{ccd}.fits"
    fits.HDUList([primary, relative, with_sky, sky_error, rest]).writeto(path, overwrite=True)
    return path
