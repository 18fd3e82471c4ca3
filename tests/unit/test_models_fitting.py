import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.data import Spectra
from siderea.errors import DataError, MediumError
from siderea.flags import FitFlag
from siderea.models import velocity_grid
from siderea.models.composite import Binary, Single
from siderea.models.epochs import SB1, SB2
from siderea.models.fitting import fit
from siderea.models.levenberg_marquardt import Quadratic, minimise
from siderea.models.objective import Objective
from siderea.models.renormalise import PseudoContinuum
from siderea.models.schematic import SchematicModel
from siderea.models.velocity_grid import SearchGrid, momentum_line, pair_power, single_power

PLACES = np.concatenate([np.arange(500), np.arange(560, 1000)])
WAVELENGTH = 6500.0 * np.exp(1.5e-5 * PLACES)
ARMS = (slice(0, 500), slice(500, 940))
PIXELS = np.random.default_rng(5).random(WAVELENGTH.size) < 0.4
SIGMA = 0.005


@pytest.fixture(scope="module")
def model():
    return SchematicModel(WAVELENGTH, arms=ARMS)


@pytest.fixture(scope="module")
def continuum():
    return PseudoContinuum(ARMS, PIXELS, 4)


def observed(composite, theta, *, seed=0, sigma=SIGMA, **options):
    flux = np.atleast_2d(composite.predict(theta))
    flux = flux.reshape(-1, flux.shape[-1])
    noise = np.random.default_rng(seed).normal(0, sigma, flux.shape)
    ivar = np.full(flux.shape, sigma**-2)
    return Spectra(composite.wavelength, flux + noise, ivar, "vacuum", arms=ARMS, **options)


SUN = [5800.0, 4.4, 0.0, 6.0, 21.0]


@pytest.mark.parametrize("with_continuum", [False, True])
@pytest.mark.parametrize("kernel", ["linear", "cubic"])
def test_gradient_is_that_of_chi2(model, continuum, with_continuum, kernel):
    composites = [
        (Single, SUN),
        (Binary, [5800.0, 4.4, 0.0, 0.8, 6.0, 9.0, -31.0, 43.0]),
    ]
    for kind, theta in composites:
        composite = kind(model, continuum=continuum if with_continuum else None, kernel=kernel)
        spectra = observed(composite, theta)
        arrays = spectra.flux[:, None] + 0.01, spectra.ivar[:, None]
        options = {"dtype": torch.float64, "device": torch.device("cpu")}
        objective = Objective(composite, WAVELENGTH, *arrays, **options)
        at, row = torch.tensor([theta], dtype=torch.float64), torch.tensor([0])
        here = objective(at, row)
        assert objective.value(at, row).item() == pytest.approx(here.chi2.item(), rel=1e-12)
        for i, size in enumerate(np.diff(composite.label_range).ravel()):
            step = torch.zeros_like(at)
            step[0, i] = 1e-6 * size
            up, down = objective(at + step, row).chi2, objective(at - step, row).chi2
            numeric = -(up - down).item() / (4e-6 * size)
            assert here.gradient[0, i].item() == pytest.approx(numeric, rel=2e-4)


def test_normal_matrix_is_that_of_finite_differences(model, continuum):
    composite = Binary(model, continuum=continuum)
    theta = np.array([5800.0, 4.4, 0.0, 0.8, 6.0, 9.0, -31.0, 43.0])
    steps = 1e-6 * np.diff(composite.label_range).ravel()
    columns = [
        (composite.predict(theta + s) - composite.predict(theta - s))[0] / (2 * s[i])
        for i, s in enumerate(np.diag(steps))
    ]
    expected = np.array(columns) @ np.array(columns).T / SIGMA**2
    spectra = observed(composite, theta)
    options = {"dtype": torch.float64, "device": torch.device("cpu")}
    objective = Objective(
        composite, WAVELENGTH, spectra.flux[:, None], spectra.ivar[:, None], **options
    )
    found = objective(torch.tensor(theta[None]), torch.tensor([0])).normal[0].numpy()
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)


