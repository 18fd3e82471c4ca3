"""What evidence of a second star means: a probability and a threshold, per model and survey.

The evidence that single stars show for a companion they do not have comes from what the model gets
wrong, and so differs from model to model and from survey to survey; thresholds do not transfer.
They are therefore learned from a control set with the truth known: one half sets them, the other
says what they do.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from siderea.binaries.model_composites import digest
from siderea.binaries.model_evidence import CONTEXT, EVIDENCE, FEATURES, features
from siderea.binaries.model_fingerprint import error_values, fingerprint
from siderea.binaries.survey_correction import SurveyCorrection
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.models.composite import Binary
from siderea.models.emulator import Emulator
from siderea.models.model_error import ModelError
from siderea.models.protocol import DifferentiableModel

__all__ = [
    "ModelCalibration",
    "calibrate",
    "default_calibration",
    "recalibrate",
    "shipped_calibration",
]

Array = NDArray[np.float64]

FORMAT = 1

PENALTY = 1e-4

OTHER_MODELS = ("binspec",)
"""Shipped calibrations of models other than the emulator."""


@dataclass(frozen=True)
class ModelCalibration:
    """Probability and threshold of the model channel.

    Parameters
    ----------
    weights : mapping of str to float
        Of `FEATURES`, in the logarithm of the odds.
    intercept : float
    threshold : float
        Probability above which a spectrum is called binary.
    false_positives : float
        Share of single stars that the threshold was set for.
    prior : float
        Share of binaries in the control set: what the probability assumes.
    holds_for : mapping
        See `fingerprint`.
    metrics : mapping
        What the half of the control set that was held out showed.
    """

    weights: Mapping[str, float]
    intercept: float
    threshold: float
    false_positives: float
    prior: float
    holds_for: Mapping[str, Any]
    metrics: Mapping[str, Any]

    def probability(self, table: pd.DataFrame) -> Array:
        """Return the probability of a second star (N,); NaN where nothing was fitted."""
        return np.asarray(expit(self.log_odds(table)))

    def log_odds(self, table: pd.DataFrame) -> Array:
        """Return the logarithm of the odds of a second star (N,)."""
        weights = np.array([self.weights[name] for name in FEATURES])
        return np.asarray(features(table) @ weights + self.intercept)

    def decide(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Tell which spectra are called binary (N,)."""
        return np.asarray(np.nan_to_num(self.probability(table)) > self.threshold)

    def check(
        self,
        model: Emulator | DifferentiableModel | Binary,
        spectra: Spectra,
        model_error: ModelError | None,
        correction: SurveyCorrection | None = None,
    ) -> None:
        """Warn, in one line, where the calibration was made for something else."""
        found = fingerprint(model, spectra, model_error, correction)
        other = [name for name, value in found.items() if self.holds_for.get(name) != value]
        if other:
            warnings.warn(
                f"model channel: thresholds and probabilities were calibrated for another "
                f"{' and '.join(name.replace('_', ' ') for name in other)}; they do not transfer: "
                "calibrate on a control set (siderea.binaries.model_calibration.calibrate)",
                stacklevel=2,
            )

    def to_json(self) -> str:
        """Return the calibration as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelCalibration:
        """Make it from what `to_json` returned.

        Raises
        ------
        DataError
            If it is something else, or of another format.
        """
        try:
            values = json.loads(text)
            found = values.pop("format")
            if found != FORMAT or set(values["weights"]) != set(FEATURES):
                raise DataError(
                    f"calibration: found format {found} with {sorted(values['weights'])}; expected "
                    f"format {FORMAT} with {sorted(FEATURES)}"
                )
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"calibration: not one of this package ({error})") from error


def calibrate(
    table: pd.DataFrame,
    binary: ArrayLike,
    *,
    holds_for: Mapping[str, Any],
    false_positives: float = 0.01,
    prior: float | None = None,
    rng: np.random.Generator | int = 0,
) -> ModelCalibration:
    """Learn threshold and probability from one half of a control set, and test on the other.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `siderea.binaries.model_selection.detect_model`, N spectra.
    binary : (N,) array-like of bool
        The truth.
    holds_for : mapping
        See `fingerprint`.
    false_positives : float
        Share of single stars that may be called binary.
    prior : float, optional
        Share of binaries that probabilities shall assume; that of the control set by default.
    rng : numpy.random.Generator or int
        Of the halves.

    Returns
    -------
    ModelCalibration
        Its ``metrics`` are of the half that was held out: false positives, completeness, and the
        mean error of the probability.

    Raises
    ------
    DataError
        If there are too few of either kind.
    """
    x, truth = features(table), np.asarray(binary, dtype=bool)
    known = np.isfinite(x).all(axis=1)
    if min((truth & known).sum(), (~truth & known).sum()) < 100:
        raise DataError(
            f"calibration: found {int(truth.sum())} binaries, {int((~truth).sum())} single stars; "
            "expected 100 or more of each"
        )
    generator = np.random.default_rng(rng)
    half = np.zeros(len(x), dtype=bool)
    half[generator.permutation(len(x))[: len(x) // 2]] = True
    learn, test = half & known, ~half & known
    start = np.r_[np.full(len(EVIDENCE), 0.1), np.zeros(len(CONTEXT)), -2.0]
    limits = [_bounds(name) for name in FEATURES]
    weights, intercept = _logistic(x[learn], truth[learn], limits, start)
    share = float(truth.mean())
    assumed = share if prior is None else prior
    shift = float(logit(assumed) - logit(share))
    intercept += shift
    p = expit(x @ weights + intercept)
    threshold = float(np.quantile(p[learn & ~truth], 1.0 - false_positives, method="higher"))
    metrics = {
        "held_out_false_positives": float((p[test & ~truth] > threshold).mean()),
        "held_out_completeness": float((p[test & truth] > threshold).mean()),
        "held_out_probability_error": _calibration_error(
            expit(logit(p[test]) - shift), truth[test]
        ),
        "n_single": int((test & ~truth).sum()),
        "n_binary": int((test & truth).sum()),
    }
    return ModelCalibration(
        dict(zip(FEATURES, weights.tolist(), strict=True)),
        float(intercept),
        threshold,
        false_positives,
        assumed,
        dict(holds_for),
        metrics,
    )


def recalibrate(
    base: ModelCalibration,
    table: pd.DataFrame,
    binary: ArrayLike,
    groups: ArrayLike,
    *,
    holds_for: Mapping[str, Any],
    false_positives: float = 0.01,
    prior: float | None = None,
    rng: np.random.Generator | int = 0,
) -> ModelCalibration:
    """Scale and shift the log odds of a calibration to another control set (Platt scaling).

    For a control set made from few stars: two numbers and a threshold are learned, not all weights.

    Parameters
    ----------
    base : ModelCalibration
    table, binary, holds_for, false_positives, prior, rng
        See `calibrate`.
    groups : (N,) array-like
        Spectra made from one star are of one group.

    Returns
    -------
    ModelCalibration
        Learned from all; its ``metrics`` are of each half of the groups, judged by what the other
        half teaches.

    Raises
    ------
    DataError
        If there are too few of either kind, or fewer than ten groups.

    References
    ----------
    Platt (1999), Advances in Large Margin Classifiers, 61.
    """
    truth = np.asarray(binary, dtype=bool)
    odds = base.log_odds(table)
    known = np.isfinite(odds)
    odds, truth = odds[known], truth[known]
    group = np.unique(np.asarray(groups)[known], return_inverse=True)[1]
    if min(truth.sum(), (~truth).sum()) < 100 or group.max() < 9:
        raise DataError(
            f"calibration: found {int(truth.sum())} binaries, {int((~truth).sum())} single stars "
            f"of {int(group.max()) + 1} groups; expected 100 or more of each, and ten groups"
        )
    shift = 0.0 if prior is None else float(logit(prior) - logit(truth.mean()))

    def scaled(rows: NDArray[np.bool_]) -> tuple[float, float, float]:
        (slope,), start = _logistic(odds[rows, None], truth[rows], [(1e-3, None)], np.array([1, 0]))
        p = expit(slope * odds[rows & ~truth] + start + shift)
        level = float(np.quantile(p, 1.0 - false_positives, method="higher"))
        return float(slope), start + shift, level

    half = (np.random.default_rng(rng).permutation(group.max() + 1) % 2 == 0)[group]
    p, calls = np.empty(odds.size), np.empty(odds.size, dtype=bool)
    for rows in (half, ~half):
        slope, start, level = scaled(~rows)
        p[rows] = expit(slope * odds[rows] + start)
        calls[rows] = p[rows] > level
    metrics = {
        "held_out_false_positives": float(calls[~truth].mean()),
        "held_out_completeness": float(calls[truth].mean()),
        "held_out_probability_error": _calibration_error(expit(logit(p) - shift), truth),
        "n_single": int((~truth).sum()),
        "n_binary": int(truth.sum()),
        "n_groups": int(group.max()) + 1,
    }
    slope, start, level = scaled(np.ones(odds.size, dtype=bool))
    return ModelCalibration(
        {name: slope * weight for name, weight in base.weights.items()},
        slope * base.intercept + start,
        level,
        false_positives,
        float(truth.mean()) if prior is None else prior,
        dict(holds_for),
        metrics,
    )


def _logistic(
    x: Array,
    truth: NDArray[np.bool_],
    bounds: Sequence[tuple[float | None, float | None]],
    start: Array,
) -> tuple[Array, float]:
    """Return weights within bounds and the intercept of a logistic regression."""
    sign = np.where(truth, 1.0, -1.0)

    def loss(parameters: Array) -> tuple[float, Array]:
        score = sign * (x @ parameters[:-1] + parameters[-1])
        pull = -sign * expit(-score) / len(x)
        slope = np.r_[x.T @ pull + PENALTY * parameters[:-1], pull.sum()]
        return float(
            -log_expit(score).mean() + PENALTY / 2 * parameters[:-1] @ parameters[:-1]
        ), slope

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)])
    return found.x[:-1], float(found.x[-1])


def _bounds(name: str) -> tuple[float | None, float | None]:
    """Return the ends of a feature's weight."""
    if name in EVIDENCE:
        return 0.0, None
    return None, 0.0 if name == "log_chi2" else None


