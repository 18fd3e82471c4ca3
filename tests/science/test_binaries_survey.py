"""A survey whose lines are not the model's: what its own stars teach holds on others."""

import warnings

import numpy as np
import pandas as pd
import pytest

from siderea.binaries.injection import Injections, InjectionSettings, mistaken
from siderea.binaries.model_selection import ModelDetector
from siderea.binaries.survey_control import calibrate_on_survey
from siderea.models.model_error import LTE, ModelError
from siderea.pipelines.simulate import instrument_of
from siderea.simulate.spectra import SpectralSurvey, SpectraSettings

WRONG = ModelError(depth=0.2, floor=0.01)


def survey_of(n, seed, **settings):
    """Spectra of a survey with wrong lines, and the truth about them."""
    chosen = InjectionSettings(snr=(30.0, 80.0), fast=0.0, **settings)
    stars = Injections(n, seed, chosen)
    made = SpectralSurvey(stars, n, instrument_of("galah"), SpectraSettings(), seed)
    parts = [made.block(k) for k in range(made.n_blocks)]
    truth = pd.concat([p.truth for p in parts], ignore_index=True)
    spectra = [
        mistaken(p.spectra, p.truth["teff"].to_numpy(), WRONG, seed=1, own=0.4) for p in parts
    ]
    return spectra[0] if len(spectra) == 1 else spectra, truth


@pytest.mark.slow
def test_thresholds_learned_from_spectra_alone_hold_on_other_stars():
    spectra, _ = survey_of(96, 5, binary_fraction=0.1)
    learned = calibrate_on_survey(spectra, n_controls=500, rng=1)
    assert 0.03 < learned.correction.depth < 0.2
    fresh, truth = survey_of(96, 6, binary_fraction=0.3, dv=(30.0, 60.0), q=(0.85, 1.0))
    binary = truth["n_stars"].to_numpy() > 1
    own = ModelDetector(
        fresh, model_error=LTE, correction=learned.correction, calibration=learned.calibration
    )
    table = own(fresh)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = ModelDetector(fresh)(fresh)
    assert (table["chi2_single"] < 0.7 * plain["chi2_single"])[~binary].mean() > 0.8
    dwarf = (truth["logg"] > 3.8).to_numpy()
    calls = table["is_binary"].to_numpy()
    assert calls[~binary].mean() < 0.06
    assert calls[~binary].mean() < plain["is_binary"].to_numpy()[~binary].mean()
    assert calls[binary & dwarf].mean() > 0.8
    judged = table["probability"].notna().to_numpy()
    assert np.median(table["probability"][~binary & judged]) < 0.1
