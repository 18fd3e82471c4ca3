import shutil

import numpy as np
import pytest
from astropy.io import fits

from siderea.errors import DataError, NotThisProductError
from siderea.flags import SpectrumFlag
from siderea.io import galah
from siderea.spectra.instruments import GALAH_PIXEL

STAR = "000000000123456"


@pytest.fixture
def files(tmp_path, mock_star):
    return mock_star(tmp_path, STAR, rv=-35.0)


def edit(path, extension, change):
    with fits.open(path, mode="update") as hdus:
        change(hdus[extension])


def test_a_star_is_read_onto_the_common_grid_at_rest(files):
    spectra = galah.read_spectra(files.values())
    assert spectra.flux.shape == (1, 16384)
    assert spectra.medium == "air"
    assert spectra.arm_names == ("blue", "green", "red", "ir")
    row = spectra.table.iloc[0]
    assert row["id"] == STAR
    assert row["sobject_id"] == int(STAR)
    assert row["rv"] == pytest.approx(-35.0, abs=1e-6)
    assert row["barycentric_velocity"] == 10.0
    assert row["snr_green"] == pytest.approx(80.0, rel=1e-3)
    assert row["flags"] == 0


def test_lines_stand_at_their_rest_wavelengths(files, sunlike_spectrum):
    spectra = galah.read_spectra(files.values(), extension="normalised")
    good = spectra.ivar[0] > 0
    truth = sunlike_spectrum(spectra.wavelength)
    # what is left is the interpolation between detector pixels
    assert np.abs(spectra.flux[0] - truth)[good].max() < 0.01
    assert good.mean() > 0.95


def test_barycentric_frame_keeps_the_velocity(files):
    rest = galah.read_spectra(files.values(), extension="normalised")
    moved = galah.read_spectra(files.values(), extension="normalised", frame="barycentric")
    factor = np.sqrt((1 - 35 / 299792.458) / (1 + 35 / 299792.458))
    for arm in rest.arms:
        good = (rest.ivar[0, arm] > 0) & (moved.ivar[0, arm] > 0)
        wavelength = rest.wavelength[arm][good]
        back = np.interp(wavelength * factor, wavelength, moved.flux[0, arm][good])
        inner = slice(200, -200)
        assert np.abs(back - rest.flux[0, arm][good])[inner].max() < 0.05
        assert np.abs(moved.flux[0, arm][good] - rest.flux[0, arm][good]).max() > 0.2


def test_a_star_that_lacks_a_ccd_has_ivar_0_there(files):
    files[4].unlink()
    spectra = galah.read_spectra([files[n] for n in (1, 2, 3)])
    assert not spectra.ivar[0, spectra.arms[3]].any()
    assert np.isfinite(spectra.flux).all()
    assert spectra.table["flags"][0] == SpectrumFlag.MISSING_ARM
    assert np.isnan(spectra.table["snr_ir"][0])


def test_a_star_without_normalised_extension_has_no_velocity(files, tmp_path):
    for path in files.values():
        with fits.open(path) as hdus:
            fits.HDUList([hdu.copy() for hdu in hdus[:4]]).writeto(path, overwrite=True)
    spectra = galah.read_spectra(files.values())
    assert np.isnan(spectra.table["rv"][0])
    assert spectra.table["flags"][0] & SpectrumFlag.NO_RV
    with pytest.raises(NotThisProductError, match="no normalised extension"):
        galah.read_spectra(files.values(), extension="normalised")


def test_nan_infinite_and_negative_errors_are_masked_and_flagged(files):
    def damage(hdu):
        hdu.data[100] = np.nan
        hdu.data[101] = np.inf

    def negate(hdu):
        hdu.data[200:210] = -0.1

    edit(files[2], 0, damage)
    edit(files[3], 1, negate)
    native = galah.read_native(list(files.values()))
    assert native.flags == SpectrumFlag.NON_FINITE | SpectrumFlag.BAD_ERROR
    assert not native.arms[1].ivar[100:102].any()
    assert not native.arms[2].ivar[200:210].any()
    assert all(np.isfinite(arm.flux).all() and (arm.ivar >= 0).all() for arm in native.arms)


