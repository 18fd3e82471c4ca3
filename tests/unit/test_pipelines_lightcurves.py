"""`siderea lightcurves`: table, figures, store; the command itself."""

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from siderea.cli import lightcurves as command
from siderea.data import LightCurve
from siderea.errors import DataError, StoreError
from siderea.io.lightcurves import LightCurveTable, write_lightcurves
from siderea.io.store import SurveyStore
from siderea.lightcurves.quality import LightCurveFlag
from siderea.pipelines.lightcurve_store import PRIMARY_AT, STORE_PHASES
from siderea.pipelines.lightcurves import prepared, run
from siderea.simulate.lightcurves import simulate_lightcurves


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    curves, truth = simulate_lightcurves(40, rng=np.random.default_rng(6), points=300)
    path = tmp_path_factory.mktemp("curves") / "curves.parquet"
    return write_lightcurves(path, curves, truth[["id"]]), truth


@pytest.fixture(scope="module")
def result(folded, tmp_path_factory):
    return run(folded[0], tmp_path_factory.mktemp("out"))


def test_a_table_with_one_row_per_star(folded, result):
    table = pd.read_parquet(result.table)
    assert table["id"].tolist() == folded[1]["id"].tolist()
    assert {"model", "separation", "e_cos_omega", "morphology", "group", "warnings"} <= set(table)
    assert result.n_curves == 40
    assert len(pd.read_csv(result.table.with_suffix(".csv"))) == 40
    for figure in result.figures:
        assert figure.stat().st_size > 10_000


def test_a_store_that_says_what_it_is(result):
    store = SurveyStore.open(result.store)
    assert store.manifest["kind"] == "lightcurves"
    assert store.manifest["axis"]["name"] == "orbital phase"
    assert len(store) == 40
    np.testing.assert_allclose(store.wavelength, STORE_PHASES)
    assert set(store.products) == {"tsne", "groups", "classes"}
    classes = store.product("classes")
    assert list(classes["id"]) == list(store.catalogue["id"])
    chances = classes[["p_detached", "p_semi_detached", "p_contact", "p_ellipsoidal"]]
    known = classes["class"].notna()
    assert known.sum() > 30
    np.testing.assert_allclose(chances[known].max(axis=1), classes["probability"][known])
    assert store.catalogue["lightcurve_flags"].dtype.kind == "i"
    spectra = store.spectra()
    table = pd.read_parquet(result.table)
    deep = np.flatnonzero((table["depth_1"] > 0.1) & (table["width_1"] > 0.02))
    assert deep.size > 3
    at_primary = spectra.flux[deep][:, np.abs(STORE_PHASES - PRIMARY_AT) < 0.01].min(axis=1)
    np.testing.assert_allclose(at_primary, spectra.flux[deep].min(axis=1), atol=0.02)
    assert np.all(spectra.flux[deep].max(axis=1) < 1.1)


def test_results_are_not_overwritten_unasked(folded, result):
    with pytest.raises(StoreError, match="overwrite"):
        run(folded[0], result.store.parent)


def test_results_are_replaced_when_asked(tmp_path):
    table = pd.DataFrame({"id": ["a"], "period": 1.7, "time_0": np.nan})
    source = LightCurveTable((bent(),), table)
    run(source, tmp_path)
    assert run(source, tmp_path, overwrite=True).n_curves == 1


def bent(n=600, period=1.7, seed=0):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(55000, 55060, n))
    off = (time / period + 0.5) % 1 - 0.5
    away = (time / period) % 1 - 0.5
    flux = 1 - 0.3 * np.exp(-((off / 0.03) ** 2)) - 0.1 * np.exp(-((away / 0.03) ** 2))
    return LightCurve(time, flux + 0.002 * rng.standard_normal(n), np.full(n, 0.002))


def test_a_period_is_searched_for_where_there_is_none():
    curve, period, flags = prepared(bent(), np.nan, np.nan)
    assert period == pytest.approx(1.7, rel=2e-3)
    assert curve.folded
    assert flags == 0


@pytest.mark.parametrize(("factor", "flag"), [(0.5, "HALF_PERIOD"), (2.0, "DOUBLE_PERIOD")])
def test_a_wrong_period_is_used_and_flagged(factor, flag):
    _, period, flags = prepared(bent(), factor * 1.7, np.nan)
    assert period == factor * 1.7
    assert LightCurveFlag[flag] in LightCurveFlag(flags)


