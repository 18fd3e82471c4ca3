"""Temperature of the companion by the depths of the eclipses."""

import numpy as np
import pytest

from siderea.lightcurves.temperatures import companion_temperature
from siderea.simulate.eclipses import sphere_flux
from siderea.simulate.roche import planck


@pytest.mark.parametrize("teff_2", [3500.0, 5000.0, 6000.0])
def test_depths_of_two_spheres_give_the_temperature_back(teff_2):
    radius, limb = (0.06, 0.05), ((0.0, 0.0), (0.0, 0.0))
    light = tuple(float(planck(t) * r**2) for t, r in zip((6000.0, teff_2), radius, strict=True))
    at = np.array([np.pi / 2, np.pi, 3 * np.pi / 2])  # behind, beside, before
    flux = sphere_flux(at, radius=radius, light=light, limb=limb, inclination=90.0)
    depth = flux[1] - flux[[0, 2]]
    found = companion_temperature(6000.0, *depth)
    assert found == pytest.approx(teff_2, rel=0.01)


def test_missing_depths_give_nan():
    found = companion_temperature([6000.0, np.nan, 6000.0], [0.3, 0.3, 0.3], [np.nan, 0.1, 0.0])
    assert np.isnan(found).all()
