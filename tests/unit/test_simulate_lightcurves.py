"""Simulated light curves: shapes, truth, sampling, where systems come from."""

import numpy as np
import pandas as pd
import pytest

from siderea.errors import DataError
from siderea.simulate.binaries import (
    COLUMNS,
    KINDS,
    draw_systems,
    from_catalogue,
)
from siderea.simulate.binaries_of_survey import from_systems
from siderea.simulate.cadence import gaia_error, gaia_times, kepler_error, kepler_times
from siderea.simulate.eclipses import eccentricity_of, separation_of_minima
from siderea.simulate.lightcurves import phase_curve, simulate_lightcurves


def survey_pair(**changes):
    row = {
        "period": 5.0,
        "eccentricity": 0.1,
        "inclination": 90.0,
        "arg_periastron": 40.0,
        "q": 0.8,
        "radius": 1.0,
        "radius_2": 0.8,
        "semi_major_axis": 15.0,
        "teff": 5800.0,
        "teff_2": 5200.0,
        "mag_gaia_g": 12.5,
    }
    return row | changes


@pytest.fixture
def catalogue():
    return pd.DataFrame(
        {
            "period": [8.46, 1.3, 0.35, 0.5, 20.0, 3.0],
            "pdepth": [0.2, 0.4, 0.3, 0.04, 0.1, -1.0],
            "sdepth": [0.1, 0.1, 0.28, 0.04, -1.0, 0.1],
            "pwidth": [0.03, 0.12, 0.2, 0.25, 0.01, 0.02],
            "swidth": [0.03, 0.12, 0.2, 0.25, -1.0, 0.02],
            "sep": [0.55, 0.5, 0.5, 0.5, 1.0, 0.5],
            "morph": [0.2, 0.6, 0.75, 0.9, 0.1, 0.2],
            "kmag": [13.0, 12.0, 14.0, 13.5, -1.0, 12.0],
        }
    )


@pytest.mark.parametrize("sampling", ["kepler", "gaia"])
def test_curves_and_truth_fit_together(sampling):
    curves, truth = simulate_lightcurves(8, rng=np.random.default_rng(3), sampling=sampling)
    assert len(curves) == len(truth) == 8
    assert set(COLUMNS) < set(truth)
    for curve, n in zip(curves, truth["n_points"], strict=True):
        assert len(curve) == n
        assert curve.folded
        assert np.all(np.isfinite(curve.flux))
        assert curve.time.min() >= 0
        assert curve.time.max() < 1


def test_the_same_seed_gives_the_same_bits():
    one, _ = simulate_lightcurves(3, rng=np.random.default_rng(5))
    other, _ = simulate_lightcurves(3, rng=np.random.default_rng(5))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.flux, b.flux)


def test_unfolded_cadences_fold_back_onto_the_phase_curve():
    curves, truth = simulate_lightcurves(1, rng=np.random.default_rng(2), points=None)
    row = truth.iloc[0]
    assert not curves[0].folded
    assert len(curves[0]) > 60_000
    nodes, light = phase_curve(row)
    phase = (curves[0].time - row["time_0"]) / row["period"] % 1
    pull = (curves[0].flux - np.interp(phase, nodes, light)) / curves[0].flux_err
    assert np.median(np.abs(pull)) == pytest.approx(0.6745, rel=0.05)


def test_the_noise_is_what_the_errors_say():
    curves, truth = simulate_lightcurves(
        30, rng=np.random.default_rng(4), sampling="gaia", scatter=0.01
    )
    pulls = []
    for curve, (_, row) in zip(curves, truth.iterrows(), strict=True):
        pulls.append((curve.flux - np.interp(curve.time, *phase_curve(row))) / curve.flux_err)
    assert np.concatenate(pulls).std() == pytest.approx(1, rel=0.05)


def test_every_kind_shows_its_light_curve():
    systems = draw_systems(60, rng=np.random.default_rng(8))
    assert set(systems["kind"]) == set(KINDS)
    for _, row in systems.groupby("kind").head(3).iterrows():
        phase, flux = phase_curve(row)
        assert flux.max() == pytest.approx(1)
        assert flux.min() < 1
        if row["kind"] in ("contact", "semi-detached"):
            between = flux[(phase > 0.1) & (phase < 0.4)]
            assert np.ptp(between) > 0.05 * np.ptp(flux)  # no flat part at all


