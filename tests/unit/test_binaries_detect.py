"""Detections by cross-correlation on small spectra of known stars."""

import numpy as np
import pytest

from siderea.binaries.detect import CCFDetector, CCFSettings, DetectionFlag, detect_ccf
from siderea.errors import DataError


@pytest.fixture(scope="module")
def detector(small):
    return CCFDetector(small.spectra([small.star(0.0)]), templates=[small.lines(0.0)])


def test_singles_are_single_however_fast_they_rotate(detector, small):
    rows = [small.star(rv, vsini=u) for rv in (-20.0, 7.0) for u in (0, 4, 11, 15, 20, 30, 43, 60)]
    table = detector(small.spectra(rows, snr=60.0))
    assert table["n_components"].tolist() == [1] * len(rows)
    np.testing.assert_allclose(table["rv_1"], np.repeat([-20.0, 7.0], 8), atol=1.5)
    fast = (table["flags"] & int(DetectionFlag.FAST_ROTATOR)) > 0
    assert fast.tolist() == [False] * 5 + [True] * 3 + [False] * 5 + [True] * 3
    assert (table["confidence"] == "").all()


def test_two_stars_are_found_with_their_velocities(detector, small):
    pairs = [(-40.0, 45.0, 0.5), (0.0, 25.0, 0.3), (60.0, -30.0, 0.15), (10.0, -10.0, 0.45)]
    rows = [(1 - share) * small.star(a) + share * small.star(b) for a, b, share in pairs]
    table = detector(small.spectra(rows, snr=60.0))
    assert table["n_components"].tolist() == [2] * 4
    for row, (a, b, share) in zip(table.itertuples(), pairs, strict=True):
        found = sorted([row.rv_1, row.rv_2])
        np.testing.assert_allclose(found, sorted([a, b]), atol=1.0)
        assert row.flux_ratio == pytest.approx(share / (1 - share), abs=0.12)
    assert (table["significance"] > 6).all()


def test_velocity_errors_are_those_of_the_noise(detector, small):
    table = detector(
        small.spectra([0.6 * small.star(-40.0) + 0.4 * small.star(45.0)] * 100, snr=15.0)
    )
    for name, truth in (("rv_1", -40.0), ("rv_2", 45.0)):
        pull = (table[name] - truth) / table[f"{name}_err"]
        assert pull.std() == pytest.approx(1.0, abs=0.2)


def test_three_and_four_stars_are_found(detector, small):
    rows = [
        0.4 * small.star(-70.0) + 0.35 * small.star(0.0) + 0.25 * small.star(60.0),
        0.3 * small.star(-90.0)
        + 0.25 * small.star(-30.0)
        + 0.25 * small.star(30.0)
        + 0.2 * small.star(95.0),
    ]
    table = detector(small.spectra(rows, snr=100.0))
    assert table["n_components"].tolist() == [3, 4]
    found = np.sort(table.loc[1, ["rv_1", "rv_2", "rv_3", "rv_4"]].to_numpy(dtype=float))
    np.testing.assert_allclose(found, [-90, -30, 30, 95], atol=1.5)


def test_a_companion_in_one_arm_alone_is_cross_talk(detector, small):
    one = 0.6 * small.star(-40.0) + 0.4 * small.star(40.0)
    mixed = one.copy()
    mixed[1500:] = small.star(-40.0)[1500:]
    table = detector(small.spectra([one, mixed], snr=80.0))
    flagged = (table["flags"] & int(DetectionFlag.ONE_ARM)) > 0
    assert flagged.tolist() == [False, True]
    assert table["confidence"].tolist() == ["A", "C"]


def test_spectra_without_data_or_lines_are_told_apart(detector, small):
    given = small.spectra([small.star(0.0), np.ones(3000), small.star(0.0)], snr=50.0)
    ivar = given.ivar.copy()
    ivar[2] = 0.0
    table = detector(given.with_flux(given.flux, ivar))
    assert table["n_components"].tolist() == [1, 1, 0]
    assert table["flags"].tolist()[2] == int(DetectionFlag.NO_DATA)
    assert np.isnan(table["rv_1"][2])


def test_rows_do_not_depend_on_their_neighbours(detector, small):
    rows = [
        small.star(5.0),
        0.6 * small.star(-30.0) + 0.4 * small.star(30.0),
        small.star(0.0, vsini=40.0),
    ] * 20
    given = small.spectra(rows, snr=60.0)
    whole = detector(given)
    alone = detector(given[31:34])
    numbers = ["rv_1", "rv_2", "significance"]
    np.testing.assert_allclose(whole.loc[31:33, numbers], alone[numbers], rtol=1e-3, atol=1e-3)
    assert whole["n_components"][31:34].tolist() == alone["n_components"].tolist()


def test_the_table_of_no_spectra_has_the_same_columns(detector, small):
    given = small.spectra([small.star(0.0)])
    assert list(detector(given[:0]).columns) == list(detector(given).columns)


def test_the_function_is_the_detector(small):
    given = small.spectra([0.5 * small.star(-30.0) + 0.5 * small.star(30.0)])
    assert detect_ccf(given, templates=[small.lines(0.0)])["n_components"].tolist() == [2]


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(DataError, match="ratio"):
        CCFSettings(ratio=1.5)


def test_a_star_of_its_own_template_is_correlated_with_it(detector, small):
    other = small.lines(12.0, seed=31)
    given = small.spectra([other, small.star(3.0)], snr=80.0)
    own = np.stack([small.lines(0.0, seed=31), small.lines(0.0, seed=31)])
    table = detector(given, references=own)
    assert table["template"].tolist() == [1, 0]  # one template is shared: its own is number 1
    np.testing.assert_allclose(table["rv_1"], [12.0, 3.0], atol=0.3)
    assert detector(given)["ccf_height"][0] < 0.5 * table["ccf_height"][0]
    with pytest.raises(DataError, match="references"):
        detect_ccf(given, templates=[small.lines(0.0)], references=own[:1])


def test_stars_that_rotate_very_fast_are_measured_and_said_to(detector, small):
    table = detector(small.spectra([small.star(10.0, vsini=u) for u in (100.0, 200.0)], snr=100.0))
    assert table["n_components"].tolist() == [1, 1]
    np.testing.assert_allclose(table["vsini"], [100.0, 200.0], rtol=0.06)
    assert ((table["flags"] & int(DetectionFlag.VERY_FAST)) > 0).all()
    assert (np.abs(table["rv_1"] - 10.0) < 4 * table["rv_1_err"]).all()


def test_two_stars_within_one_profile_are_told_from_a_rotating_one(detector, small):
    blend = 0.55 * small.star(-8.0) + 0.45 * small.star(8.0)
    table = detector(small.spectra([blend, small.star(0.0, vsini=12.0)], snr=80.0))
    assert table["n_components"].tolist() == [2, 1]
    np.testing.assert_allclose(table.loc[0, ["rv_1", "rv_2"]].astype(float), [-8, 8], atol=0.7)
