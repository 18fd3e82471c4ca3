"""The truth table holds the distributions that were asked for, and a limit changes them as it must.

Tests of goodness of fit are on draws of fixed seeds; p > .001 is asked for.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from siderea.simulate.components import MILKY_WAY, THIN_DISC
from siderea.simulate.galaxy_model import DustDisc
from siderea.simulate.multiplicity import multiple_fraction
from siderea.simulate.population import Survey, SurveySettings, sampler
from siderea.simulate.selection import NO_SELECTION, v_jk

ENOUGH = 1e-3
EVERYTHING = SurveySettings(selection=NO_SELECTION, ranges=(), bands=("gaia_g",))


@pytest.fixture(scope="module")
def everyone():
    return Survey(16_384, seed=1, settings=EVERYTHING).stars()


@pytest.fixture(scope="module")
def limited():
    return Survey(8_192, seed=1, settings=SurveySettings(bands=("gaia_g",))).stars()


def test_binary_fraction_by_mass(everyone):
    edges = np.array([0.14, 0.2, 0.3, 0.45, 0.7, 1.0, 2.5])
    chi2 = 0.0
    for low, high in pairwise(edges):
        inside = everyone[everyone["mass"].between(low, high)]
        expected = multiple_fraction(inside["mass"])
        found = (inside["n_stars"] > 1).sum()
        chi2 += (found - expected.sum()) ** 2 / (expected * (1 - expected)).sum()
    assert stats.chi2.sf(chi2, edges.size - 1) > ENOUGH


def test_share_of_triples(everyone):
    multiple = everyone[everyone["n_stars"] > 1]
    triples = (multiple["n_stars"] == 3).sum()
    assert stats.binomtest(int(triples), len(multiple), 0.25).pvalue > ENOUGH


def test_periods(everyone):
    pairs = everyone[everyone["n_stars"] == 2]
    expected = stats.truncnorm(-4.8 / 2.3, 4.76 / 2.3, loc=4.8, scale=2.3)
    assert stats.kstest(np.log10(pairs["period"]), expected.cdf).pvalue > ENOUGH


def test_orbits_are_oriented_at_random(everyone):
    pairs = everyone[everyone["n_stars"] > 1]
    cosine = np.cos(np.deg2rad(pairs["inclination"]))
    assert stats.kstest(cosine, stats.uniform(-1, 2).cdf).pvalue > ENOUGH
    assert stats.kstest(pairs["phase"], stats.uniform.cdf).pvalue > ENOUGH
    assert stats.kstest(pairs["arg_periastron"] / 360, stats.uniform.cdf).pvalue > ENOUGH


def test_mass_ratios_of_solar_pairs(everyone):
    pairs = everyone[(everyone["n_stars"] == 2) & everyone["mass"].between(0.8, 1.2)]
    log_p, mass = np.log10(pairs["period"].to_numpy()), pairs["mass"].to_numpy()
    assert len(pairs) > 300
    # the mixture's own cumulative distribution, by quadrature over every pair
    edges = np.linspace(0.1, 1.0, 7)
    grid = np.linspace(0.1, 1.0, 3601)
    steep = -0.5 - 0.3 * np.clip(log_p - 5, 0, 3)[:, None]
    shape = np.where(grid < 0.3, (grid / 0.3) ** 0.3, (grid / 0.3) ** steep)
    shape[grid[None] < 0.1 / mass[:, None]] = 0
    above = np.trapezoid(np.where(grid >= 0.3, shape, 0), grid, axis=1)
    twins = (0.30 - 0.15 * np.log10(mass)) * np.clip((8 - mass - log_p) / (7 - mass), 0, 1)
    excess = above * twins / (1 - twins) / 0.05
    shape += np.where(grid > 0.95, excess[:, None], 0)
    shape /= np.trapezoid(shape, grid, axis=1)[:, None]
    cumulative = np.cumsum(shape.sum(0)) * (grid[1] - grid[0])
    expected = np.diff(np.interp(edges, grid, cumulative))
    found = np.histogram(pairs["q"], edges)[0]
    assert stats.chisquare(found, expected * found.sum() / expected.sum()).pvalue > ENOUGH


def test_eccentricities(everyone):
    pairs = everyone[everyone["n_stars"] == 2]
    short = pairs["period"] < 10
    assert (pairs.loc[short, "eccentricity"] == 0).all()
    log_p = np.log10(pairs.loc[~short, "period"])
    largest = 1 - (10**log_p / 2) ** (-2 / 3)
    slope = 0.6 - 0.7 / (log_p - 0.5)
    u = (pairs.loc[~short, "eccentricity"] / largest) ** (1 + slope)
    assert stats.kstest(u, stats.uniform.cdf).pvalue > ENOUGH


def test_a_magnitude_limit_takes_twins_from_its_larger_volume(everyone, limited):
    """A twin, .75 mag brighter, is seen as often as its volume is larger (Öpik 1923)."""

    def counts(table):
        solar = table[table["mass"].between(0.8, 1.2) & (table["logg"] > 4)]
        return solar[solar["n_stars"] == 1], solar[(solar["n_stars"] == 2) & (solar["q"] > 0.95)]

    singles, twins = counts(everyone)
    seen_singles, seen_twins = counts(limited)
    source = sampler(SurveySettings(bands=("gaia_g",)))
    columns = {name: seen_singles[name].to_numpy() for name in ("mass", "age", "fe_h")}
    j, k = source.isochrones.magnitudes(*columns.values(), ["twomass_j", "twomass_ks"]).T
    names = [component.name for component in MILKY_WAY]
    component = np.array([names.index(name) for name in seen_singles["population"]])
    magnitude = v_jk(j, k)
    one, two = (
        source.sightlines.volume(component, magnitude - brighter)
        for brighter in (0.0, 2.5 * np.log10(2))
    )
    gain = (two / one).mean()
    assert gain > 1.2
    expected = len(twins) / len(singles) * gain
    error = expected * np.sqrt(1 / len(twins) + 1 / len(seen_twins))
    assert abs(len(seen_twins) / len(seen_singles) - expected) < 3 * error
    # and so multiples are more common among the seen
    shares = [(t["n_stars"] > 1)[t["mass"].between(0.8, 1.2)].mean() for t in (everyone, limited)]
    assert shares[1] > shares[0]


def test_the_limited_draw_is_the_unlimited_one_with_the_faint_left_out():
    """Rejection over strata against brute force: draw everything nearby, keep what is bright."""
    near = replace(
        NO_SELECTION, distance=(0.01, 0.2), n_fields=40, band="gaia_g", magnitude=(-np.inf, np.inf)
    )
    settings = SurveySettings(
        selection=near,
        ranges=(),
        components=(THIN_DISC,),
        dust=DustDisc(local=0.5),
        bands=("gaia_g",),
    )
    brute = Survey(30_720, seed=3, settings=settings).stars()
    brute = brute[brute["mag_gaia_g"].between(8.0, 12.5)]
    cut = replace(settings, selection=replace(near, magnitude=(8.0, 12.5)))
    direct = Survey(4096, seed=4, settings=cut).stars()
    assert len(brute) > 1000
    names = ("mass", "logg", "distance", "mag_gaia_g", "age", "fe_h", "b")
    p = {name: stats.ks_2samp(brute[name], direct[name]).pvalue for name in names}
    counts = [[(t["n_stars"] == k).sum() for k in (1, 2, 3)] for t in (brute, direct)]
    p["n_stars"] = stats.chi2_contingency(counts).pvalue
    assert min(p.values()) > ENOUGH / len(p), p  # one of eight comparisons may be the worst
