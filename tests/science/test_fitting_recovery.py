"""Injection and recovery: what is put in comes out, with errors that mean what they say."""

import numpy as np
import pytest

from siderea.data import Spectra
from siderea.models.composite import Binary, Single, Triple
from siderea.models.fitting import fit
from siderea.models.pairing import FreeRadii
from siderea.models.renormalise import PseudoContinuum
from siderea.models.schematic import SchematicModel

PLACES = np.concatenate([np.arange(300), np.arange(330, 600)])
WAVELENGTH = 6500.0 * np.exp(2e-5 * PLACES)
ARMS = (slice(0, 300), slice(300, 570))
PIXELS = np.random.default_rng(5).random(WAVELENGTH.size) < 0.4
MODEL = SchematicModel(WAVELENGTH, arms=ARMS, n_lines=50)
CONTINUUM = PseudoContinuum(ARMS, PIXELS, 4)


def observed(composite, truth, sigma, seed):
    clean = composite.predict(truth)
    flux = clean + np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return Spectra(WAVELENGTH, flux, np.full(flux.shape, sigma**-2), "vacuum", arms=ARMS)


def binaries(n, seed):
    rng = np.random.default_rng(seed)
    dv = rng.uniform(0, 100, n) * rng.choice([-1, 1], n)
    rv = rng.uniform(-50, 50, n)
    columns = [
        rng.uniform(5200, 6800, n),
        rng.uniform(4.1, 4.6, n),
        rng.uniform(-0.6, 0.3, n),
        rng.uniform(0.6, 0.98, n),
        rng.uniform(3, 15, n),
        rng.uniform(3, 15, n),
        rv - 0.5 * dv,
        rv + 0.5 * dv,
    ]
    return np.column_stack(columns)


def test_errors_of_single_stars_cover_the_truth():
    single = Single(MODEL, CONTINUUM)
    rng = np.random.default_rng(11)
    truth = np.tile([5700.0, 4.4, -0.1, 7.0, 0.0], (200, 1))
    truth[:, -1] = rng.uniform(-100, 100, 200)
    result = fit(observed(single, truth, 0.01, 12), single)
    pulls = (result.labels - truth) / result.errors
    assert (result.flags == 0).mean() > 0.98
    # 200 stars: the scatter of pulls is known to 5 %, their mean to 0.07; three of each.
    np.testing.assert_allclose(pulls.std(axis=0), 1.0, atol=0.16)
    np.testing.assert_allclose(pulls.mean(axis=0), 0.0, atol=0.22)
    expected = result.n_pixels - len(single.label_names)
    assert (result.chi2 / expected).mean() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_binary_ends_above_its_own_basin(seed):
    binary = Binary(MODEL, continuum=CONTINUUM)
    truth = binaries(30, seed)
    spectra = observed(binary, truth, 0.01, seed + 100)
    found = fit(spectra, binary)
    own = fit(spectra, binary, start=truth)
    assert (found.chi2 - own.chi2).max() < 25


def test_binary_explains_what_a_single_star_cannot():
    binary, single = Binary(MODEL, continuum=CONTINUUM), Single(MODEL, CONTINUUM)
    truth = binaries(16, 3)
    spectra = observed(binary, truth, 0.01, 4)
    gain = fit(spectra, single).chi2 - fit(spectra, binary).chi2
    apart = np.abs(truth[:, -1] - truth[:, -2]) > 20
    assert (gain > -1).all()
    assert (gain[apart] > 300).all()


def test_single_star_gains_nothing_from_a_second():
    binary, single = Binary(MODEL, continuum=CONTINUUM), Single(MODEL, CONTINUUM)
    truth = np.tile([5700.0, 4.4, -0.1, 7.0, 20.0], (16, 1))
    spectra = observed(single, truth, 0.01, 5)
    gain = fit(spectra, single).chi2 - fit(spectra, binary).chi2
    assert (gain > -1).all()
    # Three more parameters; the companion may also chase the largest of the noise peaks.
    assert np.median(gain) < 15
    assert gain.max() < 60


def test_binary_of_free_radii_is_recovered():
    free = Binary(MODEL, pairing=FreeRadii(1.0), continuum=CONTINUUM)
    values = {"teff_1": 6200, "teff_2": 5400, "logg_1": 4.2, "logg_2": 4.5, "fe_h": -0.1}
    values |= {"vbroad_1": 5, "vbroad_2": 8, "radius_ratio": 0.75, "rv_1": -35, "rv_2": 30}
    truth = np.array([values[name] for name in free.label_names], dtype=float)
    result = fit(observed(free, truth, 0.002, 6), free)
    own = fit(observed(free, truth, 0.002, 6), free, start=[truth])
    assert result.chi2[0] < own.chi2[0] + 1
    assert result.labels[0, -2:] == pytest.approx([-35, 30], abs=1.0)


def test_triple_is_recovered():
    triple = Triple(MODEL, continuum=CONTINUUM)
    truth = np.array([6200, 4.3, -0.1, 0.9, 0.8, 5, 6, 7, -60.0, 55.0, 0.0])
    spectra = observed(triple, truth, 0.004, 7)
    result = fit(spectra, triple)
    own = fit(spectra, triple, start=[truth])
    assert result.chi2[0] < own.chi2[0] + 25
    assert result.chi2[0] < fit(spectra, Binary(MODEL, continuum=CONTINUUM)).chi2[0] - 100
