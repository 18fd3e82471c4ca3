import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.errors import DataError
from siderea.spectra.doppler import to_rest
from siderea.spectra.resample import bridge, interpolate, pixel_edges, rebin

KERNELS = ["linear", "cubic"]
RATIOS = st.floats(0.3, 3.0)


@st.composite
def problems(draw, ratio=RATIOS):
    """Noise on an uneven grid, some pixels bad, and a grid of another step that sticks out."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, p = draw(st.integers(1, 4)), draw(st.integers(2, 60))
    wavelength = 5000 + np.cumsum(rng.uniform(0.05, 0.5, p))
    flux = rng.normal(1, 0.5, (n, p))
    ivar = 10 ** rng.uniform(-6, 6, (n, p)) * (rng.uniform(size=(n, p)) > 0.1)
    step = draw(ratio) * 0.25
    grid = wavelength[0] - 1 + step * np.arange(2, 3 + int(np.ptp(wavelength) / step))
    return wavelength, flux, ivar, np.append(grid, grid[-1] + step)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def some_spectra(rng, n=5, p=200):
    wavelength = 4800 + 0.05 * np.arange(p)
    flux, ivar = rng.normal(1, 0.1, (n, p)), rng.uniform(50, 150, (n, p))
    ivar[rng.uniform(size=(n, p)) < 0.05] = 0
    return wavelength, flux, ivar


# --- both ways -----------------------------------------------------------------------------------


@pytest.mark.parametrize("resample", [interpolate, rebin])
def test_many_at_once_equal_one_after_the_other(rng, resample):
    wavelength, flux, ivar = some_spectra(rng)
    own = to_rest(wavelength, rng.normal(0, 40, len(flux)))
    grid = np.linspace(4800.5, 4809.5, 170)
    grids = np.sort(rng.uniform(4800.5, 4809.5, (len(flux), 170)))
    for x in (wavelength, own):
        for t in (grid, grids):
            together = resample(x, flux, ivar, t)
            for i in range(len(flux)):
                alone = resample(
                    x if x.ndim == 1 else x[i], flux[i], ivar[i], t if t.ndim == 1 else t[i]
                )
                for a, b in zip(together, alone, strict=True):
                    np.testing.assert_allclose(a[i], b, rtol=1e-12)


def test_many_at_once_span_several_blocks(rng, monkeypatch):
    wavelength, flux, ivar = some_spectra(rng)
    own, grid = to_rest(wavelength, rng.normal(0, 40, 5)), np.linspace(4800.5, 4809.5, 170)
    whole = [function(own, flux, ivar, grid) for function in (interpolate, rebin)]
    monkeypatch.setattr("siderea.spectra.resample.BLOCK", 400)
    parts = [function(own, flux, ivar, grid) for function in (interpolate, rebin)]
    np.testing.assert_array_equal(np.array(parts), np.array(whole))


@pytest.mark.parametrize("resample", [interpolate, rebin])
@pytest.mark.parametrize("roundings", [-2, 0, 2])
def test_the_same_grid_changes_nothing(rng, resample, roundings):
    wavelength, flux, ivar = some_spectra(rng)
    for x in (wavelength, to_rest(wavelength, np.linspace(-100, 100, 5))):
        new_flux, new_ivar = resample(x, flux, ivar, x + roundings * np.spacing(x))
        np.testing.assert_allclose(new_ivar, ivar, rtol=1e-6)
        np.testing.assert_allclose(new_flux[ivar > 0], flux[ivar > 0], rtol=1e-6)


@pytest.mark.parametrize("resample", [interpolate, rebin])
def test_precision_in_is_precision_out(rng, resample):
    wavelength, flux, ivar = some_spectra(rng)
    grid = np.linspace(4801, 4809, 99)
    single = resample(wavelength, flux.astype("f4"), ivar.astype("f4"), grid)
    double = resample(wavelength, flux, ivar, grid)
    for a, b in zip(single, double, strict=True):
        assert (a.dtype, b.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(a, b, rtol=2e-6)


@pytest.mark.parametrize("resample", [interpolate, rebin])
@settings(max_examples=60, deadline=None)
@given(problem=problems(), junk=st.sampled_from([np.nan, np.inf, -np.inf, 1e300]))
def test_a_bad_pixel_never_reaches_a_good_one_nor_makes_nan(resample, problem, junk):
    wavelength, flux, ivar, grid = problem
    clean = resample(wavelength, flux, ivar, grid)
    dirty = resample(wavelength, np.where(ivar > 0, flux, junk), ivar, grid)
    for a, b in zip(clean, dirty, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("resample", [interpolate, rebin])
def test_flux_that_is_not_finite_is_a_bad_pixel(resample):
    wavelength, flux, ivar = np.arange(5000.0, 5009), np.ones((1, 9)), np.ones((1, 9))
    flux[0, 4], ivar[0, 6] = np.nan, np.inf
    new_flux, new_ivar = resample(wavelength, flux, ivar, wavelength)
    np.testing.assert_array_equal(new_flux, 1)
    np.testing.assert_array_equal(new_ivar[0], [1, 1, 1, 1, 0, 1, 0, 1, 1])


@pytest.mark.parametrize("resample", [interpolate, rebin])
def test_outside_the_source_there_is_no_information(resample):
    flux = np.array([[2.0, 3.0, 4.0, 5.0, 6.0]])
    grid = np.array([4990.0, 4995.0, 5000.0, 5002.0, 5004.0, 5007.0, 5010.0])
    new_flux, new_ivar = resample(np.arange(5000.0, 5005), flux, flux * 0 + 4, grid)
    assert (new_ivar[0, [0, 1, 5, 6]] == 0).all()
    np.testing.assert_array_equal(new_flux[0, [0, 6]], [2, 6])


@pytest.mark.parametrize("resample", [interpolate, rebin])
def test_a_spectrum_without_a_good_pixel_and_a_set_without_a_spectrum(resample):
    wavelength, grid = np.arange(5000.0, 5009), np.arange(5000.5, 5008)
    new_flux, new_ivar = resample(wavelength, np.full((2, 9), np.nan), np.zeros((2, 9)), grid)
    assert not new_flux.any()
    assert not new_ivar.any()
    assert resample(wavelength, np.ones((0, 9)), np.ones((0, 9)), grid)[0].shape == (0, 8)


@pytest.mark.parametrize("resample", [interpolate, rebin])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wavelength": [5000.0, 5002, 5001]}, "do not increase"),
        ({"wavelength": [5000.0, np.nan, 5002]}, "do not increase"),
        ({"wavelength": np.ones((5, 3))}, "found shape"),
        ({"grid": [5000.0]}, "P > 1"),
        ({"grid": [5000.0, np.inf]}, "not finite"),
        ({"flux": np.ones((2, 4))}, "expected both"),
        ({"ivar": np.ones((1, 3))}, "expected both"),
    ],
)
def test_what_does_not_fit_is_refused(resample, change, message):
    arguments = {
        "wavelength": [5000.0, 5001, 5002],
        "flux": np.ones((2, 3)),
        "ivar": np.ones((2, 3)),
        "grid": [5000.5, 5001.5],
    } | change
    with pytest.raises(DataError, match=message):
        resample(**arguments)


def test_bridge_spans_gaps_and_holds_the_ends():
    flux = np.array([[9.0, 1.0, 9.0, 9.0, 4.0, 9.0], [9.0] * 6, [9.0] * 6])
    good = np.array([[0, 1, 0, 0, 1, 0], [1] * 6, [0] * 6], bool)
    np.testing.assert_array_equal(bridge(flux, good), [[1, 1, 2, 3, 4, 4], [9] * 6, [0] * 6])
    assert flux[0, 0] == 9


# --- interpolate ---------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(problem=problems(), kernel=st.sampled_from(KERNELS), single=st.booleans())
def test_interpolation_never_makes_ivar_grow(problem, kernel, single):
    wavelength, flux, ivar, grid = problem
    if single:
        flux, ivar = flux.astype("f4"), ivar.astype("f4")
    new = interpolate(wavelength, flux, ivar, grid, kernel=kernel)[1]
    last = np.searchsorted(wavelength, grid * (1 + 1e-12), side="right") - 1
    left, right = ivar[:, np.maximum(last, 0)], ivar[:, np.minimum(last + 1, ivar.shape[1] - 1)]
    assert (new >= 0).all()
    assert (new <= np.maximum(left, right)).all()
    assert not new[:, (grid < wavelength[0] - 1e-6) | (grid > wavelength[-1] + 1e-6)].any()


def test_ivar_does_not_even_grow_by_rounding():
    ivar = np.repeat(np.arange(1.0, 200)[:, None], 20, axis=1)
    wavelength = np.arange(5000.0, 5020)
    for shift in (0, 0.1, 0.37, 0.9):
        new = interpolate(wavelength, np.ones_like(ivar), ivar, wavelength + shift)[1]
        assert (new <= ivar).all()


@settings(max_examples=50, deadline=None)
@given(problem=problems())
def test_interpolation_keeps_bad_pixels_out(problem):
    wavelength, flux, ivar, grid = problem
    new = interpolate(wavelength, flux, ivar, grid)[1]
    last = np.searchsorted(wavelength, grid, side="right") - 1
    between = (last >= 0) & (last < len(wavelength) - 1) & ~np.isin(grid, wavelength)
    touched = (ivar[:, last[between]] == 0) | (ivar[:, last[between] + 1] == 0)
    assert not new[:, between][touched].any()
    assert (new[:, between][~touched] > 0).all()


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.9])
def test_a_finer_grid_holds_no_more_information(rng, ratio):
    wavelength = 5000 + 0.1 * np.arange(300)
    flux, ivar = np.ones((3, 300)), rng.uniform(1, 2, (3, 300))
    grid = np.arange(5000.0, 5029.9, 0.1 * ratio)
    new = interpolate(wavelength, flux, ivar, grid)[1]
    assert (new.sum(axis=1) <= ivar.sum(axis=1)).all()
    assert (new.sum(axis=1) >= 0.9 * ivar.sum(axis=1)).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_stated_variance_bounds_the_true_one(rng, kernel):
    """Weights by feeding unit vectors; noise levels that differ up to a thousandfold."""
    p = 12
    for _ in range(40):
        wavelength = 5000 + np.cumsum(rng.uniform(0.8, 1.3, p))
        grid = np.sort(rng.uniform(wavelength[0], wavelength[-1], 30))
        ivar = np.tile(10 ** rng.uniform(-1.5, 1.5, p), (p, 1))
        weight, new = interpolate(wavelength, np.eye(p), ivar, grid, kernel=kernel)
        true = (weight**2 / ivar[0][:, None]).sum(axis=0)
        assert (true <= 1 / new[0] * (1 + 1e-12)).all()


@pytest.mark.parametrize(("kernel", "degree"), [("linear", 1), ("cubic", 3)])
def test_polynomials_come_back_exactly_on_an_uneven_grid(rng, kernel, degree):
    wavelength = 5000 + np.cumsum(rng.uniform(0.09, 0.12, 100))
    grid = np.linspace(wavelength[1], wavelength[-2], 333)
    for power in range(degree + 1):
        flux = ((wavelength - 5005) / 5)[None] ** power
        new, _ = interpolate(wavelength, flux, np.ones_like(flux), grid, kernel=kernel)
        np.testing.assert_allclose(new[0], ((grid - 5005) / 5) ** power, atol=1e-11)


@settings(max_examples=50, deadline=None)
@given(problem=problems(), kernel=st.sampled_from(KERNELS))
def test_a_straight_line_survives_bad_pixels(problem, kernel):
    wavelength, flux, ivar, grid = problem
    flux = np.broadcast_to(3 + 2 * (wavelength - 5000), flux.shape)
    new, new_ivar = interpolate(wavelength, flux, ivar, grid, kernel=kernel)
    expected = np.broadcast_to(3 + 2 * (grid - 5000), new.shape)
    np.testing.assert_allclose(new[new_ivar > 0], expected[new_ivar > 0], rtol=1e-9)


def line(pixel, centre, fwhm=3.7):
    """A Gaussian line integrated over pixels of unit width, at the sampling of GALAH."""
    from scipy.special import erf

    s = np.sqrt(2) * fwhm / 2.3548200450309493
    area = 0.5 * (erf((pixel + 0.5 - centre) / s) - erf((pixel - 0.5 - centre) / s))
    return 1 - 0.6 * area * s * np.sqrt(np.pi)


def worst_error(kernel):
    pixel, phases = np.arange(60.0), np.linspace(0, 1, 11)
    flux = np.array([line(pixel, 30 - phase) for phase in phases])
    grid = 5000 + np.arange(5.0, 55.0)
    shifted = np.add.outer(phases, 5000 + pixel)
    new, _ = interpolate(shifted, flux, np.ones_like(flux), grid, kernel=kernel)
    return np.abs(new - line(grid - 5000, 30)).max()


def test_a_line_at_galah_sampling_is_kept():
    """Depth 0.6, FWHM 3.7 pixels, any shift: 0.006 off at most, where the line is 0.03 off."""
    assert worst_error("cubic") < 0.006
    assert worst_error("linear") > 4 * worst_error("cubic")


def test_shift_by_resampling_there_and_back_keeps_the_line():
    wavelength = 5000 + np.arange(80.0)
    flux = line(np.arange(80.0), 40)[None]
    there, w = interpolate(wavelength, flux, np.ones_like(flux), wavelength + 0.37)
    back, w = interpolate(wavelength + 0.37, there, w, wavelength)
    np.testing.assert_allclose(back[0, w[0] > 0], flux[0, w[0] > 0], atol=0.012)


def test_the_cubic_gives_way_to_the_line_beside_a_bad_or_noisy_pixel(rng):
    wavelength, grid = 5000 + np.arange(8.0), 5000 + np.array([0.5, 3.5, 4.5])
    flux, ivar = rng.normal(1, 1, (1, 8)), np.ones((1, 8))
    straight, _ = interpolate(wavelength, flux, ivar, grid, kernel="linear")
    cubic, _ = interpolate(wavelength, flux, ivar, grid)
    assert cubic[0, 0] == straight[0, 0]  # no pixel before the first
    assert (cubic[0, 1:] != straight[0, 1:]).all()
    for outer in (0.0, 0.01):
        ivar[0, 2] = outer
        beside, _ = interpolate(wavelength, flux, ivar, grid)
        assert beside[0, 1] == straight[0, 1]
        assert beside[0, 2] == cubic[0, 2]


def test_no_curve_is_thrown_across_a_gap(rng):
    wavelength = np.r_[5000:5010.0, 5030:5040.0]
    flux = 1 + (wavelength[None] > 5020) + rng.normal(0, 0.01, (1, 20))
    new, _ = interpolate(wavelength, flux, np.ones((1, 20)), np.arange(5009.0, 5031))
    assert (np.diff(new[0]) > 0).all()
    assert np.ptp(np.diff(new[0])) < 1e-10


def test_an_unknown_kernel_is_refused():
    with pytest.raises(DataError, match="expected 'cubic' or 'linear'"):
        interpolate([1.0, 2.0], [[1.0, 1.0]], [[1.0, 1.0]], [1.0, 2.0], kernel="spline")


# --- rebin ---------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(problem=problems(ratio=st.floats(0.3, 8.0)))
def test_rebinning_conserves_flux(problem):
    wavelength, flux, _, grid = problem
    new, ivar = rebin(wavelength, flux, np.ones_like(flux), grid)
    edges, new_edges = pixel_edges(wavelength), pixel_edges(grid)
    running = np.append(np.zeros((len(flux), 1)), np.cumsum(flux * np.diff(edges), axis=1), axis=1)
    covered = ivar[0] > 0
    for i, row in enumerate(running):
        integral = np.diff(np.interp(new_edges, edges, row))
        np.testing.assert_allclose(
            (new[i] * np.diff(new_edges))[covered], integral[covered], atol=1e-9
        )


@settings(max_examples=100, deadline=None)
@given(problem=problems(ratio=st.floats(0.3, 8.0)))
def test_rebinning_never_counts_a_photon_twice(problem):
    wavelength, flux, ivar, grid = problem
    new = rebin(wavelength, flux, ivar, grid)[1]
    # In the mean of all it holds, a new pixel adds at most the ivar of the old ones it overlaps.
    edges, new_edges = pixel_edges(wavelength), pixel_edges(grid)
    overlap = np.minimum(edges[None, 1:], new_edges[1:, None]) - np.maximum(
        edges[None, :-1], new_edges[:-1, None]
    )
    share = np.maximum(overlap, 0) / np.diff(edges)
    assert (new <= (share @ ivar.T).T * (1 + 1e-9)).all()
    assert (new[:, grid > new_edges[0]].sum(axis=1) <= ivar.sum(axis=1) * (1 + 1e-9)).all()


def test_whole_pixels_are_averaged_with_independent_errors(rng):
    wavelength = 5000 + 0.1 * np.arange(24)
    flux, ivar = rng.normal(1, 1, (3, 24)), rng.uniform(1, 9, (3, 24))
    grid = wavelength.reshape(6, 4).mean(axis=1)
    new, new_ivar = rebin(wavelength, flux, ivar, grid)
    np.testing.assert_allclose(new, flux.reshape(3, 6, 4).mean(axis=2), rtol=1e-9)
    expected = 16 / (1 / ivar).reshape(3, 6, 4).sum(axis=2)
    np.testing.assert_allclose(new_ivar, expected, rtol=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_whole_pixels_agree_with_specutils(rng):
    import astropy.units as u
    from astropy.nddata import InverseVariance
    from specutils import Spectrum
    from specutils.manipulation import FluxConservingResampler

    wavelength = 5000 + 0.1 * np.arange(40)
    flux, ivar = rng.normal(1, 1, 40), rng.uniform(1, 9, 40)
    grid = wavelength.reshape(8, 5).mean(axis=1)
    spectrum = Spectrum(
        spectral_axis=wavelength * u.AA,
        flux=flux * u.Jy,
        uncertainty=InverseVariance(ivar / u.Jy**2),
    )
    inner = grid[1:-1]  # at the ends theirs may lose a pixel to rounding
    theirs = FluxConservingResampler()(spectrum, inner * u.AA)
    new, new_ivar = rebin(wavelength, flux, ivar, inner)
    np.testing.assert_allclose(new, theirs.flux.value, rtol=1e-7)
    np.testing.assert_allclose(new_ivar, theirs.uncertainty.array, rtol=1e-7)


def test_a_split_pixel_gives_each_part_its_share():
    new, ivar = rebin(
        [5000.0, 5002.0], [[3.0, 5.0]], [[4.0, 8.0]], [4999.5, 5000.5, 5001.5, 5002.5]
    )
    np.testing.assert_allclose(new, [[3, 3, 5, 5]])
    np.testing.assert_allclose(ivar, [[2, 2, 4, 4]])


def test_a_pixel_of_enormous_variance_leaves_the_others_alone():
    wavelength, flux = 5000 + np.arange(12.0), np.ones((1, 12))
    ivar = np.where(np.arange(12) == 3, 1e-30, 1.0)[None]
    _, new = rebin(wavelength, flux, ivar, 5000.5 + 2 * np.arange(6.0))
    np.testing.assert_allclose(new[0], [2, 4e-30, 2, 2, 2, 2], rtol=1e-9)


@pytest.mark.parametrize("roundings", [-2, 2])
def test_rounding_of_an_edge_lets_no_enormous_variance_in(roundings):
    wavelength = 5000 + 0.05 * np.arange(40)
    ivar = np.where(np.arange(40) % 4 == 0, 1e-30, 1.0)[None]
    there = wavelength + roundings * np.spacing(wavelength)
    _, new = rebin(wavelength, np.ones((1, 40)), ivar, there)
    np.testing.assert_allclose(new[:, 1:-1], ivar[:, 1:-1], rtol=1e-6)


def test_coverage_decides_what_a_bad_pixel_costs():
    wavelength, grid = 5000 + np.arange(8.0), 5001.5 + 4 * np.arange(2.0)
    flux, ivar = np.arange(8.0)[None], np.ones((1, 8))
    flux[0, 1], ivar[0, 1] = 1e6, 0
    new, strict = rebin(wavelength, flux, ivar, grid)
    np.testing.assert_allclose(new, [[1.5, 5.5]])  # the bridge keeps the slope
    np.testing.assert_array_equal(strict, [[0, 4]])
    np.testing.assert_allclose(rebin(wavelength, flux, ivar, grid, min_coverage=0.75)[1], [[3, 4]])
    for bad in (0, 1.1, np.nan):
        with pytest.raises(DataError, match="min_coverage"):
            rebin(wavelength, flux, ivar, grid, min_coverage=bad)


def test_edges_are_midway():
    np.testing.assert_allclose(pixel_edges([1.0, 2.0, 4.0]), [0.5, 1.5, 3.0, 5.0])
    assert pixel_edges(np.ones((3, 4))).shape == (3, 5)
