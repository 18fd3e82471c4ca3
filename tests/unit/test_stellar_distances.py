"""Distances: the formulae's numbers, inputs and flags, identities of the posterior, determinism."""

import numpy as np
import pandas as pd
import pytest

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.flags import DistanceFlag
from siderea.stellar.absolute_magnitude import load_table
from siderea.stellar.coordinates import COORDINATES, log_teff
from siderea.stellar.distance_summary import quantiles
from siderea.stellar.distances import DistanceModel, distances, sample_distances
from siderea.stellar.galactic_prior import R_SUN, Z_SUN, GalacticPrior, UniformPrior
from siderea.stellar.isochrone_stars import StellarPrior
from siderea.stellar.parallax import GAIA_DR2, ParallaxErrors
from siderea.stellar.photometric_parallax import (
    distance_of,
    ivezic2008_absolute_magnitude,
    juric2008_absolute_magnitude,
)

RAW = DistanceModel.of_isochrones()


def stars(n=6, r=16.0, gi=0.6):
    """Return n stars of one colour at r: SDSS gri."""
    mag = np.tile([r + 0.7 * gi, r, r - 0.3 * gi], (n, 1))
    return Photometry(("sdss_g", "sdss_r", "sdss_i"), mag, np.full(mag.shape, 0.01))


def dwarfs(n=6, **columns):
    frame = pd.DataFrame({"fe_h": np.full(n, -0.5), "fe_h_err": 0.1, "p_giant": 0.0})
    return frame.assign(**columns)


def test_ivezic_by_hand():
    # x = 1: 14.32 - 5.06 - 12.97 + 6.127 - 1.267 + .0967 = 1.2467, and 4.50 - 1.11 F - .18 F^2
    absolute, valid = ivezic2008_absolute_magnitude([1.0, 1.0, 0.1, 1.0], [0.0, -1.0, 0.0, 0.5])
    assert absolute[:2] == pytest.approx([5.7467, 5.7467 + 1.11 - 0.18], abs=1e-9)
    assert valid.tolist() == [True, True, False, False]
    _, valid = ivezic2008_absolute_magnitude([1.0, 1.0], 0.0, logg=[4.4, 2.0])
    assert valid.tolist() == [True, False]


def test_juric_by_hand():
    # x = 0.5: 3.2 + 6.65 - 2.875 + .675 - .04375; 4.0 + 5.93 - 2.685 + .74875 - .075
    bright, valid = juric2008_absolute_magnitude([0.5, 2.0])
    faint, _ = juric2008_absolute_magnitude([0.5], normalisation="faint")
    assert bright[0] == pytest.approx(7.60625, abs=1e-9)
    assert faint[0] == pytest.approx(7.91875, abs=1e-9)
    assert valid.tolist() == [True, False]


def test_distance_of_a_modulus_of_ten_is_a_kiloparsec():
    assert distance_of([15.0, 20.0], 5.0) == pytest.approx([1.0, 10.0])


def test_columns_and_order_do_not_depend_on_the_company():
    photometry, labels = stars(40), dwarfs(40, fe_h=np.linspace(-2, 0.3, 40))
    found = distances(photometry, labels, ebv=0.0, model=RAW)
    assert list(found)[:3] == ["distance", "distance_lo", "distance_hi"]
    assert (found["distance_lo"] < found["distance"]).all()
    assert (found["distance"] < found["distance_hi"]).all()
    rows = np.random.default_rng(0).permutation(40)
    part = Photometry(photometry.bands, photometry.mag[rows], photometry.mag_err[rows])
    again = distances(part, labels.iloc[rows].reset_index(drop=True), ebv=0.0, model=RAW)
    assert np.array_equal(again["distance"], found["distance"].to_numpy()[rows])
    assert found["band"].unique().tolist() == ["sdss_r"]


def test_ten_times_as_far_is_five_magnitudes_fainter_under_a_scale_free_prior():
    model = DistanceModel.of_isochrones(galaxy=UniformPrior())
    near = distances(stars(1, 14.0), dwarfs(1), ebv=0.0, model=model)["distance"][0]
    far = distances(stars(1, 19.0), dwarfs(1), ebv=0.0, model=model)["distance"][0]
    assert far / near == pytest.approx(10, rel=1e-4)


