from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from siderea.errors import DataError
from siderea.models.emulator import Emulator, load_default
from siderea.models.emulator_molecules import Molecules, train_molecules
from siderea.models.emulator_training import SpectralGrid


@pytest.fixture(scope="module")
def both():
    return load_default(), load_default(molecules=True)


def darker(both, labels):
    """Mean darkening of each arm by molecules."""
    atoms, molecules = (model.predict([labels])[0] for model in both)
    return np.array([(atoms - molecules)[arm].mean() for arm in both[0].arms])


def test_cyanogen_darkens_the_red_of_cool_metal_rich_giants(both):
    giant = darker(both, [4500.0, 2.4, 0.3, 0.0, 1.3])
    assert (giant[2:] > 0.015).all()
    assert (giant < 0.1).all()
    poor = darker(both, [4500.0, 2.4, -1.5, 0.0, 1.3])
    assert (giant[2:] > 8 * np.abs(poor[2:])).all()


def test_hot_stars_have_hardly_any_molecules(both):
    assert np.abs(darker(both, [6800.0, 4.2, 0.0, 0.0, 1.6])).max() < 1.5e-3


def test_what_is_shipped_stays_below_ten_megabytes():
    folder = resources.files("siderea.models") / "data"
    size = sum(len(path.read_bytes()) for path in folder.iterdir() if path.is_file())
    assert size < 10_000_000


def test_other_wavelengths_are_refused(both):
    other = replace(both[0], wavelength=both[0].wavelength + 1)
    molecules = Molecules(both[0].wavelength, *[None] * 4)
    with pytest.raises(DataError, match="molecules"):
        molecules.added_to(other)


def test_an_emulator_with_molecules_is_not_saved_as_one_without(both):
    with pytest.raises(DataError, match="without"):
        both[1].state()


def grid(n=60):
    rng = np.random.default_rng(0)
    low, high = np.array([[4500, 1, -1, 0, 1], [6500, 4.5, 0.4, 0.3, 2]])
    labels = rng.uniform(low, high, (n, 5))
    wavelength = 5000 + 0.03 * np.arange(400)
    flux = 1 - 0.3 * np.exp(-0.5 * ((np.arange(400) - 200) / 5) ** 2) * (labels[:, 2:3] + 1.5)
    points = wavelength[[0, 199, 399]][None]
    return SpectralGrid(
        labels, wavelength, (slice(0, 400),), ("green",), flux, points, np.ones((n, 1, 3)), "air"
    )


def band(labels):
    """Return an optical depth that is exponential in the labels."""
    strength = np.exp(12 * (5040 / labels[:, :1] - 1) + 2 * labels[:, 2:3])
    return strength * (0.02 + 0.1 * (np.arange(400) % 7 == 0))


def test_few_spectra_tell_the_molecules_of_all():
    every = grid()
    rows = np.arange(0, 60, 3)
    with_them = every.flux * np.exp(-band(every.labels))
    learnt = train_molecules(every, rows, with_them[rows])
    assert learnt.metadata["metrics"]["leave_one_out_share_of_power"] < 0.05
    again = Molecules.from_state(*learnt.state())
    model = Emulator(
        every.wavelength, every.arms, every.arm_names, np.zeros(400, np.float32),
        np.zeros((0, 400), np.float16), _nothing, None, _range(every), "air",
    )  # fmt: skip
    unseen = np.setdiff1d(np.arange(60), rows)
    change = again.added_to(model).predict(every.labels)[unseen]
    expected = (with_them - every.flux)[unseen]
    assert np.sqrt(((change - expected) ** 2).sum() / (expected**2).sum()) < 0.2


def _nothing(inputs):
    return inputs[:, :0]


def _range(every):
    return np.stack([every.labels.min(0), every.labels.max(0)], axis=1)
