import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.classify.calibration import (
    class_shares,
    expected_calibration_error,
    probabilities,
    temperature,
)
from siderea.classify.propagation import MIN_LABELS, ClassFlag, LabelPropagator
from siderea.classify.review import review_queue
from siderea.errors import DataError

NAMES = np.array(["NOR", "BIN", "HFR"], dtype=object)
SHARES = (0.8, 0.15, 0.05)


def sample(n=2000, apart=4.0, columns=10, seed=0):
    """Three Gaussian classes of unequal shares in ten columns of unequal scale."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, n, p=SHARES)
    points = rng.normal(0, 1, (n, columns))
    points[:, 1] += apart * (codes == 1)
    points[:, 2] += apart * (codes == 2)
    return points * np.geomspace(30, 0.3, columns), codes


def labelled(codes, per_class=20, seed=1):
    rng = np.random.default_rng(seed)
    labels = np.full(codes.size, None, dtype=object)
    for c, name in enumerate(NAMES):
        labels[rng.permutation(np.flatnonzero(codes == c))[:per_class]] = name
    return labels


def test_twenty_labels_each_reach_all():
    points, codes = sample()
    found = LabelPropagator().fit(points, labelled(codes)).predict(points)
    assert found.classes == ("BIN", "HFR", "NOR")
    best = np.array(found.classes, dtype=object)[found.probability.argmax(axis=1)]
    for c, name in enumerate(NAMES):
        assert np.mean(best[codes == c] == name) > 0.9
    np.testing.assert_allclose(found.probability.sum(axis=1), 1.0)
    assert np.all((found.margin >= 0) & (found.margin <= found.confidence))


def test_the_neighbours_check_the_classifier():
    points, codes = sample()
    found = LabelPropagator().fit(points, labelled(codes)).predict(points)
    best = np.array(found.classes, dtype=object)[found.probability.argmax(axis=1)]
    disagrees = (found.flags & ClassFlag.DISAGREE) != 0
    assert np.array_equal(disagrees, found.neighbour_label != best)
    assert np.mean(best[~disagrees] == NAMES[codes[~disagrees]]) > np.mean(
        best[disagrees] == NAMES[codes[disagrees]]
    )


def test_what_is_unlike_all_labels_gets_no_class():
    points, codes = sample()
    strange = points[:50] + 40.0 * points.std(axis=0) * np.eye(10)[5]
    both = np.vstack([points, strange])
    found = LabelPropagator().fit(points, labelled(codes, 50)).predict(both)
    assert all(one is None for one in found.label[-50:])
    assert np.all(found.flags[-50:] & ClassFlag.NOVEL)
    novel = (found.flags[:-50] & ClassFlag.NOVEL) != 0
    assert novel.mean() < 0.05


def test_doubt_gets_no_class():
    points, codes = sample(apart=0.7)
    found = LabelPropagator(min_probability=0.7).fit(points, labelled(codes)).predict(points)
    unsure = (found.flags & ClassFlag.UNSURE) != 0
    assert unsure.mean() > 0.2
    assert all(one is None for one in found.label[unsure])
    assert np.all(found.confidence[~unsure] >= 0.7)


def test_units_of_the_features_do_not_matter_in_common():
    points, codes = sample(500)
    labels = labelled(codes)
    one = LabelPropagator().fit(points, labels).predict(points)
    other = LabelPropagator().fit(1000 * points, labels).predict(1000 * points)
    np.testing.assert_allclose(one.probability, other.probability, atol=1e-3)


def test_too_few_labels_of_a_class_leave_it_out_by_name():
    points, codes = sample()
    labels = labelled(codes)
    labels[np.flatnonzero(labels == "HFR")[MIN_LABELS - 1 :]] = None
    learner = LabelPropagator().fit(points, labels)
    assert learner.classes_ == ("BIN", "NOR")
    assert learner.left_out_ == {"HFR": MIN_LABELS - 1}


def test_nothing_to_learn_from_is_said():
    points, codes = sample(200)
    nobody = np.full(200, None, dtype=object)
    with pytest.raises(DataError, match="found none"):
        LabelPropagator().fit(points, nobody)
    with pytest.raises(DataError, match=r"found BIN 200; expected at least two classes"):
        LabelPropagator().fit(points, np.full(200, "BIN", dtype=object))
    few = nobody.copy()
    few[:4], few[4:8] = "NOR", "BIN"
    with pytest.raises(DataError, match="BIN 4, NOR 4"):
        LabelPropagator().fit(points, few)
    with pytest.raises(DataError, match=r"expected \(200,\)"):
        LabelPropagator().fit(points, nobody[:5])
    broken = points.copy()
    broken[3, 3] = np.nan
    with pytest.raises(DataError, match="NaN"):
        LabelPropagator().fit(broken, labelled(codes))
    with pytest.raises(DataError, match="found 3; expected 10"):
        LabelPropagator().fit(points, labelled(codes)).predict(points[:, :3])
    with pytest.raises(DataError, match="expected 'equal' or 'estimated'"):
        LabelPropagator(shares="some")
    with pytest.raises(DataError, match="min_probability 1"):
        LabelPropagator(min_probability=1.0)


def test_constant_columns_and_duplicates_do_no_harm():
    points, codes = sample(400)
    points = np.column_stack([points, np.full(400, 3.0)])
    points[:50] = points[0]
    found = LabelPropagator().fit(points, labelled(codes)).predict(points)
    assert np.isfinite(found.probability).all()


def test_probabilities_are_what_they_say():
    """Where classes overlap, of the spectra said to be right at p, a share p is right."""
    points, codes = sample(6000, apart=2.0)
    learner = LabelPropagator(shares="estimated").fit(points, labelled(codes, 60))
    found = learner.predict(points)
    np.testing.assert_allclose(learner.shares_, np.array(SHARES)[[1, 2, 0]], atol=0.05)
    best = np.array(found.classes, dtype=object)[found.probability.argmax(axis=1)]
    assert expected_calibration_error(found.confidence, best == NAMES[codes]) < 0.08


def test_a_temperature_undoes_an_exaggeration():
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (5000, 3))
    honest = probabilities(scores)
    classes = (honest.cumsum(axis=1) > rng.random((5000, 1))).argmax(axis=1)
    assert temperature(scores, classes) == pytest.approx(1.0, abs=0.06)
    assert temperature(5 * scores, classes) == pytest.approx(5.0, abs=0.3)


@given(st.integers(0, 1000))
@settings(max_examples=10)
def test_shares_are_found_from_balanced_probabilities(seed):
    rng = np.random.default_rng(seed)
    true = rng.dirichlet([2.0, 2.0, 2.0])
    codes = rng.choice(3, 20_000, p=true)
    x = rng.normal(0, 1, (codes.size, 3)) + 3.0 * np.eye(3)[codes]
    found = class_shares(probabilities(3.0 * x))  # the exact balanced log-odds
    np.testing.assert_allclose(found, true, atol=0.03)


def test_the_queue_asks_about_doubtful_spectra_and_no_two_alike():
    rng = np.random.default_rng(0)
    points = np.repeat(rng.normal(0, 10, (40, 3)), 25, axis=0) + rng.normal(0, 0.01, (1000, 3))
    margin = rng.uniform(0.5, 1.0, 1000)
    doubtful = np.arange(0, 250)  # ten groups of duplicates
    margin[doubtful] = 0.0004 * doubtful  # the least doubtful of a group before the next group's
    chosen = review_queue(margin, points, size=10)
    assert len(set(chosen.tolist())) == 10
    groups = chosen // 25
    # the pool is the fifty smallest margins, of two groups; those ten alone would be of one
    assert set(groups.tolist()) == {0, 1}
    assert np.all(margin[chosen] < 0.5)


def test_the_queue_leaves_out_what_is_labelled_and_gives_a_share_to_the_strange():
    rng = np.random.default_rng(0)
    points, margin = rng.normal(size=(300, 4)), rng.random(300)
    margin[7] = np.nan
    novelty = np.ones(300)
    novelty[[11, 12]] = 0.001
    skip = np.arange(300) < 11
    chosen = review_queue(margin, points, size=20, skip=skip, novelty=novelty)
    assert chosen.size == 20
    assert not set(chosen.tolist()) & set(range(11))
    assert {11, 12} <= set(chosen.tolist())
    assert review_queue(margin, points, size=1000, skip=skip).size == 289
    with pytest.raises(DataError, match="size 0"):
        review_queue(margin, points, size=0)