def test_metal_poor_dwarfs_are_fainter_hence_nearer():
    found = distances(stars(2, gi=0.7), dwarfs(2, fe_h=[0.0, -1.5]), ebv=0.0, model=RAW)
    expected, _ = ivezic2008_absolute_magnitude(0.7, np.array([0.0, -1.5]))
    assert found["distance"][0] > 1.3 * found["distance"][1]
    assert found["absolute_magnitude"].to_numpy() == pytest.approx(expected, abs=0.35)


def test_extinction_is_removed_and_its_error_widens():
    clear = distances(stars(1), dwarfs(1), ebv=0.0, model=RAW)
    dusty = stars(1)
    mag = dusty.mag + 0.2 * np.array([3.303, 2.285, 1.698])
    dusty = Photometry(dusty.bands, mag, dusty.mag_err, pd.DataFrame({"ebv": [0.2]}))
    found = distances(dusty, dwarfs(1), model=RAW)
    assert found["distance"][0] == pytest.approx(clear["distance"][0], rel=1e-5)
    loose = distances(dusty, dwarfs(1), ebv_err=0.1, model=RAW)
    assert loose["absolute_magnitude_err"][0] > 1.3 * found["absolute_magnitude_err"][0]


def test_a_precise_parallax_decides_and_a_vague_one_changes_nothing():
    labels = dwarfs(3, logg=4.5, logg_err=0.2)
    blind = distances(stars(3), labels, ebv=0.0, model=RAW)["distance"][0]
    true = 1.1 * blind
    given = {"parallax": [1 / true, 1 / true, np.nan], "parallax_err": [0.002 / true, 50.0, 0.1]}
    found = distances(stars(3), labels, ebv=0.0, model=RAW, **given)
    assert found["distance"][0] == pytest.approx(true, rel=0.004)
    width = (found["distance_hi"] - found["distance_lo"])[0] / (2 * true)
    assert width == pytest.approx(0.002, rel=0.1)  # the parallax's own error, on the fine grid
    assert found["distance"][1:].to_numpy() == pytest.approx([blind, blind], rel=2e-3)


def test_coarse_and_fine_grids_agree_where_one_takes_over():
    labels = dwarfs(2, logg=4.5, logg_err=0.2)
    true = distances(stars(1), labels[:1], ebv=0.0, model=RAW)["distance"][0]
    sigma = np.array([1 / 7.95, 1 / 8.05]) / true
    found = distances(
        stars(2), labels, ebv=0.0, model=RAW, parallax=[1 / true] * 2, parallax_err=sigma
    )
    for column in ("distance", "distance_lo", "distance_hi"):
        assert found[column][0] == pytest.approx(found[column][1], rel=0.02)


def test_the_zero_point_is_subtracted_and_errors_grow():
    value, sigma = GAIA_DR2.apply([1.0], [0.1])
    assert value[0] == pytest.approx(1.029)
    assert sigma[0] == pytest.approx(np.hypot(0.108, 0.043))
    with pytest.raises(DataError, match="inflation"):
        ParallaxErrors(inflation=0.0)


def test_giants_stay_two_fold_with_the_weights_of_the_classification():
    labels = dwarfs(3, p_giant=[0.0, 0.3, 1.0], teff=4900.0, teff_err=80.0)
    photometry = stars(3, gi=1.05)
    found = distances(photometry, labels, ebv=0.0, model=RAW)
    assert found["p_giant"].to_numpy() == pytest.approx([0, 0.3, 1], abs=1e-3)
    two = found["flags"] & int(DistanceFlag.TWO_SOLUTIONS) > 0
    assert two.tolist() == [False, True, False]
    assert found["distance_giant"][1] > 4 * found["distance_dwarf"][1]
    assert found["distance_dwarf"][1] == pytest.approx(found["distance"][0], rel=1e-3)
    assert found["distance_giant"][1] == pytest.approx(found["distance"][2], rel=1e-3)


def test_a_parallax_tells_the_two_solutions_apart():
    labels, photometry = dwarfs(2, p_giant=0.3), stars(2, gi=1.05)
    both = distances(photometry, labels, ebv=0.0, model=RAW)
    parallax = 1 / both[["distance_dwarf", "distance_giant"]].to_numpy()[0]
    found = distances(
        photometry, labels, ebv=0.0, model=RAW, parallax=parallax, parallax_err=[0.02, 0.02]
    )
    assert found["p_giant"].to_numpy() == pytest.approx([0, 1], abs=0.01)


