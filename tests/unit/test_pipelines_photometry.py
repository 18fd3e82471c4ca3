"""`siderea photometry`: tables in, a model, tables and figures out; bad input is one line."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from siderea.cli import main
from siderea.errors import DataError
from siderea.io.photometry_table import photometry_of, read_photometry, write_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photometry")
    rng = np.random.default_rng(0)
    n = 240
    gr, fe_h = rng.uniform(0.2, 0.6, n), rng.uniform(-2, 0.3, n)
    giant = rng.random(n) < 0.4
    shape = {"u": 1 + 2.2 * gr + 0.2 * fe_h + 0.3 * giant, "g": gr, "r": 0 * gr, "i": -0.4 * gr}
    brightness = rng.uniform(15, 18, n)
    frame = pd.DataFrame({"id": [f"s{k}" for k in range(n)]})
    for name, value in shape.items():
        frame[f"mag_sdss_{name}"] = value + brightness + 0.01 * rng.normal(size=n)
        frame[f"mag_sdss_{name}_err"] = 0.01
    frame["teff"], frame["fe_h"] = 8000 - 4500 * gr, fe_h
    frame["logg"] = np.where(giant, 2.5, 4.4)
    frame["ebv"] = 0.05
    frame.loc[3, "mag_sdss_g"] = -9999.0
    write_table(frame, folder / "stars.csv")
    return folder


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["siderea", "photometry", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    captured = capsys.readouterr()
    return left.value.code or 0, captured.out, captured.err


def test_labels_may_stand_in_a_table_of_their_own(folder, monkeypatch, capsys):
    stars = pd.read_csv(folder / "stars.csv")
    names = ["teff", "fe_h", "logg"]
    write_table(stars.drop(columns=names), folder / "colours.csv")
    write_table(stars[["id", *names]].iloc[::-1], folder / "labels.csv")
    scores = []
    for more in (["stars.csv"], ["colours.csv", "--labels", folder / "labels.csv"]):
        table, *options = more
        model = folder / "apart"
        arguments = [folder / table, "--output", model, "--epochs", 1, *options]
        code, out, err = run(monkeypatch, capsys, "train", *arguments)
        assert code == 0, err
        scores.append(out.split("figure")[0])
    assert scores[0] == scores[1]


def test_labels_of_other_stars_are_one_line(folder, monkeypatch, capsys):
    stars = pd.read_csv(folder / "stars.csv")
    write_table(stars.assign(id="x" + stars["id"])[["id", "teff"]], folder / "others.csv")
    write_table(stars[["id", "mag_sdss_u"]], folder / "nolabels.csv")
    for name, found in (("others", "none of the stars"), ("nolabels", "expected id and some of")):
        arguments = [folder / "stars.csv", "--output", folder / "m", "--labels"]
        code, _, err = run(monkeypatch, capsys, "train", *arguments, folder / f"{name}.csv")
        assert code == 2
        assert found in err
        assert err.count("\n") == 1


def test_train_predict_impute(folder, monkeypatch, capsys):
    model = folder / "model"
    code, out, err = run(
        monkeypatch, capsys, "train", folder / "stars.csv", "--output", model, "--epochs", 2
    )
    assert code == 0, err
    assert "mad_sigma_fe_h" in out
    for name in ("labels", "residuals", "losses", "giants"):
        assert (folder / f"model_{name}.png").stat().st_size > 5000
    code, out, _ = run(
        monkeypatch, capsys, "predict", model, folder / "stars.csv", "--output", folder / "p.fits"
    )
    assert code == 0
    assert "240 stars" in out
    found = Table.read(folder / "p.fits").to_pandas()
    assert len(found) == 240
    assert found["flags"][3] != 0
    assert found["teff"].between(4000, 9000).all()
    code, out, _ = run(
        monkeypatch, capsys, "impute", folder / "stars.csv", "--output", folder / "full.parquet",
        "--method", "neighbours",
    )  # fmt: skip
    assert code == 0
    full = pd.read_parquet(folder / "full.parquet")
    assert full["filled"].tolist() == [int(k == 3) for k in range(240)]
    assert 14 < full["mag_sdss_g"][3] < 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "no_model", "stars.csv", "--output", "o.csv"), "no such file"),
        (("train", "nothing.csv", "--output", "m"), "no such table"),
        (("train", "labels_only.csv", "--output", "m"), "at least two"),
        (("impute", "stars.csv", "--output", "o.txt"), "'.txt'"),
    ],
)
def test_bad_input_is_one_line_and_code_2(folder, monkeypatch, capsys, arguments, message):
    pd.DataFrame({"teff": [5000.0]}).to_csv(folder / "labels_only.csv", index=False)
    monkeypatch.chdir(folder)
    code, _, err = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".fits", ".vot", ".ecsv"])
def test_every_format_goes_round(folder, tmp_path, ending):
    before = read_photometry(folder / "stars.csv")
    after = read_photometry(write_table(before.table, tmp_path / f"t{ending}"))
    assert after.bands == before.bands
    np.testing.assert_allclose(after.mag, before.mag)
    assert after.table["id"].tolist() == before.table["id"].tolist()


def test_a_band_that_does_not_exist_is_named():
    with pytest.raises(DataError, match="found sdss_q"):
        photometry_of(pd.DataFrame({"mag_sdss_q": [1.0], "mag_sdss_g": [1.0]}))
