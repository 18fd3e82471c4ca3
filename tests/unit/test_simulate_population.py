from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from siderea.errors import DataError
from siderea.simulate.components import HALO, THIN_DISC
from siderea.simulate.orbits import semi_amplitude
from siderea.simulate.population import BLOCK, EMULATOR_RANGES, Survey, SurveySettings
from siderea.simulate.population import isochrones as load_default
from siderea.simulate.selection import Selection, draw_fields, signal_to_noise, v_jk
from siderea.simulate.velocities import epochs, rv_error, velocities_at

N = 3 * BLOCK


@pytest.fixture(scope="module")
def stars():
    return Survey(N, seed=5).stars()


def test_a_star_is_the_same_whatever_the_range(stars):
    for start, stop in ((0, 10), (BLOCK - 3, BLOCK + 4), (2 * BLOCK + 7, N), (17, 17)):
        part = Survey(N, seed=5).stars(start, stop)
        assert part.equals(stars.iloc[start:stop].reset_index(drop=True))
    assert Survey(N + 5000, seed=5).stars(0, 100).equals(stars.iloc[:100])


def test_another_seed_gives_other_stars(stars):
    assert not np.isin(Survey(100, seed=6).stars()["teff"], stars["teff"]).any()


def test_the_survey_keeps_its_limits(stars):
    assert stars["v_jk"].between(12, 14).all()
    assert (stars["b"].abs() > 9).all()  # fields of 1° radius centred beyond 10°
    assert (stars["dec"] < 11).all()
    for name, low, high in EMULATOR_RANGES:
        assert stars[name].between(low, high).all()


def test_identifiers_are_unique_strings(stars):
    assert stars["id"].is_unique
    assert stars["star_id"].is_unique
    assert isinstance(stars["id"].iloc[0], str)


def test_v_is_galahs_and_the_light_of_all_stars(stars):
    assert_allclose(stars["v_jk"], v_jk(stars["mag_twomass_j"], stars["mag_twomass_ks"]))


def test_magnitudes_of_the_stars_add_up_to_the_systems(stars):
    isochrones = load_default()
    band, ratio = "gaia_g", 2.312
    flux = np.zeros(N)
    for end in ("", "_2", "_3"):
        mag = isochrones.magnitudes(stars["mass" + end], stars["age"], stars["fe_h"], [band])
        flux += np.nan_to_num(10 ** (-0.4 * mag[:, 0]))
    apparent = -2.5 * np.log10(flux) + 5 * np.log10(100 * stars["distance"])
    assert_allclose(stars[f"mag_{band}"], apparent + ratio * stars["ebv"], atol=1e-10)


def test_a_twin_is_three_quarters_of_a_magnitude_brighter(stars):
    isochrones = load_default()
    dwarfs = (stars["logg"] > 4) & (stars["n_stars"] == 2)
    twins = stars[dwarfs & (stars["q"] > 0.995)]
    assert len(twins) > 3
    single = isochrones.magnitudes(twins["mass"], twins["age"], twins["fe_h"], ["sdss_r"])[:, 0]
    single += 5 * np.log10(100 * twins["distance"]) + 2.285 * twins["ebv"]
    brighter = single - twins["mag_sdss_r"].to_numpy()
    assert_allclose(brighter, 2.5 * np.log10(2), atol=0.03)


def test_absent_stars_and_orbits_are_nan(stars):
    single, double = stars["n_stars"] == 1, stars["n_stars"] == 2
    for name in ("mass_2", "period", "k_1", "rv_2", "dv", "q", "flux_ratio", "teff_2"):
        assert stars.loc[single, name].isna().all()
        if name != "teff_2":
            assert stars.loc[~single, name].notna().all()
    for name in ("mass_3", "period_outer", "k_1_outer", "rv_3"):
        assert stars.loc[single | double, name].isna().all()
        assert stars.loc[stars["n_stars"] == 3, name].notna().all()
    assert (stars.loc[single, "rv_1"] == stars.loc[single, "rv_system"]).all()


def test_amplitudes_and_velocities_are_those_of_the_orbit(stars):
    pairs = stars[stars["n_stars"] == 2]
    tilt = np.deg2rad(pairs["inclination"])
    orbit = (tilt, pairs["eccentricity"])
    k_1 = semi_amplitude(pairs["period"], pairs["mass"], pairs["mass_2"], *orbit)
    assert_allclose(pairs["k_1"], k_1, rtol=1e-12)
    assert_allclose(pairs["k_1"] * pairs["mass"], pairs["k_2"] * pairs["mass_2"], rtol=1e-10)
    # dv = −(K₁ + K₂)(v₁ − γ)/K₁, at any phase
    own = pairs["rv_1"] - pairs["rv_system"]
    assert_allclose(pairs["dv"], -(1 + pairs["k_2"] / pairs["k_1"]) * own, atol=1e-8)
    assert (pairs["dv"].abs() <= (pairs["k_1"] + pairs["k_2"]) * (1 + pairs["eccentricity"])).all()


