"""A map of the spectra of a store: principal components, streamed, then t-SNE of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.data import Spectra
from siderea.embeddings.pca import PCA
from siderea.embeddings.tsne import TSNEMap
from siderea.errors import DataError
from siderea.io.store import SurveyStore
from siderea.pipelines.draw import map_figure, save_figure

__all__ = ["METHODS", "EmbedResult", "embed"]

METHODS = ("tsne", "pca")
CLIP = (-0.5, 2.0)
"""Normalised flux is clipped to this range: one wild pixel must not be a component of its own."""
MIN_GOOD = 0.5
"""A spectrum with a smaller share of good pixels in the chosen arms is left out of the map."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class EmbedResult:
    """What `embed` wrote.

    Parameters
    ----------
    name : str
        Product in the store: columns ``id``, ``x``, ``y`` (NaN where left out); for PCA also
        ``pca_1`` to ``pca_K``.
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
    method : {"tsne", "pca"}
        t-SNE of the principal components, or the first two of them.
    name : str, optional
        Name of the product; the method by default.
    arms : tuple of str, optional
        Arms that count; all by default. The GALAH maps of the literature leave the IR arm out.
    n_components : int
        Components kept (and handed to t-SNE).
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
        If the store, an arm or the column does not exist, or too few spectra are usable.
    """
    if method not in METHODS:
        raise DataError(f"method: found {method!r}; expected one of {', '.join(METHODS)}")
    store = SurveyStore.open(path)
    if colour is not None:
        store.read_catalogue([colour])
    pixels = _pixels(store, arms)
    usable = _usable(store, pixels)
    if np.count_nonzero(usable) < 5:
        raise DataError(
            f"{store.path}: {np.count_nonzero(usable)} spectra have enough good pixels; a map "
            "needs at least 5"
        )
    scores, pca = _components(store, pixels, usable, n_components, random_state, progress)
    frame = pd.DataFrame({"id": store.read_catalogue(["id"])["id"]})
    parameters: dict[str, Any] = {
        "arms": list(arms or store.arm_names),
        "n_components": int(scores.shape[1]),
        "explained_variance": round(float(pca.explained_variance_ratio_.sum()), 4),
        "random_state": random_state,
    }
    if method == "pca":
        places = scores[:, :2]
        for number in range(scores.shape[1]):
            frame[f"pca_{number + 1}"] = _spread(scores[:, number], usable)
    else:
        tsne = _fit_tsne(scores, perplexity, random_state, progress)
        places = tsne.embedding_
        parameters |= {
            "perplexity": float(tsne.perplexity_),
            "kl_divergence": round(float(tsne.kl_divergence_), 4),
        }
    frame["x"], frame["y"] = _spread(places[:, 0], usable), _spread(places[:, 1], usable)
    if colour is not None:
        parameters["colour"] = colour
    name = name or method
    store.write_product(name, frame, method=method, parameters=parameters)
    figure = Path(figure) if figure else store.path / "figures" / f"{name}.png"
    save_figure(map_figure(store, name, colour=colour), figure)
    return EmbedResult(name, figure, int(usable.sum()), int((~usable).sum()))


def _pixels(store: SurveyStore, arms: tuple[str, ...] | None) -> NDArray[np.int64]:
    """Return the pixels of the chosen arms."""
    unknown = set(arms or ()) - set(store.arm_names)
    if unknown:
        raise DataError(
            f"arms: found {', '.join(sorted(unknown))}; expected {', '.join(store.arm_names)}"
        )
    chosen = [
        np.arange(arm.start, arm.stop)
        for arm_name, arm in zip(store.arm_names, store.arms, strict=True)
        if arms is None or arm_name in arms
    ]
    return np.concatenate(chosen)


def _chunk(spectra: Spectra, pixels: NDArray) -> tuple[NDArray, NDArray]:
    return np.clip(spectra.flux[:, pixels], *CLIP), spectra.ivar[:, pixels]


def _usable(store: SurveyStore, pixels: NDArray) -> NDArray[np.bool_]:
    """Return which spectra have enough good pixels, among those that any spectrum has."""
    good = np.zeros(len(store), dtype=np.int64)
    ever = np.zeros(pixels.size, dtype=bool)
    start = 0
    for spectra in store.iter_chunks():
        lit = spectra.ivar[:, pixels] > 0
        good[start : start + len(spectra)] = lit.sum(axis=1)
        ever |= lit.any(axis=0)
        start += len(spectra)
    return good >= MIN_GOOD * max(1, int(ever.sum()))


def _components(
    store: SurveyStore,
    pixels: NDArray,
    usable: NDArray[np.bool_],
    n_components: int,
    random_state: int,
    progress: Progress | None,
) -> tuple[NDArray, PCA]:
    """Fit the components over the store, chunk by chunk, and project the usable spectra."""
    n = int(usable.sum())

    def chunks() -> Iterator[tuple[NDArray, NDArray]]:
        start = 0
        for spectra in store.iter_chunks():
            kept = usable[start : start + len(spectra)]
            start += len(spectra)
            if kept.any():
                yield _chunk(spectra[kept], pixels)
            if progress is not None:
                progress(start, len(store))

    pca = PCA(n_components=min(n_components, n - 1), random_state=random_state)
    pca.fit_chunks(chunks)
    scores = [pca.transform(flux, ivar=ivar) for flux, ivar in chunks()]
    return np.concatenate(scores), pca


def _fit_tsne(
    scores: NDArray, perplexity: float, random_state: int, progress: Progress | None
) -> TSNEMap:
    tsne = TSNEMap(perplexity=perplexity, random_state=random_state)

    def report(iteration: int, _divergence: float) -> None:
        if progress is not None:  # it stops when the divergence does: the end is not known
            progress(iteration, max(1000, iteration + 50))

    return tsne.fit(scores, callback=report)


def _spread(values: NDArray, usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return values of the usable spectra in a column of all, NaN elsewhere."""
    column = np.full(usable.size, np.nan)
    column[usable] = values
    return column
