import numpy as np
import pytest

from siderea.errors import DataError
from siderea.models.two_scales import two_scales

WAVELENGTH = np.linspace(4000, 6000, 2001)


def star(slope=1e-3):
    line = 1 - 0.5 * np.exp(-0.5 * ((WAVELENGTH - 5000) / 3) ** 2)
    return np.exp(slope * (WAVELENGTH - 5000)) * line


def test_a_change_of_slope_leaves_the_lines_and_moves_the_slope():
    flux = np.stack([star(0.0), star(3e-4)])
    both, _ = two_scales(flux, np.ones(flux.shape), WAVELENGTH)
    inner = slice(300, 1700)
    np.testing.assert_allclose(both[0, inner], both[1, inner], atol=2e-3)
    samples = both[:, len(WAVELENGTH) :]
    sampled = WAVELENGTH[9::18]
    tilt = np.polyfit(sampled[10:-10], (samples[1] - samples[0])[10:-10], 1)[0]
    assert tilt == pytest.approx(3e-4, rel=1e-3)
    np.testing.assert_allclose(samples.mean(axis=1), 0, atol=1e-12)


def test_the_unit_of_flux_does_not_matter():
    one = two_scales(star(), np.full(2001, 100.0), WAVELENGTH)
    other = two_scales(star() * 7, np.full(2001, 100.0 / 49), WAVELENGTH)
    np.testing.assert_allclose(one[0], other[0], atol=1e-12)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-9)


def test_a_bad_pixel_has_no_influence():
    flux, ivar = star(), np.full(2001, 100.0)
    ivar[500] = 0
    spike = flux.copy()
    spike[500] = 1e6
    one, other = two_scales(flux, ivar, WAVELENGTH), two_scales(spike, ivar, WAVELENGTH)
    good = one[1][0] > 0
    assert not good[500]
    np.testing.assert_allclose(one[0][0, good], other[0][0, good], rtol=1e-9)


def test_errors_are_those_of_repeated_noise():
    flux = np.ones(2001)
    noisy = flux + 0.05 * np.random.default_rng(1).normal(size=(400, 2001))
    both, ivar = two_scales(noisy, np.full(noisy.shape, 400.0), WAVELENGTH)
    for part in (slice(300, 1700), slice(2001 + 15, 2001 + 95)):
        sigma = np.sqrt(1 / ivar[:, part]).mean()
        assert both[:, part].std(axis=0).mean() == pytest.approx(sigma, rel=0.1)


def test_a_lost_spectrum_is_masked():
    both, ivar = two_scales(np.full(2001, np.nan), np.ones(2001), WAVELENGTH)
    assert np.isfinite(both).all()
    assert (ivar == 0).all()


def test_an_uneven_grid_is_refused():
    with pytest.raises(DataError, match="evenly spaced"):
        two_scales(star(), np.ones(2001), WAVELENGTH**1.1)
