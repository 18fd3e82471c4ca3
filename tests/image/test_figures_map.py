import io

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.image import imread

from siderea.errors import DataError
from siderea.figures import map as map_module
from siderea.figures.map import embedding_map
from siderea.figures.style import CATEGORICAL, MISSING, style


@pytest.fixture
def places():
    return np.random.default_rng(0).normal(size=(61, 2))


def picture(figure):
    """Draw the figure; return its pixels (H, W, 3)."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    file.seek(0)
    return imread(file)[..., :3]


def points_in(ax):
    return sum(len(c.get_offsets()) for c in ax.collections if isinstance(c, PathCollection))


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_axes_title_and_points(places):
    figure = embedding_map(places, title="GALAH DR3")
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("t-SNE 1", "t-SNE 2")
    assert ax.get_title(loc="left") == "GALAH DR3\nProjection of 61 spectra"
    assert ax.get_aspect() == 1.0
    assert points_in(ax) == 61
    pixels = picture(figure)
    assert pixels.shape == (840, 1050, 3)
    assert 0.005 < np.mean(pixels.min(axis=2) < 0.95) < 0.5  # neither empty nor full


def test_values_have_a_colour_bar_with_unit_and_robust_limits(places):
    values = np.linspace(4000, 7000, 61)
    values[0], values[1:5] = 1e6, np.nan
    figure = embedding_map(places, values=values, label="teff", unit="K")
    ax, bar = figure.axes
    assert bar.get_ylabel() == "teff (K)"
    low, high = ax.collections[-1].get_clim()
    assert 4000 < low < 4500
    assert high < 5e5
    assert legend_of(ax) == ["no value: 4"]
    assert points_in(ax) == 61
    assert ax.collections[0].get_facecolor()[0, :3] == pytest.approx(
        [int(MISSING[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    )


def test_column_without_values_or_spread_is_drawn(places):
    for values, legend in ((np.full(61, np.nan), ["no value: 61"]), (np.ones(61), None)):
        figure = embedding_map(places, values=values, label="snr")
        assert figure.axes[1].get_ylabel() == "snr"
        assert picture(figure).std() > 0
        if legend:
            assert legend_of(figure.axes[0]) == legend


def test_diverging_colours_are_centred_on_zero(places):
    figure = embedding_map(places, values=np.linspace(-1, 3, 61), label="residual", diverging=True)
    low, high = figure.axes[0].collections[-1].get_clim()
    assert low == -high


def test_classes_are_counted_largest_first(places):
    classes = ["BIN"] * 5 + ["HFR"] * 20 + [None, "", np.nan] * 12
    figure = embedding_map(places, categories=classes)
    (ax,) = figure.axes
    assert legend_of(ax) == ["no class: 36", "HFR: 20", "BIN: 5"]
    assert [len(c.get_offsets()) for c in ax.collections] == [36, 20, 5]
    sizes = [c.get_sizes()[0] for c in ax.collections]
    assert sizes[2] >= sizes[1] >= sizes[0]


def test_many_classes_share_one_colour(places):
    classes = [f"C{i % 20}" for i in range(61)]
    legend = legend_of(embedding_map(places, categories=classes).axes[0])
    assert len(legend) == 16
    assert legend[0].startswith("5 other classes: ")
    looks = {
        (tuple(c.get_facecolor()[0]), c.get_paths()[0].vertices.shape)
        for c in embedding_map(places, categories=classes).axes[0].collections
    }
    assert len(looks) == 16  # told apart by colour and shape


def test_dense_map_shows_cells(monkeypatch):
    monkeypatch.setattr(map_module, "DENSE", 1000)
    places = np.random.default_rng(1).normal(size=(3000, 2))
    plain = embedding_map(places)
    assert isinstance(plain.axes[0].collections[0], PolyCollection)
    assert plain.axes[1].get_ylabel() == "spectra per cell"
    assert plain.axes[0].get_title(loc="left") == "Projection of 3,000 spectra"
    values = places[:, 0].copy()
    values[:100] = np.nan
    coloured = embedding_map(places, values=values, label="fe_h", unit="dex")
    assert coloured.axes[1].get_ylabel() == "median fe_h (dex)"
    assert legend_of(coloured.axes[0]) == ["no value: 100"]
    assert picture(coloured).std() > 0


def test_points_shrink_and_are_rasterised_as_they_grow_in_number():
    rng = np.random.default_rng(2)
    few = embedding_map(rng.normal(size=(100, 2))).axes[0].collections[0]
    many = embedding_map(rng.normal(size=(20_000, 2))).axes[0].collections[0]
    assert many.get_sizes()[0] < few.get_sizes()[0] / 10
    assert (few.get_rasterized(), many.get_rasterized()) == (False, True)


def test_rows_without_a_place_are_left_out(places):
    places[:11] = np.nan
    figure = embedding_map(places, values=np.arange(61.0), label="x")
    assert figure.axes[0].get_title(loc="left") == "Projection of 50 spectra"
    assert points_in(figure.axes[0]) == 50


def test_style_is_left_as_it_was(places):
    before = dict(rcParams)
    embedding_map(places)
    with style():
        pass
    assert dict(rcParams) == before
    assert len(set(CATEGORICAL)) == 8


def test_errors_say_what_was_found(places):
    with pytest.raises(DataError, match=r"expected \(N, 2\)"):
        embedding_map(np.zeros((4, 3)))
    with pytest.raises(DataError, match="nothing to draw"):
        embedding_map(np.full((4, 2), np.nan))
    with pytest.raises(DataError, match="found 3 values for 61 places"):
        embedding_map(places, values=[1, 2, 3])
    with pytest.raises(DataError, match="both values and categories"):
        embedding_map(places, values=np.ones(61), categories=["a"] * 61)
