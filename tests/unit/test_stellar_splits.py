"""No star, sky block or repeated measurement is ever on both sides of a split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.errors import DataError
from siderea.stellar.splits import folds, groups_of, held_out_mask, repeated_rows, sky_blocks


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=60, max_size=200), st.integers(2, 5))
def test_a_group_has_one_fold_and_one_side(groups, n_folds):
    groups = np.array([*groups, *range(31)])
    fold, mask = folds(groups, n_folds, seed=3), held_out_mask(groups, seed=3)
    for group in np.unique(groups):
        assert len(set(fold[groups == group])) == 1
        assert len(set(mask[groups == group])) == 1
    assert set(fold) == set(range(n_folds))


def test_groups_are_joined_through_any_link():
    star = np.array(["a", "a", "b", "c", "d"])
    block = np.array([1, 2, 2, 3, 4])
    joined = groups_of(star, block)
    assert joined[0] == joined[1] == joined[2]
    assert len(set(joined)) == 3


def test_repeated_rows_with_missing_values_are_one_group():
    rows = repeated_rows([[1.0, np.nan], [1.0, np.nan], [1.0, 2.0]])
    assert rows[0] == rows[1] != rows[2]


def test_sky_blocks_are_small_and_of_even_area():
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    block = sky_blocks(ra, dec, size=10)
    assert 380 < len(set(block)) < 460  # 41253 / 100 square degrees
    inside = block == block[0]
    assert np.ptp(dec[inside]) <= 10
    assert len(set(sky_blocks([np.nan, np.nan, 1.0], [np.nan, 1.0, 1.0]))) == 3


def test_too_few_groups_are_refused():
    with pytest.raises(DataError, match="found 2"):
        folds([1, 1, 2], 3)
