"""What a survey's own stars teach, from start to end: its lines, and what evidence of two stars is.

The spectra are simulated, then the depths of lines are multiplied by a factor exp N(0, .2) that
changes over three pixels and is the same in all stars. Stars that taught nothing are judged.
"""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from siderea.binaries.composite_fit import Observed
from siderea.binaries.model_selection import ModelDetector
from siderea.binaries.survey_control import calibrate_on_survey
from siderea.data import Spectra
from siderea.models.model_error import LTE
from siderea.simulate.spectra import TableOfStars, simulate_spectra


def dwarfs(given, rng, n, *, binary=False):
    rows = []
    for _ in range(n):
        teff = rng.uniform(5000, 6300)
        star = {"teff": teff, "logg": rng.uniform(4.2, 4.6), "fe_h": rng.uniform(-0.6, 0.2)}
        star |= {"vsini": rng.uniform(2, 8), "snr": 80.0, "radius": (teff / 5772) ** 1.5}
        if binary:
            second, dv = teff - rng.uniform(100, 600), rng.uniform(20, 80)
            star |= given.TWIN | {"teff_2": second, "logg_2": star["logg"] + 0.1}
            star |= {"radius_2": (second / 5772) ** 1.5, "dv": dv, "rv_1": -dv / 2, "rv_2": dv / 2}
        rows.append(star)
    return rows


@pytest.fixture(scope="module")
def survey(given):
    rng = np.random.default_rng(5)
    rows = [*dwarfs(given, rng, 44), *dwarfs(given, rng, 30), *dwarfs(given, rng, 10, binary=True)]
    stars = TableOfStars(given.table(*rows))
    whole, _ = simulate_spectra(len(rows), rng=rng, population=stars)
    pixels = slice(0, whole.arms[1].stop)  # two arms: half the time
    wrong = gaussian_filter1d(rng.normal(size=pixels.stop), 3.0)
    right = Spectra(
        whole.wavelength[pixels],
        whole.flux[:, pixels],
        whole.ivar[:, pixels],
        whole.medium,
        arms=whole.arms[:2],
        resolution=whole.resolution[:2],
    )
    depth = (1 - right.flux) * np.exp(0.2 * wrong / wrong.std())
    spectra = right.with_flux((1 - depth).astype(np.float32), right.ivar)
    return spectra[np.arange(44)], spectra[np.arange(44, 84)], right[np.arange(44, 84)]


def test_lines_are_learned_and_thresholds_hold_on_other_stars(survey):
    taught, fresh, right = survey
    learned = calibrate_on_survey(taught, n_controls=272, rng=1)
    assert learned.calibration.metrics["n_groups"] > 35
    detector = ModelDetector(
        fresh, model_error=LTE, correction=learned.correction, calibration=learned.calibration
    )
    found = detector(fresh)
    single = np.arange(40) < 30
    assert found["is_binary"][single].mean() <= 0.07
    assert found["is_binary"][~single].mean() >= 0.8
    bank = detector.search.bank
    change = (Observed.of(fresh, bank).flux - Observed.of(right, bank).flux)[single]
    names = ["single_teff", "single_logg", "single_fe_h", "single_alpha_fe"]
    expected = learned.correction.flux(found[names].to_numpy()[single])
    assert np.corrcoef(change.ravel(), expected.ravel())[0, 1] > 0.7
