"""Files in, prepared spectra out, set against the noise-free spectra that went into the files."""

import numpy as np
import pytest

from siderea.io import galah
from siderea.pipelines.demo import mock_survey, write_mock_galah
from siderea.pipelines.prepare import Preparation, prepare
from siderea.pipelines.simulate import instrument_of
from siderea.simulate.spectra import SpectraSettings

N = 40
AT_REST = SpectraSettings(noise=False, continuum_error=0.0, cosmic_rays=0.0, telluric=False)


@pytest.fixture(scope="module")
def ours_and_truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mock")
    told = write_mock_galah(folder, n_stars=N, seed=5)
    stars = galah.group((folder / "spectra").glob("*.fits")).values()
    natives = [galah.read_native(files) for files in stars]
    ours = prepare(natives, galah.GRID, Preparation.of("galah"))
    truth = mock_survey(N, 5, instrument=instrument_of("galah"), settings=AT_REST).block(0)
    np.testing.assert_allclose(truth.truth["rv_measured"], told["rv_measured"], atol=1e-3)
    plain = (told["class"] == "NOR").to_numpy()
    return ours[plain], truth.spectra.flux[plain]


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
