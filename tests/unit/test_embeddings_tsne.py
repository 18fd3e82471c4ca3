import numpy as np
import pytest
from openTSNE import TSNE
from openTSNE.affinity import PerplexityBasedNN
from sklearn.metrics import silhouette_score

from siderea.embeddings import tsne
from siderea.embeddings.neighbours import FaissIndex
from siderea.embeddings.quality import neighbour_recall
from siderea.embeddings.tsne import TSNEMap
from siderea.errors import DataError


def groups(n=300, *, seed=0):
    """Three groups in 10 dimensions, shuffled."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    return rng.normal(size=(n, 10)) + 12 * np.eye(10)[label], label


@pytest.fixture(scope="module")
def fitted():
    X, label = groups()
    return TSNEMap(n_jobs=1).fit(X), X, label


def test_groups_lie_apart_and_rows_keep_their_order(fitted):
    tsne_map, X, label = fitted
    assert silhouette_score(tsne_map.embedding_, label) > 0.5
    assert neighbour_recall(X, tsne_map.embedding_, k=10) > 0.4  # 0.03 if rows were exchanged


def test_divergence_is_that_of_opentsne():
    """There are several minima, and which is found differs between machines: theirs, three times.

    What is reported is also compared with the divergence of the map itself, pair by pair.
    """
    X, _ = groups(200)
    ours = TSNEMap(n_iter=750, n_jobs=1).fit(X)
    theirs = [
        TSNE(neighbors="exact", n_iter=750, random_state=seed, n_jobs=1, initialization=start).fit(
            X
        )
        for seed, start in ((0, "pca"), (1, "random"), (2, "random"))
    ]
    ratios = [ours.kl_divergence_ / one.kl_divergence for one in theirs]
    assert min(abs(ratio - 1) for ratio in ratios) < 0.05
    affinity = PerplexityBasedNN(X, perplexity=30, method="exact", n_jobs=1).P.toarray()
    assert ours.kl_divergence_ == pytest.approx(divergence(affinity, ours.embedding_), rel=0.02)


def divergence(affinity, places):
    """Σ p ln(p/q) over pairs, q of Student's t with one degree of freedom."""
    q = 1 / (1 + ((places[:, None] - places[None]) ** 2).sum(axis=-1))
    np.fill_diagonal(q, 0)
    q /= q.sum()
    known = affinity > 0
    return (affinity[known] * np.log(affinity[known] / q[known])).sum()


def test_map_is_centred_on_its_bounding_box(fitted):
    places = fitted[0].embedding_
    np.testing.assert_allclose(places.max(axis=0), -places.min(axis=0), rtol=1e-12)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_same_seed_same_map(n_jobs, monkeypatch):
    monkeypatch.setattr(tsne, "_SERIAL_MAX", 0)
    monkeypatch.setattr(tsne, "_ANNEALING", ((1.0, 50),))
    X, _ = groups(100)
    first = TSNEMap(n_jobs=n_jobs, random_state=4, n_iter=20)
    again = TSNEMap(n_jobs=n_jobs, random_state=4, n_iter=20)
    np.testing.assert_array_equal(first.fit_transform(X), again.fit_transform(X))
    np.testing.assert_array_equal(first.transform(X[:9]), again.transform(X[:9]))


def test_placing_new_points_leaves_the_map_alone(fitted):
    tsne_map, X, _ = fitted
    before = tsne_map.embedding_.copy()
    new = X[:40] + 0.01
    first, again = tsne_map.transform(new), tsne_map.transform(new)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(tsne_map.embedding_, before)


def test_place_of_a_point_does_not_depend_on_its_company(fitted):
    tsne_map, X, _ = fitted
    together = tsne_map.transform(X[:30])
    apart = np.vstack([tsne_map.transform(X[:1]), tsne_map.transform(X[1:30])])
    np.testing.assert_allclose(apart, together, atol=1e-9)


def test_points_of_the_map_are_placed_near_themselves(fitted):
    tsne_map, X, label = fitted
    placed = tsne_map.transform(X)
    distance = np.hypot(*(placed - tsne_map.embedding_).T)
    assert np.median(distance) < 0.02 * np.ptp(tsne_map.embedding_)
    other, other_label = groups(60, seed=9)
    near = np.argmin(
        np.linalg.norm(tsne_map.transform(other)[:, None] - tsne_map.embedding_, axis=2), axis=1
    )
    assert (label[near] == other_label).all()


def test_stored_map_is_taken_up_again(fitted):
    tsne_map, X, _ = fitted
    taken = TSNEMap(n_jobs=1).from_map(X, tsne_map.embedding_)
    np.testing.assert_array_equal(taken.transform(X[:20]), tsne_map.transform(X[:20]))
    with pytest.raises(DataError, match=r"expected finite \(300, 2\)"):
        TSNEMap().from_map(X, tsne_map.embedding_[:-1])


def test_large_samples_take_the_grid(monkeypatch):
    X, label = groups(120)
    monkeypatch.setattr(tsne, "_TREE_MAX", 100)
    grid = TSNEMap(n_jobs=1, n_iter=100).fit(X)
    monkeypatch.undo()
    tree = TSNEMap(n_jobs=1, n_iter=100).fit(X)
    assert grid.kl_divergence_ == pytest.approx(tree.kl_divergence_, rel=0.1)
    assert not np.array_equal(grid.embedding_, tree.embedding_)
    assert silhouette_score(grid.embedding_, label) > 0.5
    before = grid.embedding_.copy()
    grid.transform(X[:5])
    np.testing.assert_array_equal(grid.embedding_, before)