def test_bad_stars_are_nan_with_a_flag_and_no_error():
    photometry = stars(7)
    mag, err = photometry.mag.copy(), photometry.mag_err.copy()
    mag[1], mag[2, 0], err[5] = np.nan, -9999.0, np.nan
    labels = dwarfs(7, teff=[np.nan, 5500, 5500, 5500, 1e9, 5500, -3], fe_h=-0.5)
    labels.loc[3, "fe_h"] = np.nan
    labels.loc[4, "fe_h"] = -9.0
    given = {"parallax": [np.inf, 1, 1, -0.5, 1, np.nan, 1],
             "parallax_err": [0.1, 0.1, 0.1, 0.3, -1.0, np.nan, 0.0]}  # fmt: skip
    found = distances(Photometry(photometry.bands, mag, err), labels, ebv=0.0, **given, model=RAW)
    flags = found["flags"].to_numpy()
    assert np.isnan(found["distance"][1])
    assert flags[1] & DistanceFlag.NO_DISTANCE
    assert flags[1] & DistanceFlag.NO_MAGNITUDE
    assert np.isfinite(found["distance"].drop(index=1)).all()
    assert flags[3] & DistanceFlag.NO_METALLICITY
    assert flags[4] & DistanceFlag.OFF_GRID
    assert flags[4] & DistanceFlag.BAD_PARALLAX
    assert flags[6] & DistanceFlag.BAD_PARALLAX
    assert (flags & DistanceFlag.NO_POSITION > 0).all()


def test_teff_places_a_star_without_a_colour():
    photometry = Photometry(("sdss_r", "sdss_z"), [[16.0, 15.8]], [[0.01, 0.01]])
    labels = dwarfs(1, teff=5600.0, teff_err=60.0)
    found = distances(photometry, labels, ebv=0.0, model=RAW)
    assert 4.0 < found["absolute_magnitude"][0] < 5.8
    nothing = distances(photometry, dwarfs(1), ebv=0.0, model=RAW)
    assert np.isnan(nothing["distance"][0])


def test_no_stars_at_all():
    photometry = Photometry(("sdss_g", "sdss_i"), np.empty((0, 2)), np.empty((0, 2)))
    found = distances(photometry, pd.DataFrame({"fe_h": []}))
    assert len(found) == 0
    assert "distance_giant_hi" in found


def test_parallax_and_colours_that_disagree_are_flagged():
    labels = dwarfs(2, logg=4.5, logg_err=0.1)
    true = distances(stars(1), labels[:1], ebv=0.0, model=RAW)["distance"][0]
    found = distances(stars(2), labels, ebv=0.0, model=RAW,
                      parallax=[1 / true, 12 / true], parallax_err=[0.05 / true] * 2)  # fmt: skip
    tension = found["flags"] & int(DistanceFlag.TENSION) > 0
    assert tension.tolist() == [False, True]


def test_wrong_shapes_and_options_are_said():
    with pytest.raises(DataError, match="parallax: found shape"):
        distances(stars(3), dwarfs(3), parallax=[1.0, 2.0])
    with pytest.raises(DataError, match="temperature"):
        DistanceModel(temperature="bolometer")


def test_samples_follow_the_quantiles():
    labels = dwarfs(2, p_giant=[0.0, 0.4])
    photometry = stars(2, gi=1.0)
    found = distances(photometry, labels, ebv=0.0, model=RAW)
    drawn = sample_distances(
        photometry, labels, 4000, rng=np.random.default_rng(3), ebv=0.0, model=RAW
    )
    for level, column in ((0.1587, "distance_lo"), (0.5, "distance"), (0.8413, "distance_hi")):
        below = (drawn < found[column].to_numpy()[:, None]).mean(axis=1)
        assert below == pytest.approx([level, level], abs=0.025)
    again = sample_distances(
        photometry, labels, 4000, rng=np.random.default_rng(3), ebv=0.0, model=RAW
    )
    assert np.array_equal(drawn, again)


def test_quantiles_of_a_gaussian():
    grid = np.arange(-5, 5.01, 0.1)
    weight = np.exp(-0.5 * (grid - 0.03) ** 2)[None]
    low, middle, high = (q[0] for q in quantiles(grid, weight, (0.1587, 0.5, 0.8413)))
    assert [low, middle, high] == pytest.approx([-0.97, 0.03, 1.03], abs=2e-3)
    assert np.isnan(quantiles(grid, np.zeros((1, grid.size)), (0.5,))[0])


