import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.data import Spectra
from siderea.errors import DataError
from siderea.models.composite import Binary, Single, Triple
from siderea.models.epochs import SB1, SB2, Steady
from siderea.models.pairing import ByIsochrone, ByMassRatio, FreeRadii
from siderea.models.renormalise import PseudoContinuum
from siderea.models.schematic import SchematicModel
from siderea.models.shifted_grid import LogGrid, PixelGrid, grid_of

PLACES = np.concatenate([np.arange(400), np.arange(450, 800)])
WAVELENGTH = 6500.0 * np.exp(2e-5 * PLACES)
ARMS = (slice(0, 400), slice(400, 750))
RNG = np.random.default_rng(5)
PIXELS = RNG.random(WAVELENGTH.size) < 0.4


@pytest.fixture(scope="module")
def model():
    return SchematicModel(WAVELENGTH, arms=ARMS)


@pytest.fixture(scope="module")
def continuum():
    return PseudoContinuum(ARMS, PIXELS, 4)


def test_names_say_what_is_shared(model):
    assert Single(model).label_names == ("teff", "logg", "fe_h", "vbroad", "rv")
    names = ("teff", "logg", "fe_h", "q", "vbroad_1", "vbroad_2", "rv_1", "rv_2")
    assert Binary(model).label_names == names
    free = Binary(model, pairing=FreeRadii(), shared=())
    assert "fe_h_1" in free.label_names
    assert "teff_2" in free.label_names
    assert "radius_ratio" in free.label_names
    assert Triple(model).label_names[3:5] == ("q_2", "q_3")
    assert all(len(c.label_names) == len(c.label_range) for c in (free, Triple(model)))


@given(teff=st.floats(4500, 7000), fe_h=st.floats(-0.8, 0.4), rv=st.floats(-100, 100))
@settings(max_examples=15, deadline=None)
def test_twins_at_one_velocity_are_the_single_star(teff, fe_h, rv):
    model = SchematicModel(WAVELENGTH, arms=ARMS)
    for continuum in (None, PseudoContinuum(ARMS, PIXELS, 4)):
        single = Single(model, continuum).predict([teff, 4.4, fe_h, 8.0, rv])
        twin = Binary(model, continuum=continuum).predict([teff, 4.4, fe_h, 1.0, 8.0, 8.0, rv, rv])
        np.testing.assert_allclose(twin, single, atol=1e-12)


def test_fluxes_add(model):
    free = Binary(model, pairing=FreeRadii())
    values = dict(zip(free.label_names, np.zeros(len(free.label_names)), strict=True))
    values |= {"teff_1": 6000, "teff_2": 5000, "logg_1": 4.2, "logg_2": 4.6, "fe_h": -0.1}
    values |= {"vbroad_1": 5, "vbroad_2": 9, "radius_ratio": 0.7}
    out = free.predict(list(values.values()))[0]
    one, two = [6000, 4.2, -0.1, 5], [5000, 4.6, -0.1, 9]
    flux = model.flux_density([one, two])
    level = flux / model.predict([one, two])
    weights = np.array([1.0, 0.49])
    np.testing.assert_allclose(out, weights @ flux / (weights @ level), rtol=1e-12)


def test_triple_without_third_light_is_the_binary(model):
    free = {"pairing": FreeRadii()}
    triple, binary = Triple(model, **free), Binary(model, **free)
    values = {"teff_1": 6000, "teff_2": 5200, "logg_1": 4.2, "logg_2": 4.5, "fe_h": 0.1}
    values |= {"vbroad_1": 5, "vbroad_2": 9, "rv_1": -30, "rv_2": 45}
    values |= {"radius_ratio": 0.8, "radius_ratio_2": 0.8, "radius_ratio_3": 0.0}
    values |= {"teff_3": 4500, "logg_3": 4.7, "vbroad_3": 3, "rv_3": 10}
    two = binary.predict([values[name] for name in binary.label_names])
    three = triple.predict([values[name] for name in triple.label_names])
    np.testing.assert_allclose(three, two, atol=1e-12)


