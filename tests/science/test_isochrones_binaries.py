"""Binaries tied together by the real isochrones: injected and recovered."""

import numpy as np
import pytest

from siderea.data import Spectra
from siderea.isochrones import load_default
from siderea.models.composite import Binary
from siderea.models.fitting import fit
from siderea.models.pairing import ByIsochrone
from siderea.models.renormalise import PseudoContinuum
from siderea.models.schematic import SchematicModel

WAVELENGTH = 6500.0 * np.exp(2e-5 * np.arange(600))
ARMS = (slice(0, 600),)
MODEL = SchematicModel(WAVELENGTH, arms=ARMS, n_lines=50)
CONTINUUM = PseudoContinuum(ARMS, np.random.default_rng(5).random(600) < 0.4, 4)
NAMES = ("fe_h", "mass", "age", "q", "vbroad_1", "vbroad_2", "rv_1", "rv_2")


@pytest.fixture(scope="module")
def binary():
    pairing = ByIsochrone(load_default().differentiable(), masses=(0.6, 1.3), ages=(1.0, 13.0))
    return Binary(MODEL, continuum=CONTINUUM, pairing=pairing)


def test_twins_are_two_stars_of_one_mass(binary):
    assert binary.label_names == NAMES
    twins = binary.predict([-0.2, 0.9, 6.0, 1.0, 6.0, 6.0, 15.0, 15.0])
    star = load_default().stars(0.9, 6.0, -0.2)
    single = Binary(MODEL, continuum=CONTINUUM).predict(
        [float(star.teff), float(star.logg), -0.2, 1.0, 6.0, 6.0, 15.0, 15.0]
    )
    np.testing.assert_allclose(twins, single, atol=1e-6)


def test_masses_and_ratios_come_back(binary):
    rng = np.random.default_rng(3)
    n = 16
    truth = np.column_stack(
        [
            rng.uniform(-0.5, 0.2, n),
            rng.uniform(0.8, 1.0, n),
            rng.uniform(2.0, 6.0, n),
            rng.uniform(0.7, 0.95, n),
            np.full(n, 6.0),
            np.full(n, 6.0),
            rng.uniform(-60, -30, n),
            rng.uniform(20, 50, n),
        ]
    )
    clean = binary.predict(truth)
    flux = clean + rng.normal(0, 0.003, clean.shape)
    ivar = np.full(flux.shape, 0.003**-2)
    result = fit(Spectra(WAVELENGTH, flux, ivar, "vacuum", arms=ARMS), binary)
    apart = result.labels[:, -1] - result.labels[:, -2]
    np.testing.assert_allclose(apart, truth[:, -1] - truth[:, -2], atol=3.0)
    pulls = ((result.labels - truth) / result.errors)[:, [0, 1, 3]]
    # Medians over 48 pulls of a unit normal: 0.67 with a scatter of 0.1; three of those.
    assert np.median(np.abs(pulls)) == pytest.approx(0.67, abs=0.3)
