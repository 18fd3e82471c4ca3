"""What a survey's own stars teach: lines that the model has wrong are no companions.

The spectra are simulated, then the depths of lines are multiplied by a factor exp N(0, .2) that
changes over three pixels and is the same in all stars. New stars are judged twice: as shipped, and
by what 64 stars have taught.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from siderea.binaries.model_selection import ModelDetector
from siderea.binaries.survey_control import calibrate_on_survey
from siderea.models.model_error import LTE
from siderea.simulate.spectra import TableOfStars, simulate_spectra


def given_stars():
    path = Path(__file__).resolve().parents[1] / "given_stars.py"
    specification = importlib.util.spec_from_file_location("given_stars", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def dwarfs(rng, n, *, binary=False):
    rows = []
    for _ in range(n):
        teff = rng.uniform(5000, 6300)
        star = {"teff": teff, "logg": rng.uniform(4.2, 4.6), "fe_h": rng.uniform(-0.6, 0.2)}
        star |= {"vsini": rng.uniform(2, 8), "snr": 80.0, "radius": (teff / 5772) ** 1.5}
        if binary:
            second, dv = teff - rng.uniform(100, 600), rng.uniform(20, 80)
            star |= given_stars().TWIN | {"teff_2": second, "logg_2": star["logg"] + 0.1}
            star |= {"radius_2": (second / 5772) ** 1.5, "dv": dv, "rv_1": -dv / 2, "rv_2": dv / 2}
        rows.append(star)
    return rows


@pytest.fixture(scope="module")
def survey():
    rng = np.random.default_rng(5)
    rows = [*dwarfs(rng, 64), *dwarfs(rng, 48), *dwarfs(rng, 16, binary=True)]
    spectra, _ = simulate_spectra(
        len(rows), rng=rng, population=TableOfStars(given_stars().table(*rows))
    )
    wrong = gaussian_filter1d(rng.normal(size=spectra.flux.shape[1]), 3.0)
    factor = np.exp(0.2 * wrong / wrong.std())
    depth = 1 - spectra.flux
    spectra = spectra.with_flux((1 - depth * factor).astype(np.float32), spectra.ivar)
    return spectra[np.arange(64)], spectra[np.arange(64, 128)]


def test_wrong_lines_that_were_learned_are_no_companions(survey):
    taught, fresh = survey
    learned = calibrate_on_survey(taught, n_controls=288, rng=1)
    assert learned.calibration.metrics["n_groups"] > 40
    shipped = ModelDetector(fresh, model_error=LTE)(fresh)["is_binary"].to_numpy()
    detector = ModelDetector(
        fresh, model_error=LTE, correction=learned.correction, calibration=learned.calibration
    )
    found = detector(fresh)["is_binary"].to_numpy()
    single = np.arange(64) < 48
    assert shipped[single].mean() > 0.2
    assert found[single].mean() <= 0.07
    assert found[~single].mean() >= 0.8
