import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import CartesianDifferential, Galactocentric, SkyCoord
from numpy.testing import assert_allclose

from siderea.simulate.components import HALO, MILKY_WAY, THIN_DISC, imf
from siderea.simulate.galaxy_model import (
    R_SUN,
    Z_SUN,
    DustDisc,
    cylindrical,
    disc_density,
    equatorial,
    galactic,
    halo_density,
    ring_density,
)
from siderea.simulate.kinematics import ROTATION, SUN_MOTION, line_of_sight


@pytest.fixture
def sky():
    rng = np.random.default_rng(3)
    return rng.uniform(0, 360, 200), np.rad2deg(np.arcsin(rng.uniform(-1, 1, 200)))


def test_coordinates_are_astropys(sky):
    ra, dec = equatorial(*sky)
    theirs = SkyCoord(*sky, unit="deg", frame="galactic").icrs
    assert SkyCoord(ra, dec, unit="deg").separation(theirs).max() < 0.1 * u.arcsec
    lon, lat = galactic(ra, dec)
    assert_allclose(np.cos(np.deg2rad(lon - sky[0])), 1.0, atol=1e-10)
    assert_allclose(lat, sky[1], atol=1e-8)


def test_cylindrical_at_known_places():
    radius, azimuth, height = cylindrical([0.0, 8.0, 2.0, 1.0], [0, 0, 180, 90], [0, 0, 0, 0])
    assert_allclose(radius, [8.0, 0.0, 10.0, np.hypot(8, 1)], atol=1e-12)
    assert azimuth[3] > 0
    assert_allclose(height, Z_SUN)


def test_radial_velocity_is_astropys(sky):
    rng = np.random.default_rng(4)
    distance = rng.uniform(0.1, 5, 200)
    velocity = rng.normal([0, ROTATION, 0], 60, (200, 3))
    _, azimuth, _ = cylindrical(distance, *sky)
    frame = Galactocentric(
        galcen_distance=np.hypot(R_SUN, Z_SUN) * u.kpc,
        z_sun=Z_SUN * u.kpc,
        galcen_v_sun=CartesianDifferential(
            np.array([SUN_MOTION[0], ROTATION + SUN_MOTION[1], SUN_MOTION[2]]) * u.km / u.s
        ),
    )
    place = SkyCoord(*sky, distance * u.kpc, unit=("deg", "deg"), frame="galactic")
    place = place.transform_to(frame).cartesian
    inward, along, up = velocity.T
    motion = CartesianDifferential(
        (inward * np.cos(azimuth) + along * np.sin(azimuth)) * u.km / u.s,
        (-inward * np.sin(azimuth) + along * np.cos(azimuth)) * u.km / u.s,
        up * u.km / u.s,
    )
    star = SkyCoord(frame.realize_frame(place.with_differentials(motion)))
    # astropy tilts its frame by the height of the Sun: 25 pc over 8 kpc, a few times .1 km/s
    theirs = star.transform_to("icrs").radial_velocity.to_value("km/s")
    assert_allclose(line_of_sight(velocity, distance, *sky), theirs, atol=1.5)


def test_disc_falls_by_e_per_scale():
    scales = {"scale_length": 2.6, "scale_height": 0.3}
    assert_allclose(disc_density(R_SUN, 0.0, **scales), 1.0)
    assert_allclose(disc_density(R_SUN + 2.6, 0.3, **scales), np.exp(-2))
    assert_allclose(disc_density(R_SUN, -0.3, **scales), np.exp(-1))


def test_halo_is_a_flattened_power_law():
    assert_allclose(halo_density(16.0, 0.0), 0.5**2.77)
    assert_allclose(halo_density(0.0, 0.64 * 16.0), halo_density(16.0, 0.0))
    assert np.isfinite(halo_density(0.0, 0.0))


def test_ring_peaks_on_both_sides_of_the_plane():
    assert_allclose(ring_density([16.0, 16.0], [3.5, -3.5]), 1.0)
    assert ring_density(8.0, 0.0) < 1e-6


def test_dust_towards_the_pole_is_its_integral():
    dust = DustDisc()
    distance = np.geomspace(1e-4, 20, 2000)
    ebv = dust.ebv(distance, [0.0, 0.0], [90.0, 0.0])
    expected = dust.local * dust.scale_height * np.exp(-Z_SUN / dust.scale_height)
    assert_allclose(ebv[0, -1], expected, rtol=0.01)
    assert (np.diff(ebv, axis=1) >= 0).all()
    assert ebv[1, -1] > 20 * ebv[0, -1]


@pytest.mark.parametrize("component", MILKY_WAY, ids=lambda c: c.name)
def test_components_draw_what_they_state(component):
    rng = np.random.default_rng(5)
    age = component.draw_age(rng.random(40_000))
    assert age.min() >= component.ages[0]
    assert age.max() <= component.ages[1]
    last = component.generations[-1]
    old = age > (component.generations[-2].until if len(component.generations) > 1 else 0)
    fe_h = component.draw_fe_h(age, rng)
    error = last.fe_h_sigma / np.sqrt(old.sum())
    assert abs(fe_h[old].mean() - last.fe_h) < 4 * error
    velocity = component.draw_velocity(age, rng)
    assert_allclose(velocity[old].std(0), last.sigma, rtol=0.03)
    lag = last.sigma[0] ** 2 / 80 if component.lag is None else component.lag
    assert abs(velocity[old, 1].mean() - ROTATION + lag) < 4 * last.sigma[1] / np.sqrt(old.sum())


def test_the_old_and_metal_poor_are_enhanced_in_alpha():
    rng = np.random.default_rng(6)
    halo = HALO.draw_alpha(np.full(1000, -1.5), rng).mean()
    assert halo > 0.25 > THIN_DISC.draw_alpha(np.full(1000, -0.2), rng).mean() + 0.15


def test_mass_function_is_kroupas():
    mass = np.array([0.2, 0.4, 1.0, 2.0])
    slope = np.diff(np.log(imf(mass))) / np.diff(np.log(mass))
    assert_allclose(slope[[0, 2]], [-1.3, -2.3])
    assert_allclose(imf(0.5 - 1e-9), imf(0.5 + 1e-9), rtol=1e-6)
