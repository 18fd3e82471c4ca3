import astropy.units as u
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siderea.constants import C_KMS
from siderea.errors import DataError
from siderea.spectra.doppler import (
    add_velocities,
    doppler_factor,
    shift,
    to_rest,
    velocity_from_factor,
)

velocities = st.floats(-0.9 * C_KMS, 0.9 * C_KMS)


@given(st.floats(1000, 20_000), velocities)
def test_shift_there_and_back_is_the_identity(wavelength, rv):
    assert float(to_rest(shift(wavelength, rv), rv)) == pytest.approx(wavelength, rel=1e-13)


@given(velocities)
def test_the_factor_tells_its_velocity(rv):
    assert float(velocity_from_factor(doppler_factor(rv))) == pytest.approx(rv, rel=1e-9, abs=1e-9)


def test_small_velocities_keep_their_digits():
    assert float(velocity_from_factor(doppler_factor(0.001))) == pytest.approx(0.001, abs=1e-10)


@given(velocities, velocities)
def test_velocities_add_as_their_shifts_multiply(v1, v2):
    product = float(doppler_factor(v1) * doppler_factor(v2))
    assert float(doppler_factor(add_velocities(v1, v2))) == pytest.approx(product, rel=1e-12)


def test_known_factors():
    assert float(doppler_factor(0.6 * C_KMS)) == pytest.approx(2.0, rel=1e-15)
    assert float(add_velocities(0.5 * C_KMS, 0.5 * C_KMS)) == pytest.approx(0.8 * C_KMS)
    assert doppler_factor(100.0) > 1  # receding is red


def test_shapes():
    wavelength, rv = np.linspace(5000, 5100, 7), np.array([0.0, 10.0, -20.0])
    both = shift(wavelength, rv)
    assert both.shape == (3, 7)
    for row, v in zip(both, rv, strict=True):
        np.testing.assert_array_equal(row, shift(wavelength, v))
    np.testing.assert_allclose(to_rest(both, rv), np.tile(wavelength, (3, 1)), rtol=1e-15)
    assert shift(both, 5.0).shape == (3, 7)
    assert shift(5000.0, rv).shape == (3,)
    with pytest.raises(DataError, match=r"expected \(P,\) or \(N, P\)"):
        shift(both, rv[:2])


def test_quantities():
    shifted = shift(500 * u.nm, 30_000 * u.m / u.s)
    np.testing.assert_allclose(shifted, shift(5000.0, 30.0), rtol=1e-15)


def test_nan_velocity_gives_nan_only_there():
    shifted = shift([5000.0, 5001.0], [0.0, np.nan])
    np.testing.assert_array_equal(shifted[0], [5000.0, 5001.0])
    assert np.isnan(shifted[1]).all()
    assert np.isnan(velocity_from_factor(np.nan))


@pytest.mark.parametrize("rv", [C_KMS, -C_KMS, 1e9, np.inf])
def test_faster_than_light_is_refused(rv):
    for function in (doppler_factor, lambda v: shift(5000.0, v), lambda v: add_velocities(0.0, v)):
        with pytest.raises(DataError, match="below the speed of light"):
            function([0.0, np.nan, rv])


@pytest.mark.parametrize("factor", [0.0, -1.0, np.inf])
def test_impossible_factors_are_refused(factor):
    with pytest.raises(DataError, match="positive and finite"):
        velocity_from_factor([1.0, factor])
