"""APOGEE-like spectra, where El-Badry's networks are."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from siderea.models import binspec
from siderea.pipelines.simulate import Recipe
from siderea.simulate.apogee import apogee
from siderea.spectra.doppler import to_rest

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def folder(real_data):
    return str(real_data / "apogee_binspec")


def test_lines_are_those_of_the_networks_moved(folder):
    model = binspec.load(folder)
    stars = apogee(model).stars
    rows = np.array([[5800, 4.4, 0.0, 0.1, 1.0, 0.0, 4.0, 30.0], [5800, 4.4, 0, 0.1, 1, 0, 4, 0]])
    moved, still = stars.lines(rows)
    at_rest = model.predict(rows[1:, [0, 1, 2, 3, 6]])[0]
    np.testing.assert_allclose(still, at_rest, atol=1e-6)
    for arm in model.arms:
        wavelength = model.wavelength[arm]
        spline = CubicSpline(wavelength, still[arm])(to_rest(wavelength, 30.0))
        np.testing.assert_allclose(moved[arm][40:-40], spline[40:-40], atol=5e-3)


def test_a_survey_of_apogee(folder):
    recipe = Recipe(20, seed=3, instrument="apogee", models=folder)
    spectra, truth = recipe.survey().block(0)
    assert spectra.medium == "vacuum"
    assert spectra.n_pixels == 7214
    assert np.isfinite(spectra.flux).all()
    giants = (truth["logg"] < 3.9).to_numpy()
    assert all("logg" in one for one in truth["outside"][giants])
    assert np.median(spectra.flux[spectra.ivar > 0]) == pytest.approx(1.0, abs=0.03)
