"""What cannot be a measurement is found; colours become photometry and come back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.flags import LabelFlag
from siderea.photometry.colours import colour, from_colours
from siderea.photometry.quality import clean, select_bands

BANDS = ("sdss_g", "sdss_r")


@pytest.mark.parametrize("value", [-9999.0, 99.0, 1e4, -1e4, 9999.0, np.inf, -np.inf, 999.0, 60.0])
def test_sentinels_are_missing_and_flagged(value):
    cleaned, flags = clean(Photometry(BANDS, [[value, 15.0], [16.0, 15.0]], np.full((2, 2), 0.1)))
    assert np.isnan(cleaned.mag[0, 0])
    assert np.isnan(cleaned.mag_err[0, 0])
    assert flags.tolist() == [LabelFlag.SENTINEL, 0]


@pytest.mark.parametrize("error", [np.inf, -1.0, -9999.0])
def test_errors_that_say_nothing_take_the_band_away(error):
    cleaned, flags = clean(Photometry(BANDS, [[14.0, 15.0]], [[error, 0.1]]))
    assert np.isnan(cleaned.mag[0, 0])
    assert flags[0] == LabelFlag.BAD_ERROR


def test_an_unknown_error_and_a_missing_band_are_no_fault():
    cleaned, flags = clean(Photometry(BANDS, [[14.0, np.nan]], [[np.nan, 0.1]]))
    assert cleaned.mag[0, 0] == 14.0
    assert flags[0] == 0


def test_bands_are_put_in_order_and_absent_ones_are_missing():
    stars = Photometry(("sdss_r", "sdss_g"), [[15.0, 16.0]], [[0.1, 0.2]])
    chosen = select_bands(stars, ("sdss_u", "sdss_g", "sdss_r"))
    np.testing.assert_array_equal(chosen.mag, [[np.nan, 16.0, 15.0]])
    np.testing.assert_array_equal(chosen.mag_err, [[np.nan, 0.2, 0.1]])
    with pytest.raises(DataError, match="found sdss_r"):
        select_bands(stars, ("sdss_u", "sdss_g"))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-2, 4), min_size=3, max_size=3))
def test_colours_come_back(values):
    pairs = [("sdss_u", "sdss_g"), ("sdss_g", "sdss_r"), ("sdss_r", "sdss_i")]
    stars = from_colours(
        {pair: [value] for pair, value in zip(pairs, values, strict=True)}, reference="sdss_r"
    )
    assert stars.bands == ("sdss_u", "sdss_g", "sdss_r", "sdss_i")
    for pair, value in zip(pairs, values, strict=True):
        assert colour(stars, *pair)[0][0] == pytest.approx(value, abs=1e-12)


def test_colours_that_do_not_link_are_refused():
    with pytest.raises(DataError, match="link all bands"):
        from_colours({("sdss_u", "sdss_g"): [1.0]}, reference="sdss_r")
    with pytest.raises(DataError, match="no chain"):
        from_colours(
            {("sdss_u", "sdss_g"): [1.0], ("sdss_g", "sdss_u"): [1.0], ("sdss_i", "sdss_z"): [1.0]},
            reference="sdss_i",
        )
    with pytest.raises(DataError, match="found no gaia_g"):
        colour(Photometry(BANDS, [[1.0, 2.0]], [[0.1, 0.1]]), "gaia_g", "sdss_r")
