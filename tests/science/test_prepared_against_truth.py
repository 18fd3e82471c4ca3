"""Files in, prepared spectra out, set against the noise-free spectra that went into the files."""

import numpy as np
import pytest

from siderea.io import galah
from siderea.pipelines.demo import write_mock_galah
from siderea.pipelines.prepare import Preparation, prepare
from siderea.simulate.emulated import EmulatedSurvey

N = 24


@pytest.fixture(scope="module")
def ours_and_truth(tmp_path_factory):
    folder = write_mock_galah(tmp_path_factory.mktemp("mock"), n_stars=N, seed=5)
    stars = galah.group((folder / "spectra").glob("*.fits")).values()
    natives = [galah.read_native(files) for files in stars]
    ours = prepare(natives, galah.GRID, Preparation.of("galah"))
    survey = EmulatedSurvey.draw(N, 5)
    at_rest = EmulatedSurvey(survey.stars.assign(rv=0.0), 5)
    truth = [at_rest.spectra(range(N), galah.GRID.wavelength[arm]) for arm in galah.GRID.arms]
    return ours, np.concatenate(truth, axis=1)


def test_errors_are_those_of_the_spectra(ours_and_truth):
    """Interpolation smooths the noise a little, and ivar never grows by it: pulls near 0.9."""
    ours, truth = ours_and_truth
    for _, arm, _ in ours.iter_arms():
        good = ours.ivar[:, arm] > 0
        pull = ((ours.flux[:, arm] - truth[:, arm]) * np.sqrt(ours.ivar[:, arm]))[good]
        scatter = 1.4826 * np.median(np.abs(pull - np.median(pull)))
        assert 0.8 < scatter < 1.02


def test_the_continuum_is_where_it_was(ours_and_truth):
    ours, truth = ours_and_truth
    for _, arm, _ in ours.iter_arms():
        ratio = np.where(ours.ivar[:, arm] > 0, ours.flux[:, arm] / truth[:, arm], np.nan)
        offset = np.nanmedian(ratio, axis=1) - 1.0
        assert abs(np.median(offset)) < 0.01
        assert np.abs(offset).max() < 0.05
