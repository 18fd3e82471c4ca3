import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from siderea.errors import DataError, MediumError
from siderea.io.galah import GRID
from siderea.models.emulator import Emulator, load_default
from siderea.models.protocol import DifferentiableModel, SpectralModel
from siderea.spectra.wavelength import air_to_vacuum, log_grid

SUN = [5772.0, 4.44, 0.0, 0.0, 1.1]
GIANT = [4800.0, 2.4, -0.3, 0.1, 1.4]


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return load_default()


@pytest.fixture(scope="module")
def at_galah(emulator):
    extra = ("vsini", "vmac", "rv")
    return emulator.at(GRID.wavelength, resolution=28_000, medium="air", extra_labels=extra)


def test_models_pass_the_protocols(emulator, at_galah):
    for model in (emulator, at_galah):
        assert isinstance(model, SpectralModel)
        assert isinstance(model, DifferentiableModel)
        assert model.label_range.shape == (len(model.label_names), 2)
    assert at_galah.label_names == (
        "teff",
        "logg",
        "fe_h",
        "alpha_fe",
        "vmic",
        *at_galah.extra_labels,
    )


def test_loading_is_fast():
    start = time.perf_counter()
    load_default()
    assert time.perf_counter() - start < 1


def test_lines_grow_with_metallicity_and_shrink_with_temperature(emulator):
    poor, sun, hot = emulator.predict([[5772, 4.44, -1, 0, 1.1], SUN, [6800, 4.44, 0, 0, 1.1]])
    green = emulator.arms[1]  # no Balmer line
    assert poor[green].mean() > sun[green].mean()
    assert hot[green].mean() > sun[green].mean()


def test_the_sun_has_its_flux(emulator):
    # The effective temperature is the definition: σT⁴ over a black body's share of these bands.
    wavelength = emulator.wavelength * 1e-8
    black_body = 2 * np.pi * 6.62607015e-27 * 2.99792458e10**2 / wavelength**5
    black_body /= np.expm1(6.62607015e-27 * 2.99792458e10 / (wavelength * 1.380649e-16 * 5772))
    ratio = emulator.flux_density([SUN])[0] / (black_body * 1e-8)
    assert 0.9 < ratio.mean() < 1.1


def test_nan_label_gives_nan_spectrum_and_spares_the_others(emulator, at_galah):
    for model, tail in ((emulator, []), (at_galah, [3, 2, 1])):
        labels = np.array([SUN + tail, GIANT + tail])
        labels[0, 2] = np.nan
        flux = model.predict(labels)
        assert np.isnan(flux[0]).all()
        np.testing.assert_array_equal(flux[1], model.predict(labels[1:])[0])


@pytest.mark.parametrize("column", range(5))
def test_labels_out_of_range_are_refused(emulator, column):
    labels = np.array([SUN, SUN])
    labels[1, column] = emulator.label_range[column, 1] * 1.2 + 1
    with pytest.raises(DataError, match=rf"{emulator.label_names[column]} .*row 1"):
        emulator.predict(labels)


def test_velocities_out_of_range_are_refused(at_galah):
    with pytest.raises(DataError, match="vsini -1"):
        at_galah.predict([[*SUN, -1, 0, 0]])


def test_wrong_number_of_labels_is_refused(emulator):
    with pytest.raises(DataError, match="expected \\(N, 5\\)"):
        emulator.predict([[5772, 4.44, 0]])


def test_torch_and_numpy_agree(emulator, at_galah):
    labels = torch.tensor([[*SUN, 5, 3, 20], [*GIANT, 0, 0, 0]], dtype=torch.float64)
    np.testing.assert_allclose(
        at_galah.predict(labels.numpy()), at_galah.normalised(labels), atol=2e-5
    )
    np.testing.assert_allclose(
        emulator.flux_density(labels[:, :5].numpy()), emulator.density(labels[:, :5]), rtol=2e-4
    )


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_derivatives_are_exact(at_galah):
    labels = torch.tensor([*GIANT, 6.0, 4.0, 12.0], dtype=torch.float64)
    for function in (at_galah.normalised, lambda x: at_galah.density(x) / 1e6):
        jacobian = torch.func.jacfwd(lambda x, f=function: f(x[None])[0])(labels)
        steps = [1.0, 1e-3, 1e-3, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2]
        for k, step in enumerate(steps):
            move = torch.zeros(8, dtype=torch.float64)
            move[k] = step
            numerical = (function((labels + move)[None]) - function((labels - move)[None]))[0]
            difference = (numerical / (2 * step) - jacobian[:, k]).abs().max()
            assert difference < 1e-5 * jacobian[:, k].abs().max(), at_galah.label_names[k]


