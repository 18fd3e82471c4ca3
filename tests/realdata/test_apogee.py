"""Real APOGEE files: a giant with three visits, and two visits of the SB2 KIC 9246715."""

import numpy as np
import pytest

from siderea.constants import C_KMS
from siderea.io import apogee
from siderea.io.fits_product import open_product

pytestmark = pytest.mark.realdata

# Rest wavelengths in vacuum, Å; in air they are 4.3 Å (80 km/s) smaller.
STELLAR_LINES = {"Mg I": 15753.291, "Al I 1": 16723.524, "Al I 2": 16755.140, "Si I": 16685.327}
# Night-sky OH lines in vacuum, Å, at rest with the telescope.
SKY_LINES = (15332.402, 15432.156, 15972.596, 16030.831, 16235.376, 16692.380)


@pytest.fixture(scope="module")
def star(real_data):
    return real_data / "apogee_fits" / "apStar-r5-2M00004994+1621552.fits"


@pytest.fixture(scope="module")
def visit_files(real_data):
    return sorted((real_data / "apogee_fits").glob("apVisit-*.fits"))


def velocity(wavelength, flux, line, half_width):
    here = np.abs(wavelength - line) < half_width
    depth = np.clip(
        0.7 * (flux[here].max() - flux[here]).max() - flux[here] + flux[here].min(), 0, None
    )
    return (np.sum(wavelength[here] * depth) / np.sum(depth) / line - 1) * C_KMS


def test_combined(star):
    spectra = apogee.read_spectra(star)
    row = spectra.table.iloc[0]
    assert spectra.flux.shape == (1, 8575)
    assert row["id"] == "4548.2M00004994+1621552"
    assert row["star_id"] == "2M00004994+1621552"
    assert (row["ra"], row["dec"]) == (0.208093, 16.365355)
    assert (row["n_visits"], row["flags"]) == (3, 0)
    assert row["rv"] == pytest.approx(0.0148631)
    assert row["rv_err"] == pytest.approx(0.00292316)
    assert row["snr"] == pytest.approx(736.781)
    assert np.median(spectra.flux[spectra.ivar > 0]) == pytest.approx(4563, abs=100)
    assert (spectra.ivar > 0).mean() == pytest.approx(0.90, abs=0.01)


def test_lines_of_the_combined_spectrum_are_at_rest_in_vacuum(star):
    spectra = apogee.read_spectra(star)
    for name, line in STELLAR_LINES.items():
        found = velocity(spectra.wavelength, spectra.flux[0], line, 1.2)
        assert abs(found) < 1.0, name  # km/s; a pixel is 4.1 km/s


def test_visits_are_those_that_were_combined(star):
    combined, visits = apogee.read_spectra(star), apogee.read_spectra(star, visits=True)
    assert visits.ids.tolist() == [
        f"2M00004994+1621552-6560-{mjd}-200" for mjd in (56584, 56588, 56613)
    ]
    np.testing.assert_allclose(visits.table["rv"], [0.0305967, -0.0260468, 0.0621243])
    np.testing.assert_allclose(visits.table["barycentric_velocity"], [-9.8981, -11.7492, -21.9833])
    np.testing.assert_allclose(visits.table["snr"], [341.827, 349.199, 188.474])
    good = np.all(visits.ivar > 0, axis=0) & (combined.ivar[0] > 0)
    weighted = np.sum(visits.flux * visits.ivar, 0)[good] / np.sum(visits.ivar, 0)[good]
    assert np.median(np.abs(weighted / combined.flux[0, good] - 1)) < 0.005


def test_visit_times_agree_with_the_surveys(star):
    """The file has heliocentric dates in UTC: 67 s and at most 4 s from ours."""
    hjd = np.array([56584.7543369, 56588.7421637, 56613.7047854]) - 0.5
    ours = apogee.read_spectra(star, visits=True).table["time"]
    assert np.all(np.abs((ours - hjd) * 86400 - 67) < 5)


