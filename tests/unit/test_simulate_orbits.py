import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from siderea.errors import DataError
from siderea.simulate.orbits import (
    kepler,
    radial_velocity,
    roche_lobe,
    semi_amplitude,
    semi_major_axis,
    stable_ratio,
    true_anomaly,
)


def test_kepler_holds_to_rounding_up_to_the_most_eccentric():
    mean = np.linspace(-np.pi, np.pi, 2001)
    e = np.array([0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.999999])[:, None]
    anomaly = kepler(mean, e)
    assert_allclose(anomaly - e * np.sin(anomaly), np.broadcast_to(mean, anomaly.shape), atol=4e-15)


def test_kepler_near_periastron_of_a_nearly_parabolic_orbit():
    mean, e = np.geomspace(1e-12, 1e-2, 200), 0.9999
    anomaly = kepler(mean, e)
    assert_allclose(anomaly - e * np.sin(anomaly), mean, rtol=1e-9, atol=1e-17)


@settings(max_examples=50)
@given(st.floats(-100, 100), st.floats(0, 0.99))
def test_kepler_solves_its_equation_in_every_turn(mean, e):
    anomaly = kepler(mean, e)
    assert_allclose(anomaly - e * np.sin(anomaly), mean, atol=1e-12)
    assert_allclose(kepler(-mean, e), -anomaly, atol=1e-12)


@pytest.mark.parametrize("e", [-0.1, 1.0, 1.5])
def test_kepler_refuses_what_is_no_ellipse(e):
    with pytest.raises(DataError, match="eccentricity"):
        kepler(1.0, e)


def test_kepler_passes_missing_orbits_through():
    assert np.isnan(kepler([1.0, np.nan], [np.nan, 0.1])).all()


def test_true_anomaly_is_the_textbook_tangent():
    anomaly, e = np.linspace(-3.1, 3.1, 101), 0.7
    nu = true_anomaly(anomaly, e)
    assert_allclose(np.tan(nu / 2), np.sqrt((1 + e) / (1 - e)) * np.tan(anomaly / 2), rtol=1e-12)


def test_one_solar_mass_and_a_year_make_an_astronomical_unit():
    assert_allclose(semi_major_axis(365.256_36, 1.0), 149_597_870.7 / 695_700.0, rtol=1e-5)
    assert_allclose(semi_major_axis(10.0, 2.0), 4.208 * 2 ** (1 / 3) * 10 ** (2 / 3), rtol=2e-4)


def test_amplitude_is_the_closed_form():
    m1, m2, period, tilt, e = 1.1, 0.7, 12.3, 1.0, 0.4
    k1 = semi_amplitude(period, m1, m2, tilt, e)
    expected = 212.9 * m2 * np.sin(tilt) * (m1 + m2) ** (-2 / 3) * period ** (-1 / 3)
    assert_allclose(k1, expected / np.sqrt(1 - e**2), rtol=2e-4)
    k2 = semi_amplitude(period, m2, m1, tilt, e)
    assert_allclose(k1 / k2, m2 / m1, rtol=1e-12)
    # (K₁ + K₂) P √(1 − e²) / 2π = a sin i
    a = (k1 + k2) * period * 86_400 * np.sqrt(1 - e**2) / (2 * np.pi) / 695_700.0
    assert_allclose(a, semi_major_axis(period, m1 + m2) * np.sin(tilt), rtol=1e-12)


def test_jupiter_moves_the_sun_by_twelve_and_a_half_metres_per_second():
    assert_allclose(semi_amplitude(4332.59, 1.0, 1 / 1047.35, np.pi / 2, 0.0489), 0.0125, atol=5e-5)


def test_velocity_is_the_derivative_of_the_position():
    period, start, e, omega, m1, m2, tilt = 7.0, 3.0, 0.6, 1.2, 1.0, 0.5, 0.9
    k = semi_amplitude(period, m1, m2, tilt, e)
    a1 = semi_major_axis(period, m1 + m2) * m2 / (m1 + m2)

    def height(time):
        anomaly = kepler(2 * np.pi * (time - start) / period, e)
        nu, r = true_anomaly(anomaly, e), a1 * (1 - e * np.cos(anomaly))
        return r * np.sin(nu + omega) * np.sin(tilt)

    time, step = np.linspace(0, 14, 301), 1e-4
    slope = (height(time + step) - height(time - step)) / (2 * step) * 695_700.0 / 86_400.0
    assert_allclose(radial_velocity(time, period, start, k, e, omega, 5.0), slope + 5.0, atol=1e-3)


def test_a_velocity_curve_spans_twice_its_amplitude_about_the_systemic_velocity():
    time = np.linspace(0, 10, 200_001)[:-1]
    rv = radial_velocity(time, 10.0, 1.0, 30.0, 0.5, 0.7, -12.0)
    assert_allclose((rv.max() - rv.min()) / 2, 30.0, rtol=1e-6)
    assert_allclose(rv.mean(), -12.0, atol=1e-6)


def test_velocity_difference_is_the_sum_of_the_amplitudes_in_quadrature():
    time, k1, k2 = np.linspace(0, 5, 51), 40.0, 60.0
    first = radial_velocity(time, 5.0, 0.0, k1, 0.0, 0.0, 9.0)
    second = radial_velocity(time, 5.0, 0.0, k2, 0.0, np.pi, 9.0)
    assert_allclose(second - first, -(k1 + k2) * np.cos(2 * np.pi * time / 5.0), atol=1e-10)


def test_roche_lobe_and_stability_at_known_values():
    assert_allclose(roche_lobe(1.0, 1.0), 0.379, atol=5e-4)
    assert roche_lobe(2.0, 1.0) > roche_lobe(1.0, 2.0)
    assert_allclose(stable_ratio(0.0, 0.0), 2.8)
    assert stable_ratio(0.5, 0.5) > stable_ratio(0.5, 0.0)
