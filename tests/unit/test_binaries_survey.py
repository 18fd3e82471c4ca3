"""What a survey's own stars say: the correction of the model, and thresholds from residuals."""

import numpy as np
import pandas as pd
import pytest

from siderea.binaries import survey_correction
from siderea.binaries.composite_fit import Observed
from siderea.binaries.evenness import evenness
from siderea.binaries.model_calibration import calibrate, recalibrate
from siderea.binaries.model_evidence import robust_gain
from siderea.binaries.model_selection import ModelFlag
from siderea.binaries.star_bank import StarBank
from siderea.binaries.survey_control import calibrate_on_survey
from siderea.binaries.survey_correction import SurveyCorrection, design, learn_correction
from siderea.errors import DataError
from siderea.io.store import SurveyStore
from siderea.models.emulator import load_default
from siderea.pipelines.calibrate import calibrate_model, own_calibration
from siderea.pipelines.detect import model_recipe
from siderea.spectra.instruments import GALAH_GRID

Q = 160


def planted(rng, n=120, noise=0.01):
    """Stars of all kinds whose spectra are the model's, wrong by known terms and scatter."""
    labels = np.column_stack(
        [rng.uniform(4500, 6800, n), rng.uniform(1.5, 4.8, n), rng.uniform(-1.2, 0.3, n)]
    )
    terms = 0.02 * rng.normal(size=(5, 1, Q)) * np.array([1, 0.7, 0.4, 0.5, 0.3])[:, None, None]
    model = 1 - 0.5 * rng.random((1, Q)) * np.ones((n, 1, 1))
    scatter = np.sqrt(0.003**2 + (0.08 * (1 - model)) ** 2)
    flux = model + np.einsum("nk,kaq->naq", design(labels), terms)
    flux = flux + scatter * rng.normal(size=flux.shape) + noise * rng.normal(size=flux.shape)
    root = np.full(flux.shape, 1 / noise, dtype=np.float32)
    return labels, terms, model, flux, root


def test_a_planted_correction_and_its_scatter_are_found():
    rng = np.random.default_rng(1)
    labels, terms, model, flux, root = planted(rng)
    learned = learn_correction(flux, root, model, labels, np.zeros(len(flux)), 5.7)
    mean = np.array([[5600.0, 3.5, -0.3]])
    expected = np.einsum("nk,kaq->naq", design(mean), terms)
    off = learned.flux(mean) - expected
    assert np.sqrt((off**2).mean()) < 0.4 * np.sqrt((expected**2).mean())
    assert learned.depth == pytest.approx(0.08, rel=0.15)
    total = np.sqrt(learned.variance(model[:1])).mean()
    assert total == pytest.approx(np.sqrt(0.003**2 + (0.08 * (1 - model[0])) ** 2).mean(), rel=0.15)
    without = learn_correction(flux, 1e-3 * root, model, labels, np.zeros(len(flux)), 5.7)
    assert np.abs(without.terms).max() < 0.2 * np.abs(learned.terms).max()  # the prior holds them


def test_binaries_among_the_stars_do_not_decide(monkeypatch):
    rng = np.random.default_rng(2)
    labels, _, model, flux, root = planted(rng)
    spoiled = flux.copy()
    spoiled[::15, :, 40:60] -= 0.25
    mean = np.array([[5600.0, 3.5, -0.3]])

    def moved():
        learned = [
            learn_correction(spectra, root, model, labels, np.zeros(len(flux)), 5.7).flux(mean)
            for spectra in (flux, spoiled)
        ]
        return np.abs(learned[1] - learned[0])[0, 0, 40:60].mean()

    robust = moved()
    monkeypatch.setattr(survey_correction, "SOFT", 1e9)  # all stars count alike
    assert robust < 0.7 * moved()


def test_velocities_are_taken_out_by_whole_pixels():
    rng = np.random.default_rng(3)
    labels, _, model, flux, root = planted(rng, noise=0.002)
    still = learn_correction(flux, root, model, labels, np.zeros(len(flux)), 5.7)
    moved = [np.roll(x, 3, axis=2) for x in (flux, root, model)]
    again = learn_correction(*moved, labels, np.full(len(flux), 17.1), 5.7)
    assert again.terms[:, :, : Q - 3] == pytest.approx(still.terms[:, :, : Q - 3], abs=1e-3)


