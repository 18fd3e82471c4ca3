"""Thresholds of the model channel, injections, map candidates, combination, comparison."""

import json
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from siderea.binaries.combination import (
    Combination,
    combine,
    default_combination,
    evidence,
    found,
    score,
)
from siderea.binaries.compare import (
    at_false_positives,
    completeness_grid,
    overlap_table,
    share_in_bins,
    summary,
)
from siderea.binaries.injection import Injections, InjectionSettings, light_ratio, mistaken
from siderea.binaries.map_candidates import map_candidates
from siderea.binaries.model_calibration import (
    OTHER_MODELS,
    ModelCalibration,
    calibrate,
    default_calibration,
)
from siderea.binaries.model_evidence import el_badry_accepts
from siderea.errors import DataError
from siderea.models.model_error import ModelError


def model_table(rng, n=6000, share=0.3):
    """A table of the model channel: Δχ² of single stars grows with S/N, that of pairs more."""
    binary = rng.random(n) < share
    snr = np.exp(rng.uniform(3, 5.3, n))
    gain = rng.exponential(3 + 20 * (snr / 100) ** 2, n)
    gain += binary * rng.lognormal(5.0, 2.0, n) * (snr / 100) ** 2
    table = pd.DataFrame(
        {
            "delta_chi2": gain,
            "chi2_binary": 8000.0,
            "n_pixels": 8000,
            "f_imp": np.clip(0.03 * np.log1p(gain) + rng.normal(0, 0.02, n), 0, 1),
            "snr": snr,
            "single_vsini": rng.uniform(0, 50, n),
            "single_teff": rng.uniform(4500, 6900, n),
            "gain_significance": np.sqrt(gain) / 2,
            "flags": 0,
        }
    )
    return table, binary


@pytest.fixture(scope="module")
def learned():
    table, binary = model_table(np.random.default_rng(5))
    return calibrate(table, binary, holds_for={"model": "a"}, rng=1)


def test_the_threshold_holds_on_the_half_that_did_not_set_it(learned):
    assert learned.metrics["held_out_false_positives"] == pytest.approx(0.01, abs=0.006)
    assert learned.metrics["held_out_probability_error"] < 0.03
    fresh, binary = model_table(np.random.default_rng(77))
    called = learned.decide(fresh)
    assert called[~binary].mean() == pytest.approx(0.01, abs=0.006)
    assert called[binary].mean() > 0.5


def test_more_evidence_never_lowers_the_probability(learned):
    table, _ = model_table(np.random.default_rng(6), n=400)
    t = table["gain_significance"]
    more = table.assign(delta_chi2=table["delta_chi2"] * 2, gain_significance=t * 2**0.5)
    clearer = table.assign(f_imp=table["f_imp"] + 0.1)
    assert (learned.probability(more) >= learned.probability(table)).all()
    assert (learned.probability(clearer) >= learned.probability(table)).all()


def test_what_two_stars_do_not_explain_does_not_count_for_a_second():
    rng = np.random.default_rng(9)
    table, binary = model_table(rng)
    table["chi2_binary"] *= np.where(binary, rng.lognormal(0.5, 0.3, len(table)), 1.0)
    learned = calibrate(table, binary, holds_for={}, rng=1)  # bad fits are binaries in this one
    assert learned.weights["log_chi2"] <= 0
    good = table.assign(delta_chi2=150.0, gain_significance=7.0, f_imp=0.2, chi2_binary=8000.0)
    poor = good.assign(chi2_binary=13 * 8000.0)
    assert (learned.probability(poor) < learned.probability(good)).all()
    assert learned.decide(good).mean() > learned.decide(poor).mean()


def test_a_prior_moves_probabilities_not_the_order():
    table, binary = model_table(np.random.default_rng(5))
    rare = calibrate(table, binary, holds_for={}, prior=0.05, rng=1)
    usual = calibrate(table, binary, holds_for={}, rng=1)
    doubtful = np.abs(usual.probability(table) - 0.5) < 0.3
    assert (rare.probability(table) < 0.7 * usual.probability(table))[doubtful].all()
    assert (rare.decide(table) == usual.decide(table)).all()


