"""Candidates from a map of a store: what lies with the known binaries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.binaries.map_candidates import MapCandidates, map_candidates
from siderea.classify.clusters import map_clusters
from siderea.classify.labels import align
from siderea.classify.taxonomy import parts
from siderea.errors import DataError, ProductError
from siderea.io.labels import read_labels
from siderea.io.store import SurveyStore
from siderea.pipelines.detect import DetectResult

__all__ = ["BINARY_CLASSES", "detect_map"]

BINARY_CLASSES = ("BIN", "TRI")
"""Classes of two and more stars; a compound class counts by its parts."""


def detect_map(
    path: str | Path,
    *,
    map_name: str = "tsne",
    labels: str | Path | None = None,
    name: str = "detections_map",
    false_positives: float = 0.01,
    random_state: int = 0,
) -> DetectResult:
    """Find the spectra of a store that lie with known binaries on a map and in its features.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    map_name : str
        A product with ``x`` and ``y``, made by `siderea.pipelines.embed.embed`.
    labels : path-like, optional
        Table of ``id`` and ``class``; by default the labels that the product ``classes`` was given.
    name : str
        Of the product to write.
    false_positives : float
        Share of the known others that the threshold lets pass.
    random_state : int
        Of the folds.

    Returns
    -------
    DetectResult

    Raises
    ------
    SidereaError
        If there is no such map, or too few classes are known.
    """
    store = SurveyStore.open(path)
    ids = store.read_catalogue(["id"])["id"]
    places = _columns(store, map_name, ids, ["x", "y"])
    features = _columns(store, f"{map_name}_features", ids, None)
    known = _known(store, ids, labels)
    islands = map_clusters(places, min_points=int(np.clip(len(store) // 400, 5, 20))).labels
    found = map_candidates(
        places,
        features,
        known,
        islands=islands,
        false_positives=false_positives,
        random_state=random_state,
    )
    parameters = {
        "map": map_name,
        "map_written": store.product_info(map_name).get("written", ""),
        "known_binaries": int((known == 1).sum()),
        "known_others": int((known == 0).sum()),
        "threshold": found.threshold,
        "false_positives": false_positives,
        "random_state": random_state,
    }
    table = _table(ids, islands, found)
    written = store.write_product(name, table, method="map", parameters=parameters)
    searched = int(np.isfinite(found.probability).sum())
    return DetectResult(name, written, len(store), searched, int(found.is_binary.sum()))


def _columns(
    store: SurveyStore, name: str, ids: pd.Series, columns: list[str] | None
) -> NDArray[np.float64]:
    """Return columns of a product in the order of the catalogue; NaN for who is not in it."""
    if name not in store.products:
        raise ProductError(
            f"{store.path}: no product {name!r}; make the map first: siderea embed {store.path}"
        )
    frame = store.product(name).set_index("id").reindex(ids)
    if columns is not None and not set(columns) <= set(frame):
        raise ProductError(f"{store.path}: product {name!r} is not a map: it has no x and y")
    return (frame if columns is None else frame[columns]).to_numpy(dtype=np.float64)


def _known(store: SurveyStore, ids: pd.Series, labels: str | Path | None) -> NDArray[np.float64]:
    """Return 1 for known binaries, 0 for other known classes, NaN for the rest."""
    if labels is not None:
        words = list(align(ids.to_numpy(dtype=object), read_labels(labels)).classes)
    elif "classes" in store.products:
        table = store.product("classes").set_index("id").reindex(ids)
        words = table["class"].where(table["source"].eq("human")).to_list()
    else:
        raise DataError(
            "map: no classes are known; give --labels LABELS.csv (columns id and class), or run "
            "siderea classify with labels first"
        )
    return np.array([_is_binary(word) for word in words])


def _is_binary(word: object) -> float:
    if not isinstance(word, str) or not word:
        return float("nan")
    return float(any(part in BINARY_CLASSES for part in parts(word)))


def _table(ids: pd.Series, islands: NDArray[np.int64], found: MapCandidates) -> pd.DataFrame:
    nearest = ids.to_numpy(dtype=object)[np.maximum(found.nearest, 0)]
    return pd.DataFrame(
        {
            "id": ids,
            "probability": found.probability,
            "is_binary": found.is_binary,
            "island": islands,
            "island_share": found.island_share,
            "map_share": found.map_share,
            "feature_share": found.feature_share,
            "nearest_binary": np.where(found.nearest >= 0, nearest, ""),
        }
    )
