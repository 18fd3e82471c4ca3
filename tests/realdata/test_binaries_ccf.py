"""Cross-correlation on real binaries: GALAH's class BIN, APOGEE visits, LAMOST single exposures."""

import numpy as np
import pandas as pd
import pytest

from siderea.binaries.detect import CCFDetector, detect_ccf
from siderea.data import Spectra
from siderea.io import lamost
from siderea.io.store import SurveyStore
from siderea.models import binspec
from siderea.models.composite import Single
from siderea.pipelines.ingest import ingest
from siderea.spectra.continuum import normalise

pytestmark = pytest.mark.realdata


def test_galah_binaries_are_found_and_nothing_else(real_data, tmp_path):
    classes = pd.read_csv(
        real_data / "galah_dr3" / "tsne_class_of_these_stars.csv", dtype=str
    ).set_index("sobject_id")["class"]
    ingest("galah", [real_data / "galah_dr3" / "spectra"], tmp_path / "galah.siderea")
    spectra = SurveyStore.open(tmp_path / "galah.siderea").spectra()
    found = CCFDetector(spectra)(spectra)
    binary = found["id"].map(classes).fillna("").str.contains("BIN").to_numpy()
    many = (found["n_components"] > 1).to_numpy()
    assert many[binary].mean() >= 0.75
    assert many[~binary].mean() <= 0.05


@pytest.mark.parametrize(
    ("visit", "one", "two"),
    [(0, 14.906, -101.58), (1, -68.021, -10.11), (2, -57.453, -21.77)],
)
def test_visits_of_an_apogee_binary(real_data, visit, one, two):
    """The velocities of El-Badry's model fitted to the three visits at once."""
    folder = real_data / "apogee_binspec"
    model = binspec.load(folder)
    with np.load(folder / "visit_spectra_ap_id_2M06133561+2433362_.npz") as archive:
        flux, sigma, rv = (
            archive[name].astype(float) for name in ("spectra", "spec_errs", "vhelios")
        )
    ivar = np.maximum(sigma, np.abs(flux) / 200) ** -2.0
    spectra = Spectra(
        model.wavelength, flux, ivar, "vacuum", arms=model.arms, resolution=model.resolution
    )
    shape = Single(model).shape([[5000, 4.4, -0.1, 0, 10, v] for v in rv])
    spectra = model.pseudo_continuum.normalise(spectra, shape=shape)[[visit]]
    templates = model.predict([[teff, 4.6, -0.2, 0.0, 5.0] for teff in (4400, 4900, 5500, 6200)])
    row = detect_ccf(spectra, templates=templates).iloc[0]
    assert row["n_components"] == 2
    assert row["rv_1"] == pytest.approx(one, abs=1.0)
    assert row["rv_2"] == pytest.approx(two, abs=1.0)


def test_exposures_of_kic_8098300_mirror_each_other(real_data):
    """Both stars move about one centre of mass; at one night their lines coincide."""
    files = sorted((real_data / "lamost_kic8098300").glob("med*"))
    spectra, _ = normalise(lamost.read_spectra(files, frame="barycentric", exposures="all"))
    spectra = spectra.with_flux(spectra.flux, np.where(spectra.flux > 1.15, 0.0, spectra.ivar))
    night = np.floor(spectra.table["time"].to_numpy())
    coadd = spectra.table["is_coadd"].to_numpy(dtype=bool)
    bright = (spectra.table["snr_red"] > 20).to_numpy()
    template = spectra[coadd & (night == 58269)].flux
    used = ~coadd & bright
    table = CCFDetector(spectra, templates=template)(spectra[used])
    two = {date: table[(night[used] == date)] for date in (58269, 58643, 58645)}
    assert (two[58269]["n_components"] == 1).all()
    assert (two[58643]["n_components"] == 2).all()
    assert (two[58645]["n_components"] == 2).all()
    mean = {date: rows[["rv_1", "rv_2"]].astype(float).mean() for date, rows in two.items()}
    moved = mean[58645] - mean[58643]
    assert moved["rv_1"] > 50
    assert moved["rv_2"] < -50
    assert two[58643]["rv_1"].std() < 4.0