def test_a_calibration_survives_json(learned):
    again = ModelCalibration.from_json(learned.to_json())
    table, _ = model_table(np.random.default_rng(8), n=50)
    assert (again.probability(table) == learned.probability(table)).all()
    with pytest.raises(DataError, match="not one of this package"):
        ModelCalibration.from_json("{}")
    other = json.loads(learned.to_json()) | {"format": 99}
    with pytest.raises(DataError, match="format 99"):
        ModelCalibration.from_json(json.dumps(other))


def test_what_was_not_fitted_has_no_probability(learned):
    table, _ = model_table(np.random.default_rng(8), n=3)
    table.loc[1, ["delta_chi2", "f_imp", "single_teff"]] = np.nan
    p = learned.probability(table)
    assert np.isnan(p[1])
    assert np.isfinite(p[[0, 2]]).all()
    assert not learned.decide(table)[1]


def test_few_stars_calibrate_nothing():
    table, binary = model_table(np.random.default_rng(1), n=100)
    with pytest.raises(DataError, match="expected 100 or more"):
        calibrate(table, binary, holds_for={})


@pytest.mark.parametrize("survey", [False, True])
def test_the_shipped_calibration_says_how_it_did(survey):
    shipped = default_calibration(survey)
    # the survey's set is made from 47 real stars, and has companions of giants and of q = .2
    worst, least = (0.04, 0.2) if survey else (0.02, 0.3)
    assert shipped.metrics["held_out_false_positives"] < worst
    assert shipped.metrics["held_out_completeness"] > least
    assert shipped.metrics["n_binary"] > 100


@pytest.mark.parametrize("name", OTHER_MODELS)
def test_shipped_calibrations_of_other_models_are_their_own(name):
    text = files("siderea.binaries").joinpath(f"data/model_{name}.json").read_text("utf-8")
    shipped, emulator = ModelCalibration.from_json(text), default_calibration()
    assert shipped.metrics["held_out_false_positives"] < 0.02
    assert shipped.metrics["held_out_completeness"] > 0.9
    assert shipped.holds_for["model"] != emulator.holds_for["model"]
    assert shipped.weights != emulator.weights


def test_the_fixed_table_is_the_published_one():
    assert el_badry_accepts([299, 300, 300, 3000, 2999], [0.9, 0.225, 0.2, 0.0, 0.01]).tolist() == [
        False,
        True,
        False,
        True,
        False,
    ]


def test_injections_are_the_same_whatever_rows_are_asked_for():
    injected = Injections(1500, seed=4)
    part = injected.stars(1000, 1040)
    pd.testing.assert_frame_equal(
        part, injected.stars().iloc[1000:1040].reset_index(drop=True), check_exact=True
    )


def test_injections_fill_the_ranges_they_were_asked_for():
    settings = InjectionSettings(binary_fraction=0.4, q=(0.5, 0.9), dv=(5.0, 50.0))
    table = Injections(2048, seed=2, settings=settings).stars()
    two = table[table["n_stars"] == 2]
    assert len(two) / 2048 == pytest.approx(0.4, abs=0.04)
    assert two["q"].between(0.5, 0.9).all()
    assert two["dv"].abs().between(5, 50).all()
    assert (two["rv_2"] - two["rv_1"]).to_numpy() == pytest.approx(two["dv"].to_numpy())
    assert table["snr"].between(20, 200).all()
    assert table.loc[table["n_stars"] == 1, "vsini"].gt(40).any()
    ratio = light_ratio(table)
    assert (ratio[table["n_stars"] == 1] == 0).all()
    twins = Injections(1024, 2, InjectionSettings(binary_fraction=1.0, q=(0.99, 1.0))).stars()
    dwarfs = twins[(twins["logg"] > 4.2)]
    assert dwarfs["flux_ratio"].median() == pytest.approx(1.0, abs=0.1)
    with pytest.raises(DataError, match="dv: found"):
        InjectionSettings(dv=(50.0, 5.0))


def test_an_error_of_the_model_deepens_lines_by_what_it_says(small):
    rows = small.spectra([small.lines(0.0)] * 40, snr=None)
    changed = mistaken(rows, np.linspace(4500, 6500, 40), ModelError(depth=0.1, floor=0.0))
    line = rows.flux < 0.8
    relative = (changed.flux - rows.flux)[line] / (1 - rows.flux[line])
    assert relative.std() == pytest.approx(0.1, rel=0.25)
    assert np.abs(changed.flux - rows.flux)[rows.flux > 0.999].max() < 5e-4


