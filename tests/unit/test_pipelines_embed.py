import numpy as np
import pandas as pd
import pytest

from siderea.data import Spectra
from siderea.embeddings.autoencoder import SpectrumAutoencoder
from siderea.errors import DataError, ProductError
from siderea.io import artefacts
from siderea.io.store import SurveyStore
from siderea.pipelines.draw import default_colour, example_figure, map_figure
from siderea.pipelines.embed import embed
from siderea.pipelines.info import describe_store
from siderea.pipelines.report import write_report


def groups(n=60, pixels=300, seed=0):
    """Two kinds of spectra, told apart by one line; the last spectrum has no good pixel."""
    rng = np.random.default_rng(seed)
    wavelength = np.linspace(5000.0, 5100.0, pixels)
    kind = np.arange(n) % 2
    line = np.exp(-0.5 * ((wavelength - 5050.0) / 2.0) ** 2)
    flux = 1.0 - 0.6 * kind[:, None] * line + rng.normal(0, 0.02, (n, pixels))
    ivar = np.full((n, pixels), 2500.0)
    ivar[-1] = 0.0
    table = pd.DataFrame(
        {
            "id": [f"s{row}" for row in range(n)],
            "kind": np.array(["plain", "lined"])[kind],
            "teff": 5000.0 + 10.0 * np.arange(n),
            "snr": 50.0,
            "flags": 0,
        }
    )
    arms = (slice(0, 100), slice(100, pixels))
    return Spectra(wavelength, flux, ivar, "air", arms, ("left", "right"), 28000.0, table)


@pytest.fixture
def store(tmp_path):
    return SurveyStore.create(tmp_path / "two.siderea", groups(), provenance={"product": "test"})


@pytest.mark.parametrize("method", ["tsne", "pca", "isomap", "lle", "spectral", "sammon", "mds"])
def test_a_map_keeps_the_kinds_apart_and_leaves_out_what_has_no_pixels(store, method):
    result = embed(store.path, method=method, perplexity=10, n_components=5)
    assert (result.n_mapped, result.n_left_out) == (59, 1)
    product = store.product(method)
    assert product["id"].tolist() == store.catalogue["id"].tolist()
    assert product[["x", "y"]].iloc[-1].isna().all()
    places = product[["x", "y"]].to_numpy()[:-1]
    kind = (np.arange(59) % 2).astype(bool)
    centres = places[kind].mean(axis=0), places[~kind].mean(axis=0)
    nearer = np.linalg.norm(places - centres[0], axis=1) < np.linalg.norm(
        places - centres[1], axis=1
    )
    # LLE draws each of two groups without a link between them into a line of its own.
    assert np.mean(nearer == kind) == 1.0 or method == "lle"
    features = store.product(f"{method}_features")
    assert features["id"].tolist() == product["id"].tolist()[:-1]
    assert [name for name in features if name != "id"] == [f"pca_{k}" for k in range(1, 6)]
    assert result.figure.stat().st_size > 10_000


def test_the_line_is_only_seen_through_its_own_arm(store):
    """The arms that are chosen are those that count: without the line, the kinds mix."""
    embed(store.path, method="pca", arms=("left",), n_components=5, name="blind")
    first = store.product("blind")["x"].to_numpy()[:-1]
    kind = np.arange(59) % 2
    assert abs(np.corrcoef(first, kind)[0, 1]) < 0.5
    info = store.product_info("blind")
    assert info["parameters"]["arms"] == ["left"]


def test_the_same_seed_gives_the_same_map(store):
    for name in ("one", "two"):
        embed(store.path, method="tsne", perplexity=10, n_components=5, name=name)
    pd.testing.assert_frame_equal(store.product("one"), store.product("two"))


def test_autoencoder_and_two_passes(store):
    result = embed(store.path, method="tsne", autoencoder=4, passes=2, perplexity=5, name="deep")
    assert (result.n_mapped, result.n_left_out) == (59, 1)
    product = store.product("deep")
    second = product["second_pass"].to_numpy()[:-1].astype(bool)
    assert second.any()
    assert product[["x_2", "y_2"]].notna().all(axis=1).to_numpy()[:-1].tolist() == second.tolist()
    features = store.product("deep_features")
    assert list(features) == ["id", "latent_1", "latent_2", "latent_3", "latent_4"]
    parameters = store.product_info("deep")["parameters"]
    assert parameters["autoencoder"] == 4
    assert parameters["passes"] == 2
    arrays, metadata = artefacts.load(store.path / parameters["model"])
    model = SpectrumAutoencoder.from_state(arrays, metadata)
    flux = np.clip(store.spectra(slice(0, 59)).flux, -0.5, 2.0)
    latent = model.transform(flux, ivar=store.spectra(slice(0, 59)).ivar)
    np.testing.assert_allclose(latent, features.iloc[:, 1:], atol=1e-5)
    assert not list((store.path / "models").glob("*_training"))


