"""SDSS spec files, from the documented layout."""

import numpy as np
import pytest

from siderea.errors import NotThisProductError
from siderea.flags import SpectrumFlag
from siderea.io import sdss


def velocity_of_line(products, spectra):
    line = products.LINE.sdss
    centre = products.line_centre(spectra.wavelength, spectra.flux[0], line, half_width=25)
    return (centre / line - 1) * products.C_KMS


def test_spec(products, tmp_path):
    spectra = sdss.read_spectra(products.spec(tmp_path / "d.fits"))
    row = spectra.table.iloc[0]
    assert spectra.medium == "vacuum"
    assert (row["id"], row["star_id"]) == ("4055-55359-596", "42")
    assert (row["ra"], row["dec"], row["snr"]) == (241.5, 20.5, 33.0)
    assert row["rv"] == pytest.approx(80.0, abs=1e-3)
    assert (row["class"], row["subclass"]) == ("STAR", "F5")
    assert abs(row["time"] - 55359.25) < 10 / 1440
    assert row["flags"] == 0
    assert abs(velocity_of_line(products, spectra)) < 1.0


def test_pixels_are_copied_in_the_surveys_frame(products, tmp_path):
    path = products.spec(tmp_path / "d.fits")
    (native,) = sdss.read_native(path)
    spectra = sdss.read_spectra(path, frame="barycentric")
    good = spectra.ivar[0] > 0
    assert good.sum() == 3800
    np.testing.assert_array_equal(spectra.flux[0, good], native.arms[0].flux)
    assert velocity_of_line(products, spectra) == pytest.approx(80, abs=1)


def test_masks(products, tmp_path):
    def mutate(flux, ivar, mask):
        mask[100], mask[101] = 1 << 23, 1 << 22
        mask[102], mask[103] = 1 << 16, 1 << 27  # near a bad pixel, poor sky: warnings
        ivar[104], ivar[105] = 0, -1
        flux[106] = np.nan

    path = products.spec(tmp_path / "d.fits", mutate=mutate)
    (native,) = sdss.read_native(path)
    assert np.flatnonzero(native.arms[0].ivar == 0).tolist() == [100, 101, 104, 105, 106]
    assert native.flags == SpectrumFlag.NON_FINITE | SpectrumFlag.BAD_ERROR


def test_agrees_with_specutils(products, tmp_path):
    specutils = pytest.importorskip("specutils")
    path = products.spec(tmp_path / "d.fits")
    theirs = specutils.Spectrum.read(path, format="SDSS-III/IV spec")
    (native,) = sdss.read_native(path)
    np.testing.assert_allclose(native.arms[0].flux, theirs.flux.value)
    np.testing.assert_allclose(native.arms[0].ivar, theirs.uncertainty.array)
    np.testing.assert_allclose(native.arms[0].wavelength, theirs.spectral_axis.value, rtol=1e-6)


def test_a_galaxy_has_no_stellar_velocity(products, tmp_path):
    spectra = sdss.read_spectra(products.spec(tmp_path / "d.fits", z=0.3))
    assert np.isnan(spectra.table["rv"][0])
    assert spectra.table["flags"][0] == SpectrumFlag.NO_RV


def test_an_object_without_number_is_named_by_its_spectrum(products, tmp_path):
    table = sdss.read_spectra(products.spec(tmp_path / "d.fits", thing_id=-1)).table
    assert table["star_id"][0] == "4055-55359-596"


def test_identify_and_refuse(products, tmp_path):
    assert sdss.identify(products.spec(tmp_path / "d.fits"))
    other = [products.apstar(tmp_path / "p.fits"), products.mrs(tmp_path / "m.fits")]
    assert not any(sdss.identify(path) for path in other)
    for path in other:
        with pytest.raises(NotThisProductError, match="expected an SDSS or BOSS spec file"):
            sdss.read_spectra(path)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6])
def test_cut_files_are_named(products, tmp_path, share):
    path = products.spec(tmp_path / "d.fits")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert not sdss.identify(path) or share > 0.02
    with pytest.raises(NotThisProductError, match=r"d\.fits"):
        sdss.read_spectra(path)
