import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from siderea.constants import C_KMS, GAUSSIAN_FWHM
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.spectra.broadening import gaussian, macroturbulent, rotational, to_resolution
from siderea.spectra.wavelength import log_grid

KERNELS = [gaussian, rotational, macroturbulent]
DV = 2.5
VELOCITY = DV * (np.arange(1001) - 500)


def normal(sigma, centre=0.0):
    return np.exp(-0.5 * ((VELOCITY - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def moment(profile, order):
    return (profile * VELOCITY**order).sum(axis=-1) * DV


# --- kernels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), width=st.floats(0.01, 3000), p=st.integers(1, 400))
def test_the_sum_of_a_spectrum_is_conserved(kernel, seed, width, p):
    flux = np.random.default_rng(seed).normal(1, 1, (2, p))
    np.testing.assert_allclose(kernel(flux, DV, width).sum(axis=1), flux.sum(axis=1), atol=1e-10)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_stays_constant(kernel, dtype):
    flux = np.full((3, 500), 1.5, dtype)
    new = kernel(flux, DV, [0.1, 30.0, 5000.0])
    assert new.dtype == dtype
    np.testing.assert_allclose(new, 1.5, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("kernel", KERNELS)
def test_zero_width_changes_nothing_at_all(kernel):
    flux = np.random.default_rng(1).normal(size=(3, 300))
    new = kernel(flux, DV, [0.0, 20.0, 0.0])
    np.testing.assert_array_equal(new[[0, 2]], flux[[0, 2]])
    assert not np.shares_memory(new, flux)
    np.testing.assert_array_equal(kernel(flux, DV, 0.0), flux)
    np.testing.assert_allclose(kernel(flux, DV, 1e-5), flux, atol=1e-8)  # and is its limit


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_width_per_row_equals_a_loop(kernel, monkeypatch):
    flux, widths = np.random.default_rng(2).normal(size=(7, 333)), np.linspace(0, 60, 7)
    monkeypatch.setattr("siderea.spectra.broadening.BLOCK", 700)
    together = kernel(flux, DV, widths)
    for row, f, w in zip(together, flux, widths, strict=True):
        np.testing.assert_allclose(row, kernel(f, DV, w), atol=1e-13)
    one = kernel(flux[0], DV, widths)
    np.testing.assert_allclose(one, kernel(np.tile(flux[0], (7, 1)), DV, widths), atol=1e-13)


@pytest.mark.parametrize("kernel", KERNELS)
def test_nothing_wraps_around(kernel):
    flux = np.ones(400)
    flux[380:] = 5
    assert np.abs(kernel(flux, DV, 10.0)[:300] - 1).max() < 1e-3


def test_gaussians_add_their_variances():
    new = gaussian(normal(10), DV, [5.0, 24.0])
    np.testing.assert_allclose(new, [normal(np.hypot(10, 5)), normal(26)], atol=1e-12)
    twice = gaussian(gaussian(normal(9), DV, 7.0), DV, 4.0)
    np.testing.assert_allclose(twice, normal(146**0.5), atol=1e-12)


@pytest.mark.parametrize("sigma", [0.2, 0.7, 1.5])
def test_a_kernel_narrower_than_a_pixel_is_exact(sigma):
    np.testing.assert_allclose(
        gaussian(normal(8), DV, sigma), normal(np.hypot(8, sigma)), atol=1e-13
    )


@pytest.mark.parametrize("limb_darkening", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("vsini", [0.5, 8.0, 150.0])
def test_rotation_has_the_moments_of_its_profile(vsini, limb_darkening):
    def profile(x):
        e = limb_darkening
        return (2 * (1 - e) * np.sqrt(1 - x * x) + np.pi * e / 2 * (1 - x * x)) / (
            np.pi * (1 - e / 3)
        )

    new = rotational(normal(12), DV, vsini, limb_darkening=limb_darkening)
    second = quad(lambda x: x**2 * profile(x), -1, 1)[0] * vsini**2
    fourth = quad(lambda x: x**4 * profile(x), -1, 1)[0] * vsini**4
    assert moment(new, 2) == pytest.approx(144 + second, rel=1e-7)
    assert moment(new, 4) == pytest.approx(3 * 144**2 + 6 * 144 * second + fourth, rel=1e-6)


def test_rotation_and_macroturbulence_equal_the_convolution_by_their_profiles():
    """Direct quadrature of Gray's profiles against the transforms."""

    def rotation(v, vsini=60.0, e=0.6):
        x2 = np.minimum((v / vsini) ** 2, 1)
        return (2 * (1 - e) * np.sqrt(1 - x2) + np.pi * e / 2 * (1 - x2)) / (
            np.pi * vsini * (1 - e / 3)
        )

    def macroturbulence(v, zeta=20.0):
        v = max(abs(v), 1e-6)
        area = (
            quad(lambda s: np.exp(-1 / s**2), 0, zeta / v, limit=200)[0] if v > 0.05 else zeta / v
        )
        return 2 * v / (np.sqrt(np.pi) * zeta**2) * area

    for kernel, width, profile, reach in (
        (rotational, 60.0, rotation, 60),
        (macroturbulent, 20.0, macroturbulence, 120),
    ):
        new = kernel(normal(15), DV, width)
        for pixel in (500, 507, 520, 545):
            direct = quad(
                lambda v, at, p=profile: p(v) * np.exp(-0.5 * ((at - v) / 15) ** 2),
                -reach, reach, args=(VELOCITY[pixel],), points=[0.0], limit=200,
            )[0] / (15 * np.sqrt(2 * np.pi))  # fmt: skip
            assert new[pixel] == pytest.approx(direct, rel=3e-4)


def test_macroturbulence_has_a_quarter_of_zeta_squared():
    new = macroturbulent(normal(12), DV, [1.0, 40.0])
    np.testing.assert_allclose(moment(new, 2), 144 + np.array([1, 1600]) / 4, rtol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_equivalent_width_is_conserved(kernel):
    flux = 1 - 0.8 * normal(6) / normal(6).max()
    assert (1 - kernel(flux, DV, 45.0)).sum() == pytest.approx((1 - flux).sum(), rel=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_unknown_width_gives_nan_in_its_row_only(kernel):
    new = kernel(np.ones((3, 50)), DV, [1.0, np.nan, 0.0])
    assert np.isnan(new[1]).all()
    np.testing.assert_allclose(new[[0, 2]], 1)


@pytest.mark.parametrize("kernel", KERNELS)
def test_quantities_are_taken_in_their_units(kernel):
    flux = normal(8)
    new = kernel(flux, 2500 * u.m / u.s, 7000 * u.m / u.s)
    np.testing.assert_allclose(new, kernel(flux, 2.5, 7.0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("dv", "width"),
    [(DV, -1.0), (DV, np.inf), (DV, [1.0, 2.0]), (0.0, 1.0), (np.nan, 1.0), (DV, np.ones((3, 1)))],
)
def test_nonsense_is_refused(kernel, dv, width):
    with pytest.raises(DataError):
        kernel(np.ones((3, 50)), dv, width)


@pytest.mark.parametrize("limb_darkening", [-0.1, 1.1, np.nan])
def test_limb_darkening_is_a_fraction(limb_darkening):
    with pytest.raises(DataError, match="limb_darkening"):
        rotational(np.ones(9), DV, 5.0, limb_darkening=limb_darkening)


# --- to_resolution -------------------------------------------------------------------------------

LOG = log_grid(4713.0, 1500, 2.8)
LINEAR = 4713.0 + 0.045 * np.arange(1500)  # the step of a GALAH arm
ERRATIC = LINEAR + 0.01 * np.sin(np.arange(1500) / 2)


def line_of(resolution, wavelength, centre=4745.0, area=8.0):
    """Absorption line of an equivalent width of 8 km/s, as wide as the resolution makes it."""
    sigma = C_KMS / (resolution * GAUSSIAN_FWHM)
    v = C_KMS * np.log(wavelength / centre)
    return 1 - area * np.exp(-0.5 * (v / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def spectra_on(wavelength, n=2, **options):
    flux = np.tile(line_of(28_000, wavelength), (n, 1))
    return Spectra(
        wavelength, flux, np.full(flux.shape, 100.0), "air", resolution=28_000, **options
    )


@pytest.mark.parametrize(
    ("wavelength", "tolerance"), [(LOG, 1e-6), (LINEAR, 1e-4), (ERRATIC, 5e-3)]
)
@pytest.mark.parametrize("resolution", [24_000, 11_500])
def test_a_line_gets_the_width_of_the_new_resolution(wavelength, tolerance, resolution):
    new = to_resolution(spectra_on(wavelength), resolution)
    assert new.resolution == (resolution,)
    np.testing.assert_allclose(new.flux[0], line_of(resolution, wavelength), atol=tolerance)
    np.testing.assert_allclose(new.ivar, 100, rtol=1e-9)


def test_in_two_steps_as_in_one():
    twice = to_resolution(to_resolution(spectra_on(LOG), 20_000), 9_000)
    np.testing.assert_allclose(twice.flux, to_resolution(spectra_on(LOG), 9_000).flux, atol=1e-12)


def test_each_arm_has_its_own_resolution():
    wavelength = np.r_[LINEAR, LINEAR + 1000]
    flux = np.r_[line_of(28_000, LINEAR), line_of(22_000, LINEAR + 1000, 5745.0)][None]
    arms = (slice(0, 1500), slice(1500, 3000))
    both = Spectra(wavelength, flux, flux * 0 + 50, "air", arms, resolution=(28_000, 22_000))
    new = to_resolution(both, (12_000, 22_000))
    np.testing.assert_allclose(new.flux[0, :1500], line_of(12_000, LINEAR), atol=1e-4)
    np.testing.assert_array_equal(new.flux[0, 1500:], flux[0, 1500:])  # has it already
    assert new.resolution == (12_000, 22_000)
    for i in range(2):  # the arms do not mix
        alone = to_resolution(both.arm(i), new.resolution[i])
        np.testing.assert_array_equal(alone.flux, new.flux[:, arms[i]])


@pytest.mark.parametrize("wavelength", [LOG, LINEAR])
@pytest.mark.parametrize("junk", [np.nan, 1e6])
def test_bad_pixels_stay_bad_and_never_reach_good_ones(wavelength, junk):
    spectra = spectra_on(wavelength)
    flux, ivar = np.array(spectra.flux), np.array(spectra.ivar)
    bad = np.r_[300, 600:640]
    flux[0, bad], ivar[0, bad] = junk, 0
    new = to_resolution(spectra.with_flux(flux, ivar), 11_500)
    assert np.isfinite(new.flux).all()
    assert not new.ivar[0, bad].any()
    assert not new.ivar[0, 598:642].any()  # as far as a tenth of the kernel
    assert new.ivar[0, [290, 310, 585, 655]].all()
    good = new.ivar[0] > 0
    np.testing.assert_allclose(new.flux[0, good], line_of(11_500, wavelength)[good], atol=3e-3)
    np.testing.assert_array_equal(new.flux[1], to_resolution(spectra, 11_500).flux[1])


def test_one_bad_pixel_under_a_wide_kernel_is_bad_alone():
    spectra = spectra_on(LINEAR)
    ivar = np.array(spectra.ivar)
    ivar[:, 300] = 0
    new = to_resolution(spectra.with_flux(spectra.flux, ivar), 3_000)
    np.testing.assert_array_equal(np.flatnonzero(new.ivar[0] == 0), [300])


def test_ivar_never_grows_and_information_is_kept():
    rng = np.random.default_rng(3)
    spectra = spectra_on(LINEAR)
    ivar = 10 ** rng.uniform(-3, 3, spectra.flux.shape) * (
        rng.uniform(size=spectra.flux.shape) > 0.01
    )
    new = to_resolution(spectra.with_flux(spectra.flux, ivar), 14_000)
    assert (new.ivar >= 0).all()
    assert (new.ivar <= ivar.max(axis=1, keepdims=True)).all()
    assert (new.ivar.sum(axis=1) <= ivar.sum(axis=1)).all()


def test_a_spectrum_of_bad_pixels_and_single_precision():
    spectra = spectra_on(LINEAR)
    flux, ivar = spectra.flux.astype("f4"), spectra.ivar.astype("f4")
    flux[1], ivar[1] = np.nan, 0
    new = to_resolution(spectra.with_flux(flux, ivar), 11_500)
    assert new.flux.dtype == new.ivar.dtype == np.float32
    assert not new.flux[1].any()
    assert not new.ivar[1].any()
    np.testing.assert_allclose(new.flux[0], line_of(11_500, LINEAR), atol=3e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 30_000}, "cannot sharpen"),
        ({"resolution": 10_000, "from_resolution": 9_000}, "cannot sharpen"),
        ({"resolution": 0}, "positive"),
        ({"resolution": np.nan}, "positive"),
        ({"resolution": 10_000, "from_resolution": np.nan}, "from_resolution"),
        ({"resolution": (10_000, 10_000)}, "one per arm"),
    ],
)
def test_the_wrong_way_is_refused(options, message):
    with pytest.raises(DataError, match=message):
        to_resolution(spectra_on(LOG), **options)


def test_an_arm_of_one_pixel_is_refused():
    with pytest.raises(DataError, match="one pixel"):
        to_resolution(Spectra([5000.0], [[1.0]], [[1.0]], "air", resolution=20_000), 10_000)


def test_the_given_resolution_overrides_the_stored_one():
    new = to_resolution(spectra_on(LOG), 10_000, from_resolution=10_000)
    np.testing.assert_array_equal(new.flux, spectra_on(LOG).flux)
