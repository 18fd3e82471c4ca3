"""LAMOST files: both layouts of LRS, sums and exposures of MRS."""

import gzip

import numpy as np
import pytest

from siderea.errors import DataError, NotThisProductError
from siderea.flags import SpectrumFlag
from siderea.io import lamost
from siderea.io.barycentre import bmjd


def velocity_of_line(products, spectra, line, row=0, half_width=30.0):
    flux = spectra.flux[row]
    centre = products.line_centre(spectra.wavelength, flux, line, half_width=half_width)
    return (centre / line - 1) * products.C_KMS


@pytest.mark.parametrize("new_layout", [False, True])
def test_lrs(products, tmp_path, new_layout):
    path = products.lrs(tmp_path / "l.fits", new_layout=new_layout)
    spectra = lamost.read_spectra(path)
    row = spectra.table.iloc[0]
    assert spectra.medium == "vacuum"
    assert (row["id"], row["class"], row["subclass"]) == ("359910161", "STAR", "F5")
    assert row["rv"] == pytest.approx(-50.0, abs=1e-3)
    assert row["rv_err"] == pytest.approx(8.094, abs=1e-3)
    assert row["snr_g"] == 87.6
    assert np.isnan(row["snr_u"])  # -9999 in the file
    assert row["flags"] == 0
    assert abs(velocity_of_line(products, spectra, products.LINE.lamost_lrs)) < 1.0


@pytest.mark.parametrize("new_layout", [False, True])
def test_lrs_pixels_are_copied_in_the_surveys_frame(products, tmp_path, new_layout):
    path = products.lrs(tmp_path / "l.fits", new_layout=new_layout, n_pixels=3700)
    (native,) = lamost.read_native(path)
    spectra = lamost.read_spectra(path, frame="barycentric")
    np.testing.assert_array_equal(spectra.flux[0, :3700], native.arms[0].flux)
    assert not spectra.ivar[0, 3700:].any()
    np.testing.assert_allclose(native.arms[0].wavelength, spectra.wavelength[:3700], rtol=1e-12)


def test_gzip_is_the_same(products, tmp_path):
    path = products.lrs(tmp_path / "l.fits")
    zipped = tmp_path / "z.fits.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    plain, packed = (lamost.read_spectra(one) for one in (path, zipped))
    np.testing.assert_array_equal(plain.flux, packed.flux)
    assert lamost.identify(zipped)


def test_masks_and_nonsense(products, tmp_path):
    def mutate(flux, ivar, mask):
        mask[100] = 4
        ivar[101], ivar[102], ivar[103] = 0, -1, np.nan
        flux[104] = np.nan

    path = products.lrs(tmp_path / "l.fits", mutate=mutate)
    spectra = lamost.read_spectra(path, frame="barycentric")
    assert np.flatnonzero(spectra.ivar[0] == 0).tolist() == [100, 101, 102, 103, 104]
    assert spectra.table["flags"][0] == SpectrumFlag.NON_FINITE | SpectrumFlag.BAD_ERROR


@pytest.mark.parametrize("z", [-9999.0, 2.5, "none"])
def test_no_stellar_redshift_is_no_velocity(products, tmp_path, z):
    spectra = lamost.read_spectra(products.lrs(tmp_path / "l.fits", header={"Z": z}))
    assert np.isnan(spectra.table["rv"][0])
    assert spectra.table["flags"][0] == SpectrumFlag.NO_RV


def test_topocentric_wavelengths_are_corrected(products, tmp_path):
    cards = {"HELIO": False, "HELIO_RV": 20.0, "Z": -30 / products.C_KMS}
    path = products.lrs(tmp_path / "l.fits", velocity=-50.0, header=cards)
    spectra = lamost.read_spectra(path)  # a line at -50 km/s, seen from the Earth
    assert abs(velocity_of_line(products, spectra, products.LINE.lamost_lrs)) < 1.0


def test_air_wavelengths_are_refused(products, tmp_path):
    path = products.lrs(tmp_path / "l.fits", header={"VACUUM": False})
    with pytest.raises(NotThisProductError, match="VACUUM = False"):
        lamost.read_spectra(path)


@pytest.mark.parametrize("vectors", [False, True])
def test_mrs_sum(products, tmp_path, vectors):
    path = products.mrs(tmp_path / "m.fits", vectors=vectors)
    spectra = lamost.read_spectra(path, frame="barycentric")
    row = spectra.table.iloc[0]
    assert spectra.arm_names == ("blue", "red")
    assert (row["id"], row["n_exposures"]) == ("359910161", 2)
    assert row["is_coadd"]
    assert (row["snr_blue"], row["snr_red"]) == (65.0, 105.0)
    assert np.isnan(row["rv"])
    assert row["flags"] == 0
    for line in (products.LINE.mrs_blue, products.LINE.mrs_red):
        assert velocity_of_line(products, spectra, line, half_width=5) == pytest.approx(-40, abs=1)


