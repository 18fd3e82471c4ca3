import numpy as np
import pytest

from siderea.constants import C_KMS
from siderea.simulate.emission import KINDS, Emission, EmissionPainter
from siderea.spectra.instruments import GALAH_GRID

WAVE = GALAH_GRID.wavelength
HALPHA, HBETA = 6562.80, 4861.33


def painted(kind, *, rv=0.0, violet=0.5, velocity=120.0, ratio=1.0):
    flux = np.ones(WAVE.size)
    continuum = np.where(WAVE > 6000, ratio, 1.0)
    emission = Emission(kind, 2.0, 30.0, velocity, violet, 0.8, 2.5)
    ew_hbeta = EmissionPainter(GALAH_GRID).paint(flux, continuum, rv, emission)
    return flux, ew_hbeta


def part(flux, line, low, high):
    """Light added to the continuum, Å, between velocities."""
    v = C_KMS * np.log(WAVE / line)
    inside = (v > low) & (v < high)
    return ((flux - 1) * np.gradient(WAVE))[inside].sum()


@pytest.mark.parametrize("kind", ["single", "double", "asymmetric"])
def test_the_light_added_is_what_was_asked_for(kind):
    flux, ew_hbeta = painted(kind, ratio=0.6)
    assert part(flux, HALPHA, -900, 900) == pytest.approx(2.0, rel=2e-3)
    assert ew_hbeta == pytest.approx(2.0 / 2.5 * 0.6)  # a bluer continuum drowns Hβ
    assert part(flux, HBETA, -900, 900) == pytest.approx(ew_hbeta, rel=2e-3)
    far = np.abs(C_KMS * np.log(WAVE / HALPHA)) > 1500
    far &= np.abs(C_KMS * np.log(WAVE / HBETA)) > 1500
    assert (flux[far] == 1).all()


def test_a_disc_has_two_peaks_at_its_velocity():
    flux, _ = painted("double")
    v = C_KMS * np.log(WAVE / HALPHA)
    red = (v > 20) & (v < 400)
    assert v[red][flux[red].argmax()] == pytest.approx(120.0, abs=4)
    assert part(flux, HALPHA, -400, 0) == pytest.approx(part(flux, HALPHA, 0, 400), rel=0.02)
    uneven, _ = painted("asymmetric", violet=0.25)
    assert part(uneven, HALPHA, -400, 0) == pytest.approx(0.5, rel=0.02)


def test_wind_absorbs_on_the_blue_side_and_infall_on_the_red():
    v = C_KMS * np.log(WAVE / HALPHA)
    for kind, sign in (("pcygni", -1), ("inverted", 1)):
        flux, _ = painted(kind, velocity=160.0)
        near = np.abs(v) < 500
        assert v[near][flux[near].argmin()] * sign == pytest.approx(163, abs=12)
        assert flux.min() > 0
        assert abs(v[near][flux[near].argmax()]) < 25


def test_emission_moves_with_the_star():
    flux, _ = painted("single", rv=57.0)
    at_rest, _ = painted("single")
    arm = slice(2 * 4096 + 100, 3 * 4096 - 100)
    np.testing.assert_allclose(flux[arm], np.roll(at_rest, 20)[arm], atol=1e-9)


def test_every_kind_is_painted():
    assert all(np.isfinite(painted(kind)[0]).all() for kind in KINDS)
