"""From pixels of files to one grid: what is copied, what is shifted, what is flagged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.errors import DataError, MediumError
from siderea.flags import SpectrumFlag
from siderea.io import native as native_module
from siderea.io.native import (
    Arm,
    InstrumentGrid,
    NativeSpectrum,
    as_paths,
    median_snr,
    to_common_grid,
)
from siderea.io.pixels import clean, log_wavelength, on_log_grid
from siderea.io.star_names import one_name_per_star

BLUE, RED = log_wavelength(36900, 37000, 1e-4), log_wavelength(38000, 38200, 1e-4)
GRID = InstrumentGrid.from_arms(
    {"blue": BLUE, "red": RED}, medium="vacuum", resolution=(1000.0, 2000.0)
)


def arm(name, wavelength, rng, ivar=4.0):
    return Arm(name, wavelength, rng.normal(10, 1, wavelength.size), np.full(wavelength.size, ivar))


def native(*arms, rv=np.nan, medium="vacuum", frame="barycentric", name="a", **more):
    return NativeSpectrum(
        name, tuple(arms), medium, (1000.0,) * len(arms), {"rv": rv, **more}, frame=frame
    )


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_grid_tiles_its_pixels():
    assert GRID.arms == (slice(0, 101), slice(101, 302))
    assert GRID.wavelength[101] == RED[0]


@pytest.fixture
def no_resampling(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("the spectrum was resampled")

    monkeypatch.setattr(native_module, "interpolate", refuse)


@pytest.mark.usefixtures("no_resampling")
@pytest.mark.parametrize("frame", ["barycentric", None])
def test_pixels_of_the_grid_are_copied_exactly(rng, frame):
    blue, red = arm("blue", BLUE, rng), arm("red", RED[7:100], rng)
    spectra = to_common_grid([native(blue, red, rv=20.0)], GRID, frame=frame)
    np.testing.assert_array_equal(spectra.arm("blue").flux[0], blue.flux)
    np.testing.assert_array_equal(spectra.arm("red").flux[0, 7:100], red.flux)
    assert np.flatnonzero(spectra.arm("red").ivar[0] > 0).tolist() == list(range(7, 100))
    assert spectra.table["flags"][0] == 0


@pytest.mark.usefixtures("no_resampling")
def test_a_spectrum_wider_than_the_grid_is_cut(rng):
    wide = log_wavelength(36880, 37020, 1e-4)
    one = native(arm("blue", wide, rng))
    spectra = to_common_grid([one], GRID, frame="barycentric")
    np.testing.assert_array_equal(spectra.arm("blue").flux[0], one.arms[0].flux[20:121])
    assert np.all(spectra.arm("blue").ivar > 0)


def test_a_rest_frame_file_is_copied_at_rest_and_shifted_to_the_barycentre(rng):
    one = native(arm("blue", BLUE, rng), rv=60.0, frame="rest")
    at_rest = to_common_grid([one], GRID, frame="rest")
    np.testing.assert_array_equal(at_rest.arm("blue").flux[0], one.arms[0].flux)
    shifted = to_common_grid([one], GRID, frame="barycentric").arm("blue").flux[0]
    # 60 km/s is 0.87 pixel of 1e-4 dex to the red
    assert np.corrcoef(shifted[2:], one.arms[0].flux[1:-1])[0, 1] > 0.9


@pytest.mark.parametrize("rv", [-250.0, 0.0, 120.0])
def test_a_line_comes_to_rest(products, rv):
    line = BLUE[50]
    flux = products.spectrum(BLUE, line, velocity=rv, width=4.0)
    one = native(Arm("blue", BLUE, flux, np.ones(BLUE.size)), rv=rv)
    spectra = to_common_grid([one], GRID, frame="rest").arm("blue")
    centre = products.line_centre(spectra.wavelength, spectra.flux[0], line, half_width=15)
    assert abs(centre / line - 1) * 299_792 < 1.0  # km/s; a pixel is 69 km/s


def test_unknown_velocity_is_flagged_and_left(rng):
    one = native(arm("blue", BLUE, rng), arm("red", RED, rng))
    spectra = to_common_grid([one], GRID, frame="rest")
    assert spectra.table["flags"][0] == SpectrumFlag.NO_RV
    np.testing.assert_array_equal(spectra.arm("red").flux[0], one.arms[1].flux)


@pytest.mark.parametrize("rv", [np.inf, 1e9])
def test_impossible_velocity_is_unknown(rng, rv):
    spectra = to_common_grid([native(arm("blue", BLUE, rng), rv=rv)], GRID)
    assert spectra.table["flags"][0] & SpectrumFlag.NO_RV


def test_missing_arm_is_masked_and_flagged(rng):
    spectra = to_common_grid([native(arm("red", RED, rng), rv=0.0)], GRID)
    assert spectra.table["flags"][0] == SpectrumFlag.MISSING_ARM
    assert not spectra.arm("blue").ivar.any()
    assert np.isfinite(spectra.flux).all()
    nothing = to_common_grid([native(rv=0.0)], GRID)
    assert nothing.table["flags"][0] & SpectrumFlag.NO_GOOD_PIXELS


def test_rows_of_different_lengths_keep_their_order(rng):
    lengths = [101, 90, 101, 80]
    natives = [
        native(arm("blue", BLUE[:n] * (1 + 1e-5), rng), rv=5.0, name=str(n), mark=k)
        for k, n in enumerate(lengths)
    ]
    spectra = to_common_grid(natives, GRID)
    together = spectra.arm("blue")
    for k, one in enumerate(natives):
        alone = to_common_grid([one], GRID).arm("blue")
        np.testing.assert_array_equal(together.flux[k], alone.flux[0])
    assert spectra.table["mark"].tolist() == [0, 1, 2, 3]
    assert spectra.ids.tolist() == ["101", "90", "101", "80"]


def test_wrong_medium_and_frame_are_refused(rng):
    with pytest.raises(MediumError, match="found air wavelengths; expected vacuum"):
        to_common_grid([native(arm("blue", BLUE, rng), medium="air")], GRID)
    with pytest.raises(DataError, match="frame"):
        to_common_grid([], GRID, frame="telescope")


def test_no_spectra_is_an_empty_set():
    assert len(to_common_grid([], GRID)) == 0


def test_clean_masks_and_says_why():
    flux = [1.0, np.nan, np.inf, 1.0, 1.0, 1.0, 1.0]
    error = [0.5, 1.0, 1.0, -1.0, 0.0, np.nan, 1.0]
    values, ivar, flags = clean(flux, error=error)
    assert ivar.tolist() == [4.0, 0, 0, 0, 0, 0, 1.0]
    assert np.isfinite(values).all()
    assert flags == SpectrumFlag.NON_FINITE | SpectrumFlag.BAD_ERROR
    _, ivar, flags = clean([1.0, 1.0, 1.0], ivar=[0.0, 1.0, -2.0])
    assert ivar.tolist() == [0, 1, 0]
    assert flags == SpectrumFlag.BAD_ERROR
    assert clean([1.0, 1.0], ivar=[0.0, 1.0])[2] == SpectrumFlag.NONE


def test_clean_of_no_signal():
    assert clean([-1.0, -2.0, 5.0], ivar=[1, 1, 0])[2] == SpectrumFlag.ZERO_SNR
    assert clean([0.0, 0.0], ivar=[1, 1])[2] == SpectrumFlag.ZERO_SNR
    assert clean([1.0, 2.0], ivar=[0, 0])[2] == SpectrumFlag.NO_GOOD_PIXELS


def test_what_the_survey_masks_raises_no_flag():
    _, ivar, flags = clean([np.nan, 1.0], error=[0.0, 1.0], bad=[True, False])
    assert ivar.tolist() == [0, 1]
    assert flags == SpectrumFlag.NONE


def test_an_error_too_small_to_square_is_bad():
    _, ivar, flags = clean([1.0, 1.0], error=[1e-200, 1.0])
    assert ivar.tolist() == [0, 1]
    assert flags == SpectrumFlag.BAD_ERROR


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.floats(width=32), st.floats(width=32), st.booleans()), min_size=1, max_size=9
    )
)
def test_clean_never_lets_nonsense_through(pixels):
    flux, error, bad = (np.array(column) for column in zip(*pixels, strict=True))
    values, ivar, _ = clean(flux, error=error, bad=bad)
    assert np.isfinite(values).all()
    assert np.isfinite(ivar).all()
    assert (ivar >= 0).all()
    good = ivar > 0
    assert not (good & bad).any()
    np.testing.assert_array_equal(values[good], flux[good])


def test_rounded_log_wavelengths_return_to_their_grid():
    exact = log_wavelength(35682, 39590, 1e-4)
    rounded = np.log10(exact).astype(np.float32)
    assert np.abs(10.0 ** rounded.astype(float) - exact).max() > 1e-4
    np.testing.assert_array_equal(on_log_grid(rounded, 1e-4), exact)
    off = np.log10(exact) + 2e-5
    np.testing.assert_array_equal(on_log_grid(off, 1e-4), 10.0**off)


def test_median_snr(rng):
    one = Arm("blue", BLUE[:3], np.array([10.0, 20.0, 99.0]), np.array([4.0, 4.0, 0.0]))
    assert median_snr(one) == 30.0
    assert np.isnan(median_snr())


def test_paths():
    assert [path.name for path in as_paths("a/b.fits")] == ["b.fits"]
    assert len(as_paths(["a", "b"])) == 2
    with pytest.raises(DataError, match="at least one"):
        as_paths([])


def test_one_star_has_one_name():
    names = ["J1", "J2", "J3", "J4", "J5"]
    ra, dec = [10.0, 10.0, 10.0, 50.0, np.nan], [80.0, 80.0 + 2 / 3600, 80.0 + 9 / 3600, 80, 0]
    assert one_name_per_star(names, ra, dec).tolist() == ["J1", "J1", "J3", "J4", "J5"]
    # 5 arcsec in right ascension are 0.9 arcsec on the sky at 80 degrees
    assert one_name_per_star(["a", "b"], [0.0, 359.9986], [80.0, 80.0]).tolist() == ["a", "a"]
