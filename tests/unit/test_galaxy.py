"""The Galactocentric frame, cells, tallies, maps, gradients, and expressions that choose stars."""

from itertools import pairwise

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.errors import DataError
from siderea.galaxy import (
    REPORT,
    Axis,
    Binning,
    Cells,
    Expression,
    Frame,
    SkyCells,
    Tally,
    cell_map,
    galactocentric,
    gradient,
)
from siderea.galaxy.cells import NOWHERE
from siderea.galaxy.frame import with_astropy
from siderea.galaxy.maps import image, points
from siderea.galaxy.tally import FE_H


@pytest.fixture(scope="module")
def sky():
    rng = np.random.default_rng(0)
    dec = np.rad2deg(np.arcsin(rng.uniform(-1, 1, 500)))
    return rng.uniform(0, 360, 500), dec, rng.uniform(0.01, 80, 500)


@pytest.mark.parametrize("frame", [Frame(), Frame(8.0, 0.025), Frame(8.5, -0.01)])
def test_places_are_those_of_astropy(sky, frame):
    ours, theirs = galactocentric(*sky, frame=frame), with_astropy(*sky, frame=frame)
    for name in "xyz":
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-10)


def test_the_sun_and_the_centre_are_where_they_are_said_to_be():
    sun = galactocentric([0.0], [0.0], [0.0])
    assert sun.radius[0] == pytest.approx(8.122, abs=1e-4)
    assert (sun.z[0], sun.azimuth[0]) == pytest.approx((0.0208, 0.0), abs=1e-9)
    centre = galactocentric([266.4051], [-28.936175], [8.122])
    assert centre.radius[0] == pytest.approx(0, abs=1e-9)
    rotating = galactocentric([318.0], [48.33], [3.0])  # l = 90°, b = 0°
    assert rotating.azimuth[0] == pytest.approx(20.3, abs=0.1)
    assert rotating.z[0] == pytest.approx(0.0208, abs=0.01)


def test_places_take_units():
    plain = galactocentric([10.0], [20.0], [1.5])
    dressed = galactocentric([10.0] * u.deg, np.deg2rad([20.0]) * u.rad, [1500.0] * u.pc)
    assert dressed.x[0] == pytest.approx(plain.x[0], rel=1e-12)


def test_places_of_a_part_are_those_of_the_whole(sky):
    whole, part = galactocentric(*sky), galactocentric(*(column[100:103] for column in sky))
    for name in "xyz":
        assert np.array_equal(getattr(whole, name)[100:103], getattr(part, name))


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_a_star_lies_in_the_cell_whose_centre_is_near(x, y):
    cells = Cells((Axis("x", -10, 10, 0.5), Axis("y", -5, 15, 0.3)))
    cell = cells.index({"x": [x], "y": [y]})
    inside = -10 <= x < 10 and -5 <= y < 15.1
    if cell[0] == NOWHERE:
        assert not (-10 <= x < 10 and -5 <= y < 15)
    else:
        centre = cells.centres(cell)
        assert inside
        assert abs(centre["x"][0] - x) <= 0.25 + 1e-9
        assert abs(centre["y"][0] - y) <= 0.15 + 1e-9


def test_nan_is_nowhere_and_impossible_axes_are_refused():
    cells = Cells((Axis("x", 0, 1, 0.1),))
    assert cells.index({"x": [np.nan, np.inf, 1.0, 0.99]}).tolist() == [-1, -1, -1, 9]
    with pytest.raises(DataError, match="step above 0"):
        Axis("x", 0, 1, 0)
    with pytest.raises(DataError, match="of them"):
        Cells((Axis("x", 0, 1e7, 1e-3), Axis("y", 0, 1e7, 1e-3)))


def test_sky_cells_are_healpix(sky):
    from cdshealpix.nested import lonlat_to_healpix

    ra, dec, _ = sky
    cells = SkyCells(4)
    found = cells.index({"ra": np.append(ra, np.nan), "dec": np.append(dec, 0.0)})
    assert np.array_equal(found[:-1], lonlat_to_healpix(ra * u.deg, dec * u.deg, 4))
    assert found[-1] == NOWHERE
    centre = cells.centres(found[:-1])
    assert np.array_equal(cells.index(centre), found[:-1])
    assert cells.size == 3072


def stars_of(n, seed=1):
    rng = np.random.default_rng(seed)
    cell = rng.integers(-1, 40, n)
    return cell, rng.normal(-0.8, 0.4, n)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=5), st.randoms())
def test_a_tally_does_not_depend_on_how_the_stars_were_split(cuts, random):
    cell, value = stars_of(400)
    cuts = sorted({0, 400, *cuts})
    parts = [Tally.of(cell[a:b], value[a:b], FE_H) for a, b in pairwise(cuts)]
    random.shuffle(parts)
    whole, summed = Tally.of(cell, value, FE_H), Tally.total(parts, FE_H.n)
    assert np.array_equal(whole.code, summed.code)
    assert np.array_equal(whole.count, summed.count)
    assert whole.n_stars == (cell >= 0).sum()


def test_a_tally_goes_through_a_file_and_leaves_out_what_has_no_value():
    tally = Tally.of(np.array([3, 3, -1, 4]), [np.nan, -0.5, 0.0, 99.0], FE_H)
    assert tally.n_stars == 2  # 99 is counted in the last bin
    assert tally.code.tolist() == [3 * 500 + 350, 4 * 500 + 499]
    again = Tally.from_arrays(tally.arrays())
    assert np.array_equal((again + Tally.empty(FE_H.n)).code, tally.code)
    with pytest.raises(DataError, match="the same in all"):
        _ = tally + Tally.empty(7)


