"""Figures of cross-correlations: units on the axes, every star drawn, shares that were put in."""

import numpy as np
import pytest

from siderea.errors import DataError
from siderea.figures.cross_correlation import ccf_with_stars, completeness_map

V = np.linspace(-100, 100, 201)


def profile(place, height):
    return height * np.exp(-0.5 * ((V - place) / 8) ** 2)


def test_a_panel_per_ccf_with_its_stars():
    stars = [[profile(-20, 0.6), profile(30, 0.4)], [profile(0, 1.0)]]
    ccf = [np.sum(one, axis=0) for one in stars]
    places = [[(-20, 0.1), (30, 0.2)], [(0, 0.1)]]
    figure = ccf_with_stars(V, ccf, stars, places, titles=["two", "one"], error=[0.01, 0.01])
    assert [ax.get_title() for ax in figure.axes] == ["two", "one"]
    assert figure.axes[0].get_xlabel() == "radial velocity (km/s)"
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert "-20.00 ± 0.10 km/s" in labels
    assert len(labels) == 4
    with pytest.raises(DataError, match="titles"):
        ccf_with_stars(V, ccf, stars, places, titles=["two"])


def test_shares_stand_in_their_cells():
    figure = completeness_map(
        [5, 15, 25], [0.1, 0.3, 1.0], [[[1, 2], [3, 4]]], [[[4, 4], [0, 4]]], titles=["CCF"]
    )
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["25", "50", "100"]  # no binary, no share
    assert figure.axes[-1].get_ylabel() == "share found"
    with pytest.raises(DataError, match="maps"):
        completeness_map([1, 2], [0, 1], [[[1]]], [], titles=["CCF"])
