import numpy as np
import pytest
from scipy import stats

from siderea.simulate.multiplicity import (
    MultiplicityLaw,
    detached,
    draw_companions,
    eccentricities,
    mass_ratios,
    multiple_fraction,
    periods,
    twin_fraction,
)
from siderea.simulate.orbits import semi_major_axis, stable_ratio

N = 20_000
ENOUGH = 1e-3  # the p below which a draw from a fixed seed would be called wrong


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_periods_are_the_truncated_log_normal(rng):
    law = MultiplicityLaw()
    drawn = periods(N, law, rng)
    low, high = (np.array(law.log_period_range) - 4.8) / 2.3
    expected = stats.truncnorm(low, high, loc=4.8, scale=2.3)
    assert stats.kstest(drawn, expected.cdf).pvalue > ENOUGH
    assert drawn.min() >= 0.0
    assert drawn.max() <= 9.56


@pytest.mark.parametrize(("log_period", "mass"), [(1.5, 1.0), (4.8, 1.3), (7.0, 0.6)])
def test_mass_ratios_follow_the_broken_power_law_with_twins(rng, log_period, mass):
    q = np.linspace(max(0.1, 0.1 / mass), 1, 20_001)
    steep = -0.5 - 0.3 * max(log_period - 5, 0)
    shape = np.where(q < 0.3, (q / 0.3) ** 0.3, (q / 0.3) ** steep)
    above = np.trapezoid(np.where(q >= 0.3, shape, 0), q)
    twins = twin_fraction(log_period, mass)
    shape = shape + np.where(q > 0.95, above * twins / (1 - twins) / 0.05, 0)
    cdf = np.concatenate([[0], np.cumsum(0.5 * (shape[1:] + shape[:-1]) * np.diff(q))])
    drawn = mass_ratios(np.full(N, log_period), np.full(N, mass), rng)
    assert stats.kstest(drawn, lambda x: np.interp(x, q, cdf / cdf[-1])).pvalue > ENOUGH


def test_twins_belong_to_short_periods():
    assert twin_fraction(0.5, 1.0) == pytest.approx(0.30)
    assert twin_fraction(4.0, 1.0) == pytest.approx(0.15)
    assert twin_fraction(7.5, 1.0) == 0.0


def test_short_orbits_are_circular_and_long_ones_follow_a_power_law(rng):
    assert (eccentricities(np.full(100, 0.9), rng) == 0).all()
    log_period = 5.0
    largest, slope = 1 - (10**log_period / 2) ** (-2 / 3), 0.6 - 0.7 / 4.5
    drawn = eccentricities(np.full(N, log_period), rng)
    assert stats.kstest(drawn, lambda e: np.clip(e / largest, 0, 1) ** (1 + slope)).pvalue > ENOUGH


def test_fraction_rises_with_mass_and_is_raghavans_at_one():
    assert multiple_fraction(1.0) == pytest.approx(0.44)
    assert (np.diff(multiple_fraction(np.geomspace(0.1, 5, 30))) > 0).all()


def test_counts_of_stars_are_those_asked_for(rng):
    drawn = draw_companions(np.full(N, 1.0), MultiplicityLaw(fraction=0.3), rng)
    counts = np.bincount(drawn.n_stars, minlength=4)[1:]
    expected = N * np.array([0.7, 0.3 * 0.75, 0.3 * 0.25])
    assert stats.chisquare(counts, expected).pvalue > ENOUGH


def test_triples_are_hierarchical_and_stable(rng):
    mass = rng.uniform(0.5, 1.5, N)
    drawn = draw_companions(mass, MultiplicityLaw(fraction=1.0, triple_share=1.0), rng)
    assert drawn.stable.mean() > 0.999
    rows = drawn.stable
    pair = (mass + drawn.mass_2)[rows]
    inner = semi_major_axis(drawn.period[rows], pair)
    outer = semi_major_axis(drawn.period_outer[rows], pair + drawn.mass_3[rows])
    least = stable_ratio(drawn.mass_3[rows] / pair, drawn.eccentricity_outer[rows])
    assert (outer / inner > least).all()
    assert (drawn.mass_3 <= mass).all()


def test_single_stars_have_no_orbit(rng):
    drawn = draw_companions(np.full(100, 1.0), MultiplicityLaw(fraction=0.0), rng)
    for name in ("mass_2", "mass_3", "period", "eccentricity", "period_outer"):
        assert np.isnan(getattr(drawn, name)).all()


def test_contact_is_found_at_periastron():
    # Two Suns: each lobe is .379 a; a = 4.208 2^⅓ P^⅔ R☉, contact at P = .35 d.
    pairs = {
        "mass": np.ones(4),
        "mass_2": np.ones(4),
        "radius": np.ones(4),
        "radius_2": np.array([1.0, 1.0, 1.0, np.nan]),
        "period": np.array([0.3, 0.4, 0.4, 0.4]),
        "eccentricity": np.array([0.0, 0.0, 0.2, 0.0]),
    }
    assert detached(pairs).tolist() == [False, True, False, True]
