import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import decomposition

from siderea.embeddings import subspace
from siderea.embeddings.pca import PCA
from siderea.errors import DataError


def low_rank(n, p, *, rank=6, noise=0.01, seed=0):
    """Spectra-like rows: a few components of falling variance about 1, and noise."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, rank)) * 2.0 ** -np.arange(rank)
    return 1.0 + scores @ rng.normal(size=(rank, p)) / np.sqrt(p) + noise * rng.normal(size=(n, p))


def chunks_of(X, size, ivar=None):
    def make():
        for start in range(0, len(X), size):
            part = slice(start, start + size)
            yield X[part], None if ivar is None else ivar[part]

    return make


def cosines(a, b):
    """Cosines of the principal angles between two subspaces."""
    return np.linalg.svd(a @ b.T)[1]


@pytest.mark.parametrize(("n", "p"), [(300, 80), (40, 500), (70, 1500)])
def test_equals_scikit_learn_where_it_is_exact(n, p):
    X = low_rank(n, p)
    ours, theirs = PCA(20).fit(X), decomposition.PCA(20, svd_solver="full").fit(X)
    np.testing.assert_allclose(ours.mean_, theirs.mean_)
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-8)
    np.testing.assert_allclose(
        ours.explained_variance_ratio_, theirs.explained_variance_ratio_, rtol=1e-8
    )
    assert cosines(ours.components_, theirs.components_).min() > 1 - 1e-9
    sign = np.sign(np.sum(ours.components_ * theirs.components_, axis=1))
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X) * sign, atol=1e-8)


def test_sketch_finds_the_leading_components_of_many_pixels():
    X = low_rank(900, 1300, rank=8, noise=1e-3)
    ours, theirs = PCA(8, n_oversamples=8).fit(X), decomposition.PCA(8, svd_solver="full").fit(X)
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-3)
    assert cosines(ours.components_[:4], theirs.components_[:4]).min() > 1 - 1e-5
    rough = PCA(8, n_oversamples=8, n_passes=2).fit(X)
    assert rough.explained_variance_ratio_.sum() <= ours.explained_variance_ratio_.sum() + 1e-12


@pytest.mark.parametrize("p", [50, 1100])
def test_result_does_not_depend_on_the_chunks(p, monkeypatch):
    monkeypatch.setattr(subspace, "_BLOCK_VALUES", 64 * p)  # several blocks of 64 rows
    X = low_rank(300, p).astype(np.float32)
    ivar = np.random.default_rng(1).integers(0, 5, X.shape).astype(np.float32)
    whole = PCA(5).fit(X, ivar=ivar)
    for size in (1, 7, 64, 100):
        pieces = PCA(5).fit_chunks(chunks_of(X, size, ivar))
        np.testing.assert_array_equal(pieces.components_, whole.components_)
        np.testing.assert_array_equal(pieces.explained_variance_, whole.explained_variance_)


def test_bad_pixels_count_as_the_mean_of_the_good_ones():
    X = low_rank(120, 60)
    bad = np.random.default_rng(2).random(X.shape) < 0.1
    ours = PCA(6).fit(np.where(bad, 1e6, X), ivar=np.where(bad, 0.0, 7.0))
    mean = np.nanmean(np.where(bad, np.nan, X), axis=0)
    theirs = decomposition.PCA(6, svd_solver="full").fit(np.where(bad, mean, X))
    np.testing.assert_allclose(ours.mean_, mean)
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_)
    assert cosines(ours.components_, theirs.components_).min() > 1 - 1e-9


def test_what_stands_in_a_bad_pixel_does_not_matter():
    X = low_rank(50, 1050)
    ivar = (np.random.default_rng(3).random(X.shape) > 0.05).astype(float)
    zeros = PCA(4).fit(np.where(ivar > 0, X, 0.0), ivar=ivar)
    nans = PCA(4).fit(np.where(ivar > 0, X, np.nan), ivar=ivar)
    np.testing.assert_array_equal(zeros.components_, nans.components_)
    np.testing.assert_array_equal(
        zeros.transform(X, ivar=ivar), nans.transform(np.where(ivar > 0, X, np.inf), ivar=ivar)
    )


def test_pixel_that_is_never_good_has_no_loading():
    X, ivar = low_rank(40, 30), np.ones((40, 30))
    ivar[:, 11] = 0
    pca = PCA(5).fit(X, ivar=ivar)
    assert pca.mean_[11] == 0
    np.testing.assert_allclose(pca.components_[:, 11], 0, atol=1e-12)


def test_solving_for_bad_pixels_recovers_the_scores():
    X = low_rank(400, 300, rank=4, noise=1e-3)
    pca = PCA(4).fit(X)
    truth = pca.transform(X)
    ivar = (np.random.default_rng(4).random(X.shape) > 0.3).astype(float)
    solved = pca.transform(X, ivar=ivar)
    filled = pca.set_params(masked="mean").transform(X, ivar=ivar)
    assert np.abs(solved - truth).max() < 0.02
    slope = np.sum(filled[:, 0] * truth[:, 0]) / np.sum(truth[:, 0] ** 2)
    assert slope == pytest.approx(0.7, abs=0.03)  # drawn to zero by the share of bad pixels


def test_missing_arm_stays_bounded():
    left, right = low_rank(200, 40, seed=6), low_rank(200, 40, seed=7)  # nothing in common
    X = np.hstack([left, right])
    pca = PCA(12).fit(X)
    ivar = np.ones_like(X)
    ivar[:, 40:] = 0
    full, solved = pca.transform(X), pca.transform(X, ivar=ivar)
    assert np.linalg.norm(solved) < 1.05 * np.linalg.norm(full)


def test_wholly_masked_row_has_scores_of_the_mean_spectrum():
    X = low_rank(30, 20)
    pca = PCA(3).fit(X)
    np.testing.assert_allclose(pca.transform(X, ivar=np.zeros_like(X)), 0, atol=1e-12)


def test_single_precision_is_accurate():
    X = low_rank(500, 1400, noise=0.02)
    single, double = PCA(10).fit(X.astype(np.float32)), PCA(10).fit(X)
    np.testing.assert_allclose(single.explained_variance_, double.explained_variance_, rtol=1e-4)
    assert single.transform(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(
        np.abs(single.transform(X.astype(np.float32))[:, :3]),
        np.abs(double.transform(X)[:, :3]),
        atol=2e-4,
    )


def test_round_trip_of_rank_k_spectra():
    X = low_rank(60, 200, rank=3, noise=0.0)
    pca = PCA(3)
    np.testing.assert_allclose(pca.inverse_transform(pca.fit_transform(X)), X, atol=1e-10)


@pytest.mark.parametrize(("n", "p", "kept"), [(6, 40, 5), (40, 4, 4), (2, 2000, 1)])
def test_too_few_spectra_or_pixels_lower_the_number(n, p, kept):
    with pytest.warns(UserWarning, match=f"n_components lowered from 50 to {kept}"):
        pca = PCA().fit(low_rank(n, p))
    assert pca.components_.shape == (kept, p)
    assert pca.explained_variance_ratio_.sum() == pytest.approx(1.0)


def test_repeated_spectra_keep_only_their_rank():
    X = np.repeat(low_rank(3, 50), 20, axis=0)
    with pytest.warns(UserWarning, match="lowered from 10 to 2"):
        assert PCA(10).fit(X).n_components_ == 2


def test_sign_is_fixed_by_the_largest_loading():
    pca = PCA(5).fit(low_rank(80, 60))
    largest = np.argmax(np.abs(pca.components_), axis=1)
    assert (pca.components_[np.arange(5), largest] > 0).all()
    mirrored = PCA(5).fit(2.0 - low_rank(80, 60))
    np.testing.assert_allclose(mirrored.components_, pca.components_, atol=1e-9)


def test_seed_decides_and_nothing_else():
    X = low_rank(200, 1500)
    first, again = PCA(5, random_state=3).fit(X), PCA(5, random_state=3).fit(X)
    np.testing.assert_array_equal(first.components_, again.components_)


def test_memory_is_that_of_a_block(monkeypatch):
    monkeypatch.setattr(subspace, "_BLOCK_VALUES", 2**18)
    n, p = 8000, 1200  # 38 MB in all

    def make():
        rng = np.random.default_rng(0)
        for _ in range(n // 200):
            yield rng.normal(size=(200, p)).astype(np.float32), None

    tracemalloc.start()
    PCA(5, n_oversamples=5, n_passes=2).fit_chunks(make)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6


def test_errors_say_what_was_found():
    X = low_rank(10, 5)
    X[[2, 7], 1] = np.nan
    with pytest.raises(DataError, match="2 of 10 rows hold NaN"):
        PCA(2).fit(X)
    good = low_rank(10, 5)
    pca = PCA(2).fit(good)
    with pytest.raises(DataError, match="found 4 pixels; fitted on 5"):
        pca.transform(good[:, :4])
    with pytest.raises(DataError, match="expected that of flux"):
        PCA(2).fit(good, ivar=np.ones((10, 4)))
    with pytest.raises(DataError, match="at least 2"):
        PCA(2).fit(good[:1])
    with pytest.raises(DataError, match="found 0 spectra"):
        PCA(2).fit_chunks(lambda: iter(()))
    with pytest.raises(DataError, match="n_passes 1"):
        PCA(2, n_passes=1).fit(good)
    with pytest.raises(DataError, match="expected 'solve' or 'mean'"):
        PCA(2, masked="zero").fit(good)
    with pytest.raises(DataError, match="found 4 pixels after 5"):
        PCA(2).fit_chunks(lambda: [(good, None), (good[:, :4], None)])


def test_passes_that_differ_are_refused():
    passes = iter([low_rank(20, 5), low_rank(19, 5)])
    with pytest.raises(DataError, match="found 19 rows in a later pass; the first had 20"):
        PCA(2).fit_chunks(lambda: [(next(passes), None)])


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 40), st.integers(2, 40), st.integers(0, 2**31))
def test_invariants(n, p, seed):
    X = np.random.default_rng(seed).normal(size=(n, p))
    k = min(n - 1, p)
    pca = PCA(k).fit(X)
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(k), atol=1e-8)
    assert (np.diff(pca.explained_variance_) <= 1e-12).all()
    assert pca.explained_variance_ratio_.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(
        pca.transform(X).var(axis=0, ddof=1), pca.explained_variance_, rtol=1e-6
    )
