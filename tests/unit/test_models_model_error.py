import numpy as np
import pytest

from siderea.data import Spectra
from siderea.errors import DataError
from siderea.models.composite import Single
from siderea.models.fitting import fit
from siderea.models.model_error import ModelError
from siderea.models.renormalise import PseudoContinuum
from siderea.models.schematic import SchematicModel

WAVELENGTH = 6500.0 * np.exp(1.5e-5 * np.arange(700))
SUN = np.array([[5800.0, 4.4, 0.0, 6.0, 21.0]])


@pytest.fixture(scope="module")
def single():
    return Single(SchematicModel(WAVELENGTH))


def spectra(flux, sigma=1e-3):
    return Spectra(WAVELENGTH, np.atleast_2d(flux), np.full((1, 700), sigma**-2), "vacuum")


def test_noise_floor_and_depth_add_in_quadrature():
    error = ModelError(depth=0.1, floor=0.005)
    model = np.array([1.0, 0.6, 1.2])
    variance = 1 / error.ivar(np.full(3, 1e4), model, model)
    np.testing.assert_allclose(variance, 1e-4 + 0.005**2 + np.array([0, 0.04, 0]) ** 2)
    assert error.ivar(np.zeros(1), model[:1], model[:1]) == 0


def test_far_residuals_count_linearly():
    soft = ModelError(depth=0.0, floor=0.0, soft=1.0)
    weight = soft.ivar(np.full(2, 1.0), np.array([1.0, 101.0]), np.ones(2))
    np.testing.assert_allclose(weight, [1.0, 1 / np.sqrt(1 + 100.0**2)])


def test_windows_follow_the_velocity_of_every_star():
    error = ModelError(excluded=((6520.0, 6521.0),))
    kept = error.kept(WAVELENGTH, np.array([[0.0, 100.0]]))
    gone = WAVELENGTH[~kept[0]]
    expected = [(6520.0, 6521.0), (6522.17, 6523.18)]
    assert all(any(a - 0.11 < w < b + 0.11 for a, b in expected) for w in gone)
    assert gone.min() < 6520.2
    assert gone.max() > 6523.0


def test_a_line_that_the_model_has_wrong_does_not_decide_the_fit(single):
    flux = single.predict(SUN)[0]
    deepest = int(flux.argmin())
    wrong = flux.copy()
    line = slice(deepest - 8, deepest + 9)
    wrong[line] = 1 - 0.3 * (1 - flux[line])
    plain = fit(spectra(wrong), single)
    honest = fit(spectra(wrong), single, model_error=ModelError(soft=1.0))
    place = [single.label_names.index(n) for n in ("teff", "logg", "fe_h")]
    scale = np.array([100.0, 0.1, 0.1])
    off = [np.abs((r.labels - SUN)[0, place] / scale).max() for r in (plain, honest)]
    assert off[1] < 0.5 * off[0]


def test_an_excluded_window_leaves_no_trace(single):
    flux = single.predict(SUN)[0]
    window = (WAVELENGTH > 6520.0) & (WAVELENGTH < 6522.0)
    broken = np.where(window, 0.3, flux)
    factor = 1 + 21.0 / 299_792.458
    error = ModelError(floor=1e-3, excluded=((6519.5 / factor, 6522.5 / factor),))
    result = fit(spectra(broken), single, model_error=error)
    assert result.n_pixels[0] < 700
    np.testing.assert_allclose(result.labels, SUN, rtol=1e-4, atol=2e-3)


def test_the_pseudo_continuum_is_fitted_anew_to_both(single):
    continuum = PseudoContinuum.everywhere((slice(0, 700),), 2)
    composite = Single(SchematicModel(WAVELENGTH), continuum=continuum)
    bent = composite.predict(SUN)[0] * (1 + 0.05 * np.linspace(-1, 1, 700) ** 2)
    data = continuum.normalise(spectra(bent))
    result = fit(data, composite, model_error=ModelError())
    np.testing.assert_allclose(result.labels, SUN, rtol=1e-3, atol=5e-3)


@pytest.mark.parametrize(
    "options", [{"depth": -0.1}, {"floor": -1.0}, {"soft": 0.0}, {"passes": 0}]
)
def test_impossible_errors_are_refused(options):
    with pytest.raises(DataError, match="model error"):
        ModelError(**options)