def test_backward_reaches_every_label(at_galah):
    labels = torch.tensor([[*SUN, 5, 3, 20]], dtype=torch.float32, requires_grad=True)
    at_galah.normalised(labels).square().sum().backward()
    assert torch.isfinite(labels.grad).all()
    assert (labels.grad != 0).all()


def test_state_makes_the_same_emulator(emulator):
    again = Emulator.from_state(*emulator.state())
    np.testing.assert_array_equal(again.predict([SUN]), emulator.predict([SUN]))
    assert again.metadata == emulator.metadata


def test_state_of_another_model_is_refused():
    with pytest.raises(DataError, match="expected 'emulator'"):
        Emulator.from_state({}, {"kind": "cannon"})


def test_shipped_metadata_says_where_it_comes_from(emulator):
    assert len(emulator.metadata["training_set_sha256"]) == 64
    assert emulator.metadata["metrics"]["held_out_median_at_28000"] < 0.002
    assert emulator.metadata["metrics"]["held_out_rms_99_at_28000"] < 0.01


def test_extra_labels_come_in_the_order_asked(emulator, at_galah):
    other = emulator.at(
        GRID.wavelength, resolution=28_000, medium="air", extra_labels=("rv", "vsini", "vmac")
    )
    np.testing.assert_allclose(
        other.predict([[*SUN, 30, 8, 2]]), at_galah.predict([[*SUN, 8, 2, 30]]), atol=1e-6
    )


def test_vacuum_grid_is_the_air_grid(emulator):
    air = log_grid(6500.0, 3000, 3.0)
    vacuum = air_to_vacuum(air)
    one = emulator.at(air, resolution=20_000, medium="air", extra_labels=("vsini",))
    two = emulator.at(vacuum, resolution=20_000, medium="vacuum", extra_labels=("vsini",))
    np.testing.assert_allclose(one.predict([[*SUN, 7]]), two.predict([[*SUN, 7]]), atol=1e-4)
    assert two.medium == "vacuum"
    np.testing.assert_array_equal(two.wavelength, vacuum)


def test_arms_of_any_grid(emulator):
    # Uniform in λ, different pixels and resolving powers: the way through interpolation.
    grid = np.concatenate([np.arange(4720, 4890, 0.05), np.arange(6500, 6700, 0.08)])
    model = emulator.at(grid, resolution=(25_000, 15_000), medium="air", extra_labels=("vbroad",))
    assert [a.stop - a.start for a in model.arms] == [3400, 2500]
    fine = emulator.at(GRID.wavelength, resolution=25_000, medium="air", extra_labels=("vbroad",))
    blue = GRID.wavelength[:4096]
    inside = (blue > 4722) & (blue < 4888)
    sampled = CubicSpline(grid[:3400], model.predict([[*SUN, 10]])[0, :3400])(blue[inside])
    assert np.abs(sampled - fine.predict([[*SUN, 10]])[0, :4096][inside]).max() < 5e-4


@pytest.mark.parametrize(
    ("wavelength", "options", "message"),
    [
        (np.linspace(5000, 5100, 500), {}, "expected increasing pixels within one of"),
        (np.linspace(6400, 6600, 500), {}, "found an arm from 6400.00"),
        ([6500.0], {}, "found an arm from"),
        (np.linspace(6500, 6600, 500), {"resolution": 0}, "resolution"),
        (np.linspace(6500, 6600, 500), {"resolution": np.nan}, "resolution"),
        (np.linspace(6500, 6600, 500), {"resolution": (1e4, 2e4)}, "each of the 1 arms"),
        (np.linspace(6500, 6600, 500), {"extra_labels": ("speed",)}, "expected any of vsini"),
        (np.linspace(6500, 6600, 500), {"extra_labels": ("rv", "rv")}, "each once"),
    ],
)
def test_grids_that_cannot_be_served_are_refused(emulator, wavelength, options, message):
    options = {"resolution": 28_000, "medium": "air"} | options
    with pytest.raises(DataError, match=message):
        emulator.at(wavelength, **options)


def test_unknown_medium_is_refused(emulator):
    with pytest.raises(MediumError):
        emulator.at(GRID.wavelength, resolution=28_000, medium="water")


@settings(max_examples=15, deadline=None)
@given(
    unit=st.lists(st.floats(0, 1), min_size=5, max_size=5),
    vsini=st.floats(0, 200),
    rv=st.floats(-500, 500),
)
def test_flux_is_finite_and_plausible_over_the_whole_range(at_galah, unit, vsini, rv):
    low, high = at_galah.label_range[:5].T
    flux = at_galah.predict([[*(low + np.array(unit) * (high - low)), vsini, 5.0, rv]])
    assert np.isfinite(flux).all()
    assert flux.min() > -0.2
    assert flux.max() < 1.2