def test_a_map_is_what_numpy_says_of_each_cell():
    cell, value = stars_of(6000)
    found = cell_map(Tally.of(cell, value, FE_H), FE_H, minimum=100, n_bootstrap=0)
    kept = [k for k in range(40) if (cell == k).sum() >= 100]
    assert found.cell.tolist() == kept
    for row, k in enumerate(kept):
        mine = value[cell == k]
        assert found.count[row] == mine.size
        assert found.mean[row] == pytest.approx(mine.mean(), abs=1e-3)
        assert found.scatter[row] == pytest.approx(mine.std(ddof=1), abs=3e-3)
        assert found.median[row] == pytest.approx(np.median(mine), abs=0.011)
        assert np.isnan(found.median_err[row])


def test_bootstrap_errors_are_those_of_theory():
    rng = np.random.default_rng(5)
    cell = np.repeat(np.arange(60), 400)
    found = cell_map(Tally.of(cell, rng.normal(-1.0, 0.3, cell.size), FE_H), FE_H, n_bootstrap=100)
    expected = 0.3 / np.sqrt(400)
    assert np.mean(found.mean_err) == pytest.approx(expected, rel=0.05)
    assert np.mean(found.median_err) == pytest.approx(1.2533 * expected, rel=0.12)


def test_errors_are_reproducible_and_cells_with_few_stars_are_left_out():
    cell, value = stars_of(3000)
    tally = Tally.of(cell, value, FE_H)
    first, second, other = (cell_map(tally, FE_H, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.median_err, second.median_err)
    assert not np.array_equal(first.median_err, other.median_err)
    assert len(cell_map(tally, FE_H, minimum=10_000)) == 0
    assert len(cell_map(Tally.empty(FE_H.n), FE_H)) == 0


def test_an_image_and_points_come_back_to_their_cells():
    cells = Cells((Axis("R", 0, 4, 1), Axis("z", 0, 3, 1)))
    binning = Binning("fe_h", -2, 0, 0.5)
    tally = Tally.of(np.array([1, 1, 11]), [-1.2, -1.3, -0.1], binning)
    found = cell_map(tally, binning, minimum=1, n_bootstrap=0)
    picture = image(cells, found.cell, found.count)
    assert picture.shape == (4, 3)
    assert (picture[0, 1], picture[3, 2], np.isnan(picture).sum()) == (2, 1, 10)
    stars = points(tally, binning, cells, rng=np.random.default_rng(0))
    again = Tally.of(cells.index(stars), stars["fe_h"], binning)
    assert np.array_equal(again.code, tally.code)
    assert np.array_equal(again.count, tally.count)
    cell, value = stars_of(4000)
    tally = Tally.of(np.clip(cell, 0, 11), value, binning)
    some = points(tally, binning, cells, rng=np.random.default_rng(0), most=1000)
    thinned = Tally.of(cells.index(some), some["fe_h"], binning)
    assert thinned.n_stars == 1000
    assert set(thinned.code) <= set(tally.code)
    share = tally.count / tally.n_stars
    found = np.array([thinned.count[thinned.code == code].sum() for code in tally.code])
    assert np.max(np.abs(found - 1000 * share) / np.sqrt(1000 * share + 1)) < 5


def test_a_gradient_is_recovered_with_its_error():
    rng = np.random.default_rng(2)
    x = np.linspace(0.5, 4, 15)
    pulls = []
    for _ in range(300):
        line = gradient(x, -0.4 - 0.3 * x + rng.normal(0, 0.05, x.size), np.full(x.size, 0.05))
        pulls.append((line.slope + 0.3) / line.slope_err)
    assert abs(np.mean(pulls)) < 0.2
    assert np.std(pulls) == pytest.approx(0.93, abs=0.12)  # the misfit stretches some errors


def test_a_profile_that_bends_has_a_larger_error():
    x = np.linspace(0, 4, 9)
    error = np.full(9, 0.01)
    straight, bent = gradient(x, -0.2 * x, error), gradient(x, -0.05 * x**2, error)
    assert bent.slope_err > 5 * straight.slope_err
    with pytest.raises(DataError, match="3 or more"):
        gradient([1, 2, 3], [0, np.nan, 1], [1, 1, 1])


def test_the_report_selects_its_stars():
    good = {"sdss_r": 16.0, "sdss_g": 16.3, "distance": 2.0, "fe_h": -1.0}
    bad = [{"sdss_r": 14.4}, {"sdss_g": 16.41}, {"distance": 9.5}, {"fe_h": -0.4}, {"fe_h": np.nan}]
    rows = [good, *(good | change for change in bad)]
    columns = {name: np.array([row[name] for row in rows]) for name in good}
    columns["sdss_g"][1] = 14.7
    assert REPORT(columns).tolist() == [True] + [False] * 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("not a > 1 or b == 2", [True, True]),
        ("-a ** 2 + b % 2", [-1.0, -4.0]),
        ("hypot(a, b) - sqrt(a * a + b * b)", [0.0, 0.0]),
        ("bit(flags, 4) and isfinite(b)", [False, True]),
        ("0 < a < 2", [True, False]),
    ],
)
def test_expressions(text, expected):
    columns = {"a": [1.0, 2.0], "b": [2.0, 2.0], "flags": [3, 6]}
    assert Expression(text)(columns).tolist() == expected


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "a.b", "open('x')", "a if b else c", "[a]", "'text'", "a <", "lambda: 1",
     "sqrt(a, out=b)", ""],
)  # fmt: skip
def test_an_expression_can_do_nothing_else(text):
    with pytest.raises(DataError, match="expression"):
        Expression(text)


def test_an_absent_column_is_named():
    with pytest.raises(DataError, match="no column b, c"):
        Expression("a + b > c")({"a": [1]})
