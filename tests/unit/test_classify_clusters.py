import numpy as np
import pytest

from siderea.classify.clusters import HDBSCAN_MAX, knee, map_clusters
from siderea.errors import DataError


def islands(sizes=(300, 150, 80), noise=20, seed=0):
    rng = np.random.default_rng(seed)
    centres = [(0.0, 0.0), (20.0, 0.0), (0.0, 20.0)]
    pieces = [rng.normal(c, 1.0, (n, 2)) for c, n in zip(centres, sizes, strict=True)]
    lonely = rng.uniform(-40, 60, (noise, 2))
    truth = np.repeat([0, 1, 2, -1], [*sizes, noise])
    return np.concatenate([*pieces, lonely]), truth


@pytest.mark.parametrize("method", ["dbscan", "hdbscan"])
def test_islands_are_found_numbered_by_size_and_what_is_off_the_map_is_in_none(method):
    places, truth = islands()
    places = np.concatenate([places, [[np.nan, 1.0]]])
    found = map_clusters(places, method=method)
    assert found.labels[-1] == -1
    assert np.all(np.diff(found.sizes) <= 0)
    assert found.sizes.tolist() == np.bincount(found.labels[found.labels >= 0]).tolist()
    for island in range(3):
        members = found.labels[:-1][truth == island]
        assert np.mean(members == island) > 0.8
    if method == "dbscan":
        assert 0.3 < found.eps < 3.0
    else:
        assert np.isnan(found.eps)


def test_the_radius_scales_with_the_map_and_can_be_given():
    places, _ = islands()
    one = map_clusters(places)
    assert map_clusters(10 * places).eps == pytest.approx(10 * one.eps)
    assert np.array_equal(map_clusters(10 * places).labels, one.labels)
    assert map_clusters(places, eps=1e-6).sizes.size == 0


def test_the_knee_is_where_the_curve_turns_up():
    curve = np.concatenate([np.linspace(1.0, 1.2, 95), np.linspace(1.5, 9.0, 5)])
    assert 1.1 < knee(curve) < 1.6


def test_points_all_in_one_place():
    found = map_clusters(np.zeros((50, 2)))
    assert found.sizes.tolist() == [50]


def test_options_that_cannot_work():
    places, _ = islands()
    with pytest.raises(DataError, match=r"expected \(N, 2\)"):
        map_clusters(places[:, :1])
    with pytest.raises(DataError, match="expected one of dbscan, hdbscan"):
        map_clusters(places, method="kmeans")
    with pytest.raises(DataError, match="5 on the map; expected more"):
        map_clusters(places[:5])
    with pytest.raises(DataError, match="use dbscan"):
        map_clusters(np.zeros((HDBSCAN_MAX + 1, 2)), method="hdbscan")
    with pytest.raises(DataError, match="min_points 1"):
        map_clusters(places, min_points=1)
