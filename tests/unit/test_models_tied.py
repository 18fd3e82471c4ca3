import numpy as np
import pytest
import torch

from siderea.errors import DataError
from siderea.models.emulator import load_default
from siderea.models.protocol import DifferentiableModel
from siderea.models.schematic import SchematicModel
from siderea.models.tied import Tied, microturbulence

WAVELENGTH = 6500.0 * np.exp(1.5e-5 * np.arange(300))


@pytest.fixture(scope="module")
def model():
    return SchematicModel(WAVELENGTH)


def test_it_is_the_model_at_the_related_label(model):
    tied = Tied(model, "logg", lambda labels: 4.0 + 1e-4 * (labels["teff"] - 5000.0))
    assert isinstance(tied, DifferentiableModel)
    assert tied.label_names == ("teff", "fe_h", "vbroad")
    expected = model.predict([[6000.0, 4.1, -0.2, 5.0]])
    np.testing.assert_allclose(tied.predict([[6000.0, -0.2, 5.0]]), expected)
    np.testing.assert_array_equal(tied.label_range, np.delete(model.label_range, 1, axis=0))


def test_the_relation_is_differentiated(model):
    tied = Tied(model, "logg", lambda labels: 4.0 + 1e-4 * (labels["teff"] - 5000.0))
    at = torch.tensor([[6000.0, -0.2, 5.0]], dtype=torch.float64)
    slope = torch.autograd.functional.jvp(
        tied.normalised, at, torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    )[1]
    step = torch.tensor([[1e-2, 0.0, 0.0]], dtype=torch.float64)
    numeric = (tied.normalised(at + step) - tied.normalised(at - step)) / 2e-2
    np.testing.assert_allclose(slope.numpy(), numeric.numpy(), atol=1e-9)


def test_the_relation_stays_in_the_model_s_range(model):
    tied = Tied(model, "logg", lambda labels: 0 * labels["teff"] + 99.0)
    top = model.label_range[1, 1]
    np.testing.assert_allclose(
        tied.predict([[6000.0, 0.0, 5.0]]), model.predict([[6000.0, top, 0.0, 5.0]])
    )


def test_microturbulence_is_the_survey_s():
    labels = {
        "teff": torch.tensor([5500.0, 5000.0, 6500.0, 5000.0]),
        "logg": torch.tensor([4.4, 4.5, 4.0, 2.5]),
    }
    np.testing.assert_allclose(microturbulence(labels), [1.1, 1.02, 1.6, 1.15], rtol=1e-6)


def test_it_ties_the_shipped_emulator():
    emulator = load_default()
    tied = Tied(emulator)
    flux = tied.predict([[5500.0, 4.4, 0.0, 0.0]])
    np.testing.assert_allclose(flux, emulator.predict([[5500.0, 4.4, 0.0, 0.0, 1.1]]), atol=1e-6)


def test_a_label_that_is_not_there_is_refused(model):
    with pytest.raises(DataError, match="vmic"):
        Tied(model)
    with pytest.raises(DataError, match="expected"):
        Tied(model, "logg", lambda labels: labels["teff"]).predict([[1.0, 2.0]])
