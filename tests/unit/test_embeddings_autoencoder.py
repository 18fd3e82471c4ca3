import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from siderea.data import Spectra
from siderea.embeddings.autoencoder import SpectrumAutoencoder
from siderea.embeddings.binning import Bins
from siderea.embeddings.training_sample import TrainingSample
from siderea.errors import DataError


def bent(n=400, pixels=96, *, seed=0, noise=0.01):
    """Spectra with one line that moves: one number each, but no straight line in pixel space."""
    rng = np.random.default_rng(seed)
    x = np.arange(pixels)
    place = rng.uniform(20, pixels - 20, n)
    truth = 1 - 0.6 * np.exp(-0.5 * ((x - place[:, None]) / 4.0) ** 2)
    flux = truth + rng.normal(0, noise, truth.shape)
    return truth, flux.astype(np.float32), np.full(flux.shape, noise**-2, np.float32)


def small(**changed):
    options = {
        "latent_dim": 3,
        "hidden": 32,
        "learning_rate": 3e-3,
        "batch_size": 64,
        "max_epochs": 25,
        "patience": 25,
    }
    return SpectrumAutoencoder(**(options | changed))


@pytest.fixture(scope="module")
def fitted():
    truth, flux, ivar = bent()
    return small().fit(flux, ivar=ivar), truth, flux, ivar


def test_it_beats_the_components_it_started_from(fitted):
    autoencoder, truth, flux, ivar = fitted
    met = autoencoder.inverse_transform(autoencoder.transform(flux, ivar=ivar))
    rows = flux - flux.mean(axis=0)
    leading = np.linalg.svd(rows, full_matrices=False)[2][:3]
    by_components = rows @ leading.T @ leading + flux.mean(axis=0)
    assert np.std(met - truth) < 0.5 * np.std(by_components - truth)
    assert autoencoder.history_[-1][1] < autoencoder.history_[0][1]


def test_same_seed_same_network(fitted):
    autoencoder, _, flux, ivar = fitted
    again = clone(autoencoder).fit(flux, ivar=ivar)
    np.testing.assert_array_equal(again.transform(flux), autoencoder.transform(flux))


def test_bad_pixels_count_nothing(fitted):
    autoencoder, _, flux, ivar = fitted
    broken, masked = flux.copy(), ivar.copy()
    broken[:, 5:9], masked[:, 5:9] = 1e6, 0.0
    broken[3, 5] = np.nan
    plain = np.where(masked > 0, flux, 1.0)
    np.testing.assert_array_equal(
        autoencoder.transform(broken, ivar=masked), autoencoder.transform(plain, ivar=masked)
    )
    one = small(max_epochs=2).fit(broken, ivar=masked)
    other = small(max_epochs=2).fit(plain, ivar=masked)
    np.testing.assert_array_equal(one.transform(plain), other.transform(plain))


def test_noisy_pixels_weigh_little():
    """Half of the pixels are worthless noise: told so by ivar, the network leaves them alone."""
    truth, flux, ivar = bent()
    rng = np.random.default_rng(5)
    noisy, told = flux.copy(), ivar.copy()
    noisy[:, ::2] += rng.normal(0, 0.5, noisy[:, ::2].shape).astype(np.float32)
    told[:, ::2] = 0.5**-2
    knowing = small().fit(noisy, ivar=told)
    blind = small().fit(noisy)
    rest = np.arange(96) % 2 == 1
    errors = [
        np.std((a.inverse_transform(a.transform(noisy, ivar=w)) - truth)[:, rest])
        for a, w in ((knowing, told), (blind, None))
    ]
    assert errors[0] < 0.7 * errors[1]


def test_spectra_without_a_good_pixel_are_left_out_and_get_nan(fitted):
    autoencoder, _, flux, ivar = fitted
    dark, none = flux.copy(), ivar.copy()
    dark[7], none[9] = np.nan, 0.0
    latent = autoencoder.transform(dark, ivar=none)
    assert np.isnan(latent[[7, 9]]).all()
    assert np.isfinite(np.delete(latent, [7, 9], axis=0)).all()
    assert small(max_epochs=1).fit(dark, ivar=none).n_samples_ == 398
    with pytest.raises(DataError, match="0 spectra with a good pixel"):
        small().fit(np.full((20, 30), np.nan))


def test_constant_and_equal_spectra_are_no_trouble():
    for flux in (np.ones((20, 40)), np.tile(bent(1)[1], (20, 1))):
        latent = small(max_epochs=2).fit_transform(flux)
        assert np.isfinite(latent).all()
        np.testing.assert_allclose(latent, latent[:1].repeat(20, axis=0), atol=1e-5)


def test_convolutions_learn_too():
    truth, flux, ivar = bent()
    autoencoder = small(architecture="convolutional", max_epochs=20, learning_rate=5e-3)
    met = autoencoder.fit(flux, ivar=ivar).inverse_transform(autoencoder.transform(flux))
    assert np.std(met - truth) < 0.6 * np.std(truth - truth.mean(axis=0))


def test_arms_can_have_networks_of_their_own():
    _, flux, ivar = bent(60)
    arms = (slice(0, 40), slice(40, 96))
    spectra = Spectra(np.arange(1.0, 97.0), flux, ivar, "air", arms)
    apart = small(latent_dim=5, per_arm=True, max_epochs=2).fit(spectra)
    assert [len(part) for part in np.array_split(np.arange(5), 2)] == [3, 2]
    before = apart.transform(spectra)
    other = flux.copy()
    other[:, 40:] = 0.5
    after = apart.transform(spectra.with_flux(other, ivar))
    np.testing.assert_array_equal(after[:, :3], before[:, :3])  # the first arm knows nothing of it
    assert not np.allclose(after[:, 3:], before[:, 3:])


