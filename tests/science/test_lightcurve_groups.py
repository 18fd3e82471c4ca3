"""Groups of light curves hold when a sample grows: a string of detached binaries is not lost."""

import numpy as np
import pytest

from siderea.lightcurves.classes import PHASES, agreement, classify

KINDS = np.array(["detached", "wave", "rounded"])


def sample(n, rng):
    """Draw eclipses of any width, depth ratio and place; waves; and waves with narrow minima."""
    kind = rng.choice(3, n, p=(0.6, 0.2, 0.2))
    width = 10 ** rng.uniform(-2.4, -1.2, n)
    other, at = rng.uniform(0, 1, n), np.where(rng.random(n) < 0.3, rng.uniform(0.3, 0.7, n), 0.5)
    curves = np.ones((n, len(PHASES)))
    for row in range(n):
        first = np.abs((PHASES + 0.5) % 1 - 0.5)
        second = np.abs((PHASES - at[row] + 0.5) % 1 - 0.5)
        wave = 0.5 + 0.5 * np.cos(4 * np.pi * PHASES)
        if kind[row] == 0:
            dips = (np.exp(-0.5 * (off / width[row]) ** 2) for off in (first, second))
            shape = next(dips) + other[row] * next(dips)
        elif kind[row] == 1:
            shape = wave * (1 - 0.1 * other[row] * (first > 0.25))
        else:
            shape = wave**2 * (1 - 0.4 * other[row] * (first > 0.25))
        curves[row] -= 0.02 * 10 ** rng.uniform(0, 1.3) * shape
    return curves, KINDS[kind]


@pytest.mark.parametrize("n", [400, 3000])
def test_kinds_are_found_at_any_size(n):
    curves, kind = sample(n, np.random.default_rng(n))
    found = classify(curves, position=np.zeros(n))
    assert np.all(found.group >= 0)
    assert found.n_groups <= 20
    table = agreement(found.group, kind).set_index("kind")
    assert (table["purity"] > 0.95).all()
    assert (table["completeness"] > 0.93).all()
