"""The emulator against the 16 Gaia benchmark stars that NARVAL observed.

``python benchmarks/narval.py DATA``: rms of data minus model in each GALAH band at R = 28,000,
with the labels of the reference and with fitted ones, and the fitted labels minus the reference.
All fits are `siderea.models.fitting.fit` with the emulator's molecules, `model_error.LTE` and
GALAH's microturbulence: what any user gets. ``--atoms`` leaves the molecules out. ``--direct`` (in
the environment with PySME) synthesises each star that the grid covers at the reference's labels,
broadens it as the emulator was, and gives its rms beside the emulator's (atomic lines in both).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table

from siderea.data import Spectra
from siderea.io.galah import GRID
from siderea.io.synthesis_inputs import read_atmospheres, read_line_list
from siderea.models.composite import Single
from siderea.models.emulator import load_default
from siderea.models.emulator_survey import SurveyEmulator
from siderea.models.fitting import fit
from siderea.models.model_error import LTE
from siderea.models.protocol import DifferentiableModel, FitResult
from siderea.models.renormalise import PseudoContinuum
from siderea.models.synthesis import Synthesiser
from siderea.models.tied import Tied
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

TOLERANCE = (150, 0.25, 0.15)
"""K, dex, dex: what counts as recovered."""

CONTINUUM = PseudoContinuum.everywhere(GRID.arms, 3)
"""A cubic per arm, of data and model alike: how NARVAL was normalised is not known."""

SNR = 200.0
"""The stored errors are not to be used; the model's own error is the larger one everywhere."""

RV_RANGE = (-20.0, 20.0)


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


def survey_model(*, molecules: bool = True) -> SurveyEmulator:
    return load_default(molecules=molecules).at(
        GRID.wavelength,
        resolution=28_000,
        medium="air",
        arms=GRID.arms,
        extra_labels=("vbroad",),
    )


def held(model: DifferentiableModel, **labels: float) -> DifferentiableModel:
    """Return the model with some labels held at a value."""
    for name, value in labels.items():
        model = Tied(model, name, lambda others, v=value: 0 * next(iter(others.values())) + v)
    return model


def observed(flux: np.ndarray, covered: np.ndarray) -> Spectra:
    ivar = np.where(covered, SNR**2, 0.0)[None]
    return CONTINUUM.normalise(Spectra(GRID.wavelength, flux[None], ivar, "air", arms=GRID.arms))


def fitted(spectra: Spectra, model: DifferentiableModel) -> tuple[FitResult, Single]:
    single = Single(model, continuum=CONTINUUM, rv_range=RV_RANGE)
    return fit(spectra, single, model_error=LTE), single


def rms(spectra: Spectra, model: np.ndarray) -> np.ndarray:
    """rms of each arm, Balmer cores included, telluric oxygen not; one continuum for both."""
    weights = LTE.ivar(spectra.ivar[0], spectra.flux[0], model)
    ratio = CONTINUUM.fit(spectra.flux, weights) / CONTINUUM.fit(model[None], weights)
    difference, good = spectra.flux[0] / ratio[0] - model, weights > 0
    return np.array([np.sqrt((difference[arm][good[arm]] ** 2).mean()) for arm in GRID.arms])


def named(result: FitResult, *names: str) -> np.ndarray:
    return result.labels[0, [result.label_names.index(name) for name in names]]


@dataclass
class Comparison:
    """rms at the reference's labels and at the fitted ones; labels with log g free, and known.

    The last are those with the gravity held at the reference's, as GALAH DR3 takes it from the
    parallax: LTE iron ionisation alone is too weak a handle on it.
    """

    rms_there: np.ndarray
    rms_fitted: np.ndarray
    labels: np.ndarray
    known: np.ndarray
    rv: float


def compare(model: SurveyEmulator, data: Path, star: str, reference: np.ndarray) -> Comparison:
    spectra = observed(*read_star(data, star))
    model = Tied(model)
    inside = np.clip(reference, *model.label_range[:3].T)
    names = ("teff", "logg", "fe_h")
    there, single = fitted(spectra, held(model, **dict(zip(names, inside, strict=True))))
    best, free = fitted(spectra, model)
    known, _ = fitted(spectra, held(model, logg=inside[1]))
    return Comparison(
        rms(spectra, single.predict(there.labels, ivar=spectra.ivar)[0]),
        rms(spectra, free.predict(best.labels, ivar=spectra.ivar)[0]),
        named(best, *names),
        np.insert(named(known, "teff", "fe_h"), 1, inside[1]),
        float(named(best, "rv")[0]),
    )


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


def compare_direct(data: Path) -> None:
    """Print the rms of emulator and direct synthesis at the same labels."""
    print("star      rms emulator (b g r ir)  rms PySME                emulator - PySME")
    model = survey_model(molecules=False)
    tied = Tied(model)
    low, high = model.label_range[:3].T
    for star, reference in references(data).items():
        if np.any((reference < low) | (reference > high)):
            continue
        spectra = observed(*read_star(data, star))
        names = ("teff", "logg", "fe_h")
        fixed = held(tied, **dict(zip(names, reference, strict=True)))
        there, single = fitted(spectra, fixed)
        alpha_fe, vbroad, rv = named(there, "alpha_fe", "vbroad", "rv")
        labels = tied.whole(torch.tensor([[*reference, alpha_fe, vbroad]]))[0].numpy()
        direct = direct_spectrum(model, data, np.r_[labels, rv])
        spectrum = CONTINUUM.normalise(
            Spectra(GRID.wavelength, direct[None], spectra.ivar, "air", arms=GRID.arms)
        ).flux[0]
        emulated = single.predict(there.labels, ivar=spectra.ivar)[0]
        both = Spectra(GRID.wavelength, emulated[None], spectra.ivar, "air", arms=GRID.arms)
        rows = rms(spectra, emulated), rms(spectra, spectrum), rms(both, spectrum)
        print(
            f"{star:9s} " + "   ".join(" ".join(f"{v:.4f}" for v in row) for row in rows),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--atoms", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = arguments.data
    if arguments.direct:
        compare_direct(data)
        return
    model = survey_model(molecules=not arguments.atoms)
    print("star      reference        rms there (b g r ir)     rms fitted             fit - ref")
    for star, reference in references(data).items():
        found = compare(model, data, star, reference)
        note = "" if reference[0] >= 4450 else "  cooler than the grid"
        print(
            f"{star:9s} {reference[0]:.0f} {reference[1]:5.2f} {reference[2]:5.2f}  "
            f"{' '.join(f'{v:.3f}' for v in found.rms_there)}  "
            f"{' '.join(f'{v:.3f}' for v in found.rms_fitted)}  "
            f"{verdict(found.labels, reference)}; gravity known "
            f"{verdict(found.known, reference)}{note}",
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