def test_pairs_of_fine_pixels_have_the_terms_for_means():
    rng = np.random.default_rng(4)
    terms = rng.normal(size=(5, 2, 30)).astype(np.float32)
    correction = SurveyCorrection(terms, np.ones((2, 30), np.float32), 0.005, 0.1, 9)
    fine = correction.fine()
    assert fine.reshape(5, 2, 30, 2).mean(axis=3) == pytest.approx(terms, abs=1e-6)


def test_a_correction_is_read_as_it_was_learned(tmp_path):
    rng = np.random.default_rng(5)
    labels, _, model, flux, root = planted(rng, n=40)
    learned = learn_correction(flux, root, model, labels, np.zeros(40), 5.7)
    learned.save(tmp_path / "c.npz")
    again = SurveyCorrection.load(tmp_path / "c.npz")
    assert again.digest == learned.digest
    assert again.n_stars == 40
    (tmp_path / "x.npz").write_text("no")
    with pytest.raises(DataError, match="not a correction"):
        SurveyCorrection.load(tmp_path / "x.npz")
    with pytest.raises(DataError, match="expected 20 or more"):
        learn_correction(flux[:9], root[:9], model[:9], labels[:9], np.zeros(9), 5.7)
    with pytest.raises(DataError, match="terms of shape"):
        SurveyCorrection(learned.terms[:2], learned.factor, 0.1, 0.1, 3)


def test_the_bank_adds_the_correction_and_another_grid_is_refused():
    spectra = GALAH_GRID.empty()
    bank = StarBank(load_default(), spectra)
    shape = (bank.n_arms, bank.n_pixels)
    rng = np.random.default_rng(6)
    smooth = np.array([np.convolve(x, np.ones(9) / 9, "same") for x in rng.normal(size=(20, 2048))])
    terms = (0.02 * smooth.reshape(5, *shape)).astype(np.float32)
    correction = SurveyCorrection(terms, np.ones(shape, np.float32), 0.005, 0.1, 9)
    both = bank.corrected(correction)
    labels, vsini, still = np.array([[5700.0, 4.4, -0.1, 0.05]]), np.array([4.0]), np.zeros(1)
    change = both(labels, vsini, still).flux - bank(labels, vsini, still).flux
    expected = correction.flux(labels)
    inner = slice(30, -30)
    assert change[..., inner] == pytest.approx(expected[..., inner], abs=2e-4)
    fast = both(labels, np.array([60.0]), still).flux - bank(labels, np.array([60.0]), still).flux
    assert fast[..., inner].std() < 0.7 * expected[..., inner].std()  # it turns with the star
    assert len(both.corrected(correction)._bases[0]) == len(both._bases[0])  # not added twice
    other = SurveyCorrection(terms[:, :2], np.ones(shape, np.float32)[:2], 0.005, 0.1, 9)
    with pytest.raises(DataError, match="another grid"):
        bank.corrected(other)


def test_a_gain_from_all_lines_counts_and_one_from_a_few_does_not():
    rng = np.random.default_rng(7)
    shape = (2, 4, 640)
    flux = rng.normal(1.0, 0.01, shape).astype(np.float32)
    data = Observed(flux, np.full(shape, 100.0, np.float32))
    single, pair = np.ones(shape, np.float32), np.ones(shape, np.float32)
    single[0] += np.float32(0.005) * np.sign(rng.normal(size=shape[1:])).astype(np.float32)
    single[1, 0, 100:110] += 0.08
    gain = (data.root**2 * ((single - flux) ** 2 - (pair - flux) ** 2)).sum(axis=(1, 2))
    t = evenness(data.root**2 * ((single - flux) ** 2 - (pair - flux) ** 2), data.root > 0, 64)
    assert gain.min() > 500
    assert 4 * t[0] ** 2 == pytest.approx(gain[0], rel=0.4)  # noise alone
    assert 4 * t[1] ** 2 < 10  # one line
    table = pd.DataFrame(
        {"delta_chi2": gain, "gain_significance": t, "chi2_binary": 2560.0, "n_pixels": 2560}
    )
    assert robust_gain(table)[1] < 10 < 400 < robust_gain(table)[0]


