"""``siderea detect --method map``, ``compare``, ``limits``: products, tables, figures."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from siderea.binaries.injection import InjectionSettings
from siderea.errors import DataError, ProductError
from siderea.io.store import SurveyStore
from siderea.pipelines import limits as limits_module
from siderea.pipelines.compare import COMBINED, compare, detections
from siderea.pipelines.detect import ModelRecipe, detect
from siderea.pipelines.detect_catalogue import detect_catalogue
from siderea.pipelines.detect_map import detect_map
from siderea.pipelines.limits import InjectionRecipe, groups, inject, limits, seen_by_eye

N = 200


@pytest.fixture
def store(tmp_path, small):
    made = SurveyStore.create(tmp_path / "mini.siderea", small.spectra([small.star(0.0)] * N))
    rng = np.random.default_rng(0)
    ids = made.catalogue["id"]
    binary = np.arange(N) < 60
    places = rng.normal(size=(N, 2)) + 8.0 * binary[:, None]
    made.write_product("tsne", pd.DataFrame({"id": ids, "x": places[:, 0], "y": places[:, 1]}))
    features = pd.DataFrame(np.c_[places, rng.normal(size=(N, 2))], columns=list("abcd"))
    features.insert(0, "id", ids)
    made.write_product("tsne_features", features[5:])
    return made


@pytest.fixture
def labels(store, tmp_path):
    path = tmp_path / "labels.csv"
    ids = store.catalogue["id"][::2]
    words = np.where(np.arange(N)[::2] < 60, "HFR_BIN", "NOR")
    pd.DataFrame({"id": ids, "class": words}).to_csv(path, index=False)
    return path


def channel_tables(store):
    """A CCF and a model that find the first 30 and the first 60."""
    ids, row = store.catalogue["id"], np.arange(N)
    ccf = pd.DataFrame({"id": ids, "n_components": np.where(row < 30, 2, 1), "vsini": 5.0})
    ccf["significance"] = np.where(row < 30, 40.0, 3.0)
    ccf["confidence"] = np.where(row < 30, "A", "")
    ccf["flux_ratio"], ccf["rv_1"], ccf["rv_2"] = 0.5, -20.0, 20.0
    p = np.where(row < 60, 0.99, 0.01)
    model = pd.DataFrame({"id": ids, "probability": p, "is_binary": p > 0.5})
    model["dv"], model["flux_ratio"] = 30.0, 0.3
    store.write_product("detections_ccf", ccf)
    store.write_product("detections_model", model[:-3])


def test_a_map_gives_candidates_in_the_order_of_the_store(store, labels):
    result = detect_map(store.path, labels=labels)
    table = store.product("detections_map")
    assert table["id"].tolist() == store.catalogue["id"].tolist()
    assert result.n_searched == N - 5
    assert np.isnan(table["probability"][:5]).all()
    assert table["is_binary"][5:60].mean() > 0.9
    assert table["is_binary"][60:].mean() < 0.05
    assert store.product_info("detections_map")["parameters"]["known_binaries"] == 30


def test_what_the_map_lacks_is_said(store, labels):
    with pytest.raises(DataError, match="--labels"):
        detect_map(store.path)
    with pytest.raises(ProductError, match="siderea embed"):
        detect_map(store.path, map_name="umap", labels=labels)
    store.write_product("other", store.catalogue[["id"]].assign(z=0.0))
    with pytest.raises(ProductError, match="is not a map"):
        detect_map(store.path, map_name="other", labels=labels)


def test_labels_given_to_classify_serve(store):
    classes = pd.DataFrame({"id": store.catalogue["id"], "class": "NOR", "source": "human"})
    classes.loc[:59, "class"] = "BIN"
    classes.loc[150:, ["class", "source"]] = ["BIN", "propagated"]
    store.write_product("classes", classes)
    detect_map(store.path)
    known = store.product_info("detections_map")["parameters"]
    assert (known["known_binaries"], known["known_others"]) == (60, 90)


def test_channels_are_compared_and_combined(store):
    channel_tables(store)
    result = compare(store.path)
    table = store.product(COMBINED)
    assert table["id"].tolist() == store.catalogue["id"].tolist()
    assert (table["channels"][-3:] == "ccf").all()
    assert (table["channels"][:-3] == "ccf+model").all()
    assert (table["found_by"][:30] == "ccf+model").all()
    assert table["probability"][:30].min() > table["probability"][60:].max()
    rows = result.overlap.set_index("channel")
    assert rows.loc["model", ["found", "also_ccf"]].tolist() == [60, 30]
    assert pd.read_csv(result.table)["channel"].tolist() == ["ccf", "model", "combined"]
    assert [figure.name for figure in result.figures] == [
        "compare_overlap.png",
        "compare_plane.png",
    ]
    assert all(figure.stat().st_size > 5000 for figure in result.figures)
    assert COMBINED not in detections(store)


def test_nothing_to_compare_is_said(store):
    with pytest.raises(ProductError, match="siderea detect"):
        compare(store.path)


@dataclass(frozen=True)
class QuickRecipe:
    """In place of the fits: what finds the fast pairs of bright stars."""

    calibration: object = None
    method: str = field(default="model", init=False)
    rows: int = field(default=512, init=False)

    def parameters(self):
        return {}

    def detector(self, example):
        def table(spectra):
            p = np.clip(spectra.table["snr"].to_numpy() / 300.0, 0.001, 0.9)
            return pd.DataFrame({"id": spectra.ids, "probability": p, "is_binary": p > 0.6})

        return table

    def counts(self, table):
        return len(table), int(table["is_binary"].sum())


def test_limits_writes_tables_and_figures_and_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(limits_module, "ModelRecipe", QuickRecipe)
    settings = InjectionSettings(binary_fraction=0.5)
    steps = []

    def report(step):
        steps.append(step)
        return lambda done, total: None

    options = {"n_stars": 200, "seed": 3, "injections": settings, "keep": True, "report": report}
    result = limits(tmp_path / "out", **options)
    assert set(result.summary["threshold"]) == {"shipped", "1 % of singles"}
    assert {"ccf", "model", "combined"} <= set(result.summary)
    table = pd.read_csv(tmp_path / "out" / "limits.csv")
    assert set(table["quantity"]) == {"dv", "q", "flux_ratio", "snr", "teff", "vsini"}
    per_channel = table[(table["of"] == "singles") & (table["quantity"] == "snr")]
    total = per_channel.groupby("channel")["stars"].sum()
    truth = SurveyStore.open(tmp_path / "out" / "injections.siderea").product("truth")
    assert (total == (truth["n_stars"] == 1).sum()).all()
    assert all(figure.is_file() for figure in result.figures)
    assert "model" in steps
    steps.clear()
    again = limits(tmp_path / "out", **options)
    assert "model" not in steps
    assert "ccf" not in steps
    pd.testing.assert_frame_equal(again.summary, result.summary)
    with pytest.raises(DataError, match="another folder"):
        inject(tmp_path / "out" / "injections.siderea", InjectionRecipe(200, 4))
    limits(tmp_path / "out", **{**options, "keep": False})
    assert not (tmp_path / "out" / "injections.siderea").exists()


def test_the_catalogue_has_channels_too(tmp_path, small):
    spectra = small.spectra([small.star(0.0)] * 60)
    rng = np.random.default_rng(1)
    ruwe = np.r_[np.full(5, 9.0), 1.0 + 0.03 * rng.normal(size=55)]
    table = spectra.table.assign(ruwe=ruwe)
    store = SurveyStore.create(tmp_path / "gaia.siderea", replace(spectra, table=table))
    result = detect_catalogue(store.path, "astrometric")
    found = store.product("detections_astrometric")
    assert (result.n_searched, result.n_multiple) == (60, 5)
    assert found["is_binary"].tolist() == [True] * 5 + [False] * 55
    assert "astrometric" in detections(store)
    with pytest.raises(DataError, match="parallax"):
        detect_catalogue(store.path, "photometric")


def test_groups_hold_one_kind_each():
    from siderea.binaries.injection import Injections

    truth = Injections(600, 1, InjectionSettings(binary_fraction=0.5)).stars()
    binary = truth["n_stars"].to_numpy() > 1
    for name, members in groups(truth):
        assert len(set(binary[members])) <= 1, name
    assert (seen_by_eye(truth) <= binary).all()


def test_the_model_channel_is_a_product(tmp_path, small):
    from siderea.simulate.spectra import simulate_spectra

    spectra, _ = simulate_spectra(6, rng=1)
    store = SurveyStore.create(tmp_path / "six.siderea", spectra)
    result = detect(store.path, ModelRecipe())
    table = store.product("detections_model")
    assert result.n_searched == 6
    assert table["id"].tolist() == store.catalogue["id"].tolist()
    assert {"delta_chi2", "single_teff", "binary_q", "dv", "is_binary"} <= set(table)
    assert store.product_info("detections_model")["parameters"]["false_positives"] == 0.01


def test_the_commands_say_what_they_did(monkeypatch, tmp_path, store, labels):
    from siderea.cli import compare as compare_command
    from siderea.cli import detect as detect_command
    from siderea.cli import limits as limits_command

    channel_tables(store)
    app = typer.Typer()
    app.command("detect")(detect_command.run)
    app.command("compare")(compare_command.run)
    app.command("limits")(limits_command.run)
    runner = CliRunner()
    path = str(store.path)
    found = runner.invoke(app, ["detect", path, "--method", "map", "--labels", str(labels)])
    assert found.exit_code == 0, found.output
    assert "195 of 200 spectra searched" in found.output
    compared = runner.invoke(app, ["compare", path])
    assert compared.exit_code == 0, compared.output
    assert "compare_overlap.png" in compared.output
    asked = {}

    def injected(output, **options):
        asked.update(options, output=output)
        frame = pd.DataFrame({"group": ["a"], "kind": ["singles"], "stars": [3], "ccf": [0.01]})
        return limits_module.LimitsResult(frame, (tmp_path / "summary.csv",), ())

    monkeypatch.setattr("siderea.pipelines.limits.limits", injected)
    said = runner.invoke(app, ["limits", "--output", str(tmp_path), "--stars", "300"])
    assert said.exit_code == 0, said.output
    assert "1.0 %" in said.output
    assert asked["n_stars"] == 300