def test_the_density_at_the_sun_and_up_the_pole():
    prior = GalacticPrior()
    distance = np.array([[0.0, 1.0, 3.0]], dtype=np.float32)
    one = np.ones(1)
    found = prior.density(distance, 0 * one, 90 * one, np.nan * one, one)[0]

    def by_hand(z):
        thin, thick = np.exp(-(z / 0.3)), 0.12 * np.exp(-(z / 0.9))
        return thin + thick + 0.0051 * (R_SUN**2 / (R_SUN**2 + (z / 0.64) ** 2)) ** (2.77 / 2)

    assert found == pytest.approx([by_hand(d + Z_SUN) for d in (0.0, 1.0, 3.0)], rel=1e-4)
    towards, away = prior.density(distance.repeat(2, 0), np.array([0.0, 180.0]), np.zeros(2),
                                  np.full(2, np.nan), np.ones(2))[:, 1]  # fmt: skip
    assert towards > 1.5 * away


def test_metal_poor_stars_belong_to_the_halo():
    prior = GalacticPrior()
    distance = np.array([[0.5, 5.0]] * 2, dtype=np.float32)
    poor, rich = prior.density(
        distance, np.full(2, 90.0), np.full(2, 60.0), np.array([-1.8, 0.0]), np.full(2, 0.1)
    )
    assert poor[1] / poor[0] > 20 * rich[1] / rich[0]


def test_the_table_is_what_direct_summation_gives():
    """Slow reference: every system of the isochrones weighed by its errors, no grid, no folding."""
    from siderea.simulate.population import isochrones
    from siderea.stellar.isochrone_stars import weighted_stars

    coordinate = COORDINATES[0]
    table = load_table(coordinate, StellarPrior(), 0.08)
    x_err, fe_h_err = coordinate.floor * 1.3**3, 0.08 * 1.4**2
    number, logg = table.folded(3, 2).look_up(np.array([0.75]), np.array([-0.63]))
    systems = weighted_stars(isochrones(), coordinate.bands(), StellarPrior())
    fe_h = isochrones().isochrones.table.fe_h[systems.fe_h_node]
    x = systems.mag[:, 1] - systems.mag[:, 2]
    weight = systems.weight * np.exp(-0.5 * ((x - 0.75) / x_err) ** 2)
    weight *= np.exp(-0.5 * ((fe_h + 0.63) / fe_h_err) ** 2)
    mean = np.average(systems.mag[:, 0], weights=weight)
    spread = np.sqrt(np.average((systems.mag[:, 0] - mean) ** 2, weights=weight))
    p = number[0] / number[0].sum()
    assert p @ table.magnitude == pytest.approx(mean, abs=0.03)
    found = np.sqrt(p @ (table.magnitude - mean) ** 2)
    assert found == pytest.approx(np.hypot(spread, 0.1), abs=0.06)
    assert p @ logg[0] == pytest.approx(np.average(systems.logg, weights=weight), abs=0.03)


def test_binaries_are_brighter_and_offsets_fainter():
    photometry, labels = stars(1, gi=0.9), dwarfs(1, logg=4.6, logg_err=0.1)
    alone = DistanceModel.of_isochrones(stars=StellarPrior(binary_fraction=0.0))
    pairs = DistanceModel.of_isochrones(stars=StellarPrior(binary_fraction=1.0))
    near, far = (distances(photometry, labels, ebv=0.0, model=m)["distance"][0]
                 for m in (alone, pairs))  # fmt: skip
    assert 1.05 < far / near < 1.42
    shifted = DistanceModel.of_isochrones(
        stars=StellarPrior(binary_fraction=0.0), temperature="teff", teff_offset=((3.7, 0.5, 0.5),)
    )
    plain = DistanceModel.of_isochrones(stars=StellarPrior(binary_fraction=0.0), temperature="teff")
    labels = labels.assign(teff=5100.0, teff_err=60.0)
    near, far = (distances(photometry, labels, ebv=0.0, model=m)["absolute_magnitude"][0]
                 for m in (plain, shifted))  # fmt: skip
    assert far - near == pytest.approx(0.5, abs=0.05)


def test_log_teff_is_a_coordinate_of_its_own():
    assert log_teff("gaia_g").bands() == ("gaia_g",)
    assert COORDINATES[2].bands() == ("gaia_g", "gaia_bp", "gaia_rp")
