"""Eclipse positions, depths and widths of many light curves by the two-Gaussian family.

Seven models (`siderea.lightcurves.gaussian_family.FAMILY`) are fitted to every folded light curve,
and the Bayesian information criterion chooses (Mowlavi et al. 2017, A&A 606, A92; Kochoska et al.
2017, A&A 602, A110).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from siderea.lightcurves.gaussian_descent import fit_batch
from siderea.lightcurves.gaussian_family import FAMILY, WIDEST, values
from siderea.lightcurves.quality import (
    MIN_POINTS,
    LightCurveFlag,
    halves_alike,
    hidden_in_gap,
    wild_in_eclipse,
)
from siderea.lightcurves.usable import Curves, usable_curves
from siderea.simulate.eclipses import eccentricity_of

__all__ = ["PARAMETERS", "WIDTH_IN_SIGMA", "TwoGaussianFit", "fit"]

Array = NDArray[np.float64]

PARAMETERS = (
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
"""Columns of `TwoGaussianFit.parameters`; NaN where the chosen model has no such parameter."""

WIDTH_IN_SIGMA = 5.6
"""Full width of an eclipse, in σ of its Gaussian (Mowlavi et al. 2017)."""

BATCH_POINTS = 2**19
"""Points of all curves that are fitted together."""


@dataclass(frozen=True)
class TwoGaussianFit:
    """Fits of N light curves. Eclipse 1 is the one where the fitted flux is lower.

    Parameters
    ----------
    model : (N,) ndarray of str
        Name of the chosen model.
    parameters, errors : (N, 9) ndarray
        `PARAMETERS` and their 1σ errors; phases between 0 and 1. Errors are scaled up by
        `error_scale`.
    separation, separation_err : (N,) ndarray
        Phase from eclipse 1 to eclipse 2, NaN unless both are there.
    bic : (N, 7) ndarray
        Of every model of the family, χ²/scale² + k ln n.
    chi2 : (N,) ndarray
        Of the chosen model, by the errors as given.
    n_points : (N,) ndarray
        Usable points.
    error_scale : (N,) ndarray
        √(χ²/(n − k)) of the best fit where that exceeds 1: no Gaussian is an eclipse, so the
        criterion weighs models against what is left by the best of them, not against the errors
        alone.
    flags : (N,) ndarray of int
        `siderea.lightcurves.quality.LightCurveFlag`.
    """

    model: NDArray[np.str_]
    parameters: Array
    errors: Array
    separation: Array
    separation_err: Array
    bic: Array
    chi2: Array
    n_points: NDArray[np.int64]
    error_scale: Array
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.model)

    def __getattr__(self, name: str) -> Array:
        """Return a parameter by its name, or the error by name and ``_err``."""
        if name in PARAMETERS:
            return self.parameters[:, PARAMETERS.index(name)]
        if name.endswith("_err") and name[:-4] in PARAMETERS:
            return self.errors[:, PARAMETERS.index(name[:-4])]
        raise AttributeError(name)

    @property
    def width_1(self) -> Array:
        """Full width of eclipse 1, phase."""
        return WIDTH_IN_SIGMA * self.parameters[:, 3]

    @property
    def width_2(self) -> Array:
        """Full width of eclipse 2, phase."""
        return WIDTH_IN_SIGMA * self.parameters[:, 6]

    @property
    def n_eclipses(self) -> NDArray[np.int64]:
        """Gaussians of the chosen model: 0, 1 or 2."""
        return np.isfinite(self.parameters[:, [2, 5]]).sum(axis=1)

    @property
    def e_cos_omega(self) -> Array:
        """E cos ω from the separation and the widths (which give e sin ω), seen edge on."""
        known = np.isfinite(self.separation)
        result = np.full(len(self), np.nan)
        e, omega = eccentricity_of(
            self.separation[known], (self.width_1[known], self.width_2[known])
        )
        result[known] = e * np.cos(np.deg2rad(omega))
        return result

    @property
    def e_cos_omega_err(self) -> Array:
        """Error of `e_cos_omega` to first order: π/2 times that of the separation."""
        return 0.5 * np.pi * self.separation_err

    def curve(self, phase: ArrayLike) -> Array:
        """Return the fitted flux (N, M) at phases (M,)."""
        grid = torch.as_tensor(np.atleast_1d(np.asarray(phase, dtype=np.float64)))
        flux = np.empty((len(self), len(grid)))
        for model in FAMILY:
            rows = np.flatnonzero(self.model == model.name)
            if rows.size:
                theta = torch.as_tensor(self.parameters[rows][:, _columns(model.name)])
                flux[rows] = values(model, theta, grid.expand(len(rows), -1)).numpy()
        return flux

    def table(self) -> pd.DataFrame:
        """Return everything but the curves as a table of N rows."""
        columns: dict[str, NDArray] = {"model": self.model}
        for number, name in enumerate(PARAMETERS):
            columns[name] = self.parameters[:, number]
            columns[f"{name}_err"] = self.errors[:, number]
        for name in (
            "width_1",
            "width_2",
            "separation",
            "separation_err",
            "e_cos_omega",
            "e_cos_omega_err",
            "chi2",
            "error_scale",
            "n_points",
            "n_eclipses",
            "flags",
        ):
            columns[name] = getattr(self, name)
        for number, model in enumerate(FAMILY):
            columns[f"bic_{model.name.lower()}"] = self.bic[:, number]
        return pd.DataFrame(columns)


def fit(
    phase: ArrayLike | Sequence[ArrayLike],
    flux: ArrayLike | Sequence[ArrayLike],
    flux_err: ArrayLike | Sequence[ArrayLike] | float,
) -> TwoGaussianFit:
    """Fit the two-Gaussian family to one folded light curve or many.

    Parameters
    ----------
    phase, flux, flux_err : (M,), (N, M) array-like or sequence of N of different lengths
        Orbital phase in cycles (any whole number may be added), flux in any unit, 1σ errors (a
        single number serves for all). Points that are not finite, or without a positive error, are
        left out and flagged.

    Returns
    -------
    TwoGaussianFit
        N rows, 1 for a single curve.

    Raises
    ------
    DataError
        If the three do not have the same shapes.

    Notes
    -----
    Each model is a batched Levenberg–Marquardt descent with exact derivatives. It begins at the two
    eclipses that a matched filter over all positions and widths finds, with and without the
    ellipsoidal term; a model that ends above one it contains begins again from there.

    Examples
    --------
    >>> phase = np.linspace(0, 1, 200, endpoint=False)
    >>> off = lambda at: (phase - at + 0.5) % 1 - 0.5
    >>> dips = 0.3 * np.exp(-off(0.0)**2 / 2e-4) + 0.1 * np.exp(-off(0.52)**2 / 2e-4)
    >>> found = fit(phase, 1 - dips, np.full(200, 0.001))
    >>> str(found.model[0]), round(float(found.separation[0]), 4)
    ('CG12', 0.52)
    """
    curves = usable_curves(phase, flux, flux_err)
    n = len(curves)
    out = TwoGaussianFit(
        np.full(n, "C", dtype="<U6"),
        np.full((n, 9), np.nan),
        np.full((n, 9), np.nan),
        np.full(n, np.nan),
        np.full(n, np.nan),
        np.full((n, len(FAMILY)), np.nan),
        np.full(n, np.nan),
        curves.lengths,
        np.ones(n),
        curves.flags.copy(),
    )
    enough = curves.lengths >= MIN_POINTS
    out.flags[~enough] |= LightCurveFlag.TOO_FEW
    for row in np.flatnonzero(~enough & (curves.lengths > 0)):
        _, values_, errors = curves[int(row)]
        weight = errors**-2
        out.parameters[row, 0] = np.average(values_, weights=weight)
        out.errors[row, 0] = weight.sum() ** -0.5
        out.chi2[row] = ((values_ - out.parameters[row, 0]) ** 2 * weight).sum()
    for rows in curves.batches(np.flatnonzero(enough), BATCH_POINTS):
        _fit_rows(out, curves, rows)
    _flag(out, curves, np.flatnonzero(enough))
    return out


def _columns(name: str) -> list[int]:
    """Return which of `PARAMETERS` a model's own parameters are, in its order."""
    eclipses = [1, 2, 3] if name.startswith("CG") else []
    eclipses += [4, 5, 6] if name.startswith("CG12") else []
    if name == "CE":
        return [0, 8, 7]
    return [0, *eclipses, *([7] if "E" in name else [])]


