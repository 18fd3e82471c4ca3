"""The kind of a close binary from its light curve, as probabilities.

A small network on the Fourier series of the data, trained on simulated binaries as Kepler, Gaia and
sparser samplings see them (``benchmarks/lightcurve_kinds.py``). Its kinds are those of
`siderea.simulate.binaries.KINDS`; its probabilities hold for binaries in the shares of the Kepler
Eclipsing Binary Catalog, or for the shares that are given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siderea.errors import DataError
from siderea.lightcurves.harmonics import described, series
from siderea.lightcurves.two_gaussian import TwoGaussianFit
from siderea.lightcurves.usable import usable_curves

__all__ = ["KindNetwork", "inputs", "load_default", "names_of_groups", "probabilities"]

Array = NDArray[np.float64]

CERTAIN = 0.5
"""Mean probability from which a group bears the name of a kind."""


@dataclass(frozen=True)
class KindNetwork:
    """A network of two hidden layers of tanh, and the temperature that calibrates it.

    Parameters
    ----------
    kinds : tuple of str
    shares : (K,) ndarray
        Of the kinds in the training set.
    mean, scale : (D,) ndarray
        Of the inputs.
    weights, biases : tuple of ndarray
        Of each layer.
    temperature : float
        Logits are divided by it.
    metadata : mapping
        How it was made.
    """

    kinds: tuple[str, ...]
    shares: Array
    mean: Array
    scale: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    temperature: float
    metadata: Mapping[str, Any]

    def predict(self, x: ArrayLike, *, shares: Mapping[str, float] | None = None) -> Array:
        """Return the probability of every kind.

        Parameters
        ----------
        x : (N, D) array-like
            Of `inputs`.
        shares : mapping, optional
            Of the kinds among the curves; those of the training set by default.

        Returns
        -------
        (N, K) ndarray
            NaN where an input is.

        Raises
        ------
        DataError
            If shares are not given for exactly the kinds, or are negative.
        """
        layer = (np.asarray(x, dtype=np.float64) - self.mean) / self.scale
        layer = np.clip(layer, -8.0, 8.0)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            layer = np.tanh(layer @ weight.T + bias)
        logit = (layer @ self.weights[-1].T + self.biases[-1]) / self.temperature
        odds = np.exp(logit - logit.max(axis=1, keepdims=True))
        odds = odds * (self._shares(shares) / self.shares)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def _shares(self, shares: Mapping[str, float] | None) -> Array:
        if shares is None:
            return self.shares
        given = np.array([float(shares.get(kind, np.nan)) for kind in self.kinds])
        if set(shares) != set(self.kinds) or not (np.all(given >= 0) and given.sum() > 0):
            raise DataError(f"shares: found {dict(shares)}; expected one of each {self.kinds}")
        return given / given.sum()


@cache
def load_default() -> KindNetwork:
    """Return the network that is shipped in the package.

    Examples
    --------
    >>> load_default().kinds
    ('detached', 'semi-detached', 'contact', 'ellipsoidal')
    """
    folder = resources.files("siderea.lightcurves").joinpath("data")
    about = json.loads(folder.joinpath("kinds.json").read_text(encoding="utf-8"))
    with folder.joinpath("kinds.npz").open("rb") as handle, np.load(handle) as arrays:
        values = {name: arrays[name].astype(np.float64) for name in arrays.files}
    layers = range(sum(name.startswith("weight_") for name in values))
    return KindNetwork(
        tuple(about["kinds"]),
        values["shares"],
        values["mean"],
        values["scale"],
        tuple(values[f"weight_{k}"] for k in layers),
        tuple(values[f"bias_{k}"] for k in layers),
        float(about["temperature"]),
        about,
    )


def inputs(
    phase: ArrayLike, flux: ArrayLike, flux_err: ArrayLike | float, fit: TwoGaussianFit
) -> Array:
    """Return the inputs of the network for folded curves and their fits.

    Parameters
    ----------
    phase, flux, flux_err
        As in `siderea.lightcurves.two_gaussian.fit`.
    fit : TwoGaussianFit
        Of the same curves.

    Returns
    -------
    (N, 22) ndarray
        NaN for curves of which nothing but a constant is known.
    """
    grid = np.arange(200) / 200
    curve = fit.curve(grid)
    varies = (fit.model != "C") & np.isfinite(curve).all(axis=1)
    high = np.where(varies, curve.max(axis=1), np.nan)
    span = np.where(varies, high - curve.min(axis=1), np.nan)
    first = np.where(np.isfinite(fit.position_1), fit.position_1, fit.position_e)
    waves = series(phase, flux, flux_err, position=first, amplitude=span)
    with np.errstate(invalid="ignore", divide="ignore"):
        return described(waves, span / high, _error_of_mean(phase, flux, flux_err) / span)


def _error_of_mean(phase: ArrayLike, flux: ArrayLike, flux_err: ArrayLike | float) -> Array:
    curves = usable_curves(phase, flux, flux_err)
    total = np.concatenate(([0.0], np.cumsum(curves.flux_err**-2.0)))
    with np.errstate(divide="ignore"):
        return np.asarray(np.diff(total[curves.starts]) ** -0.5)


def probabilities(
    phase: ArrayLike,
    flux: ArrayLike,
    flux_err: ArrayLike | float,
    fit: TwoGaussianFit,
    *,
    shares: Mapping[str, float] | None = None,
) -> Array:
    """Return the probability of every kind for folded curves and their fits, (N, 4).

    Columns are `KindNetwork.kinds` of the shipped network; see `inputs` and `KindNetwork.predict`.
    """
    return load_default().predict(inputs(phase, flux, flux_err, fit), shares=shares)


def names_of_groups(group: ArrayLike, probability: ArrayLike) -> tuple[str, ...]:
    """Name groups by the kind that their curves are most probably of.

    Parameters
    ----------
    group : (N,) array-like of int
        From 0; negative for none.
    probability : (N, K) array-like
        Of `probabilities`.

    Returns
    -------
    tuple of str
        A kind, or ``"mixed"`` where the mean probability of none reaches `CERTAIN`.
    """
    label, chance = np.asarray(group), np.asarray(probability, dtype=np.float64)
    kinds, names = load_default().kinds, []
    for number in range(int(label.max(initial=-1)) + 1):
        mine = chance[(label == number) & np.isfinite(chance).all(axis=1)]
        mean = mine.mean(axis=0) if len(mine) else np.zeros(len(kinds))
        names.append(kinds[int(mean.argmax())] if mean.max() >= CERTAIN else "mixed")
    return tuple(names)
