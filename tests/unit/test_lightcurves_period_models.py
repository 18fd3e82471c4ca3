"""Half or twice the period of series with few points."""

import numpy as np
import pytest

from siderea.data import LightCurve
from siderea.errors import DataError
from siderea.lightcurves.period_models import wrong_periods
from siderea.lightcurves.quality import LightCurveFlag

PERIOD = 1.7


def sparse(depths, seed, *, n=80, tide=0.0, width=0.04):
    """Gaia-like: few points at any time."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(57000, 58800, n))
    phase = time / PERIOD % 1
    flux = 1 - tide * np.cos(4 * np.pi * phase)
    for depth, at in zip(depths, (0.0, 0.5), strict=True):
        flux -= depth * np.exp(-0.5 * (((phase - at + 0.5) % 1 - 0.5) / width) ** 2)
    return LightCurve(time, flux + 0.005 * rng.standard_normal(n), np.full(n, 0.005))


CURVES = [sparse((0.4, 0.15), k) for k in range(6)] + [
    sparse((0.0, 0.0), k, tide=0.08) for k in range(6)
]


@pytest.mark.parametrize(
    ("factor", "flag"), [(0.5, "HALF_PERIOD"), (1, "NONE"), (2, "DOUBLE_PERIOD")]
)
def test_most_wrong_periods_are_known_and_right_ones_are_left(factor, flag):
    found = wrong_periods(CURVES, np.full(len(CURVES), factor * PERIOD))
    assert np.mean(found == int(LightCurveFlag[flag])) >= (1.0 if factor == 1 else 0.8)


def test_five_points_tell_nothing():
    few = sparse((0.4, 0.15), 0, n=5)
    assert list(wrong_periods([few], [PERIOD])) == [int(LightCurveFlag.TOO_FEW)]
    assert wrong_periods([], []).size == 0


def test_periods_that_are_none_are_refused():
    with pytest.raises(DataError, match="periods"):
        wrong_periods(CURVES[:2], [PERIOD, np.nan])
    with pytest.raises(DataError, match="periods"):
        wrong_periods(CURVES[:2], [PERIOD])
