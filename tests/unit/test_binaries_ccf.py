"""Cross-correlations: places, heights, errors, against a slow sum and Monte Carlo."""

import numpy as np
import pytest

from siderea.binaries.ccf import Correlator
from siderea.data import Spectra
from siderea.errors import DataError


@pytest.fixture(scope="module")
def correlator(small):
    return Correlator(small.spectra([small.star(0.0)]), templates=[small.lines(0.0)])


def test_a_star_that_is_the_template_gives_a_peak_of_one_at_its_velocity(correlator, small):
    rv = np.array([-80.3, -11.0, 0.0, 42.7, 150.0])
    found = correlator(small.spectra([small.star(v) for v in rv], snr=None))
    assert found.ccf.max(axis=1) == pytest.approx(1.0, abs=0.06)  # lines leave the arms
    assert found.ccf[2].max() == pytest.approx(1.0, abs=1e-4)
    at = found.velocities[found.ccf.argmax(axis=1)]
    np.testing.assert_allclose(at, rv, atol=0.7 * found.step)


def test_two_stars_give_peaks_as_high_as_their_light(correlator, small):
    found = correlator(small.spectra([0.7 * small.star(-50.0) + 0.3 * small.star(50.0)], snr=None))
    height = [found.ccf[0, np.abs(found.velocities - v).argmin()] for v in (-50.0, 50.0)]
    np.testing.assert_allclose(height, [0.7, 0.3], atol=0.1)  # on each other's side lobes


def test_the_error_is_that_of_photon_noise(correlator, small):
    clean = correlator(small.spectra([small.star(10.0)], snr=None)).ccf
    noisy = correlator(small.spectra([small.star(10.0)] * 300, snr=40.0))
    scatter = (noisy.ccf - clean).std()
    assert scatter == pytest.approx(noisy.error.mean(), rel=0.06)


def test_the_fast_correlation_is_the_slow_sum(correlator, small):
    one = small.spectra([small.star(20.0)], snr=None)
    found = correlator(one)
    arm = one.arms[0]
    data, model = (1 - one.flux[0, arm]), (1 - small.lines(0.0)[arm])
    window = np.minimum(1, np.minimum(np.arange(1, 1501), np.arange(1500, 0, -1)) / 16)
    data = (data - np.average(data, weights=window)) * window
    model = (model - np.average(model, weights=window)) * window
    lags = np.arange(-30, 31)
    slow = np.array(
        [
            np.sum(data[max(0, k) : 1500 + min(0, k)] * model[max(0, -k) : 1500 - max(0, k)])
            for k in lags
        ]
    )
    fast = found.of_arm(0).ccf[0, found.n_lags + 3 * lags]
    # The filter of slow changes shifts the level by little; the shape must be the sum's.
    assert np.corrcoef(slow, fast)[0, 1] > 0.999


def test_an_arm_without_data_is_left_out(correlator, small):
    one = small.spectra([small.star(30.0)] * 2, snr=80.0)
    ivar = one.ivar.copy()
    ivar[0, one.arms[1]] = 0.0
    ivar[1] = 0.0
    found = correlator(one.with_flux(one.flux, ivar))
    assert np.isnan(found.arm_error[0, 1])
    assert np.isfinite(found.error[0])
    assert np.isnan(found.error[1])
    assert np.isfinite(found.ccf).all()
    assert found.velocities[found.ccf[0].argmax()] == pytest.approx(30.0, abs=1.5)


def test_a_few_pixels_of_huge_errors_do_not_spoil_an_arm(correlator, small):
    one = small.spectra([small.star(30.0)], snr=80.0)
    ivar = one.ivar.copy()
    ivar[:, 300:310] = 1e-8
    spoilt, clean = correlator(one.with_flux(one.flux, ivar)), correlator(one)
    assert spoilt.error[0] == pytest.approx(clean.error[0], rel=0.05)
    assert spoilt.velocities[spoilt.ccf[0].argmax()] == pytest.approx(30.0, abs=1.5)


def test_the_template_that_matches_is_chosen(small):
    other = small.lines(0.0, seed=9)
    correlator = Correlator(small.spectra([small.star(0.0)]), templates=[other, small.lines(0.0)])
    found = correlator(small.spectra([small.star(5.0), small.lines(5.0, seed=9)]))
    assert found.template.tolist() == [1, 0]
    assert found.height.min() > 0.9


def test_grids_that_do_not_fit_are_refused(correlator, small):
    odd = Spectra(np.linspace(5000, 5100, 300), np.ones((1, 300)), np.ones((1, 300)), "air")
    with pytest.raises(DataError, match="log_grid"):
        Correlator(odd, templates=np.ones((1, 300)))
    with pytest.raises(DataError, match="another grid"):
        correlator(
            Spectra(
                small.GRID * 1.001,
                np.ones((1, small.GRID.size)),
                np.ones((1, small.GRID.size)),
                "air",
                arms=(slice(0, 1500), slice(1500, 3000)),
            )
        )
    with pytest.raises(DataError, match="templates"):
        Correlator(small.spectra([small.star(0.0)]), templates=np.ones((1, 7)))
    with pytest.raises(DataError, match="max_velocity"):
        Correlator(
            small.spectra([small.star(0.0)]), templates=[small.lines(0.0)], max_velocity=small.DV
        )
