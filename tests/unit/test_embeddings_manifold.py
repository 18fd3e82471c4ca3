import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from siderea.embeddings.manifold import LANDMARKS, ManifoldMap, barycentric_weights
from siderea.embeddings.quality import neighbour_recall
from siderea.embeddings.stress import distance_map, stress
from siderea.errors import DataError


def sheet(n=400, *, seed=0):
    """A bent sheet in 6 dimensions, and its two own coordinates."""
    own = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
    a, b = own.T
    return np.column_stack([a, b, a**2, 0.5 * a * b, np.sin(b), np.cos(a)]), own


@pytest.mark.parametrize("method", LANDMARKS)
def test_a_sheet_is_laid_flat(method):
    X, own = sheet()
    made = ManifoldMap(method).fit(X)
    assert neighbour_recall(own, made.embedding_, k=15) > 0.6  # 0.04 by chance
    assert not made.is_extended_
    middle = made.embedding_.max(axis=0) + made.embedding_.min(axis=0)
    np.testing.assert_allclose(middle, 0.0, atol=1e-9)


@pytest.mark.parametrize("method", LANDMARKS)
def test_what_is_no_landmark_is_placed_among_the_landmarks(method):
    X, own = sheet()
    made = ManifoldMap(method, n_landmarks=200).fit(X)
    assert made.is_extended_
    assert made.landmarks_.size == 200
    rest = np.setdiff1d(np.arange(400), made.landmarks_)
    assert np.isfinite(made.embedding_).all()
    near = [
        np.intersect1d(
            np.argsort(np.linalg.norm(own[made.landmarks_] - own[row], axis=1))[:15],
            np.argsort(
                np.linalg.norm(made.embedding_[made.landmarks_] - made.embedding_[row], axis=1)
            )[:15],
        ).size
        for row in rest
    ]
    assert np.mean(near) / 15 > 0.6
    before = made.embedding_.copy()
    np.testing.assert_allclose(made.transform(X[rest]), before[rest])
    np.testing.assert_array_equal(made.embedding_, before)


@pytest.mark.parametrize("method", LANDMARKS)
def test_equal_points_and_duplicates_are_no_trouble(method):
    X, _ = sheet(60)
    twice = ManifoldMap(method, n_neighbors=8).fit(np.vstack([X, X])).embedding_
    assert np.isfinite(twice).all()
    assert np.median(np.linalg.norm(twice[:60] - twice[60:], axis=1)) < 0.05 * np.ptp(twice)
    same = ManifoldMap(method).fit(np.ones((20, 3)))
    assert np.isfinite(same.embedding_).all()
    assert np.isfinite(same.transform(np.zeros((2, 3)))).all()


def test_flat_points_keep_their_distances():
    flat = np.random.default_rng(1).normal(size=(100, 2)) @ [[1.0, 0, 0.5], [0, 2.0, 0.3]]
    for weighting in ("mds", "sammon"):
        places, left = distance_map(flat, weighting=weighting)
        assert left < 1e-5
        np.testing.assert_allclose(pdist(places), pdist(flat), rtol=0.05, atol=0.02)
        assert stress(flat, places, weighting=weighting) == pytest.approx(left, rel=1e-3, abs=1e-9)


def test_stress_is_the_sum_written_out():
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(30, 5)), rng.normal(size=(30, 2))
    delta, d = pdist(X), pdist(Y)
    sammon = ((delta - d) ** 2 / delta).sum() / delta.sum()
    assert stress(X, Y, weighting="sammon") == pytest.approx(sammon, rel=1e-5)
    assert stress(X, Y) == pytest.approx(((delta - d) ** 2).sum() / (delta**2).sum(), rel=1e-5)


def test_sammon_serves_short_distances_and_scaling_long_ones():
    X = np.random.default_rng(3).normal(size=(150, 8))
    scaling, sammon = (distance_map(X, weighting=w)[0] for w in ("mds", "sammon"))
    assert stress(X, sammon, weighting="sammon") < stress(X, scaling, weighting="sammon")
    assert stress(X, scaling) < stress(X, sammon)


def test_weights_reconstruct_points_inside_their_neighbours():
    rng = np.random.default_rng(4)
    neighbours = rng.normal(size=(9, 8, 3))
    shares = rng.dirichlet(np.ones(8), 9)
    points = np.einsum("nk,nkd->nd", shares, neighbours)
    weights = barycentric_weights(points, neighbours)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.einsum("nk,nkd->nd", weights, neighbours), points, atol=0.02)


def test_umap_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(DataError, match=r"siderea\[umap\]"):
        ManifoldMap("umap").fit(sheet(30)[0])


def test_umap_takes_all_points_and_places_new_ones_itself(monkeypatch):
    """The real one compiles for a minute; it runs in the benchmark of methods."""

    class UMAP:
        def __init__(self, **options):
            assert options == {"n_neighbors": 15, "random_state": 0, "n_jobs": 1}

        def fit_transform(self, X):
            return X[:, :2] + 7.0

        transform = fit_transform

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    X = sheet(100)[0].astype(np.float32)
    made = ManifoldMap("umap", n_landmarks=50).fit(X)
    assert not made.is_extended_
    np.testing.assert_allclose(made.transform(X), made.embedding_, atol=1e-6)
    np.testing.assert_allclose(made.embedding_.max(axis=0), -made.embedding_.min(axis=0), atol=1e-6)


def test_errors_say_what_was_found():
    X, _ = sheet(20)
    with pytest.raises(DataError, match="expected one of isomap"):
        ManifoldMap("magic").fit(X)
    with pytest.raises(DataError, match="n_landmarks 2"):
        ManifoldMap(n_landmarks=2).fit(X)
    with pytest.raises(DataError, match="found 3 rows; a map needs at least 4"):
        ManifoldMap().fit(X[:3])
    with pytest.raises(DataError, match="expected 'mds' or 'sammon'"):
        distance_map(X, weighting="none")