def test_an_arm_of_nothing_but_nan_is_masked(files):
    edit(files[1], 0, lambda hdu: hdu.data.fill(np.nan))
    native = galah.read_native(list(files.values()))
    assert native.flags & SpectrumFlag.NON_FINITE
    assert not native.arms[0].ivar.any()


def test_zero_signal_to_noise_is_flagged(files):
    edit(files[1], 0, lambda hdu: hdu.data.__imul__(0))
    native = galah.read_native(list(files.values()))
    assert native.flags & SpectrumFlag.ZERO_SNR


def test_a_pixel_near_zero_does_not_weigh_more_than_its_neighbours(files):
    def zero(hdu):
        hdu.data[500] = 1e-6

    edit(files[1], 0, zero)
    ivar = galah.read_native(list(files.values())).arms[0].ivar
    assert ivar[500] <= 101 * np.median(ivar)


def test_identify_tells_galah_from_the_rest(files, tmp_path):
    assert galah.identify(files[1])
    text = tmp_path / "notes.fits"
    text.write_text("not a FITS file")
    assert not galah.identify(text)
    fits.PrimaryHDU(np.ones(4)).writeto(tmp_path / "other.fits")
    assert not galah.identify(tmp_path / "other.fits")


def test_bad_files_are_named_with_what_was_found(files, tmp_path):
    whole = files[1].read_bytes()
    files[1].write_bytes(whole[: len(whole) // 3])
    with pytest.raises(NotThisProductError, match=str(files[1])):
        galah.read_native(files[1])
    files[2].write_text("hello")
    with pytest.raises(NotThisProductError, match="not FITS"):
        galah.read_native(files[2])
    fits.PrimaryHDU(np.ones(4)).writeto(files[3], overwrite=True)
    with pytest.raises(NotThisProductError, match="another product"):
        galah.read_native(files[3])
    edit(files[4], 0, lambda hdu: hdu.header.__setitem__("CDELT1", -1.0))
    with pytest.raises(NotThisProductError, match="CDELT1"):
        galah.read_native(files[4])


def test_files_of_two_stars_or_twice_a_ccd_are_refused(files, tmp_path, mock_star):
    other = mock_star(tmp_path, "000000000999999")
    with pytest.raises(NotThisProductError, match="files of one star"):
        galah.read_native([files[1], other[2]])
    (tmp_path / "copy").mkdir()
    copy = shutil.copy(files[1], tmp_path / "copy")
    with pytest.raises(NotThisProductError, match="a second time"):
        galah.read_native([files[1], copy])


def test_grouping_by_name_by_header_and_with_copies(files, tmp_path):
    anonymous = tmp_path / "blue_spectrum.fits"
    shutil.move(files[1], anonymous)
    (tmp_path / "copy").mkdir()
    copy = shutil.copy(files[2], tmp_path / "copy")
    stray = tmp_path / "stray.fits"
    stray.write_text("x")
    groups = galah.group([stray, copy, files[4], anonymous, files[3], files[2]])
    assert len(groups[STAR]) == 4
    assert str(anonymous) in groups[STAR]
    assert len(groups[f"{STAR} (copy 2)"]) == 1
    assert groups[str(stray)] == (str(stray),)


def test_options_are_checked(files):
    with pytest.raises(DataError, match="'raw' or 'normalised'"):
        galah.read_native(files[1], extension="reduced")
    with pytest.raises(DataError, match="found no file"):
        galah.read_spectra([])


def test_one_velocity_step_in_all_arms():
    for arm in galah.GRID.arms:
        step = np.diff(np.log(galah.GRID.wavelength[arm])) * 299792.458
        np.testing.assert_allclose(step, GALAH_PIXEL, rtol=1e-6)
