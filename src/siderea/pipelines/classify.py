"""The classes of a store: islands of a map, labels spread, detectors, one catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.classify.catalogue import class_catalogue, detection_table
from siderea.classify.clusters import Clusters, map_clusters
from siderea.classify.labels import SampleLabels, align
from siderea.classify.measure import Measurements, Meter
from siderea.classify.propagation import LabelPropagator, Propagation
from siderea.classify.review import review_queue
from siderea.errors import DataError, ProductError
from siderea.figures.map import embedding_map
from siderea.io.labels import read_labels
from siderea.io.store import SurveyStore
from siderea.pipelines.draw import save_figure

__all__ = ["CLASSES", "DETECTIONS", "QUEUE", "ClassifyResult", "classify"]

CLASSES = "classes"
"""Product: the class catalogue."""
DETECTIONS = "class_detections"
"""Product: what the detectors measured."""
QUEUE = "label_queue"
"""Product: the spectra most worth a label, the best first."""

LIBRARY = 3000
"""Largest random sample from which the detectors learn."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ClassifyResult:
    """What `classify` wrote.

    Parameters
    ----------
    counts : dict of str to int
        Spectra per class, the most frequent first; without a class under ``""``.
    detected : dict of str to int
        Spectra per detector in which something was found.
    n_clusters : int
        Islands of the map.
    labels : SampleLabels or None
        The labels as they fell on the store.
    left_out : dict of str to int
        Classes with too few labels to be learned.
    accuracy : float
        Mean over classes of the share of labels that held-out folds gave back; NaN without labels.
    figure : Path
        The map by class.
    """

    counts: dict[str, int]
    detected: dict[str, int]
    n_clusters: int
    labels: SampleLabels | None
    left_out: dict[str, int]
    accuracy: float
    figure: Path


def classify(
    path: str | Path,
    *,
    map_name: str,
    labels: str | Path | None = None,
    method: str = "dbscan",
    queue: int = 100,
    random_state: int = 0,
    progress: Progress | None = None,
) -> ClassifyResult:
    """Give every spectrum of a store a class, where anything speaks for one.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    map_name : str
        A product with ``x`` and ``y``: the map whose islands are found.
    labels : path-like, optional
        Table of ``id`` and ``class``; without it, only islands and detectors.
    method : {"dbscan", "hdbscan"}
        How islands are found.
    queue : int
        Spectra to propose for labelling.
    random_state : int
        Seed.
    progress : callable, optional
        Called with (done, in all).

    Returns
    -------
    ClassifyResult

    Raises
    ------
    SidereaError
        If the store, the map or the labels do not fit together.
    """
    if queue < 1:
        raise DataError(f"queue: found {queue}; expected 1 or more")
    store = SurveyStore.open(path)
    product = _map(store, map_name)
    ids = store.read_catalogue(["id"])["id"].to_numpy(dtype=object)
    known = None if labels is None else align(ids, read_labels(labels))
    clusters = map_clusters(
        product[["x", "y"]].to_numpy(), method=method, min_points=_island(store)
    )
    measured = _measure(store, random_state, progress)
    detections = detection_table(ids, measured)
    usable = measured.usable
    learned, spread = _propagate(measured, usable, known, random_state)
    catalogue = class_catalogue(
        detections,
        clusters,
        propagation=spread,
        labels=None if known is None else known.classes,
        usable=usable,
    )
    catalogue["flags"] = measured.flags
    catalogue["map"] = map_name
    catalogue["map_version"] = store.product_info(map_name).get("written", "")
    parameters = _parameters(store, map_name, labels, known, clusters, learned, random_state)
    store.write_product(CLASSES, catalogue, method="classify", parameters=parameters)
    store.write_product(DETECTIONS, detections, method="detectors", parameters=parameters)
    if spread is not None and known is not None:
        proposed = _queue(ids, measured, usable, spread, known, queue, random_state)
        store.write_product(QUEUE, proposed, method="margin", parameters=parameters)
    figure = _draw(store, map_name, product, catalogue)
    return _result(catalogue, detections, clusters, known, learned, figure)


def _map(store: SurveyStore, name: str) -> pd.DataFrame:
    """Return the map in the order of the catalogue."""
    product = store.product(name)
    if not {"x", "y"} <= set(product):
        raise ProductError(f"{store.path}: product {name!r} is not a map: it has no x and y")
    ids = store.read_catalogue(["id"])["id"]
    return product.set_index("id")[["x", "y"]].reindex(ids).reset_index()


