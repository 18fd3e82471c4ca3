"""Normalisation and masks on the real GALAH spectra."""

import numpy as np
import pytest
from astropy.io import fits

from siderea.constants import C_KMS
from siderea.data import Spectra
from siderea.spectra.continuum import GALAH, ContinuumRecipe, normalise
from siderea.spectra.masks import SKY_LINES, cosmic_rays, telluric

pytestmark = pytest.mark.realdata

O2_END = 7700.0


def grid_of(header, n):
    return header["CRVAL1"] + header["CDELT1"] * (np.arange(n) + 1 - header["CRPIX1"])


@pytest.fixture(scope="module")
def stars(real_data):
    """Per CCD: raw flux and ivar at rest, the survey's result, S/N, and what sky needs."""
    read = {ccd: [] for ccd in (1, 2, 3, 4)}
    for path in sorted((real_data / "galah_dr3" / "spectra").glob("*[1-4].fits")):
        with fits.open(path) as file:
            flux, relative = (file[i].data.astype(float) for i in (0, 1))
            survey = file[-1].data.astype(float)
            with np.errstate(divide="ignore", invalid="ignore"):
                ivar = 1.0 / (relative * flux) ** 2
            ivar[~np.isfinite(ivar) | (flux <= 0)] = 0.0
            read[int(path.stem[-1])].append(
                {
                    "rest": grid_of(file[-1].header, flux.size),
                    "grid": grid_of(file[0].header, flux.size),
                    "flux": np.nan_to_num(flux),
                    "ivar": ivar,
                    "survey": survey,
                    "snr": float(np.nanmedian(1 / relative)),
                    "before_telluric": file[2].data.astype(float),
                    "barycentric": file[0].header["BARYEFF"],
                }
            )
    return read


def spectra_of(star):
    return Spectra(star["rest"], star["flux"][None], star["ivar"][None], "air")


def rms_of(stars, ccd, recipe):
    """Return the rms of (survey − ours) of each star above S/N 40."""
    out = []
    for star in stars[ccd]:
        if star["snr"] <= 40:
            continue
        ours, _ = normalise(spectra_of(star), recipe)
        valid = (ours.ivar[0] > 0) & ((ccd < 4) | (star["rest"] > O2_END))
        out.append(np.sqrt(np.mean((star["survey"] - ours.flux[0])[valid] ** 2)))
    return np.array(out)


@pytest.mark.parametrize("ccd", [1, 2, 3, 4])
def test_windows_give_what_the_survey_gives(stars, ccd):
    recipe = ContinuumRecipe(
        method="windows",
        degree=GALAH.degree[ccd - 1],
        windows=GALAH.windows,
        medium="air",
    )
    rms = rms_of(stars, ccd, recipe)
    assert np.median(rms) < 0.02
    # Two stars of CCD4 have a survey continuum bent by an overcorrected O2 band.
    assert (rms < 0.03).mean() > 0.94


@pytest.mark.parametrize("ccd", [1, 2, 3, 4])
def test_the_clipped_fit_agrees_without_any_window(stars, ccd):
    recipe = ContinuumRecipe(degree=GALAH.degree[ccd - 1], avoid=GALAH.avoid, medium="air")
    rms = rms_of(stars, ccd, recipe)
    assert np.median(rms) < 0.03
    assert (rms < 0.05).mean() > 0.9


def test_every_arm_with_signal_is_normalised(stars):
    for star in (star for ccd in stars.values() for star in ccd):
        ours, (fit,) = normalise(spectra_of(star), ContinuumRecipe(degree=3))
        assert fit.ok.all()
        assert np.isfinite(ours.flux).all()
        assert np.isfinite(ours.ivar).all()


def test_telluric_lines_lie_redward_by_baryeff(stars):
    """The O2 A band before its correction, against the least shifted star."""
    log = np.arange(np.log(7592.0), np.log(7660.0), 2e-6)
    chosen = stars[4]
    bands = [
        np.clip(np.interp(np.exp(log), s["grid"], s["before_telluric"]), 0, None) for s in chosen
    ]
    bands = [np.clip(b / np.median(b), 0, 1.5) for b in bands]
    velocity = np.array([s["barycentric"] for s in chosen])
    template = bands[int(np.argmin(np.abs(velocity)))]
    template = (template - template.mean())[150:-150]
    lag = [np.argmax(np.correlate(b - b.mean(), template, "valid")) - 150 for b in bands]
    shift = np.array(lag) * 2e-6 * C_KMS
    slope, _ = np.polyfit(velocity, shift, 1)
    assert slope == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(velocity, shift)[0, 1] > 0.99


def test_the_telluric_mask_covers_the_band_as_observed(stars):
    star = max(stars[4], key=lambda s: abs(s["barycentric"]))
    raw = star["before_telluric"] / np.median(star["before_telluric"])
    mask = telluric(
        star["grid"], "air", frame="barycentric", barycentric_velocity=star["barycentric"]
    )
    head = 7594.0 * (1 + star["barycentric"] / C_KMS)
    deep = (raw < 0.5) & (star["grid"] > head - 3) & (star["grid"] < head + 60)
    assert deep.sum() > 50
    assert mask[deep].all()


@pytest.mark.parametrize(("ccd", "lines"), [(3, 4), (4, 4)])
def test_sky_lines_are_where_the_subtracted_sky_has_them(stars, ccd, lines):
    step = 0.02
    found = 0
    for line in SKY_LINES:
        near = line + np.arange(-1.0, 1.0, step)
        profiles = []
        for star in stars[ccd]:
            observed = star["grid"] / (1 + star["barycentric"] / C_KMS)
            if not observed[0] < line - 1 < line + 1 < observed[-1]:
                continue
            sky = np.interp(near, observed, star["before_telluric"] - star["flux"])
            profiles.append((sky - np.median(sky)) / (np.abs(sky - np.median(sky)).max() + 1e-9))
        if profiles:
            found += 1
            assert near[np.argmax(np.median(profiles, axis=0))] == pytest.approx(line, abs=0.1)
    assert found >= lines


def test_cosmic_rays_are_few_outside_the_telluric_band(stars):
    """The survey removed most: what is left must not be stellar lines."""
    for ccd, chosen in stars.items():
        for star in chosen:
            bad = cosmic_rays(star["flux"][None], star["ivar"][None], grow=0)[0]
            bad &= (ccd < 4) | (star["rest"] > O2_END + 10)
            assert bad.mean() < 0.003
