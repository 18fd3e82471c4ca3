import numpy as np
import pytest
from numpy.testing import assert_allclose

from siderea.isochrones import load_default
from siderea.simulate.clump import LIFETIME, MEAN_KS, SPREAD_KS, RedClump


@pytest.fixture(scope="module")
def clump():
    return RedClump(load_default())


def beyond_the_tip(clump, age, fe_h, n=400):
    age, fe_h = np.full(n, age), np.full(n, fe_h)
    tip, last = clump.isochrones.heaviest(age, fe_h), clump.heaviest(age, fe_h)
    return tip + (last - tip) * (np.arange(n) + 0.5) / n, age, fe_h


def test_the_mean_clump_is_where_it_is_measured(clump):
    mass, age, fe_h = beyond_the_tip(clump, 5.0, 0.0)
    ks = clump.magnitudes(mass, age, fe_h, ["twomass_ks"])[:, 0]
    assert_allclose(ks.mean(), MEAN_KS, atol=0.005)
    assert_allclose(ks.std(), SPREAD_KS, rtol=0.05)
    stars = clump.stars(mass, age, fe_h)
    assert 4600 < np.median(stars.teff) < 4900
    assert 2.3 < np.median(stars.logg) < 2.6
    assert_allclose(stars.luminosity, stars.radius**2 * (stars.teff / 5772) ** 4, rtol=1e-12)


def test_clump_stars_were_at_the_tip_a_lifetime_ago(clump):
    assert_allclose(clump.heaviest(5.0, 0.0), clump.isochrones.heaviest(5.0 - LIFETIME, 0.0))
    assert_allclose(clump.heaviest(5.0, -1.5), clump.isochrones.heaviest(5.0, -1.5))
    assert np.isnan(clump.heaviest(0.5, 0.0))


def test_other_stars_are_left_alone(clump):
    mass, age, fe_h = np.array([0.8, 1.0, 1.2, 9.0]), np.full(4, 4.0), np.zeros(4)
    assert not clump.in_clump(mass, age, fe_h).any()
    theirs = clump.isochrones.stars(mass, age, fe_h)
    assert_allclose(clump.stars(mass, age, fe_h).teff, theirs.teff)
    assert np.isnan(clump.stars(mass, age, fe_h).teff[-1])
    bands = ["sdss_r"]
    assert_allclose(
        clump.magnitudes(mass, age, fe_h, bands),
        clump.isochrones.magnitudes(mass, age, fe_h, bands),
    )


def test_metal_rich_clump_stars_are_cooler(clump):
    poor, rich = (clump.stars(*beyond_the_tip(clump, 5.0, fe_h)).teff[0] for fe_h in (-0.5, 0.3))
    assert poor > rich + 100