def _calibration_error(p: Array, truth: NDArray[np.bool_]) -> float:
    """Return the mean |share − probability| over ten bins of equal numbers, weighed by size."""
    pieces = np.array_split(np.argsort(p), 10)
    return float(sum(abs(truth[i].mean() - p[i].mean()) * i.size for i in pieces) / p.size)


def default_calibration(survey: bool = False) -> ModelCalibration:
    """Return the calibration that is shipped: for the shipped emulator on GALAH's common grid.

    Parameters
    ----------
    survey : bool
        That for real spectra, with `siderea.binaries.survey_correction.default_correction`.
    """
    return _shipped("galah_survey" if survey else "galah")


def shipped_calibration(
    model: Emulator | DifferentiableModel | Binary,
    model_error: ModelError | None,
    correction: SurveyCorrection | None = None,
) -> ModelCalibration:
    """Return the shipped calibration of a model; where there is none, that of the emulator.

    Parameters
    ----------
    model : Emulator, DifferentiableModel or Binary
    model_error : ModelError, optional
    correction : SurveyCorrection, optional
        Of the emulator.
    """
    if not isinstance(model, Emulator):
        word = digest(model)
        made = [c for c in map(_shipped, OTHER_MODELS) if c.holds_for["model"] == word]
        same = [c for c in made if c.holds_for["model_error"] == error_values(model_error)]
        if made:
            return (same or made)[0]
    return default_calibration(correction is not None)


@lru_cache(maxsize=8)
def _shipped(name: str) -> ModelCalibration:
    path = files("siderea.binaries").joinpath(f"data/model_{name}.json")
    return ModelCalibration.from_json(path.read_text(encoding="utf-8"))
