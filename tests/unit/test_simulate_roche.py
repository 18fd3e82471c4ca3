"""Roche geometry: known points, limits that are known in closed form, and the mesh itself."""

import numpy as np
import pytest

from siderea.simulate import roche
from siderea.simulate.eclipses import ellipsoidal_amplitude, sphere_flux
from siderea.simulate.roche import (
    Star,
    close_flux,
    contact_potential,
    critical_potentials,
    depths_at,
    lagrange_point,
    lobe_radius,
    planck,
    potential,
    potential_of_radius,
)

PHASE = np.linspace(0, 0.5, 31)


def star(surface, teff=6000.0):
    return Star(surface, teff, (0.4, 0.26), 0.32, 0.0)


def volume(mesh):
    return (mesh.area * (mesh.place * mesh.normal).sum(axis=1)).sum() / 3


def test_equal_masses_have_l1_half_way_and_the_textbook_potentials():
    assert lagrange_point(1.0) == pytest.approx(0.5)
    inner, outer = critical_potentials(1.0)
    assert inner == pytest.approx(3.75)  # 1/½ + 1/½ − ½ + ¼, exactly
    assert outer == pytest.approx(3.2068, abs=1e-3)


@pytest.mark.parametrize("q", [0.2, 0.7, 1.0, 2.5])
def test_a_filled_lobe_has_eggletons_volume(q):
    mesh = roche._mesh(q, critical_potentials(q)[0], contact=False)
    radius = (3 * volume(mesh) / (4 * np.pi)) ** (1 / 3)
    assert radius == pytest.approx(float(lobe_radius(1 / q)), rel=0.015)  # his formula: 1 %


def test_facets_close_the_surface():
    mesh = roche._mesh(0.6, 4.0, contact=False)
    np.testing.assert_allclose((mesh.normal * mesh.area[:, None]).sum(0), 0, atol=1e-3)
    np.testing.assert_allclose(potential(*mesh.place.T, 0.6), 4.0, atol=1e-6)


def test_small_stars_are_spheres():
    stars = (star(11.0), star(11.0))
    meshed = close_flux(PHASE, q=1.0, inclination=87.0, stars=stars, contact=False)
    mesh = roche._mesh(1.0, 11.0, contact=False)
    radius = float(np.sqrt(mesh.area.sum() / (4 * np.pi)))
    spheres = sphere_flux(
        2 * np.pi * (PHASE + 0.25),
        radius=(radius, radius),
        light=(1.0, 1.0),
        limb=((0.4, 0.26),) * 2,
        inclination=87.0,
        albedo=(0.0, 0.0),
    )
    np.testing.assert_allclose(meshed, spheres / spheres.max(), atol=3e-3)


def test_tides_of_a_small_star_follow_the_leading_term():
    surface = potential_of_radius(1.0, 0.15)
    stars = (star(surface), star(surface))
    light = close_flux([0.0, 0.25], q=1.0, inclination=50.0, stars=stars, contact=False)
    expected = 2 * ellipsoidal_amplitude(0.15, 1.0, 50.0, 0.4, 0.32)
    assert 1 - light[0] == pytest.approx(float(expected), rel=0.15)


@pytest.mark.parametrize(("q", "fillout"), [(0.3, 0.2), (0.8, 0.5), (0.1, 0.9)])
def test_the_mesh_has_converged(monkeypatch, q, fillout):
    stars = tuple(star(surface) for surface in contact_potential(q, fillout))
    options = {"q": q, "inclination": 80.0, "stars": stars, "contact": True}
    coarse = close_flux(PHASE, **options)
    monkeypatch.setattr(roche, "RINGS", 60)
    monkeypatch.setattr(roche, "MERIDIANS", 80)
    np.testing.assert_allclose(coarse, close_flux(PHASE, **options), atol=3e-3)


def test_contact_surface_is_one_in_both_frames():
    first, second = contact_potential(0.4, 0.3)
    x = lagrange_point(0.4)
    here = potential(x, 0.0, 0.1, 0.4) - first
    there = potential(1 - x, 0.0, 0.1, 1 / 0.4) - second
    assert float(here) == pytest.approx(float(there) * 0.4)


def test_the_cooler_star_gives_the_shallower_eclipse_and_inclination_deepens_both():
    stars = (star(4.5, 7000.0), star(4.5, 5000.0))
    first, second = depths_at([60.0, 75.0, 90.0], q=1.0, stars=stars, contact=False)
    assert np.all(first > second)
    assert np.all(np.diff(first) > 0)


def test_planck_is_the_black_body():
    wien = planck(3000.0) / planck(6000.0)
    x = 1.438776877e7 / 600.0
    assert float(wien) == pytest.approx((np.exp(x / 6000) - 1) / (np.exp(x / 3000) - 1))


def test_nothing_ripples_at_quadrature():
    surfaces = (potential_of_radius(0.2, 0.28), potential_of_radius(5.0, 0.17))
    stars = tuple(star(surface) for surface in surfaces)
    phase = np.linspace(0.15, 0.35, 21)
    light = close_flux(phase, q=0.2, inclination=62.0, stars=stars, contact=False)
    wave = np.polynomial.Polynomial.fit(phase, light, 4)(phase)
    assert np.abs(light - wave).max() < 2e-4