def test_isochrone_gives_the_stars_of_its_mass_ratio(model):
    def star(mass, age, fe_h):
        return 5800.0 * mass**0.6, 4.44 - 0.8 * torch.log10(mass) + 0 * age, mass**0.9 + 0 * fe_h

    by_isochrone = Binary(model, pairing=ByIsochrone(star))
    assert by_isochrone.label_names[:4] == ("fe_h", "mass", "age", "q")
    out = by_isochrone.predict([0.0, 1.0, 5.0, 0.8, 6.0, 7.0, -20.0, 30.0])
    by_ratio = Binary(model).predict([5800.0, 4.44, 0.0, 0.8, 6.0, 7.0, -20.0, 30.0])
    np.testing.assert_allclose(out, by_ratio, atol=1e-10)


def test_visits_conserve_momentum(model):
    sb2 = SB2(Binary(model), 3)
    theta = [5800, 4.4, 0.0, 0.8, 6, 7, 0.8, 12.0, -20.0, 5.0, 60.0]
    stars = sb2.components(torch.tensor([theta], dtype=torch.float64))
    systemic = (stars.rv[..., 0] + 0.8 * stars.rv[..., 1]) / 1.8
    np.testing.assert_allclose(systemic, 12.0, atol=1e-12)
    binary = Binary(model).predict([5800, 4.4, 0.0, 0.8, 6, 7, -20.0, float(stars.rv[0, 0, 1])])
    np.testing.assert_allclose(sb2.predict(theta)[0, 0], binary[0], atol=1e-12)


def test_still_visits_are_the_single_star(model):
    single = Single(model).predict([5800, 4.4, 0.0, 6, 21.0])[0]
    steady = Steady(Single(model), 2).predict([5800, 4.4, 0.0, 6, 21.0])[0]
    moving = SB1(Single(model), 2).predict([5800, 4.4, 0.0, 6, 21.0, -3.0])[0]
    np.testing.assert_allclose(steady, np.stack([single, single]), atol=1e-14)
    np.testing.assert_allclose(moving[0], single, atol=1e-14)
    assert np.abs(moving[1] - single).max() > 1e-3


def test_nan_parameter_spoils_its_own_row_only(model):
    out = Single(model).predict([[np.nan, 4.4, 0, 6, 0], [5800, 4.4, 0, 6, 0]])
    assert np.isnan(out[0]).all()
    assert np.isfinite(out[1]).all()


def test_errors_name_what_to_do(model):
    with pytest.raises(DataError, match=r"expected \(N, 5\): teff, logg"):
        Single(model).predict([1.0, 2.0])
    with pytest.raises(DataError, match="shared"):
        Binary(model, shared=("alpha_fe",))
    with pytest.raises(DataError, match="at least 2, or a Binary"):
        SB2(Binary(model), 1)
    with pytest.raises(DataError, match="expected a Single"):
        SB1(Binary(model), 2)
    with pytest.raises(DataError, match="kernel"):
        Single(model, kernel="spline").predict([5800, 4.4, 0, 6, 0])


def test_smallest_q_is_where_the_companion_leaves_the_range(model):
    pairing = ByMassRatio(model.main_sequence)
    columns = {n: torch.tensor([5800.0], dtype=torch.float64) for n in ("teff", "logg", "fe_h")}
    q = pairing.smallest_q(columns, 4000.0).item()
    assert 5800.0 * q**0.6 == pytest.approx(4000.0, abs=10.0)


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
@pytest.mark.parametrize("rv", [0.0, 7.3, -55.0])
def test_shift_there_and_back_and_its_slope(kernel, rv):
    grid = grid_of(WAVELENGTH, WAVELENGTH, arms=ARMS, max_velocity=200.0, kernel=kernel)
    assert isinstance(grid, LogGrid)
    x = torch.tensor(np.log(WAVELENGTH))
    flux = (1 - 0.5 * torch.exp(-(((x - x[200]) / 1.2e-4) ** 2)))[None, None]
    prepared = grid.prepare(flux)

    def shifted(velocity):
        out = prepared.new_empty((1, 2, grid.n_pixels))
        grid.shift(prepared, torch.tensor([velocity], dtype=torch.float64), out)
        return grid.gather(out[0])

    moved, slope = shifted(rv)
    step = 1e-3
    numeric = (shifted(rv + step)[0] - shifted(rv - step)[0]) / (2 * step)
    if rv:
        np.testing.assert_allclose(slope, numeric, atol=1e-7)
    else:
        np.testing.assert_allclose(moved, flux[0, 0], atol=1e-12)
    centre = WAVELENGTH[np.argmin(moved.numpy())] / WAVELENGTH[200]
    assert 299_792.458 * (centre - 1) == pytest.approx(rv, abs=4.0)


