"""Classes of light curves: fitted curves on a map, groups on the map, a mean curve of each group.

As in Kochoska et al. 2017 (A&A 602, A110): the fitted curves, brought to one phase and one scale,
are mapped by t-SNE, and DBSCAN finds dense pieces, which `siderea.lightcurves.groups` merges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from siderea.embeddings.tsne import TSNEMap
from siderea.errors import DataError
from siderea.lightcurves.groups import MOST, Method, groups_of

__all__ = [
    "Classes",
    "agreement",
    "classify",
    "features",
    "morphology",
    "normalised_curves",
]

Array = NDArray[np.float64]

PHASES = np.arange(100) / 100.0
"""Phases of the curves that are compared."""

SHAPE, AMPLITUDE = 1.0, 0.15
"""Weights of the shape (rms over phase), and of one dex of amplitude, among the features."""

MORPHOLOGY_OF_WIDTH = (
    (0.0, 0.006, 0.018, 0.032, 0.044, 0.061, 0.094, 0.130, 0.150, 0.186, 0.250),
    (0.0, 0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 1.0),
)
"""Median eclipse width in each tenth of the morphology of the Kepler Eclipsing Binary Catalog
(revision of 2016-08-09), smoothed between 0.6 and 0.8, where the catalogue's own medians are equal
(0.143, 0.139): width alone does not part semi-detached from contact."""


@dataclass(frozen=True)
class Classes:
    """Groups among N light curves.

    Parameters
    ----------
    place : (N, 2) ndarray
        On the map; NaN where a curve has nothing to compare.
    group : (N,) ndarray of int
        Numbered by size from 0; −1 if the map has no dense part, −2 is not on the map.
    probability : (N,) ndarray
        Share of the ten most similar curves that are of the group; NaN without one.
    mean, spread : (G, 100) ndarray
        Mean and standard deviation of the normalised curves of each group, at `PHASES`.
    """

    place: Array
    group: NDArray[np.int64]
    probability: Array
    mean: Array
    spread: Array

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.mean)


def normalised_curves(curves: ArrayLike, position: ArrayLike | None = None) -> tuple[Array, Array]:
    """Bring fitted curves to one scale: 1 at the maximum, 0 at the minimum.

    Parameters
    ----------
    curves : (N, G) array-like
        At equal steps of phase from 0.
    position : (N,) array-like, optional
        Phase that becomes 0, to the nearest step; that of the minimum by default.

    Returns
    -------
    normalised : (N, G) ndarray
        NaN for a curve that is constant or not known.
    amplitude : (N,) ndarray
        (maximum − minimum)/maximum.
    """
    flux = np.asarray(curves, dtype=np.float64)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(flux).all(axis=1))
    safe = np.where(known[:, None], flux, 1.0)
    n = flux.shape[1]
    first = safe.argmin(axis=1) if position is None else np.rint(np.nan_to_num(position) * n)
    turned = np.take_along_axis(safe, (np.arange(n) + first[:, None]).astype(np.int64) % n, axis=1)
    low, high = turned.min(axis=1, keepdims=True), turned.max(axis=1, keepdims=True)
    span = high - low
    varies = known & (span[:, 0] > 1e-9 * np.abs(high[:, 0]))
    with np.errstate(invalid="ignore", divide="ignore"):
        shape = np.where(varies[:, None], (turned - low) / span, np.nan)
        amplitude = np.where(varies, span[:, 0] / high[:, 0], np.nan)
    return shape, amplitude


def features(normalised: ArrayLike, amplitude: ArrayLike) -> Array:
    """Return what light curves are compared by: their shape and the order of their amplitude.

    Parameters
    ----------
    normalised : (N, G) array-like
    amplitude : (N,) array-like
        Relative, positive.

    Returns
    -------
    (N, G + 1) ndarray
    """
    shape = np.asarray(normalised, dtype=np.float64)
    order = np.log10(np.clip(np.asarray(amplitude, dtype=np.float64), 1e-4, 1.0))
    return np.column_stack((SHAPE * shape / np.sqrt(shape.shape[1]), AMPLITUDE * order))


def classify(
    curves: ArrayLike,
    *,
    position: ArrayLike | None = None,
    perplexity: float = 30.0,
    method: Method = "dbscan",
    smallest: int | None = None,
    most: int = MOST,
    random_state: int = 0,
) -> Classes:
    """Map fitted light curves and find their groups.

    Parameters
    ----------
    curves : (N, 100) array-like
        Fitted flux at `PHASES`; rows that are constant or not finite are left out.
    position : (N,) array-like, optional
        Phase of the first eclipse; that of the minimum by default.
    perplexity : float
        Of t-SNE.
    method : {"dbscan", "hdbscan"}
    smallest : int, optional
        Curves of the smallest dense piece; chosen with N by default.
    most : int
        Groups, at most: pieces of the map are merged by the likeness of their curves.
    random_state : int

    Returns
    -------
    Classes

    Raises
    ------
    DataError
        If fewer than 10 curves vary.
    """
    shape, amplitude = normalised_curves(curves, position)
    rows = np.flatnonzero(np.isfinite(amplitude))
    if rows.size < 10:
        raise DataError(f"found {rows.size} light curves that vary; classes need at least 10")
    known = features(shape[rows], amplitude[rows])
    tsne = TSNEMap(perplexity=min(perplexity, (rows.size - 1) / 3), random_state=random_state)
    spot = tsne.fit_transform(known)
    n = len(shape)
    place, group = np.full((n, 2), np.nan), np.full(n, -2, dtype=np.int64)
    probability = np.full(n, np.nan)
    place[rows] = spot
    group[rows], probability[rows] = groups_of(
        spot, known, method=method, smallest=smallest, most=most
    )
    count = max(int(group.max()) + 1, 0)
    mean = np.array([shape[group == k].mean(axis=0) for k in range(count)])
    spread = np.array([shape[group == k].std(axis=0) for k in range(count)])
    return Classes(place, group, probability, mean.reshape(count, -1), spread.reshape(count, -1))


def agreement(group: ArrayLike, truth: ArrayLike) -> pd.DataFrame:
    """Compare groups with true kinds; each group stands for the kind that most of it is.

    Parameters
    ----------
    group : (N,) array-like of int
        −1 and below count as found to be nothing.
    truth : (N,) array-like of str

    Returns
    -------
    pandas.DataFrame
        One row per kind: ``kind``, ``n``, ``purity`` (share of what is called so that is so),
        ``completeness`` (share of the kind that is called so), ``n_groups``.
    """
    group, truth = np.asarray(group), np.asarray(truth).astype(str)
    called = np.full(truth.shape, "", dtype=truth.dtype)
    counts: dict[str, int] = {}
    for number in np.unique(group[group >= 0]):
        names, n = np.unique(truth[group == number], return_counts=True)
        name = names[int(np.argmax(n))]
        called[group == number] = name
        counts[name] = counts.get(name, 0) + 1
    rows = []
    for kind in np.unique(truth):
        true, said = truth == kind, called == kind
        rows.append(
            {
                "kind": kind,
                "n": int(true.sum()),
                "purity": float((true & said).sum() / said.sum()) if said.any() else np.nan,
                "completeness": float((true & said).sum() / true.sum()),
                "n_groups": counts.get(kind, 0),
            }
        )
    return pd.DataFrame(rows)


def morphology(width: ArrayLike) -> Array:
    """Estimate the morphology, 0 (well detached) to 1 (ellipsoidal), from the width of the minima.

    Parameters
    ----------
    width : (N,) or (N, 2) array-like
        Distance of the knots of the minima in phase, as `siderea.lightcurves.polyfit` measures it;
        the mean of two.

    Returns
    -------
    (N,) ndarray

    Notes
    -----
    Our own estimate, not the locally linear embedding of Matijevič et al. 2012 (AJ 143, 123): the
    width is carried over by `MORPHOLOGY_OF_WIDTH`.
    """
    mean = np.asarray(width, dtype=np.float64)
    if mean.ndim == 2:
        mean = mean.mean(axis=1)
    return np.interp(mean, *MORPHOLOGY_OF_WIDTH)