def test_mrs_has_no_velocity_to_go_to_rest(products, tmp_path):
    spectra = lamost.read_spectra(products.mrs(tmp_path / "m.fits"))
    assert spectra.table["flags"][0] == SpectrumFlag.NO_RV


def test_mrs_exposures(products, tmp_path):
    path = products.mrs(tmp_path / "m.fits")
    spectra = lamost.read_spectra(path, frame="barycentric", exposures="single")
    assert spectra.ids.tolist() == ["359910161-83908922", "359910161-83908945"]
    assert spectra.table["star_id"].nunique() == 1
    # the minutes are local, 8 h ahead, and say when an exposure of 1200 s began
    middle = (np.array([83908922, 83908945]) + 10) / 1440 - 8 / 24
    expected = bmjd(middle, spectra.table["ra"][0], spectra.table["dec"][0])
    np.testing.assert_allclose(spectra.table["time"], expected, rtol=0, atol=1 / 86400)
    summed = lamost.read_spectra(path, frame="barycentric").table["time"][0]
    assert summed == pytest.approx(expected.mean(), abs=1 / 86400)
    for row in range(2):
        for line in (products.LINE.mrs_blue, products.LINE.mrs_red):
            shift = velocity_of_line(products, spectra, line, row, half_width=5)
            assert shift == pytest.approx(-40, abs=1)
    everything = lamost.read_spectra(path, exposures="all")
    assert everything.table["is_coadd"].tolist() == [True, False, False]


def test_an_exposure_without_its_red_half(products, tmp_path):
    path = products.mrs(tmp_path / "m.fits", without=("R-83908945",))
    spectra = lamost.read_spectra(path, frame="barycentric", exposures="single")
    assert spectra.table["flags"].tolist() == [0, SpectrumFlag.MISSING_ARM]
    assert not spectra.arm("red").ivar[1].any()
    assert spectra.arm("blue").ivar[1].all()


def test_what_a_file_lacks_is_named(products, tmp_path):
    path = products.mrs(tmp_path / "m.fits", without=("COADD_B", "COADD_R"))
    with pytest.raises(NotThisProductError, match="no COADD_B or COADD_R"):
        lamost.read_spectra(path)
    assert len(lamost.read_spectra(path, exposures="single")) == 2
    path = products.mrs(tmp_path / "n.fits", minutes=())
    with pytest.raises(NotThisProductError, match="no single exposure"):
        lamost.read_spectra(path, exposures="single")
    with pytest.raises(DataError, match="exposures"):
        lamost.read_spectra(path, exposures="some")


def test_repeats_of_a_star_share_its_name(products, tmp_path):
    moved = {"DESIG": "LAMOST J192814.09+435531.0", "DEC": 43.925304, "OBSID": 2}
    paths = [
        products.lrs(tmp_path / "a.fits"),
        products.lrs(tmp_path / "b.fits", header=moved),
        products.lrs(tmp_path / "c.fits", header={"DESIG": "LAMOST J0", "RA": 10.0, "OBSID": 3}),
    ]
    table = lamost.read_spectra(paths).table
    assert table["star_id"].tolist() == ["J192814.09+435530.8"] * 2 + ["J0"]


def test_the_two_surveys_do_not_mix(products, tmp_path):
    paths = [products.lrs(tmp_path / "l.fits"), products.mrs(tmp_path / "m.fits")]
    with pytest.raises(NotThisProductError, match="LRS files only"):
        lamost.read_spectra(paths)


def test_identify(products, tmp_path):
    good = [products.lrs(tmp_path / "a.fits"), products.lrs(tmp_path / "b.fits", new_layout=True)]
    good.append(products.mrs(tmp_path / "m.fits"))
    assert all(lamost.identify(path) for path in good)
    (tmp_path / "t.fits").write_text("not a FITS file")
    other = [products.apstar(tmp_path / "p.fits"), products.spec(tmp_path / "d.fits")]
    assert not any(lamost.identify(path) for path in [*other, tmp_path / "t.fits"])


@pytest.mark.parametrize("cut", [0, 100, 5000, 20_000])
def test_cut_files_are_named(products, tmp_path, cut):
    path = products.lrs(tmp_path / "l.fits")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(NotThisProductError, match=r"l\.fits"):
        lamost.read_spectra(path)


def test_another_product_is_named(products, tmp_path):
    with pytest.raises(NotThisProductError, match="expected a LAMOST"):
        lamost.read_spectra(products.apstar(tmp_path / "a.fits"))
