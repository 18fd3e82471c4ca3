"""The emulator against the 16 Gaia benchmark stars that NARVAL observed.

``python benchmarks/narval.py DATA``: rms of data minus model in each GALAH band at R = 28,000,
with the labels of the reference and with fitted ones, and the fitted labels minus the reference.
``--direct`` (in the environment with PySME) synthesises each star that the grid covers at the
reference's labels, broadens it as the emulator was, and gives its rms beside the emulator's.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table
from numpy.polynomial.chebyshev import chebvander
from scipy.optimize import least_squares

from siderea.data import Spectra
from siderea.io.galah import GRID
from siderea.io.synthesis_inputs import read_atmospheres, read_line_list
from siderea.models.emulator import load_default
from siderea.models.emulator_survey import SurveyEmulator
from siderea.models.synthesis import Synthesiser
from siderea.spectra.broadening import rotational, to_resolution
from siderea.spectra.doppler import doppler_factor
from siderea.spectra.resample import interpolate

HD = {
    "61CygA": "HD201091",
    "61CygB": "HD201092",
    "Arcturus": "HD124897",
    "Gmb1830": "HD103095",
    "HD107328": "HD107328",
    "HD122563": "HD122563",
    "HD140283": "HD140283",
    "HD220009": "HD220009",
    "HD84937": "HD84937",
    "alfCet": "HD18884",
    "alfTau": "HD29139",
    "betVir": "HD102870",
    "etaBoo": "HD121370",
    "gamSge": "HD189319",
    "muLeo": "HD85503",
    "tauCet": "HD10700",
}
"""File name of each star to its HD number (HD107328 and HD84937 are not among the references)."""

NARVAL_RESOLUTION = 70_000.0
"""Nominal; what it is exactly is absorbed by the broadening."""

OXYGEN = ((7590.0, 7700.0),)
"""The telluric A band."""

BALMER_CORES = ((4860.3, 4862.3), (6561.3, 6564.3))
"""Formed in the chromosphere, out of LTE: no LTE model has them."""

TOLERANCE = (150, 0.25, 0.15)
"""K, dex, dex: what counts as recovered."""

CONTINUUM_DEGREE = 3
GF_ERROR, FLOOR = 0.10, 0.005
"""The spectra are nearly noiseless: the model's own error counts, a share of the line's depth (the
scatter of oscillator strengths) and a floor (lines that no list has)."""


def microturbulence(teff: torch.Tensor, logg: torch.Tensor) -> torch.Tensor:
    """GALAH's relation, km/s; it reproduces v_mic of all 3,400 stars of galah_map_6064 at 2e-7."""
    cool = 1.1 + 1.6e-4 * (teff - 5500)
    warm = 1.1 + 1e-4 * (teff - 5500) + 4e-7 * (teff - 5500) ** 2
    return torch.where((teff <= 5500) & (logg >= 4.2), cool, warm).clamp(0.5, 2.6)


def read_star(data: Path, star: str) -> tuple[np.ndarray, np.ndarray]:
    """Return normalised flux (P,) at R = 28,000 on the GALAH grid, and which pixels are covered."""
    flux, covered = np.ones(GRID.wavelength.size), np.zeros(GRID.wavelength.size, bool)
    with np.load(data / "narval_benchmarks" / "narval_benchmarks.npz", allow_pickle=False) as file:
        for name, pixels in zip(GRID.arm_names, GRID.arms, strict=True):
            values = file[f"{star}_{name}_flux"].astype(float)
            start, step = file[f"{star}_{name}_w0dw"]
            wavelength = start + step * np.arange(values.size)
            star_arm = Spectra(wavelength, values[None], np.ones((1, values.size)), "air")
            low = to_resolution(star_arm, 28_000, from_resolution=NARVAL_RESOLUTION)
            grid = GRID.wavelength[pixels]
            flux[pixels] = interpolate(wavelength, low.flux, low.ivar, grid)[0][0]
            covered[pixels] = (grid > wavelength[0] + 1) & (grid < wavelength[-1] - 1)
    for low_end, high_end in OXYGEN:
        covered &= ~((GRID.wavelength > low_end) & (GRID.wavelength < high_end))
    return flux, covered


