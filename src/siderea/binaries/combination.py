"""One probability per star from all channels that searched it.

Each channel's table is reduced to a few numbers (`evidence`), and a logistic regression weighs
them: one for every set of channels that can be present, so that a star that a channel could not
search is judged by the others as if that channel did not exist. Learned on simulated stars with the
truth known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.resources import files
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from siderea.errors import DataError

__all__ = [
    "CHANNELS",
    "Combination",
    "combine",
    "default_combination",
    "evidence",
    "found",
    "score",
]

Array = NDArray[np.float64]

FORMAT = 1

CHANNELS = ("ccf", "map", "model")
"""Channels of spectra, which the shipped combination weighs."""

INDEPENDENT = ("photometric", "astrometric")
"""Channels of the catalogue. Given that a star is single they know nothing of its spectrum: how
much likelier a binary their probability makes it than the sample's mean multiplies the odds. What
they do not see counts for nothing: no excess is no evidence against a faint companion."""

LARGEST_ALONE = 3.0
"""Of the logarithm of that factor."""

LARGEST = 9.0
"""Of the logarithm of the odds: a channel's word counts no more than that."""

KNOTS = (-3.0, 0.0, 3.0)
"""Where the weight of a channel's odds may change."""


def score(channel: str, table: pd.DataFrame, reference: float | None = None) -> Array:
    """Return one number (N,) by which a channel ranks its stars; NaN where it could not search.

    Parameters
    ----------
    channel : str
        ``"ccf"``: the significance of a second star, those believed first; others: the logarithm of
        the odds of ``probability``.
    table : pandas.DataFrame
    reference : float, optional
        Threshold of the probabilities that weights were learned with. Where the table's column
        ``threshold`` says another, the log odds are moved until both are the same: that a given
        share of single stars is beyond it is all that calibrations of two surveys have in common.
    """
    if channel == "ccf":
        value = np.log1p(table["significance"].clip(lower=0.0)).to_numpy(dtype=float)
        out = value + np.where(table["n_components"].to_numpy() > 1, 10.0, 0.0)
        return np.where(table["n_components"].to_numpy() > 0, out, np.nan)
    p = table["probability"].to_numpy(dtype=float)
    moved = 0.0
    if reference is not None and "threshold" in table:
        own = table["threshold"].to_numpy(dtype=float).clip(1e-6, 1 - 1e-6)
        moved = logit(reference) - logit(own)
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(logit(p) + moved, -LARGEST, LARGEST))


