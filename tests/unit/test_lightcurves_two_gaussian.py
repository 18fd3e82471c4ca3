"""The two-Gaussian family: exact derivatives, recovery, the choice of a model, every flag."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from siderea.errors import DataError
from siderea.lightcurves.gaussian_family import FAMILY, Points, quadratic, values
from siderea.lightcurves.quality import LightCurveFlag, describe
from siderea.lightcurves.two_gaussian import WIDTH_IN_SIGMA, fit

RNG = np.random.default_rng(7)


def bell(phase, mu, sigma):
    off = (phase - mu + 0.5) % 1 - 0.5
    return sum(np.exp(-0.5 * ((off + k) / sigma) ** 2) for k in (-2, -1, 0, 1, 2))


def binary(phase, *, depths=(0.3, 0.2), at=(0.1, 0.62), sigma=(0.01, 0.012), tide=0.0, tied=0):
    flux = np.ones_like(phase)
    for depth, mu, width in zip(depths, at, sigma, strict=True):
        flux -= depth * bell(phase, mu, width)
    return flux - 0.5 * tide * np.cos(4 * np.pi * (phase - at[tied]))


def noisy(n=400, error=0.002, seed=1, **options):
    rng = np.random.default_rng(seed)
    phase = np.sort(rng.random(n))
    flux = binary(phase, **options) + error * rng.standard_normal(n)
    return phase, flux, np.full(n, error)


def example(model):
    theta = [1.0]
    theta += [0.2, 0.3, 0.02] if model.eclipses > 0 else []
    theta += [0.75, 0.1, 0.11] if model.eclipses > 1 else []
    theta += [0.3] if model.name == "CE" else []
    theta += [0.07] if model.tide is not None else []
    return torch.tensor([theta], dtype=torch.float64)


@pytest.mark.parametrize("model", FAMILY, ids=lambda model: model.name)
def test_derivatives_are_those_of_the_model(model):
    theta = example(model)
    phase = torch.rand((1, 60), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    points = Points(phase, torch.rand_like(phase), torch.rand_like(phase) + 0.5)
    step = 1e-6 * torch.eye(model.size, dtype=torch.float64)
    many = phase.expand(model.size, -1)
    jacobian = (values(model, theta + step, many) - values(model, theta - step, many)).T / 2e-6
    residual = points.flux[0] - values(model, theta, phase)[0]
    ours = quadratic(model, theta, points)
    weighted = jacobian * points.weight[0][:, None]
    torch.testing.assert_close(ours.normal[0], weighted.T @ jacobian, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.gradient[0], weighted.T @ residual, rtol=1e-6, atol=1e-6)
    assert theta.shape[1] == model.size


def test_the_family_is_periodic_and_as_written():
    theta = example(FAMILY[5])
    phase = torch.linspace(0, 1, 101, dtype=torch.float64)[None]
    slow = 1 - 0.3 * bell(phase.numpy(), 0.2, 0.02) - 0.1 * bell(phase.numpy(), 0.75, 0.11)
    slow -= 0.5 * 0.07 * np.cos(4 * np.pi * (phase.numpy() - 0.2))
    np.testing.assert_allclose(values(FAMILY[5], theta, phase).numpy(), slow, atol=1e-9)
    np.testing.assert_allclose(values(FAMILY[5], theta, phase + 3).numpy(), slow, atol=1e-9)


CASES = {
    "C": {"depths": (0.0, 0.0)},
    "CE": {"depths": (0.0, 0.0), "tide": 0.05},
    "CG": {"depths": (0.3, 0.0)},
    "CGE": {"depths": (0.3, 0.0), "tide": 0.05},
    "CG12": {},
    "CG12E1": {"tide": 0.05},
    "CG12E2": {"tide": 0.05, "tied": 1},
}


@pytest.mark.parametrize("n", [150, 1000])
@pytest.mark.parametrize("name", CASES)
def test_each_member_is_recognised(name, n):
    found = fit(*noisy(n, **CASES[name], sigma=(0.02, 0.025)))
    assert found.model[0] == name
    if name.startswith("CG12"):
        assert found.separation[0] == pytest.approx(0.52, abs=5 * found.separation_err[0])
        assert found.depth_1[0] == pytest.approx(0.3, abs=0.01)
        assert found.width_2[0] == pytest.approx(WIDTH_IN_SIGMA * 0.025, rel=0.1)
    if "E" in name:
        assert found.amplitude[0] == pytest.approx(0.05, rel=0.1)


def test_errors_are_honest():
    n = 200
    curves = [noisy(200, 0.005, seed=seed, sigma=(0.02, 0.02)) for seed in range(n)]
    found = fit(*zip(*curves, strict=True))
    both = found.n_eclipses == 2
    assert both.mean() > 0.98
    for value, error, truth in (
        (found.separation, found.separation_err, 0.52),
        (found.depth_1, found.depth_1_err, 0.3),
        (found.sigma_2, found.sigma_2_err, 0.02),
        (found.constant, found.constant_err, 1.0),
    ):
        pull = ((value - truth) / error)[both]
        assert pull.std() == pytest.approx(1, abs=0.2)
        assert abs(pull.mean()) < 0.3


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 1), st.integers(-3, 3), st.floats(0.1, 100))
def test_phase_origin_and_unit_of_flux_do_not_matter(shift, turns, unit):
    phase, flux, error = noisy(300, seed=3)
    plain = fit(phase, flux, error)
    moved = fit(phase + shift + turns, unit * flux, unit * error)
    assert moved.model[0] == plain.model[0]
    assert moved.separation[0] == pytest.approx(plain.separation[0], abs=3e-5)
    apart = (moved.position_1[0] - plain.position_1[0] - shift + 0.5) % 1 - 0.5
    assert apart == pytest.approx(0, abs=3e-5)
    assert moved.depth_1[0] == pytest.approx(unit * plain.depth_1[0], rel=1e-3)


def test_a_curve_is_fitted_the_same_alone_and_among_many():
    curves = [noisy(n, seed=n) for n in (60, 400, 90, 1500)]
    together = fit(*zip(*curves, strict=True))
    for row, curve in enumerate(curves):
        alone = fit(*curve)
        assert together.model[row] == alone.model[0]
        assert together.separation[row] == pytest.approx(alone.separation[0], abs=1e-7)


def test_a_long_curve_ends_at_the_minimum_of_all_its_points():
    phase, flux, error = noisy(1500, 0.0005, sigma=(0.02, 0.03), tide=0.04)
    found = fit(phase, flux, error)
    model = next(one for one in FAMILY if one.name == found.model[0])

    def residual(theta):
        row = torch.from_numpy(theta[None])
        return (flux - values(model, row, torch.from_numpy(phase[None])).numpy()[0]) / error

    start = np.array([1.0, 0.1, 0.3, 0.02, 0.62, 0.2, 0.03, 0.04])
    best = least_squares(residual, start, xtol=1e-12, ftol=1e-12)
    assert found.chi2[0] == pytest.approx(2 * best.cost, abs=0.05)
    apart = found.separation[0] - (best.x[4] - best.x[1])
    assert abs(apart) < 0.1 * found.separation_err[0]


def test_the_deeper_eclipse_is_the_first():
    found = fit(*noisy(500, depths=(0.1, 0.4)))
    assert found.position_1[0] == pytest.approx(0.62, abs=0.001)
    assert found.separation[0] == pytest.approx(0.48, abs=0.001)


def test_the_ellipsoidal_term_goes_with_its_eclipse_when_they_are_sorted():
    options = {"at": (0.1, 0.7), "tide": 0.08, "sigma": (0.02, 0.02)}
    found = fit(*noisy(800, depths=(0.1, 0.3), tied=0, **options))
    assert found.model[0] == "CG12E2"
    assert found.position_e[0] == pytest.approx(0.1, abs=0.005)


def test_eccentric_orbits_give_e_cos_omega():
    found = fit(*noisy(1000, at=(0.0, 0.6), sigma=(0.01, 0.01)))
    assert found.e_cos_omega[0] == pytest.approx(np.pi / 2 * 0.1, abs=0.004)
    assert found.e_cos_omega_err[0] < 0.01


def test_many_of_one_length_come_as_arrays():
    phase, flux, error = noisy(200)
    found = fit(phase, np.stack([flux, flux[::-1]]), np.stack([error, error]))
    assert len(found) == 2
    assert found.curve(np.linspace(0, 1, 7)).shape == (2, 7)
    table = found.table()
    assert len(table) == 2
    assert {"separation", "model", "bic_cg12e1", "flags", "depth_1_err"} <= set(table)


# ------------------------------------------------------------------------ what can be wrong


def flags_of(*curve):
    return LightCurveFlag(int(fit(*curve).flags[0]))


def test_a_flat_curve_is_flagged():
    found = flags_of(*noisy(300, depths=(0.0, 0.0)))
    assert LightCurveFlag.FLAT in found


def test_one_eclipse_is_flagged_and_has_no_separation():
    curve = noisy(300, depths=(0.3, 0.0))
    assert LightCurveFlag.ONE_ECLIPSE in flags_of(*curve)
    assert np.isnan(fit(*curve).separation[0])
    assert np.isnan(fit(*curve).e_cos_omega[0])


def test_a_gap_over_an_eclipse_is_flagged():
    phase, flux, error = noisy(1000)
    keep = np.abs(phase - 0.62) > 0.05
    found = flags_of(phase[keep], flux[keep], error[keep])
    assert LightCurveFlag.GAP in found
    assert LightCurveFlag.ONE_ECLIPSE in found
    assert LightCurveFlag.GAP not in flags_of(phase, flux, error)


def test_a_gap_over_the_only_eclipse_is_flagged():
    phase, flux, error = noisy(1000, depths=(0.3, 0.0))
    keep = np.abs(phase - 0.1) > 0.06
    found = flags_of(phase[keep], flux[keep], error[keep])
    assert LightCurveFlag.GAP in found
    assert LightCurveFlag.FLAT in found
    assert LightCurveFlag.GAP not in flags_of(*noisy(1000, depths=(0.0, 0.0)))


def test_half_the_period_is_flagged():
    phase, flux, error = noisy(1500, depths=(0.4, 0.15), at=(0.0, 0.5), sigma=(0.01, 0.01))
    order = np.argsort(2 * phase % 1)
    folded = flags_of((2 * phase % 1)[order], flux[order], error)
    assert LightCurveFlag.HALF_PERIOD in folded
    assert LightCurveFlag.HALF_PERIOD not in flags_of(phase, flux, error)


def test_twice_the_period_is_flagged():
    phase, flux, error = noisy(1000, depths=(0.3, 0.1), at=(0.0, 0.5), sigma=(0.02, 0.02))
    long = np.concatenate((phase / 2, phase / 2 + 0.5))
    _, other, _ = noisy(1000, depths=(0.3, 0.1), at=(0.0, 0.5), sigma=(0.02, 0.02), seed=1)
    fluxes = np.concatenate((flux, other + 0.002 * RNG.standard_normal(1000)))
    found = flags_of(long, fluxes, np.full(2000, 0.003))
    assert LightCurveFlag.DOUBLE_PERIOD in found
    assert LightCurveFlag.DOUBLE_PERIOD not in flags_of(phase, flux, error)


def test_points_that_are_not_numbers_are_left_out():
    phase, flux, error = noisy(400)
    flux[::7], error[5] = np.nan, 0.0
    found = fit(phase, flux, error)
    assert LightCurveFlag.NON_FINITE in LightCurveFlag(int(found.flags[0]))
    assert LightCurveFlag.BAD_ERROR in LightCurveFlag(int(found.flags[0]))
    assert found.separation[0] == pytest.approx(0.52, abs=0.001)
    assert found.n_points[0] == 400 - 58 - 1


@pytest.mark.parametrize("n", [0, 1, 5])
def test_five_points_are_too_few(n):
    phase, flux, error = (column[:n] for column in noisy(50))
    found = fit(phase, flux, error)
    assert LightCurveFlag.TOO_FEW in LightCurveFlag(int(found.flags[0]))
    assert found.model[0] == "C"
    assert np.isfinite(found.constant[0]) == (n > 0)


def test_nothing_but_nan_kills_no_batch():
    good, bad = noisy(100), (np.linspace(0, 1, 100), np.full(100, np.nan), np.full(100, 0.1))
    found = fit([good[0], bad[0]], [good[1], bad[1]], [good[2], bad[2]])
    assert found.model.tolist() == ["CG12", "C"]
    assert np.isfinite(found.curve([0.2])[0, 0])


def test_a_constant_without_noise_is_flat():
    found = fit(np.linspace(0, 1, 100, endpoint=False), np.ones(100), 0.01)
    assert LightCurveFlag.FLAT in LightCurveFlag(int(found.flags[0]))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="unequal"):
        fit([0.1, 0.2], [1.0], [0.1])
    with pytest.raises(DataError, match="shape"):
        fit(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), 0.1)


def test_flags_are_spelt_out():
    assert describe(LightCurveFlag.FLAT | LightCurveFlag.GAP) == "FLAT|GAP"
    assert describe(0) == ""


def test_unknown_names_are_no_parameters():
    with pytest.raises(AttributeError):
        _ = fit(*noisy(50)).depth_3
