"""A map of the spectra of a store: features, streamed, then a map of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.embeddings.quality import neighbour_recall
from siderea.embeddings.tsne import TSNEMap
from siderea.errors import DataError
from siderea.io.store import SurveyStore
from siderea.pipelines.draw import map_figure, save_figure
from siderea.pipelines.features import Features, Selection, by_autoencoder, by_pca

__all__ = ["METHODS", "EmbedResult", "embed"]

METHODS = ("tsne", "umap", "pca", "isomap", "lle", "spectral", "sammon", "mds")

_SAMPLE = 2_000
"""Spectra on which the recall of neighbours is measured."""

_RECALL_K = 15

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class EmbedResult:
    """What `embed` wrote.

    Parameters
    ----------
    name : str
        Product in the store: columns ``id``, ``x``, ``y`` (NaN where left out); with two passes
        also ``second_pass``, ``x_2`` and ``y_2``. The product ``<name>_features`` holds what the
        map was made of.
    figure : Path
        The PNG.
    n_mapped, n_left_out : int
        Spectra on the map, and with too few good pixels to be on it.
    """

    name: str
    figure: Path
    n_mapped: int
    n_left_out: int


def embed(
    path: str | Path,
    *,
    method: str = "tsne",
    name: str | None = None,
    arms: tuple[str, ...] | None = None,
    n_components: int = 50,
    autoencoder: int | None = None,
    passes: int = 1,
    perplexity: float = 30.0,
    colour: str | None = None,
    random_state: int = 0,
    figure: str | Path | None = None,
    progress: Progress | None = None,
) -> EmbedResult:
    """Make a map, write it as a product and draw it.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    method : {"tsne", "umap", "pca", "isomap", "lle", "spectral", "sammon", "mds"}
        How the features are mapped; ``"pca"`` shows the first two components.
    name : str, optional
        Name of the product; the method by default.
    arms : tuple of str, optional
        Arms that count; all by default. The GALAH maps of the literature leave the IR arm out.
    n_components : int
        Principal components kept, where these are the features.
    autoencoder : int, optional
        Map the bottleneck of an autoencoder with so many neurons instead of the components.
    passes : {1, 2}
        t-SNE only: 2 maps the part that stands apart from the main continuum once more, alone.
    perplexity : float
        Effective number of neighbours in t-SNE.
    colour : str, optional
        Catalogue column that colours the figure.
    random_state : int
        Seed.
    figure : path-like, optional
        PNG; ``figures/<name>.png`` in the store by default.
    progress : callable, optional
        Called with (done, in all).

    Returns
    -------
    EmbedResult

    Raises
    ------
    SidereaError
        If the store, an arm or the column does not exist, options do not fit, or too few spectra
        are usable.
    """
    _check(method, autoencoder, passes)
    store = SurveyStore.open(path)
    if colour is not None:
        store.read_catalogue([colour])
    name = name or method
    selection = Selection(store, arms)
    usable = selection.usable
    if np.count_nonzero(usable) < 5:
        raise DataError(
            f"{store.path}: {np.count_nonzero(usable)} spectra have enough good pixels; a map "
            "needs at least 5"
        )
    if autoencoder is None:
        features = by_pca(selection, n_components, random_state=random_state, progress=progress)
    else:
        features = by_autoencoder(
            selection, autoencoder, name=name, random_state=random_state, progress=progress
        )
    columns, made = _mapped(features, method, passes, perplexity, random_state, progress)
    parameters = {"arms": list(arms or store.arm_names), "random_state": random_state}
    parameters |= features.parameters | made | ({"colour": colour} if colour else {})
    ids = store.read_catalogue(["id"])["id"]
    _write_features(store, ids[usable], features, f"{name}_features")
    spread = {key: _spread(values, usable) for key, values in columns.items()}
    frame = pd.DataFrame({"id": ids} | spread)
    store.write_product(name, frame, method=method, parameters=parameters)
    figure = Path(figure) if figure else store.path / "figures" / f"{name}.png"
    save_figure(map_figure(store, name, colour=colour), figure)
    return EmbedResult(name, figure, int(usable.sum()), int((~usable).sum()))


def _check(method: str, autoencoder: int | None, passes: int) -> None:
    if method not in METHODS:
        raise DataError(f"method: found {method!r}; expected one of {', '.join(METHODS)}")
    if passes not in (1, 2) or (passes == 2 and method != "tsne"):
        raise DataError(f"passes: found {passes} with {method}; expected 1, or 2 with tsne")
    if autoencoder is not None and (autoencoder < 2 or method == "pca"):
        raise DataError(
            f"autoencoder: found {autoencoder} with {method}; expected at least 2 neurons, and a "
            "method other than pca"
        )


def _mapped(
    features: Features,
    method: str,
    passes: int,
    perplexity: float,
    random_state: int,
    progress: Progress | None,
) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """Return the columns of the map of the usable spectra, and how it was made."""
    made: dict[str, Any] = {}
    columns: dict[str, NDArray] = {}
    if method == "pca":
        places = features.values[:, :2]
    elif method == "tsne":
        tsne = _fit_tsne(features.values, perplexity, passes, random_state, progress)
        places = tsne.embedding_
        made = {
            "perplexity": float(tsne.perplexity_),
            "passes": passes,
            "iterations": tsne.n_iter_,
            "kl_divergence": round(float(tsne.kl_divergence_), 4),
        }
        if passes == 2:
            columns = {
                "second_pass": tsne.second_pass_.astype(float),
                "x_2": tsne.second_embedding_[:, 0],
                "y_2": tsne.second_embedding_[:, 1],
            }
    else:
        from siderea.embeddings.manifold import ManifoldMap

        manifold = ManifoldMap(method, random_state=random_state).fit(features.values)
        places = manifold.embedding_
        made = {"landmarks": int(manifold.landmarks_.size), "extended": manifold.is_extended_}
    if len(places) > 2 * _RECALL_K:
        made["neighbour_recall"] = round(
            neighbour_recall(features.values, places, k=_RECALL_K, n_sample=_SAMPLE), 3
        )
    return {"x": places[:, 0], "y": places[:, 1]} | columns, made


def _fit_tsne(
    values: NDArray,
    perplexity: float,
    passes: int,
    random_state: int,
    progress: Progress | None,
) -> TSNEMap:
    tsne = TSNEMap(perplexity=perplexity, passes=passes, random_state=random_state)

    def report(iteration: int, _divergence: float) -> None:
        if progress is not None:  # it stops when the divergence does: the end is not known
            progress(iteration, max(800, iteration + 50))

    return tsne.fit(values, callback=report)


def _write_features(store: SurveyStore, ids: pd.Series, features: Features, name: str) -> None:
    """Keep what the map was made of: classifiers learn on it, and new spectra need it."""
    values = features.values.astype(np.float32)
    columns = [f"{features.kind}_{number + 1}" for number in range(values.shape[1])]
    frame = pd.DataFrame(values, columns=columns)
    frame.insert(0, "id", ids.to_numpy())
    store.write_product(name, frame, method=features.kind, parameters=features.parameters)


def _spread(values: NDArray, usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return values of the usable spectra in a column of all, NaN elsewhere."""
    column = np.full(usable.size, np.nan)
    column[usable] = values
    return column