def test_momentum_of_every_system_is_conserved(stars):
    some = stars[stars["n_stars"] > 1].head(400)
    rv = velocities_at(some, np.linspace(56_000, 60_000, 7) * np.ones((len(some), 1)))
    mass = np.nan_to_num(some[["mass", "mass_2", "mass_3"]].to_numpy())[:, None]
    mean = (np.nan_to_num(rv) * mass).sum(-1) / mass.sum(-1)
    assert_allclose(mean, some["rv_system"].to_numpy()[:, None] * np.ones(7), atol=1e-7)


def test_only_the_visible_are_of_class_binary(stars):
    seen = stars[stars["class"] == "BIN"]
    assert len(seen) > 50
    assert (seen["n_stars"] > 1).all()
    clear = (stars["n_stars"] == 2) & (stars["dv"].abs() > 15) & (stars["flux_ratio"] > 0.3)
    assert stars.loc[clear, "class"].eq("BIN").all()


def test_peculiar_shares_are_drawn():
    settings = SurveySettings(peculiar=(("HAE", 0.3), ("LIR", 0.2)), binary_fraction=0.0)
    table = Survey(2 * BLOCK, settings=settings).stars()
    normal = table[~table["class"].isin(["HFR", "CMP"])]
    assert abs((normal["class"] == "HAE").mean() - 0.3) < 0.05
    assert (table.loc[table["class"] == "LIR", "logg"] < 3.5).all()
    assert (table["n_stars"] == 1).all()


def test_epochs_scatter_as_their_errors_say(stars):
    single = stars[stars["n_stars"] == 1]
    series, truth = epochs(single, rng=np.random.default_rng(0), visits=3)
    assert len(series) == 3 * len(single)
    pull = (series.rv - truth["rv_1"]) / series.rv_err
    assert abs(pull.std() - 1) < 0.03
    assert truth.groupby("star_id")["rv_1"].std().max() < 1e-9
    assert_allclose(rv_error(1e9), 0.1)


def test_epochs_of_a_binary_follow_its_orbit(stars):
    pairs = stars[(stars["n_stars"] == 2) & (stars["k_1"] > 20)]
    series, truth = epochs(pairs, rng=np.random.default_rng(1), visits=(5, 9), error=0.5)
    counts = truth.groupby("star_id").size()
    assert counts.between(5, 9).all()
    assert (truth.groupby("star_id")["time"].diff().dropna() > 0).all()
    assert (series.time == truth["time"]).all()
    assert truth.groupby("star_id")["rv_1"].std().median() > 5


def test_epochs_need_a_visit(stars):
    with pytest.raises(DataError, match="visits"):
        epochs(stars.head(3), rng=np.random.default_rng(0), visits=0)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Survey(-1), "n -1"),
        (lambda: Survey(10).stars(5, 20), "5 to 20"),
        (lambda: SurveySettings(binary_fraction=1.5), "binary_fraction"),
        (lambda: SurveySettings(peculiar=(("HAE", 2.0),)), "peculiar"),
    ],
)
def test_bad_settings_are_named(make, match):
    with pytest.raises(DataError, match=match):
        make()


def test_an_impossible_survey_is_refused():
    nothing = SurveySettings(ranges=(("teff", 50_000.0, 60_000.0),))
    with pytest.raises(DataError, match="widen"):
        Survey(10, settings=nothing).stars()


def test_fields_stay_in_the_survey():
    selection = Selection(n_fields=500)
    _, lat = draw_fields(selection, np.random.default_rng(0))
    assert lat.size == 500
    assert (np.abs(lat) > 10).all()


def test_fields_give_as_many_stars_each():
    settings = replace(SurveySettings(), selection=Selection(n_fields=6))
    table = Survey(6 * BLOCK, settings=settings).stars()
    rng = np.random.default_rng(20_080_601)
    lon, lat = draw_fields(settings.selection, rng)
    away = (table["l"].to_numpy()[:, None] - lon + 180) % 360 - 180
    gap = np.hypot(away * np.cos(np.deg2rad(lat)), table["b"].to_numpy()[:, None] - lat)
    counts = np.bincount(gap.argmin(1), minlength=6)
    assert counts.min() > 0.85 * counts.mean()
    assert counts.max() < 1.15 * counts.mean()


def test_signal_follows_the_square_root_of_the_light():
    rng = np.random.default_rng(0)
    bright, faint = (np.median(signal_to_noise(np.full(5000, v), rng)) for v in (12.0, 14.0))
    assert_allclose(bright / faint, 10**0.4, rtol=0.05)


def test_a_survey_of_one_population():
    settings = SurveySettings(components=(HALO,))
    assert (Survey(50, settings=settings).stars()["population"] == "halo").all()
    assert THIN_DISC.name == "thin disc"