def test_progress_is_told_every_50_iterations():
    X, _ = groups(60)
    heard = []
    tsne_map = TSNEMap(perplexity=10, n_iter=120, n_jobs=1)
    tsne_map.fit_transform(X, callback=lambda *told: heard.append(told))
    assert [iteration for iteration, _ in heard] == [50, 100, 150, 200, 250, 300, 350, 400, 420]
    assert tsne_map.n_iter_ == 420
    assert heard[-1][1] == tsne_map.kl_divergence_


def test_descent_ends_when_little_is_gained(fitted):
    tsne_map, X, _ = fitted
    heard = []
    TSNEMap(n_jobs=1).fit(X, callback=lambda *told: heard.append(told))
    assert 500 <= tsne_map.n_iter_ <= 800
    gains = [(a - b) / b for (_, a), (_, b) in zip(heard[-2:-1], heard[-1:], strict=True)]
    assert max(gains) < 1e-2


def test_perplexity_is_lowered_for_small_samples():
    X, _ = groups(61)
    with pytest.warns(UserWarning, match="perplexity lowered from 30 to 20: 61 points"):
        tsne_map = TSNEMap(n_jobs=1, n_iter=50).fit(X)
    assert tsne_map.perplexity_ == 20
    with pytest.warns(UserWarning, match="lowered"):
        smallest = TSNEMap(n_jobs=1).fit(X[:4])
    assert np.isfinite(smallest.embedding_).all()
    assert smallest.transform(X[:2]).shape == (2, 2)


def test_new_points_keep_their_neighbours_nearly_as_well_as_the_points_of_the_map():
    """A smooth manifold: nothing but the neighbourhood tells where a point belongs."""
    rng = np.random.default_rng(3)
    hidden = rng.uniform(-1, 1, (1300, 3))
    X = np.sin(hidden @ rng.normal(0, 1.2, (3, 30)))
    old, new = X[:1000], X[1000:]
    tsne_map = TSNEMap(n_jobs=1).fit(old)
    placed = tsne_map.transform(new)
    kept = [
        np.intersect1d(a, b).size / 15
        for a, b in zip(
            FaissIndex(old, 15).query(new, 15).indices,
            FaissIndex(tsne_map.embedding_, 15).query(placed, 15).indices,
            strict=True,
        )
    ]
    assert np.mean(kept) > neighbour_recall(old, tsne_map.embedding_, k=15) - 0.1


def test_second_pass_maps_the_islands_again():
    X, label = groups(600)
    rare = np.flatnonzero(label == 2)[:15]  # two continua and an island of 15
    rows = np.r_[np.flatnonzero(label < 2), rare]
    two = TSNEMap(perplexity=5, passes=2, n_jobs=1).fit(X[rows])
    assert two.second_pass_[-15:].all()
    assert two.second_pass_.mean() < 0.2
    second = two.second_embedding_
    assert np.isfinite(second[two.second_pass_]).all()
    assert np.isnan(second[~two.second_pass_]).all()
    one = TSNEMap(perplexity=5, n_jobs=1).fit(X[rows])
    np.testing.assert_array_equal(one.embedding_, two.embedding_)
    placed = two.transform_second(X[rows] + 0.01)
    assert np.isfinite(placed[-15:]).all()
    assert np.isnan(placed[~two.second_pass_]).mean() > 0.9
    with pytest.raises(DataError, match="no second map was made"):
        one.transform_second(X[:3])


def test_second_pass_takes_the_points_it_is_given():
    X, label = groups(200)
    two = TSNEMap(perplexity=10, passes=2, n_jobs=1, n_iter=50).fit(X, apart=label == 1)
    np.testing.assert_array_equal(two.second_pass_, label == 1)


def test_duplicates_lie_together():
    X, _ = groups(120)
    twice = np.vstack([X, X])
    places = TSNEMap(perplexity=10, n_jobs=1).fit_transform(twice)
    apart = np.linalg.norm(places[:120] - places[120:], axis=1)
    assert np.median(apart) < 0.02 * np.ptp(places)


def test_one_column_and_equal_points_are_no_trouble():
    column = np.arange(40.0)[:, None]
    line = TSNEMap(perplexity=5, n_jobs=1).fit(column)
    assert neighbour_recall(column, line.embedding_, k=2) > 0.5
    same = TSNEMap(perplexity=5, n_jobs=1, n_iter=50).fit(np.ones((30, 3)))
    assert np.isfinite(same.embedding_).all()


def test_no_new_points_give_no_places(fitted):
    assert fitted[0].transform(np.zeros((0, 10))).shape == (0, 2)


def test_errors_say_what_was_found(fitted):
    X, _ = groups(20)
    with pytest.raises(DataError, match="found 3 rows; a map needs at least 4"):
        TSNEMap().fit(X[:3])
    with pytest.raises(DataError, match="found 3; expected 1 or 2"):
        TSNEMap(passes=3).fit(X)
    with pytest.raises(DataError, match=r"expected \(20,\) with passes=2"):
        TSNEMap().fit(X, apart=np.ones(20, bool))
    with pytest.raises(DataError, match="2 points stand apart"):
        TSNEMap(perplexity=5, passes=2, n_iter=50, n_jobs=1).fit(X, apart=np.arange(20) < 2)
    with pytest.raises(DataError, match="expected both 1 or more"):
        TSNEMap(perplexity=0.5).fit(X)
    X[[1, 5], 0] = np.nan
    with pytest.raises(DataError, match="2 of 20 rows"):
        TSNEMap().fit(X)
    with pytest.raises(DataError, match="found 3 columns; expected 10"):
        fitted[0].transform(np.zeros((2, 3)))
