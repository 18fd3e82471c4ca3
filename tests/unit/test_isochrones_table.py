import numpy as np
import pytest

from siderea.errors import DataError
from siderea.isochrones import IsochroneTable
from siderea.isochrones.table import pack, unpack


def small(**changes):
    rng = np.random.default_rng(1)
    values = {
        "fe_h": np.array([-1.0, 0.0]),
        "age": np.array([1.0, 2.0, 4.0]),
        "log_mass": np.cumsum(rng.uniform(1e-7, 0.1, (2, 3, 9)), axis=-1),
        "columns": rng.normal(size=(2, 3, 9, 4)) * [0.1, 1, 5, 10],
        "bands": ("sdss_g", "sdss_r"),
    }
    return IsochroneTable(**values | changes)


def test_packing_keeps_the_mass_and_a_65535th_of_every_range():
    table = small()
    back = unpack(pack(table))
    assert back.bands == table.bands
    np.testing.assert_array_equal(back.fe_h, table.fe_h)
    np.testing.assert_array_equal(back.age, table.age)
    np.testing.assert_array_equal(back.log_mass, table.log_mass)
    step = np.ptp(table.columns, axis=(0, 1, 2)) / 65535
    assert (np.abs(back.columns - table.columns) <= 0.501 * step).all()


def test_a_file_reads_as_its_bytes_do(tmp_path):
    path = tmp_path / "table.npz"
    path.write_bytes(pack(small()))
    np.testing.assert_array_equal(unpack(path).columns, unpack(path.read_bytes()).columns)


def test_a_mass_that_does_not_ascend_is_refused():
    masses = small().log_mass.copy()
    masses[0, 0, 4] = masses[0, 0, 3]
    with pytest.raises(DataError, match="log_mass must ascend"):
        small(log_mass=masses)


def test_shapes_that_disagree_are_named():
    with pytest.raises(DataError, match=r"expected \(2, 3, 9\) and \(2, 3, 9, 3\)"):
        small(bands=("sdss_g",))