def _island(store: SurveyStore) -> int:
    """Return the number of neighbours that make a core of an island: fewer in a small store."""
    return int(np.clip(len(store) // 100, 5, 20))


def _measure(store: SurveyStore, random_state: int, progress: Progress | None) -> Measurements:
    """Learn from a random sample of the store, then measure all of it chunk by chunk."""
    rng = np.random.default_rng(random_state)
    rows = np.sort(rng.choice(len(store), min(LIBRARY, len(store)), replace=False))
    meter = Meter(store.spectra(rows), random_state=random_state)
    pieces = []
    for spectra in store.iter_chunks():
        pieces.append(meter.measure(spectra))
        if progress is not None:
            progress(sum(len(piece.noise) for piece in pieces), len(store))
    return Measurements.joined(pieces)


def _propagate(
    measured: Measurements,
    usable: NDArray[np.bool_],
    known: SampleLabels | None,
    random_state: int,
) -> tuple[LabelPropagator | None, Propagation | None]:
    if known is None:
        return None, None
    features = measured.for_classifier()[usable]
    learned = LabelPropagator(random_state=random_state).fit(features, known.classes[usable])
    return learned, learned.predict(features)


def _queue(
    ids: NDArray,
    measured: Measurements,
    usable: NDArray[np.bool_],
    spread: Propagation,
    known: SampleLabels,
    size: int,
    random_state: int,
) -> pd.DataFrame:
    labelled = np.array([one is not None for one in known.classes[usable]])
    chosen = review_queue(
        spread.margin,
        measured.features[usable],
        size=size,
        skip=labelled,
        novelty=spread.novelty,
        random_state=random_state,
    )
    best = np.array(spread.classes, dtype=object)[spread.probability.argmax(axis=1)]
    return pd.DataFrame(
        {
            "id": ids[usable][chosen],
            "rank": np.arange(1, chosen.size + 1),
            "proposed": best[chosen],
            "margin": spread.margin[chosen],
            "novelty": spread.novelty[chosen],
        }
    )


def _parameters(
    store: SurveyStore,
    map_name: str,
    labels: str | Path | None,
    known: SampleLabels | None,
    clusters: Clusters,
    learned: LabelPropagator | None,
    random_state: int,
) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "map": map_name,
        "map_written": store.product_info(map_name).get("written", ""),
        "clusters": clusters.method,
        "min_points": clusters.min_points,
        "random_state": random_state,
    }
    if np.isfinite(clusters.eps):
        parameters["eps"] = round(clusters.eps, 4)
    if known is not None and learned is not None:
        parameters |= {
            "labels": Path(str(labels)).name,
            "n_labels": known.n_labelled,
            "labels_unknown": len(known.unknown),
            "labels_contradictory": len(known.contradictory),
            "classes": list(learned.classes_),
            "classes_left_out": learned.left_out_,
            "penalty": learned.penalty_,
            "temperature": round(learned.temperature_, 4),
            "cross_validated_accuracy": round(learned.cross_validated_accuracy_, 4),
        }
    return parameters


def _draw(
    store: SurveyStore, map_name: str, product: pd.DataFrame, catalogue: pd.DataFrame
) -> Path:
    figure = store.path / "figures" / f"{CLASSES}_{map_name}.png"
    words = catalogue["class"]
    if words.isna().all():  # nothing but islands to show
        words = catalogue["cluster"].map(lambda one: f"island {one}" if one >= 0 else None)
    places = product[["x", "y"]].to_numpy()
    drawn = embedding_map(
        places, categories=words, title=f"{store.path.stem}: classes", axis_name="map"
    )
    save_figure(drawn, figure)
    return figure


def _result(
    catalogue: pd.DataFrame,
    detections: pd.DataFrame,
    clusters: Clusters,
    known: SampleLabels | None,
    learned: LabelPropagator | None,
    figure: Path,
) -> ClassifyResult:
    found = [name for name in detections if name.endswith("_found")]
    return ClassifyResult(
        counts=catalogue["class"].fillna("").value_counts().to_dict(),
        detected={name.removesuffix("_found"): int(detections[name].sum()) for name in found},
        n_clusters=int(clusters.sizes.size),
        labels=known,
        left_out={} if learned is None else learned.left_out_,
        accuracy=float("nan") if learned is None else learned.cross_validated_accuracy_,
        figure=figure,
    )
