"""The classifier learned anew from the labels of the log, in the background, one at a time."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from siderea.errors import SidereaError
from siderea.explorer.label_table import ArrayTable, LabelTable
from siderea.explorer.neighbours import Neighbours
from siderea.explorer.refusals import NotNowError
from siderea.explorer.survey import SECOND_PASS

if TYPE_CHECKING:
    from siderea.classify.propagation import LabelPropagator

__all__ = ["Refit", "RefitState"]

MOST_PER_CLASS = 2000
"""Labels of a class that are learned from: a lasso of 100,000 says no more."""

BACKGROUND = 30_000
"""Spectra without a label that tell how features scatter."""

MOST_CLASSES = 24
"""Classes whose probabilities become columns."""

CHUNK = 5_000
POOL = 20_000
_SEED = 0


@dataclass(frozen=True)
class RefitState:
    """How a job stands.

    Parameters
    ----------
    job : int
        0 before the first.
    state : {"idle", "running", "done", "failed"}
    message : str
        One line.
    n_labels : int
    classes : tuple of str
    left_out : dict of str to int
        Classes with too few labels.
    accuracy : float
        Mean over classes of the share of labels that held-out folds gave back.
    """

    job: int = 0
    state: str = "idle"
    message: str = "no refit yet"
    n_labels: int = 0
    classes: tuple[str, ...] = ()
    left_out: dict[str, int] | None = None
    accuracy: float = float("nan")


@dataclass(frozen=True)
class _Spread:
    """Classes of the M usable rows."""

    rows: NDArray[np.int64]
    names: tuple[str, ...]
    probability: NDArray[np.float32]
    given: NDArray[np.bool_]
    margin: NDArray[np.float32]
    novelty: NDArray[np.float32]

    @property
    def best(self) -> NDArray[np.intp]:
        """The most probable class."""
        return self.probability.argmax(axis=1)


class Refit:
    """Jobs of learning.

    Parameters
    ----------
    labels : LabelTable
    neighbours : Neighbours
        It keeps the features.
    """

    def __init__(self, labels: LabelTable, neighbours: Neighbours) -> None:
        self.labels = labels
        self.neighbours = neighbours
        self.status = RefitState()
        self.table: ArrayTable | None = None
        self._spread: _Spread | None = None
        self._map = ""
        self._lock = threading.Lock()

    def start(self, map_name: str) -> int:
        """Begin to learn from the labels as they are now; return the job, the one that runs if any.

        Parameters
        ----------
        map_name : str
            Its features are learned on.

        Raises
        ------
        SidereaError
            If there are no features, or no two classes with labels enough.
        """
        with self._lock:
            if self.status.state == "running":
                return self.status.job
            map_name = map_name.removesuffix(SECOND_PASS)
            self.neighbours.survey.features_version(map_name)
            words = self.labels.read("class")
            _require_labels(words)
            job = self.status.job + 1
            self.status = RefitState(job, "running", "learning from the labels")
        thread = threading.Thread(
            target=self._run, args=(job, map_name, words), name="refit", daemon=True
        )
        thread.start()
        return job

    def _run(self, job: int, map_name: str, words: pa.Array) -> None:
        try:
            self._learn(job, map_name, words)
        except SidereaError as error:
            self.status = replace(self.status, state="failed", message=str(error))
        except Exception:  # a bug must not leave the job running for ever
            logging.getLogger(__name__).exception("refit %d", job)
            self.status = replace(self.status, state="failed", message="failed: see the server")

    def _learn(self, job: int, map_name: str, words: pa.Array) -> None:
        rows, points = self.neighbours.features(map_name)
        given = words.take(pa.array(rows)).cast(pa.string())
        labels = np.array(given.to_pylist(), dtype=object)
        learned = _fitted(points, labels)
        spread = _predicted(learned, rows, points)
        n = len(self.labels.names)
        with self._lock:
            self._spread, self._map = spread, map_name
            self.table = _table(spread, n, f"refit-{job}")
            self.status = RefitState(
                job,
                "done",
                f"learned from {np.count_nonzero(labels != None)} labels",  # noqa: E711
                int(np.count_nonzero(labels != None)),  # noqa: E711
                learned.classes_,
                learned.left_out_,
                learned.cross_validated_accuracy_,
            )

    def review(self, n: int) -> tuple[NDArray[np.int64], list[str]] | None:
        """Return the rows most worth a look and why, None before the first refit.

        Parameters
        ----------
        n : int
        """
        from siderea.classify.review import review_queue

        with self._lock:
            spread, map_name = self._spread, self._map
        if spread is None:
            return None
        rows, points = self.neighbours.features(map_name)
        if rows.size != spread.rows.size:
            return None
        labelled = np.asarray(self.labels.read("class").is_valid())[rows]
        pool = _pool(spread, labelled)
        chosen = review_queue(
            spread.margin[pool],
            points[pool],
            size=n,
            skip=labelled[pool],
            novelty=spread.novelty[pool],
            random_state=_SEED,
        )
        picked = pool[chosen]
        return rows[picked], [_reason(spread, one) for one in picked]


def _require_labels(words: pa.Array) -> None:
    """Raise `NotNowError` unless two classes have labels enough, before a thread is started."""
    from siderea.classify.propagation import MIN_LABELS

    counted = words.drop_null().value_counts().to_pylist()
    if sum(one["counts"] >= MIN_LABELS for one in counted) < 2:
        found = ", ".join(f"{one['values']} {one['counts']}" for one in counted) or "none"
        raise NotNowError(
            f"labels: found {found}; the classifier needs two classes of {MIN_LABELS} labels or "
            "more (label normal spectra as NOR too)"
        )


def _fitted(points: NDArray[np.float32], labels: NDArray[np.object_]) -> LabelPropagator:
    """Learn from the labels, and from a sample of the rest how features scatter."""
    from siderea.classify.propagation import LabelPropagator

    rng = np.random.default_rng(_SEED)
    known = np.array([one is not None for one in labels], dtype=bool)
    chosen = [_drawn(np.flatnonzero(~known), BACKGROUND, rng)]
    chosen += [
        _drawn(np.flatnonzero(labels == name), MOST_PER_CLASS, rng)
        for name in sorted(set(labels[known]))
    ]
    rows = np.sort(np.concatenate(chosen))
    return LabelPropagator(random_state=_SEED).fit(points[rows], labels[rows])


def _drawn(rows: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rows if rows.size <= most else rng.choice(rows, most, replace=False)


def _predicted(
    learned: LabelPropagator, rows: NDArray[np.int64], points: NDArray[np.float32]
) -> _Spread:
    parts = []
    for start in range(0, len(points), CHUNK):
        found = learned.predict(points[start : start + CHUNK])
        given = np.array([one is not None for one in found.label], dtype=bool)
        numbers = (found.probability, found.margin, found.novelty)
        parts.append((given, *(one.astype(np.float32) for one in numbers)))
    given, probability, *rest = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Spread(rows, learned.classes_, probability, given, *rest)


def _table(spread: _Spread, n: int, version: str) -> ArrayTable:
    codes = np.full(n, -1, dtype=np.int32)
    codes[spread.rows[spread.given]] = spread.best[spread.given]
    words = pa.array(spread.names, pa.string())
    arrays = {
        "class": pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), words),
        "probability": _laid(spread.rows, spread.probability.max(axis=1), n),
        "margin": _laid(spread.rows, spread.margin, n),
    }
    for number, name in enumerate(spread.names[:MOST_CLASSES]):
        arrays[f"p_{name}"] = _laid(spread.rows, spread.probability[:, number], n)
    return ArrayTable("refit", version, arrays)


def _laid(rows: NDArray[np.int64], values: NDArray[np.float32], n: int) -> pa.Array:
    column = np.full(n, np.nan, dtype=np.float32)
    column[rows] = values
    return pa.array(column)


def _pool(spread: _Spread, labelled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the places of the most doubtful and the strangest: no others can be chosen."""
    free = np.flatnonzero(~labelled)
    doubtful = free[np.argsort(spread.margin[free], kind="stable")[:POOL]]
    strange = free[np.argsort(spread.novelty[free], kind="stable")[:POOL]]
    return np.union1d(doubtful, strange)


def _reason(spread: _Spread, place: int) -> str:
    name = spread.names[int(spread.probability[place].argmax())]
    if spread.novelty[place] <= 0.01:
        return f"unlike everything that is labelled (nearest: {name})"
    return f"{name} or another: {100 * spread.probability[place].max():.0f} % sure"
