import numpy as np
import pytest

from siderea.errors import StoreError
from siderea.flags import SpectrumFlag
from siderea.io.store import SurveyStore
from siderea.pipelines.demo import PECULIAR, demo


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    with pytest.warns(UserWarning, match="lowered"):
        return folder, demo(folder, n_stars=60, seed=3)


def test_the_demo_goes_through_the_whole_job(shown):
    _, result = shown
    store = SurveyStore.open(result.store)
    assert len(store) == 60
    assert store.products == (
        "class_detections",
        "classes",
        "detections_ccf",
        "detections_combined",
        "detections_model",
        "pca",
        "pca_features",
        "truth",
        "tsne",
        "tsne_classes",
        "tsne_classes_features",
        "tsne_features",
    )
    assert result.report.stat().st_size > 100_000
    truth, table = store.product("truth"), store.catalogue
    assert truth["id"].tolist() == table["id"].tolist()
    np.testing.assert_allclose(table["rv"], truth["rv_measured"], atol=1e-5)
    quiet = (table["class"] == "NOR").to_numpy()
    assert table["teff"][quiet].corr(table["ew_halpha"][quiet], method="spearman") > 0.7
    assert set(table["class"]) & {code for code, _ in PECULIAR}


def test_what_is_wrong_in_the_files_is_found_by_the_ingest(shown):
    store = SurveyStore.open(shown[1].store)
    truth, flags = store.product("truth"), store.catalogue["flags"].to_numpy()
    for problem, flag in (
        ("dead", SpectrumFlag.MISSING_ARM),
        ("gaps", SpectrumFlag.NON_FINITE),
    ):
        there = (truth["problem"] == problem).to_numpy()
        assert (((flags & int(flag)) > 0) == there).all()


def test_the_report_shows_every_part(shown):
    folder, result = shown
    page = result.report.read_text(encoding="utf-8")
    for title in (
        "Classes",
        "Binaries",
        "Eclipsing binaries",
        "Labels from photometry",
        "The Milky Way",
    ):
        assert f"<h2>{title}</h2>" in page
    assert (folder / "lightcurves" / "lightcurves.parquet").is_file()
    assert (folder / "photometry_model.safetensors").is_file()
    assert (folder / "milky_way" / "map" / "gradients.csv").is_file()


def test_the_binaries_that_it_finds_are_binaries(shown):
    store = SurveyStore.open(shown[1].store)
    truth = store.product("truth").set_index("id")
    called = store.product("detections_combined").set_index("id")["is_binary"]
    single = truth.index[(truth["n_stars"] == 1) & (truth["class"] == "NOR")]
    binary = truth.index[truth["n_stars"] > 1]
    assert called[binary].mean() > 0.25 > 0.1 > called[single].mean()


def test_a_second_demo_replaces_the_first(shown):
    folder, result = shown
    with pytest.warns(UserWarning, match="lowered"):
        demo(folder, n_stars=12, seed=3)
    assert len(SurveyStore.open(result.store)) == 12


def test_the_demo_does_not_remove_what_is_not_its_own(tmp_path):
    (tmp_path / "demo.siderea").mkdir()
    (tmp_path / "demo.siderea" / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="in the way"):
        demo(tmp_path, n_stars=12)
