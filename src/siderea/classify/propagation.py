"""A few labels to all spectra: a linear classifier on the features, checked by neighbours.

On 50,000 simulated points with rare classes a linear classifier on bottleneck features did best of
those that were compared (kNN, label spreading, random forest); it is what is used here. Features
are divided by the square root of their scatter: halfway between their own units, in which faint but
telling components drown, and equal scatter, in which components of pure noise weigh as much as any.
The strength of the penalty is chosen by cross-validated log-likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

from siderea.classify.calibration import class_shares, probabilities, temperature
from siderea.classify.novelty import Novelty
from siderea.embeddings.neighbours import finite_rows
from siderea.errors import DataError

__all__ = ["MIN_LABELS", "ClassFlag", "LabelPropagator", "Propagation"]

MIN_LABELS = 5
"""Fewest labels of a class from which it is learned."""

_PENALTIES = (0.01, 0.1, 1.0, 10.0)
_FOLDS = 5
_ITERATIONS = 2000


class ClassFlag(IntFlag):
    """What to know about a class that was assigned (column ``class_flags`` of the catalogue)."""

    NONE = 0
    UNSURE = 1  #: no class is probable enough: none was given
    NOVEL = 2  #: unlike everything that was labelled as this class: none was given
    DISAGREE = 4  #: the nearest labelled spectra are of another class
    RARE_LABEL = 8  #: the class was labelled too few times to be learned; only its labels count
    UNMAPPED = 16  #: not on the map, or without features


@dataclass(frozen=True)
class Propagation:
    """Classes of N spectra.

    Parameters
    ----------
    classes : (C,) tuple of str
        Classes that were learned.
    probability : (N, C) ndarray
        Calibrated; rows sum to 1.
    label : (N,) ndarray of object
        The most probable class, or None where the classifier abstains.
    confidence : (N,) ndarray
        Probability of the most probable class, given or not.
    margin : (N,) ndarray
        The largest probability minus the second largest.
    neighbour_label : (N,) ndarray of object
        Majority among the nearest labelled spectra, rare classes weighing as much as others.
    novelty : (N,) ndarray
        p value of belonging to what was labelled as this class; small is unlike.
    flags : (N,) ndarray of int
        Bits of `ClassFlag`.
    """

    classes: tuple[str, ...]
    probability: NDArray[np.float64]
    label: NDArray[np.object_]
    confidence: NDArray[np.float64]
    margin: NDArray[np.float64]
    neighbour_label: NDArray[np.object_]
    novelty: NDArray[np.float64]
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.probability.shape[0])


class LabelPropagator:
    """Learn classes from a few labelled points, and give them to all.

    Parameters
    ----------
    min_probability : float
        Below it no class is given.
    max_novelty : float
        p value at and below which no class is given; 0 gives a class to everything. With fewer
        than 1/p labels in all, none can be that unlike them.
    n_neighbours : int
        Labelled neighbours of the check.
    shares : {"equal", "estimated"}
        How frequent the classes are taken to be. Equal finds rare classes best; estimated (see
        `siderea.classify.calibration.class_shares`) gives probabilities for a random spectrum of
        the survey, but follows a badly separated class wherever it leads.
    random_state : int
        Seed of the cross-validation's folds.

    Attributes
    ----------
    classes_ : tuple of str
        Classes that were learned.
    left_out_ : dict of str to int
        Classes with fewer than `MIN_LABELS` labels, and how many they have.
    penalty_ : float
        Inverse strength of the penalty (scikit-learn's C) that was chosen.
    temperature_ : float
        See `siderea.classify.calibration.temperature`.
    shares_ : (C,) ndarray
        Estimated shares of the classes among all points.
    cross_validated_accuracy_ : float
        Mean over classes of the share of labelled points that held-out folds classify rightly.

    Examples
    --------
    >>> points = np.repeat(np.eye(2), 50, axis=0) + np.random.default_rng(0).normal(0, .1, (100, 2))
    >>> labels = np.full(100, None, dtype=object)
    >>> labels[:6], labels[50:56] = "NOR", "BIN"
    >>> found = LabelPropagator().fit(points, labels).predict(points)
    >>> bool((found.label[:50] != "BIN").all()), bool((found.label[50:] != "NOR").all())
    (True, True)
    """

    def __init__(
        self,
        *,
        min_probability: float = 0.5,
        max_novelty: float = 0.01,
        n_neighbours: int = 5,
        shares: Literal["equal", "estimated"] = "equal",
        random_state: int = 0,
    ) -> None:
        if shares not in ("equal", "estimated"):
            raise DataError(f"shares: found {shares!r}; expected 'equal' or 'estimated'")
        if not (0 <= min_probability < 1 and 0 <= max_novelty < 1 and n_neighbours >= 1):
            raise DataError(
                f"min_probability {min_probability}, max_novelty {max_novelty}, n_neighbours "
                f"{n_neighbours}; expected 0 to below 1 twice, and 1 or more"
            )
        self.min_probability = min_probability
        self.max_novelty = max_novelty
        self.n_neighbours = n_neighbours
        self.shares = shares
        self.random_state = random_state

    def fit(self, features: ArrayLike, labels: ArrayLike) -> LabelPropagator:
        """Learn from the labelled points; the others tell how frequent the classes are.

        Parameters
        ----------
        features : (N, K) array-like
            Bottleneck or PCA features, finite.
        labels : (N,) array-like of object
            Class of each point, or None.

        Raises
        ------
        DataError
            If the shapes differ, nothing is labelled, or fewer than two classes have
            `MIN_LABELS` labels.
        """
        points = finite_rows(features, name="features").astype(np.float64)
        given = np.asarray(labels, dtype=object)
        if given.shape != (len(points),):
            raise DataError(f"labels: found shape {given.shape}; expected ({len(points)},)")
        rows, codes = self._choose(given)
        self._centre, self._width = points.mean(axis=0), _half_widths(points)
        scaled = self._scaled(points)
        known = scaled[rows]
        self._learn(known, codes)
        balanced = probabilities(self._scores(scaled), temperature=self.temperature_)
        self.shares_ = class_shares(balanced)
        self._novelty = Novelty.fit(known, codes)
        self._known, self._codes = known, codes
        return self

    def predict(self, features: ArrayLike) -> Propagation:
        """Give classes to points.

        Parameters
        ----------
        features : (N, K) array-like
            Features of the same kind as those of the fit.

        Raises
        ------
        DataError
            If the number of features differs from that of the fit.
        """
        points = finite_rows(features, name="features").astype(np.float64)
        if points.shape[1] != self._centre.size:
            raise DataError(f"features: found {points.shape[1]}; expected {self._centre.size}")
        scaled = self._scaled(points)
        scores = self._scores(scaled)
        frequent = self.shares_ if self.shares == "estimated" else None
        probability = probabilities(scores, temperature=self.temperature_, shares=frequent)
        order = np.sort(probability, axis=1)
        best = probability.argmax(axis=1)
        novelty = self._novelty.p_value(scaled, best)
        near = self._neighbours(scaled)
        flags = np.where(order[:, -1] < self.min_probability, ClassFlag.UNSURE, 0)
        flags |= np.where(novelty <= self.max_novelty, ClassFlag.NOVEL, 0)
        flags |= np.where(near != best, ClassFlag.DISAGREE, 0)
        names = np.array(self.classes_, dtype=object)
        silent = (flags & (ClassFlag.UNSURE | ClassFlag.NOVEL)) != 0
        return Propagation(
            self.classes_,
            probability,
            np.where(silent, np.array(None, dtype=object), names[best]),
            order[:, -1],
            order[:, -1] - order[:, -2],
            names[near],
            novelty,
            flags.astype(np.int64),
        )

    def _choose(self, given: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows that are learned from and their class numbers."""
        labelled = np.array([isinstance(one, str) and one != "" for one in given], dtype=bool)
        names, counts = np.unique(given[labelled].astype(str), return_counts=True)
        if not names.size:
            raise DataError("labels: found none; expected at least two classes")
        self.classes_ = tuple(names[counts >= MIN_LABELS].tolist())
        few = counts < MIN_LABELS
        self.left_out_ = dict(zip(names[few].tolist(), counts[few].tolist(), strict=True))
        if len(self.classes_) < 2:
            found = ", ".join(f"{a} {b}" for a, b in zip(names, counts, strict=True))
            raise DataError(
                f"labels: found {found}; expected at least two classes of {MIN_LABELS} labels "
                "or more (label normal spectra as NOR too)"
            )
        rows = np.flatnonzero(labelled & np.isin(given, self.classes_))
        return rows, np.searchsorted(self.classes_, given[rows].astype(str))

    def _learn(self, known: NDArray, codes: NDArray[np.int64]) -> None:
        """Choose the penalty and the temperature on held-out folds, then learn from all."""
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=self.random_state)
        weight = 1.0 / np.bincount(codes)[codes]
        best = np.inf
        for penalty in _PENALTIES:
            scores = np.empty((codes.size, len(self.classes_)))
            for train, test in folds.split(known, codes):
                scores[test] = _scores_of(
                    _classifier(known[train], codes[train], penalty), known[test]
                )
            t = temperature(scores, codes)
            likelihood = np.log(probabilities(scores, temperature=t))[np.arange(codes.size), codes]
            loss = -float((weight * likelihood).sum())
            if loss < best:
                best, self.penalty_, self.temperature_ = loss, penalty, t
                right = scores.argmax(axis=1) == codes
                self.cross_validated_accuracy_ = float((weight * right).sum() / weight.sum())
        self._model = _classifier(known, codes, self.penalty_)

    def _scaled(self, points: NDArray) -> NDArray[np.float64]:
        return (points - self._centre) / self._width

    def _scores(self, scaled: NDArray) -> NDArray[np.float64]:
        return _scores_of(self._model, scaled)

    def _neighbours(self, scaled: NDArray) -> NDArray[np.int64]:
        """Return the class that most of the nearest labelled points are of, classes balanced."""
        k = min(self.n_neighbours, len(self._known))
        found = NearestNeighbors(n_neighbors=k).fit(self._known).kneighbors(scaled)[1]
        weight = 1.0 / np.bincount(self._codes)
        votes = np.zeros((len(scaled), weight.size))
        for column in self._codes[found].T:
            votes[np.arange(len(scaled)), column] += weight[column]
        return votes.argmax(axis=1)


def _half_widths(points: NDArray) -> NDArray[np.float64]:
    """Return what the features are divided by; in all, the units of the features do not matter."""
    scatter = points.std(axis=0)
    spread = scatter > 0
    middle = float(np.median(scatter[spread])) if spread.any() else 1.0
    return np.where(spread, np.sqrt(scatter * middle), 1.0)


def _classifier(points: NDArray, codes: NDArray[np.int64], penalty: float) -> LogisticRegression:
    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=_ITERATIONS)
    return model.fit(points, codes)


def _scores_of(model: LogisticRegression, points: NDArray) -> NDArray[np.float64]:
    """Return log-odds (N, C); scikit-learn gives one column for two classes."""
    scores = model.decision_function(points)
    return np.stack([-scores / 2, scores / 2], axis=1) if scores.ndim == 1 else scores
