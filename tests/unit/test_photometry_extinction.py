"""Bands and extinction: every band has a coefficient, and dereddening undoes reddening."""

import numpy as np
import pandas as pd
import pytest

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.photometry.bands import BANDS, band, check_bands, error_column, magnitude_column
from siderea.photometry.extinction import COEFFICIENTS, coefficient, coefficients, deredden


def test_every_band_has_a_coefficient_with_a_source():
    assert set(COEFFICIENTS) == set(BANDS)
    assert all(entry.source for entry in COEFFICIENTS.values())


def test_extinction_falls_with_wavelength_within_each_system():
    for system in {one.system for one in BANDS.values()} - {"gaia"}:  # G is wider than BP and RP
        members = sorted(
            (one for one in BANDS.values() if one.system == system), key=lambda one: one.wavelength
        )
        values = [coefficient(one.name) for one in members]
        assert values == sorted(values, reverse=True)
    assert coefficient("gaia_bp") > coefficient("gaia_g") > coefficient("gaia_rp")


def test_sdss_ratios_are_those_of_berry_2012():
    """Berry et al. (2012), A/A_r: u 1.810, g 1.400, i .759, z .561; measured, so within 4 %."""
    ratio = coefficients(("sdss_u", "sdss_g", "sdss_i", "sdss_z")) / coefficient("sdss_r")
    np.testing.assert_allclose(ratio, [1.810, 1.400, 0.759, 0.561], rtol=0.04)


def test_dereddening_undoes_reddening():
    rng = np.random.default_rng(1)
    bands = ("sdss_u", "sdss_g", "twomass_ks")
    true = rng.normal(15, 1, (50, 3))
    ebv = rng.uniform(0, 0.5, 50)
    observed = Photometry(bands, true + ebv[:, None] * coefficients(bands), np.full((50, 3), 0.02))
    corrected = deredden(observed, ebv, ebv_err=0.01)
    np.testing.assert_allclose(corrected.mag, true, rtol=1e-13)
    np.testing.assert_allclose(corrected.mag_err[:, 0], np.hypot(0.02, 0.04239))


def test_a_dust_map_is_asked_with_the_positions():
    table = pd.DataFrame({"ra": [10.0, 20.0], "dec": [0.0, -5.0]})
    observed = Photometry(("sdss_r",), [[15.0], [16.0]], [[0.01], [0.01]], table)
    corrected = deredden(observed, lambda ra, dec: ra / 100)
    np.testing.assert_allclose(corrected.mag[:, 0], [15 - 0.2285, 16 - 0.457])
    with pytest.raises(DataError, match="ra and dec"):
        deredden(Photometry(("sdss_r",), [[15.0]], [[0.1]]), lambda ra, dec: ra)


def test_errors_name_what_was_found():
    with pytest.raises(DataError, match="'sdss_q'"):
        band("sdss_q")
    with pytest.raises(DataError, match="more than once"):
        check_bands(["sdss_g", "sdss_g"])
    with pytest.raises(DataError, match=r"found shape \(3,\)"):
        deredden(Photometry(("sdss_r",), [[15.0]], [[0.1]]), [0.1, 0.2, 0.3])


def test_columns_of_a_band():
    assert magnitude_column("gaia_bp") == "mag_gaia_bp"
    assert error_column("cahk") == "mag_cahk_err"
