"""Rotators: their template, coarse pixels, two of them in one profile."""

from dataclasses import replace

import numpy as np
import pytest

from siderea.binaries.ccf import Correlator
from siderea.binaries.refine import block_residuals, refine
from siderea.binaries.rotators import best_template, binned, steadiness, two_rotators


@pytest.fixture(scope="module")
def correlator(small):
    templates = [small.lines(0.0), small.lines(0.0, seed=9)]
    return Correlator(small.spectra([small.star(0.0)]), templates=templates)


def fitted(source, velocity, rotation, height, steps=6):
    start = [np.tile(np.float64(v), (len(source.data), 1)) for v in (velocity, rotation, height)]
    return refine(source, np.zeros(len(source.data), int), *start, steps=steps)


def test_the_template_is_that_of_the_broadened_star(correlator, small):
    rows = [0.8 * small.star(12.0, vsini=40.0)]
    source = correlator(small.spectra(rows, snr=100.0)).source
    template, height = best_template(source, np.array([12.0]), np.array([40.0]))
    assert template.tolist() == [0]
    assert height[0] == pytest.approx(0.8, abs=0.08)


def test_a_spectrums_own_template_can_be_the_best(correlator, small):
    spectra = small.spectra([small.star(12.0, vsini=40.0)], snr=100.0)
    strange = Correlator(spectra, templates=[small.lines(0.0, seed=9), small.lines(0.0, seed=8)])
    source = strange(spectra, references=[small.lines(0.0)]).source
    template, height = best_template(source, np.array([12.0]), np.array([40.0]))
    assert template.tolist() == [2]
    assert height[0] == pytest.approx(1.0, abs=0.1)


def test_coarse_pixels_give_the_same_star(correlator, small):
    source = correlator(small.spectra([small.star(9.0, vsini=35.0)], snr=None)).source
    coarse = binned(source)
    assert coarse.good.shape[1] < 0.6 * source.good.shape[1]
    fine, again = (fitted(one, [5.0], [30.0], [1.0]) for one in (source, coarse))
    np.testing.assert_allclose(again.velocity, fine.velocity, atol=0.2)
    np.testing.assert_allclose(again.rotation, fine.rotation, rtol=0.02)
    np.testing.assert_allclose(again.height, fine.height, rtol=0.02)
    np.testing.assert_allclose(again.total, fine.total, rtol=0.15)


def test_blocks_add_up_to_what_is_left(correlator, small):
    source = correlator(small.spectra([small.star(9.0, vsini=35.0)], snr=30.0)).source
    fit = fitted(source, [9.0], [35.0], [1.0])
    left = block_residuals(source, np.zeros(1, int), fit).sum(axis=1)
    np.testing.assert_allclose(left, fit.left, rtol=1e-4)


def test_two_rotators_come_out_of_one_profile(correlator, small):
    rows = [0.55 * small.star(-17.0, vsini=32.0) + 0.45 * small.star(20.0, vsini=25.0)]
    source = correlator(small.spectra(rows, snr=100.0)).source
    single = fitted(source, [0.0], [45.0], [1.0])
    double, gain = two_rotators(source, np.zeros(1, int), single)
    assert gain[0] > 0.01
    order = np.argsort(double.velocity[0])
    np.testing.assert_allclose(double.velocity[0, order], [-17.0, 20.0], atol=3.0)
    np.testing.assert_allclose(double.rotation[0, order], [32.0, 25.0], atol=5.0)


def test_one_rotator_gains_nothing_by_a_second(correlator, small):
    source = correlator(small.spectra([small.star(4.0, vsini=45.0)] * 8, snr=60.0)).source
    single = fitted(source, [0.0], [40.0], [1.0])
    _, gain = two_rotators(source, np.zeros(8, int), single)
    assert gain.max() < 0.005


def test_a_gain_of_one_block_is_not_steady(correlator, small):
    """A star improves all blocks; one wrong line improves its own."""
    rows = [0.55 * small.star(-17.0, vsini=32.0) + 0.45 * small.star(20.0, vsini=25.0)]
    source = correlator(small.spectra(rows, snr=100.0)).source
    single = fitted(source, [0.0], [45.0], [1.0])
    double, _ = two_rotators(source, np.zeros(1, int), single)
    assert steadiness(source, np.zeros(1, int), single, double)[0] > 0.5
    wrong = source.data + np.fft.rfft(
        0.5 * np.exp(-0.5 * ((np.arange(source.library.size) - 300) / 4.0) ** 2)
    )
    spoiled = replace(source, data=wrong.astype(np.complex64))
    one, two = (fitted(spoiled, *start) for start in STARTS)
    assert steadiness(spoiled, np.zeros(1, int), one, two)[0] < 0.4


STARTS = (([0.0], [45.0], [1.0]), ([0.0, 90.0], [45.0, 10.0], [1.0, 0.05]))
