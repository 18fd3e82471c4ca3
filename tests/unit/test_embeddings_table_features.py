import numpy as np
import pandas as pd
import pytest

from siderea.embeddings.table_features import standardised
from siderea.errors import DataError


def test_columns_come_by_their_own_spread_whatever_their_unit():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"teff": rng.normal(5000, 300, 2000), "logg": rng.normal(4, 0.2, 2000)})
    points = standardised(table, ["teff", "logg"])
    np.testing.assert_allclose(points.std(axis=0), 1.0, atol=0.06)
    np.testing.assert_allclose(np.median(points, axis=0), 0.0, atol=1e-12)
    in_other_units = standardised(table * [1e3, 1e-3], ["teff", "logg"])
    np.testing.assert_allclose(in_other_units, points)


def test_what_is_missing_is_said_and_what_is_wild_is_held():
    table = pd.DataFrame({"a": [1.0, 2.0, 3.0, np.nan, np.inf, 1e9], "b": np.ones(6)})
    points = standardised(table, ["a", "b"])
    assert points.shape == (6, 3)  # b misses nothing
    assert points[:, 2].tolist() == [0, 0, 0, 1, 1, 0]
    assert (points[3:5, 0] == 0).all()
    assert np.abs(points).max() <= 10
    assert (points[:, 1] == 0).all()  # a constant


def test_logarithms_and_errors():
    table = pd.DataFrame({"vbroad": [1.0, 10.0, 100.0, 0.0], "none": np.nan})
    points = standardised(table, ["vbroad"], logarithms=["vbroad"])
    assert points[1, 0] - points[0, 0] == pytest.approx(points[2, 0] - points[1, 0])
    assert points[3, 1] == 1
    with pytest.raises(DataError, match="no column mass"):
        standardised(table, ["mass"])
    with pytest.raises(DataError, match="column none holds no value"):
        standardised(table, ["vbroad", "none"])