def test_single_star_is_found(model, continuum):
    single = Single(model, continuum)
    truth = np.array([SUN, [5000.0, 4.6, -0.5, 20.0, -150.0], [6800.0, 4.0, 0.2, 3.0, 240.0]])
    result = fit(observed(single, truth), single)
    assert (result.flags == 0).all()
    assert (result.n_pixels == WAVELENGTH.size).all()
    assert (np.abs(result.labels - truth) < 5 * result.errors).all()
    assert (result.chi2 < WAVELENGTH.size + 6 * np.sqrt(2 * WAVELENGTH.size)).all()


def test_model_alone_is_a_single_star(model):
    result = fit(observed(Single(model), SUN), model)
    assert result.label_names == Single(model).label_names
    assert (np.abs(result.labels[0] - SUN) < 5 * result.errors[0]).all()


def test_spectra_on_another_grid_are_fitted(model):
    grid = WAVELENGTH[40:440:2] * 1.00001
    single = Single(model)
    fine = single.predict(SUN)
    flux = np.interp(grid, WAVELENGTH, fine[0])[None]
    spectra = Spectra(grid, flux, np.full_like(flux, 1e4), "vacuum")
    result = fit(spectra, single)
    assert result.labels[0, -1] == pytest.approx(SUN[-1], abs=0.3)
    assert result.labels[0, 0] == pytest.approx(SUN[0], abs=100)


def test_visits_share_the_star(model, continuum):
    single = Single(model, continuum)
    sb1 = SB1(single, 3)
    truth = [5800.0, 4.4, 0.0, 6.0, -40.0, 5.0, 90.0]
    table = pd.DataFrame({"star_id": ["b", "b", "b"]})
    result = fit(observed(sb1, truth, table=table), sb1)
    assert (np.abs(result.labels[0] - truth) < 5 * result.errors[0]).all()


def test_visits_of_several_stars_may_be_mixed(model):
    sb1 = SB1(Single(model), 2)
    truth = np.array([[5800.0, 4.4, 0, 6, -40, 5], [5000.0, 4.5, -0.2, 6, 80, -60]])
    spectra = observed(sb1, truth)
    mixed = spectra[[2, 0, 3, 1]]
    result = fit(mixed, sb1, star_id=["y", "x", "y", "x"])
    assert (np.abs(result.labels - truth[::-1]) < 5 * result.errors).all()


def test_double_lined_visits(model, continuum):
    sb2 = SB2(Binary(model, continuum=continuum), 3)
    truth = np.array([5800.0, 4.4, 0.0, 0.8, 6.0, 9.0, 0.85, 12.0, -40.0, 60.0, 30.0])
    result = fit(observed(sb2, truth), sb2)
    assert result.flags[0] == 0
    assert (np.abs(result.labels[0] - truth) < 5 * result.errors[0]).all()


def test_wrong_number_of_visits(model):
    spectra = observed(Single(model), [SUN] * 3)
    with pytest.raises(DataError, match="visits; the model has 2"):
        fit(spectra, SB1(Single(model), 2), star_id=["a", "a", "b"])
    with pytest.raises(DataError, match="star_id"):
        fit(spectra, SB1(Single(model), 2), star_id=["a", "a"])


def test_air_model_refuses_vacuum_data(model):
    spectra = observed(Single(model), SUN)
    air = SchematicModel(WAVELENGTH, medium="air", arms=ARMS)
    with pytest.raises(MediumError, match="spectra in vacuum, model in air; convert"):
        fit(spectra, Single(air))


def test_other_grid_than_the_pseudo_continuum(model, continuum):
    spectra = observed(Single(model), SUN)
    cut = Spectra(WAVELENGTH[:500], spectra.flux[:, :500], spectra.ivar[:, :500], "vacuum")
    with pytest.raises(DataError, match="pseudo-continuum is defined on its own 940 pixels"):
        fit(cut, Single(model, continuum))


