"""Colours: differences of two bands, and photometry that is known by its colours only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.data import Photometry
from siderea.errors import DataError

__all__ = ["colour", "from_colours"]


def colour(
    photometry: Photometry, blue: str, red: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a colour and its error.

    Parameters
    ----------
    photometry : Photometry
        N stars.
    blue, red : str
        Bands; the colour is ``blue`` − ``red``.

    Returns
    -------
    value, error : (N,) ndarray
        mag; NaN where a band is missing.

    Raises
    ------
    DataError
        If a band is not there.
    """
    lacking = [name for name in (blue, red) if name not in photometry.bands]
    if lacking:
        raise DataError(
            f"colour {blue}-{red}: found no {', '.join(lacking)} among "
            f"{', '.join(photometry.bands)}"
        )
    i, j = photometry.bands.index(blue), photometry.bands.index(red)
    value = photometry.mag[:, i] - photometry.mag[:, j]
    return value, np.hypot(photometry.mag_err[:, i], photometry.mag_err[:, j])


def from_colours(
    colours: Mapping[tuple[str, str], ArrayLike],
    *,
    reference: str,
    errors: ArrayLike | None = None,
    table: pd.DataFrame | None = None,
) -> Photometry:
    """Build photometry from colours alone: magnitudes relative to one band, which is put at 0.

    The networks of `siderea.stellar` use differences of magnitudes only, so nothing is lost.

    Parameters
    ----------
    colours : mapping of (str, str) to (N,) array-like
        (blue, red) to blue − red, B − 1 of them that link all B bands. A sentinel in one band
        (such as −9999) spoils the two colours that have it, and is recognised later from its size.
    reference : str
        The band that is put at 0.
    errors : (N, B) array-like, optional
        Magnitude errors, in the order of the bands that results; unknown (NaN) by default.
    table : pandas.DataFrame, optional
        N rows.

    Returns
    -------
    Photometry
        Bands in the order in which the colours name them.

    Raises
    ------
    DataError
        If the colours do not link every band to the reference, once.

    Examples
    --------
    >>> stars = from_colours({("sdss_u", "sdss_g"): [1.2], ("sdss_g", "sdss_r"): [0.4]},
    ...                      reference="sdss_r")
    >>> stars.bands, stars.mag.round(3).tolist()
    (('sdss_u', 'sdss_g', 'sdss_r'), [[1.6, 0.4, 0.0]])
    """
    values = {pair: np.asarray(value, dtype=np.float64) for pair, value in colours.items()}
    bands = tuple(dict.fromkeys(name for pair in values for name in pair))
    lengths = {value.shape for value in values.values()}
    if reference not in bands or len(values) != len(bands) - 1 or len(lengths) != 1:
        raise DataError(
            f"colours: found {len(values)} of {len(bands)} bands, shapes {sorted(lengths)}; "
            f"expected {len(bands) - 1} of one length that link all bands to {reference!r}"
        )
    mag = {reference: np.zeros(lengths.pop())}
    for _ in bands:
        for (blue, red), value in values.items():
            if red in mag:
                mag.setdefault(blue, mag[red] + value)
            elif blue in mag:
                mag[red] = mag[blue] - value
    if len(mag) != len(bands):
        lost = ", ".join(name for name in bands if name not in mag)
        raise DataError(f"colours: no chain of colours links {lost} to {reference!r}")
    stacked = np.stack([mag[name] for name in bands], axis=1)
    err = np.full(stacked.shape, np.nan) if errors is None else np.asarray(errors, dtype=float)
    return Photometry(bands, stacked, err, table)  # type: ignore[arg-type]
