"""Systems like those of the Kepler Eclipsing Binary Catalog, through simulation and fit."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from siderea.lightcurves import polyfit, two_gaussian
from siderea.lightcurves.classes import morphology
from siderea.simulate.binaries import from_catalogue
from siderea.simulate.lightcurves import simulate_lightcurves

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def catalogue(real_data):
    return pd.read_csv(real_data / "kepler_eb" / "kebc.csv", comment="#")


@pytest.fixture(scope="module")
def observed(catalogue):
    rng = np.random.default_rng(42)
    population = from_catalogue(catalogue, 250, rng=rng)
    curves, truth = simulate_lightcurves(250, rng=rng, population=population)
    source = catalogue.iloc[population["source"]].reset_index(drop=True)
    columns = [[getattr(curve, name) for curve in curves] for name in ("time", "flux", "flux_err")]
    return columns, truth, source


def test_the_parameters_of_the_catalogue_come_back(observed):
    _, truth, source = observed
    free = (truth["kind"] == "detached").to_numpy()
    np.testing.assert_array_equal(truth["period"], source["period"])
    ratio = (truth["depth_1"] / source["pdepth"])[free]
    assert 0.8 < np.median(ratio) < 1.4
    two = free & (source["sdepth"] > 0).to_numpy() & (source["swidth"] > 0).to_numpy()
    # Widths, too, say something about e: the separation follows to its own accuracy.
    off = np.abs(truth["separation"] - source["sep"])[two]
    assert np.median(off) < 2e-3


def test_eclipses_of_kepler_curves_are_where_the_orbits_put_them(observed):
    columns, truth, _ = observed
    found = two_gaussian.fit(*columns)
    both = found.n_eclipses == 2
    off = np.abs(found.separation - truth["separation"])
    off = np.minimum(off, np.abs(1 - found.separation - truth["separation"]))[both]
    assert both.mean() > 0.7
    assert np.median(off) < 2e-4


def test_morphology_goes_with_the_catalogues(observed):
    columns, _, source = observed
    ours = morphology(polyfit.fit(*columns).minima()[2])
    assert spearmanr(ours, source["morph"])[0] > 0.6
