import numpy as np
import pytest

from siderea.errors import DataError
from siderea.models import synthesis
from siderea.models.synthesis import Band, Synthesiser
from siderea.models.synthesis_inputs import ELEMENTS, AtmosphereGrid, LineList

TAU = np.linspace(-5, 1, 10)


def layers(teff, logg, fe_h):
    """Logarithms that are linear in the labels, so that linear interpolation is exact."""
    temperature = 3.6 + teff / 5e4 + 0.03 * TAU
    pressure = 4 + 0.5 * (logg - 4) - 0.3 * fe_h + 0.6 * TAU
    return np.stack([TAU, temperature, pressure - 4, pressure, pressure - 11])


@pytest.fixture
def atmospheres():
    nodes = np.array(
        [(t, g, f) for t in (5000, 5500, 6000) for g in (3, 4, 5) for f in (-1, -0.3, 0, 0.5)]
    )
    return AtmosphereGrid(nodes, np.stack([layers(*node) for node in nodes]))


def lines(**changes):
    n = 5
    columns = {
        "wavelength": np.array([5010.0, 5000.0, 4000.0, 5100.0, 5003.0]),
        "element": np.array([26, 26, 1, 12, 22]),
        "ionisation": np.array([1, 2, 1, 1, 2]),
        "excitation": np.arange(n) / 10,
        "log_gf": -np.arange(n, dtype=float),
        "gamma_radiative": np.zeros(n),
        "gamma_stark": np.zeros(n),
        "van_der_waals": np.zeros(n),
        "medium": "vacuum",
    }
    return LineList(**(columns | changes))


def test_interpolation_is_linear_in_the_logarithms(atmospheres):
    found = atmospheres.at(5320.0, 3.7, -0.45)
    tau, temperature, electrons, gas, density = 10 ** layers(5320.0, 3.7, -0.45)
    np.testing.assert_allclose(found.tau, tau)
    np.testing.assert_allclose(found.temperature, temperature)
    np.testing.assert_allclose(found.density, density)
    np.testing.assert_allclose(found.electrons, electrons / (1.380649e-16 * temperature))
    np.testing.assert_allclose(found.column_mass * 10**3.7, gas)
    np.testing.assert_allclose((found.atoms + found.electrons) * 1.380649e-16 * temperature, gas)


def test_a_node_is_returned_as_it_is(atmospheres):
    np.testing.assert_allclose(
        np.log10(atmospheres.at(5500, 4, 0).temperature), layers(5500, 4, 0)[1]
    )


def test_outside_the_nodes_is_refused(atmospheres):
    with pytest.raises(DataError, match=r"teff 6100, logg 4, fe_h 0; .*5000-6000 K"):
        atmospheres.at(6100, 4, 0)
    inside = atmospheres.covers([(6100, 4, 0, 9, 9), (5600, 4.5, 0.1, 9, 9)])
    assert inside.tolist() == [False, True]


def test_models_that_are_not_finite_are_left_out(atmospheres):
    broken = atmospheres.layers.copy()
    broken[:4, 2, 3] = np.nan
    assert len(AtmosphereGrid(atmospheres.nodes, broken).nodes) == len(atmospheres.nodes) - 4


def test_wrong_shapes_are_refused():
    with pytest.raises(DataError, match="expected \\(M, 3\\)"):
        AtmosphereGrid(np.zeros((4, 2)), np.zeros((4, 5, 8)))


def test_lines_are_sorted_as_one():
    sorted_lines = lines()
    assert sorted_lines.wavelength.tolist() == [4000, 5000, 5003, 5010, 5100]
    assert sorted_lines.log_gf.tolist() == [-2, -1, -4, 0, -3]
    assert sorted_lines.species == ["H 1", "Fe 2", "Ti 2", "Fe 1", "Mg 1"]


def test_lines_move_to_air():
    air = lines().to("air")
    assert air.medium == "air"
    np.testing.assert_allclose(air.wavelength[1], 4998.6056, atol=1e-3)
    np.testing.assert_allclose(air.to("vacuum").wavelength, lines().wavelength, atol=1e-8)


def test_a_band_keeps_its_lines_and_hydrogen():
    kept = lines().between(5001, 5008, margin=2.5)
    assert kept.species == ["H 1", "Fe 2", "Ti 2", "Fe 1"]


def test_lines_of_unequal_length_are_refused():
    with pytest.raises(DataError, match="expected one length"):
        lines(log_gf=np.zeros(3))


def test_elements():
    assert [ELEMENTS.index(symbol) + 1 for symbol in ("H", "Fe", "Ba", "U")] == [1, 26, 56, 92]


def test_band_pixels():
    assert [band.wavelength.size for band in synthesis.BANDS] == [6667, 7834, 8967, 10400]
    assert Band("x", 5000, 5001, 0.25).wavelength.tolist() == [5000, 5000.25, 5000.5, 5000.75]


def test_without_pysme_one_line_says_what_to_do(atmospheres, monkeypatch):
    monkeypatch.setattr(synthesis, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"pip install 'siderea\[synthesis\]'") as caught:
        Synthesiser(atmospheres, lines())([5500, 4, 0, 0, 1])
    assert "\n" not in str(caught.value)


def test_wrong_labels_are_refused(atmospheres, monkeypatch):
    monkeypatch.setattr(synthesis, "require_pysme", lambda: None)
    with pytest.raises(DataError, match="expected \\(5,\\)"):
        Synthesiser(atmospheres, lines())([5500, 4, 0])


MOLECULES = {
    "element": np.array([607, 606, 112, 822, 26]),
    "wavelength": np.arange(5000.0, 5005.0),
}


def test_molecules_have_their_names():
    assert lines(**MOLECULES).species == ["CN 1", "C2 2", "MgH 1", "TiO 1", "Fe 2"]
    assert lines(**MOLECULES).molecular.tolist() == [True] * 4 + [False]


def test_weak_lines_of_a_molecule_are_left_out_and_atoms_never():
    columns = {"element": np.array([607, 607, 607, 26, 26]), "excitation": np.zeros(5)}
    log_gf = np.array([-1.0, -2.0, -5.0, -1.0, -9.0])
    kept = lines(**columns, log_gf=log_gf, wavelength=np.arange(5000.0, 5005.0)).strong(5040.0, 2.0)
    assert kept.log_gf.tolist() == [-1.0, -2.0, -1.0, -9.0]
    excited = columns | {"excitation": np.array([0.0, 2.0, 0.0, 9.0, 9.0])}
    kept = lines(**excited, log_gf=log_gf, wavelength=np.arange(5000.0, 5005.0)).strong(5040.0, 2.0)
    assert kept.log_gf.tolist() == [-1.0, -1.0, -9.0]
