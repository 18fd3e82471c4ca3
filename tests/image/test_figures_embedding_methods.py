import numpy as np
import pytest

from siderea.errors import DataError
from siderea.figures.embedding_methods import embedding_methods


def test_cases_are_rows_and_methods_are_columns():
    rng = np.random.default_rng(0)
    maps = {"PCA": rng.normal(size=(50, 2)), "t-SNE": rng.normal(size=(50, 2))}
    marks = np.arange(50) < 7
    figure = embedding_methods(
        {"easy": (maps, marks), "hard": (maps, marks)}, notes={("easy", "PCA"): "purity .9"}
    )
    assert len(figure.axes) == 4
    assert figure.axes[0].get_title() == "PCA\npurity .9"
    assert figure.axes[2].get_ylabel() == "hard\n7 members of 50"
    drawn = figure.axes[1].collections
    assert [len(points.get_offsets()) for points in drawn] == [43, 7]


def test_what_does_not_fit_is_refused():
    marks = np.zeros(5, bool)
    with pytest.raises(DataError, match="found none"):
        embedding_methods({})
    with pytest.raises(DataError, match=r"expected \(5, 2\)"):
        embedding_methods({"a": ({"PCA": np.zeros((4, 2))}, marks)})
    with pytest.raises(DataError, match="as in the first case"):
        embedding_methods(
            {
                "a": ({"PCA": np.zeros((5, 2))}, marks),
                "b": ({"LLE": np.zeros((5, 2))}, marks),
            }
        )
