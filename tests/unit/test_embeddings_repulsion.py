import numpy as np
import pytest
from openTSNE import _tsne

from siderea.embeddings.affinities import ordered_affinities
from siderea.embeddings.descent import Descent, tree_repulsion
from siderea.embeddings.neighbours import kneighbours
from siderea.embeddings.repulsion import GridRepulsion
from siderea.embeddings.second_pass import islands, standing_apart
from siderea.errors import DataError


def exact(places):
    """Sums over all pairs, written out."""
    offset = places[:, None] - places[None]
    q = 1.0 / (1.0 + (offset**2).sum(axis=-1))
    return q.sum() - len(places), (q[..., None] ** 2 * offset).sum(axis=1)


@pytest.mark.parametrize("spread", [1e-4, 0.5, 10.0, 60.0])
def test_forces_are_those_of_all_pairs(spread):
    places = np.random.default_rng(0).normal(0, spread, (600, 2)) * [1.0, 0.3]
    total, force = GridRepulsion()(places)
    true_total, true_force = exact(places)
    assert total == pytest.approx(true_total, rel=1e-2)
    error = np.sqrt(((force - true_force) ** 2).sum(axis=1).mean())
    assert error < 0.03 * np.sqrt((true_force**2).sum(axis=1).mean())


def test_forces_are_nearer_to_the_exact_ones_than_those_of_opentsne_grid():
    places = np.random.default_rng(1).uniform(-40, 40, (2000, 2))
    _, force = GridRepulsion()(places)
    _, true_force = exact(places)
    theirs = np.zeros_like(places)
    total = _tsne.estimate_negative_gradient_fft_2d(places, theirs, dof=1)
    errors = [np.abs(f - true_force).mean() for f in (force, -total * theirs)]
    assert errors[0] < errors[1]


def test_grid_that_grew_gives_the_same_as_a_fresh_one():
    rng = np.random.default_rng(2)
    used = GridRepulsion()
    for spread in (1.0, 30.0, 5.0):
        places = rng.normal(0, spread, (300, 2))
        np.testing.assert_array_equal(used(places)[1], GridRepulsion()(places)[1])


def test_points_in_one_place_do_not_push():
    total, force = GridRepulsion()(np.zeros((50, 2)))
    assert total == pytest.approx(50 * 49, rel=1e-3)
    np.testing.assert_allclose(force, 0.0, atol=1e-3)


def test_islands_are_what_is_small_and_unconnected():
    rng = np.random.default_rng(3)
    sea = rng.uniform(-10, 10, (900, 2))
    island = rng.uniform([39, -1], [41, 1], (30, 2))
    lone = np.array([[0.0, 60.0]])
    apart = islands(np.vstack([sea, island, lone]))
    assert not apart[:900].any()
    assert apart[900:].all()
    assert not islands(sea).any()
    with pytest.raises(DataError, match="main_share"):
        islands(sea, main_share=0.0)


def test_too_few_islands_are_topped_up_by_the_loosest_points():
    rng = np.random.default_rng(4)
    sea = rng.uniform(-10, 10, (400, 2))
    X = rng.normal(0, 1, (400, 5))
    X[:10] *= 20
    chosen = standing_apart(sea, kneighbours(X, 10), least=20)
    assert chosen.sum() == 20
    assert chosen[:10].all()


def test_gradient_of_the_descent_is_that_of_its_divergence():
    """Exaggeration 1 and small steps: the divergence falls by what the gradient says."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(200, 4))
    _, P = ordered_affinities(kneighbours(X, 30), 10, threads=1)
    for repulsion in (GridRepulsion(), tree_repulsion(1)):
        descent = Descent(rng.normal(0, 3, (200, 2)), P, repulsion)
        before, gradient = descent._gradient(1.0, divergence=True)
        step = 1e-2 / np.abs(gradient).max()
        descent.places -= step * gradient
        after, _ = descent._gradient(1.0, divergence=True)
        # openTSNE leaves the factor 4 of the gradient to the learning rate.
        assert before - after == pytest.approx(4 * step * (gradient**2).sum(), rel=0.1)
