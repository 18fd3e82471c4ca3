"""The npz files at hand: what each says, or why it is not read."""

import numpy as np
import pytest

from siderea.errors import MediumError, NotThisProductError
from siderea.io import table

pytestmark = pytest.mark.realdata


def test_miles(real_data):
    path = real_data / "miles" / "miles.npz"
    with pytest.raises(NotThisProductError, match="no ivar or error"):
        table.read_spectra(path, medium="air")
    with pytest.raises(MediumError, match="does not say the medium"):
        table.read_spectra(path, error=0.01)
    spectra = table.read_spectra(path, medium="air", error=0.01)
    assert spectra.flux.shape == (702, 4300)
    assert spectra.ids[:3].tolist() == ["0001", "0003", "0004"]
    assert spectra.table.loc[0, ["teff", "logg", "feh"]].tolist() == [5305.0, 4.49, -0.75]
    line = np.abs(spectra.wavelength - 6562.8) < 10
    star = spectra.flux[0]
    assert abs(spectra.wavelength[line][np.argmin(star[line])] - 6562.8) < 1.5  # Hα, air


@pytest.mark.parametrize("folder", ["lamost_lrs", "lamost_repeats"])
def test_names_stored_as_python_objects(real_data, folder):
    with pytest.raises(NotThisProductError, match="'name' of Python objects"):
        table.read_spectra(real_data / folder / "spectra.npz", medium="vacuum")


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("narval_benchmarks/narval_benchmarks.npz", "no wavelength, no flux"),
        ("apogee_binspec/visit_spectra_ap_id_2M06133561+2433362_.npz", "no wavelength"),
        ("apogee_orbits/allVisit-sample.fits", "no table with a column of flux"),
    ],
)
def test_files_without_a_spectrum_on_a_grid(real_data, name, lacks):
    with pytest.raises(NotThisProductError, match=lacks):
        table.read_spectra(real_data / name, medium="air")