def test_a_catalogue_comes_back(catalogue):
    systems = from_catalogue(catalogue, rng=np.random.default_rng(0))
    assert systems["kind"].tolist() == [
        "detached",
        "semi-detached",
        "contact",
        *KINDS[3:],
        KINDS[0],
    ]
    assert systems["source"].tolist() == [0, 1, 2, 3, 4]  # the last has no depth
    _, truth = simulate_lightcurves(5, rng=np.random.default_rng(1), population=systems)
    np.testing.assert_allclose(truth["depth_1"], catalogue["pdepth"][:5], rtol=0.35)
    assert truth["separation"][0] == pytest.approx(0.55, abs=1e-3)
    assert truth["depth_2"][4] < 0.1 * truth["depth_1"][4]


def test_a_catalogue_without_its_columns_is_refused(catalogue):
    with pytest.raises(DataError, match="no column morph"):
        from_catalogue(catalogue.drop(columns="morph"), rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="positive period"):
        from_catalogue(catalogue.assign(period=-1.0), rng=np.random.default_rng(0))


def test_eccentricity_from_eclipses_and_back():
    e, omega = np.array([0.0, 0.3, 0.6]), np.array([10.0, 70.0, 200.0])
    k = e * np.sin(np.deg2rad(omega))
    found, angle = eccentricity_of(separation_of_minima(e, omega), (1 / (1 + k), 1 / (1 - k)))
    np.testing.assert_allclose(found, e, atol=1e-9)
    np.testing.assert_allclose(np.cos(np.deg2rad(angle - omega))[1:], 1, atol=1e-9)


def test_stars_of_a_survey_become_systems():
    table = pd.DataFrame(
        [
            survey_pair(),
            survey_pair(radius_2=np.nan),  # a single star
            survey_pair(inclination=30.0),  # no eclipse
            survey_pair(semi_major_axis=1.5, eccentricity=0.0),  # overflows both lobes
            survey_pair(semi_major_axis=2.9, radius_2=1.05, q=0.3, eccentricity=0.0),
            survey_pair(semi_major_axis=3.2, inclination=20.0, eccentricity=0.0, radius=1.15),
        ]
    )
    systems = from_systems(table)
    assert systems["source"].tolist() == [0, 3, 4, 5]
    assert systems["kind"].tolist() == ["detached", "contact", "semi-detached", "ellipsoidal"]
    assert len(from_systems(table, eclipsing_only=False)) == 5
    curves, truth = simulate_lightcurves(4, rng=np.random.default_rng(0), population=systems)
    assert truth["r_1"][0] == pytest.approx(1 / 15)
    assert all(np.isfinite(curve.flux).all() for curve in curves)


def test_kepler_looks_every_half_hour_and_gaia_some_seventy_times():
    kepler = kepler_times(np.random.default_rng(0))
    assert 60_000 < kepler.size < 71_000
    assert np.median(np.diff(kepler)) == pytest.approx(29.4 / 1440)
    counts = [
        gaia_times(ra, np.rad2deg(np.arcsin(z)), np.random.default_rng(7)).size
        for ra, z in zip(np.linspace(0, 350, 36), np.linspace(-0.95, 0.95, 36), strict=True)
    ]
    assert 60 < np.mean(counts) < 90
    times = gaia_times(291.0, 44.0, np.random.default_rng(1))
    gaps = np.diff(times)
    assert np.any(np.abs(gaps - 106.5 / 360 * 0.25) < 0.005)  # from one field to the other
    assert gaps.max() > 10


def test_errors_grow_with_magnitude():
    assert float(kepler_error(12.0)) == pytest.approx(5.4e-5, rel=0.02)
    assert np.all(np.diff(kepler_error(np.arange(10.0, 19.0))) > 0)
    assert np.all(np.diff(gaia_error(np.arange(13.0, 20.0))) > 0)


def test_bad_requests_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="sampling"):
        simulate_lightcurves(1, rng=rng, sampling="tess")
    with pytest.raises(DataError, match="no column"):
        simulate_lightcurves(1, rng=rng, population=pd.DataFrame({"period": [1.0]}))
    with pytest.raises(DataError, match="no systems"):
        simulate_lightcurves(1, rng=rng, population=draw_systems(2, rng=rng).iloc[:0])
