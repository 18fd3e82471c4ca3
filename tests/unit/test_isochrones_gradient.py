import numpy as np
import pytest
import torch

from siderea.isochrones import load_default
from siderea.models.forward_mode import row_jacobian

ISO = load_default()
STAR = ISO.differentiable()
STARS = np.array([[1.0, 4.57, 0.03], [0.7, 5.3, -0.55], [0.3, 2.2, -1.23], [1.19, 4.3, 0.21]])


def test_values_are_those_of_numpy():
    found = STAR(*torch.as_tensor(STARS.T))
    expected = ISO.stars(*STARS.T)
    for ours, theirs in zip(found, (expected.teff, expected.logg, expected.radius), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12)


def test_gradients_are_those_of_finite_differences():
    values, slopes = row_jacobian(lambda x: STAR(*x.unbind(-1)), torch.as_tensor(STARS))
    for column in range(3):
        step = 1e-7 * np.eye(3)[column]
        up, down = ISO.stars(*(STARS + step).T), ISO.stars(*(STARS - step).T)
        for index, name in enumerate(("teff", "logg", "radius")):
            slope = (getattr(up, name) - getattr(down, name)) / 2e-7
            np.testing.assert_allclose(slopes[index][:, column].numpy(), slope, rtol=2e-4)
    assert len(values) == 3


def test_backward_agrees_with_forward():
    x = torch.as_tensor(STARS).requires_grad_()
    STAR(*x.unbind(-1))[0].sum().backward()
    _, slopes = row_jacobian(lambda x: STAR(*x.unbind(-1)), torch.as_tensor(STARS))
    np.testing.assert_allclose(x.grad.numpy(), slopes[0].numpy(), rtol=1e-10)


@pytest.mark.parametrize("off", [[5.0, 4.0, 0.0], [0.05, 4.0, 0.0], [-1.0, 4.0, 0.0]])
def test_a_mass_off_the_grid_is_its_edge(off):
    edge = ISO.heaviest(4.0, 0.0) if off[0] > 1 else ISO.lightest(4.0, 0.0)
    x = torch.tensor([off], dtype=torch.float64, requires_grad=True)
    teff, _, _ = STAR(*x.unbind(-1))
    np.testing.assert_allclose(teff.detach().numpy(), ISO.stars(edge, 4.0, 0.0).teff, rtol=1e-9)
    teff.sum().backward()
    assert x.grad[0, 0] == 0


def test_ages_and_metallicities_off_the_grid_are_its_edge():
    x = torch.tensor([[0.9, 20.0, -4.0], [0.9, 0.1, 2.0]], dtype=torch.float64, requires_grad=True)
    teff, logg, radius = STAR(*x.unbind(-1))
    expected = ISO.stars(0.9, [13.0, 1.0], [-2.5, 0.5])
    tip = ISO.stars(ISO.heaviest(13.0, -2.5), 13.0, -2.5)
    np.testing.assert_allclose(teff[0].item(), tip.teff, rtol=1e-9)
    np.testing.assert_allclose(teff[1].item(), expected.teff[1], rtol=1e-9)
    (teff + logg + radius).sum().backward()
    assert (x.grad[:, 1:] == 0).all()


def test_precision_and_shape_follow_the_input():
    out = STAR(torch.full((2, 3), 0.8), torch.tensor(5.0), torch.tensor(0.0))
    assert all(x.shape == (2, 3) and x.dtype == torch.float32 for x in out)
