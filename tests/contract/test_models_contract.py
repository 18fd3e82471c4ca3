"""One suite over every `SpectralModel`: add a model by one line in MODELS.

Each entry makes a small, fitted model. A model with ``infer`` is also asked to find its own labels;
one that is a `DifferentiableModel` to agree with itself in PyTorch, and with finite differences.
"""

import functools

import numpy as np
import pytest
import torch

from siderea.errors import DataError
from siderea.flags import FitFlag
from siderea.models.cannon import Cannon
from siderea.models.decoder import Decoder, Training
from siderea.models.emulator import load_default
from siderea.models.protocol import DifferentiableModel, FitResult, SpectralModel

NAMES = ("teff", "logg", "fe_h")


def training_set(n=120, n_pixels=40):
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, (n, 3))
    labels = x * [400.0, 0.6, 0.3] + [5200.0, 3.5, -0.3]
    flux = 0.8 - 0.3 * np.tanh(x @ rng.normal(size=(3, n_pixels)) * 0.3)
    return flux + 1e-3 * rng.normal(size=flux.shape), np.full(flux.shape, 1e6), labels


def fitted(model):
    wavelength = np.linspace(5000, 5040, 40)
    return model.fit(*training_set(), wavelength=wavelength, medium="air", resolution=5000.0)


MODELS = {
    "cannon": lambda: fitted(Cannon(2, label_names=NAMES)),
    "cannon, cubic, shared modes": lambda: fitted(Cannon(3, label_names=NAMES, n_modes=3)),
    "cannon, L1": lambda: fitted(Cannon(2, label_names=NAMES, regularisation=10.0)),
    "emulator": load_default,
    "emulator at a survey": lambda: load_default().at(
        np.linspace(5700, 5710, 200), resolution=28000.0, medium="air", extra_labels=("vbroad",)
    ),
    "decoder": lambda: fitted(Decoder((8,), label_names=NAMES, training=Training(max_epochs=20))),
}

make = functools.cache(lambda name: MODELS[name]())


@pytest.fixture(params=list(MODELS))
def model(request):
    return make(request.param)


def inside(model, n, *, seed=0, part=0.6):
    """Return n label vectors well within the model's range."""
    low, high = np.asarray(model.label_range).T
    u = np.random.default_rng(seed).uniform(-part, part, (n, len(low)))
    return (low + high) / 2 + u * (high - low) / 2


def test_it_is_a_spectral_model(model):
    assert isinstance(model, SpectralModel)


def test_names_and_ranges(model):
    assert isinstance(model.label_names, tuple)
    assert len(set(model.label_names)) == len(model.label_names)
    low, high = np.asarray(model.label_range).T
    assert low.shape == (len(model.label_names),)
    assert (low < high).all()


def test_the_grid(model):
    wavelength = np.asarray(model.wavelength)
    assert wavelength.ndim == 1
    assert (wavelength > 0).all()
    assert np.mean(np.diff(wavelength) > 0) > 0.99, "increasing, but between arms"
    assert model.medium in ("air", "vacuum")
    assert (np.atleast_1d(model.resolution) > 0).all()


def test_predict_gives_a_row_for_each_star(model):
    flux = model.predict(inside(model, 5))
    assert flux.shape == (5, len(model.wavelength))
    assert np.isfinite(flux).all()
    assert 0.0 < np.median(flux) < 1.5, "normalised"


def test_no_star_gives_no_row(model):
    assert model.predict(np.empty((0, len(model.label_names)))).shape[0] == 0


def test_lists_are_labels_too(model):
    labels = inside(model, 2)
    np.testing.assert_array_equal(model.predict(labels.tolist()), model.predict(labels))


def test_a_batch_is_its_stars_one_by_one(model):
    labels = inside(model, 6)
    one_by_one = np.concatenate([model.predict(row[None]) for row in labels])
    np.testing.assert_allclose(model.predict(labels), one_by_one, rtol=1e-5, atol=1e-6)


def test_every_label_matters(model):
    labels = np.repeat(inside(model, 1), 2, axis=0)
    low, high = np.asarray(model.label_range).T
    for k in range(len(low)):
        moved = labels.copy()
        moved[1, k] += 0.1 * (high[k] - low[k])
        first, second = model.predict(moved)
        assert np.abs(first - second).max() > 1e-5, model.label_names[k]


