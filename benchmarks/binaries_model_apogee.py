"""One star or two with El-Badry's APOGEE networks: a control set, thresholds, real visits.

    python benchmarks/binaries_model_apogee.py calibrate FOLDER [--stars 1536]
    python benchmarks/binaries_model_apogee.py table FOLDER
    python benchmarks/binaries_model_apogee.py real FOLDER

``calibrate`` makes and fits the control set and writes model_binspec.json, which is shipped;
``table`` says what thresholds do on its half that was held out, and on fits of the emulator to
GALAH spectra (1,024, made and fitted there). Fits are kept in FOLDER; a stopped run goes on where
it was. Data: SIDEREA_DATA, or ../shared/data beside the checkout.

Control stars: primaries of the published mock labels inside the networks' range, alone or with the
companion of the same row; |Δv| even in its logarithm from 1 to 150 km/s; S/N from 50 to 300, even
in the logarithm, and σ of .5 % of the flux at least, as the published fits have it. Their lines are
off by what `NATURE` says.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from siderea.binaries.injection import InjectionSettings, light_ratio, mistaken
from siderea.binaries.model_calibration import (
    ModelCalibration,
    calibrate,
    default_calibration,
)
from siderea.binaries.model_evidence import el_badry_accepts
from siderea.binaries.model_fingerprint import fingerprint
from siderea.binaries.model_selection import ModelDetector
from siderea.data import Spectra
from siderea.io import apogee
from siderea.models import binspec
from siderea.models.composite import Binary, Single
from siderea.models.model_error import ModelError

DATA = Path(os.environ.get("SIDEREA_DATA", Path(__file__).parents[2] / "shared" / "data"))
NETWORKS = DATA / "apogee_binspec"
SHIPPED = Path(__file__).parents[1] / "src" / "siderea" / "binaries" / "data"

SEED, HALVES, PRIOR = 301, 1, 0.1
BINARIES = 0.3
PART = 192
"""Spectra of one file of fits: half a minute."""

CAP = 200.0
"""S/N beyond which the published fits believe no pixel."""

NATURE = ModelError(depth=0.02, floor=0.003)
"""What lines are off by. Two stars leave a reduced χ² of .8 to 1.0 in the three real visits (S/N
100, 1.06 jointly), so what the networks get wrong there adds a tenth to the noise at most: this."""

REFERENCE = ((0.9246, -116.49), (0.9246, 57.91), (0.9246, 35.68))
"""q and v₂ − v₁ of each visit, km/s: El-Badry's model fitted to the three at once."""


def labels(n: int, seed: int) -> pd.DataFrame:
    """Return the truth of a control set: parameters of `Binary`, with n_stars and S/N."""
    model = binspec.load(NETWORKS)
    with np.load(NETWORKS / "labels_for_20000_mock_dwarf_dwarf_binaries.npz") as archive:
        mocks = archive["mock_labels"]  # teff, logg, fe_h, alpha, m1, age, m2, teff2, logg2
    low, high = model.label_range[:4].T
    inside = ((mocks[:, :4] >= low) & (mocks[:, :4] <= high)).all(axis=1)
    inside &= (mocks[:, 7] >= low[0]) & (mocks[:, 8] <= 5.0)
    rng = np.random.default_rng(seed)
    rows = mocks[rng.choice(np.flatnonzero(inside), n, replace=False)]
    truth = pd.DataFrame(rows[:, :4], columns=["teff", "logg", "fe_h", "alpha_fe"])
    truth["q"] = rows[:, 6] / rows[:, 4]
    for star in ("1", "2"):
        slow = rng.uniform(1.0, 15.0, n)
        truth[f"vmac_{star}"] = np.where(rng.random(n) < 0.2, rng.uniform(15.0, 40.0, n), slow)
    dv = np.exp(rng.uniform(0.0, np.log(150.0), n)) * rng.choice([-1, 1], n)
    truth["rv_1"] = rng.normal(0.0, 5.0, n) - dv * truth["q"] / (1 + truth["q"])
    truth["rv_2"] = truth["rv_1"] + dv
    truth["n_stars"] = np.where(rng.random(n) < BINARIES, 2, 1)
    truth["snr"] = np.exp(rng.uniform(np.log(50.0), np.log(300.0), n))
    return truth