def references(data: Path) -> dict[str, np.ndarray]:
    """Return teff, logg, fe_h of the stars that the reference table holds."""
    table = Table.read(data / "narval_benchmarks" / "gaia_benchmark_stars_v3.ecsv")
    rows = {str(row["hd"]): row for row in table}
    return {
        star: np.array([float(rows[hd][name]) for name in ("teff", "logg", "fe_h")])
        for star, hd in HD.items()
        if hd in rows
    }


def survey_model() -> SurveyEmulator:
    return load_default().at(
        GRID.wavelength,
        resolution=28_000,
        medium="air",
        arms=GRID.arms,
        extra_labels=("vbroad", "rv"),
    )


class StarFit:
    """Least squares for one star: teff, logg, fe_h, alpha_fe, vbroad, rv; some may be held."""

    scale = np.array([100, 0.2, 0.1, 0.1, 2.0, 1.0])

    def __init__(self, model: SurveyEmulator, flux: np.ndarray, covered: np.ndarray) -> None:
        self.model, self.flux, self.covered = model, flux, covered
        self.fitted = covered.copy()
        for low, high in BALMER_CORES:
            self.fitted &= ~((GRID.wavelength > low) & (GRID.wavelength < high))
        self.design = chebvander(np.linspace(-1, 1, 4096), CONTINUUM_DEGREE)

    def labels(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[:4], microturbulence(x[0], x[1])[None], x[4:]])

    def spectrum(self, x: np.ndarray) -> np.ndarray:
        return self.model.normalised(self.labels(torch.tensor(x))[None])[0].numpy()

    def continuum(self, spectrum: np.ndarray) -> np.ndarray:
        """Polynomial of each arm that brings the model to the data, without what is 3 σ off."""
        level = np.ones_like(self.flux)
        for arm in GRID.arms:
            terms = self.design * spectrum[arm, None]
            used = self.fitted[arm]
            for _ in range(3):
                best = np.linalg.lstsq(terms[used], self.flux[arm][used], rcond=None)[0]
                off = np.abs(self.flux[arm] - terms @ best)
                used = self.fitted[arm] & (off < 3 * 1.48 * np.median(off[self.fitted[arm]]))
            level[arm] = self.design @ best
        return level

    def residual(self, x: np.ndarray) -> np.ndarray:
        spectrum = self.spectrum(x)
        return self.flux / self.continuum(spectrum) - spectrum

    def error(self, x: np.ndarray) -> np.ndarray:
        return np.hypot(FLOOR, GF_ERROR * (1 - self.spectrum(x)))

    def run(self, start: np.ndarray, free: np.ndarray) -> np.ndarray:
        low, high = np.delete(self.model.label_range, 4, axis=0).T
        start = np.clip(start, low + 1e-6 * (high - low), high - 1e-6 * (high - low))

        def whole(p: np.ndarray) -> np.ndarray:
            x = start.copy()
            x[free] = p * self.scale[free]
            return x

        def jacobian(p: np.ndarray) -> np.ndarray:
            x = torch.tensor(whole(p))
            slope = torch.func.jacfwd(lambda v: self.model.normalised(self.labels(v)[None])[0])(x)
            slope = slope.numpy()[:, free] * self.scale[free]
            return -(slope / self.error(whole(p))[:, None])[self.fitted]

        best = least_squares(
            lambda p: (self.residual(whole(p)) / self.error(whole(p)))[self.fitted],
            start[free] / self.scale[free],
            jac=jacobian,
            bounds=(low[free] / self.scale[free], high[free] / self.scale[free]),
            loss="soft_l1",
            max_nfev=40,
        )
        return whole(best.x)

    def rms(self, x: np.ndarray) -> np.ndarray:
        """rms of each arm, Balmer cores included, telluric oxygen not."""
        residual = self.residual(x)
        return np.array([np.sqrt((residual[a][self.covered[a]] ** 2).mean()) for a in GRID.arms])


START = np.array([5500, 3.5, -0.5, 0.1, 6.0, 0.0])
"""The same for every star: nothing of the reference goes into the fit."""


