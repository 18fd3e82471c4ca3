"""Chains of four parabolas: derivatives, continuity, recovery."""

import numpy as np
import torch

from siderea.lightcurves.polyfit import chain, fit
from siderea.lightcurves.quality import LightCurveFlag

THETA = torch.tensor(
    [[0.1, 0.2, 0.55, 0.7, 1.0, 1.01, 0.99, 1.02, -0.4, 0.02, -0.2, 0.01]], dtype=torch.float64
)


def test_derivatives_are_those_of_the_chain():
    phase = torch.rand((1, 80), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    numeric = torch.autograd.functional.jacobian(lambda t: chain(t, phase)[0][0], THETA)[:, 0]
    torch.testing.assert_close(chain(THETA, phase)[1][0].T, numeric)


def test_a_chain_is_continuous_and_closed():
    for knot in (0.1, 0.2, 0.55, 0.7):
        sides = torch.tensor([[knot - 1e-9, knot + 1e-9, knot + 1.0]], dtype=torch.float64)
        flux = chain(THETA, sides)[0][0]
        assert float(torch.ptp(flux) if hasattr(torch, "ptp") else flux.max() - flux.min()) < 1e-6


def test_a_chain_comes_back():
    rng = np.random.default_rng(0)
    phase = np.sort(rng.random(800))
    truth = chain(THETA, torch.from_numpy(phase)[None])[0][0].numpy()
    found = fit(phase, truth + 0.002 * rng.standard_normal(800), 0.002)
    grid = np.linspace(0, 1, 200)
    expected = chain(THETA, torch.from_numpy(grid)[None])[0][0].numpy()
    np.testing.assert_allclose(found.curve(grid)[0], expected, atol=0.004)
    assert found.chi2[0] < 900
    position, flux, width = found.minima()
    np.testing.assert_allclose(position[0], [0.15, 0.63], atol=0.01)
    np.testing.assert_allclose(width[0], [0.1, 0.15], atol=0.01)
    assert flux[0, 0] < flux[0, 1]


def test_a_wave_has_minima_a_quarter_wide():
    phase = np.linspace(0, 1, 300, endpoint=False)
    found = fit(phase, 1 - 0.05 * np.cos(4 * np.pi * (phase - 0.2)), 0.001)
    position, _, width = found.minima()
    np.testing.assert_allclose(np.sort(position[0]), [0.2, 0.7], atol=0.01)
    np.testing.assert_allclose(width[0], 0.25, atol=0.02)


def test_too_few_points_are_flagged():
    found = fit([[0.1, 0.2, 0.3]], [[1.0, 0.9, 1.0]], 0.1)
    assert LightCurveFlag.TOO_FEW in LightCurveFlag(int(found.flags[0]))
    assert np.isnan(found.curve([0.5])).all()