def test_bad_stars_are_flagged_and_disturb_nobody(model, continuum):
    single = Single(model, continuum)
    spectra = observed(single, [SUN] * 5)
    flux, ivar = spectra.flux.copy(), spectra.ivar.copy()
    ivar[1] = 0  # masked altogether
    flux[2] = np.nan
    ivar[3, 5:] = 0  # fewer pixels than labels
    flux[4, 100:120], ivar[4, 300:310] = np.nan, 0
    result = fit(spectra.with_flux(flux, ivar), single)
    alone = fit(spectra[[0]], single)
    assert (result.flags[1:4] == FitFlag.BAD_DATA).all()
    assert np.isnan(result.labels[1:4]).all()
    assert np.isnan(result.chi2[1:4]).all()
    np.testing.assert_allclose(result.labels[0], alone.labels[0], rtol=1e-6, atol=1e-5)
    assert result.flags[4] == 0
    assert result.n_pixels[4] == WAVELENGTH.size - 30


def test_arm_masked_in_one_star_is_left_out(model, continuum):
    single = Single(model, continuum)
    spectra = observed(single, [SUN, SUN])
    ivar = spectra.ivar.copy()
    ivar[0, ARMS[1]] = 0
    result = fit(spectra.with_flux(spectra.flux, ivar), single)
    assert (result.flags == 0).all()
    assert result.n_pixels.tolist() == [500, 940]
    assert (np.abs(result.labels - SUN) < 5 * result.errors).all()


def test_one_pixel_arm_is_left_out(model):
    arms = (slice(0, 1), slice(1, WAVELENGTH.size))
    lone = SchematicModel(WAVELENGTH, arms=arms)
    single = Single(lone, PseudoContinuum.everywhere(arms))
    flux = single.predict(SUN)
    flux[:, 0] = 1.0
    spectra = Spectra(WAVELENGTH, flux, np.full_like(flux, 4e4), "vacuum", arms=arms)
    result = fit(spectra, single)
    assert result.n_pixels[0] == WAVELENGTH.size - 1
    assert result.labels[0, -1] == pytest.approx(SUN[-1], abs=0.1)


def test_star_beyond_the_range_is_at_the_bound(model):
    single = Single(model)
    spectra = observed(single, [7900.0, 4.4, 0.0, 6.0, 3.0])
    result = fit(spectra, single)
    assert result.flags[0] & FitFlag.AT_BOUND
    assert result.labels[0, 0] == pytest.approx(7500.0)


def test_few_iterations_are_flagged(model):
    spectra = observed(Single(model), SUN)
    start = [[4500.0, 4.9, -0.9, 40.0, 0.0]]
    result = fit(spectra, Single(model), start=start, max_iterations=1)
    assert result.flags[0] & FitFlag.NOT_CONVERGED


def test_label_without_effect_is_singular(model):
    class WithDust(SchematicModel):
        label_range = np.vstack([model.label_range, [0.0, 1.0]])

    names = (*model.label_names, "dust")
    single = Single(WithDust(WAVELENGTH, arms=ARMS, label_names=names))
    result = fit(observed(single, [5800.0, 4.4, 0.0, 6.0, 0.5, 21.0]), single)
    assert result.flags[0] & FitFlag.SINGULAR
    assert np.isnan(result.errors[0, 4])
    assert np.isfinite(result.errors[0, [0, 1, 2, 3, 5]]).all()


def test_starts_are_checked(model):
    spectra = observed(Single(model), SUN)
    with pytest.raises(DataError, match=r"expected \(1, 5\)"):
        fit(spectra, Single(model), start=[[1.0, 2.0]])
    with pytest.raises(DataError, match="not finite"):
        fit(spectra, Single(model), start=[[np.nan] * 5])


