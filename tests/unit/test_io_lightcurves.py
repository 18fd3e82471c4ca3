"""Readers of light curves: tables, Kepler FITS, Gaia epochs, and what is none of them."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table

from siderea.data import LightCurve
from siderea.errors import DataError, NotThisProductError
from siderea.io.lightcurves import GAIA_ZERO, read_lightcurves, write_lightcurves


def points(n=50, seed=0, name="a"):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": name,
            "time": np.sort(rng.uniform(55000, 55100, n)),
            "flux": 1 + 0.01 * rng.standard_normal(n),
            "flux_err": 0.01,
            "period": 3.2,
            "time_0": 55001.0,
        }
    )


def two_stars():
    return pd.concat([points(50, 0, "b"), points(30, 1, "a")], ignore_index=True)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "ecsv", "fits"])
def test_a_table_of_two_stars(tmp_path, suffix):
    path, frame = tmp_path / f"stars.{suffix}", two_stars()
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "parquet":
        frame.to_parquet(path)
    else:
        Table.from_pandas(frame).write(path)
    found = read_lightcurves(path)
    assert found.table["id"].tolist() == ["b", "a"]
    assert [len(curve) for curve in found.curves] == [50, 30]
    np.testing.assert_allclose(found.curves[1].flux, frame["flux"][50:])
    np.testing.assert_allclose(found.table["period"], 3.2)
    assert not found.curves[0].folded


def test_a_star_whose_id_reads_as_missing_is_kept(tmp_path):
    frame = two_stars()
    frame["id"] = frame["id"].replace("a", "NA")  # what pandas takes for NaN
    frame.to_csv(tmp_path / "stars.csv", index=False)
    found = read_lightcurves(tmp_path / "stars.csv")
    assert [len(curve) for curve in found.curves] == [50, 30]


def test_phase_magnitudes_and_other_names(tmp_path):
    path = tmp_path / "star.csv"
    phase = np.linspace(0, 0.99, 40)
    mag = 12 + 0.3 * (np.abs(phase - 0.5) < 0.05)
    pd.DataFrame({"Phase": phase, "MAG": mag, "e_mag": 0.01}).to_csv(path, index=False)
    found = read_lightcurves([path])
    assert found.curves[0].folded
    assert found.table["id"].tolist() == ["star"]
    assert found.curves[0].flux.min() == pytest.approx(10**-0.12)
    assert found.curves[0].flux_err[0] == pytest.approx(0.00921, rel=0.01)


def test_julian_dates_become_modified_and_errors_are_estimated(tmp_path):
    frame = points(2000).drop(columns=["flux_err", "id", "period", "time_0"])
    frame = frame.rename(columns={"time": "BJD"})
    frame["BJD"] += 2_400_000.5
    path = tmp_path / "star.csv"
    frame.to_csv(path, index=False)
    found = read_lightcurves(path)
    assert 55000 < found.curves[0].time[0] < 55100
    assert found.curves[0].flux_err[0] == pytest.approx(0.01, rel=0.1)
    assert np.isnan(found.table["period"][0])


def kepler(path, *, level, start, n=40):
    time = start + np.arange(n) * 0.02
    flux = np.full(n, level)
    quality = np.zeros(n, dtype=np.int32)
    quality[3], flux[4] = 128, np.nan
    columns = [
        fits.Column("TIME", "D", array=time),
        fits.Column("SAP_QUALITY", "J", array=quality),
        fits.Column("PDCSAP_FLUX", "E", array=flux),
        fits.Column("PDCSAP_FLUX_ERR", "E", array=np.full(n, 0.01 * level)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="LIGHTCURVE")
    table.header["BJDREFI"], table.header["BJDREFF"] = 2454833, 0.0
    primary = fits.PrimaryHDU()
    primary.header["OBJECT"], primary.header["KEPLERID"] = "KIC 1026032", 1026032
    fits.HDUList([primary, table]).writeto(path)
    return path


def test_kepler_quarters_are_joined_at_one_level(tmp_path):
    one = kepler(tmp_path / "q1.fits", level=1000.0, start=131.5)
    two = kepler(tmp_path / "q2.fits", level=3000.0, start=169.5)
    found = read_lightcurves([two, one])
    assert found.table["id"].tolist() == ["KIC 1026032"]
    curve = found.curves[0]
    assert len(curve) == 76  # two quarters without a flagged and an empty point each
    np.testing.assert_allclose(curve.flux, 1.0, atol=1e-6)
    np.testing.assert_allclose(curve.flux_err, 0.01, rtol=1e-5)
    assert curve.time[0] == pytest.approx(131.5 + 54832.5)
    assert np.all(np.diff(curve.time) > 0)


def test_gaia_epochs_keep_g_and_drop_what_was_rejected(tmp_path):
    frame = pd.DataFrame(
        {
            "source_id": [12345678901234567] * 6,
            "transit_id": [1, 1, 1, 2, 3, 4],
            "band": ["G", "BP", "RP", "G", "G", "G"],
            "time": [1700.0, 1700.0, 1700.0, 1750.0, 1800.0, np.nan],
            "flux": [100.0, 40.0, 60.0, 90.0, 80.0, 70.0],
            "flux_error": [1.0] * 6,
            "rejected_by_photometry": [False, False, False, False, True, False],
        }
    )
    path = tmp_path / "epochs.csv"
    frame.to_csv(path, index=False)
    found = read_lightcurves(path)
    assert found.table["id"].tolist() == ["12345678901234567"]
    np.testing.assert_allclose(found.curves[0].flux, [100.0, 90.0])
    np.testing.assert_allclose(found.curves[0].time, [1700 + GAIA_ZERO, 1750 + GAIA_ZERO])


def test_what_is_written_is_read(tmp_path):
    curves = [
        LightCurve([0.1, 0.5], [1.0, 0.9], [0.1, 0.1], folded=True),
        LightCurve([0.2], [1.0], [0.2], folded=True),
    ]
    table = pd.DataFrame({"id": ["x", "y"], "period": [1.0, np.nan]})
    found = read_lightcurves(write_lightcurves(tmp_path / "deep" / "out.parquet", curves, table))
    assert found.table["id"].tolist() == ["x", "y"]
    assert found.curves[0].folded
    np.testing.assert_array_equal(found.curves[0].flux, [1.0, 0.9])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", ""),
        ("other.csv", "ra,dec\n1,2\n"),
        ("words.csv", "time,flux\nmonday,1\n"),
        ("bad.parquet", "not parquet"),
        ("bad.fits", "not fits"),
        ("image.png", "x"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(NotThisProductError) as caught:
        read_lightcurves(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_mixed_pieces_are_refused(tmp_path):
    with pytest.raises(DataError, match="no file"):
        read_lightcurves([])
    pd.DataFrame({"id": "a", "time": [1.0], "flux": [1.0]}).to_csv(tmp_path / "t.csv")
    pd.DataFrame({"id": "a", "phase": [0.1], "flux": [1.0]}).to_csv(tmp_path / "p.csv")
    with pytest.raises(DataError, match="both times and phases"):
        read_lightcurves([tmp_path / "t.csv", tmp_path / "p.csv"])
