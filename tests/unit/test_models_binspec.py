import numpy as np
import pytest
import torch

from siderea.errors import DataError, NotThisProductError
from siderea.models import binspec
from siderea.models.forward_mode import row_jacobian
from siderea.models.protocol import DifferentiableModel, SpectralModel

P = 5400


def write_networks(folder):
    """Write small random networks in the published format."""
    rng = np.random.default_rng(3)

    def network(n_labels, low, high):
        return {
            "w_array_0": rng.normal(0, 0.5, (P, 5, n_labels)).astype(np.float32),
            "b_array_0": rng.normal(0, 0.5, (P, 5)).astype(np.float32),
            "w_array_1": rng.normal(0, 0.1, (P, 5)).astype(np.float32),
            "b_array_1": np.full(P, 0.9, np.float32),
            "x_min": np.array(low),
            "x_max": np.array(high),
        }

    def dense(shapes, low, high):
        out = {"x_min": np.array(low), "x_max": np.array(high)}
        for i, (rows, columns) in enumerate(shapes):
            out[f"w_array_{i}"] = rng.normal(0, 0.3, (rows, columns)).astype(np.float32)
            out[f"b_array_{i}"] = rng.normal(0.5, 0.1, rows).astype(np.float32)
        return out

    low, high = [4200.0, 4.0, -0.8, -0.3, -2.8], [7000.0, 5.0, 0.4, 0.5, 45.0]
    np.savez(folder / "NN_normalized_spectra.npz", **network(5, low, high))
    np.savez(folder / "NN_unnormalized_spectra.npz", **network(4, low[:4], high[:4]))
    shapes = [(8, 3), (8, 8), (1, 8)]
    np.savez(folder / "NN_radius.npz", **dense(shapes, low[:3], high[:3]))
    companion = dense([(6, 4), (2, 6)], [3000.0, 3.8, -1.0, 0.1], [7500.0, 5.2, 0.5, 1.0])
    np.savez(folder / "NN_Teff2_logg2.npz", **companion)
    np.savez(folder / "apogee_wavelength.npz", wavelength=15_168.0 * np.exp(1.38e-5 * np.arange(P)))
    np.savez(folder / "cannon_cont_pixels_apogee.npz", pixels_cannon=rng.random(P) < 0.3)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def model(folder):
    return binspec.load(folder)


LABELS = torch.tensor(
    [[5800.0, 4.4, 0.0, 0.05, 5.0], [4700.0, 4.6, -0.4, 0.2, 20.0]], dtype=torch.float64
)


def test_follows_the_protocols(model):
    assert isinstance(model, SpectralModel)
    assert isinstance(model, DifferentiableModel)
    assert model.label_range[4, 0] == 0.0
    assert model.predict(LABELS.numpy()).shape == (2, P)


def test_equals_the_networks_written_out(folder, model):
    with np.load(folder / "NN_normalized_spectra.npz") as net:
        x = (LABELS[0].numpy() - net["x_min"]) / (net["x_max"] - net["x_min"]) - 0.5
        inside = net["w_array_0"].astype(float) @ x + net["b_array_0"]
        expected = (net["w_array_1"] / (1 + np.exp(-inside))).sum(1) + net["b_array_1"]
    np.testing.assert_allclose(model.predict(LABELS.numpy())[0], expected, atol=1e-12)


def test_derivatives_by_hand_are_those_of_autograd(model):
    columns = model.density_jacobian(LABELS)
    (value,), (jacobian,) = row_jacobian(lambda x: (model.density(x),), LABELS)
    np.testing.assert_allclose(columns[:, 0], value, rtol=1e-12)
    scale = jacobian.abs().amax(dim=2, keepdim=True)
    assert ((columns[:, 1:] - jacobian).abs() / scale).max() < 1e-10


def test_label_networks_have_right_derivatives_in_both_modes(model):
    network = model.main_sequence.companion_network
    x = torch.tensor([[5800.0, 4.4, 0.0, 0.7]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, (x,), eps=1e-3, atol=1e-6)
    _, (forward,) = row_jacobian(lambda rows: (network(rows),), x.detach())
    backward = torch.autograd.functional.jacobian(lambda row: network(row[None])[0], x[0].detach())
    np.testing.assert_allclose(forward[0].mT, backward, rtol=1e-12)


def test_twin_is_the_primary_exactly(model):
    primary = [torch.tensor(v, dtype=torch.float64) for v in (5800.0, 4.4, 0.0)]
    teff, logg = model.main_sequence.companion(*primary, torch.tensor(1.0, dtype=torch.float64))
    assert (teff.item(), logg.item()) == (5800.0, 4.4)


def test_companion_is_never_hotter_nor_larger(model):
    q = torch.linspace(0.2, 1.0, 50, dtype=torch.float64)
    primary = [torch.full_like(q, v) for v in (5800.0, 4.4, 0.0)]
    teff, logg = model.main_sequence.companion(*primary, q)
    assert teff.max() <= 5800.0
    assert logg.min() >= 4.4


def test_single_precision_agrees(model):
    fast = model.to(dtype=torch.float32)
    assert fast.normalised(LABELS).dtype == torch.float32
    np.testing.assert_allclose(fast.normalised(LABELS), model.normalised(LABELS), atol=1e-5)


def test_nan_label_gives_nan_spectrum_alone(model):
    out = model.predict([[np.nan, 4.4, 0, 0, 5], [5800.0, 4.4, 0, 0, 5]])
    assert np.isnan(out[0]).all()
    assert np.isfinite(out[1]).all()


def test_wrong_number_of_labels(model):
    with pytest.raises(DataError, match=r"expected \(N, 5\)"):
        model.predict([[5800.0, 4.4]])


def test_missing_file_is_named(tmp_path):
    with pytest.raises(NotThisProductError, match=r"NN_normalized_spectra.npz: found no such file"):
        binspec.load(tmp_path)


def test_another_archive_is_refused(folder, tmp_path):
    for path in folder.glob("*.npz"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    np.savez(tmp_path / "NN_radius.npz", weights=np.zeros(3))
    with pytest.raises(NotThisProductError, match=r"NN_radius.npz: found no w_array_0"):
        binspec.load(tmp_path)
    (tmp_path / "NN_radius.npz").write_bytes((folder / "NN_radius.npz").read_bytes())
    np.savez(tmp_path / "cannon_cont_pixels_apogee.npz", pixels_cannon=np.zeros(7, bool))
    with pytest.raises(NotThisProductError, match=r"\(7,\) continuum pixels"):
        binspec.load(tmp_path)
