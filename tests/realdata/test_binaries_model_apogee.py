"""The model channel with El-Badry's networks on real APOGEE spectra of double stars."""

import numpy as np
import pytest

from siderea.binaries.detect import detect_ccf, detect_model
from siderea.binaries.model_composites import on_grid
from siderea.binaries.model_flags import ModelFlag
from siderea.data import Spectra
from siderea.io import apogee
from siderea.models import binspec
from siderea.models.composite import Single
from siderea.spectra.continuum import normalise

pytestmark = pytest.mark.realdata

VISITS = "visit_spectra_ap_id_2M06133561+2433362_.npz"


@pytest.fixture(scope="module")
def model(real_data):
    path = real_data / "apogee_binspec"
    if not path.is_dir():
        pytest.skip("no apogee_binspec folder in the real data")
    return binspec.load(path)


def spectra_of(model, flux, sigma):
    sigma = np.maximum(sigma, np.abs(flux) / 200)  # as the published fits cap S/N
    options = {"arms": model.arms, "resolution": model.resolution}
    return Spectra(model.wavelength, flux, sigma**-2, "vacuum", **options)


def test_each_visit_of_a_real_binary_shows_two_stars(model, real_data):
    """As published, normalised by the survey: the detector renormalises it as the model is."""
    with np.load(real_data / "apogee_binspec" / VISITS) as archive:
        flux, sigma = archive["spectra"].astype(float), archive["spec_errs"].astype(float)
    found = detect_model(spectra_of(model, flux, sigma), model)  # a warning is an error
    assert found["is_binary"].all()
    assert (found["probability"] > 0.99).all()
    assert (found["flags"] == 0).all()
    assert (found["chi2_binary"] < found["n_pixels"]).all()
    assert (found["delta_chi2"] > 15_000).all()
    assert found["q"].to_numpy() == pytest.approx(np.full(3, 0.9246), abs=0.02)
    velocities = found[["binary_rv_1", "binary_rv_2"]].to_numpy()
    reference = [[14.906, -101.58], [-68.021, -10.11], [-57.453, -21.77]]
    np.testing.assert_allclose(velocities, reference, atol=0.35)


def test_the_primary_alone_is_a_single_star(model):
    rows = [[4879, 4.5772, -0.19, 0.12, 12.7, rv] for rv in (14.9, -68.0, -57.5)]
    rng = np.random.default_rng(4)
    flux = Single(model).predict(rows)
    flux = flux + rng.normal(0, 0.01, flux.shape)
    found = detect_model(spectra_of(model, flux, np.full(flux.shape, 0.01)), model)
    assert not found["is_binary"].any()
    assert (found["delta_chi2"] < 40).all()


def test_a_pair_of_giants_is_two_stars_and_no_star_of_the_networks(model, real_data):
    """KIC 9246715 (Rawls et al. 2016): two red giants of mass ratio .99; the networks know dwarfs.

    The velocities are those of the cross-correlation all the same, and the fit is flagged.
    """
    paths = sorted((real_data / "apogee_fits").glob("apVisit-*.fits"))
    if not paths:
        pytest.skip("no apogee_fits folder in the real data")
    spectra, _ = normalise(apogee.read_spectra(paths))
    found = detect_model(spectra, model)
    assert (found["delta_chi2"] > 100_000).all()
    assert (found["q"] > 0.95).all()
    assert ((found["flags"].to_numpy() & ModelFlag.POOR_FIT) > 0).all()
    templates = model.predict([[teff, 4.3, -0.1, 0.0, 5.0] for teff in (4400, 4900, 5500)])
    other = detect_ccf(on_grid(spectra, model), templates=templates)
    ours = np.sort(found[["binary_rv_1", "binary_rv_2"]].to_numpy(), axis=1)
    np.testing.assert_allclose(ours, np.sort(other[["rv_1", "rv_2"]].to_numpy(), axis=1), atol=1.0)
