"""Mixtures: likelihood, moments and quantiles against scipy."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from siderea.stellar.mixture import Mixture, from_outputs, merge


@pytest.fixture
def mixture():
    weight = torch.tensor([[0.2, 0.7], [0.8, 0.3]], dtype=torch.float64)
    mean = torch.tensor([[-1.0, 0.5], [1.0, 0.8]], dtype=torch.float64)
    variance = torch.tensor([[0.04, 1.0], [0.25, 0.01]], dtype=torch.float64)
    return Mixture(weight, mean, variance)


def density(mixture, star, y, error=0.0):
    parts = (p[:, star].numpy() for p in (mixture.weight, mixture.mean, mixture.variance))
    return sum(
        w * norm.pdf(y, m, np.hypot(np.sqrt(v), error)) for w, m, v in zip(*parts, strict=True)
    )


def test_likelihood_has_the_label_error_in_it(mixture):
    y, error = torch.tensor([0.3, 0.9]), torch.tensor([0.0, 0.5])
    found = mixture.negative_log_likelihood(y, error)
    expected = [-np.log(density(mixture, k, float(y[k]), float(error[k]))) for k in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_quantiles_invert_the_distribution_function(mixture):
    levels = torch.tensor([[0.025, 0.16, 0.5, 0.84, 0.975]] * 2, dtype=torch.float64)
    values = mixture.quantiles(levels)
    back = torch.stack([mixture.cdf(values[:, k]) for k in range(5)], dim=1)
    np.testing.assert_allclose(back, levels, atol=0.006)


def test_merging_keeps_mean_and_variance():
    generator = torch.Generator().manual_seed(0)
    weight = torch.softmax(torch.randn(3, 5, 40, generator=generator), dim=0)
    members = Mixture(
        weight, torch.randn(3, 5, 40, generator=generator), 0.1 + torch.rand(3, 5, 40)
    )
    mean, sigma = members.moments()
    merged_mean, merged_sigma = merge(members).moments()
    np.testing.assert_allclose(merged_mean, mean.mean(0), atol=1e-5)
    whole = (sigma**2).mean(0) + mean.var(0, correction=0)
    np.testing.assert_allclose(merged_sigma**2, whole, rtol=1e-4)


def test_outputs_make_a_proper_mixture():
    mixture = from_outputs(torch.randn(4, 9, 7))
    assert mixture.weight.shape == (3, 4, 7)
    np.testing.assert_allclose(mixture.weight.sum(0), 1, atol=1e-6)
    assert (mixture.variance > 0).all()
