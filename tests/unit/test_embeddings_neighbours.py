import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from siderea.embeddings.neighbours import FaissIndex, finite_rows, kneighbours
from siderea.errors import DataError


def by_force(X, k):
    distances = cdist(X.astype(np.float64), X.astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :k]


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 80), st.integers(1, 12), st.integers(0, 2**31))
def test_equals_brute_force(n, d, seed):
    X = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    k = min(n - 1, 7)
    indices, distances = kneighbours(X, k, n_jobs=1)
    true_distances = by_force(X, k)
    np.testing.assert_allclose(distances, true_distances, rtol=1e-5, atol=1e-6)
    assert (indices != np.arange(n)[:, None]).all()
    own = np.linalg.norm(X[indices].astype(float) - X[:, None], axis=2)
    np.testing.assert_allclose(own, true_distances, rtol=1e-5, atol=1e-6)  # ties may swap


def test_common_offset_does_not_drown_the_differences():
    X = np.random.default_rng(0).normal(size=(2000, 100)).astype(np.float32) + np.float32(1000)
    found = kneighbours(X, 10, n_jobs=1)  # 0.13 of the neighbours are right where faiss sees X
    np.testing.assert_allclose(found.distances, by_force(X, 10), rtol=1e-4)


def test_duplicates_are_at_distance_zero_and_never_oneself():
    X = np.repeat(np.random.default_rng(1).normal(size=(5, 3)), 30, axis=0)
    indices, distances = kneighbours(X, 10, n_jobs=1)
    assert (indices != np.arange(150)[:, None]).all()
    assert (distances == 0).all()
    assert (indices // 30 == np.arange(150)[:, None] // 30).all()
    assert all(len(set(row)) == 10 for row in indices)


def test_lists_reach_the_recall_that_is_asked_for():
    X = np.random.default_rng(2).normal(size=(6000, 8)).astype(np.float32)
    index = FaissIndex(X, 15, exact=False, recall=0.95, n_jobs=1)
    found = index.build()
    truth = kneighbours(X, 15, exact=True, n_jobs=1)
    hits = [np.intersect1d(a, b).size for a, b in zip(found.indices, truth.indices, strict=True)]
    assert index.recall_ >= 0.95
    assert np.mean(hits) / 15 == pytest.approx(index.recall_, abs=0.02)
    assert index.index.nprobe < index.index.nlist
    again = FaissIndex(X, 15, exact=False, recall=0.95, n_jobs=1).build()
    np.testing.assert_array_equal(found.indices, again.indices)


def test_lists_with_too_few_points_are_completed():
    X = np.random.default_rng(3).normal(size=(800, 4)).astype(np.float32)
    index = FaissIndex(X, 300, exact=False, recall=0.01, n_jobs=1)
    indices = index.build().indices
    assert indices.min() >= 0
    assert all(len(set(row)) == 300 for row in indices)


def test_query_finds_the_points_themselves():
    X = np.random.default_rng(4).normal(size=(50, 6)) + 30
    index = FaissIndex(X, 3, n_jobs=1)
    kept = index.data.copy()
    indices, distances = index.query(X[10:20], 4)
    assert indices[:, 0].tolist() == list(range(10, 20))
    assert np.abs(distances[:, 0]).max() < 1e-5
    assert (np.diff(distances, axis=1) >= 0).all()
    np.testing.assert_array_equal(index.data, kept)


def test_input_is_left_as_it_was():
    X = np.random.default_rng(5).normal(size=(30, 4)).astype(np.float32)
    kept = X.copy()
    FaissIndex(X, 2, n_jobs=1).query(X, 3)
    np.testing.assert_array_equal(X, kept)


def test_threads_of_faiss_are_given_back():
    before = faiss.omp_get_max_threads()
    kneighbours(np.random.default_rng(6).normal(size=(30, 4)), 2, n_jobs=before + 1)
    assert faiss.omp_get_max_threads() == before


def test_errors_say_what_was_found():
    X = np.zeros((6, 2))
    with pytest.raises(DataError, match="expected 1 to 5 for 6 rows"):
        kneighbours(X, 6)
    with pytest.raises(DataError, match=r"expected \(N, D\)"):
        finite_rows([1.0, 2.0])
    X[3] = np.inf
    with pytest.raises(DataError, match="1 of 6 rows"):
        kneighbours(X, 2)
    with pytest.raises(DataError, match="query: found 3 columns"):
        FaissIndex(np.eye(4), 1).query(np.zeros((1, 3)), 1)
