"""Groups of a map: pieces, votes, mergers."""

import numpy as np
import pytest

from siderea.lightcurves.groups import groups_of, merged, pieces_of, voted


def islands(sizes, width=1.0, seed=1):
    """Islands far apart, largest first in the answer whatever their order."""
    rng = np.random.default_rng(seed)
    spots = [rng.normal(80 * k, width, (n, 2)) for k, n in enumerate(sizes)]
    return np.concatenate(spots), np.repeat(np.arange(len(sizes)), sizes)


def test_pieces_are_numbered_by_size_and_small_ones_are_none():
    spots, island = islands((60, 100, 12))
    piece = pieces_of(spots, smallest=20)
    assert np.median(piece[island == 1]) == 0
    assert np.median(piece[island == 0]) == 1
    assert np.all(piece[island == 2] == -1)


@pytest.mark.parametrize("method", ["dbscan", "hdbscan"])
def test_every_curve_is_in_a_group(method):
    spots, island = islands((200, 100, 60))
    group, probability = groups_of(spots, spots, method=method, most=3)
    assert np.all(group >= 0)
    assert np.all(probability == 1.0)
    for number in range(3):
        assert len(np.unique(group[island == number])) == 1


def test_the_more_alike_are_merged_first():
    features = np.repeat([[0.0], [1.0], [10.0]], 20, axis=0)
    piece = np.repeat([0, 1, 2], 20)
    two = merged(piece, features, 2)
    assert np.all(two[:40] == 0)
    assert np.all(two[40:] == 1)
    assert np.all(merged(piece, features, 1) == 0)
    np.testing.assert_array_equal(merged(piece, features, 3), piece)


def test_a_large_pair_costs_more_to_merge_than_a_small_one():
    """n1 n2/(n1 + n2) d²: 100 · ½ · 1² against 1 · 1.5²."""
    features = np.concatenate((np.zeros(100), np.ones(100), [10.0, 11.5]))[:, None]
    piece = np.repeat([0, 1, 2, 3], [100, 100, 1, 1])
    three = merged(piece, features, 3)
    assert three[0] != three[100]
    assert three[200] == three[201]


def test_votes_take_in_what_is_in_no_group():
    features = np.concatenate((np.linspace(0, 1, 12), np.linspace(5, 6, 12), [1.5, 4.0, 3.0]))
    group, probability = voted(np.repeat([0, 1, -1], [12, 12, 3]), features[:, None])
    assert list(group[-3:-1]) == [0, 1]
    assert probability[-3] == 1.0
    assert 0.4 <= probability[-1] <= 0.6
    assert np.all(probability[:10] == 1.0)


def test_equal_curves_do_not_vote_on_themselves():
    group, probability = voted(np.repeat([0, 1], 20), np.zeros((40, 1)))
    np.testing.assert_array_equal(group, np.repeat([0, 1], 20))
    assert probability.mean() < 1.0  # the twenty of one group are all near some of the other


def test_a_map_without_a_dense_part_has_no_group():
    spots = np.arange(24.0).reshape(12, 2)
    group, probability = groups_of(spots, spots, smallest=100)
    assert np.all(group == -1)
    assert np.isnan(probability).all()