def test_a_nan_label_gives_a_nan_row_and_spoils_no_other(model):
    labels = inside(model, 3)
    expected = model.predict(labels)
    labels[1, 0] = np.nan
    flux = model.predict(labels)
    assert np.isnan(flux[1]).all()
    np.testing.assert_allclose(flux[[0, 2]], expected[[0, 2]], rtol=1e-6)


def test_the_wrong_number_of_labels_is_refused(model):
    with pytest.raises(DataError):
        model.predict(np.zeros((2, len(model.label_names) + 1)))


def test_physical_flux_is_there_or_refused(model):
    labels = inside(model, 2)
    try:
        density = model.flux_density(labels)
    except DataError:
        return
    assert density.shape == (2, len(model.wavelength))
    assert (density > 0).all()


def test_pytorch_agrees_with_numpy(model):
    if not isinstance(model, DifferentiableModel):
        pytest.skip("not differentiable")
    labels = inside(model, 4)
    flux = model.normalised(torch.as_tensor(labels)).detach().numpy()
    np.testing.assert_allclose(flux, model.predict(labels), rtol=1e-5, atol=1e-6)


def test_derivatives_are_those_of_finite_differences(model):
    if not isinstance(model, DifferentiableModel):
        pytest.skip("not differentiable")
    labels = inside(model, 1)
    low, high = np.asarray(model.label_range).T
    steps = 1e-3 * (high - low)
    for k, step in enumerate(steps):
        move = np.zeros_like(labels)
        move[0, k] = step
        ahead, behind = (
            model.normalised(torch.as_tensor(labels + sign * move)).detach().numpy()[0]
            for sign in (1, -1)
        )
        along = torch.zeros_like(torch.as_tensor(labels))
        along[0, k] = 1.0
        # One label at a time: a row for each of a hundred thousand pixels would take minutes.
        _, slopes = torch.autograd.functional.jvp(model.normalised, torch.as_tensor(labels), along)
        slope = slopes[0].numpy()
        np.testing.assert_allclose(
            slope * step, (ahead - behind) / 2, atol=1e-4 * np.abs(slope * step).max() + 1e-7
        )


def test_it_finds_the_labels_of_its_own_spectra(model):
    if not hasattr(model, "infer"):
        pytest.skip("fitted by siderea.models.fitting")
    labels = inside(model, 20)
    flux = model.predict(labels)
    found = model.infer(flux, np.full(flux.shape, 1e8))
    assert isinstance(found, FitResult)
    assert found.label_names == model.label_names
    assert (found.flags == 0).all()
    low, high = np.asarray(model.label_range).T
    np.testing.assert_allclose((found.labels - labels) / (high - low), 0, atol=1e-4)
    assert found.covariance.shape == (20, len(low), len(low))
    assert found.chi2.shape == found.n_pixels.shape == found.flags.shape == (20,)


def test_labels_beyond_the_range_end_at_the_bound_and_say_so(model):
    if not hasattr(model, "infer"):
        pytest.skip("fitted by siderea.models.fitting")
    low, high = np.asarray(model.label_range).T
    beyond = inside(model, 1, part=0.1)
    beyond[0, 0] = high[0] + 0.3 * (high[0] - low[0])
    flux = model.predict(beyond)
    found = model.infer(flux, np.full(flux.shape, 1e6))
    assert found.flags[0] & FitFlag.AT_BOUND
    assert (found.labels >= low).all()
    assert (found.labels <= high).all()


def test_a_spectrum_without_good_pixels_is_flagged(model):
    if not hasattr(model, "infer"):
        pytest.skip("fitted by siderea.models.fitting")
    flux = model.predict(inside(model, 2))
    ivar = np.full(flux.shape, 1e6)
    ivar[0] = 0
    found = model.infer(flux, ivar)
    assert found.flags.tolist() == [FitFlag.BAD_DATA, 0]
    assert np.isnan(found.labels[0]).all()
    assert np.isfinite(found.labels[1]).all()


def test_no_spectrum_gives_an_empty_result(model):
    if not hasattr(model, "infer"):
        pytest.skip("fitted by siderea.models.fitting")
    found = model.infer(*np.empty((2, 0, len(model.wavelength))))
    assert found.labels.shape == (0, len(model.label_names))
    assert found.flags.shape == (0,)
