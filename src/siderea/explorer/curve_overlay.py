"""The fitted curve of a light curve, rebuilt from the parameters that stand in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLUMNS", "curve_of"]

COLUMNS = (
    "model",
    "constant",
    "position_1",
    "depth_1",
    "sigma_1",
    "position_2",
    "depth_2",
    "sigma_2",
    "amplitude",
    "position_e",
)
"""Name of the two-Gaussian model and its parameters, `siderea.lightcurves.two_gaussian`."""


def curve_of(
    held: Mapping[str, Any], phase: NDArray[np.float64], primary_at: float
) -> NDArray[np.float32] | None:
    """Return the fitted curve at the phases of a store, None where nothing was fitted.

    Parameters
    ----------
    held : mapping
        `COLUMNS` of one row.
    phase : (P,) ndarray
        Phases of the store: the deeper eclipse stands at ``primary_at``.
    primary_at : float

    Returns
    -------
    (P,) ndarray of float32
        Divided by its highest, as the store's flux is.
    """
    from siderea.lightcurves.gaussian_family import FAMILY
    from siderea.lightcurves.two_gaussian import TwoGaussianFit

    if held.get("model") not in {model.name for model in FAMILY}:
        return None
    known = [np.nan if held.get(name) is None else float(held[name]) for name in COLUMNS[1:]]
    gap = np.full((1, len(known)), np.nan)
    one, whole = gap[:, 0], np.zeros(1, dtype=np.int64)
    fit = TwoGaussianFit(
        model=np.array([held["model"]]),
        parameters=np.array([known]),
        errors=gap,
        separation=one,
        separation_err=one,
        bic=gap,
        chi2=one,
        n_points=whole,
        error_scale=one,
        flags=whole,
    )
    first = next((known[i] for i in (1, 8) if np.isfinite(known[i])), 0.0)
    curve = fit.curve(np.mod(phase + first - primary_at, 1.0))[0]
    top = fit.curve(np.arange(400) / 400)[0].max()
    if not (np.isfinite(curve).all() and top > 0):
        return None
    return np.asarray(curve / top, dtype=np.float32)
