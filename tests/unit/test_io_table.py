"""Plain npz files and tables, and what they must say."""

import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Table

from siderea.errors import DataError, MediumError, NotThisProductError
from siderea.flags import SpectrumFlag
from siderea.io import table

WAVELENGTH = np.linspace(5000, 5100, 201)


@pytest.fixture
def flux():
    return np.random.default_rng(3).normal(1, 0.1, (3, WAVELENGTH.size))


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture
def good(tmp_path, flux):
    return npz(
        tmp_path / "s.npz",
        wavelength=WAVELENGTH,
        flux=flux,
        error=np.full(flux.shape, 0.5),
        medium="air",
        id=["a", "b", "c"],
        rv=[1.0, 2.0, np.nan],
        labels=np.arange(6).reshape(3, 2),
        label_names=["teff", "logg"],
    )


def test_npz(good, flux):
    spectra = table.read_spectra(good, resolution=5000)
    np.testing.assert_array_equal(spectra.flux, flux)
    assert np.all(spectra.ivar == 4)
    assert spectra.medium == "air"
    assert spectra.resolution == (5000.0,)
    assert spectra.ids.tolist() == ["a", "b", "c"]
    assert spectra.table["logg"].tolist() == [1, 3, 5]
    assert spectra.table["flags"].tolist() == [0, 0, 0]  # nothing was asked to be shifted


def test_shift_to_rest_needs_a_velocity(good):
    spectra = table.read_spectra(good, frame="rest")
    assert spectra.table["flags"].tolist() == [0, 0, SpectrumFlag.NO_RV]
    assert (spectra.ivar[0] == 0).any()  # the blue end moved away
    at_rest = table.read_spectra(good, frame="rest", file_frame="rest")
    assert at_rest.table["flags"].tolist() == [0, 0, 0]


def test_medium_is_never_assumed(tmp_path, flux):
    path = npz(tmp_path / "s.npz", wave=WAVELENGTH, flux=flux, ivar=np.ones_like(flux))
    with pytest.raises(MediumError, match="does not say the medium"):
        table.read_spectra(path)
    assert table.read_spectra(path, medium="vacuum").medium == "vacuum"


def test_media_must_agree(good, tmp_path, flux):
    with pytest.raises(MediumError, match="says 'air'"):
        table.read_spectra(good, medium="vacuum")
    other = npz(
        tmp_path / "o.npz", wave=WAVELENGTH, flux=flux, ivar=np.ones_like(flux), medium="vacuum"
    )
    with pytest.raises(MediumError, match="found vacuum wavelengths; expected air"):
        table.read_spectra([good, other])
    odd = npz(tmp_path / "w.npz", wave=WAVELENGTH, flux=flux, ivar=flux, medium="water")
    with pytest.raises(MediumError, match="water"):
        table.read_spectra(odd)


def test_a_file_without_errors_needs_one(tmp_path, flux):
    path = npz(tmp_path / "s.npz", wave=WAVELENGTH, flux=flux, medium="air")
    with pytest.raises(NotThisProductError, match="no ivar or error"):
        table.read_spectra(path)
    assert np.all(table.read_spectra(path, error=0.1).ivar == pytest.approx(100))


@pytest.mark.parametrize("name", ["name", "flux"])
def test_python_objects_are_refused(tmp_path, flux, name):
    arrays = {"wave": WAVELENGTH, "flux": flux, "ivar": flux, "medium": "air"}
    arrays[name] = np.array(["x", None, 3], dtype=object)
    path = npz(tmp_path / "s.npz", **arrays)
    with pytest.raises(NotThisProductError, match=rf"{name}.*Python objects.*pickle"):
        table.read_spectra(path)
    assert not table.identify(path)


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"flux": np.ones((2, 3))}, "no wavelength"),
        ({"wave": [1.0, 2, 3], "flux": np.ones((2, 4)), "ivar": np.ones((2, 4))}, r"\(3,\)"),
        ({"wave": [1.0, 2, 3], "flux": np.ones((2, 3)), "ivar": np.ones((1, 3))}, r"\(1, 3\)"),
        ({"wave": [3.0, 2, 1], "flux": np.ones((2, 3)), "ivar": np.ones((2, 3))}, "not increase"),
        ({"wave": [1.0, np.nan, 3], "flux": [1.0, 1, 1], "ivar": [1.0, 1, 1]}, "not increase"),
        ({"wave": ["a", "b"], "flux": [1.0, 1], "ivar": [1.0, 1]}, "not numbers"),
        ({"wave": [1.0, 2], "flux": [1.0, 1], "ivar": [1.0, 1], "frame": "moon"}, "moon"),
    ],
)
def test_contents_that_do_not_fit(tmp_path, arrays, found):
    path = npz(tmp_path / "s.npz", **arrays)
    with pytest.raises(NotThisProductError, match=found):
        table.read_spectra(path, medium="air")