def test_chunks_of_any_size_train_the_same_network():
    _, flux, ivar = bent(80)
    whole = small(max_epochs=2).fit(flux, ivar=ivar)
    cut = small(max_epochs=2).fit_chunks(
        (flux[i : i + 7], ivar[i : i + 7]) for i in range(0, 80, 7)
    )
    np.testing.assert_array_equal(whole.transform(flux), cut.transform(flux))
    fewer = small(max_epochs=1, max_spectra=30).fit(flux, ivar=ivar)
    assert fewer.n_samples_ == 30


def test_a_stopped_training_goes_on_from_its_checkpoint(tmp_path):
    _, flux, ivar = bent(100)

    class KilledError(Exception):
        pass

    def kill(made, most, loss):
        if made == 3:
            raise KilledError

    with pytest.raises(KilledError):
        small(max_epochs=6).fit(flux, ivar=ivar, checkpoint=tmp_path, callback=kill)
    made = []
    resumed = small(max_epochs=6).fit(
        flux, ivar=ivar, checkpoint=tmp_path, callback=lambda epoch, *_: made.append(epoch)
    )
    assert made[0] > 1  # what was done before is not done again
    assert made[-1] == 6
    assert len(resumed.history_) == 6
    with pytest.raises(DataError, match="checkpoint of other spectra"):
        small(max_epochs=6).fit(flux + 0.1, ivar=ivar, checkpoint=tmp_path)


def test_learning_rate_is_found(fitted):
    _, flux, ivar = bent(200)
    found = small(learning_rate=None, max_epochs=6).fit(flux, ivar=ivar)
    assert 3e-4 <= found.learning_rate_ <= 5e-3
    assert found.history_[-1][1] < found.history_[0][1]


@pytest.mark.parametrize("changed", [{}, {"architecture": "convolutional"}, {"per_arm": True}])
def test_state_makes_the_same_model(changed):
    _, flux, ivar = bent(60)
    model = small(max_epochs=1, max_bins=40, **changed)
    model.fit(flux, ivar=ivar, arms=(slice(0, 40), slice(40, 96)))
    arrays, metadata = model.state()
    again = SpectrumAutoencoder.from_state(arrays, metadata)
    np.testing.assert_array_equal(again.transform(flux), model.transform(flux))
    Z = model.transform(flux)
    np.testing.assert_array_equal(again.inverse_transform(Z), model.inverse_transform(Z))
    with pytest.raises(DataError, match="expected 'autoencoder'"):
        SpectrumAutoencoder.from_state(arrays, metadata | {"kind": "emulator"})


def test_bins_average_by_inverse_variance_within_arms():
    bins = Bins.of(7, 4, (slice(0, 3), slice(3, 7)))
    assert bins.starts.tolist() == [0, 2, 3, 5]
    flux = np.array([[1.0, 2.0, 9.0, 4.0, np.nan, 6.0, 8.0]])
    ivar = np.array([[1.0, 3.0, 0.0, 1.0, 1.0, 1.0, 1.0]])
    mean, total = bins.join(flux, ivar)
    np.testing.assert_allclose(mean, [[1.75, 1.0, 4.0, 7.0]])
    np.testing.assert_allclose(total, [[4.0, 0.0, 1.0, 2.0]])


def test_bins_are_spread_linearly():
    bins = Bins.of(24, 6, (slice(0, 12), slice(12, 24)))
    line = np.arange(24.0)[None]
    joined, _ = bins.join(line, None)
    np.testing.assert_allclose(bins.spread(joined)[0, 2:10], line[0, 2:10], atol=1e-5)


def test_sample_of_a_stream_is_even():
    drawn = np.zeros(60)
    for seed in range(200):
        sample = TrainingSample(20, np.random.default_rng(seed))
        for start in range(0, 60, 7):
            rows = np.arange(start, min(start + 7, 60))[:, None].astype(float)
            sample.add(rows, rows)
        absorbed, weight = sample.take()
        np.testing.assert_array_equal(absorbed, weight)
        drawn[absorbed[:, 0].astype(int)] += 1
    assert drawn.sum() == 4000
    assert drawn.min() > 35  # 66.7 on average
    assert drawn.max() < 100


def test_errors_say_what_was_found(fitted):
    autoencoder, _, flux, _ = fitted
    with pytest.raises(NotFittedError):
        SpectrumAutoencoder().transform(flux)
    with pytest.raises(DataError, match=r"expected \(N, 96\)"):
        autoencoder.transform(flux[:, :50])
    with pytest.raises(DataError, match=r"expected \(N, 3\)"):
        autoencoder.inverse_transform(np.zeros((2, 9)))
    with pytest.raises(DataError, match="expected 'dense' or 'convolutional'"):
        small(architecture="deep").fit(flux)
    with pytest.raises(DataError, match="latent_dim: found 0"):
        small(latent_dim=0).fit(flux)
    with pytest.warns(UserWarning, match="latent_dim lowered from 30 to 4"):
        assert small(latent_dim=30, max_epochs=1).fit(flux[:5]).latent_dim_ == 4