def found(channel: str, table: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which stars (N,) a channel calls binary, by its own threshold."""
    if channel == "ccf":
        return np.asarray(table["n_components"].to_numpy() > 1)
    return table["is_binary"].to_numpy(dtype=bool)


def evidence(channel: str, table: pd.DataFrame, reference: float | None = None) -> Array:
    """Return what a channel says (N, F), in a few numbers; NaN where it could not search.

    Parameters
    ----------
    channel, table, reference
        See `score`.
    """
    if channel == "ccf":
        strength = np.log1p(table["significance"].clip(lower=0.0)).to_numpy(dtype=float)
        many = (table["n_components"].to_numpy() > 1).astype(float)
        sure = (table["confidence"] == "A").to_numpy(dtype=float)
        fast = np.log1p(table["vsini"].to_numpy(dtype=float))
        searched = np.where(table["n_components"].to_numpy() > 0, 0.0, np.nan)
        columns = [strength, many, sure, strength * many, np.nan_to_num(fast)]
        return np.column_stack(columns) + searched[:, None]
    value = score(channel, table, reference)
    return np.column_stack([value, *(np.maximum(value - knot, 0.0) for knot in KNOTS)])


@dataclass(frozen=True)
class Weighing:
    """The regression of one set of channels.

    Parameters
    ----------
    channels : tuple of str
    mean, scale, weights : tuple of float
        Of their evidence, one after another.
    intercept : float
    threshold : float
        Probability above which the false positives of the control set are as many as asked.
    """

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    threshold: float

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Weighing:
        """Make it from what JSON gives back."""
        lists = {name: tuple(values[name]) for name in ("channels", "mean", "scale", "weights")}
        return cls(**lists, intercept=values["intercept"], threshold=values["threshold"])

    def log_odds(self, x: Array) -> Array:
        """Return the logarithm of the odds (N,) for evidence (N, F)."""
        z = (x - np.array(self.mean)) / np.array(self.scale)
        return np.asarray(z @ np.array(self.weights) + self.intercept)


@dataclass(frozen=True)
class Combination:
    """Weights of every set of channels.

    Parameters
    ----------
    weighings : tuple of Weighing
    false_positives : float
        That the thresholds were set for.
    prior : float
        Share of binaries that the probabilities assume.
    metrics : mapping
        What held-out stars showed.
    references : mapping of str to float
        Thresholds of the channels' probabilities that the weights were learned with.
    """

    weighings: tuple[Weighing, ...]
    false_positives: float
    prior: float
    metrics: Mapping[str, object] = field(default_factory=dict)
    references: Mapping[str, float] = field(default_factory=dict)

    @property
    def channels(self) -> tuple[str, ...]:
        """All channels that are known."""
        return max((w.channels for w in self.weighings), key=len)

    def __call__(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Combine the channels' tables of the same N stars in the same order.

        Returns
        -------
        pandas.DataFrame
            ``probability``, ``is_binary``, ``channels`` (those that searched the star, joined by
            ``+``) and ``found_by``.
        """
        known = [name for name in self.channels if name in tables]
        if not known:
            raise DataError(
                f"combination: found channels {', '.join(tables) or 'none'}; expected some of "
                f"{', '.join(self.channels)}"
            )
        x = {name: evidence(name, tables[name], self.references.get(name)) for name in known}
        there = np.column_stack([np.isfinite(x[name]).all(axis=1) for name in known])
        odds, threshold = self._weighed(x, there, known)
        others = [name for name in INDEPENDENT if name in tables]
        for name in others:
            odds += _factor(tables[name])
            there = np.column_stack([there, tables[name]["probability"].notna()])
        p = expit(odds)
        names = (*known, *others)
        calls = np.column_stack([found(name, tables[name]) for name in names])
        return pd.DataFrame(
            {
                "probability": p,
                "is_binary": np.nan_to_num(p) > threshold,
                "channels": _joined(there, names),
                "found_by": _joined(calls, names),
            }
        )

    def _weighed(
        self, x: Mapping[str, Array], there: NDArray[np.bool_], known: Sequence[str]
    ) -> tuple[Array, Array]:
        """Return the logarithm of the odds (N,), and the threshold in probability (N,)."""
        odds, threshold = np.full(len(there), np.nan), np.full(len(there), np.inf)
        for weighing in self.weighings:
            if not set(weighing.channels) <= set(known):
                continue
            wanted = np.array([name in weighing.channels for name in known])
            rows = np.flatnonzero((there == wanted).all(axis=1))
            values = np.hstack([x[name][rows] for name in weighing.channels])
            odds[rows] = weighing.log_odds(values)
            threshold[rows] = weighing.threshold
        return odds, threshold

    def to_json(self) -> str:
        """Return the combination as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Combination:
        """Make it from what `to_json` returned.

        Raises
        ------
        DataError
            If it is something else, or of another format.
        """
        try:
            values = json.loads(text)
            given = values.pop("format")
            if given != FORMAT:
                raise DataError(f"combination: found format {given}; expected {FORMAT}")
            weighings = [Weighing.of(one) for one in values.pop("weighings")]
            return cls(tuple(weighings), **values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"combination: not one of this package ({error})") from error


def _factor(table: pd.DataFrame) -> Array:
    """Return how much a channel of the catalogue adds to the logarithm of the odds (N,)."""
    p = table["probability"].to_numpy(dtype=float).clip(1e-6, 1 - 1e-6)
    if not np.isfinite(p).any():
        return np.zeros(p.size)
    added = logit(p) - logit(np.nanmean(p))
    return np.clip(np.nan_to_num(added), 0.0, LARGEST_ALONE)


def _joined(mask: NDArray[np.bool_], names: Sequence[str]) -> NDArray[np.object_]:
    words = ["+".join(n for n, on in zip(names, row, strict=True) if on) for row in mask.tolist()]
    return np.array(words, dtype=object)


def combine(
    tables: Mapping[str, pd.DataFrame],
    binary: ArrayLike,
    *,
    false_positives: float = 0.01,
    prior: float | None = None,
) -> Combination:
    """Learn the weights of every set of channels from stars with the truth known.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Channels' tables of the same N stars, in the same order.
    binary : (N,) array-like of bool
        The truth.
    false_positives : float
        Share of single stars that the thresholds let pass.
    prior : float, optional
        Share of binaries that probabilities shall assume; that of these stars by default.

    Returns
    -------
    Combination

    Raises
    ------
    DataError
        If there are too few stars of either kind that all channels searched.
    """
    truth = np.asarray(binary, dtype=bool)
    x = {name: evidence(name, table) for name, table in tables.items()}
    known = np.all([np.isfinite(values).all(axis=1) for values in x.values()], axis=0)
    kind = truth[known]
    if min(kind.sum(), (~kind).sum()) < 100:
        raise DataError(
            f"combination: found {int(kind.sum())} binaries and {int((~kind).sum())} single stars; "
            "expected 100 or more of each"
        )
    share = float(kind.mean())
    assumed = share if prior is None else prior
    shift = float(logit(assumed) - logit(share))
    weighings = []
    for size in range(1, len(x) + 1):
        for names in combinations(x, size):
            values = np.hstack([x[name][known] for name in names])
            weighings.append(_weigh(names, values, kind, false_positives, shift))
    references = {
        name: float(table["threshold"].median())
        for name, table in tables.items()
        if "threshold" in table
    }
    return Combination(tuple(weighings), false_positives, assumed, references=references)


def _weigh(
    names: tuple[str, ...],
    x: Array,
    kind: NDArray[np.bool_],
    false_positives: float,
    shift: float,
) -> Weighing:
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    model = LogisticRegression(C=1.0, max_iter=1000).fit((x - mean) / scale, kind)
    made = Weighing(
        names,
        tuple(mean.tolist()),
        tuple(scale.tolist()),
        tuple(model.coef_[0].tolist()),
        float(model.intercept_[0] + shift),
        0.5,
    )
    p = expit(made.log_odds(x[~kind]))
    threshold = float(np.quantile(p, 1.0 - false_positives, method="higher"))
    return Weighing(names, made.mean, made.scale, made.weights, made.intercept, threshold)


@lru_cache(maxsize=1)
def default_combination() -> Combination:
    """Return the shipped combination: of `CHANNELS`, learned on simulated GALAH spectra."""
    path = files("siderea.binaries").joinpath("data/combination_galah.json")
    return Combination.from_json(path.read_text(encoding="utf-8"))
