"""Masks: what is marked, what is not, and where."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siderea.constants import C_KMS
from siderea.data import Spectra
from siderea.errors import DataError, MediumError
from siderea.flags import SpectrumFlag
from siderea.spectra import masks


def test_telluric_bands_follow_the_frame():
    wavelength = np.arange(7500.0, 7800.0, 0.05)
    first = []
    for frame in ("observatory", "barycentric", "rest"):
        bad = masks.telluric(wavelength, "air", frame=frame, barycentric_velocity=25.0, rv=100.0)
        first.append(wavelength[bad][0])
    expected = 7593.0 * np.array([1.0, 1 + 25.0 / C_KMS, 1 - 75.0 / C_KMS])
    np.testing.assert_allclose(first, expected, atol=0.06)


def test_telluric_has_a_row_per_velocity():
    wavelength = np.arange(7500.0, 7800.0, 0.1)
    bad = masks.telluric(wavelength, "air", rv=[0.0, 200.0, np.nan])
    assert bad.shape == (3, wavelength.size)
    np.testing.assert_array_equal(bad[0], bad[2])
    assert wavelength[bad[1]][0] < wavelength[bad[0]][0] - 4.5


def test_vacuum_bands_lie_redward():
    wavelength = np.arange(7500.0, 7800.0, 0.01)
    air = wavelength[masks.telluric(wavelength, "air")][0]
    vacuum = wavelength[masks.telluric(wavelength, "vacuum")][0]
    assert vacuum - air == pytest.approx(2.09, abs=0.02)  # n − 1 = 2.75e-4 at 7600 Å


def test_halpha_is_not_telluric_unless_asked():
    wavelength = np.array([6562.8])
    assert not masks.telluric(wavelength, "air")[0]
    assert masks.telluric(wavelength, "air", bands=["H2O 6500"])[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"bands": ["O3"]}, DataError),
        ({"frame": "galactic"}, DataError),
        ({"medium": "water"}, MediumError),
    ],
)
def test_unknown_names_are_refused(options, error):
    options = {"medium": "air", **options}
    with pytest.raises(error, match="expected"):
        masks.telluric(np.array([7600.0]), options.pop("medium"), **options)


def test_sky_lines_have_the_width_asked_for():
    wavelength = np.arange(5570.0, 5585.0, 0.01)
    bad = masks.sky_residuals(wavelength, "air", half_width=20.0, frame="observatory")
    inside = wavelength[bad]
    assert inside.mean() == pytest.approx(5577.338, abs=0.01)
    assert np.ptp(inside) == pytest.approx(2 * 20.0 / C_KMS * 5577.338, abs=0.03)


@settings(max_examples=30, deadline=None)
@given(st.floats(-30, 30), st.floats(-500, 500))
def test_frames_agree(barycentric, rv):
    wavelength = np.linspace(7700.0, 7900.0, 4000)
    b, r = barycentric / C_KMS, rv / C_KMS
    factor = np.sqrt((1 + b) / (1 - b)) / np.sqrt((1 + r) / (1 - r))
    there = masks.sky_residuals(
        wavelength * factor, "air", barycentric_velocity=barycentric, rv=rv, half_width=15.0
    )
    here = masks.sky_residuals(wavelength, "air", frame="observatory", half_width=15.0)
    assert (there != here).sum() <= 2  # rounding at an edge


def test_excess_noise_finds_the_bad_columns():
    rng = np.random.default_rng(1)
    flux = 1 + 0.3 * rng.normal(size=(60, 1)) + rng.normal(0, 0.02, (60, 800))
    flux[:, 300:303] += rng.normal(0, 0.5, (60, 3))
    ivar = np.full(flux.shape, 2500.0)
    ivar[:, 500] = 0.0
    bad = masks.excess_noise(flux, ivar)
    assert np.flatnonzero(bad).tolist() == [300, 301, 302]


def spectra_with_a_jump():
    wavelength = np.r_[np.arange(0, 50), np.arange(90, 140), np.arange(200, 260)] * 1.0 + 5000
    flux = np.ones((2, wavelength.size))
    ivar = np.ones(flux.shape)
    ivar[1, :5] = 0.0
    ivar[:, 30] = 0.0
    return Spectra(wavelength, flux, ivar, "air", arms=(slice(0, 100), slice(100, 160)))


def test_gaps_trim_arms_jumps_and_coverage():
    bad = masks.gaps(spectra_with_a_jump(), trim=3)
    expected = {0, 1, 2, 30, 47, 48, 49, 50, 51, 52, 97, 98, 99, 100, 101, 102, 157, 158, 159}
    assert set(np.flatnonzero(bad[0])) == expected
    assert set(np.flatnonzero(bad[1])) == expected | {3, 4, 5, 6, 7}


def test_gaps_without_trim_are_the_pixels_without_data():
    spectra = spectra_with_a_jump()
    np.testing.assert_array_equal(masks.gaps(spectra), spectra.ivar == 0)


def test_apply_masks_and_flags():
    spectra = spectra_with_a_jump()
    bad = np.zeros(spectra.flux.shape, dtype=bool)
    bad[0, 10] = True
    result = masks.apply(spectra, bad, flag=SpectrumFlag.COSMIC_RAY)
    assert result.ivar[0, 10] == 0
    assert spectra.ivar[0, 10] == 1
    assert result.table["flags"].tolist() == [SpectrumFlag.COSMIC_RAY, 0]
    everything = masks.apply(result, np.ones(spectra.n_pixels, dtype=bool))
    assert (everything.table["flags"].to_numpy() & SpectrumFlag.NO_GOOD_PIXELS).all()
    assert everything.table["flags"][0] & SpectrumFlag.COSMIC_RAY


@pytest.mark.parametrize("bad", [np.zeros(3, dtype=bool), np.zeros(160)])
def test_apply_refuses_what_is_no_mask(bad):
    with pytest.raises(DataError, match="expected bool"):
        masks.apply(spectra_with_a_jump(), bad)


def test_cosmic_rays_leave_bad_pixels_alone():
    flux = np.ones((1, 50))
    ivar = np.full((1, 50), 1e4)
    flux[0, 20], ivar[0, 20] = np.nan, 0.0
    flux[0, 21] = 2.0
    found = masks.cosmic_rays(flux, ivar, grow=0)
    assert np.flatnonzero(found).tolist() == [21]
    assert not masks.cosmic_rays(flux, np.zeros((1, 50))).any()
