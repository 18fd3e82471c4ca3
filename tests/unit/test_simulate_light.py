import numpy as np
import pytest

from siderea.pipelines.simulate import instrument_of
from siderea.simulate.light import Stars, blend, brightness, planck, shares


@pytest.fixture(scope="module")
def galah():
    return instrument_of("galah")


@pytest.fixture(scope="module")
def shine(galah, given):
    return lambda *rows: shining(galah, given.columns(*rows), len(rows))


def shining(galah, table, n):
    stars = Stars.of(table, galah.stars.label_range)
    light = brightness(stars, galah)
    share = shares(stars, light, n, galah)
    stars = stars.moving(np.stack([table[f"rv_{i}"] for i in (1, 2, 3)], axis=1))
    lines = galah.stars.lines(stars.labels)
    flux, total = blend(lines.copy(), light.copy(), stars, n)
    return flux, total, share, stars, lines


def test_a_single_star_is_the_emulators_bit_for_bit(shine):
    flux, _, share, _, lines = shine({}, {"teff": 5000.0})
    np.testing.assert_array_equal(flux, lines)
    np.testing.assert_array_equal(share, [[1, 0, 0], [1, 0, 0]])


def test_a_star_beside_its_twin_is_itself(shine, given):
    flux, total, share, _, _ = shine({}, given.TWIN)
    np.testing.assert_allclose(flux[1], flux[0], atol=3e-6)
    np.testing.assert_allclose(total[1], 2 * total[0], rtol=1e-6)
    np.testing.assert_allclose(share[1], [0.5, 0.5, 0])


def test_light_goes_with_the_area_and_the_flux_density(shine, given):
    small = {**given.TWIN, "radius_2": 0.5}
    cool = {**given.TWIN, "teff_2": 5000.0}
    _, _, share, _, _ = shine(small, cool)
    assert share[0, 1] / share[0, 0] == pytest.approx(0.25, rel=1e-5)
    bodies = planck(np.array([5760.0]), np.array([5000.0]), np.array([5772.0]))[0, 0]
    assert share[1, 1] / share[1, 0] == pytest.approx(bodies, rel=0.1)


def test_each_star_moves_with_its_own_velocity(shine, given):
    apart = {**given.TWIN, "rv_1": 40.0, "rv_2": -40.0}
    flux, _, _, _, lines = shine(apart)
    np.testing.assert_allclose(flux[0], 0.5 * (lines[0] + lines[1]), atol=1e-6)
    assert np.abs(lines[0] - lines[1]).max() > 0.3


def test_a_star_beyond_the_model_has_the_edges_lines_and_a_black_bodys_light(shine, galah, given):
    cold = {**given.TWIN, "teff_2": 3500.0, "logg_2": 5.0}
    edge = {**given.TWIN, "teff_2": 4400.0, "logg_2": 4.8}
    flux, _, share, stars, lines = shine(cold, edge)
    assert stars.outside(2).tolist() == [["", "teff,logg", ""], ["", "", ""]]
    np.testing.assert_allclose(lines[2], lines[3], atol=1e-6)
    middle = np.array([galah.grid.wavelength[galah.pivot_pixels].mean()])
    expected = planck(middle, np.array([3500.0]), np.array([4400.0]))[0, 0]
    found = (share[0, 1] / share[0, 0]) / (share[1, 1] / share[1, 0])
    assert found == pytest.approx(expected, rel=0.01)
    assert np.isfinite(flux).all()


def test_a_companion_without_a_radius_gives_no_light(shine, given):
    dark = {**given.TWIN, "radius_2": np.nan, "teff_2": np.nan}
    flux, _, share, _, _ = shine({}, dark)
    np.testing.assert_array_equal(flux[0], flux[1])
    assert share[1].tolist() == [1.0, 0.0, 0.0]
