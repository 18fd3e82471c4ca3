"""One door to FITS files: whatever is wrong becomes one clear line."""

import gzip
import pickle

import numpy as np
import pytest
from astropy.io import fits

from siderea.errors import NotThisProductError
from siderea.io.fits_product import open_product


@pytest.fixture
def image_file(tmp_path):
    path = tmp_path / "image.fits"
    primary = fits.PrimaryHDU(np.arange(6000, dtype=">f4").reshape(2, 3000))
    primary.header.update({"RA": 12.5, "Z": -9999.0, "NAME": " star "})
    column = fits.Column("FLUX", "E", array=np.arange(5))
    table = fits.BinTableHDU.from_columns([column], name="TAB")
    fits.HDUList([primary, table]).writeto(path)
    return path


def test_contents_come_in_the_machines_byte_order(image_file):
    with open_product(image_file, expected="x") as product:
        image = product.image(0, ndim=2)
        (flux,) = product.columns("TAB", "flux")
    assert image.dtype.isnative
    assert flux.dtype.isnative
    np.testing.assert_array_equal(image[1], np.arange(3000, 6000))
    np.testing.assert_array_equal(flux, np.arange(5))


def test_keywords(image_file):
    with open_product(image_file, expected="x") as product:
        assert product.number("RA") == 12.5
        assert np.isnan(product.number("Z"))
        assert np.isnan(product.number("NAME"))
        assert np.isnan(product.number("ABSENT"))
        assert product.text("NAME") == "star"
        assert product.has("TAB")
        assert not product.has("OTHER")
        assert product.column_names("TAB") == ("flux",)
        assert product.column_names(0) == ()


def test_gzip_leaves_no_file_behind(image_file, tmp_path):
    path = tmp_path / "folder" / "image.fits.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(image_file.read_bytes()))
    with open_product(path, expected="x") as product:
        assert product.image(0).shape == (2, 3000)
    assert [entry.name for entry in path.parent.iterdir()] == ["image.fits.gz"]


def _broken(tmp_path, good, how):
    content = good.read_bytes()
    path = tmp_path / "broken.fits"
    contents = {
        "empty": b"",
        "text": b"404 not found\n" * 500,
        "header cut": content[:1000],
        "image cut": content[:10_000],
        "gzip cut": gzip.compress(content)[:-200],
        "gzip of text": gzip.compress(b"hello" * 1000),
    }
    if how == "folder":
        path.mkdir()
    elif how != "absent":
        path.write_bytes(contents[how])
    return path


@pytest.mark.parametrize(
    "how",
    ["absent", "folder", "empty", "text", "header cut", "image cut", "gzip cut", "gzip of text"],
)
def test_damage_is_one_clear_line(tmp_path, image_file, how):
    path = _broken(tmp_path, image_file, how)
    with (
        pytest.raises(NotThisProductError) as caught,
        open_product(path, expected="a thing") as product,
    ):
        product.image(0)
    message = str(caught.value)
    assert str(path) in message
    assert "expected a thing" in message
    assert "\n" not in message


def _read_all(path):
    with open_product(path, expected="x") as product:
        product.image(0)
        product.columns("TAB", "FLUX")


def test_every_cut_of_a_file_is_noticed(tmp_path, image_file):
    """A file cut anywhere before its last data byte never reads as if it were whole."""
    content = image_file.read_bytes()
    path = tmp_path / "cut.fits"
    last_byte = len(content) - 2880 + 5 * 4
    for length in range(0, last_byte, 1201):
        path.write_bytes(content[:length])
        with pytest.raises(NotThisProductError):
            _read_all(path)


@pytest.mark.parametrize(
    "ask",
    [
        lambda product: product.image("TAB"),
        lambda product: product.image(0, ndim=1),
        lambda product: product.columns(0, "FLUX"),
        lambda product: product.columns("TAB", "IVAR"),
        lambda product: product.header(7),
        lambda product: product.require("ABSENT"),
    ],
)
def test_what_the_product_must_have_is_asked_for_by_name(image_file, ask):
    with (
        pytest.raises(NotThisProductError, match="expected a thing"),
        open_product(image_file, expected="a thing") as product,
    ):
        ask(product)


def test_a_bug_of_ours_is_not_disguised(image_file):
    with (
        pytest.raises(ZeroDivisionError),
        open_product(image_file, expected="x"),
    ):
        1 / 0  # noqa: B018


def test_the_error_crosses_processes(image_file):
    error = NotThisProductError(image_file, "a", "b")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
