import numpy as np
import pytest
import torch

from siderea.errors import DataError
from siderea.models.polynomial import PolynomialTerms


@pytest.mark.parametrize(
    ("n_labels", "order", "n_terms"), [(1, 1, 2), (3, 1, 4), (5, 2, 21), (3, 3, 20), (2, 4, 15)]
)
def test_number_of_terms(n_labels, order, n_terms):
    assert len(PolynomialTerms(n_labels, order)) == n_terms


def test_design_is_the_products_of_its_members():
    terms = PolynomialTerms(3, 3)
    x = np.random.default_rng(1).normal(size=(7, 3))
    expected = [np.prod(x[:, list(members)], axis=1) for members in terms.members]
    np.testing.assert_allclose(terms.design(x), np.stack(expected, axis=1), rtol=1e-13)


def test_the_quadratic_order_is_that_of_ness():
    x = np.array([[2.0, 3.0, 5.0]])
    quadratic = np.outer(x, x)[np.triu_indices(3)]
    assert PolynomialTerms(3, 2).design(x)[0].tolist() == [1.0, *x[0], *quadratic]


def test_gradient_is_that_of_automatic_differentiation():
    terms = PolynomialTerms(3, 4)
    x = np.random.default_rng(2).normal(size=(5, 3))
    jacobian = torch.autograd.functional.jacobian(terms.design_torch, torch.as_tensor(x))
    expected = np.einsum("nknl->nlk", jacobian.numpy())
    np.testing.assert_allclose(terms.gradient(x), expected, atol=1e-13)
    in_torch = terms.gradient_torch(torch.as_tensor(x))
    np.testing.assert_allclose(in_torch.numpy(), expected, atol=1e-13)


def test_torch_design_is_the_design():
    terms = PolynomialTerms(2, 3)
    x = np.random.default_rng(3).normal(size=(4, 2))
    np.testing.assert_allclose(terms.design_torch(torch.as_tensor(x)).numpy(), terms.design(x))


def test_involves_finds_every_term_of_a_label():
    assert PolynomialTerms(2, 2).involves(0).tolist() == [False, True, False, True, True, False]


@pytest.mark.parametrize(("n_labels", "order"), [(0, 2), (3, 0), (2, 1.5)])
def test_nonsense_is_refused(n_labels, order):
    with pytest.raises(DataError, match="whole number"):
        PolynomialTerms(n_labels, order)
