"""Templates of the cross-correlation by a word or a file: what each is, and that it is used."""

import pickle

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from siderea.binaries.ccf import Correlator
from siderea.binaries.masks import KINDS, lines_of, star_masks
from siderea.binaries.templates import emulator_templates
from siderea.data import Spectra
from siderea.embeddings.autoencoder import SpectrumAutoencoder
from siderea.errors import DataError, MediumError
from siderea.io import artefacts
from siderea.io.store import SurveyStore
from siderea.pipelines.ccf_templates import (
    AutoencoderReference,
    file_templates,
    map_reference,
)
from siderea.pipelines.detect import CCFRecipe, detect
from siderea.pipelines.embed import embed
from siderea.spectra.instruments import GALAH_GRID as GRID


def pairs(small, n=60):
    """Return single stars and, every third, two; all of one kind."""
    rows = [small.star(0.0)] * n
    for row in range(0, n, 3):
        rows[row] = 0.6 * small.star(0.0) + 0.4 * small.star(60.0)
    return small.spectra(rows)


@pytest.fixture(scope="module")
def store(tmp_path_factory, small):
    store = SurveyStore.create(tmp_path_factory.mktemp("t") / "mini.siderea", pairs(small))
    embed(store.path, method="tsne", autoencoder=4, perplexity=5, name="deep")
    embed(store.path, method="pca", n_components=4, name="flat")
    return store


def test_the_lines_of_a_spectrum_are_its_minima():
    wavelength = np.linspace(5000.0, 5010.0, 1001)
    centres, depths = np.array([5002.003, 5005.0, 5007.5]), np.array([0.6, 0.02, 0.3])
    shape = np.exp(-0.5 * ((wavelength - centres[:, None]) / 0.1) ** 2)
    found, depth = lines_of(wavelength, 1 - depths @ shape)
    np.testing.assert_allclose(found, centres[[0, 2]], atol=5e-4)  # the second is too shallow
    np.testing.assert_allclose(depth, depths[[0, 2]], atol=1e-3)


def test_a_star_chooses_the_mask_of_its_kind():
    flux = np.ones((1, len(GRID.wavelength)))
    arms, names, resolution = GRID.arms, GRID.arm_names, GRID.resolution
    grid = Spectra(GRID.wavelength, flux, 1e4 * flux, GRID.medium, arms, names, resolution)
    masks = star_masks(grid)
    assert masks.shape == (len(KINDS), grid.n_pixels)
    flux = emulator_templates(grid, list(KINDS.values()))
    ivar = np.full(flux.shape, 1e4)
    stars = Spectra(GRID.wavelength, flux, ivar, GRID.medium, arms, names, resolution)
    chosen = Correlator(grid, templates=masks)(stars).template
    assert chosen.tolist() == list(range(len(KINDS)))


def test_a_reference_is_what_the_autoencoder_makes_of_the_spectrum(store):
    reference = map_reference(store, "deep")
    spectra = store.spectra(slice(0, 20))
    own = reference(spectra)
    model = SpectrumAutoencoder.from_state(*artefacts.load(store.path / "models/deep_autoencoder"))
    np.testing.assert_array_equal(own, model.inverse_transform(model.transform(spectra)))
    assert np.abs(own - spectra.flux).mean() < 0.05
    assert not np.allclose(own[0], own[1], atol=0.01)  # two stars, and one


def test_the_reference_of_two_stars_holds_both_and_hides_the_second(store):
    """A reference that learned the pair fits it as one star: what the choice costs."""
    emulated = np.array([store.spectra([1]).flux[0]])
    detect(store.path, CCFRecipe(templates=emulated), name="given")
    detect(store.path, CCFRecipe(reference=map_reference(store, "deep")), name="own")
    two = np.arange(len(store)) % 3 == 0
    assert (store.product("given")["n_components"].to_numpy()[two] == 2).all()
    assert (store.product("own")["n_components"].to_numpy()[two] == 1).all()


