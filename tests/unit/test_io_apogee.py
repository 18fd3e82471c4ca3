"""APOGEE files: which rows, which pixels, which frame."""

import numpy as np
import pytest

from siderea.errors import DataError, NotThisProductError
from siderea.flags import SpectrumFlag
from siderea.io import apogee


def velocity_of_line(products, spectra, row=0):
    """Where the line came out, as km/s off its rest wavelength."""
    line, flux = products.LINE.apogee, spectra.flux[row]
    centre = products.line_centre(spectra.wavelength, flux, line, half_width=8)
    return (centre / line - 1) * products.C_KMS


def test_combined(products, tmp_path):
    path = products.apstar(tmp_path / "a.fits")
    spectra = apogee.read_spectra(path)
    assert spectra.medium == "vacuum"
    assert spectra.arm_names == ("blue", "green", "red")
    assert spectra.resolution == (22500.0,) * 3
    row = spectra.table.iloc[0]
    assert (row["id"], row["star_id"]) == ("4500.2M00000000+0000000", "2M00000000+0000000")
    assert (row["rv"], row["rv_err"], row["n_visits"]) == (22.0, 0.05, 2)
    assert np.isnan(row["h"])  # 99.999 in the file
    assert row["flags"] == SpectrumFlag.NONE
    np.testing.assert_array_equal(spectra.ivar[0] > 0, products.LIT)
    assert abs(velocity_of_line(products, spectra)) < 0.5


def test_grid_is_that_of_the_survey(products):
    np.testing.assert_allclose(apogee.GRID.wavelength, products.APOGEE_WAVELENGTH, rtol=1e-15)


def test_barycentric_frame_puts_the_velocity_back(products, tmp_path):
    path = products.apstar(tmp_path / "a.fits")
    spectra = apogee.read_spectra(path, frame="barycentric")
    assert velocity_of_line(products, spectra) == pytest.approx(22.0, abs=0.5)


def test_visits(products, tmp_path):
    path = products.apstar(tmp_path / "a.fits")
    spectra = apogee.read_spectra(path, visits=True)
    assert spectra.ids.tolist() == [
        "2M00000000+0000000-6560-56581-200",
        "2M00000000+0000000-6560-56582-200",
    ]
    assert spectra.table["star_id"].nunique() == 1
    assert spectra.table["rv"].tolist() == [20.0, 24.0]
    assert spectra.table["barycentric_velocity"].tolist() == [-9.9, -9.9]
    # JD is the middle of the exposure in UTC; light needs up to 8.3 minutes, TDB is 67 s ahead
    delay = spectra.table["time"] - [56581.25, 56582.25]
    assert np.all(np.abs(delay) < 10 / 1440)


def test_a_star_of_one_visit(products, tmp_path):
    path = products.apstar(tmp_path / "a.fits", n_visits=1)
    assert len(apogee.read_spectra(path)) == 1
    assert len(apogee.read_spectra(path, visits=True)) == 1


@pytest.mark.parametrize("bit", [0, 1, 2, 3, 4, 5, 6, 7, 14])
def test_bad_bits_mask(products, tmp_path, bit):
    def mutate(flux, error, mask):
        mask[:, 1000] |= 1 << bit

    path = products.apstar(tmp_path / "a.fits", mutate=mutate)
    assert apogee.read_spectra(path).ivar[0, 1000] == 0


@pytest.mark.parametrize("bit", range(8, 14))
def test_warning_bits_do_not(products, tmp_path, bit):
    def mutate(flux, error, mask):
        mask[:, 1000] |= 1 << bit

    path = products.apstar(tmp_path / "a.fits", mutate=mutate)
    assert apogee.read_spectra(path).ivar[0, 1000] > 0


def test_combined_is_judged_by_the_and_of_the_visits(products, tmp_path):
    def mutate(flux, error, mask):
        mask[0, 1000] |= 1  # bad in one visit: in the OR of row 1 only
        mask[2, 1000] |= 1

    path = products.apstar(tmp_path / "a.fits", mutate=mutate)
    assert apogee.read_spectra(path).ivar[0, 1000] > 0
    assert (apogee.read_spectra(path, visits=True).ivar[:, 1000] > 0).tolist() == [False, True]


def test_nonsense_pixels(products, tmp_path):
    def mutate(flux, error, mask):
        flux[:, 1000], flux[:, 1001] = np.nan, np.inf
        error[:, 1002], error[:, 1003], error[:, 1004] = -1, 0, np.nan

    spectra = apogee.read_spectra(products.apstar(tmp_path / "a.fits", mutate=mutate))
    assert spectra.table["flags"][0] == SpectrumFlag.NON_FINITE | SpectrumFlag.BAD_ERROR
    assert not spectra.ivar[0, 1000:1005].any()
    assert np.isfinite(spectra.flux).all()


