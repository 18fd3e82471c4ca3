import json

import numpy as np
import pytest

from siderea.errors import DataError, NotThisProductError
from siderea.io import artefacts

METADATA = dict.fromkeys(artefacts.REQUIRED) | {"kind": "toy", "metrics": {"rms": 0.1}}
ARRAYS = {"wavelength": np.arange(3.0), "weights": np.ones((2, 3), np.float16)}


@pytest.fixture
def saved(tmp_path):
    return artefacts.save(tmp_path / "model.v1", ARRAYS, METADATA)


def test_round_trip(saved, tmp_path):
    for name in ("model.v1", "model.v1.json", "model.v1.safetensors"):
        arrays, metadata = artefacts.load(tmp_path / name)
        assert arrays["weights"].dtype == np.float16
        np.testing.assert_array_equal(arrays["wavelength"], ARRAYS["wavelength"])
        assert metadata["kind"] == "toy"
        assert metadata["metrics"] == {"rms": 0.1}


@pytest.mark.parametrize("name", artefacts.REQUIRED)
def test_every_required_entry_is_required(tmp_path, name):
    metadata = {k: v for k, v in METADATA.items() if k != name}
    with pytest.raises(DataError, match=f"found no {name}"):
        artefacts.save(tmp_path / "model", ARRAYS, metadata)
    assert not list(tmp_path.iterdir())


def test_wavelength_is_required(tmp_path):
    with pytest.raises(DataError, match="wavelength"):
        artefacts.save(tmp_path / "model", {"weights": np.ones(2)}, METADATA)


def test_what_json_cannot_say_is_refused_before_writing(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        artefacts.save(tmp_path / "model", ARRAYS, METADATA | {"metrics": {"rms": np.inf}})
    assert not list(tmp_path.iterdir())


def test_absent_model(tmp_path):
    with pytest.raises(NotThisProductError, match="no such file"):
        artefacts.load(tmp_path / "nothing")


def test_damaged_weights(saved):
    weights, _ = saved
    weights.write_bytes(weights.read_bytes()[:-3])
    with pytest.raises(NotThisProductError, match="damaged weights"):
        artefacts.load(weights)


def test_changed_weights(saved):
    weights, _ = saved
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(NotThisProductError, match="weights of another model"):
        artefacts.load(weights)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "damaged JSON"), ("[]", "format list"), ('{"format": 99}', "format 99")],
)
def test_damaged_description(saved, text, message):
    _, description = saved
    description.write_text(text)
    with pytest.raises(NotThisProductError, match=message):
        artefacts.load(description)


def test_nothing_is_pickled(saved):
    weights, description = saved
    assert b"pickle" not in weights.read_bytes()
    json.loads(description.read_text())
