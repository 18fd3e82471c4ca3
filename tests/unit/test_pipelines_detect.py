"""``siderea detect``: a store searched, stopped, gone on with."""

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from siderea.binaries.detect import CCFDetector
from siderea.errors import StoreError
from siderea.io.store import SurveyStore
from siderea.pipelines.detect import CCFRecipe, detect, detect_ccf


@pytest.fixture
def store(tmp_path, small):
    rows = [small.star(0.0), 0.6 * small.star(-40.0) + 0.4 * small.star(40.0)] * 300
    return SurveyStore.create(tmp_path / "mini.siderea", small.spectra(rows))


def test_a_store_is_searched_as_its_spectra_are(store, small):
    result = detect_ccf(store.path, templates=np.array([small.lines(0.0)]))
    table = store.product("detections_ccf")
    assert (result.n_spectra, result.n_searched, result.n_multiple) == (600, 600, 300)
    assert table["id"].tolist() == store.catalogue["id"].tolist()
    assert table["n_components"].tolist() == [1, 2] * 300
    info = store.product_info("detections_ccf")
    assert info["method"] == "ccf"
    assert info["parameters"]["significance"] == 6.0
    assert not list((store.path / "products").glob(".detections*"))


def test_a_stopped_job_goes_on(store, small, monkeypatch):
    done = []
    search = CCFDetector.__call__

    def interrupted(self, spectra):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(len(spectra))
        return search(self, spectra)

    monkeypatch.setattr(CCFDetector, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        detect_ccf(store.path, templates=np.array([small.lines(0.0)]))
    assert "detections_ccf" not in store.products
    searched = []

    def counted(self, spectra):
        searched.append(len(spectra))
        return search(self, spectra)

    monkeypatch.setattr(CCFDetector, "__call__", counted)
    detect_ccf(store.path, templates=np.array([small.lines(0.0)]))
    assert sum(searched) == 600 - done[0]
    assert store.product("detections_ccf")["n_components"].tolist() == [1, 2] * 300


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_processes_and_a_cluster_find_what_one_process_finds(store, small, cluster):
    recipe = CCFRecipe(templates=np.array([small.lines(0.0)]))
    detect(store.path, recipe, name="one")
    detect(store.path, recipe, name="two", jobs=2)
    detect(store.path, recipe, name="dask", scheduler=cluster.scheduler_address)
    expected = store.product("one")
    assert len(expected) == 600
    pd.testing.assert_frame_equal(store.product("two"), expected, check_exact=True)
    pd.testing.assert_frame_equal(store.product("dask"), expected, check_exact=True)


def test_other_parameters_do_not_go_on_with_a_stopped_job(store, small):
    from siderea.pipelines.detect import _work_folder

    one = _work_folder(store, "d", CCFRecipe(max_velocity=100.0).parameters())
    two = _work_folder(store, "d", CCFRecipe(max_velocity=200.0).parameters())
    assert one != two


def test_no_store_is_one_clear_error(tmp_path):
    with pytest.raises(StoreError, match="no such folder"):
        detect_ccf(tmp_path / "none.siderea")


def test_the_command_says_what_was_found(monkeypatch, tmp_path):
    from siderea.cli import detect
    from siderea.pipelines.detect import DetectResult

    asked = {}

    def searched(store, recipe, **options):
        asked.update(options, store=store, recipe=recipe)
        return DetectResult("detections_ccf", tmp_path / "d.parquet", 600, 599, 300)

    monkeypatch.setattr("siderea.pipelines.detect.detect", searched)
    app = typer.Typer()
    app.command()(detect.run)
    options = ["--method", "ccf", "--max-velocity", "150", "--jobs", "2", "--scheduler", "tcp://x:1"]
    result = CliRunner().invoke(app, [str(tmp_path), *options])
    assert result.exit_code == 0, result.output
    assert "300 show more than one star" in result.output
    assert asked["recipe"].max_velocity == 150.0
    assert (asked["jobs"], asked["scheduler"]) == (2, "tcp://x:1")
