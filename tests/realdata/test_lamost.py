"""Real LAMOST files: KIC 8098300, one LRS spectrum and seven nights of MRS."""

import tempfile

import numpy as np
import pytest

from siderea.constants import C_KMS
from siderea.flags import SpectrumFlag
from siderea.io import lamost

pytestmark = pytest.mark.realdata

H_ALPHA, H_BETA = 6564.61, 4862.68  # vacuum, Å; in air 83 km/s to the blue

EXPOSURES = {
    "666212076": 9,
    "666512076": 5,
    "666912076": 4,
    "744812076": 3,
    "747012076": 4,
    "747412076": 3,
    "747810159": 4,
}


@pytest.fixture(scope="module")
def lrs_file(real_data):
    return next((real_data / "lamost_kic8098300").glob("spec-*.fits.gz"))


@pytest.fixture(scope="module")
def mrs_files(real_data):
    return sorted((real_data / "lamost_kic8098300").glob("med-*.fits.gz"))


def velocity(wavelength, flux, line, half_width):
    here = np.abs(wavelength - line) < half_width
    depth = flux[here].max() - flux[here]
    depth = np.clip(depth - 0.3 * depth.max(), 0, None)
    return (np.sum(wavelength[here] * depth) / np.sum(depth) / line - 1) * C_KMS


def test_lrs(lrs_file):
    spectra = lamost.read_spectra(lrs_file)
    row = spectra.table.iloc[0]
    assert spectra.medium == "vacuum"
    assert spectra.resolution == (1800.0,)
    assert (row["id"], row["class"], row["subclass"]) == ("359910161", "STAR", "F5")
    assert row["rv"] == pytest.approx(-0.00017162 * C_KMS)
    assert row["rv_err"] == pytest.approx(0.00002725 * C_KMS)
    assert [row[f"snr_{band}"] for band in "ugriz"] == [25.39, 87.63, 128.48, 158.11, 119.56]
    assert row["snr"] == pytest.approx(98.8, abs=0.1)
    assert row["barycentric_velocity"] == 9.85119
    assert row["time"] == pytest.approx(57286.498, abs=0.006)
    assert row["flags"] == 0


def test_lrs_lines_come_to_rest_in_vacuum(lrs_file):
    at_rest, seen = (lamost.read_spectra(lrs_file, frame=f) for f in ("rest", "barycentric"))
    for line in (H_ALPHA, H_BETA):
        found = velocity(at_rest.wavelength, at_rest.flux[0], line, 25)
        moved = velocity(seen.wavelength, seen.flux[0], line, 25)
        assert abs(found) < 10  # km/s; a pixel is 69 km/s
        assert moved - found == pytest.approx(-51.45, abs=3)


def test_lrs_pixels_are_the_files(lrs_file):
    (native,) = lamost.read_native(lrs_file)
    spectra = lamost.read_spectra(lrs_file, frame="barycentric")
    np.testing.assert_array_equal(spectra.flux[0], native.arms[0].flux)
    np.testing.assert_array_equal(spectra.ivar[0], native.arms[0].ivar)
    assert spectra.flux[0, 2000] == pytest.approx(np.float32(native.arms[0].flux[2000]))


def test_mrs_sums(mrs_files):
    spectra = lamost.read_spectra(mrs_files, frame="barycentric")
    table = spectra.table.set_index("id")
    assert table["n_exposures"].to_dict() == EXPOSURES
    assert table["star_id"].nunique() == 1  # two designations in the files
    assert spectra.resolution == (7500.0, 7500.0)
    assert table.loc["747810159", "snr_blue"] == 88.36
    assert table.loc["747810159", "snr_red"] == 143.84
    assert table.loc["666212076", "flags"] == SpectrumFlag.ZERO_SNR  # a night of cloud
    assert table.loc["747810159", "flags"] == 0
    assert np.isnan(table["rv"]).all()


def test_mrs_at_rest_stays_and_says_so(mrs_files):
    spectra = lamost.read_spectra(mrs_files[-1:])
    assert spectra.table["flags"][0] == SpectrumFlag.NO_RV


def test_mrs_h_alpha_is_in_vacuum(mrs_files):
    spectra = lamost.read_spectra(mrs_files, frame="barycentric")
    bright = np.flatnonzero(spectra.table["snr"] > 50)
    assert len(bright) == 3
    for row in bright:
        found = velocity(spectra.wavelength, spectra.flux[row], H_ALPHA, 4)
        assert abs(found) < 60, spectra.ids[row]


def test_mrs_exposures(mrs_files):
    singles = lamost.read_spectra(mrs_files, frame="barycentric", exposures="single")
    assert len(singles) == sum(EXPOSURES.values()) == 32
    night = singles.table["id"].str.split("-").str[0]
    assert night.value_counts().to_dict() == EXPOSURES
    # LMJM 84454650 is 2019-06-15 01:30 in Beijing, DATE-BEG 01:30:20; 1200 s long
    first = singles.table.set_index("id").loc["747810159-84454650"]
    start = 58648 + (17 + 30 / 60) / 24
    assert abs((first["time"] - start) * 1440 - 10) < 10
    assert (first["snr_blue"], first["snr_red"]) == (38.45, 66.46)


def test_mrs_exposures_add_up_to_the_sum(mrs_files):
    """Line by line: the survey scales the exposures smoothly before it adds them."""
    both = lamost.read_spectra(mrs_files[-1], frame="barycentric", exposures="all")
    total = both.flux[1:].sum(axis=0)
    for name, pixels, _ in both.iter_arms():
        good = np.all(both.ivar[:, pixels] > 0, axis=0)
        ratio = total[pixels][good] / both.flux[0, pixels][good]
        smooth = np.convolve(ratio, np.ones(101) / 101, "same")
        scatter = (ratio / smooth - 1)[50:-50]
        assert np.percentile(np.abs(scatter), 68) < 0.01, name


def test_nothing_is_left_behind_by_gzip(mrs_files, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lamost.read_spectra(mrs_files[:1])
    assert not any(tmp_path.iterdir())


def test_identify(lrs_file, mrs_files, real_data):
    assert all(lamost.identify(path) for path in [lrs_file, *mrs_files])
    others = [
        *sorted((real_data / "galah_dr3" / "spectra").glob("*.fits"))[:2],
        *sorted((real_data / "apogee_fits").glob("*.fits")),
    ]
    assert not any(lamost.identify(path) for path in others)
