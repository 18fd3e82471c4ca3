import numpy as np
import pytest
import torch

from siderea.errors import DataError, MediumError
from siderea.flags import FitFlag
from siderea.models.decoder import Decoder, Training
from siderea.models.decoder_network import Batch, DecoderNetwork, minus_two_ln_l
from siderea.models.polynomial import PolynomialTerms

PIXELS = 60
QUICK = Training(max_epochs=60, learning_rate=1e-2)


def lines(x, *, seed=0):
    """Return flux (N, P) of labels about (0, 0): lines that saturate, so no polynomial is exact."""
    rng = np.random.default_rng(seed)
    strength = x @ rng.normal(size=(2, PIXELS)) + rng.normal(size=PIXELS)
    return 1 - 0.4 / (1 + np.exp(-strength))


def training(n=400, *, snr=300.0, seed=1):
    rng = np.random.default_rng(seed)
    labels = rng.uniform(-2, 2, (n, 2))
    ivar = np.full((n, PIXELS), snr**2)
    flux = lines(labels) + rng.normal(size=ivar.shape) / snr
    ivar[rng.random(ivar.shape) < 0.05] = 0
    flux[ivar == 0] = np.nan
    return flux, ivar, labels


@pytest.fixture(scope="module")
def decoder():
    model = Decoder((24, 24), label_names=("a", "b"), training=QUICK)
    wavelength = np.linspace(6000, 6100, PIXELS)
    return model.fit(*training(), wavelength=wavelength, medium="vacuum", resolution=2000.0)


def test_it_learns_what_a_quadratic_cannot(decoder):
    x = np.random.default_rng(2).uniform(-1.8, 1.8, (300, 2))
    rms = np.sqrt(np.mean((decoder.predict(x) - lines(x)) ** 2))
    terms = PolynomialTerms(2, 2)
    fitted = np.linalg.lstsq(terms.design(x), lines(x))[0]
    assert rms < 0.4 * np.sqrt(np.mean((terms.design(x) @ fitted - lines(x)) ** 2))


def test_labels_are_recovered_with_honest_errors(decoder):
    rng = np.random.default_rng(3)
    x = rng.uniform(-1.5, 1.5, (200, 2))
    flux = lines(x) + rng.normal(size=(200, PIXELS)) / 50
    found = decoder.infer(flux, np.full(flux.shape, 2500.0))
    assert (found.flags == 0).all()
    assert ((found.labels - x) / found.errors).std(axis=0) == pytest.approx(1.0, abs=0.25)


def test_jacobian_is_that_of_automatic_differentiation(decoder):
    x = torch.as_tensor(np.random.default_rng(4).normal(size=(3, 2)))
    flux, slopes = decoder.network_.with_jacobian(x)
    expected = torch.autograd.functional.jacobian(decoder.network_, x)
    np.testing.assert_allclose(flux.numpy(), decoder.network_(x).numpy(), atol=1e-14)
    np.testing.assert_allclose(slopes.numpy(), np.einsum("npnl->nlp", expected), atol=1e-12)


def test_the_same_seed_gives_the_same_network_and_leaves_torch_alone():
    short = Training(max_epochs=3)
    state = torch.get_rng_state()
    one = Decoder((8,), training=short).fit(*training(80)).predict([[0.1, 0.2]])
    two = Decoder((8,), training=short).fit(*training(80)).predict([[0.1, 0.2]])
    other = Decoder((8,), training=short, random_state=1).fit(*training(80)).predict([[0.1, 0.2]])
    np.testing.assert_allclose(one, two, rtol=1e-6)  # float32 sums depend on memory alignment
    assert np.abs(one - other).max() > 1e-4
    assert torch.equal(state, torch.get_rng_state())


def test_training_stops_when_validation_does_not_improve():
    patient = Training(max_epochs=200, patience=3, learning_rate=0.05)
    history = Decoder((8,), training=patient).fit(*training(60)).history_
    held = [value for _, value in history]
    assert len(history) < 200
    assert min(held) == held[-4]


