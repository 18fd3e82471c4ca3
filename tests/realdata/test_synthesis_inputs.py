"""The readers of atmospheres and lines, on the real files."""

import numpy as np
import pytest

from siderea.errors import NotThisProductError
from siderea.io.synthesis_inputs import read_atmospheres, read_line_list

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def inputs(real_data):
    folder = real_data / "synthesis_inputs"
    if not folder.is_dir():
        pytest.skip("no synthesis_inputs in the real data")
    return folder


def test_solar_atmosphere_is_the_suns(inputs):
    sun = read_atmospheres(inputs / "si_odf_atmospheres.npz").at(5772, 4.44, 0.0)
    temperature = np.interp(0.0, np.log10(sun.tau), sun.temperature)
    assert 6250 < temperature < 6650  # at τ(5000 Å) = 1
    weight = sun.density / (1.66053907e-24 * (sun.atoms + sun.electrons))
    np.testing.assert_allclose(weight, 1.27, rtol=0.12)  # u per particle, H and He
    assert (np.diff(sun.column_mass) > 0).all()


def test_labels_of_the_grid_are_within_the_atmospheres(inputs):
    atmospheres = read_atmospheres(inputs / "si_odf_atmospheres.npz")
    with np.load(inputs.parent / "synthetic_galah_grid" / "blue.npz") as grid:
        assert atmospheres.covers(grid["labels"]).all()


def test_line_list_is_in_vacuum_and_atomic(inputs):
    pytest.importorskip("h5py", reason="part of the extra `synthesis`")
    lines = read_line_list(inputs / "galah_dr3_linelist.h5")
    assert len(lines) > 15_000
    hydrogen = lines[lines.element == 1]
    h_alpha = hydrogen.to("air").wavelength[np.argmin(np.abs(hydrogen.wavelength - 6564.61))]
    assert abs(h_alpha - 6562.80) < 0.05


def test_another_file_is_refused(inputs):
    with pytest.raises(NotThisProductError, match="param_names"):
        read_atmospheres(inputs.parent / "synthetic_galah_grid" / "blue.npz")
