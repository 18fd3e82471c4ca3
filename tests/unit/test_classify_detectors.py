import numpy as np
import pytest

from siderea.classify.carbon import HEAD, band_profile, swan_band
from siderea.classify.emission import asymmetry, balmer_emission, residual_width
from siderea.classify.lithium import DOUBLET, IRON, lithium_width
from siderea.classify.molecules import TIO_HEADS, band_index
from siderea.classify.problems import count_spikes, dead_arms, noise_ratio, oscillation
from siderea.constants import C_KMS, GAUSSIAN_FWHM
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.flags import SpectrumFlag
from siderea.spectra.wavelength import air_to_vacuum

BLUE = np.arange(4714.0, 4900.0, 0.05)
RED = np.arange(6480.0, 6735.0, 0.07)
GRID = np.concatenate([BLUE, RED])
ARMS = (slice(0, BLUE.size), slice(BLUE.size, GRID.size))
SNR = 60.0
N = 200


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(5)


def gaussian(centre, fwhm_kms, width):
    """A line of an equivalent width (Å)."""
    sigma = centre * fwhm_kms / C_KMS / GAUSSIAN_FWHM
    return width * np.exp(-0.5 * ((GRID - centre) / sigma) ** 2) / sigma / np.sqrt(2 * np.pi)


def spectra(clean, *, n=N, snr=SNR, seed=0, medium="air", grid=GRID):
    noise = np.random.default_rng(seed).normal(0, 1 / snr, (n, grid.size))
    ivar = np.full(noise.shape, snr**2)
    return Spectra(grid, clean + noise, ivar, medium, ARMS, ("blue", "red"), 28000.0)


def check(measured, truth):
    """Unbiased, with honest errors."""
    pull = (measured.value - truth) / measured.error
    assert abs(pull.mean()) < 0.25
    assert pull.std() == pytest.approx(1.0, abs=0.2)


def test_emission_is_the_light_above_the_reference(sunlike_spectrum):
    reference = sunlike_spectrum(GRID)
    added = gaussian(6562.8, 60.0, 0.5) + gaussian(4861.33, 60.0, 0.2)
    found = balmer_emission(spectra(reference + added), reference)
    check(found["halpha"], 0.5)
    check(found["hbeta"], 0.2)
    quiet = balmer_emission(spectra(reference), reference)
    check(quiet["halpha"], 0.0)


def test_absorption_deeper_than_the_reference_is_negative_emission(sunlike_spectrum):
    reference = sunlike_spectrum(GRID)
    width, _ = residual_width(spectra(reference - gaussian(6562.8, 60, 0.3)), reference, 6562.8)
    assert width.mean() == pytest.approx(-0.3, abs=0.02)


def test_asymmetry_tells_the_side(sunlike_spectrum):
    reference = sunlike_spectrum(GRID)
    for shift, sign in ((1.5, 1.0), (-1.5, -1.0), (0.0, 0.0)):
        sample = spectra(reference + gaussian(6562.8 + shift, 40.0, 1.0))
        value, error = asymmetry(sample, reference, 6562.8)
        assert value.mean() == pytest.approx(sign, abs=0.12)
        assert value.std() < 2.5 * error.mean() + 0.02
    value, _ = asymmetry(spectra(reference), reference, 6562.8)
    assert np.isnan(value).mean() > 0.9


def test_the_swan_band_is_measured_through_any_spectrum(sunlike_spectrum):
    # what is expected has a step of its own, as the molecular bands of a cool star make
    reference = sunlike_spectrum(GRID) * np.where(GRID < 4740.0, 0.7, 1.0)
    band = band_profile(GRID, HEAD, tail=6.0, fwhm=HEAD / 28_000)
    check(swan_band(spectra(reference * (1 - 0.3 * band)), reference), 0.3)
    check(swan_band(spectra(reference), reference), 0.0)
    assert band[np.searchsorted(GRID, HEAD + 1)] < 1e-3 < 0.8 < band.max()


def test_lithium_is_freed_of_its_iron_neighbour():
    """Iron alone is no lithium; and where they blend the error grows."""
    iron = gaussian(IRON, 11.0, 0.03)
    lithium = sum(gaussian(line, 11.0, 0.05 * share) for line, share in DOUBLET)
    continuum = np.ones(GRID.size)
    check(lithium_width(spectra(continuum - iron - lithium, snr=100)), 0.05)
    check(lithium_width(spectra(continuum - iron, snr=100)), 0.0)
    wide = continuum - gaussian(IRON, 40.0, 0.03)
    wide = wide - sum(gaussian(line, 40.0, 0.05 * share) for line, share in DOUBLET)
    blended, sharp = (lithium_width(spectra(one, snr=100)) for one in (wide, continuum - lithium))
    assert np.median(blended.error) > 1.5 * np.median(sharp.error)
    assert blended.value.mean() == pytest.approx(0.05, abs=0.01)