def test_long_curves_are_binned_and_nan_flagged():
    curve = bent(3000)
    curve.flux[5] = np.nan
    folded, _, flags = prepared(curve, 1.7, 55000.0, flatten=True)
    assert len(folded) <= 1000
    assert LightCurveFlag.NON_FINITE in LightCurveFlag(flags)


def test_one_bad_star_kills_no_batch(tmp_path):
    good = bent()
    few = LightCurve(good.time[:5], good.flux[:5], good.flux_err[:5])
    empty = LightCurve([np.nan], [np.nan], [np.nan])
    table = pd.DataFrame({"id": ["good", "few", "empty"], "period": np.nan, "time_0": np.nan})
    made = run(LightCurveTable((good, few, empty), table), tmp_path)
    frame = pd.read_parquet(made.table).set_index("id")
    assert frame.loc["good", "n_eclipses"] == 2
    assert "TOO_FEW" in frame.loc["few", "warnings"]
    assert "NON_FINITE" in frame.loc["empty", "warnings"]
    assert made.n_groups == 0  # too few curves for a map
    assert len(SurveyStore.open(made.store)) == 3


def test_what_can_be_wrong_is_flagged_from_file_to_table(tmp_path):
    """One table, one star for each fault; magnitudes, and times in any order."""
    rng = np.random.default_rng(8)
    good = bent(900)
    off = (good.time / 1.7 + 0.5) % 1 - 0.5
    faults = {
        "good": (good.time, good.flux, 1.7),
        "flat": (good.time, 1 + 0.002 * rng.standard_normal(900), 1.7),
        "one": (good.time, np.where(np.abs(off) > 0.3, 1.0, good.flux), 1.7),
        "gap": (good.time[np.abs(off) > 0.1], good.flux[np.abs(off) > 0.1], 1.7),
        "half": (good.time, good.flux, 0.85),
        "twice": (good.time, good.flux, 3.4),
        "nan": (good.time, np.where(np.arange(900) % 9, good.flux, np.nan), 1.7),
        "five": (good.time[:5], good.flux[:5], 1.7),
        "sparse": (good.time[::10], good.flux[::10], 1.7),
    }
    frames = [
        pd.DataFrame({"id": k, "time": t, "mag": 12 - 2.5 * np.log10(f), "mag_err": 0.0022})
        .assign(period=p, time_0=55000.0)
        .sample(frac=1, random_state=1)
        for k, (t, f, p) in faults.items()
    ]
    pd.concat(frames).to_csv(tmp_path / "curves.csv", index=False)
    frame = pd.read_parquet(run(tmp_path / "curves.csv", tmp_path / "out").table).set_index("id")
    said = {name: set(text.split("|")) for name, text in frame["warnings"].items()}
    assert said["good"] == said["sparse"] == {""}
    for name, flag in {
        "flat": "FLAT",
        "one": "ONE_ECLIPSE",
        "gap": "GAP",
        "half": "HALF_PERIOD",
        "twice": "DOUBLE_PERIOD",
        "nan": "NON_FINITE",
        "five": "TOO_FEW",
    }.items():
        assert flag in said[name], (name, said[name])
    for name in ("good", "nan", "sparse"):
        assert frame.loc[name, "separation"] == pytest.approx(0.5, abs=0.003)


def test_an_id_that_comes_twice_is_refused(tmp_path):
    table = pd.DataFrame({"id": ["a", "a"], "period": 1.7, "time_0": np.nan})
    with pytest.raises(DataError, match="'a' twice"):
        run(LightCurveTable((bent(), bent(seed=1)), table), tmp_path)


def test_no_curve_at_all_is_refused(tmp_path):
    table = LightCurveTable((), pd.DataFrame(columns=["id", "period", "time_0"]))
    with pytest.raises(DataError, match="no light curve"):
        run(table, tmp_path)


def test_the_command(folded, tmp_path):
    app = typer.Typer()
    app.command()(command.run)
    few = pd.read_parquet(folded[0])
    few = few[few["id"].isin(few["id"].unique()[:4])]
    few.to_csv(tmp_path / "few.csv", index=False)
    options = [str(tmp_path / "few.csv"), "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    assert "4 light curves" in done.output
    assert (tmp_path / "out" / "lightcurves.siderea").is_dir()
