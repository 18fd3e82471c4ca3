"""Figures of distances: axes with units, a curve or panel per kind, what was put in."""

import numpy as np
import pandas as pd
import pytest

from siderea.figures.distances import against_parallax, pit, ratio_by_colour


@pytest.fixture
def kinds():
    giant = np.arange(600) % 3 == 0
    return {"dwarf": ~giant, "giant": giant}


def test_parallaxes_on_both_axes(kinds):
    rng = np.random.default_rng(0)
    distance = 10 ** rng.uniform(-1, 0.5, 600)
    found = pd.DataFrame({"distance": distance * rng.normal(1, 0.1, 600)})
    figure = against_parallax(found, 1 / distance, np.full(600, 0.01), kinds)
    assert [ax.get_title() for ax in figure.axes[:2]] == ["dwarf, 400", "giant, 200"]
    assert figure.axes[0].get_xlabel() == "parallax measured (mas)"
    assert figure.axes[0].get_ylabel().endswith("(mas)")
    figure.canvas.draw()


def test_even_ranks_are_drawn_at_one(kinds):
    ranks = (np.arange(600) + 0.5) / 600
    ax = pit(ranks, kinds).axes[0]
    heights = ax.patches[0].get_data().values
    assert heights == pytest.approx(np.ones(20), abs=0.16)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["dwarf, 400", "giant, 200"]


def test_the_median_ratio_is_drawn(kinds):
    colour, ratio = np.linspace(0, 1, 600), np.full(600, 1.2)
    ax = ratio_by_colour(colour, ratio, kinds, label="g − i").axes[0]
    assert ax.get_xlabel() == "g − i (mag)"
    assert ax.lines[0].get_ydata() == pytest.approx(np.full(12, 1.2))
