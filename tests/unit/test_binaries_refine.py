"""Stars fitted to the pixels: between the points of the grid, with errors that hold."""

import numpy as np
import pytest

from siderea.binaries.ccf import Correlator
from siderea.binaries.pairs import best_pair
from siderea.binaries.refine import refine
from siderea.binaries.templates import mask_template
from siderea.binaries.wide import find_wide
from siderea.data import Spectra
from siderea.errors import DataError


@pytest.fixture(scope="module")
def correlator(small):
    return Correlator(
        small.spectra([small.star(0.0)]), templates=[small.lines(0.0), small.lines(0.0, seed=9)]
    )


def refined(correlation, velocity, rotation, height, **options):
    n = len(correlation)
    start = [np.tile(value, (n, 1)) for value in (velocity, rotation, height)]
    return refine(correlation.source, correlation.template, *map(np.float64, start), **options)


def test_two_blended_stars_are_found_from_a_wrong_start(correlator, small):
    rows = [0.6 * small.star(-8.3, vsini=6.0) + 0.4 * small.star(9.6, vsini=11.0)]
    fit = refined(correlator(small.spectra(rows, snr=None)), [-10, 12], [7, 7], [0.5, 0.5], steps=8)
    np.testing.assert_allclose(fit.velocity[0], [-8.3, 9.6], atol=0.15)
    np.testing.assert_allclose(fit.rotation[0], [6.0, 11.0], atol=1.0)
    np.testing.assert_allclose(fit.height[0], [0.6, 0.4], atol=0.03)
    assert fit.left[0] < 5e-3 * fit.total[0]  # lines that leave the arms


def test_a_step_that_fits_worse_is_not_taken(correlator, small):
    correlation = correlator(small.spectra([small.star(0.0)] * 3, snr=40.0))
    left = [refined(correlation, [5.0], [20.0], [0.7], steps=k).left for k in range(1, 6)]
    assert np.all(np.diff(left, axis=0) <= 1e-6 * left[0])


@pytest.mark.parametrize("vsini", [0.0, 25.0])
def test_errors_are_those_of_photon_noise(correlator, small, vsini):
    correlation = correlator(small.spectra([small.star(3.3, vsini=vsini)] * 200, snr=25.0))
    fit = refined(correlation, [3.0], [max(vsini, 3.0)], [1.0])
    pull = (fit.velocity[:, 0] - 3.3) / fit.velocity_err[:, 0]
    assert pull.std() == pytest.approx(1.0, abs=0.15)
    assert abs(pull.mean()) < 0.35


def test_errors_know_of_lines_that_the_template_has_wrong(small):
    """No noise; every template has lines of other strengths, the same for all stars."""
    star, pull = small.lines(0.0), []
    for seed in range(40):
        factor = np.exp(np.random.default_rng(seed).normal(0, 0.4, star.size // 6 + 1))
        template = 1 - (1 - star) * np.repeat(factor, 6)[: star.size]
        one = small.spectra([small.lines(0.7)], snr=None)
        fit = refined(Correlator(one, templates=[template])(one), [0.5], [2.0], [1.0])
        pull.append((fit.velocity[0, 0] - 0.7) / fit.velocity_err[0, 0])
    assert np.std(pull) == pytest.approx(1.0, abs=0.35)


def test_what_is_foreseen_is_what_comes(correlator, small):
    correlation = correlator(small.spectra([small.star(4.4, vsini=8.0)] * 5, snr=60.0))
    quick = refined(correlation, [4.0], [7.0], [1.0], steps=0)
    looked = refined(correlation, [4.0], [7.0], [1.0], steps=3)
    np.testing.assert_allclose(quick.velocity, looked.velocity, atol=0.1)
    np.testing.assert_allclose(quick.left, looked.left, rtol=0.01)


@pytest.mark.parametrize("vsini", [90.0, 180.0])
def test_fast_rotators_are_found(correlator, small, vsini):
    correlation = correlator(small.spectra([small.star(-20.0, vsini=vsini)] * 4, snr=100.0))
    wide = find_wide(correlation.source, max_velocity=200.0)
    assert np.abs(wide.rotation - vsini).max() < 0.25 * vsini
    fit = refine(
        correlation.source,
        wide.template,
        *(value[:, None] for value in (wide.velocity, wide.rotation, wide.height)),
    )
    np.testing.assert_allclose(fit.rotation[:, 0], vsini, rtol=0.05)
    np.testing.assert_allclose(fit.velocity[:, 0], -20.0, atol=5.0)


def test_unlike_stars_are_given_their_templates(correlator, small):
    rows = [0.55 * small.star(-30.0) + 0.45 * small.lines(30.0, seed=9)]
    correlation = correlator(small.spectra(rows, snr=80.0))
    both = refine(
        correlation.source,
        np.array([[0, 0]]),
        np.array([[-30.0, 30.0]]),
        np.array([[2.0, 2.0]]),
        np.array([[0.5, 0.2]]),
    )
    assert best_pair(correlation.source, np.array([0]), both).tolist() == [[0, 1]]


def test_a_mask_of_lines_is_a_template(small):
    centres = np.linspace(5003, 5068, 25)
    depths = np.linspace(0.2, 0.6, 25)
    spectra = small.spectra([small.star(0.0)])
    flux = mask_template(spectra, centres, depths)[0]
    place = [np.abs(small.GRID[:1500] - c).argmin() for c in centres]
    np.testing.assert_allclose(flux[place], 1 - depths, atol=0.03)
    found = Correlator(spectra, templates=[flux])(
        spectra.with_flux(np.roll(flux, 4)[None], spectra.ivar)
    )
    assert found.velocities[found.ccf[0].argmax()] == pytest.approx(4 * small.DV, abs=1.0)
    unknown = Spectra(small.GRID, spectra.flux, spectra.ivar, "air", arms=small.ARMS)
    with pytest.raises(DataError, match="resolution"):
        mask_template(unknown, centres, depths)