def test_no_spectra_give_no_rows(model):
    spectra = observed(Single(model), SUN)
    assert fit(spectra[[]], Single(model)).labels.shape == (0, 5)


def test_result_does_not_depend_on_the_company(model):
    single = Single(model)
    spectra = observed(single, [SUN, [5000.0, 4.6, -0.5, 20.0, -150.0]])
    both, one = fit(spectra, single), fit(spectra[[1]], single)
    np.testing.assert_allclose(both.labels[1], one.labels[0], rtol=1e-5, atol=1e-4)


@given(v1=st.floats(-150, 150), v2=st.floats(-150, 150))
@settings(max_examples=10, deadline=None)
def test_grid_of_pairs_peaks_at_both_velocities(v1, v2):
    model = SchematicModel(WAVELENGTH, arms=ARMS)
    binary = Binary(model)
    flux = binary.predict([5800.0, 4.4, 0.0, 0.8, 5.0, 5.0, v1, v2])
    search = SearchGrid.over(WAVELENGTH, 200.0)
    depth, weight = search.bin(flux, np.ones_like(flux))
    labels = torch.tensor([[5800.0, 4.4, 0.0, 5.0], [5072.0, 4.48, 0.0, 5.0]])
    parts = torch.tensor([0.7, 0.3])
    templates = search.template(model, model.normalised(labels.double())) * parts[:, None]
    power = pair_power(depth, weight, templates[:1], templates[1:])[0].numpy()
    one, two = np.unravel_index(power.argmax(), power.shape)
    assert search.velocities[one] == pytest.approx(v1, abs=12.0)
    assert search.velocities[two] == pytest.approx(v2, abs=20.0)


@pytest.mark.parametrize("direct", [0, 10_000])
def test_correlation_is_the_sum_written_out(model, monkeypatch, direct):
    monkeypatch.setattr(velocity_grid, "DIRECT_LAGS", direct)
    search = SearchGrid.over(WAVELENGTH, 60.0)
    rng = np.random.default_rng(2)
    depth = torch.tensor(rng.normal(size=(2, search.log_centres.size)))
    weight = torch.tensor(rng.random((2, search.log_centres.size)))
    template = search.template(model, torch.as_tensor(model.predict([[5500, 4.4, 0, 6]])))
    power = single_power(depth, weight, template, search.n_lags)[:, 0]
    n, bins = search.n_lags, depth.shape[1]
    for lag in range(-n, n + 1):
        shifted = template[0, n - lag : n - lag + bins]
        crossed = (weight * depth * shifted).sum(1).clamp(min=0)
        expected = crossed**2 / (weight * shifted**2).sum(1)
        np.testing.assert_allclose(power[:, lag + n], expected, atol=1e-10)


def test_line_of_momentum_is_found():
    velocities = np.arange(-200.0, 201.0, 8.0)
    q, gamma, primary = 0.7, 16.0, np.array([-56.0, 40.0, 72.0])
    secondary = (gamma * (1 + q) - primary) / q
    one, two = np.meshgrid(velocities, velocities, indexing="ij")
    power = np.exp(
        -((one - primary[:, None, None]) ** 2 + (two - secondary[:, None, None]) ** 2) / 200.0
    )
    q_dyn, systemic, found = momentum_line(power[None], velocities, (0.2, 1.5))
    assert q_dyn[0] == pytest.approx(q, abs=0.06)
    assert systemic[0] == pytest.approx(gamma, abs=8.0)
    np.testing.assert_allclose(found[0], primary, atol=8.0)


