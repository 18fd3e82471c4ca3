"""Figures of light curves: what is drawn, and what is refused."""

import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb

from siderea.errors import DataError
from siderea.figures.lightcurves import class_figure, fit_figure

PHASE = np.arange(50) / 50


def classes(count):
    rng = np.random.default_rng(0)
    group = rng.integers(-1, count, 200)
    mean = np.tile(1 - np.exp(-((PHASE - 0.5) ** 2) / 0.01), (count, 1))
    return rng.normal(size=(200, 2)), group, mean, np.full_like(mean, 0.05)


@pytest.mark.parametrize("count", [1, 4, 9])
def test_a_panel_for_every_class(tmp_path, count):
    place, group, mean, spread = classes(count)
    figure = class_figure(place, group, PHASE, mean, spread, title="Test")
    panels = [ax for ax in figure.axes if ax.get_visible()]
    assert len(panels) == count + 1
    figure.savefig(tmp_path / "classes.png")
    x = panels[1].lines[0].get_xdata()
    assert x[0] == pytest.approx(-0.3)
    assert np.all(np.diff(x) > 0)


def test_groups_of_one_name_stand_together_in_one_hue(tmp_path):
    place, group, mean, spread = classes(5)
    names = ["wave", "dip", "wave", "dip", "mixed"]
    figure = class_figure(place, group, PHASE, mean, spread, names=names)
    figure.savefig(tmp_path / "classes.png")
    ax, *panels = [one for one in figure.axes if one.get_visible()]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["dip", "mixed", "wave"]
    panels.sort(key=lambda panel: int(panel.get_title(loc="left")))
    sizes = [int((group == k).sum()) for k in (1, 3, 4, 0, 2)]
    assert [panel.get_title(loc="right") for panel in panels] == [str(n) for n in sizes]
    hue = [rgb_to_hsv(to_rgb(panel.lines[0].get_color()))[0] for panel in panels]
    assert hue[0] == pytest.approx(hue[1], abs=0.02)
    assert hue[3] == pytest.approx(hue[4], abs=0.02)
    assert abs(hue[0] - hue[3]) > 0.05
    numbers = [text.get_text() for text in ax.texts]
    assert numbers == ["1", "2", "3", "4", "5"]


def test_every_curve_has_its_points_and_its_fit(tmp_path):
    figure = fit_figure([(PHASE, PHASE), (PHASE, -PHASE)], PHASE, np.zeros((2, 50)), labels=["a"])
    figure.savefig(tmp_path / "fits.png")
    panels = [ax for ax in figure.axes if ax.get_visible()]
    assert len(panels) == 2
    assert [len(ax.lines) for ax in panels] == [2, 2]


def test_nothing_to_draw_is_refused():
    with pytest.raises(DataError):
        fit_figure([], PHASE, np.zeros((0, 50)))
    place, group, mean, spread = classes(2)
    with pytest.raises(DataError):
        class_figure(place, group, PHASE[:-1], mean, spread)
