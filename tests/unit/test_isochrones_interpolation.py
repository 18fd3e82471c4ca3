import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.errors import DataError
from siderea.isochrones import Isochrones, load_default

ISO = load_default()


def reference(mass, age, fe_h):
    """Slow and readable: the mean isochrone of the four neighbours, then one interpolation."""
    table = ISO.table
    row = min(np.searchsorted(table.fe_h, fe_h, side="right") - 1, table.fe_h.size - 2)
    column = min(np.searchsorted(table.age, age, side="right") - 1, table.age.size - 2)
    up = (fe_h - table.fe_h[row]) / (table.fe_h[row + 1] - table.fe_h[row])
    young, old = np.log(table.age[column : column + 2])
    later = (np.log(age) - young) / (old - young)
    log_mass, columns = 0.0, 0.0
    for i, by_fe_h in enumerate((1 - up, up)):
        for j, by_age in enumerate((1 - later, later)):
            log_mass = log_mass + by_fe_h * by_age * table.log_mass[row + i, column + j]
            columns = columns + by_fe_h * by_age * table.columns[row + i, column + j]
    return [np.interp(np.log10(mass), log_mass, c, left=np.nan, right=np.nan) for c in columns.T]


def stars(n, seed=0):
    rng = np.random.default_rng(seed)
    age, fe_h = rng.uniform(1, 13, n), rng.uniform(-2.5, 0.5, n)
    return rng.uniform(0.1, 1.05, n) * ISO.heaviest(age, fe_h), age, fe_h


def test_agrees_with_the_slow_reference():
    mass, age, fe_h = stars(200)
    expected = np.array([reference(*star) for star in zip(mass, age, fe_h, strict=True)])
    found = ISO.stars(mass, age, fe_h)
    np.testing.assert_allclose(np.log10(found.teff), expected[:, 0], rtol=1e-10)
    np.testing.assert_allclose(np.log10(found.luminosity), expected[:, 1], atol=1e-9)
    np.testing.assert_allclose(ISO.magnitudes(mass, age, fe_h), expected[:, 2:], atol=1e-8)
    assert 0 < np.isnan(found.teff).sum() < 60


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.floats(1, 13), st.floats(-2.5, 0.5))
def test_every_mass_between_the_ends_is_a_star_and_no_other(part, age, fe_h):
    low, high = float(ISO.lightest(age, fe_h)), float(ISO.heaviest(age, fe_h))
    star = ISO.stars(low + part * (high - low), age, fe_h)
    assert 2500 < star.teff < 20_000
    assert 0 <= star.phase <= ISO.table.log_mass.shape[-1] - 1
    assert np.isfinite(ISO.magnitudes(low + part * (high - low), age, fe_h)).all()
    assert np.isnan(ISO.stars([0.999 * low, 1.001 * high], age, fe_h).teff).all()


def test_phase_ascends_with_mass():
    mass = np.linspace(0.15, float(ISO.heaviest(6.5, -0.33)), 20_000)
    phase = ISO.stars(mass, 6.5, -0.33).phase
    assert (np.diff(phase) > 0).all()


def test_nodes_come_back():
    table = ISO.table
    star = ISO.stars(10 ** table.log_mass[20, 4], table.age[4], table.fe_h[20])
    np.testing.assert_allclose(np.log10(star.teff), table.columns[20, 4, :, 0], atol=1e-7)
    np.testing.assert_allclose(star.phase, np.arange(table.log_mass.shape[-1]), atol=1e-3)


def test_radius_gravity_and_luminosity_agree():
    mass, age, fe_h = stars(50)
    star = ISO.stars(mass, age, fe_h)
    np.testing.assert_allclose(star.luminosity, star.radius**2 * (star.teff / 5772) ** 4)
    np.testing.assert_allclose(10 ** (star.logg - 4.438068), mass / star.radius**2)


@pytest.mark.parametrize(
    ("mass", "age", "fe_h"),
    [
        (1.0, 0.99, 0.0),
        (0.9, 13.01, 0.0),
        (0.9, 5.0, -2.51),
        (0.9, 5.0, 0.51),
        (0.13, 5.0, 0.0),
        (2.5, 5.0, 0.0),
        (0.0, 5.0, 0.0),
        (-1.0, 5.0, 0.0),
        (np.nan, 5.0, 0.0),
        (1.0, np.nan, 0.0),
        (1.0, 5.0, np.nan),
        (np.inf, 5.0, 0.0),
    ],
)
def test_what_does_not_live_is_nan(mass, age, fe_h):
    star = ISO.stars(mass, age, fe_h)
    assert np.isnan([star.teff, star.logg, star.radius, star.luminosity, star.phase]).all()
    assert np.isnan(ISO.magnitudes(mass, age, fe_h)).all()


def test_ends_off_the_grid_are_nan():
    assert np.isnan(ISO.heaviest([0.5, 14], [0, 0])).all()
    assert np.isnan(ISO.lightest(5, [-3, 1])).all()


def test_the_old_die_first():
    assert (np.diff(ISO.heaviest(np.linspace(1, 13, 50), 0.0)) < 0).all()


def test_arguments_broadcast():
    star = ISO.stars([[0.5], [0.9]], [2.0, 5.0, 9.0], 0.0)
    assert star.teff.shape == star.logg.shape == (2, 3)
    assert ISO.magnitudes([[0.5], [0.9]], [2.0, 5.0, 9.0], 0.0, ["ps1_g"]).shape == (2, 3, 1)
    assert ISO.magnitudes([], 5.0, 0.0).shape == (0, len(ISO.bands))


def test_stars_do_not_depend_on_their_company():
    mass, age, fe_h = stars(70_000)
    whole = ISO.stars(mass, age, fe_h).teff
    alone = ISO.stars(mass[-5:], age[-5:], fe_h[-5:]).teff
    np.testing.assert_array_equal(whole[-5:], alone)


def test_bands_come_in_the_order_asked():
    every = ISO.magnitudes(0.8, 4.0, -0.3)
    few = ISO.magnitudes(0.8, 4.0, -0.3, ["gaia_g", "sdss_u"])
    expected = [every[ISO.bands.index("gaia_g")], every[ISO.bands.index("sdss_u")]]
    np.testing.assert_array_equal(few, expected)


def test_unknown_band_is_refused_by_name():
    with pytest.raises(DataError, match=r"found \['sdss_y'\]; expected some of sdss_u"):
        ISO.magnitudes(1.0, 5.0, 0.0, ["sdss_g", "sdss_y"])


def test_the_default_is_read_once():
    assert load_default() is ISO
    assert isinstance(ISO, Isochrones)


def test_torch_stays_unloaded():
    code = (
        "import sys; from siderea.isochrones import load_default; "
        "load_default().stars(1.0, 5.0, 0.0); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
