"""The channels of catalogues: excess light, astrometry, common motion; probabilities that hold."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from siderea.binaries.astrometric import AstrometricFlag, astrometric_binaries
from siderea.binaries.common_motion import PairFlag, common_motion_pairs, find_pairs
from siderea.binaries.photometric_excess import (
    ExcessFlag,
    fit_main_sequence,
    photometric_excess,
)
from siderea.errors import DataError
from siderea.simulate.photometry import simulate_photometry

BANDS = ("gaia_g", "gaia_bp", "gaia_rp")


@pytest.fixture(scope="module")
def field():
    """A simulated catalogue with parallaxes good to 2 %, and who is a binary."""
    rng = np.random.default_rng(11)
    photometry, truth = simulate_photometry(4000, rng=rng, bands=BANDS, missing=0.0, errors=ERRORS)
    frame = photometry.table.copy()
    for column, name in enumerate(BANDS):
        frame[f"mag_{name}"] = photometry.mag[:, column]
        frame[f"mag_{name}_err"] = photometry.mag_err[:, column]
    parallax = 1 / truth["distance"].to_numpy()
    frame["parallax_err"] = 0.02 * parallax
    frame["parallax"] = parallax * (1 + 0.02 * rng.standard_normal(len(frame)))
    frame["fe_h"] = truth["fe_h"] + rng.normal(0, 0.05, len(frame))
    frame["fe_h_err"], frame["logg"] = 0.05, truth["logg"]
    return frame, (truth["n_stars"] > 1).to_numpy()


def gaia_errors():
    from siderea.simulate.photometry import BandError

    return {name: BandError(21.0, 0.005, sky=0.039) for name in BANDS}


ERRORS = gaia_errors()


def test_photometric_probabilities_hold(field):
    frame, binary = field
    found = photometric_excess(frame)
    used = (found["flags"] == 0).to_numpy() & np.isfinite(found["probability"].to_numpy())
    probability = found["probability"].to_numpy()
    assert used.sum() > 1000
    for low, high in ((0.7, 0.95), (0.95, 1.01)):
        chosen = used & (probability >= low) & (probability < high)
        assert chosen.sum() > 50
        assert binary[chosen].mean() == pytest.approx(probability[chosen].mean(), abs=0.07)
    single = used & ~binary
    assert abs(np.median(found["excess"][single])) < 0.03
    assert found["significance"][single].std() == pytest.approx(1.0, abs=0.2)


def test_the_excess_of_two_equal_stars_is_that_of_twice_the_light(field):
    frame, _ = field
    sequence = fit_main_sequence(frame)
    twice = frame.copy()
    for name in BANDS:
        twice[f"mag_{name}"] -= 2.5 * np.log10(2)
    one = photometric_excess(frame, sequence=sequence)
    two = photometric_excess(twice, sequence=sequence)
    difference = (two["excess"] - one["excess"]).dropna()
    np.testing.assert_allclose(difference, 0.7526, atol=1e-4)


def test_photometric_flags_and_refusals(field):
    frame = field[0].iloc[:800].copy()
    frame.loc[frame.index[0], "parallax"] = -1.0
    frame.loc[frame.index[1], "mag_gaia_bp"] = np.nan
    found = photometric_excess(frame)
    assert (found["flags"].to_numpy()[:2] == int(ExcessFlag.NO_DATA)).all()
    assert found["probability"].to_numpy()[:2] == pytest.approx([np.nan] * 2, nan_ok=True)
    giants = (frame["logg"] < 3.5).to_numpy() & (np.arange(len(frame)) > 1)
    assert ((found["flags"].to_numpy()[giants] & int(ExcessFlag.EVOLVED)) > 0).all()
    with pytest.raises(DataError, match="parallax_err"):
        photometric_excess(frame.drop(columns="parallax_err"))
    with pytest.raises(DataError, match="200"):
        photometric_excess(frame.iloc[:100])


def sky(n, rng):
    """Return astrometry of single stars: RUWE and two proper motions of known errors."""
    frame = pd.DataFrame({"id": np.arange(n).astype(str)})
    frame["ruwe"] = np.exp(rng.normal(np.log(1.02), 0.06, n))
    for axis in ("ra", "dec"):
        motion = rng.normal(0, 10, n)
        for end, error in (("", 0.05), ("_long", 0.02)):
            frame[f"pm{axis}{end}"] = motion + rng.normal(0, error, n)
            frame[f"pm{axis}{end}_err"] = error
    return frame


def test_single_stars_have_uniform_p_values():
    found = astrometric_binaries(sky(20_000, np.random.default_rng(3)))
    for name in ("ruwe_p", "pm_p", "p_value"):
        assert (found[name] < 0.01).mean() == pytest.approx(0.01, rel=0.3), name
        assert stats.kstest(found[name], "uniform").statistic < 0.03, name
    assert found["probability"].mean() < 0.02


def test_single_stars_have_uniform_p_values_in_every_sample():
    shares = []
    for seed in range(100, 110):
        found = astrometric_binaries(sky(20_000, np.random.default_rng(seed)))
        shares.append((found["ruwe_p"] < 0.01).mean())
    assert min(shares) > 0.007
    assert max(shares) < 0.013


def test_astrometric_probabilities_hold():
    rng = np.random.default_rng(4)
    frame = sky(6000, rng)
    binary = np.arange(6000) < 900
    frame.loc[binary, "ruwe"] *= np.exp(np.abs(rng.normal(0, 0.5, 900)))
    for axis in ("ra", "dec"):
        frame.loc[binary, f"pm{axis}"] += rng.normal(0, 0.3, 900)
    found = astrometric_binaries(frame)
    probability = found["probability"].to_numpy()
    for low, high in ((0.3, 0.8), (0.8, 1.01)):
        chosen = (probability >= low) & (probability < high)
        assert binary[chosen].mean() == pytest.approx(probability[chosen].mean(), abs=0.12)
    assert binary[probability > 0.9].sum() > 500


def test_errors_that_are_too_small_do_not_make_binaries():
    frame = sky(5000, np.random.default_rng(5))
    for name in ("pmra_err", "pmdec_err", "pmra_long_err", "pmdec_long_err"):
        frame[name] *= 0.6
    assert (astrometric_binaries(frame)["pm_p"] < 0.001).mean() < 0.003


def test_astrometric_flags_and_refusals():
    frame = sky(200, np.random.default_rng(6))
    frame.loc[0, "ruwe"] = np.nan
    frame.loc[[0, 1], "pmra_long"] = np.nan
    flags = astrometric_binaries(frame)["flags"].tolist()
    everything = AstrometricFlag.NO_RUWE | AstrometricFlag.NO_ANOMALY | AstrometricFlag.NO_DATA
    assert flags[:3] == [int(everything), int(AstrometricFlag.NO_ANOMALY), 0]
    with pytest.raises(DataError, match="ruwe"):
        astrometric_binaries(frame[["id", "pmra"]])


def stars_of_a_field(n, pairs, rng):
    """Return n stars of one square degree, and ``pairs`` companions of the first."""
    count = n + pairs
    parallax = rng.uniform(0.5, 8.0, n)
    frame = pd.DataFrame({"ra": 150 + rng.uniform(0, 1, n), "dec": rng.uniform(0, 1, n)})
    frame["pmra"], frame["pmdec"] = rng.normal(0, 8, (2, n))
    frame["parallax"] = parallax
    partner = frame.iloc[:pairs].copy()
    angle = rng.uniform(0, 2 * np.pi, pairs)
    distance = np.exp(rng.uniform(np.log(1), np.log(50), pairs)) / 3600
    partner["ra"] += distance * np.cos(angle)
    partner["dec"] += distance * np.sin(angle)
    frame = pd.concat([frame, partner], ignore_index=True)
    for name in ("pmra", "pmdec", "parallax"):
        frame[f"{name}_err"] = 0.15
        frame[name] += rng.normal(0, 0.15, count)
    frame["id"] = [f"s{i}" for i in range(count)]
    return frame, {frozenset((f"s{i}", f"s{n + i}")) for i in range(pairs)}


def test_pairs_are_found_and_their_probabilities_hold():
    frame, truth = stars_of_a_field(12_000, 150, np.random.default_rng(7))
    pairs = find_pairs(frame)
    real = np.array(
        [frozenset(one) in truth for one in zip(pairs["id_1"], pairs["id_2"], strict=True)]
    )
    assert real.sum() > 0.85 * 150
    probability = pairs["probability"].to_numpy()
    assert probability.sum() == pytest.approx(real.sum(), rel=0.25)
    likely = probability > 0.9
    assert real[likely].mean() == pytest.approx(probability[likely].mean(), abs=0.05)
    assert likely[real].mean() > 0.7


def test_a_field_without_pairs_has_none():
    frame, _ = stars_of_a_field(8000, 0, np.random.default_rng(8))
    assert find_pairs(frame)["probability"].gt(0.9).sum() <= 1


def test_each_star_has_its_best_partner():
    frame, _ = stars_of_a_field(2000, 20, np.random.default_rng(9))
    frame.loc[0, "parallax"] = np.nan
    table = common_motion_pairs(frame)
    assert table["id"].tolist() == frame["id"].tolist()
    assert table["flags"][0] == int(PairFlag.NO_DATA)
    assert table["partner"][5] == "s2005"
    assert table["partner"][2005] == "s5"
    assert table["probability"][5] > 0.5
    alone = (table["flags"] & int(PairFlag.NO_PARTNER)) > 0
    assert (table["probability"][alone] == 0).all()
    with pytest.raises(DataError, match="pmra_err"):
        find_pairs(frame.drop(columns="pmra_err"))
    with pytest.raises(DataError, match="max_separation"):
        find_pairs(frame, max_separation=0.0)
