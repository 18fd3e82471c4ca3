import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from siderea.data import Spectra
from siderea.errors import DataError
from siderea.io.catalogue import Catalogue, read_table

FRAME = pd.DataFrame(
    {"sobject_id": [131116000501239, 131116001001152], "teff": [5701.7, 1e20], "name": ["a", "b"]}
)


@pytest.mark.parametrize("ending", ["csv", "fits", "ecsv", "vot", "parquet", "csv.gz"])
def test_every_format_of_the_field(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    if "csv" in ending and ending[0] != "e":
        FRAME.to_csv(path, index=False)
    elif ending == "parquet":
        FRAME.to_parquet(path)
    else:
        formats = {"fits": "fits", "ecsv": "ascii.ecsv", "vot": "votable"}
        Table.from_pandas(FRAME).write(path, format=formats[ending])
    frame = read_table(path)
    assert frame["sobject_id"].tolist() == FRAME["sobject_id"].tolist()
    assert frame["teff"][0] == pytest.approx(5701.7)
    assert np.isnan(frame["teff"][1])  # the survey's 1e20 is a missing value
    assert [str(name) for name in frame["name"]] == ["a", "b"]


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such table"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "broken.fits").write_text("not a FITS file")
    with pytest.raises(DataError, match="not a table that can be read"):
        read_table(tmp_path / "broken.fits")
    pd.DataFrame({"colour": [1.0]}).to_csv(tmp_path / "nameless.csv", index=False)
    with pytest.raises(DataError, match="no column to join on"):
        Catalogue.read(tmp_path / "nameless.csv")


def test_identifiers_that_a_table_holds_as_floats_still_match(tmp_path):
    FRAME.assign(sobject_id=FRAME["sobject_id"].astype(float)).to_csv(
        tmp_path / "a.csv", index=False
    )
    catalogue = Catalogue.read(tmp_path / "a.csv")
    assert catalogue.frame.index.tolist() == ["131116000501239", "131116001001152"]


def test_joining_adds_columns_and_fills_gaps_only(tmp_path):
    pd.DataFrame(
        {"id": ["b", "a", "a"], "rv": [10.0, 20.0, 99.0], "teff": [4000.0, 5000.0, 9000.0]}
    ).to_csv(tmp_path / "a.csv", index=False)
    table = pd.DataFrame({"id": ["a", "b", "c"], "rv": [np.nan, -5.0, np.nan]})
    spectra = Spectra([5000.0, 5001.0], np.ones((3, 2)), np.ones((3, 2)), "air", table=table)
    catalogue = Catalogue.read(tmp_path / "a.csv")
    joined = catalogue.join(spectra).table
    assert joined["rv"].tolist()[:2] == [20.0, -5.0]
    assert joined["teff"].tolist()[:2] == [5000.0, 4000.0]
    assert joined.iloc[2][["rv", "teff"]].isna().all()
    assert catalogue.rv("a") == 20.0
    assert np.isnan(catalogue.rv("nobody"))
    assert Catalogue.empty().join(spectra) is spectra