def test_nonsense_pixels(tmp_path, flux):
    error = np.full(flux.shape, 0.1)
    flux[0, 5], error[1, 6], error[2] = np.nan, -1, 0
    path = npz(tmp_path / "s.npz", wave=WAVELENGTH, flux=flux, error=error, medium="air")
    spectra = table.read_spectra(path)
    assert spectra.table["flags"].tolist() == [
        SpectrumFlag.NON_FINITE,
        SpectrumFlag.BAD_ERROR,
        SpectrumFlag.BAD_ERROR | SpectrumFlag.NO_GOOD_PIXELS,
    ]
    assert np.isfinite(spectra.flux).all()


def _one(tmp_path, suffix, flux):
    """Write one spectrum in a format."""
    path = tmp_path / f"star{suffix}"
    columns = {"Wavelength": WAVELENGTH, "Flux": flux[0], "Error": np.full(WAVELENGTH.size, 0.5)}
    frame = pd.DataFrame(columns)
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.attrs = {"medium": "air", "rv": 12.5}
        frame.to_parquet(path)
    elif suffix in (".txt", ".dat"):
        np.savetxt(path, frame.to_numpy())
    elif suffix == ".ecsv":
        made = Table.from_pandas(frame)
        made["Wavelength"] = (made["Wavelength"] / 10) * units.nm
        made.meta = {"medium": "air", "rv": 12.5}
        made.write(path)
    else:
        hdu = fits.BinTableHDU(Table.from_pandas(frame))
        hdu.header["MEDIUM"] = "AIR"
        hdu.writeto(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".dat", ".ecsv", ".fits", ".parquet"])
def test_one_spectrum_per_table(tmp_path, flux, suffix):
    path = _one(tmp_path, suffix, flux)
    assert table.identify(path)
    says = suffix in (".ecsv", ".fits", ".parquet")
    spectra = table.read_spectra(path, medium=None if says else "air")
    np.testing.assert_allclose(spectra.wavelength, WAVELENGTH)
    np.testing.assert_allclose(spectra.flux[0], flux[0])
    assert np.all(spectra.ivar == 4)
    assert spectra.ids.tolist() == ["star"]
    if suffix in (".ecsv", ".parquet"):
        assert spectra.table["rv"][0] == 12.5


def test_tables_of_other_pixels_are_interpolated(tmp_path):
    paths = []
    for number, step in enumerate((0.5, 0.4)):
        wavelength = np.arange(5000, 5100, step)
        path = tmp_path / f"{number}.csv"
        pd.DataFrame(
            {"wave": wavelength, "flux": 1 + 0.001 * (wavelength - 5000), "ivar": 1.0}
        ).to_csv(path, index=False)
        paths.append(path)
    spectra = table.read_spectra(paths, medium="air")
    inside = slice(0, -2)
    np.testing.assert_allclose(spectra.flux[1, inside], spectra.flux[0, inside], rtol=1e-12)


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".ecsv", ".fits", ".parquet", ".txt"])
@pytest.mark.parametrize("content", [b"", b"not what it says\n\x00\xff" * 50])
def test_damage_is_one_clear_line(tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(NotThisProductError) as caught:
        table.read_spectra(path, medium="air")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not table.identify(path)


def test_other_files_are_named(tmp_path, products):
    with pytest.raises(NotThisProductError, match="expected one of"):
        table.read_spectra(tmp_path / "x.pkl", medium="air")
    with pytest.raises(NotThisProductError, match="no table with a column of flux"):
        table.read_spectra(products.apstar(tmp_path / "a.fits"), medium="vacuum")
    with pytest.raises(NotThisProductError, match="unreadable file"):
        table.read_spectra(tmp_path / "absent.csv", medium="air")
    with pytest.raises(DataError, match="no file"):
        table.read_spectra([])


def test_a_truncated_npz(good):
    good.write_bytes(good.read_bytes()[:-300])
    with pytest.raises(NotThisProductError):
        table.read_spectra(good)
