"""``siderea rv``: tables in, variable stars and orbits out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from siderea.errors import DataError, NotThisProductError
from siderea.io.store import SurveyStore
from siderea.pipelines import rv as pipeline
from siderea.pipelines.detect import detect_ccf
from siderea.simulate.orbits import radial_velocity


@pytest.fixture(scope="module")
def velocities():
    rng = np.random.default_rng(0)
    rows = []
    for star in range(60):
        n = 14 if star < 2 else 5
        time = 57_000 + np.sort(rng.uniform(0, 200, n))
        rv = np.full(n, 10.0 * star)
        if star < 4:
            rv = rv + radial_velocity(time, 11.3 + star, 57_001.0, 25.0, 0.2, 0.5)
        frame = {"star_id": f"{star:03d}", "time": time, "rv_err": 0.3}
        rows.append(pd.DataFrame(frame | {"rv": rv + rng.normal(0, 0.3, n)}))
    return pd.concat(rows, ignore_index=True)


def test_repeated_spectra_of_a_store_are_a_table_of_velocities(tmp_path, small):
    """Spectra at rest: what was measured, on top of what they were shifted by."""
    left, shift = [-3.0, 2.0, 6.0, -4.0], [20.0, 25.0, -10.0, np.nan]
    spectra = small.spectra([small.star(v) for v in left], snr=80.0)
    frame = {"id": list("abcd"), "star_id": ["s", "s", "t", "t"], "rv": shift, "time": range(4)}
    store = SurveyStore.create(
        tmp_path / "visits.siderea", replace(spectra, table=pd.DataFrame(frame))
    )
    with pytest.raises(DataError, match="siderea detect"):
        pipeline.read_velocities(store.path)
    detect_ccf(store.path, templates=np.array([small.lines(0.0)]))
    table = pipeline.read_velocities(store.path)
    assert table["star_id"].tolist() == ["s", "s", "t", "t"]
    np.testing.assert_allclose(table["rv"], [17.0, 27.0, -4.0, -4.0], atol=0.5)
    assert table["time"].tolist() == [0, 1, 2, 3]
    assert pipeline.run(store.path, tmp_path / "sb1.csv", floor=0.0).n_variable == 1


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_binaries_and_their_orbits_are_found(velocities, tmp_path, suffix):
    source, output = tmp_path / f"rv.{suffix}", tmp_path / "out" / f"sb1.{suffix}"
    if suffix == "csv":
        velocities.to_csv(source, index=False)
    else:
        velocities.to_parquet(source, index=False)
    result = pipeline.run(source, output)
    read = pd.read_csv if suffix == "csv" else pd.read_parquet
    table = read(output, **({"dtype": {"star_id": str}} if suffix == "csv" else {}))
    assert result.n_stars == len(table) == 60
    assert table["star_id"][3] == "003"
    assert table["variable"].tolist()[:4] == [True] * 4
    assert table["variable"].sum() <= 5
    np.testing.assert_allclose(table["period"][:2], [11.3, 12.3], rtol=1e-3)
    assert table["unimodal"].tolist()[:2] == [True, True]
    assert result.n_orbits >= 2


def test_a_table_without_times_has_no_orbits(velocities, tmp_path):
    velocities.drop(columns="time").to_csv(tmp_path / "rv.csv", index=False)
    result = pipeline.run(tmp_path / "rv.csv", tmp_path / "out.csv")
    assert result.n_orbits == 0
    assert "period" not in pd.read_csv(tmp_path / "out.csv")


def test_constant_stars_alone_make_a_table(velocities, tmp_path):
    velocities[velocities["star_id"] > "010"].to_csv(tmp_path / "rv.csv", index=False)
    result = pipeline.run(tmp_path / "rv.csv", tmp_path / "out.csv")
    assert result.n_variable <= 1
    assert result.n_stars == 49


def test_bad_input_is_one_clear_error(velocities, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        pipeline.run(tmp_path / "none.csv", tmp_path / "out.csv")
    velocities.drop(columns="rv_err").to_csv(tmp_path / "short.csv", index=False)
    with pytest.raises(DataError, match="rv_err"):
        pipeline.run(tmp_path / "short.csv", tmp_path / "out.csv")
    velocities.assign(rv="fast").to_csv(tmp_path / "words.csv", index=False)
    with pytest.raises(DataError, match="not a number"):
        pipeline.run(tmp_path / "words.csv", tmp_path / "out.csv")
    (tmp_path / "noise.parquet").write_bytes(b"nothing")
    with pytest.raises(NotThisProductError):
        pipeline.run(tmp_path / "noise.parquet", tmp_path / "out.csv")
    with pytest.raises(DataError, match="csv or"):
        pipeline.run(tmp_path / "short.csv", tmp_path / "out.doc")


def test_the_command_says_what_was_found(velocities, tmp_path):
    from siderea.cli import rv

    app = typer.Typer()
    app.command()(rv.run)
    velocities.to_csv(tmp_path / "rv.csv", index=False)
    arguments = [str(tmp_path / "rv.csv"), "-o", str(tmp_path / "o.csv"), "--no-orbits"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "60 stars" in result.output
    assert (tmp_path / "o.csv").is_file()
