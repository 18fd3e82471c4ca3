import numpy as np
import pytest
from numpy.testing import assert_allclose

from siderea.errors import DataError
from siderea.isochrones import load_default
from siderea.simulate.photometry import ERRORS, TURN_OFF, BandError, observe, simulate_photometry
from siderea.simulate.population import SurveySettings

GRI = ("sdss_g", "sdss_r", "sdss_i")


@pytest.fixture(scope="module")
def drawn():
    return simulate_photometry(3000, rng=np.random.default_rng(2), bands=GRI, settings=TURN_OFF)


def test_error_model_at_its_limits():
    model = BandError(22.0, 0.01)
    assert_allclose(model.sigma(22.0), np.hypot(0.2, 0.01), rtol=1e-6)
    assert_allclose(model.sigma(10.0), 0.01, rtol=1e-2)
    assert (np.diff(model.sigma(np.linspace(14, 22, 50))) > 0).all()


def test_noise_is_as_large_as_the_errors_say(drawn):
    photometry, truth = drawn
    true = truth[[f"mag_{name}" for name in GRI]].to_numpy()
    pull = (photometry.mag - true) / photometry.mag_err
    assert_allclose(np.nanstd(pull, axis=0), 1.0, atol=0.05)
    assert_allclose(np.nanmean(pull, axis=0), 0.0, atol=0.06)


def test_the_turn_off_sample_is_what_it_says(drawn):
    _, truth = drawn
    assert truth["mag_sdss_r"].between(14.5, 20).all()
    colour = truth["mag_sdss_g"] - truth["mag_sdss_r"] - 1.018 * truth["ebv"]
    assert colour.between(0.2, 0.4).all()
    assert {"thin disc", "thick disc", "halo"} <= set(truth["population"])


def test_missing_at_random_and_beyond_the_limits():
    rng = np.random.default_rng(0)
    mag = np.tile([18.0, 25.0, 10.0], (5000, 1))
    seen, err = observe(mag, GRI, rng=rng, missing={"sdss_g": 0.3})
    gone = np.isnan(seen)
    assert abs(gone[:, 0].mean() - 0.3) < 0.03
    assert gone[:, 1:].all()
    assert (gone == np.isnan(err)).all()


def test_own_errors_replace_the_default():
    mag = np.full((4000, 1), 18.0)
    coarse = {"sdss_g": BandError(30.0, 0.1)}
    seen, _ = observe(mag, ["sdss_g"], rng=np.random.default_rng(0), errors=coarse)
    assert abs(seen.std() - 0.1) < 0.005


def test_every_band_of_the_isochrones_has_an_error_model():
    assert set(load_default().bands) <= set(ERRORS)


def test_the_same_generator_gives_the_same_catalogue():
    settings = SurveySettings()
    one, two = (
        simulate_photometry(20, rng=np.random.default_rng(3), settings=settings)[0]
        for _ in range(2)
    )
    assert_allclose(one.mag, two.mag)


@pytest.mark.parametrize(
    ("options", "match"), [({"bands": ("sdss_q",)}, "sdss_q"), ({"missing": 1.5}, "missing")]
)
def test_bad_requests_are_named(options, match):
    with pytest.raises(DataError, match=match):
        simulate_photometry(5, rng=np.random.default_rng(0), settings=TURN_OFF, **options)
    with pytest.raises(DataError, match="error model"):
        observe(np.ones((1, 1)), ["nothing"], rng=np.random.default_rng(0))
