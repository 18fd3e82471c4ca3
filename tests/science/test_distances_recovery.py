"""Distances of simulated stars: unbiased, calibrated by class, better than the formulae."""

import numpy as np
import pandas as pd
import pytest

from siderea.data import Photometry
from siderea.isochrones import load_default
from siderea.photometry.extinction import deredden
from siderea.simulate.photometry import simulate_photometry
from siderea.stellar.distances import DistanceModel, distances, sample_distances
from siderea.stellar.photometric_parallax import distance_of, ivezic2008_absolute_magnitude
from siderea.stellar.scores import mad_sigma

SIGMA = {"teff": 80.0, "fe_h": 0.15, "logg": 0.25}
MODEL = DistanceModel.of_isochrones(logg_inflation=1.0)


@pytest.fixture(scope="module")
def survey():
    """Stars free of extinction, labels with Gaussian errors, the truth."""
    rng = np.random.default_rng(41)
    stars, truth = simulate_photometry(5000, rng=rng, missing=0.0)
    stars = deredden(stars, stars.table["ebv"].to_numpy())
    stars = Photometry(stars.bands, stars.mag, stars.mag_err, stars.table.assign(ebv=0.0))
    labels = pd.DataFrame(
        {name: truth[name] + s * rng.standard_normal(len(truth)) for name, s in SIGMA.items()}
    ).assign(**{f"{name}_err": s for name, s in SIGMA.items()})
    return stars, labels, truth


def test_simulated_dwarfs_within_a_tenth_and_better_than_the_formula(survey):
    stars, labels, truth = survey
    good = (truth["logg"] > 4.1) & (np.hypot(stars.mag_err[:, 1], stars.mag_err[:, 3]) < 0.025)
    found = distances(stars, labels, model=MODEL)["distance"]
    ratio = (found / truth["distance"])[good]
    absolute, _ = ivezic2008_absolute_magnitude(stars.mag[:, 1] - stars.mag[:, 3], labels["fe_h"])
    formula = (distance_of(stars.mag[:, 2], absolute) / truth["distance"])[good]
    assert abs(ratio.median() - 1) < 0.03
    assert mad_sigma(ratio) < 0.12
    assert mad_sigma(ratio) < 0.9 * mad_sigma(formula)


def test_ranks_of_the_truth_are_even(survey):
    stars, labels, truth = survey
    drawn = sample_distances(stars, labels, 99, rng=np.random.default_rng(5), model=MODEL)
    pit = (drawn < truth["distance"].to_numpy()[:, None]).mean(axis=1)
    inside = np.abs(pit - 0.5)
    assert np.mean(inside < 0.6827 / 2) == pytest.approx(0.683, abs=0.06)
    assert np.mean(inside < 0.9545 / 2) == pytest.approx(0.954, abs=0.025)
    assert pit.mean() == pytest.approx(0.5, abs=0.03)


def test_a_parallax_helps_and_never_hurts_the_coverage(survey):
    stars, labels, truth = survey
    true = truth["distance"].to_numpy()
    rng = np.random.default_rng(6)
    sigma = np.full(true.size, 0.1)
    parallax = 1 / true + sigma * rng.standard_normal(true.size)
    blind = distances(stars, labels, model=MODEL)
    seen = distances(stars, labels, parallax=parallax, parallax_err=sigma, model=MODEL)
    near = true < 2
    error = [mad_sigma((found["distance"] / true)[near]) for found in (blind, seen)]
    with np.errstate(divide="ignore"):
        inverse = mad_sigma((1 / parallax / true)[near])
    assert error[1] < 0.85 * min(error[0], inverse)
    inside = (true > seen["distance_lo"]) & (true < seen["distance_hi"])
    assert inside.mean() == pytest.approx(0.683, abs=0.06)


@pytest.mark.parametrize("fe_h", [-2.3, -1.5, -0.7])
def test_a_simulated_cluster_is_where_it_was_put(fe_h):
    rng = np.random.default_rng(8)
    model, age, true = load_default(), 12.0, 8.0
    top = float(model.heaviest(age, fe_h))
    mass = top * (1 - 0.25 * rng.random(1500))
    bands = ("sdss_g", "sdss_r", "sdss_i")
    mag = model.magnitudes(mass, age, fe_h, bands) + 5 * np.log10(true) + 10
    err = np.full(mag.shape, 0.015)
    stars = Photometry(bands, mag + err * rng.standard_normal(mag.shape), err)
    atmosphere = model.stars(mass, age, fe_h)
    labels = {
        "fe_h": fe_h + 0.1 * rng.standard_normal(mass.size), "fe_h_err": np.full(mass.size, 0.1),
        "logg": atmosphere.logg + 0.2 * rng.standard_normal(mass.size),
        "logg_err": np.full(mass.size, 0.2),
    }  # fmt: skip
    found = distances(stars, labels, ebv=0.0, lon=60.0, lat=45.0, model=MODEL)["distance"]
    assert found.median() / true == pytest.approx(1, abs=0.12)