def test_arms_that_the_autoencoder_never_saw_have_no_lines(store):
    wavelength = store.wavelength
    reference = map_reference(store, "deep")
    model = reference._model[0]
    half = AutoencoderReference(reference.path)
    half.__dict__["_model"] = (model, wavelength[: len(wavelength) // 2] + 0.0)
    pixels = half._pixels(store.spectra([0]))
    assert pixels.tolist() == list(range(len(wavelength) // 2))
    half.__dict__["_model"] = (model, wavelength + 0.01)
    with pytest.raises(DataError, match="other wavelengths"):
        half._pixels(store.spectra([0]))


def test_a_spectrum_without_pixels_has_no_lines(store):
    spectra = store.spectra(slice(0, 2))
    spectra.ivar[1] = 0.0
    own = map_reference(store, "deep")(spectra)
    assert (own[1] == 1).all()
    assert (own[0] < 0.9).any()


def test_a_map_without_an_autoencoder_is_refused(store):
    with pytest.raises(DataError, match="autoencoder"):
        map_reference(store, "flat")


def test_recipes_travel_and_say_what_they_are(store, tmp_path):
    reference = map_reference(store, "deep")
    reference(store.spectra([0]))  # the network is read: it must stay behind
    recipe = CCFRecipe(reference=reference)
    sent = pickle.dumps(recipe)
    assert len(sent) < 10_000
    assert pickle.loads(sent).parameters() == recipe.parameters()
    embed(store.path, method="tsne", autoencoder=3, perplexity=5, name="other")
    other = CCFRecipe(reference=map_reference(store, "other")).parameters()
    assert other["reference"] != recipe.parameters()["reference"]
    assert "reference" not in CCFRecipe().parameters()


def test_processes_find_what_one_process_finds(store):
    recipe = CCFRecipe(reference=map_reference(store, "deep"))
    detect(store.path, recipe, name="one")
    detect(store.path, recipe, name="two", jobs=2)
    pd.testing.assert_frame_equal(store.product("two"), store.product("one"), check_exact=True)


def test_a_list_of_lines_makes_masks(store, small, tmp_path):
    lines = pd.DataFrame({"Wavelength": [5010.0, 5020.0, 5030.0], "depth": [0.5, 0.2, 0.3]})
    lines["mask"] = ["a", "a", "b"]
    lines.to_csv(tmp_path / "lines.csv", index=False)
    masks = file_templates(store, tmp_path / "lines.csv")
    assert len(masks) == 2
    lowest = [store.wavelength[mask.argmin()] for mask in masks]
    np.testing.assert_allclose(lowest, [5010.0, 5030.0], atol=0.1)
    lines.assign(depth=1.5).to_csv(tmp_path / "deep.csv", index=False)
    with pytest.raises(DataError, match="depths"):
        file_templates(store, tmp_path / "deep.csv")
    lines.assign(Wavelength=9000.0).to_csv(tmp_path / "far.csv", index=False)
    with pytest.raises(DataError, match="no line on the grid"):
        file_templates(store, tmp_path / "far.csv")


def test_spectra_of_a_file_are_put_on_the_grid(store, small, tmp_path):
    wide = np.linspace(store.wavelength[0] - 5, store.wavelength[-1] + 5, 20 * store.n_pixels)
    flux = np.interp(wide, store.wavelength, small.lines(0.0))
    np.savez(tmp_path / "stars.npz", wavelength=wide, flux=np.array([flux, flux]), medium="air")
    found = file_templates(store, tmp_path / "stars.npz")
    assert found.shape == (2, store.n_pixels)
    np.testing.assert_allclose(found[0], small.lines(0.0), atol=0.01)
    np.savez(tmp_path / "vacuum.npz", wavelength=wide, flux=flux, medium="vacuum")
    with pytest.raises(MediumError):
        file_templates(store, tmp_path / "vacuum.npz")


def test_the_command_chooses(store, monkeypatch, tmp_path, small):
    from siderea.cli import detect as command
    from siderea.pipelines.detect import DetectResult

    asked = []

    def searched(path, recipe, **options):
        asked.append(recipe)
        return DetectResult("detections_ccf", tmp_path / "d.parquet", 1, 1, 0)

    monkeypatch.setattr("siderea.pipelines.detect.detect", searched)
    app = typer.Typer()
    app.command()(command.run)

    def run(*words):
        return CliRunner().invoke(app, [str(store.path), "--method", "ccf", *words])

    lines = pd.DataFrame({"wavelength": [5010.0], "depth": [0.5]})
    lines.to_csv(tmp_path / "lines.csv", index=False)
    assert run().exit_code == 0
    assert asked[-1].templates is None
    assert asked[-1].reference is None
    assert run("--templates", "reference", "--map", "deep").exit_code == 0
    assert asked[-1].reference.path.name == "deep_autoencoder"
    assert run("--templates", str(tmp_path / "lines.csv")).exit_code == 0
    assert asked[-1].templates.shape == (1, store.n_pixels)
    wrong = run("--templates", "mask")
    assert isinstance(wrong.exception, DataError)
    assert "expected emulator, masks, reference" in str(wrong.exception)
