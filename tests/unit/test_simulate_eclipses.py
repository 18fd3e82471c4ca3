"""Eclipses of spheres: closed forms and limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.simulate import eclipses
from siderea.simulate.eclipses import (
    eccentric_anomaly,
    ellipsoidal_amplitude,
    hidden_light,
    mean_anomaly_of_eclipse,
    separation_of_minima,
    sphere_flux,
)


def lens(z, p):
    """Area that two discs share over that of the first: the textbook formula."""
    first = np.arccos((1 - p * p + z * z) / (2 * z))
    second = np.arccos((p * p + z * z - 1) / (2 * p * z))
    corner = np.sqrt((4 * z * z - (1 + z * z - p * p) ** 2) / 4)
    return (p * p * second + first - corner) / np.pi


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0, 1.7])
def test_uniform_discs_overlap_as_the_closed_form_says(p):
    z = np.linspace(abs(1 - p) + 1e-3, 1 + p - 1e-3, 60)
    np.testing.assert_allclose(hidden_light(z, p), lens(z, p), atol=1e-9)


@pytest.mark.parametrize(("u1", "u2"), [(0.4, 0.26), (0.0, 0.0), (0.8, 0.1)])
def test_a_small_planet_at_the_centre_hides_its_area_times_the_central_brightness(u1, u2):
    p = 0.01
    mean = 1 - u1 / 3 - u2 / 6
    assert float(hidden_light(0.0, p, u1, u2)) == pytest.approx(p**2 / mean, rel=1e-4)


def test_rings_have_converged(monkeypatch):
    z = np.linspace(0, 2.7, 300)
    few = hidden_light(z, 0.6, 0.5, 0.3)
    monkeypatch.setattr(eclipses, "NODES", 400)
    np.testing.assert_allclose(few, hidden_light(z, 0.6, 0.5, 0.3), atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 4), st.floats(0.02, 3), st.floats(0, 0.7), st.floats(0, 0.3))
def test_hidden_light_is_a_share(z, p, u1, u2):
    share = float(hidden_light(z, p, u1, u2))
    assert 0 <= share <= 1
    if z >= 1 + p:
        assert share == 0
    if p >= 1 + z:
        assert share == pytest.approx(1)


def flux(phase, **options):
    settings = {"radius": (0.1, 0.1), "light": (1.0, 1.0), "limb": ((0.4, 0.26),) * 2}
    settings |= {"inclination": 90.0, "albedo": (0.0, 0.0)} | options
    return sphere_flux(2 * np.pi * (np.asarray(phase) + 0.25), **settings)


def test_twins_edge_on_lose_half_their_light_twice():
    tide = ellipsoidal_amplitude(0.1, 1.0, 90.0, 0.4, 0.32)
    np.testing.assert_allclose(flux([0.0, 0.5]), 0.5 * (1 - tide), atol=1e-9)


def test_a_dark_companion_makes_one_eclipse():
    dark = flux([0.0, 0.5], light=(1.0, 0.0), radius=(0.1, 0.05))
    assert dark[0] < 0.75
    assert dark[1] == pytest.approx(1, abs=2e-3)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 0.8), st.floats(0, 360))
def test_eclipses_stand_where_the_orbit_puts_them(e, omega):
    first = mean_anomaly_of_eclipse(e, omega)
    second = mean_anomaly_of_eclipse(e, omega, secondary=True)
    apart = (second - first) / (2 * np.pi) % 1
    assert apart == pytest.approx(float(separation_of_minima(e, omega)), abs=1e-9)


def test_keplers_equation():
    anomaly = np.linspace(-7, 7, 101)
    for e in (0.0, 0.5, 0.95):
        found = eccentric_anomaly(anomaly, e)
        residual = found - e * np.sin(found) - anomaly
        np.testing.assert_allclose(np.sin(residual / 2), 0, atol=1e-12)


def test_an_eccentric_orbit_shows_the_minimum_of_the_second_star_at_its_separation():
    e, omega = 0.4, 30.0
    apart = float(separation_of_minima(e, omega))
    phase = apart + np.linspace(-0.02, 0.02, 401)
    light = sphere_flux(
        mean_anomaly_of_eclipse(e, omega) + 2 * np.pi * phase,
        radius=(0.05, 0.05),
        light=(1.0, 1.0),
        limb=((0.4, 0.26),) * 2,
        inclination=90.0,
        eccentricity=e,
        arg_periastron=omega,
    )
    assert phase[light.argmin()] == pytest.approx(apart, abs=3e-4)
