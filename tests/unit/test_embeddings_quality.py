import numpy as np
import pytest
from sklearn.manifold import trustworthiness as reference

from siderea.embeddings.quality import (
    class_purity,
    continuity,
    neighbour_recall,
    neighbours_vote,
    shepard_correlation,
    trustworthiness,
)
from siderea.errors import DataError


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6)).astype(np.float32)
    return X, X[:, :2] + 0.1 * rng.normal(size=(400, 2)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 5, 30])
def test_trustworthiness_is_that_of_scikit_learn(pair, k):
    assert trustworthiness(*pair, k=k) == pytest.approx(reference(*pair, n_neighbors=k), abs=1e-5)


def test_continuity_is_trustworthiness_with_the_spaces_exchanged(pair):
    X, Y = pair
    assert continuity(X, Y, k=5) == pytest.approx(reference(Y, X, n_neighbors=5), abs=1e-5)
    assert continuity(X, Y, k=5) > trustworthiness(X, Y, k=5)  # a projection tears nothing apart


def test_perfect_map_scores_one(pair):
    X, _ = pair
    for measure in (trustworthiness, continuity, neighbour_recall):
        assert measure(X, 3 * X + 1, k=10) == pytest.approx(1.0, abs=1e-3)


def test_random_map_recalls_by_chance(pair):
    X, _ = pair
    Y = np.random.default_rng(1).normal(size=(400, 2))
    assert neighbour_recall(X, Y, k=20) == pytest.approx(20 / 399, abs=0.01)
    assert trustworthiness(X, Y, k=20) == pytest.approx(0.5, abs=0.05)


def test_sample_estimates_the_whole(pair):
    rng = np.random.default_rng(2)
    for measure in (trustworthiness, continuity, neighbour_recall):
        assert measure(*pair, n_sample=200, rng=rng) == pytest.approx(measure(*pair), abs=0.03)


def test_duplicates_do_no_harm():
    X = np.repeat(np.random.default_rng(3).normal(size=(10, 3)), 8, axis=0)
    assert trustworthiness(X, X, k=5) == 1.0


def test_errors_say_what_was_found(pair):
    X, Y = pair
    with pytest.raises(DataError, match="X has 400 rows, Y 399"):
        neighbour_recall(X, Y[1:])
    with pytest.raises(DataError, match="below half of the 400 points"):
        trustworthiness(X, Y, k=200)


def test_purity_counts_rare_classes_as_much_as_common_ones():
    places = np.r_[np.arange(90.0), 1000 + np.arange(10.0)][:, None]
    apart = np.r_[np.zeros(90), np.ones(10)]
    assert class_purity(places, apart, k=3) == 1.0
    mixed = apart.copy()
    mixed[90:95] = 0  # half of the island is of the common class
    assert class_purity(places, mixed, k=3) < 0.95
    assert class_purity(places, apart, k=3, n_sample=50) == 1.0


def test_vote_leaves_the_point_itself_out():
    places = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [11.5]])
    classes = np.array(["a", "a", "a", "b", "b", "b", "a"])
    voted = neighbours_vote(places, classes, k=3)
    assert voted[:3].tolist() == ["a", "a", "a"]
    assert voted[-1] == "b"


def test_shepard_correlation_is_one_for_a_scaled_copy_and_none_for_noise():
    X = np.random.default_rng(0).normal(size=(200, 2))
    assert shepard_correlation(X, 7 * X) == pytest.approx(1.0)
    noise = np.random.default_rng(1).normal(size=(200, 2))
    assert abs(shepard_correlation(X, noise)) < 0.1
    assert np.isnan(shepard_correlation(X, np.zeros((200, 2))))