def island_of_binaries(rng, n=1500):
    """Features in which binaries are apart by 1.5 σ, a map that shows the same."""
    binary = rng.random(n) < 0.2
    features = rng.normal(size=(n, 6))
    features[:, 0] += 3.0 * binary
    return features[:, :2] + 0.2 * rng.normal(size=(n, 2)), features, binary


def test_the_company_of_binaries_makes_a_candidate():
    rng = np.random.default_rng(3)
    places, features, binary = island_of_binaries(rng)
    known = np.where(rng.random(binary.size) < 0.4, binary.astype(float), np.nan)
    places[7] = np.nan
    table = map_candidates(places, features, known)
    unknown = np.isnan(known) & np.isfinite(table.probability)
    p = table.probability[unknown]
    assert p[binary[unknown]].mean() > p[~binary[unknown]].mean() + 0.4
    assert p.mean() == pytest.approx(binary[unknown].mean(), abs=0.04)
    assert table.is_binary[unknown & ~binary].mean() < 0.03
    assert table.is_binary[unknown & binary].mean() > 0.3
    assert np.isnan(table.probability[7])
    assert table.nearest[7] == -1
    assert binary[table.nearest[unknown]].all()


def test_a_known_binary_does_not_vote_for_itself():
    rng = np.random.default_rng(4)
    n = 1200
    noise, truth = rng.normal(size=(n, 5)), (rng.random(n) < 0.3).astype(float)
    table = map_candidates(noise[:, :2], noise, truth)
    p = table.probability
    assert p[truth == 1].mean() == pytest.approx(p[truth == 0].mean(), abs=0.02)


def test_islands_speak():
    rng = np.random.default_rng(6)
    binary = rng.random(900) < 0.3
    islands = np.where(binary, 1, 0)
    noise = rng.normal(size=(900, 4))
    known = np.where(rng.random(900) < 0.5, binary.astype(float), np.nan)
    table = map_candidates(noise[:, :2], noise, known, islands=islands)
    assert table.probability[binary].min() > table.probability[~binary].max()


def test_too_few_known_binaries_are_said():
    with pytest.raises(DataError, match="20 or more of each"):
        map_candidates(np.zeros((50, 2)), np.zeros((50, 3)), np.r_[np.ones(5), np.zeros(45)])


def channels(rng, n=4000):
    """Three channels that see different halves of the binaries, and are silent on some stars."""
    binary = rng.random(n) < 0.25
    wide, close = binary & (rng.random(n) < 0.5), binary & (rng.random(n) < 0.5)
    strength = rng.gamma(2, 1.0, n) + 20 * wide
    ccf = pd.DataFrame(
        {
            "significance": strength,
            "n_components": np.where(strength > 9, 2, 1),
            "confidence": np.where(strength > 12, "A", ""),
            "vsini": rng.uniform(0, 40, n),
        }
    )
    p = np.clip(rng.beta(1, 12, n) + 0.7 * close * rng.random(n), 1e-4, 1 - 1e-4)
    model = pd.DataFrame({"probability": p, "threshold": 0.5, "is_binary": p > 0.5})
    return {"ccf": ccf, "model": model}, binary


def test_all_channels_together_beat_each_and_hold_where_one_is_missing():
    tables, binary = channels(np.random.default_rng(1))
    learned = combine(tables, binary)
    fresh, truth = channels(np.random.default_rng(2))
    both = learned(fresh)
    calls = at_false_positives(both["probability"], truth)
    for name in fresh:
        alone = at_false_positives(score(name, fresh[name]), truth)
        assert calls[truth].mean() > alone[truth].mean() + 0.05
    assert both["is_binary"][~truth].mean() == pytest.approx(0.01, abs=0.008)
    assert both["probability"].mean() == pytest.approx(truth.mean(), abs=0.02)
    fresh["ccf"].loc[:99, "n_components"] = 0
    holes = learned(fresh)
    assert (holes["channels"][:100] == "model").all()
    assert holes["probability"][:100].notna().all()
    alone = learned({"model": fresh["model"]})
    assert (alone["probability"][:100] == holes["probability"][:100]).all()
    assert set(both["found_by"]) >= {"", "ccf", "model", "ccf+model"}


