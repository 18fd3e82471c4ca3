"""Barycentric times against astropy's own light travel time."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time

from siderea.io.barycentre import bmjd


@pytest.mark.parametrize(("ra", "dec"), [(0.2, 16.4), (292.06, 43.9), (180.0, -89.0)])
def test_agrees_with_astropy(ra, dec):
    mjd = np.array([51544.5, 56584.25, 58268.7, 59000.0])
    centre = EarthLocation.from_geocentric(0 * units.m, 0 * units.m, 0 * units.m)
    time = Time(mjd, format="mjd", scale="utc", location=centre)
    expected = (time.tdb + time.light_travel_time(SkyCoord(ra, dec, unit="deg"))).mjd
    np.testing.assert_allclose(bmjd(mjd, ra, dec), expected, atol=0.05 / 86400, rtol=0)


def test_scales_differ_by_the_leap_seconds():
    step = bmjd(58268.7, 10, 20) - bmjd(58268.7, 10, 20, scale="tai")
    assert step * 86400 == pytest.approx(37, abs=0.01)  # the Earth moved by 3 light milliseconds


@pytest.mark.parametrize("mjd", [np.nan, 0.0, -9999.0, 2456584.0])
def test_nonsense_is_nan(mjd):
    assert np.isnan(bmjd(mjd, 10, 20))


def test_a_date_to_come_warns_of_nothing():
    assert np.isfinite(bmjd([70000.0, np.nan], 10, 20)).tolist() == [True, False]
    assert np.isnan(bmjd(58268.7, np.nan, 20))
