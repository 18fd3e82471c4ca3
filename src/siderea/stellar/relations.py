"""Formulae of the literature, which the networks are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["bond2010_fe_h"]


def bond2010_fe_h(ug: ArrayLike, gr: ArrayLike) -> NDArray[np.float64]:
    """Return [Fe/H] of main-sequence stars from dereddened SDSS colours.

    With x = u−g, y = g−r: [Fe/H] = −13.13 + 14.09x + 28.04y − 5.51xy − 5.90x² − 58.68y²
    + 9.14x²y − 20.61xy² + 58.20y³.

    Parameters
    ----------
    ug, gr : (N,) array-like
        Dereddened colours, mag.

    Returns
    -------
    (N,) ndarray
        dex; NaN outside 0.2 < g−r < 0.6 and −0.25 + 0.5(u−g) < g−r < 0.05 + 0.5(u−g).

    References
    ----------
    Bond et al. (2010), ApJ 716, 1.
    """
    x, y = np.asarray(ug, dtype=np.float64), np.asarray(gr, dtype=np.float64)
    fe_h = (
        -13.13 + 14.09 * x + 28.04 * y - 5.51 * x * y - 5.90 * x**2 - 58.68 * y**2
        + 9.14 * x**2 * y - 20.61 * x * y**2 + 58.20 * y**3
    )  # fmt: skip
    valid = (y > 0.2) & (y < 0.6) & (y > -0.25 + 0.5 * x) & (y < 0.05 + 0.5 * x)
    return np.where(valid, fe_h, np.nan)
