import numpy as np
import pytest

from siderea.errors import DataError
from siderea.simulate.bands import BandPainter
from siderea.simulate.molecules import (
    Composition,
    lithium_opacity,
    load_bands,
    molecular_opacity,
)
from siderea.simulate.one_layer import Layer, absorbed, h_minus, ionised
from siderea.spectra.instruments import GALAH_GRID, InstrumentGrid


def one(teff, logg, fe_h=0.0, *, c_fe=0.0, a_li=1.05):
    labels = [np.array([float(value)]) for value in (teff, logg, fe_h)]
    mixture = Composition.of(labels[2], np.zeros(1), c_fe=np.array([c_fe]), a_li=np.array([a_li]))
    return labels, mixture


def lithium_width(teff, logg, a_li):
    """Equivalent width of the doublet, mÅ."""
    labels, mixture = one(teff, logg, a_li=a_li)
    depth = 1 - absorbed(lithium_opacity(Layer.of("lines", *labels), mixture))[0, 2]
    return 1e3 * (depth * np.gradient(load_bands().wavelength[2])).sum()


def bands_depth(molecules, *star, **mixture):
    labels, composition = one(*star, **mixture)
    return 1 - absorbed(molecular_opacity(molecules, Layer.of("bands", *labels), composition))[0]


def test_the_suns_lithium_line_has_its_strength():
    """The emulator's synthetic Sun, of the same A(Li) = 1.05, has 4.0 mÅ within 0.3 Å."""
    assert lithium_width(5777, 4.44, 1.05) == pytest.approx(4.0, rel=0.25)


def test_lithium_grows_linearly_when_weak_and_saturates_when_strong():
    weak = lithium_width(6000, 4.4, 1.3) / lithium_width(6000, 4.4, 1.0)
    strong = lithium_width(4700, 2.4, 3.6) / lithium_width(4700, 2.4, 3.3)
    assert weak == pytest.approx(10**0.3, rel=0.05)
    assert 1.0 < strong < 1.35
    assert lithium_width(5000, 4.4, 2.3) > 2 * lithium_width(6000, 4.4, 2.3)  # less is ionised


def test_the_swan_bands_have_their_heads_and_degrade_to_the_blue():
    depth = bands_depth(("C2",), 4700, 2.4, -0.7, c_fe=1.2)[0]
    wavelength = load_bands().wavelength[0]

    def mean(low, high):
        return depth[(wavelength > low) & (wavelength < high)].mean()

    for head in (4737.1, 4715.2):
        assert mean(head - 2, head) > mean(head + 0.5, head + 2.5) + 0.15
    assert mean(4714, 4737) > 0.3 > mean(4750, 4900)


def test_carbon_shows_only_where_oxygen_leaves_it():
    """Below 4,000 K CO takes the less abundant of the two whole."""
    assert bands_depth(("C2",), 3800, 1.0, c_fe=0.0)[0].mean() < 0.01
    assert bands_depth(("C2",), 3800, 1.0, c_fe=0.5)[0].mean() > 0.2


def test_titanium_oxide_comes_with_cold_and_goes_with_carbon():
    red = [bands_depth(("TiO",), teff, 1.0)[2].mean() for teff in (4400, 3900, 3500)]
    assert red[0] < 0.01 < red[1] < red[2]
    assert bands_depth(("TiO",), 3500, 1.0, c_fe=0.5)[2].mean() < 0.1 * red[2]


def test_hydride_bands_tell_dwarfs_from_giants():
    dwarf, giant = (bands_depth(("MgH",), 4800, logg)[0].mean() for logg in (4.6, 2.4))
    assert dwarf > 2 * giant


def test_the_opacity_of_the_negative_ion_peaks_where_it_should():
    layer = Layer(np.array([5800.0]), np.array([10.0]), np.array([1e5]))
    wavelength = np.arange(4000.0, 16000.0, 50.0)
    peak = wavelength[h_minus(wavelength, layer)[0].argmax()]
    assert 7900 < peak < 8500  # a broad maximum, at 8,500 Å but for stimulated emission
    double = Layer(np.array([5800.0]), np.array([20.0]), np.array([1e5]))
    np.testing.assert_allclose(h_minus(wavelength, double), 2 * h_minus(wavelength, layer))


def test_saha_and_the_curve_of_growth_at_their_limits():
    cold = Layer(np.array([2500.0]), np.array([1.0]), np.array([1e4]))
    hot = Layer(np.array([9000.0]), np.array([1.0]), np.array([1e4]))
    assert ionised(cold, 5.392, 0.5)[0] < 0.01
    assert ionised(hot, 5.392, 0.5)[0] > 0.999
    np.testing.assert_allclose(absorbed(np.array([0.0, 1e9])), [1.0, 0.15], atol=1e-6)


def test_bands_are_broadened_and_shifted_with_the_star():
    painter = BandPainter(GALAH_GRID)
    stars = np.tile([4700.0, 2.4, -0.7, 0.1], (3, 1))
    motion = np.array([[2.0, 3.0, 0.0], [2.0, 3.0, 28.5], [80.0, 3.0, 0.0]])
    told = {"c_fe": np.full(3, 1.2), "a_li": np.full(3, np.nan)}
    rest, moved, fast = painter.transmission(stars, motion, **told)
    np.testing.assert_allclose(moved[30:4000], rest[20:3990], atol=2e-4)  # ten pixels of 2.85 km/s
    assert fast[:4096].std() < 0.9 * rest[:4096].std()
    assert fast[200:3800].mean() == pytest.approx(rest[200:3800].mean(), abs=0.005)
    assert 0 < rest.min() < rest.max() < 1.001


def test_bands_are_for_the_galah_arms_only():
    grid = InstrumentGrid.from_arms(
        {"h": np.linspace(15000.0, 16000.0, 100)}, medium="air", resolution=(22_500.0,)
    )
    with pytest.raises(DataError, match="GALAH arms"):
        BandPainter(grid)
