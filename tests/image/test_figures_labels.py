"""Figures of labels: axes with units, the numbers that were put in, every panel drawn."""

import numpy as np
import pandas as pd
import pytest

from siderea.errors import DataError
from siderea.figures.labels import (
    confusion_matrix,
    loss_history,
    metallicity_over_colour_and_gravity,
    predicted_against_true,
    rate_finder,
    residual_histograms,
)


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    truth = pd.DataFrame(
        {
            "teff": rng.uniform(4500, 6500, 800),
            "fe_h": rng.uniform(-2, 0, 800),
            "logg": rng.uniform(1, 5, 800),
        }
    )
    return truth, truth + rng.normal(size=truth.shape) * [100, 0.2, 0.3]


def test_a_panel_per_label_with_units(labels):
    figure = predicted_against_true(*labels)
    names = [ax.get_xlabel() for ax in figure.axes[:3]]
    assert names == ["true Teff (K)", "true [Fe/H] (dex)", "true log g (dex)"]
    assert figure.axes[3].get_ylabel() == "stars per cell"


def test_the_gaussian_finds_the_scatter(labels):
    figure = residual_histograms(*labels)
    for ax, sigma in zip(figure.axes, (100, 0.2, 0.3), strict=True):
        found = float(ax.get_title().split("σ ")[1].split()[0])
        assert found == pytest.approx(sigma, rel=0.15)


def test_the_matrix_counts():
    figure = confusion_matrix([0, 0, 0, 1], [0, 0, 1, 1])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["2\n66.7 %", "1\n33.3 %", "0\n0.0 %", "1\n100.0 %"]


def test_history_and_finder():
    epochs = pd.DataFrame(
        {"epoch": [0, 1, 2], "train_loss": [3.0, 2, 1], "val_loss": [3.0, 1.5, 2],
         "learning_rate": [1e-3, 4e-3, 1e-4]}
    )  # fmt: skip
    figure = loss_history(epochs)
    assert figure.axes[0].lines[2].get_xdata()[0] == 1  # the best epoch
    finder = pd.DataFrame({"learning_rate": [1e-4, 1e-3], "loss": [2.0, 1.0]})
    assert rate_finder(finder, 5e-4).axes[0].get_xscale() == "log"


def test_metallicity_map_has_gravity_downwards(labels):
    truth, found = labels
    gr = np.linspace(0.1, 0.9, len(truth))
    panels = {"a": (truth["logg"], truth["fe_h"]), "b": (found["logg"], found["fe_h"])}
    figure = metallicity_over_colour_and_gravity(gr, panels)
    assert figure.axes[0].get_ylim()[0] > figure.axes[0].get_ylim()[1]
    assert figure.axes[-1].get_ylabel() == "median [Fe/H] (dex)"


def test_no_label_is_an_error():
    with pytest.raises(DataError, match="found none"):
        residual_histograms({}, {})
