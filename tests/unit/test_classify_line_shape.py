from itertools import pairwise

import numpy as np
import pytest

from siderea.classify.line_shape import LAGS, line_autocorrelation
from siderea.constants import C_KMS
from siderea.data import Spectra

STEP = 2.85
GRID = 5000.0 * np.exp(np.arange(3000) * STEP / C_KMS)
MIDDLE = np.array([(a + b) / 2 for a, b in pairwise(LAGS[1:])])


def forest(width, dv=0.0, seed=0, snr=200.0):
    """Sixty lines of a width (km/s), and again as many at dv."""
    rng = np.random.default_rng(seed)
    centres, depths = rng.uniform(50, 2950, 60), rng.uniform(0.1, 0.5, 60)
    flux = np.ones(GRID.size)
    for shift in (0.0, dv) if dv else (0.0,):
        for centre, depth in zip(centres, depths, strict=True):
            x = (np.arange(GRID.size) - centre - shift / STEP) * STEP / width
            flux -= (0.5 if dv else 1.0) * depth * np.exp(-0.5 * x**2)
    noise = rng.normal(0, 1 / snr, GRID.size)
    return Spectra(GRID, (flux + noise)[None], np.full((1, GRID.size), snr**2), "air")


@pytest.mark.parametrize("dv", [45.0, -45.0, 90.0, -130.0])
def test_a_second_set_of_lines_is_a_bump_at_its_velocity_either_way(dv):
    single = line_autocorrelation(forest(6.0))[0]
    double = line_autocorrelation(forest(6.0, dv))[0]
    assert MIDDLE[np.argmax(double - single)] == pytest.approx(abs(dv), abs=10.0)
    assert (double - single).max() > 0.3


def test_broad_lines_have_a_broad_core_and_which_lines_there_are_matters_little():
    narrow, broad = line_autocorrelation(forest(5.0))[0], line_autocorrelation(forest(20.0))[0]
    near = MIDDLE < 30
    assert np.all(broad[near][1:] > narrow[near][1:] + 0.1)
    other = line_autocorrelation(forest(20.0, seed=5))[0]
    assert np.abs(other - broad).max() < 0.5 * np.abs(narrow - broad).max()


def test_nothing_to_see_is_nought_and_short_arms_are_no_trouble():
    flux = np.ones((2, GRID.size))
    ivar = np.ones_like(flux)
    ivar[1] = 0.0
    found = line_autocorrelation(Spectra(GRID, flux, ivar, "air"))
    assert found.shape == (2, len(LAGS) - 2)
    assert np.all(found == 0)
    short = Spectra(GRID[:20], flux[:, :20], ivar[:, :20], "air", arms=(slice(0, 5), slice(5, 20)))
    assert np.isfinite(line_autocorrelation(short)).all()