def spectra_of(truth: pd.DataFrame, model: binspec.BinspecModel, seed: int) -> Spectra:
    """Return noisy spectra of a truth table, with lines that are off."""
    binary, single = Binary(model), Single(model)
    two = truth["n_stars"].to_numpy() > 1
    flux = np.empty((len(truth), model.wavelength.size))
    flux[two] = binary.predict(truth.loc[two, list(binary.label_names)])
    alone = truth.rename(columns={"vmac_1": "vmac", "rv_1": "rv"})
    flux[~two] = single.predict(alone.loc[~two, list(single.label_names)])
    clean = Spectra(
        model.wavelength,
        flux,
        np.ones_like(flux),
        "vacuum",
        arms=model.arms,
        resolution=model.resolution,
    )
    flux = mistaken(clean, truth["teff"].to_numpy(), NATURE, seed=11).flux
    snr = truth["snr"].to_numpy()[:, None]
    noisy = flux + np.random.default_rng([seed, int(truth.index[0])]).normal(size=flux.shape) / snr
    sigma = np.maximum(1 / snr, np.abs(noisy) / CAP)
    return clean.with_flux(noisy, sigma**-2)


def fits(folder: Path, stars: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table of the model channel for the control set, and its truth."""
    truth, parts = labels(stars, SEED), []
    model, detector = None, None
    for start in range(0, stars, PART):
        path = folder / f"control_{stars}_{start:06d}.parquet"
        if not path.is_file():
            model = model or binspec.load(NETWORKS)
            spectra = spectra_of(truth.iloc[start : start + PART], model, SEED)
            detector = detector or ModelDetector(spectra, model)
            began = time.process_time()
            found = detector(spectra)
            print(f"{start}: {(time.process_time() - began) / len(found):.3f} s each", flush=True)
            found.to_parquet(path, index=False)
        parts.append(pd.read_parquet(path))
    return pd.concat(parts, ignore_index=True), truth


def learn(folder: Path, stars: int) -> None:
    table, truth = fits(folder, stars)
    model = binspec.load(NETWORKS)
    holds_for = fingerprint(model, spectra_of(truth[:1], model, SEED), None)
    binary = truth["n_stars"].to_numpy() > 1
    found = calibrate(table, binary, holds_for=holds_for, prior=PRIOR, rng=HALVES)
    (SHIPPED / "model_binspec.json").write_text(found.to_json() + "\n", encoding="utf-8")
    print({name: round(value, 4) for name, value in found.metrics.items()})


def compare(folder: Path, stars: int) -> None:
    """Print what thresholds do: on APOGEE's held-out half, then on GALAH spectra."""
    table, truth = fits(folder, stars)
    half = np.ones(stars, dtype=bool)
    half[np.random.default_rng(HALVES).permutation(stars)[: stars // 2]] = False
    table, truth = (t[half].reset_index(drop=True) for t in (table, truth))
    path = SHIPPED / "model_binspec.json"
    own, other = ModelCalibration.from_json(path.read_text("utf-8")), default_calibration()
    binary = truth["n_stars"].to_numpy() > 1
    dv = np.abs(truth["rv_2"] - truth["rv_1"]).to_numpy()
    q, snr = truth["q"].to_numpy(), truth["snr"].to_numpy()
    groups = {
        "single stars": ~binary,
        "single, S/N >= 150": ~binary & (snr >= 150),
        "single, v_macro >= 15": ~binary & (truth["vmac_1"].to_numpy() >= 15),
        "all binaries": binary,
        "dv >= 10": binary & (dv >= 10),
        "dv < 10": binary & (dv < 10),
        "dv < 10, .5 < q < .85": binary & (dv < 10) & (q > 0.5) & (q < 0.85),
        "dv < 10, q >= .85": binary & (dv < 10) & (q >= 0.85),
    }
    print("APOGEE, the half that was held out")
    shown(table, groups, {"own calibration": own, "emulator's calibration": other}, binary)
    rows = binary & own.decide(table)
    print("found pairs: q off by", spread(table["q"] - truth["q"], rows & (q < 0.93)))
    print("|dv| off by (km/s)", spread(table["dv"].abs() - dv, rows & (dv > 10)))
    galah, known = emulator_fits(folder)
    binary = known["n_stars"].to_numpy() > 1
    bright = binary & (light_ratio(known) >= 0.03)
    groups = {"single stars": ~binary, "all binaries": binary, "light ratio >= .03": bright}
    print("\nGALAH spectra, the emulator's fits")
    shown(galah, groups, {"own calibration": other, "APOGEE's calibration": own}, binary)


def shown(table: pd.DataFrame, groups: dict, calibrations: dict, binary: np.ndarray) -> None:
    calls = {name: c.decide(table) for name, c in calibrations.items()}
    for word, score in (
        ("log odds", next(iter(calibrations.values())).log_odds(table)),
        ("delta chi2", table["delta_chi2"].to_numpy()),
    ):
        limit = np.nanquantile(score[~binary], 0.99, method="higher")
        calls[f"1 % of singles by {word}"] = score > limit
        print(f"1 % of single stars have a {word} above {limit:.2f}")
    calls["fixed table"] = el_badry_accepts(table["delta_chi2"], table["f_imp"])
    frame = pd.DataFrame(
        {
            "spectra": {name: int(rows.sum()) for name, rows in groups.items()},
            **{
                word: {name: f"{100 * call[rows].mean():.1f}" for name, rows in groups.items()}
                for word, call in calls.items()
            },
        }
    )
    print(frame.to_string())


def spread(difference: pd.Series, rows: np.ndarray) -> str:
    values = difference[rows].to_numpy()
    low, middle, high = np.percentile(values, [16, 50, 84])
    return f"{middle:.3f} (-{middle - low:.3f} +{high - middle:.3f}), {values.size} pairs"


def emulator_fits(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the model channel on 1,024 simulated GALAH spectra, and their truth."""
    from siderea.pipelines.detect import ModelRecipe, detect
    from siderea.pipelines.limits import InjectionRecipe, inject

    settings = InjectionSettings(binary_fraction=BINARIES)
    store = inject(folder / "galah.siderea", InjectionRecipe(1024, 103, settings), jobs=1)
    if "detections_model" not in store.products:
        detect(store.path, ModelRecipe())
    return store.product("detections_model"), store.product("truth")


def visits(model: binspec.BinspecModel) -> Spectra:
    """Return the visits of 2M06133561+2433362 as they were published, S/N capped."""
    with np.load(NETWORKS / "visit_spectra_ap_id_2M06133561+2433362_.npz") as archive:
        flux, sigma = archive["spectra"].astype(float), archive["spec_errs"].astype(float)
    sigma = np.maximum(sigma, np.abs(flux) / CAP)
    options = {"arms": model.arms, "resolution": model.resolution}
    return Spectra(model.wavelength, flux, sigma**-2, "vacuum", **options)


def real(folder: Path) -> None:
    model = binspec.load(NETWORKS)
    spectra = visits(model)
    detector = ModelDetector(spectra, model, n_stars=3)
    columns = ["chi2_single", "chi2_binary", "n_pixels", "f_imp", "q", "q_err", "dv", "dv_err"]
    columns += [
        "flux_ratio",
        "delta_bic_triple",
        "binary_rv_1",
        "binary_rv_2",
        "probability",
        "is_binary",
    ]
    found = detector(spectra)
    found["reference q"], found["reference dv"] = zip(*REFERENCE, strict=True)
    print("2M06133561+2433362, visit by visit")
    print(found[[*columns, "flags", "reference q", "reference dv"]].round(3).T.to_string())
    found.to_parquet(folder / "visits.parquet", index=False)
    print("\napogee_fits")
    for path in sorted((DATA / "apogee_fits").glob("*.fits")):
        star = capped(apogee.read_spectra([path]))
        found = detector(star)
        kept = ["single_teff", "single_logg", "single_fe_h", *columns[:5], "binary_rv_1"]
        kept += ["binary_rv_2", "flux_ratio", "probability", "flags"]
        print(path.name, found[kept].round(3).iloc[0].to_dict())


def capped(spectra: Spectra) -> Spectra:
    """Return spectra normalised, with σ of .5 % at least."""
    from siderea.spectra.continuum import normalise

    flat, _ = normalise(spectra)
    sigma2 = np.maximum(1 / np.where(flat.ivar > 0, flat.ivar, 1.0), (flat.flux / CAP) ** 2)
    return flat.with_flux(flat.flux, np.where(flat.ivar > 0, 1 / sigma2, 0.0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["calibrate", "table", "real"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stars", type=int, default=1536)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.what == "real":
        real(options.folder)
    else:
        (learn if options.what == "calibrate" else compare)(options.folder, options.stars)