def test_steps_of_tio_count_and_atomic_lines_do_not(sunlike_spectrum):
    star = sunlike_spectrum(GRID)
    bands = np.ones(GRID.size)
    for head in TIO_HEADS:
        bands -= 0.3 * ((head < GRID) & (GRID - head < 40)) * np.exp(-(GRID - head) / 30.0)
    cool = band_index(spectra(star * bands))
    plain = band_index(spectra(star))
    assert 0.1 < cool.value.mean() < 0.3
    assert abs(plain.value.mean()) < 0.01
    assert plain.value.std() == pytest.approx(plain.error.mean(), rel=0.3)


def test_all_detectors_know_vacuum(sunlike_spectrum):
    reference = sunlike_spectrum(GRID)
    band = band_profile(GRID, HEAD, tail=6.0, fwhm=HEAD / 28_000)
    flux = reference * (1 - 0.3 * band) + gaussian(6562.8, 60, 0.5) - gaussian(6707.8, 11, 0.1)
    seen = {
        medium: spectra(flux, n=5, medium=medium, grid=grid)
        for medium, grid in (("air", GRID), ("vacuum", air_to_vacuum(GRID)))
    }
    for detector in (
        lambda s: balmer_emission(s, reference)["halpha"],
        lambda s: swan_band(s, reference),
        lithium_width,
        band_index,
    ):
        air, vacuum = detector(seen["air"]), detector(seen["vacuum"])
        np.testing.assert_allclose(air.value, vacuum.value, atol=0.5 * air.error.max())


def test_what_is_not_covered_or_not_good_is_nan(sunlike_spectrum):
    reference = sunlike_spectrum(GRID)
    sample = spectra(reference, n=3)
    ivar = sample.ivar.copy()
    ivar[1] = 0.0
    sample = sample.with_flux(sample.flux, ivar)
    only_red = sample.arm("red")
    for found in (
        balmer_emission(sample, reference)["halpha"],
        swan_band(sample, reference),
        lithium_width(sample),
        band_index(sample),
        oscillation(sample, np.broadcast_to(reference, sample.flux.shape)),
    ):
        assert np.isfinite(found.value[[0, 2]]).all()
        assert np.isnan(found.value[1])
    assert np.isnan(swan_band(only_red, reference[ARMS[1]]).value).all()
    assert np.isfinite(lithium_width(only_red).value[0])
    assert np.isnan(lithium_width(sample.arm("blue")).value).all()
    for wrong in (reference[:5], np.ones((2, 2, 2))):
        with pytest.raises(DataError, match="reference"):
            swan_band(sample, wrong)
        with pytest.raises(DataError, match="reference"):
            balmer_emission(sample, wrong)


@pytest.mark.parametrize("cycles", [4.0, 12.5, 40.0])
def test_a_wave_in_the_continuum_is_found_with_its_amplitude(sunlike_spectrum, cycles):
    reference = np.broadcast_to(sunlike_spectrum(GRID), (N, GRID.size))
    wave = np.zeros(GRID.size)
    phase = np.arange(RED.size) / RED.size
    wave[ARMS[1]] = 0.03 * np.sin(2 * np.pi * cycles * phase + 1.0)
    broken = oscillation(spectra(reference + wave), reference)
    sound = oscillation(spectra(reference), reference)
    assert np.median(broken.value) == pytest.approx(0.03, rel=0.4)
    assert broken.significance.min() > 3 * sound.significance.max()  # it does not hide itself


def test_noise_beyond_the_errors_is_told_arm_by_arm(sunlike_spectrum):
    reference = np.broadcast_to(sunlike_spectrum(GRID), (20, GRID.size))
    sample = spectra(reference, n=20)
    flux = sample.flux.copy()
    flux[3, ARMS[0]] = reference[3, ARMS[0]] + 2 * (flux - reference)[3, ARMS[0]]
    ratio = noise_ratio(sample.with_flux(flux, sample.ivar), reference)
    assert ratio[3, 0] == pytest.approx(2.0, rel=0.1)
    np.testing.assert_allclose(np.delete(ratio, 3, axis=0), 1.0, atol=0.1)


def test_spikes_are_counted_and_lines_are_not(sunlike_spectrum):
    strong = sunlike_spectrum(GRID) + gaussian(6562.8, 100.0, 8.0)  # an emission line is no spike
    sample = spectra(strong, n=4)
    flux = sample.flux.copy()
    for pixel in (500, 1500, 5000):
        flux[2, pixel : pixel + 2] += 1.0
    ivar = sample.ivar.copy()
    flux[3, 700] += 5.0
    ivar[3, 700] = 0.0  # masked already
    assert count_spikes(sample.with_flux(flux, ivar)).tolist() == [0, 0, 3, 0]


def test_dead_arms_are_missing_or_dark():
    sample = spectra(np.ones(GRID.size), n=3)
    flux, ivar = sample.flux.copy(), sample.ivar.copy()
    ivar[1, ARMS[0]] = 0.0
    flux[2, ARMS[1]] = 0.0
    dead, flags = dead_arms(sample.with_flux(flux, ivar))
    assert dead.tolist() == [[False, False], [True, False], [False, True]]
    assert flags.tolist() == [0, int(SpectrumFlag.MISSING_ARM), int(SpectrumFlag.ZERO_SNR)]
