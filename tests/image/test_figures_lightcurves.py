"""Figures of light curves: what is drawn, and what is refused."""

import numpy as np
import pytest

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
