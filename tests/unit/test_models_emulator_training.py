import numpy as np
import pytest

from siderea.errors import DataError
from siderea.io import artefacts
from siderea.models.emulator import Emulator
from siderea.models.emulator_training import SpectralGrid, held_out, measure, train

RANGE = np.array([(4500, 6500), (2, 5), (-1, 0.4), (0, 0.4), (1, 2)])


def toy_grid(n: int, seed: int = 0) -> SpectralGrid:
    """Two arms of Gaussian lines whose depths depend smoothly on the labels."""
    rng = np.random.default_rng(seed)
    unit = rng.uniform(size=(n, 5))
    labels = RANGE[:, 0] + unit * np.ptp(RANGE, axis=1)
    wavelength = np.concatenate([np.arange(5000, 5030, 0.05), np.arange(6000, 6030, 0.05)])
    centres = rng.uniform(0, 30, 12) + np.repeat([5000, 6000], 6)
    mix = np.random.default_rng(99).normal(size=(5, 12))
    centres = np.random.default_rng(98).uniform(2, 28, 12) + np.repeat([5000, 6000], 6)
    depth = 0.4 / (1 + np.exp(-(unit - 0.5) @ mix))
    profiles = np.exp(-0.5 * ((wavelength - centres[:, None]) / 0.2) ** 2)
    points = np.stack([np.linspace(5000, 5029.95, 16), np.linspace(6000, 6029.95, 16)])
    level = np.log(labels[:, 0] / 5000)[:, None, None] * 4 + points / 5000
    return SpectralGrid(
        labels.astype(np.float32),
        wavelength,
        (slice(0, 600), slice(600, 1200)),
        ("one", "two"),
        (1 - depth @ profiles).astype(np.float32),
        points,
        np.exp(level),
        "air",
    )


@pytest.fixture(scope="module")
def trained() -> Emulator:
    return train(toy_grid(120), n_components=10, continuum_degree=2, label_range=RANGE)


def test_spectra_never_seen_are_reproduced(trained):
    accuracy = measure(trained, toy_grid(40, seed=1), resolution=28_000)
    assert accuracy.median < 1e-3
    assert accuracy.rms_99 < 5e-3
    assert accuracy.continuum.max() < 0.02


def test_the_measure_sees_a_wrong_spectrum(trained):
    grid = toy_grid(20, seed=1)
    grid.flux[:, 300:320] += 0.3
    assert measure(trained, grid).rms_99 > 0.02


def test_training_twice_gives_the_same(trained):
    again = train(toy_grid(120), n_components=10, continuum_degree=2, label_range=RANGE)
    np.testing.assert_array_equal(again.components, trained.components)
    np.testing.assert_array_equal(again.lines.weights, trained.lines.weights)


def test_artefact_round_trip(trained, tmp_path):
    artefacts.save(tmp_path / "toy", *trained.state())
    again = Emulator.from_state(*artefacts.load(tmp_path / "toy"))
    labels = toy_grid(5).labels
    np.testing.assert_array_equal(again.predict(labels), trained.predict(labels))
    np.testing.assert_array_equal(again.flux_density(labels), trained.flux_density(labels))


def test_label_range_is_what_was_covered_unless_given():
    grid = toy_grid(40)
    model = train(grid, n_components=5, continuum_degree=1)
    np.testing.assert_allclose(model.label_range[:, 0], grid.labels.min(axis=0))


def test_too_few_spectra_are_refused():
    with pytest.raises(DataError, match="found 20 spectra; expected more than 100"):
        train(toy_grid(20))


def test_held_out_is_a_fixed_tenth():
    mask = held_out(568)
    assert mask.sum() == 56
    np.testing.assert_array_equal(mask, held_out(568))
    assert not np.array_equal(mask, held_out(568, seed=1))
