"""Two catalogues by position: partners across the edges of partitions, columns, what goes wrong."""

import numpy as np
import pandas as pd
import pytest

from siderea.cli import main
from siderea.errors import DataError, StoreError
from siderea.io.partitions import open_partitions, read_partition
from siderea.pipelines.crossmatch import Side, crossmatch

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

EDGE = 45.0
"""Right ascension of an edge between pixels of order 0, at the equator."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Stars about an edge, and the same 0.4 arcsec to the east, two of ten missing."""
    folder = tmp_path_factory.mktemp("pair")
    rng = np.random.default_rng(0)
    n = 300
    east = np.r_[rng.uniform(-3, 3, n // 2) / 3600, rng.uniform(-8, 8, n // 2)]
    ours = pd.DataFrame({"id": np.arange(n), "ra": EDGE + east, "dec": rng.uniform(-30, 30, n)})
    ours["u"] = rng.normal(20, 1, n)
    theirs = ours.assign(ra=ours["ra"] + 0.4 / 3600 / np.cos(np.deg2rad(ours["dec"])))
    theirs = theirs.rename(columns={"u": "gmag"}).assign(name="x")
    theirs = theirs[theirs["id"] % 10 < 8]
    ours.to_csv(folder / "ours.csv", index=False)
    theirs.to_parquet(folder / "theirs.parquet")
    return folder, ours, theirs


def sides(folder):
    left = Side(folder / "ours.csv", {"mag_sdss_u": "u"}, ("id",))
    return left, Side(folder / "theirs.parquet", {"mag_gaia_g": "gmag - 0.1"}, ("name",))


def test_partners_are_found_across_the_edge(pair, tmp_path):
    folder, ours, theirs = pair
    done = crossmatch(*sides(folder), tmp_path / "both.parquet")
    assert done.n_stars == done.n_matched == len(theirs) == 240
    assert done.separation == pytest.approx(0.4, abs=1e-3)
    found = pd.read_parquet(tmp_path / "both.parquet").set_index("id").sort_index()
    np.testing.assert_allclose(found["mag_gaia_g"], theirs["gmag"] - 0.1)
    np.testing.assert_allclose(found["mag_sdss_u"], ours.loc[found.index, "u"])
    across = (found["ra"] < EDGE) & (found["ra_right"] > EDGE)
    assert across.sum() > 5  # else the test would be of nothing
    assert "u" not in found
    assert (found["name"] == "x").all()


def test_a_hats_catalogue_comes_out_and_goes_in(pair, tmp_path, cluster):
    folder, ours, _ = pair
    left, right = sides(folder)
    first = crossmatch(left, right, tmp_path / "both", every=True)
    assert (first.n_stars, first.n_matched) == (300, 240)
    source = open_partitions(tmp_path / "both")
    assert source.hats is not None
    assert len(source.partitions) > 1
    assert source.n_rows == 300
    third = Side(folder / "ours.csv", {"mag_ps1_g": "u + 1"})
    scheduler = cluster.scheduler_address
    crossmatch(Side(tmp_path / "both"), third, tmp_path / "all", scheduler=scheduler)
    source = open_partitions(tmp_path / "all")
    names = ["id", "mag_sdss_u", "mag_gaia_g", "mag_ps1_g"]
    parts = [read_partition(part, names).to_pandas() for part in source.partitions]
    found = pd.concat(parts).set_index("id").sort_index()
    np.testing.assert_allclose(found["mag_ps1_g"], ours["u"] + 1)
    assert found["mag_gaia_g"].isna().sum() == 60
    again = crossmatch(third, Side(tmp_path / "both"), tmp_path / "back.parquet")  # no margin
    assert again.n_matched == 300
    with pytest.raises(StoreError, match="already exists"):
        crossmatch(left, right, tmp_path / "both")


def test_what_goes_wrong_is_one_line(pair, tmp_path, monkeypatch, capsys):
    folder, *_ = pair
    left, right = sides(folder)
    with pytest.raises(DataError, match="no column nothing"):
        crossmatch(Side(left.path, {"a": "nothing"}), right, tmp_path / "x")
    with pytest.raises(DataError, match="radius"):
        crossmatch(left, right, tmp_path / "x", radius=0)
    with pytest.raises(DataError, match="no star has a partner"):
        crossmatch(left, right, tmp_path / "x.parquet", radius=1e-3)
    with pytest.raises(DataError, match="no column RA"):
        crossmatch(Side(left.path, ra="RA"), Side(right.path, ra="ra"), tmp_path / "x")
    arguments = ["photometry", "crossmatch", str(left.path), str(right.path)]
    monkeypatch.setattr(
        "sys.argv", ["siderea", *arguments, "--output", str(tmp_path / "cli.csv"), "--every"]
    )
    with pytest.raises(SystemExit):
        main()
    assert "240 with a partner" in capsys.readouterr().out
