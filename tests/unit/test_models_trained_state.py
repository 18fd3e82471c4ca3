import numpy as np
import pytest

from siderea.errors import DataError
from siderea.io import artefacts
from siderea.models.cannon import Cannon
from siderea.models.decoder import Decoder, Training
from siderea.models.trained_state import fingerprint

NAMES = ("teff", "logg")
PIXELS = 40


def training(n=80):
    rng = np.random.default_rng(0)
    labels = [5000.0, 3.0] + [500.0, 0.8] * rng.uniform(-2, 2, (n, 2))
    x = (labels - [5000.0, 3.0]) / [500.0, 0.8]
    flux = 0.7 + x @ (0.05 * rng.normal(size=(2, PIXELS))) + rng.normal(size=(n, PIXELS)) / 200
    return flux, np.full(flux.shape, 200.0**2), labels


@pytest.fixture(scope="module", params=["cannon", "decoder"])
def model(request):
    if request.param == "cannon":
        new = Cannon(2, label_names=NAMES, n_modes=2)
    else:
        new = Decoder((8,), label_names=NAMES, training=Training(max_epochs=5))
    options = {"medium": "air", "resolution": 2000.0}
    return new.fit(*training(), wavelength=np.linspace(5000, 5100, PIXELS), **options)


def test_a_trained_model_comes_back_from_disk_as_it_was(model, tmp_path):
    artefacts.save(tmp_path / "model", *model.state())
    arrays, metadata = artefacts.load(tmp_path / "model")
    again = type(model).from_state(arrays, metadata)
    flux, ivar, labels = training(6)
    np.testing.assert_array_equal(again.predict(labels), model.predict(labels))
    found, expected = again.infer(flux, ivar), model.infer(flux, ivar)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.covariance, expected.covariance)
    for name in ("label_names", "medium", "resolution", "training_set_sha256_"):
        assert getattr(again, name) == getattr(model, name)
    np.testing.assert_array_equal(again.scatter_, model.scatter_)


def test_the_metadata_say_what_it_was_trained_on(model):
    metadata = model.state()[1]
    assert set(artefacts.REQUIRED) <= set(metadata)
    assert len(metadata["training_set_sha256"]) == 64


def test_an_unknown_resolution_survives(tmp_path):
    cannon = Cannon(1).fit(*training())
    artefacts.save(tmp_path / "model", *cannon.state())
    assert Cannon.from_state(*artefacts.load(tmp_path / "model")).resolution == np.inf


def test_another_kind_and_an_untrained_model_are_refused(model):
    arrays, metadata = model.state()
    with pytest.raises(DataError, match="kind"):
        type(model).from_state(arrays, metadata | {"kind": "emulator"})
    with pytest.raises(DataError, match="fit"):
        type(model)().state()


def test_the_fingerprint_is_that_of_the_numbers():
    one = np.arange(6.0).reshape(2, 3)
    assert fingerprint(one) == fingerprint(one.copy())
    assert fingerprint(one) != fingerprint(one + 1e-12)