def network(scatter=0.05, *, seed=0):
    torch.manual_seed(seed)
    mean, spread = torch.ones(6).double(), torch.full((6,), 2 * scatter).double()
    one = DecoderNetwork(PolynomialTerms(2, 2), (5,), mean, spread).double()
    torch.nn.init.normal_(one.polynomial.weight)
    return one


def test_loss_is_the_normal_density_with_label_errors_to_first_order():
    rng = np.random.default_rng(5)
    flux, labels = 1 + 0.1 * rng.normal(size=(4, 6)), rng.normal(size=(4, 2))
    ivar, errors = rng.uniform(50, 500, (4, 6)), rng.uniform(0, 0.5, (4, 2))
    ivar[0, 2] = 0
    model = network()
    batch = Batch(*(torch.as_tensor(one) for one in (flux, ivar, labels, errors)))
    mean, slopes = (one.detach().numpy() for one in model.with_jacobian(batch.labels))
    good = ivar > 0
    scatter = np.exp(2 * model.ln_scatter.detach().numpy())
    variance = 1 / np.where(good, ivar, 1) + scatter
    variance += np.einsum("nlp,nl->np", slopes**2, errors**2)
    expected = np.sum(((flux - mean) ** 2 / variance + np.log(variance))[good]) / good.sum()
    assert float(minus_two_ln_l(model, batch).detach()) == pytest.approx(expected, rel=1e-12)


def test_stars_with_poor_labels_count_little_when_their_errors_are_told():
    flux, ivar, labels = training(300)
    rng = np.random.default_rng(6)
    errors = np.where(rng.random(300) < 0.5, 1.0, 0.0)[:, None] * [1.0, 1.0]
    noisy = labels + errors * rng.normal(size=labels.shape)
    x = rng.uniform(-1.5, 1.5, (200, 2))

    def rms(**given):
        model = Decoder((16, 16), training=QUICK).fit(flux, ivar, noisy, **given)
        return np.sqrt(np.mean((model.predict(x) - lines(x)) ** 2))

    assert rms(label_errors=errors) < 0.7 * rms()


def test_bad_spectra_are_flagged_and_spoil_no_other(decoder):
    flux = lines(np.array([[0.1, 0.2], [0.1, 0.2], [9.0, 0.0]]))
    ivar = np.full(flux.shape, 1e4)
    ivar[0] = 0
    found = decoder.infer(flux, ivar)
    assert found.flags[0] == FitFlag.BAD_DATA
    assert np.isnan(found.labels[0]).all()
    np.testing.assert_allclose(found.labels[1], [0.1, 0.2], atol=0.05)
    assert found.flags[2] & FitFlag.AT_BOUND


def test_a_pixel_that_no_star_has_is_nan_and_not_used():
    flux, ivar, labels = training(80)
    ivar[:, 4] = 0
    model = Decoder((8,), training=Training(max_epochs=5)).fit(flux, ivar, labels)
    assert np.flatnonzero(np.isnan(model.predict(labels[:1])[0])).tolist() == [4]
    found = model.infer(lines(labels[:2]), np.full((2, PIXELS), 1e4))
    assert found.n_pixels.tolist() == [PIXELS - 1] * 2


def test_nonsense_is_refused(decoder):
    flux, ivar, labels = training(80)
    with pytest.raises(DataError, match="at least 8"):
        Decoder().fit(flux[:7], ivar[:7], labels[:7])
    with pytest.raises(DataError, match="label_errors"):
        Decoder().fit(flux, ivar, labels, label_errors=[0.1, -0.1])
    with pytest.raises(DataError, match="not trained"):
        Decoder().predict([[0.0, 0.0]])
    with pytest.raises(MediumError, match="the model is in 'vacuum'"):
        decoder.infer(flux, ivar, medium="air")
    with pytest.raises(DataError, match="normalised flux only"):
        decoder.flux_density([[0.0, 0.0]])
