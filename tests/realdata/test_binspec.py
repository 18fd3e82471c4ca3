"""El-Badry's networks against the numbers of the original code, and the visits of a real binary."""

import numpy as np
import pytest
import torch

from siderea.data import Spectra
from siderea.models import binspec
from siderea.models.composite import Binary, Single
from siderea.models.epochs import SB1, SB2, Steady
from siderea.models.fitting import fit

pytestmark = pytest.mark.realdata

VISITS = "visit_spectra_ap_id_2M06133561+2433362_.npz"


@pytest.fixture(scope="module")
def folder(real_data):
    path = real_data / "apogee_binspec"
    if not path.is_dir():
        pytest.skip("no apogee_binspec folder in the real data")
    return path


@pytest.fixture(scope="module")
def model(folder):
    return binspec.load(folder)


def test_single_star_of_the_original_code(model):
    flux = Single(model).predict([5800, 4.44, 0, 0, 5, 10])[0]
    assert flux.sum() == pytest.approx(7093.290334, abs=1e-5)
    assert flux.min() == pytest.approx(0.620908, abs=1e-6)
    assert flux[3000] == pytest.approx(0.991348, abs=1e-6)


def test_binary_of_the_original_code(model):
    binary = Binary(model)
    names = ("teff", "logg", "fe_h", "alpha_fe", "q", "vmac_1", "vmac_2", "rv_1", "rv_2")
    assert binary.label_names == names
    flux = binary.predict([5800, 4.44, 0, 0, 0.7, 2, 5, -10, 10])[0]
    assert flux.sum() == pytest.approx(7075.651930, abs=1e-5)
    assert flux.min() == pytest.approx(0.641361, abs=1e-6)
    assert flux[3000] == pytest.approx(0.880563, abs=1e-6)


@pytest.mark.parametrize(
    ("q", "teff", "logg", "radius"),
    [
        (1.0, 5800.0, 4.44, 0.9952),
        (0.9, 5380.5, 4.521, 0.8533),
        (0.8, 4917.5, 4.581, 0.7523),
        (0.7, 4480.6, 4.638, 0.6638),
        (0.6, 4090.8, 4.711, 0.5588),
        (0.5, 3788.6, 4.797, 0.4673),
    ],
)
def test_companions_of_the_original_code(model, q, teff, logg, radius):
    sequence = model.main_sequence
    primary = [torch.tensor(v, dtype=torch.float64) for v in (5800.0, 4.44, 0.0)]
    found = sequence.companion(*primary, torch.tensor(q, dtype=torch.float64))
    assert found[0].item() == pytest.approx(teff, abs=0.06)
    assert found[1].item() == pytest.approx(logg, abs=6e-4)
    assert sequence.radius(*found, primary[2]).item() == pytest.approx(radius, abs=6e-5)


def test_twin_is_the_single_star(model):
    single = Single(model).predict([5800, 4.44, 0, 0, 5, 10])
    twin = Binary(model).predict([5800, 4.44, 0, 0, 1, 5, 5, 10, 10])
    np.testing.assert_allclose(twin, single, atol=1e-13)


@pytest.fixture(scope="module")
def visits(folder, model):
    """Three visits, renormalised with the shape of a star like the guess of the reference."""
    with np.load(folder / VISITS) as archive:
        flux, sigma = archive["spectra"].astype(float), archive["spec_errs"].astype(float)
        rv = archive["vhelios"].astype(float)
    sigma = np.maximum(sigma, np.abs(flux) / 200)  # S/N capped at 200
    spectra = Spectra(model.wavelength, flux, sigma**-2, "vacuum", arms=model.arms)
    shape = Single(model).shape([[5000, 4.4, -0.1, 0, 10, v] for v in rv])
    return model.pseudo_continuum.normalise(spectra, shape=shape)


def test_double_lined_visits_of_a_real_binary(model, visits):
    result = fit(visits, SB2(Binary(model), 3))
    found = dict(zip(result.label_names, result.labels[0], strict=True))
    assert result.flags[0] == 0
    assert result.chi2[0] <= 21_070
    reference = {"teff": 4879.0, "logg": 4.5772, "fe_h": -0.1906, "alpha_fe": 0.1222}
    reference |= {"q": 0.9246, "vmac_1": 12.69, "vmac_2": 9.56, "q_dyn": 0.9067, "gamma": -40.485}
    reference |= {"rv_1": 14.906, "rv_2": -68.021, "rv_3": -57.453}
    errors = dict(zip(result.label_names, result.errors[0], strict=True))
    for name, value in reference.items():
        assert found[name] == pytest.approx(value, abs=0.1 * errors[name]), name
    assert errors["q_dyn"] == pytest.approx(0.0014, abs=1e-4)
    secondary = (found["gamma"] * (1 + found["q_dyn"]) - found["rv_1"]) / found["q_dyn"]
    assert secondary == pytest.approx(-101.58, abs=0.02)


def test_single_star_models_of_a_real_binary_are_no_worse_than_the_reference(model, visits):
    assert fit(visits, Steady(Single(model), 3)).chi2[0] <= 208_827
    assert fit(visits, SB1(Single(model), 3)).chi2[0] <= 143_878


def test_mocks_of_the_published_labels(folder, model):
    """30 binaries of the published mock labels at S/N 100: none ends above its own basin."""
    with np.load(folder / "labels_for_20000_mock_dwarf_dwarf_binaries.npz") as archive:
        labels = archive["mock_labels"]
    low, high = model.label_range[:4].T
    inside = ((labels[:, :4] >= low) & (labels[:, :4] <= high)).all(axis=1)
    inside &= (labels[:, 7] >= low[0]) & (labels[:, 8] <= 5.0)
    rng = np.random.default_rng(8)
    rows = labels[rng.choice(np.flatnonzero(inside), 30, replace=False)]
    q, dv = rows[:, 6] / rows[:, 4], rng.uniform(0, 100, 30)
    rv = np.column_stack([-dv * q / (1 + q), dv / (1 + q)])
    truth = np.column_stack([rows[:, :4], q, rng.uniform(1, 15, (30, 2)), rv])
    binary = Binary(model)
    flux = binary.predict(truth)
    flux = flux + rng.normal(0, 0.01, flux.shape)
    spectra = Spectra(model.wavelength, flux, np.full(flux.shape, 1e4), "vacuum", arms=model.arms)
    found, own = fit(spectra, binary), fit(spectra, binary, start=truth)
    assert (found.chi2 - own.chi2).max() < 25
