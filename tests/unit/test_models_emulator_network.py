import numpy as np
import pytest
import torch

from siderea.errors import DataError
from siderea.models.kernel_network import KernelNetwork, _left_out


def _examples(n, rng):
    x = rng.uniform([0, 10], [1, 30], (n, 2))
    return x, np.stack([np.sin(3 * x[:, 0]) * x[:, 1], x[:, 1] / 10, x[:, 0] ** 2], axis=1)


def test_smooth_functions_are_learned():
    rng = np.random.default_rng(0)
    network, missed = KernelNetwork.fit(*_examples(150, rng))
    x, y = _examples(50, rng)
    error = network(torch.from_numpy(x)).numpy() - y
    assert np.abs(error).max() < 0.1  # of values up to 30
    assert np.sqrt(np.mean(missed**2)) < 0.1


def test_leave_one_out_is_what_leaving_one_out_gives():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-1, 1, (12, 2)), rng.normal(size=(12, 1))
    y -= y.mean()
    parameters = np.log([0.8, 1.3, 1e-2, 0.5])
    _, residuals = _left_out(x, y, parameters)

    def kernel(a, b):
        d = np.sqrt(5 * (((a[:, None] - b) / np.exp(parameters[:2])) ** 2).sum(-1))
        return (1 + d + d**2 / 3) * np.exp(-d) + 0.5 * (1 + a @ b.T)

    for i in range(12):
        rest = np.arange(12) != i
        weights = np.linalg.solve(kernel(x[rest], x[rest]) + 1e-2 * np.eye(11), y[rest])
        expected = y[i] - kernel(x[i : i + 1], x[rest]) @ weights
        np.testing.assert_allclose(residuals[i], expected[0], atol=1e-9)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_slope_at_a_centre_is_finite():
    x, y = _examples(30, np.random.default_rng(2))
    network, _ = KernelNetwork.fit(x, y, max_iterations=2)
    jacobian = torch.func.jacfwd(lambda p: network(p[None])[0])(torch.from_numpy(x[0]))
    assert torch.isfinite(jacobian).all()


def test_state_round_trip():
    x, y = _examples(30, np.random.default_rng(3))
    network, _ = KernelNetwork.fit(x, y, max_iterations=2)
    again = KernelNetwork.from_state(network.state("a."), "a.")
    points = torch.from_numpy(x)
    assert torch.equal(network(points), again(points))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((3, 2)), np.ones((4, 1)), "expected \\(M, D\\)"),
        (np.array([[0.0], [np.nan]]), np.ones((2, 1)), "not finite"),
        (np.array([[0.0, 1], [1, 1]]), np.ones((2, 1)), "inputs \\[1\\] do not vary"),
    ],
)
def test_examples_that_cannot_be_learned_are_refused(x, y, message):
    with pytest.raises(DataError, match=message):
        KernelNetwork.fit(x, y)