_TURNED = {"CG12E1": "CG12E2", "CG12E2": "CG12E1"}
"""What a model is called once its eclipses change places."""


def _fit_rows(out: TwoGaussianFit, curves: Curves, rows: NDArray[np.int64]) -> None:
    """Fit one batch, and write its rows of the result."""
    best = fit_batch(curves.padded(rows), torch.as_tensor(curves.lengths[rows]))
    out.bic[rows] = best.bic.numpy()
    out.error_scale[rows] = best.scale.numpy()
    for number, model in enumerate(FAMILY):
        mine = (best.choice == number).nonzero()[:, 0]
        if mine.numel() == 0:
            continue
        theta, covariance = best.theta[number][mine], best.covariance(number, mine)
        at = rows[mine.numpy()]
        order = torch.arange(model.size).expand(len(at), -1)
        label = np.full(len(at), model.name, dtype=out.model.dtype)
        if model.eclipses == 2:
            variance = covariance[:, 1, 1] + covariance[:, 4, 4] - 2 * covariance[:, 1, 4]
            out.separation_err[at] = variance.clamp(min=0).sqrt().numpy()
            minima = values(model, theta, theta[:, [1, 4]])
            turned = minima[:, 1] < minima[:, 0]  # the lower one comes first
            other = torch.cat((order[0, :1], order[0, 4:7], order[0, 1:4], order[0, 7:]))
            order = torch.where(turned[:, None], other, order)
            label[turned.numpy()] = _TURNED.get(model.name, model.name)
        error = torch.diagonal(covariance, dim1=1, dim2=2).clamp(min=0).sqrt()
        where = np.ix_(at, _columns(model.name))
        out.model[at] = label
        out.parameters[where] = theta.gather(1, order).numpy()
        out.errors[where] = error.gather(1, order).numpy()
        out.chi2[at] = best.chi2[mine, number].numpy()
        out.flags[at] |= LightCurveFlag.NOT_CONVERGED * (~best.converged[mine, number]).numpy()
    for column in (1, 4):
        out.parameters[rows, column] = np.mod(out.parameters[rows, column], 1.0)
    out.separation[rows] = np.mod(out.parameters[rows, 4] - out.parameters[rows, 1], 1.0)
    # The ellipsoidal minimum goes with an eclipse, unless there is none.
    tied = np.where(out.model[rows] == "CG12E2", out.parameters[rows, 4], out.parameters[rows, 1])
    has = np.isin(out.model[rows], ("CGE", "CG12E1", "CG12E2"))
    out.parameters[rows[has], 8] = tied[has]
    out.parameters[rows, 8] = np.mod(out.parameters[rows, 8], 1.0)