def compare(model: SurveyEmulator, data: Path, star: str, reference: np.ndarray) -> tuple:
    """Return rms at the reference's labels, rms at the fitted ones, and the fitted labels.

    The last are those with the gravity held at the reference's, as GALAH DR3 takes it from the
    parallax: LTE iron ionisation alone is too weak a handle on it.
    """
    fit = StarFit(model, *read_star(data, star))
    best = fit.run(START, np.arange(6))
    held = fit.run(np.r_[reference, 0.1, 6.0, best[5]], np.arange(3, 6))
    start = START.copy()
    start[1] = reference[1]
    known = fit.run(start, np.array([0, 2, 3, 4, 5]))
    return fit.rms(held), fit.rms(best), best, known


def direct_spectrum(model: SurveyEmulator, data: Path, labels: np.ndarray) -> np.ndarray:
    """Synthesise labels (teff, logg, fe_h, alpha_fe, vmic, vbroad, rv) as the survey sees them."""
    inputs = data / "synthesis_inputs"
    synthesiser = Synthesiser(
        read_atmospheres(inputs / "si_odf_atmospheres.npz"),
        read_line_list(inputs / "galah_dr3_linelist.h5"),
    )
    native, pieces = model.emulator, []
    spectra = zip(synthesiser(labels[:5]), native.arms, GRID.arms, strict=True)
    for band, arm, pixels in spectra:
        wavelength = native.wavelength[arm]
        seen = Spectra(wavelength, band.flux[None], np.ones((1, band.flux.size)), "air")
        seen = to_resolution(seen, 28_000, from_resolution=1e9)
        shifted = wavelength * doppler_factor(labels[6])
        flux = interpolate(shifted, seen.flux, seen.ivar, GRID.wavelength[pixels])[0]
        pieces.append(rotational(flux, 2.85, labels[5])[0])
    return np.concatenate(pieces)


def compare_direct(model: SurveyEmulator, data: Path) -> None:
    """Print the rms of emulator and direct synthesis at the same labels."""
    print("star      rms emulator (b g r ir)  rms PySME                emulator - PySME")
    low, high = model.label_range[:3].T
    for star, reference in references(data).items():
        if np.any((reference < low) | (reference > high)):
            continue
        fit = StarFit(model, *read_star(data, star))
        best = fit.run(np.r_[reference, 0.1, 6.0, 0.3], np.arange(3, 6))
        emulated = fit.spectrum(best)
        direct = direct_spectrum(model, data, fit.labels(torch.tensor(best)).numpy())
        rows = [fit.rms(best)]
        fit.spectrum = lambda _, spectrum=direct: spectrum
        rows.append(fit.rms(best))
        both = emulated - direct
        rows.append(np.array([np.sqrt((both[a][fit.covered[a]] ** 2).mean()) for a in GRID.arms]))
        print(
            f"{star:9s} " + "   ".join(" ".join(f"{v:.4f}" for v in row) for row in rows),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--direct", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data, model = arguments.data, survey_model()
    if arguments.direct:
        compare_direct(model, data)
        return
    print("star      reference        rms there (b g r ir)     rms fitted             fit - ref")
    for star, reference in references(data).items():
        there, fitted, best, known = compare(model, data, star, reference)
        note = "" if reference[0] >= 4450 else "  cooler than the grid"
        print(
            f"{star:9s} {reference[0]:.0f} {reference[1]:5.2f} {reference[2]:5.2f}  "
            f"{' '.join(f'{v:.3f}' for v in there)}  {' '.join(f'{v:.3f}' for v in fitted)}  "
            f"{verdict(best, reference)}; gravity known {verdict(known, reference)}{note}",
            flush=True,
        )


def verdict(found: np.ndarray, reference: np.ndarray) -> str:
    """Spell out teff, logg, fe_h minus the reference, and whether all three are near it."""
    difference = found[:3] - reference
    good = np.all(np.abs(difference) <= TOLERANCE)
    text = f"{difference[0]:+5.0f} {difference[1]:+.2f} {difference[2]:+.2f}"
    return f"{text} {'recovered' if good else 'off'}"


if __name__ == "__main__":
    main()
