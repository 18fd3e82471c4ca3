import numpy as np
import pytest

from siderea.errors import DataError
from siderea.figures.galaxy import plane_figure, profile_figure, sky_figure, star_figure


def test_a_map_lies_where_its_cells_are():
    value = np.full((20, 30), np.nan)
    value[12:15, 4:9] = -1.0
    value[12, 4] = -0.5
    edges = {"R": np.linspace(0, 10, 21), "z": np.linspace(-5, 10, 31)}
    figure = plane_figure(
        edges, value, np.where(np.isnan(value), np.nan, 7.0),
        label="median [Fe/H] (dex)", limits=(-1.5, -0.5), sun=(8.1, 0.02), title="15 stars",
    )  # fmt: skip
    left, right = figure.axes[:2]
    assert left.get_xlabel() == "R (kpc)"
    assert left.get_ylabel() == "Z (kpc)"
    assert left.get_aspect() == 1.0
    image = left.images[0]
    assert image.get_extent() == pytest.approx([5.0, 8.5, -4.0, 0.5])  # two cells of margin
    shown = np.ma.filled(image.get_array(), np.nan)
    assert shown[2, 2] == -0.5  # row: Z, column: R
    assert np.isfinite(shown).sum() == 15
    assert image.get_clim() == (-1.5, -0.5)
    assert np.nanmax(np.ma.filled(right.images[0].get_array(), np.nan)) == np.log10(7)
    with pytest.raises(DataError, match="no cell"):
        plane_figure(edges, np.full((20, 30), np.nan), value, label="", limits=(0, 1))


@pytest.mark.parametrize("n", [400, 60_000])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_star_is_drawn_in_its_colour(n):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(2, 14, n), rng.uniform(-6, 6, n)
    figure = star_figure(
        x, y, np.where(y > 0, -1.4, -0.6), names=("R", "z"), label="[Fe/H] (dex)",
        limits=(-1.6, -0.5),
    )  # fmt: skip
    axes = figure.axes[0]
    if n > 50_000:
        image = np.asarray(axes.images[0].get_array())
        half = len(image) // 2
        assert np.nanmedian(image[half + 5 :]) == pytest.approx(-1.4)
        assert np.nanmedian(image[: half - 5]) == pytest.approx(-0.6)
    else:
        assert len(axes.collections[0].get_offsets()) == n
    with pytest.raises(DataError, match="no star"):
        star_figure([], [], [], names=("R", "z"), label="", limits=(0, 1))


def test_the_sky_runs_to_the_left():
    figure = sky_figure([180.0, 200.0], [0.0, 45.0], [1.0, 2.0], label="x", size=2.0)
    place = figure.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(place[0], 0.0, atol=1e-12)
    assert place[1, 0] < 0  # a larger right ascension is further to the left
    assert place[1, 1] == pytest.approx(np.deg2rad(45))


def test_profiles_have_their_lines_in_their_colours():
    figure = profile_figure(
        {"near": ([1, 2], [-0.5, -0.8], [0.1, 0.1]), "far": ([1, 2], [-0.6, -0.7], [0.1, 0.1])},
        {"far": ([1, 2], [-0.6, -0.7])},
        name="abs_z",
        label="[Fe/H]",
    )
    axes = figure.axes[0]
    assert axes.get_xlabel() == "|Z| (kpc)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["near", "far"]
