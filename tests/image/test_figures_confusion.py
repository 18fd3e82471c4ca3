import numpy as np
import pytest

from siderea.errors import DataError
from siderea.figures.confusion import confusion_counts, confusion_matrix


def test_counts_stand_in_the_cells_and_rates_on_the_margins():
    truth = ["BIN"] * 90 + ["NOR"] * 10
    found = ["BIN"] * 80 + ["NOR"] * 20
    counts = confusion_counts(truth, found, ["NOR", "BIN"])
    assert counts.tolist() == [[10, 0], [10, 80]]
    figure = confusion_matrix(counts, ["NOR", "BIN"], title="Toy")
    figure.canvas.draw()
    ax = figure.axes[0]
    words = {text.get_text() for text in ax.texts}
    assert {"10", "80", "1.000", "0.889"} <= words
    assert [one.get_text() for one in ax.get_xticklabels()] == ["NOR\n0.500", "BIN\n1.000"]
    assert "100 spectra, accuracy 0.900" in ax.get_title(loc="left")
    shown = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(shown.sum(axis=1), 1.0)  # rows are shares of the true class


def test_a_class_without_spectra_has_no_rates():
    figure = confusion_matrix([[3, 0], [0, 0]], ["a", "b"])
    assert "–" in {text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize("counts", [[[1, 2]], [[0, 0], [0, 0]], [[1, -1], [0, 1]]])
def test_tables_that_are_none(counts):
    with pytest.raises(DataError, match="counts"):
        confusion_matrix(counts, ["a", "b"])


def test_classes_that_are_not_listed():
    with pytest.raises(DataError, match="not listed"):
        confusion_counts(["a"], ["z"], ["a", "b"])
