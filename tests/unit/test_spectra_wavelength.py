import astropy.units as u
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siderea.constants import C_KMS
from siderea.errors import DataError, MediumError
from siderea.spectra.wavelength import (
    air_to_vacuum,
    convert_medium,
    log_grid,
    vacuum_to_air,
    velocity_step,
)


@given(st.floats(100, 30_000))
def test_air_to_vacuum_and_back_is_the_identity(air):
    assert abs(float(vacuum_to_air(air_to_vacuum(air))) - air) < 1e-10


@given(st.floats(2000, 30_000))
def test_vacuum_to_air_and_back_is_the_identity(vacuum):
    assert abs(float(air_to_vacuum(vacuum_to_air(vacuum))) - vacuum) < 1e-10


def test_sodium_d_as_measured():
    # NIST Atomic Spectra Database: D2 and D1, in air and in vacuum, rounded to 0.001 Å.
    np.testing.assert_allclose(air_to_vacuum([5889.951, 5895.924]), [5891.583, 5897.558], atol=2e-3)


def test_agrees_with_specutils():
    from specutils.utils.wcs_utils import vac_to_air

    vacuum = np.linspace(2001, 20_000, 500)
    theirs = vac_to_air(vacuum * u.AA, method="Ciddor1996").to_value(u.AA)
    np.testing.assert_allclose(vacuum_to_air(vacuum), theirs, rtol=1e-9)


def test_below_2000_angstrom_wavelengths_stay_in_vacuum():
    np.testing.assert_array_equal(vacuum_to_air([648.0, 1320.0, 1999.99]), [648.0, 1320.0, 1999.99])
    np.testing.assert_array_equal(air_to_vacuum([648.0, 1320.0, 1999.0]), [648.0, 1320.0, 1999.0])
    assert vacuum_to_air(2000.0) < 2000 < vacuum_to_air(2001.0)


def test_quantities_and_shapes():
    grid = [[500.0, 600.0], [700.0, 800.0]] * u.nm
    assert vacuum_to_air(grid).shape == (2, 2)
    np.testing.assert_array_equal(vacuum_to_air(grid), vacuum_to_air(grid.to_value(u.AA)))


def test_convert_medium_goes_both_ways_or_nowhere():
    vacuum = np.array([5000.0, 6000.0])
    air = convert_medium(vacuum, "vacuum", "air")
    assert np.all(air < vacuum)
    np.testing.assert_allclose(convert_medium(air, "air", "vacuum"), vacuum, rtol=1e-15)
    np.testing.assert_array_equal(convert_medium(vacuum, "air", "air"), vacuum)


@pytest.mark.parametrize("media", [("air", "water"), ("VACUUM", "air"), (None, None)])
def test_an_unknown_medium_is_named(media):
    with pytest.raises(MediumError, match=r"expected 'air' or 'vacuum'"):
        convert_medium(5000.0, *media)


@pytest.mark.parametrize("bad", [0.0, -5000.0, np.nan, np.inf])
@pytest.mark.parametrize("function", [air_to_vacuum, vacuum_to_air])
def test_nonsense_wavelengths_are_refused(function, bad):
    with pytest.raises(DataError, match="not positive and finite"):
        function([5000.0, bad])


def test_log_grid_is_what_it_says():
    grid = log_grid(4713.0, 100, 2.5)
    np.testing.assert_allclose(grid, 4713.0 * np.exp(np.arange(100) * 2.5 / C_KMS), rtol=1e-15)
    assert velocity_step(grid) == pytest.approx(2.5, rel=1e-10)
    quantities = log_grid(471.3 * u.nm, 100, 2500 * u.m / u.s)
    np.testing.assert_allclose(quantities, grid, rtol=1e-15)


def test_velocity_step_survives_single_precision():
    assert velocity_step(log_grid(6478.0, 4096, 2.8).astype("f4")) == pytest.approx(2.8, rel=1e-4)


@pytest.mark.parametrize(
    "grid", [np.linspace(4713, 4903, 4096), [5000.0], log_grid(5000, 9, 3)[::-1], [1.0, 2.0, 8.0]]
)
def test_velocity_step_refuses_what_is_not_uniform(grid):
    with pytest.raises(DataError):
        velocity_step(grid)


@pytest.mark.parametrize("arguments", [(0, 5, 1), (5000, 0, 1), (5000, 5, 0), (5000, 5, np.nan)])
def test_log_grid_refuses_nonsense(arguments):
    with pytest.raises(DataError):
        log_grid(*arguments)
