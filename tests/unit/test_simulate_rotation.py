import numpy as np
from numpy.testing import assert_allclose

from siderea.simulate.rotation import (
    colour_of,
    equatorial_velocity,
    macroturbulence,
    microturbulence,
    rotation_period,
    synchronous_velocity,
)


def velocity(teff, logg=4.4, radius=1.0, mass=1.0, age=4.6, n=4000):
    return equatorial_velocity(
        np.full(n, teff), np.full(n, logg), radius, mass, age, np.random.default_rng(0)
    )


def test_colour_inverts_the_relation():
    colour = np.linspace(0.2, 1.5, 20)
    teff = 4600 * (1 / (0.92 * colour + 1.7) + 1 / (0.92 * colour + 0.62))
    assert_allclose(colour_of(teff), colour, rtol=1e-10)


def test_the_sun_turns_in_about_26_days():
    assert 24 < rotation_period(5772.0, 4.57) < 28
    assert rotation_period(5772.0, 9.0) > rotation_period(5772.0, 4.57)


def test_the_kraft_break_parts_slow_from_fast():
    assert np.median(velocity(5800.0)) < 3
    assert np.median(velocity(6700.0)) > 30
    assert np.median(velocity(4800.0, logg=2.5, radius=10.0)) < 5


def test_nothing_breaks_up():
    fast = velocity(6900.0, radius=4.0, mass=1.2)
    assert fast.max() <= 0.7 * 436.7 * np.sqrt(1.2 / 4.0) + 1e-9


def test_locked_stars_turn_with_the_orbit():
    assert_allclose(synchronous_velocity(1.0, 25.0), 2.02, atol=0.01)


def test_turbulence_of_the_sun_and_of_a_giant():
    assert_allclose(macroturbulence(5777.0, 4.44, 0.0), 3.21)
    assert_allclose(macroturbulence(4800.0, 2.5, 0.0), 10 ** (0.741 - 0.2495), rtol=1e-6)
    assert_allclose(microturbulence(5500.0, 4.4), 1.1)
    assert_allclose(microturbulence(5000.0, 4.5), 1.1 - 0.08)
    assert_allclose(microturbulence(6500.0, 4.2), 1.1 + 0.1 + 0.4)
    assert_allclose(microturbulence(4500.0, 2.0), 1.1 - 0.1 + 0.4)