def model_table(rng, n=3000, scale=1.0):
    binary = rng.random(n) < 0.3
    gain = scale * (rng.exponential(8.0, n) + binary * rng.lognormal(5.0, 1.5, n))
    table = pd.DataFrame(
        {
            "delta_chi2": gain,
            "gain_significance": np.sqrt(gain / 4),
            "chi2_binary": 8000.0,
            "n_pixels": 8000,
            "f_imp": 0.1,
            "snr": 80.0,
            "single_vsini": 6.0,
            "single_teff": 5700.0,
            "flags": 0,
        }
    )
    return table, binary


def test_log_odds_are_scaled_to_another_control_set():
    rng = np.random.default_rng(8)
    base = calibrate(*model_table(rng), holds_for={}, rng=1)
    table, binary = model_table(
        rng, scale=6.0
    )  # a survey whose single stars show six times as much
    stars = rng.integers(0, 60, len(table))
    assert base.decide(table)[~binary].mean() > 0.1
    new = recalibrate(base, table, binary, stars, holds_for={"a": 1}, rng=2)
    assert new.metrics["held_out_false_positives"] == pytest.approx(0.01, abs=0.01)
    fresh, truth = model_table(rng, scale=6.0)
    assert new.decide(fresh)[~truth].mean() == pytest.approx(0.01, abs=0.01)
    assert new.decide(fresh)[truth].mean() > 0.3
    order = np.argsort(base.log_odds(fresh), kind="stable")
    assert (np.diff(new.log_odds(fresh)[order]) >= -1e-9).all()
    with pytest.raises(DataError, match="ten groups"):
        recalibrate(base, table, binary, stars % 5, holds_for={})


def test_a_star_beyond_the_model_has_no_probability():
    table, binary = model_table(np.random.default_rng(9))
    table.loc[::2, "flags"] = int(ModelFlag.BEYOND | ModelFlag.AT_BOUND)
    learned = calibrate(table, binary, holds_for={}, rng=1)
    assert np.isnan(learned.probability(table)[::2]).all()
    assert np.isfinite(learned.probability(table)[1::2]).all()
    assert not learned.decide(table)[::2].any()


def test_few_stars_teach_nothing():
    spectra = GALAH_GRID.empty()
    with pytest.raises(DataError, match="40 or more"):
        calibrate_on_survey(spectra)


def test_a_store_keeps_what_it_taught_and_both_files_are_needed(tmp_path, monkeypatch):
    from siderea.binaries.survey_control import SurveyCalibration
    from siderea.pipelines import calibrate as module
    from siderea.pipelines.simulate import Recipe, simulate_spectra

    path = tmp_path / "s.siderea"
    simulate_spectra(Recipe(24, seed=3), path, jobs=1)
    assert model_recipe(path).correction is None  # simulated spectra are right
    assert own_calibration(path) is None
    shipped = model_recipe(path, errors="survey")
    assert shipped.correction is not None
    rng = np.random.default_rng(8)
    calibration = calibrate(*model_table(rng), holds_for={}, rng=1)
    shape = shipped.correction.terms.shape
    made = SurveyCorrection(np.zeros(shape, np.float32), shipped.correction.factor, 0.01, 0.1, 24)
    told = SurveyCalibration(made, calibration, pd.DataFrame())
    monkeypatch.setattr(module, "calibrate_on_survey", lambda *_, **__: told)
    result = calibrate_model(path)
    assert result.n_stars == 24
    own = model_recipe(path, errors="survey")
    assert own.correction is not None
    assert own.correction.floor == 0.01
    assert own.parameters() != shipped.parameters()
    assert SurveyStore.open(path).complete
    result.calibration.unlink()
    with pytest.raises(DataError, match="expected both"):
        own_calibration(path)
