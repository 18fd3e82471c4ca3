"""Classes of light curves on a map, and the morphology value."""

import numpy as np
import pytest

from siderea.errors import DataError
from siderea.lightcurves.classes import (
    MORPHOLOGY_OF_WIDTH,
    PHASES,
    agreement,
    classify,
    features,
    morphology,
    normalised_curves,
)


def sample(n, seed=0):
    """Half narrow eclipses, half waves."""
    rng = np.random.default_rng(seed)
    rows, kinds = [], []
    for number in range(n):
        shift, amplitude = rng.random(), rng.uniform(0.1, 0.3)
        off = (PHASES - shift + 0.5) % 1 - 0.5
        if number % 2:
            dip = np.exp(-0.5 * (off / rng.uniform(0.02, 0.03)) ** 2)
        else:
            dip = 0.5 + 0.5 * np.cos(4 * np.pi * off)
        rows.append(1 - amplitude * dip)
        kinds.append("eclipse" if number % 2 else "wave")
    return np.array(rows), np.array(kinds)


def test_shape_is_freed_from_phase_and_scale():
    curves, _ = sample(2)
    other = 5 * (0.3 * np.roll(curves, 17, axis=1) + 2)
    one, _ = normalised_curves(curves)
    two, amplitude = normalised_curves(other)
    np.testing.assert_allclose(one[1], two[1], atol=1e-12)
    assert one.min() == 0
    assert one.max() == 1
    assert np.all(amplitude > 0)


def test_constant_and_unknown_curves_have_no_shape():
    shape, amplitude = normalised_curves(np.array([np.ones(100), np.full(100, np.nan)]))
    assert np.isnan(shape).all()
    assert np.isnan(amplitude).all()


def test_ten_times_the_amplitude_is_a_step_among_the_features():
    curves, _ = sample(2)
    shape, _ = normalised_curves(curves)
    step = features(shape, [0.1, 0.1]) - features(shape, [0.01, 0.1])
    assert step[0, -1] > 0.1
    assert np.all(step[:, :-1] == 0)


@pytest.mark.parametrize("method", ["dbscan", "hdbscan"])
def test_two_kinds_make_two_groups(method):
    curves, kinds = sample(160)
    curves = np.vstack((curves, np.ones(100)))
    found = classify(curves, method=method, smallest=20)
    table = agreement(found.group[:-1], kinds).set_index("kind")
    assert (table["purity"] > 0.95).all()
    assert (table["completeness"] > 0.95).all()
    assert np.all(found.group[:-1] >= 0)
    assert np.all(found.probability[:-1] > 0)
    assert found.group[-1] == -2
    assert np.isnan(found.probability[-1])
    assert np.isnan(found.place[-1]).all()
    assert found.mean.shape == found.spread.shape == (found.n_groups, 100)


def test_purity_and_completeness_by_hand():
    table = agreement([0, 0, 0, 1, 1, -1], ["a", "a", "b", "b", "b", "b"]).set_index("kind")
    assert table.loc["a", "purity"] == pytest.approx(2 / 3)
    assert table.loc["a", "completeness"] == 1
    assert table.loc["b", "purity"] == 1
    assert table.loc["b", "completeness"] == pytest.approx(0.5)


def test_few_curves_and_unknown_methods_are_refused():
    curves, _ = sample(8)
    with pytest.raises(DataError, match="at least 10"):
        classify(curves)
    curves, _ = sample(30)
    with pytest.raises(DataError, match="method"):
        classify(curves, method="kmeans")


def test_morphology_grows_with_width():
    widths = np.array(MORPHOLOGY_OF_WIDTH[0])
    np.testing.assert_allclose(morphology(widths), MORPHOLOGY_OF_WIDTH[1])
    assert np.all(np.diff(MORPHOLOGY_OF_WIDTH, axis=1) > 0)
    assert float(morphology([[0.1, 0.02]])[0]) == pytest.approx(float(morphology([0.06])[0]))
    assert np.isnan(morphology([np.nan]))[0]
