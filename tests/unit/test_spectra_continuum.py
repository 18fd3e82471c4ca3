"""Fits of the continuum and the recipe that normalises a set."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.data import Spectra
from siderea.errors import DataError, MediumError
from siderea.flags import SpectrumFlag
from siderea.spectra.continuum import (
    GALAH,
    ContinuumRecipe,
    cannon_pixels,
    fit_chebyshev,
    fit_pixels,
    fit_spline,
    normalise,
)
from siderea.spectra.continuum_pixels import GALAH_WINDOWS, in_windows

WAVELENGTH = np.linspace(5650.0, 5870.0, 1500)
X = np.linspace(-1.0, 1.0, WAVELENGTH.size)
LINES = 1.0 - sum(
    depth * np.exp(-0.5 * ((WAVELENGTH - centre) / 0.12) ** 2)
    for centre, depth in zip(
        np.linspace(5655.3, 5865.1, 40), np.tile([0.7, 0.3, 0.5, 0.15], 10), strict=True
    )
)


def set_of(flux, ivar=None, **options):
    flux = np.atleast_2d(flux)
    ivar = np.ones(flux.shape) if ivar is None else np.atleast_2d(ivar)
    return Spectra(WAVELENGTH, flux, ivar, "air", **options)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.lists(st.floats(-0.15, 0.15), min_size=3, max_size=3),
    scale=st.floats(1e-17, 1e12),
)
def test_a_smooth_factor_of_the_degree_divides_out(shape, scale):
    smooth = scale * np.polynomial.chebyshev.chebval(X, [1.0, *shape])
    spectra = set_of(LINES * smooth, np.full(X.shape, 1e4 / scale**2))
    result, (fit,) = normalise(spectra, ContinuumRecipe(degree=3))
    np.testing.assert_allclose(result.flux[0], LINES, atol=2e-3)
    np.testing.assert_allclose(fit.continuum[0], smooth, rtol=2e-3)
    np.testing.assert_allclose(result.ivar[0], 1e4 * (smooth / scale) ** 2, rtol=5e-3)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-15, 1e15), seed=st.integers(0, 1000))
def test_a_constant_factor_changes_nothing(scale, seed):
    noise = np.random.default_rng(seed).normal(0.0, 0.02, (2, X.size))
    flux = (LINES * (1.0 + 0.2 * X) + noise).astype(float)
    ivar = np.full(flux.shape, 2500.0)
    first, _ = normalise(set_of(flux, ivar))
    second, _ = normalise(set_of(flux * scale, ivar / scale**2))
    np.testing.assert_allclose(first.flux, second.flux, rtol=1e-6)
    np.testing.assert_allclose(first.ivar, second.ivar, rtol=1e-6)


@pytest.mark.parametrize("recipe", [ContinuumRecipe(), ContinuumRecipe(method="spline")])
def test_a_line_free_normalised_spectrum_stays(recipe):
    result, _ = normalise(set_of(np.ones((2, X.size))), recipe)
    np.testing.assert_allclose(result.flux, 1.0, atol=1e-9)


def test_the_raw_flux_comes_back_from_the_coefficients():
    flux = (LINES * (3.0 + X))[None]
    result, (fit,) = normalise(set_of(flux))
    np.testing.assert_allclose(fit.evaluate(WAVELENGTH), fit.continuum, rtol=1e-12)
    np.testing.assert_allclose(result.flux * fit.evaluate(WAVELENGTH), flux, rtol=1e-12)


def test_a_row_is_fitted_alike_alone_and_in_company():
    rng = np.random.default_rng(2)
    flux = LINES * (1 + 0.3 * X) + rng.normal(0, 0.03, (6, X.size))
    ivar = np.full(flux.shape, 1 / 0.03**2)
    together = fit_chebyshev(WAVELENGTH, flux, ivar).continuum
    alone = np.vstack(
        [fit_chebyshev(WAVELENGTH, flux[i : i + 1], ivar[i : i + 1]).continuum for i in range(6)]
    )
    np.testing.assert_allclose(together, alone, rtol=1e-9)


def bad_rows():
    flux = np.tile(LINES, (7, 1))
    ivar = np.full(flux.shape, 1e4)
    flux[1] = -1.0  # no signal
    ivar[2] = 0.0  # nothing there
    ivar[3, 4:] = 0.0  # too few pixels
    flux[4] = np.nan
    flux[5] = X  # crosses zero
    ivar[6, :700] = 0.0  # half an arm
    flux[6, :700] = np.inf
    return flux, ivar


@pytest.mark.parametrize("method", ["chebyshev", "spline", "windows"])
def test_bad_rows_are_flagged_and_disturb_nobody(method):
    flux, ivar = bad_rows()
    recipe = ContinuumRecipe(method=method, degree=2, windows=GALAH_WINDOWS, medium="air")
    result, (fit,) = normalise(set_of(flux, ivar), recipe)
    alone, _ = normalise(set_of(LINES, np.full(X.shape, 1e4)), recipe)
    flags = result.table["flags"].to_numpy()
    assert np.isfinite(result.flux).all()
    assert np.isfinite(result.ivar).all()
    np.testing.assert_allclose(result.flux[0], alone.flux[0], rtol=1e-9)
    assert flags[0] == 0
    assert flags[1] == SpectrumFlag.ZERO_SNR | SpectrumFlag.NO_GOOD_PIXELS
    assert flags[2] == SpectrumFlag.NO_GOOD_PIXELS
    assert flags[3] == SpectrumFlag.NO_CONTINUUM | SpectrumFlag.NO_GOOD_PIXELS
    assert flags[4] & SpectrumFlag.NO_GOOD_PIXELS
    assert flags[5] & (SpectrumFlag.NO_CONTINUUM | SpectrumFlag.ZERO_SNR)
    assert fit.ok.tolist() == [True, False, False, False, False, False, True]
    assert (result.flux[~fit.ok] == 1).all()
    assert (result.ivar[~fit.ok] == 0).all()
    assert (result.ivar[6, :700] == 0).all()
    assert (result.ivar[6, 700:] > 0).all()
    np.testing.assert_allclose(result.flux[6, 700:], LINES[700:], atol=0.02)


def test_pixels_that_shoot_up_by_many_orders_do_no_harm():
    flux = LINES * (1 + 0.2 * X)
    flux[100:140:3] = 1e8
    result, _ = normalise(set_of(flux, np.full(X.shape, 1e4)))
    np.testing.assert_allclose(result.flux[0, 200:], LINES[200:], atol=3e-3)


def test_flags_that_were_there_stay():
    table = pd.DataFrame({"flags": [int(SpectrumFlag.PIPELINE)]})
    result, _ = normalise(set_of(-LINES, table=table))
    assert result.table["flags"][0] & SpectrumFlag.PIPELINE
    assert result.table["flags"][0] & SpectrumFlag.ZERO_SNR


def test_one_failed_arm_leaves_the_other():
    flux = LINES.copy()
    flux[:700] = -1.0
    arms = (slice(0, 700), slice(700, 1500))
    result, fits = normalise(set_of(flux, arms=arms), ContinuumRecipe(degree=(2, 3)))
    assert result.table["flags"][0] == SpectrumFlag.ZERO_SNR
    assert [fit.coefficients.shape for fit in fits] == [(1, 3), (1, 4)]
    assert [bool(fit.ok[0]) for fit in fits] == [False, True]


def test_types_are_kept():
    spectra = set_of(LINES.astype(np.float32), np.ones(X.size, dtype=np.float32))
    result, _ = normalise(spectra)
    assert (result.flux.dtype, result.ivar.dtype) == (np.float32, np.float32)


def test_windows_of_another_medium_are_refused():
    with pytest.raises(MediumError, match="windows in 'air'"):
        normalise(Spectra(WAVELENGTH, LINES[None], np.ones((1, X.size)), "vacuum"), GALAH)


def test_settings_are_per_arm():
    arms = (slice(0, 700), slice(700, 1500))
    with pytest.raises(DataError, match="arm 2 has none"):
        normalise(set_of(LINES, arms=arms), ContinuumRecipe(degree=(3,)))


def test_windows_follow_the_velocity():
    velocity = np.array([0.0, 150.0])
    factor = np.sqrt((1 + velocity / 299792.458) / (1 - velocity / 299792.458))
    windows = ((5700.0, 5701.0), (5750.0, 5752.0))
    mask = in_windows(WAVELENGTH, windows, velocity=velocity)
    for row, scale in zip(mask, factor, strict=True):
        inside = [w for w in WAVELENGTH if any(a * scale <= w < b * scale for a, b in windows)]
        np.testing.assert_array_equal(WAVELENGTH[row], inside)


def test_a_row_of_unknown_velocity_gets_the_clipped_fit():
    windows = tuple((c + 2.0, c + 3.0) for c in np.linspace(5655.3, 5865.1, 40))
    recipe = ContinuumRecipe(method="windows", degree=2, windows=windows, medium="air")
    spectra = set_of(np.tile(LINES, (3, 1)))
    flags = pd.DataFrame({"flags": [0, int(SpectrumFlag.NO_RV), 0]})
    spectra = set_of(np.tile(LINES, (3, 1)), table=flags)
    _, (fit,) = normalise(spectra, recipe, velocity=[0.0, 0.0, np.nan])
    assert fit.kept[0].sum() == in_windows(WAVELENGTH, windows).sum()
    assert fit.kept[1].sum() > 2 * fit.kept[0].sum()
    np.testing.assert_array_equal(fit.kept[1], fit.kept[2])


def test_the_edge_holds_the_polynomial_where_windows_end():
    truth = 1 + 0.3 * X
    rng = np.random.default_rng(3)
    flux = truth + rng.normal(0, 0.02, (20, X.size))
    middle = (X > -0.2) & (X < 0.2)
    ivar = np.full(flux.shape, 2500.0)
    free = fit_pixels(WAVELENGTH, flux, ivar, middle, degree=4)
    held = fit_pixels(WAVELENGTH, flux, ivar, middle, degree=4, edge=0.03)
    assert np.abs(free.continuum - truth)[:, [0, -1]].mean() > 0.3
    assert np.abs(held.continuum - truth)[:, [0, -1]].mean() < 0.02


def test_the_edge_is_never_clipped():
    flux = (1 + 0.5 * X**8)[None] + np.random.default_rng(6).normal(0, 0.01, (3, X.size))
    middle = (X > -0.4) & (X < 0.4)
    fit = fit_pixels(WAVELENGTH, flux, np.full(flux.shape, 1e4), middle, degree=2, edge=0.03)
    assert fit.kept[:, [0, -1]].all()


def test_data_are_normalised_as_their_reference():
    rng = np.random.default_rng(4)
    blend = 0.8 + 0.2 * LINES  # a continuum that no clip can find
    smooth = 5.0 * (1 + 0.2 * X - 0.1 * X**2)
    flux = smooth * blend * LINES + rng.normal(0, 0.01, (3, X.size))
    ivar = np.full(flux.shape, 1e4)
    template = blend * LINES
    result, _ = normalise(set_of(flux, ivar), reference=template)
    np.testing.assert_allclose(result.flux, flux / smooth, atol=2e-3)


def test_excluded_pixels_do_not_count_but_stay():
    flux = LINES.copy()
    flux[300:600] *= 1.3
    exclude = np.zeros(X.size, dtype=bool)
    exclude[300:600] = True
    result, (fit,) = normalise(set_of(flux), exclude=exclude)
    assert not fit.kept[0, 300:600].any()
    assert (result.ivar[0, 300:600] > 0).all()
    np.testing.assert_allclose(result.flux[0, 650:], LINES[650:], atol=3e-3)


def test_a_spline_follows_what_a_low_polynomial_cannot():
    truth = 1 + 0.3 * np.sin(5 * X)
    ivar = np.ones((1, X.size))
    spline = fit_spline(WAVELENGTH, (truth * LINES)[None], ivar, spacing=20.0)
    low = fit_chebyshev(WAVELENGTH, (truth * LINES)[None], ivar, degree=4)
    assert np.abs(spline.continuum - truth).max() < 0.01
    assert np.abs(low.continuum - truth).max() > 0.1


def test_a_spline_bridges_a_hole():
    flux = (1 + 0.2 * X)[None]
    ivar = np.ones((1, X.size))
    ivar[:, 300:1100] = 0.0
    fit = fit_spline(WAVELENGTH, flux, ivar, spacing=20.0)
    np.testing.assert_allclose(fit.continuum, flux, rtol=1e-3)


def test_cannon_pixels_are_those_that_stay_at_one():
    rng = np.random.default_rng(5)
    labels = rng.normal(size=60)
    sensitive = rng.random(300) < 0.7
    slope = np.where(sensitive, 0.05, 0.0)
    base = np.where(sensitive, 0.9, 1.0)
    flux = base + labels[:, None] * slope + rng.normal(0, 0.01, (60, 300))
    ivar = np.full(flux.shape, 1e4)
    ivar[:, 7] = 0.0
    chosen = cannon_pixels(flux, ivar, fraction=0.1)
    assert chosen.sum() == 30
    assert not chosen[7]
    assert not (chosen & sensitive).any()
    by_model = cannon_pixels(flux, ivar, fraction=0.1, coefficients=np.stack([base, slope], axis=1))
    assert not (by_model & sensitive).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_chebyshev(WAVELENGTH, LINES[None], np.ones((1, 3))), "expected both"),
        (lambda: fit_chebyshev(WAVELENGTH, LINES[None], LINES[None], degree=-1), "degree"),
        (lambda: fit_spline(WAVELENGTH, LINES[None], LINES[None], spacing=0), "spacing"),
        (lambda: cannon_pixels(LINES[None], LINES[None], fraction=0), "fraction"),
        (lambda: in_windows(WAVELENGTH, ((5700.0, 5690.0),)), "low < high"),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(DataError, match=message):
        call()
