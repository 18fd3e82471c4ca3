"""Scores into probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from siderea.errors import DataError

__all__ = ["class_shares", "expected_calibration_error", "probabilities", "temperature"]

_LOG_TEMPERATURE = (-3.0, 4.0)
_EM_STEPS = 500
_EM_TOLERANCE = 1e-6


def temperature(scores: ArrayLike, classes: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Find the temperature that makes scores honest (Guo et al. 2017).

    Minimises −Σ w log softmax(scores / T)[class] over T.

    Parameters
    ----------
    scores : (N, C) array-like
        Scores of points that the classifier was *not* trained on.
    classes : (N,) array-like of int
        Column of the true class.
    weight : (N,) array-like, optional
        Weights of the points; equal by default.

    Returns
    -------
    float
        Above 1 where the classifier was too sure of itself.

    Examples
    --------
    >>> round(temperature([[4.0, 0.0]] * 10, [0] * 9 + [1]), 2)  # nine of ten are right
    1.82
    """
    table, truth = np.asarray(scores, dtype=float), np.asarray(classes, dtype=np.int64)
    if table.ndim != 2 or truth.shape != table.shape[:1] or not truth.size:
        raise DataError(f"scores {table.shape}, classes {truth.shape}; expected (N, C) and (N,)")
    share = np.ones(truth.size) if weight is None else np.asarray(weight, dtype=float)
    rows = np.arange(truth.size)

    def loss(log_t: float) -> float:
        return float(-(share * log_softmax(table / np.exp(log_t), axis=1)[rows, truth]).sum())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded").x))


def probabilities(
    scores: ArrayLike, *, temperature: float = 1.0, shares: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return class probabilities of scores that were trained with balanced classes.

    Parameters
    ----------
    scores : (N, C) array-like
        Log-odds of classes taken as equally frequent.
    temperature : float
        See `temperature`.
    shares : (C,) array-like, optional
        How frequent the classes are among the points; equally by default.

    Returns
    -------
    (N, C) ndarray
        Rows that sum to 1.
    """
    logits = np.asarray(scores, dtype=float) / temperature
    if shares is not None:
        logits = logits + np.log(np.maximum(np.asarray(shares, dtype=float), 1e-12))
    return softmax(logits, axis=1)


def class_shares(balanced: ArrayLike, *, least: float = 1e-4) -> NDArray[np.float64]:
    """Estimate how frequent the classes are among unlabelled points (Saerens et al. 2002).

    Expectation maximisation of the mixture Σ π_c p(x | c), with p(x | c) ∝ the class's probability
    under equal shares.

    Parameters
    ----------
    balanced : (N, C) array-like
        Calibrated probabilities under equal shares.
    least : float
        Smallest share given back: a class that was labelled exists.

    Returns
    -------
    (C,) ndarray
        Shares that sum to 1.
    """
    likelihood = np.asarray(balanced, dtype=float)
    n_classes = likelihood.shape[1]
    shares = np.full(n_classes, 1.0 / n_classes)
    for _ in range(_EM_STEPS):
        joint = likelihood * shares
        new = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
        new = np.maximum(new, least)
        new /= new.sum()
        settled = np.abs(new - shares).max() < _EM_TOLERANCE
        shares = new
        if settled:
            break
    return shares


def expected_calibration_error(
    probability: ArrayLike, correct: ArrayLike, *, bins: int = 10
) -> float:
    """Return the mean distance between the stated probability and the share that was right.

    Parameters
    ----------
    probability : (N,) array-like
        Probability of the class that was chosen.
    correct : (N,) array-like of bool
        Whether it was the right one.
    bins : int
        Bins of equal numbers of points.

    Returns
    -------
    float
        Between 0 and 1.
    """
    stated, right = np.asarray(probability, dtype=float), np.asarray(correct, dtype=float)
    pieces = [piece for piece in np.array_split(np.argsort(stated), bins) if piece.size]
    gaps = [abs(stated[piece].mean() - right[piece].mean()) * piece.size for piece in pieces]
    return float(np.sum(gaps) / stated.size)