def test_thresholds_of_another_survey_are_what_counts():
    """The same stars, probabilities compressed by a calibration on few of them."""
    tables, binary = channels(np.random.default_rng(1))
    learned = combine(tables, binary)
    fresh, _ = channels(np.random.default_rng(2))
    other = fresh["model"].assign(
        probability=expit(logit(fresh["model"]["probability"]) + 1.5), threshold=expit(1.5)
    )
    expected = learned(fresh)
    found = learned(fresh | {"model": other})
    assert found["probability"].to_numpy() == pytest.approx(expected["probability"].to_numpy())
    unaware = learned(fresh | {"model": other.drop(columns="threshold")})
    assert unaware["is_binary"].sum() > 1.5 * expected["is_binary"].sum()


def test_a_combination_survives_json():
    tables, binary = channels(np.random.default_rng(1))
    learned = combine(tables, binary, prior=0.1)
    again = Combination.from_json(learned.to_json())
    pd.testing.assert_frame_equal(again(tables), learned(tables), check_exact=True)
    with pytest.raises(DataError, match="not one of this package"):
        Combination.from_json("[]")
    with pytest.raises(DataError, match="expected some of"):
        learned({"other": tables["model"]})
    with pytest.raises(DataError, match="100 or more"):
        combine(tables, np.zeros(len(binary), dtype=bool))


def test_the_shipped_combination_knows_the_channels_of_spectra():
    shipped = default_combination()
    assert set(shipped.channels) == {"ccf", "map", "model"}
    assert shipped.metrics["held_out_false_positives"] < 0.02


def test_who_could_not_search_has_no_evidence():
    tables, _ = channels(np.random.default_rng(1), n=10)
    tables["ccf"].loc[3, "n_components"] = 0
    assert np.isnan(evidence("ccf", tables["ccf"])[3]).all()
    assert np.isnan(score("ccf", tables["ccf"])[3])
    assert found("ccf", tables["ccf"]).sum() == (tables["ccf"]["n_components"] > 1).sum()


def test_false_positives_are_no_more_than_allowed_with_ties_too():
    binary = np.r_[np.zeros(200, bool), np.ones(50, bool)]
    scores = np.r_[np.arange(200.0), np.full(50, 198.5)]
    called = at_false_positives(scores, binary, 0.01)
    assert called[:200].sum() == 2
    assert called[200:].all()
    tied = at_false_positives(np.ones(250), binary, 0.01)
    assert not tied.any()
    missing = at_false_positives(np.r_[np.full(200, np.nan), np.ones(50)], binary)
    assert missing[200:].all()
    assert not missing[:200].any()


def test_overlaps_bins_and_groups_count():
    sets = {"a": np.array([1, 1, 0, 0], bool), "b": np.array([0, 1, 1, 0], bool)}
    table = overlap_table(sets).set_index("channel")
    assert table.loc["a", ["found", "alone", "also_b"]].tolist() == [2, 1, 1]
    with pytest.raises(DataError, match="same stars"):
        overlap_table({"a": [True], "b": [True, False]})
    centre, share, error, number = share_in_bins([1, 1, 3, 9], sets["a"], [0, 2, 4])
    assert (centre.tolist(), number.tolist(), share.tolist()) == ([1, 3], [2, 1], [1.0, 0.0])
    assert (error > 0).all()
    grid = completeness_grid([1] * 6, [1] * 6, [True] * 3 + [False] * 3, ([0, 2, 4], [0, 2]))
    assert grid[0, 0] == 0.5
    assert np.isnan(grid[1, 0])
    binary = np.array([0, 0, 1, 1], bool)
    rows = summary(sets, binary, [("singles", ~binary), ("pairs", binary)])
    assert rows["a"].tolist() == [1.0, 0.0]
    assert rows["kind"].tolist() == ["singles", "binaries"]
    with pytest.raises(DataError, match="one kind"):
        summary(sets, binary, [("all", np.ones(4, bool))])