class Parabolas:
    """χ² = (θ − c)ᵀ A (θ − c), one per row."""

    def __init__(self, centre, matrix):
        self.centre, self.matrix = torch.as_tensor(centre), torch.as_tensor(matrix)

    def __call__(self, theta, rows):
        away = (self.centre - theta)[..., None]
        pull = self.matrix @ away
        chi2 = (away.mT @ pull)[:, 0, 0]
        return Quadratic(chi2, pull[..., 0], self.matrix.expand(len(theta), -1, -1).clone())


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_bounded_minimum_is_that_of_scipy(seed):
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 4))
    matrix, centre = root @ root.T + 0.1 * np.eye(4), rng.normal(0, 2, 4)
    box = (-torch.ones(1, 4, dtype=torch.float64), torch.ones(1, 4, dtype=torch.float64))
    start = torch.as_tensor(rng.uniform(-1, 1, (1, 4)))
    found = minimise(Parabolas(centre, matrix), start, lambda theta: box, tolerance=1e-10)
    expected = minimize(
        lambda x: (x - centre) @ matrix @ (x - centre),
        start[0].numpy(),
        jac=lambda x: 2 * matrix @ (x - centre),
        bounds=[(-1, 1)] * 4,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    assert found.converged.all()
    assert found.at.chi2.item() == pytest.approx(expected.fun, abs=1e-6)


def test_the_fit_of_one_star_saves_the_binary_its_own(model):
    theta = [[5800.0, 4.4, 0.0, 0.8, 6.0, 9.0, -31.0, 43.0]] * 2
    spectra = observed(Binary(model), theta)
    alone = fit(spectra, Single(model))
    anew, shared = fit(spectra, Binary(model)), fit(spectra, Binary(model), alone=alone)
    np.testing.assert_allclose(shared.chi2, anew.chi2, atol=0.02)
    with pytest.raises(DataError, match="alone"):
        fit(spectra, Binary(model), alone=shared)
    with pytest.raises(DataError, match="alone"):
        fit(spectra, Single(model), alone=alone)


def test_a_lost_star_in_the_fit_of_one_does_not_hurt(model):
    theta = [[5800.0, 4.4, 0.0, 0.8, 6.0, 9.0, -31.0, 43.0]] * 2
    spectra = observed(Binary(model), theta)
    spectra.ivar[0] = 0
    alone = fit(spectra, Single(model))
    found = fit(spectra, Binary(model), alone=alone)
    assert found.flags[0] & FitFlag.BAD_DATA
    assert np.isfinite(found.chi2[1])


@pytest.mark.parametrize("kind", [Single, Binary])
def test_every_tensor_of_a_fit_is_made_on_the_device_of_the_fit(model, continuum, kind):
    """No GPU is needed: whatever forgets its device is made on "meta", and cannot be mixed."""
    composite = kind(model, continuum=continuum)
    theta = SUN if kind is Single else [5800.0, 4.4, 0.0, 0.8, 6.0, 9.0, -31.0, 43.0]
    spectra = observed(composite, theta)
    expected = fit(spectra, composite)
    with torch.device("meta"):
        found = fit(spectra, composite)
    np.testing.assert_array_equal(found.labels, expected.labels)


def bowl(calls):
    def objective(theta, rows):
        calls.append(len(rows))
        normal = 2 * torch.eye(2, dtype=torch.float64).expand(len(theta), 2, 2)
        return Quadratic(2 * theta.square().sum(1) + 1000, -2 * theta, normal)

    return objective


def wide(theta):
    return theta - 100, theta + 100


def test_a_known_start_is_not_evaluated_again():
    start, calls = torch.ones((3, 2), dtype=torch.float64), []
    known = bowl([])(start, torch.arange(3))
    found = minimise(bowl(calls), start, wide, known=known)
    without = []
    same = minimise(bowl(without), start, wide)
    torch.testing.assert_close(found.theta, same.theta)
    assert len(calls) == len(without) - 1


def test_a_descent_ends_where_little_of_chi2_is_left_to_gain():
    start, calls = torch.ones((1, 2), dtype=torch.float64), []
    found = minimise(bowl(calls), start, wide, relative=0.01)
    assert found.converged.all()
    assert len(calls) == 1
