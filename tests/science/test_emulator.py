"""What must be true of the emulator whatever it was trained on, and how well it was trained."""

import numpy as np
import pytest
import torch

from siderea.data import Spectra
from siderea.io.galah import GRID
from siderea.models.emulator import load_default
from siderea.models.emulator_training import held_out, measure
from siderea.spectra.broadening import macroturbulent, rotational, to_resolution
from siderea.spectra.doppler import doppler_factor
from siderea.spectra.resample import interpolate
from siderea.spectra.wavelength import log_grid

LABELS = np.array(
    [
        [5772, 4.44, 0.0, 0.0, 1.1],
        [4600, 2.2, 0.2, 0.0, 1.5],
        [6500, 4.1, -1.0, 0.3, 1.6],
        [5000, 3.0, -2.0, 0.4, 1.4],
    ]
)


@pytest.fixture(scope="module")
def emulator():
    return load_default()


@pytest.fixture(scope="module")
def model(emulator):
    extra = ("vsini", "vmac", "rv")
    return emulator.at(
        GRID.wavelength, resolution=28_000, medium="air", arms=GRID.arms, extra_labels=extra
    )


def slow_reference(emulator, labels, vsini, vmac, rv):
    """Broaden, shift and resample one spectrum step by step, on a fine grid."""
    native, pieces = emulator.predict(labels[None])[0].astype(float), []
    for arm, pixels in zip(emulator.arms, GRID.arms, strict=True):
        wavelength = emulator.wavelength[arm]
        n = int(299_792 / 0.5 * np.log(wavelength[-1] / wavelength[0]))
        grid = log_grid(wavelength[0], n, 0.5)
        flux = interpolate(wavelength, native[None, arm], np.ones((1, wavelength.size)), grid)[0]
        flux = macroturbulent(rotational(flux, 0.5, vsini), 0.5, vmac)
        seen = Spectra(grid * doppler_factor(rv), flux, np.ones_like(flux), "air")
        seen = to_resolution(seen, 28_000, from_resolution=1e9)
        target = GRID.wavelength[pixels]
        pieces.append(interpolate(seen.wavelength, seen.flux, seen.ivar, target)[0][0])
    return np.concatenate(pieces)


@pytest.mark.parametrize("velocities", [(0, 0, 0), (4, 3, 25), (60, 10, -150)])
@pytest.mark.parametrize("star", range(len(LABELS)))
def test_fast_way_is_the_slow_way(emulator, model, star, velocities):
    fast = model.predict([[*LABELS[star], *velocities]])[0]
    difference = np.abs(fast - slow_reference(emulator, LABELS[star], *velocities))
    assert difference.max() < 1e-3  # interpolation of the narrowest lines, where vsini is 0
    assert np.median(difference) < 1e-5


def test_no_velocity_is_no_change(emulator, model):
    plain = emulator.at(GRID.wavelength, resolution=28_000, medium="air", arms=GRID.arms)
    still = np.concatenate([LABELS, np.zeros((4, 3))], axis=1)
    np.testing.assert_allclose(model.predict(still), plain.predict(LABELS), atol=2e-6)


def test_broadening_conserves_equivalent_width(model):
    broad = np.concatenate([LABELS, np.tile([80.0, 0, 0], (4, 1))], axis=1)
    still = np.concatenate([LABELS, np.zeros((4, 3))], axis=1)
    for arm in model.arms:
        depth = 1 - model.predict(np.concatenate([still, broad]))[:, arm].astype(float)
        width = depth.sum(axis=1)
        # What crosses the ends of the arm is all that may differ.
        np.testing.assert_allclose(width[:4], width[4:], rtol=0.02, atol=1.0)


def test_a_shift_is_a_shift(model):
    """One pixel of the grid is 2.85 km/s: moved by ten, the spectrum is its own copy."""
    rv = 299_792.458 * np.tanh(28.5 / 299_792.458)
    labels = np.concatenate([np.tile(LABELS[0], (2, 1)), [[5, 0, 0], [5, 0, rv]]], axis=1)
    still, moved = model.predict(labels)
    for arm in model.arms:
        np.testing.assert_allclose(moved[arm][10:], still[arm][:-10], atol=3e-6)


def test_hotter_stars_are_brighter_and_bluer(model):
    labels = np.array([[t, 4.4, 0, 0, 1.2, 0, 0, 0] for t in (5000, 5500, 6000, 6500)])
    density = model.flux_density(labels)
    level = np.array([density[:, arm].mean(axis=1) for arm in model.arms])
    assert (np.diff(level, axis=1) > 0).all()
    assert (np.diff(level[0] / level[3]) > 0).all()


def test_labels_are_recovered_from_noisy_spectra(emulator):
    """Gauss-Newton from 100 K away at S/N 100: unbiased, within the error that is predicted."""
    model = emulator.at(
        GRID.wavelength, resolution=28_000, medium="air", extra_labels=("vsini", "rv")
    )
    rng = np.random.default_rng(0)
    truth = torch.tensor([5600.0, 4.2, -0.3, 0.1, 1.2, 12.0, 12.0], dtype=torch.float64)
    clean = model.normalised(truth[None])[0]
    pulls = []
    for _ in range(12):
        data = clean + 0.01 * torch.from_numpy(rng.normal(size=clean.shape))
        x = truth + torch.tensor([100, 0.1, 0.1, 0.05, 0.1, 1.0, 2.0], dtype=torch.float64)
        for _ in range(6):
            slope = _jacobian(model, x)
            x = x + torch.linalg.lstsq(slope, data - model.normalised(x[None])[0]).solution
        error = 0.01 * torch.sqrt(torch.diagonal(torch.linalg.inv(slope.T @ slope)))
        pulls.append(((x - truth) / error).numpy())
    chi2 = float(np.sum(np.square(pulls)))
    assert 49 < chi2 < 134  # 84 degrees of freedom: once in a thousand beyond
    assert np.abs(np.mean(pulls, axis=0)).max() < 1.0


def _jacobian(model, x):
    steps = torch.tensor([1.0, 1e-3, 1e-3, 1e-3, 1e-3, 1e-2, 1e-2], dtype=torch.float64)
    moved = model.normalised(torch.cat([x + torch.diag(steps), x - torch.diag(steps)]))
    return ((moved[:7] - moved[7:]) / (2 * steps[:, None])).T


@pytest.mark.realdata
def test_spectra_never_trained_on_are_reproduced(emulator, real_data):
    from siderea.io.spectral_grid import read_grid

    if not (real_data / "synthetic_galah_grid").is_dir():
        pytest.skip("no synthetic_galah_grid in the real data")
    grid = read_grid(real_data / "synthetic_galah_grid")
    rest = grid[held_out(len(grid))]
    if grid[~held_out(len(grid))].sha256() != emulator.metadata["training_set_sha256"]:
        rest = grid  # another sample of the same grid: none of it was trained on as such
    accuracy = measure(emulator, rest, resolution=28_000)
    assert accuracy.median <= 0.002
    assert accuracy.rms_99 <= 0.01
    assert np.median(accuracy.continuum) < 0.01