def test_zero_signal(products, tmp_path):
    def mutate(flux, error, mask):
        flux[:] = 0

    spectra = apogee.read_spectra(products.apstar(tmp_path / "a.fits", mutate=mutate))
    assert spectra.table["flags"][0] == SpectrumFlag.ZERO_SNR


def test_survey_flags_and_missing_velocity(products, tmp_path):
    cards = {"STARFLAG": 1 << 3, "VHELIO": -9999.0}
    path = products.apstar(tmp_path / "a.fits", header=cards)
    spectra = apogee.read_spectra(path, frame="barycentric")
    assert spectra.table["flags"][0] == SpectrumFlag.PIPELINE | SpectrumFlag.NO_RV
    assert np.isnan(spectra.table["rv"][0])


def test_later_releases_name_the_velocity_otherwise(products, tmp_path):
    cards = {"VHELIO": -9999.0, "VHBARY": 7.5}
    path = products.apstar(tmp_path / "a.fits", header=cards)
    assert apogee.read_spectra(path).table["rv"][0] == 7.5


def test_visit_file_comes_to_rest_and_to_the_barycentre(products, tmp_path):
    path = products.apvisit(tmp_path / "v.fits", velocity=30.0, correction=12.0)
    (native,) = apogee.read_native(path)
    assert [arm.name for arm in native.arms] == ["blue", "green", "red"]
    assert all(np.all(np.diff(arm.wavelength) > 0) for arm in native.arms)
    spectra = apogee.read_spectra(path)
    assert spectra.ids.tolist() == ["2M00000000+0000000-6994-56770-261"]
    assert abs(velocity_of_line(products, spectra)) < 0.5
    spectra = apogee.read_spectra(path, frame="barycentric")
    assert velocity_of_line(products, spectra) == pytest.approx(30.0, abs=0.5)


def test_visit_without_correction_is_refused(products, tmp_path):
    path = products.apvisit(tmp_path / "v.fits", correction=0.0, header={"BC": "none"})
    with pytest.raises(NotThisProductError, match="barycentric correction"):
        apogee.read_native(path)


@pytest.mark.parametrize(("aspcapflag", "flag"), [(0, 0), (1 << 23, SpectrumFlag.PIPELINE)])
def test_aspcapstar(products, tmp_path, aspcapflag, flag):
    path = products.aspcapstar(tmp_path / "s.fits", aspcapflag=aspcapflag)
    spectra = apogee.read_spectra(path)
    row = spectra.table.iloc[0]
    assert row["id"] == "4500.2M00000000+0000000"
    assert (row["rv"], row["teff"], row["snr"]) == (20.0, 4850.0, 100.0)
    assert row["logg"] == pytest.approx(2.6)  # the column holds -9999: taken from PARAM
    assert row["m_h"] == pytest.approx(-0.15)
    assert np.isnan(row["fe_h"])
    assert row["flags"] == flag
    np.testing.assert_array_equal(spectra.ivar[0] > 0, products.LIT)
    assert abs(velocity_of_line(products, spectra)) < 0.5


def test_products_mix_in_one_set(products, tmp_path):
    paths = [products.apstar(tmp_path / "a.fits"), products.apvisit(tmp_path / "v.fits")]
    paths.append(products.aspcapstar(tmp_path / "s.fits"))
    spectra = apogee.read_spectra(paths)
    assert len(spectra) == 3
    assert spectra.table["star_id"].nunique() == 1


def test_identify(products, tmp_path):
    good = [products.apstar(tmp_path / "a.fits"), products.apvisit(tmp_path / "v.fits")]
    good.append(products.aspcapstar(tmp_path / "s.fits"))
    assert all(apogee.identify(path) for path in good)
    (tmp_path / "t.fits").write_text("not a FITS file")
    other = [products.lrs(tmp_path / "l.fits"), products.spec(tmp_path / "d.fits")]
    assert not any(apogee.identify(path) for path in [*other, tmp_path / "t.fits"])


def test_other_products_and_damage_are_named(products, tmp_path):
    with pytest.raises(NotThisProductError, match="expected an APOGEE apStar"):
        apogee.read_spectra(products.lrs(tmp_path / "l.fits"))
    path = products.apstar(tmp_path / "a.fits")
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(NotThisProductError):
        apogee.read_spectra(path)
    with pytest.raises(DataError, match="no file"):
        apogee.read_spectra([])


def test_rows_that_do_not_fit_the_visits(products, tmp_path):
    path = products.apstar(tmp_path / "a.fits", header={"NVISITS": 5})
    with pytest.raises(NotThisProductError, match="5 visits"):
        apogee.read_spectra(path)
