"""The orbit of α Dra from amateurs' spectra: the period by which its observers fold them."""

import numpy as np
import pandas as pd
import pytest

from siderea.binaries.orbit_fit import fit_orbit
from siderea.binaries.rv_variability import sb1_significance

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def table(real_data):
    path = real_data / "alpha_dra" / "rv_table.csv"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    return pd.read_csv(path, encoding="latin-1")


def test_the_period_is_that_of_the_observers(table):
    day = table["JD-OBS"].to_numpy() - 2_400_000.5
    phase = table["PHASE"].to_numpy()
    # Their phases are exact functions of the time: the frequency that makes them so is theirs.
    frequency = np.linspace(1 / 60, 1 / 40, 20_001)
    coherent = np.abs(np.exp(2j * np.pi * (day[:, None] * frequency - phase[:, None])).sum(axis=0))
    orbit = fit_orbit(day, table["RV"], table["ERROR"], shortest=5.0)
    assert orbit.unimodal
    assert orbit.period == pytest.approx(1 / frequency[coherent.argmax()], rel=1e-3)
    assert orbit.jitter < 3


def test_it_is_variable(table):
    row = sb1_significance(table["RV"], table["ERROR"], np.full(len(table), "alpha Dra")).iloc[0]
    assert row["sigma"] > 30
    assert row["variable"]
