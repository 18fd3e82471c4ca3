import errno
import hashlib
import os

import numpy as np
import pandas as pd
import pytest

from siderea.errors import DataError, StorageFullError, StoreError
from siderea.io.store import SurveyStore
from siderea.pipelines import simulate as module
from siderea.pipelines.simulate import Recipe, instrument_of, simulate_spectra
from siderea.pipelines.simulate_tables import simulate_photometry, truth_path
from siderea.simulate import spectra
from siderea.simulate.spectra import SpectraSettings

RECIPE = Recipe(70, seed=2, peculiar=(("WRD", 0.2), ("CEH", 0.1)))


@pytest.fixture
def _small_steps(monkeypatch):
    """Chunks of 8 rows and blocks of 20 stars: several of each, out of step."""
    monkeypatch.setattr("siderea.io.store.CHUNK_BYTES", 1)
    monkeypatch.setattr(spectra, "BLOCK", 20)


def content(path):
    """Digests of all files but the product, which tells when it was written."""
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != ".lock")
    return {
        str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
        if p.parent.name != "products"
    }


def same(one, other):
    assert content(one.path) == content(other.path)
    pd.testing.assert_frame_equal(one.product("truth"), other.product("truth"))


def test_two_processes_make_the_same_store_as_one(tmp_path):
    recipe = Recipe(300, seed=2, peculiar=RECIPE.peculiar)
    one, two = (simulate_spectra(recipe, tmp_path / f"{n}.siderea", jobs=n) for n in (1, 2))
    same(one, two)
    assert len(one) == len(one.product("truth")) == 300
    assert one.product_info("truth")["parameters"]["seed"] == 2
    assert not list(one.path.glob("*.parts"))


class StopError(Exception):
    pass


@pytest.mark.usefixtures("_small_steps")
@pytest.mark.parametrize("after", [20, 40, 70])
def test_interrupted_and_resumed_is_the_same_store(tmp_path, after):
    seen = []
    whole = simulate_spectra(
        RECIPE, tmp_path / "whole.siderea", jobs=1, progress=lambda *at: seen.append(at)
    )
    assert seen == [(20, 70), (40, 70), (60, 70), (70, 70)]

    def interrupt(done, total):
        if done >= after:
            raise StopError

    with pytest.raises(StopError):
        simulate_spectra(RECIPE, tmp_path / "broken.siderea", jobs=1, progress=interrupt)
    with pytest.raises(StoreError, match="another recipe"):
        simulate_spectra(Recipe(71), tmp_path / "broken.siderea", jobs=1)
    same(simulate_spectra(RECIPE, tmp_path / "broken.siderea", jobs=1), whole)
    with pytest.raises(StoreError, match="already exists"):
        simulate_spectra(RECIPE, tmp_path / "broken.siderea", jobs=1)


@pytest.mark.usefixtures("_small_steps")
def test_stopped_before_the_truth_only_the_truth_is_written(tmp_path, monkeypatch):
    def stop(*_):
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(module, "_truth", stop)
        with pytest.raises(StopError):
            simulate_spectra(RECIPE, tmp_path / "a.siderea", jobs=1)
    assert SurveyStore.open(tmp_path / "a.siderea").complete
    store = simulate_spectra(RECIPE, tmp_path / "a.siderea", jobs=1)
    assert len(store.product("truth")) == 70


@pytest.mark.usefixtures("_small_steps")
def test_a_full_disk_is_one_clear_error_and_the_job_resumes(tmp_path, monkeypatch):
    replace = os.replace

    def full(source, target):
        if str(target).endswith("part-0000002.parquet"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("siderea.io.files.os.replace", full)
        with pytest.raises(StorageFullError, match="disk is full"):
            simulate_spectra(RECIPE, tmp_path / "a.siderea", jobs=1)
    assert len(SurveyStore.open(tmp_path / "a.siderea")) > 0
    assert len(simulate_spectra(RECIPE, tmp_path / "a.siderea", jobs=1)) == 70


def test_all_stars_can_be_binaries_or_none(tmp_path):
    stars = {
        f: Recipe(30, seed=1, binary_fraction=f).survey().block(0).truth["n_stars"]
        for f in (0.0, 1.0)
    }
    assert (stars[0.0] == 1).all()
    assert (stars[1.0] > 1).all()


def test_visits_and_frames_are_in_the_recipe(tmp_path):
    recipe = Recipe(4, seed=1, settings=SpectraSettings(visits=3, frame="barycentric"))
    store = simulate_spectra(recipe, tmp_path / "a.siderea", jobs=1)
    assert len(store) == 12
    assert store.catalogue.groupby("star_id").size().tolist() == [3, 3, 3, 3]
    np.testing.assert_array_equal(store.wavelength, instrument_of("galah").grid.wavelength)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_stars": 0}, "at least one star"),
        ({"n_stars": 5, "seed": -1}, "not negative"),
        ({"n_stars": 5, "instrument": "weave"}, "expected 'galah' or 'apogee'"),
        ({"n_stars": 5, "instrument": "apogee"}, "folder of El-Badry"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(options, said):
    with pytest.raises(DataError, match=said):
        Recipe(**options)


def test_photometry_becomes_a_table_with_the_truth_beside_it(tmp_path):
    path = tmp_path / "stars.parquet"
    assert simulate_photometry(path, n_stars=50, seed=3) == 50
    table, truth = pd.read_parquet(path), pd.read_parquet(truth_path(path))
    assert table["id"].tolist() == truth["id"].tolist()
    pull = (table["mag_sdss_r"] - truth["mag_sdss_r"]) / table["mag_sdss_r_err"]
    assert pull.abs().median() == pytest.approx(0.67, abs=0.35)
    with pytest.raises(StoreError, match="already exists"):
        simulate_photometry(path, n_stars=50)
    with pytest.raises(DataError, match=r"\.parquet"):
        simulate_photometry(tmp_path / "stars.csv", n_stars=50)