def test_agrees_with_specutils(star):
    specutils = pytest.importorskip("specutils")
    theirs = specutils.Spectrum.read(star, format="APOGEE apStar")
    ours = apogee.read_spectra(star)
    good = ours.ivar[0] > 0
    np.testing.assert_array_equal(ours.flux[0, good], theirs.flux.value[good])
    np.testing.assert_allclose(
        ours.ivar[0, good], theirs.uncertainty.array[good] ** -2.0, rtol=1e-6
    )
    np.testing.assert_allclose(ours.wavelength, theirs.spectral_axis.value, rtol=1e-12)


def test_visit_files(visit_files):
    spectra = apogee.read_spectra(visit_files)
    assert spectra.ids.tolist() == [
        "2M20034832+4536148-6994-56770-261",
        "2M20034832+4536148-6994-56794-177",
    ]
    np.testing.assert_allclose(spectra.table["rv"], [6.46447840362, -2.86724373896])
    np.testing.assert_allclose(spectra.table["barycentric_velocity"], [12.5604285, 13.3527861])
    np.testing.assert_allclose(spectra.table["snr"], [417.497, 380.046])
    assert spectra.table["flags"].tolist() == [0, 0]
    assert np.all((spectra.ivar > 0).mean(axis=1) > 0.89)


def test_visit_wavelengths_are_the_telescopes_in_vacuum(visit_files):
    """Night-sky lines stand at their vacuum wavelengths before the barycentric correction."""
    for path in visit_files:
        with open_product(path, expected="apVisit") as product:
            sky, wavelength = product.image(5), product.image(4)
        for line in SKY_LINES:
            chip = int(np.argmin([np.abs(row - line).min() for row in wavelength]))
            here = np.abs(wavelength[chip] - line) < 0.6
            flux = sky[chip][here]
            found = np.sum(wavelength[chip][here] * flux) / np.sum(flux)
            assert abs(found / line - 1) * C_KMS < 1.5, (path.name, line)


def _contrast(spectra, row):
    """Flux over its running mean, 0 where bad, chip by chip."""
    result = np.zeros(spectra.n_pixels)
    for pixels in spectra.arms:
        flux, good = spectra.flux[row, pixels], spectra.ivar[row, pixels] > 0
        number = np.arange(flux.size)
        whole = np.interp(number, number[good], flux[good])
        mean = np.convolve(np.pad(whole, 150, "edge"), np.ones(301) / 301, "valid")
        result[pixels] = np.where(good, whole / mean - 1, 0)
    return result


def test_the_two_stars_of_the_binary_move_about_one_centre(star, visit_files):
    """Two peaks of equal height; their mean is the systemic velocity, at both epochs.

    With the barycentric correction of the wrong sign the two means would be 26 km/s off.
    """
    spectra = apogee.read_spectra(visit_files, frame="barycentric")
    template = _contrast(apogee.read_spectra(star), 0)
    log_wavelength, velocities = np.log(spectra.wavelength), np.arange(-80, 81, 1.0)
    means = []
    for row in range(2):
        flux = _contrast(spectra, row)
        ccf = np.array(
            [
                flux @ np.interp(log_wavelength - v / C_KMS, log_wavelength, template)
                for v in velocities
            ]
        )
        inner = np.flatnonzero((ccf[1:-1] > ccf[:-2]) & (ccf[1:-1] > ccf[2:])) + 1
        peaks = inner[np.argsort(ccf[inner])[-2:]]
        assert np.ptp(velocities[peaks]) > 25
        means.append(velocities[peaks].mean())
    assert abs(means[0] - means[1]) < 2.0
    assert means == pytest.approx([-4.2, -4.2], abs=1.5)


def test_identify(star, visit_files, real_data):
    assert all(apogee.identify(path) for path in [star, *visit_files])
    others = [
        *sorted((real_data / "galah_dr3" / "spectra").glob("*.fits"))[:2],
        *sorted((real_data / "lamost_kic8098300").glob("*.gz"))[:2],
        real_data / "apogee_orbits" / "allVisit-sample.fits",
    ]
    assert not any(apogee.identify(path) for path in others)