def test_few_spectra_lower_the_perplexity(store):
    with pytest.warns(UserWarning, match="perplexity lowered from 30 to 19.3"):
        embed(store.path, method="tsne", n_components=5)


def test_constant_spectra_and_duplicates_are_mapped(tmp_path):
    rows = groups(40)
    flux = rows.flux.copy()
    flux[:15] = 1.0
    flux[15:30] = flux[30]
    store = SurveyStore.create(tmp_path / "same.siderea", rows.with_flux(flux, rows.ivar))
    embed(store.path, method="tsne", perplexity=5, n_components=3)
    assert np.isfinite(store.product("tsne")[["x", "y"]].to_numpy()[:-1]).all()


def test_bad_options_are_refused_before_any_work(store):
    with pytest.raises(DataError, match="expected one of tsne, umap, pca"):
        embed(store.path, method="guess")
    with pytest.raises(DataError, match="expected 1, or 2 with tsne"):
        embed(store.path, method="mds", passes=2)
    with pytest.raises(DataError, match="found 1 with tsne; expected at least 2"):
        embed(store.path, autoencoder=1)
    with pytest.raises(DataError, match="other than pca"):
        embed(store.path, method="pca", autoencoder=10)
    with pytest.raises(DataError, match="expected left, right"):
        embed(store.path, arms=("middle",))
    with pytest.raises(DataError, match="no column beauty"):
        embed(store.path, colour="beauty")
    assert store.products == ()


def test_too_few_usable_spectra_is_said(tmp_path):
    rows = groups(6)
    few = rows.with_flux(rows.flux, np.where(np.arange(6)[:, None] > 1, 0.0, rows.ivar))
    store = SurveyStore.create(tmp_path / "few.siderea", few)
    with pytest.raises(DataError, match="2 spectra have enough good pixels"):
        embed(store.path)


def test_figures_take_their_colour_and_unit_from_the_catalogue(store):
    embed(store.path, method="pca", n_components=5)
    assert default_colour(store) == "teff"
    figure = map_figure(store, "pca")
    assert "effective temperature (K)" in [axes.get_ylabel() for axes in figure.axes]
    legend = map_figure(store, "pca", colour="kind").axes[0].get_legend()
    words = " ".join(text.get_text() for text in legend.get_texts())
    assert "plain" in words
    assert "lined" in words
    embed(store.path, method="pca", n_components=5, name="kinds", colour="kind")
    assert map_figure(store, "kinds").axes[0].get_legend() is not None  # it remembers its colour
    store.write_product("notes", pd.DataFrame({"id": ["s1"], "note": ["x"]}))
    with pytest.raises(ProductError, match="not a map"):
        map_figure(store, "notes")


def test_example_spectra_are_drawn_arm_by_arm(store):
    figure = example_figure(store)
    assert len(figure.axes) == 2
    assert "Å" in figure.axes[-1].get_xlabel()


def test_the_report_says_what_is_in_the_store(store, tmp_path):
    embed(store.path, method="pca", n_components=5)
    html = write_report(store.path, output=tmp_path / "deep" / "report.html").read_text()
    assert "60 spectra of 300 pixels" in html
    assert "median 5295 K" in html
    assert html.count("data:image/png;base64,") == 2
    assert "http" not in html.replace("http-equiv", "")  # self-contained
    with pytest.raises(DataError, match="no column beauty"):
        write_report(store.path, output=tmp_path / "r.html", colour="beauty")


def test_info_names_arms_columns_and_products(store):
    embed(store.path, method="pca", n_components=5)
    text = describe_store(store.path)
    assert "60 spectra, complete" in text
    assert "left: 5000.0" in text
    assert "teff" in text
    assert "pca: pca (arms=" in text