def test_linear_shift_is_that_of_the_whole_array(model):
    """The published code interpolates the array of all arms linearly in λ."""
    grid = grid_of(WAVELENGTH, WAVELENGTH, arms=ARMS, max_velocity=100.0, kernel="linear")
    flux = torch.as_tensor(model.predict([5500, 4.4, 0, 6]))[:, None]
    out = flux.new_empty((1, 2, grid.n_pixels))
    grid.shift(grid.prepare(flux), torch.tensor([33.0]), out)
    factor = np.sqrt((1 - 33.0 / 299_792.458) / (1 + 33.0 / 299_792.458))
    expected = np.interp(WAVELENGTH * factor, WAVELENGTH, flux[0, 0].numpy())
    np.testing.assert_allclose(grid.gather(out[0, 0]), expected, atol=1e-12)


def test_grids_of_both_kinds_agree(model):
    flux = torch.as_tensor(model.predict([5500, 4.4, 0, 6]))[:, None]
    inside = slice(30, 370)
    one = grid_of(WAVELENGTH, WAVELENGTH, arms=ARMS, max_velocity=100.0, kernel="cubic")
    two = PixelGrid(WAVELENGTH, WAVELENGTH[inside], "cubic")
    outs = [flux.new_empty((1, 2, g.n_pixels)) for g in (one, two)]
    for grid, out in zip((one, two), outs, strict=True):
        grid.shift(grid.prepare(flux), torch.tensor([12.0]), out)
    # The one cubic is in ln λ, the other in λ: they differ by a pixel's part of λ, 2e-5.
    for column in (0, 1):
        first = one.gather(outs[0][0, column])[inside]
        np.testing.assert_allclose(first, outs[1][0, column], rtol=2e-5, atol=1e-9)


def test_grids_that_do_not_overlap():
    with pytest.raises(DataError, match="do not overlap"):
        grid_of(WAVELENGTH, WAVELENGTH + 5000, max_velocity=10.0)


def test_pseudo_continuum_is_the_weighted_fit(continuum):
    flux = RNG.uniform(0.5, 1.5, (2, WAVELENGTH.size))
    ivar = RNG.uniform(0.1, 2.0, flux.shape) * (RNG.random(flux.shape) > 0.1)
    fitted = continuum.fit(flux, ivar)
    for row in range(2):
        for arm in ARMS:
            x = np.linspace(-1, 1, arm.stop - arm.start)
            use = continuum.pixels[arm]
            polynomial = np.polynomial.Chebyshev.fit(
                x[use], flux[row, arm][use], 4, w=np.sqrt(ivar[row, arm][use])
            )
            np.testing.assert_allclose(fitted[row, arm], polynomial(x), rtol=1e-9)


def test_pseudo_continuum_without_pixels_masks_the_arm(continuum):
    ivar = np.ones((1, WAVELENGTH.size))
    ivar[:, ARMS[1]] = 0
    spectra = Spectra(WAVELENGTH, np.full_like(ivar, 2.0), ivar, "vacuum", arms=ARMS)
    out = continuum.normalise(spectra)
    np.testing.assert_allclose(out.flux, 1.0, atol=1e-12)
    assert (out.ivar[:, ARMS[0]] == 1).all()
    assert (out.ivar[:, ARMS[1]] == 0).all()


def test_one_pixel_arm_has_no_continuum():
    arms = (slice(0, 1), slice(1, 60))
    continuum = PseudoContinuum.everywhere(arms)
    usable = continuum.usable(np.ones((1, 60)))
    assert not usable[0, 0]
    assert usable[0, 1:].all()
    assert np.isnan(continuum.fit(np.ones((1, 60)), np.ones((1, 60)))[0, 0])


def test_arms_must_tile():
    with pytest.raises(DataError, match="tile"):
        PseudoContinuum((slice(0, 3),), np.ones(9, bool))
