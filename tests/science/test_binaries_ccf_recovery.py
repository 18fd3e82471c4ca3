"""Cross-correlation on simulated GALAH spectra: who is found, who must not be, and the velocities.

The templates are of the emulator that the simulation is made with; their labels are not the stars'.
"""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from siderea.binaries.detect import detect_ccf
from siderea.binaries.templates import emulator_templates
from siderea.simulate.spectra import TableOfStars, simulate_spectra


@pytest.fixture(scope="module")
def found(given):
    rng = np.random.default_rng(20)
    rows = []
    for number in range(96):
        teff = rng.uniform(5000, 6300)
        star = {"teff": teff, "logg": 4.4, "fe_h": rng.uniform(-0.8, 0.2), "snr": 60.0}
        if number < 24:
            star["vsini"] = rng.uniform(1, 8)
        elif number < 48:
            star["vsini"] = rng.uniform(20, 60)
        else:
            dv, cooler = rng.uniform(25, 120), rng.uniform(0, 600)
            star |= given.TWIN | {"teff_2": teff - cooler, "vsini": rng.uniform(1, 8)}
            star |= {"rv_1": -dv / 2, "rv_2": dv / 2, "dv": dv, "radius_2": 1 - cooler / 4000}
        rows.append(star)
    stars = TableOfStars(given.table(*rows))
    spectra, truth = simulate_spectra(len(rows), rng=4, population=stars)
    return detect_ccf(spectra), truth


def test_no_single_star_is_a_binary_however_fast_it_rotates(found):
    table, truth = found
    single = truth["n_stars"] == 1
    assert (table["n_components"][single] == 1).all()


def test_resolved_binaries_are_found(found):
    table, truth = found
    bright = (truth["share_2"] / (1 - truth["share_2"]) >= 0.3) & (truth["n_stars"] == 2)
    assert bright.sum() > 30
    assert (table["n_components"][bright] == 2).mean() >= 0.95


def test_their_velocities_are_right(found):
    table, truth = found
    both = (table["n_components"] == 2).to_numpy()
    got = np.sort(table.loc[both, ["rv_1", "rv_2"]].to_numpy(), axis=1)
    true = np.sort(truth.loc[both, ["rv_1", "rv_2"]].to_numpy(), axis=1)
    true = true - truth.loc[both, ["rv_measured"]].to_numpy()
    assert np.median(np.abs(got - true)) < 0.3
    assert np.abs(got - true).max() < 3.0


@pytest.fixture(scope="module")
def rotators(given):
    """Single stars and pairs of v sin i 20 to 55 km/s; lines of the templates are wrong by 30 %."""
    rng = np.random.default_rng(31)
    rows = []
    for number in range(96):
        teff = rng.uniform(5200, 6600)
        star = {"teff": teff, "logg": 4.3, "fe_h": rng.uniform(-0.6, 0.2), "snr": 80.0}
        star["vsini"] = rng.uniform(20, 55)
        if number >= 48:
            dv, cooler = rng.uniform(28, 55), rng.uniform(0, 500)
            star |= given.TWIN | {"teff_2": teff - cooler, "vsini": star["vsini"]}
            star |= {"vsini_2": rng.uniform(20, 55), "radius_2": 1 - cooler / 4000}
            star |= {"rv_1": -dv / 2, "rv_2": dv / 2, "dv": dv}
        rows.append(star)
    stars = TableOfStars(given.table(*rows))
    spectra, truth = simulate_spectra(len(rows), rng=5, population=stars)
    factor = gaussian_filter1d(rng.normal(size=spectra.n_pixels), 3.0)
    wrong = 1 - (1 - emulator_templates(spectra)) * np.exp(0.3 * factor / factor.std())
    return detect_ccf(spectra, templates=wrong), truth


def test_two_rotators_in_one_profile_are_found(rotators):
    table, truth = rotators
    two = truth["n_stars"] == 2
    assert (table["n_components"][two] == 2).mean() >= 0.9


def test_one_rotator_is_not_two_however_wrong_the_lines(rotators):
    table, truth = rotators
    assert (table["n_components"][truth["n_stars"] == 1] == 1).all()