def _flag(out: TwoGaussianFit, curves: Curves, rows: NDArray[np.int64]) -> None:
    """Say what the fits do not know, or should not be trusted in."""
    eclipses = out.n_eclipses
    sigma = out.parameters[:, [3, 6]]
    out.flags[rows] |= LightCurveFlag.FLAT * (out.model[rows] == "C")
    out.flags[rows] |= LightCurveFlag.ONE_ECLIPSE * (eclipses[rows] == 1)
    out.flags[rows] |= LightCurveFlag.POOR_FIT * (out.error_scale[rows] > 3.0)
    wide = np.nan_to_num(sigma[rows]).max(axis=1) > 0.999 * WIDEST
    out.flags[rows] |= LightCurveFlag.AT_BOUND * wide
    for row in rows:
        phase, flux, error = curves[row]
        narrowest = WIDTH_IN_SIGMA * np.nanmin(sigma[row]) if eclipses[row] else np.nan
        out.flags[row] |= LightCurveFlag.GAP * hidden_in_gap(phase, narrowest)
        if eclipses[row] and any(
            wild_in_eclipse(
                phase, flux, error, *out.parameters[row, [3 * k + 1, 3 * k + 3, 3 * k + 2]]
            )
            for k in range(eclipses[row])
        ):
            out.flags[row] |= LightCurveFlag.HALF_PERIOD
        elif out.model[row] != "C" and halves_alike(phase, flux, error, out.error_scale[row]):
            out.flags[row] |= LightCurveFlag.DOUBLE_PERIOD
