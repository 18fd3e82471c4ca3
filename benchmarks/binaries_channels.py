"""All channels on the same simulated GALAH spectra: what each finds, what all find together.

    python benchmarks/binaries_channels.py calibrate FOLDER   # seeds 101, 102
    python benchmarks/binaries_channels.py table FOLDER [--stars 20480]      # seed 2026: the table
    python benchmarks/binaries_channels.py real FOLDER DATA   # 61 real GALAH stars
    python benchmarks/binaries_channels.py cost

``calibrate`` writes the files that are shipped in src/siderea/binaries/data. Stores are kept in
FOLDER (131 kB per spectrum); a stopped run goes on where it was. Spectra and model are of the same
emulator, at labels that the fit does not know: what the model gets wrong of nature is not in
``table``. Control stars of the calibration for real spectra have lines that are off (`NATURE`).
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from siderea.binaries.combination import Combination, combine, score
from siderea.binaries.compare import at_false_positives, summary
from siderea.binaries.injection import InjectionSettings, light_ratio
from siderea.binaries.model_calibration import (
    ModelCalibration,
    calibrate,
    default_calibration,
    el_badry_accepts,
    fingerprint,
)
from siderea.binaries.model_selection import detect_model
from siderea.binaries.photometric_excess import photometric_excess
from siderea.io.store import SurveyStore
from siderea.models.emulator import load_default
from siderea.models.model_error import LTE, ModelError
from siderea.pipelines.compare import detections
from siderea.pipelines.detect import ModelRecipe, detect
from siderea.pipelines.limits import InjectionRecipe, decisions, groups, inject, search
from siderea.simulate.spectra import simulate_spectra
from siderea.spectra.instruments import GALAH_GRID

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "src" / "siderea" / "binaries" / "data"
CONTROL = InjectionSettings(binary_fraction=0.3)
PRIOR = 0.1
ERRORS = 11
"""Seed of the pattern of wrong lines."""

NATURE = ModelError(depth=0.2, floor=0.01)
"""What lines of control stars are off by: twice what `LTE` weighs, since the residuals of NARVAL
stars (rms .015 to .05, see RESULTS.md) are about twice what `LTE` makes of their lines."""


def progress(word):
    def update(done, total):
        if done == total:
            print(f"  {word}: {done} of {total}", flush=True)

    return update


def control(folder: Path, stars: int, jobs: int) -> None:
    """Make, search and learn from the control sets; write what is shipped."""
    store = inject(folder / "mcal.siderea", InjectionRecipe(stars, 101, CONTROL), jobs=jobs)
    search(store, jobs=jobs, report=progress)
    tables, truth = detections(store), store.product("truth")
    binary = truth["n_stars"].to_numpy() > 1
    plain = learned(tables["model"], binary, None)
    ship(SHIPPED / "model_galah.json", plain)
    tables["model"]["probability"] = plain.probability(tables["model"])
    tables["model"]["is_binary"] = plain.decide(tables["model"])
    ship(SHIPPED / "combination_galah.json", combined(tables, binary))


def learned(table, binary, error) -> ModelCalibration:
    holds_for = fingerprint(load_default(), GALAH_GRID.empty(), error)
    return calibrate(table, binary, holds_for=holds_for, prior=PRIOR, rng=1)


def combined(tables, binary) -> Combination:
    """Learn from all stars; say what the weights of one half do on the other."""
    tables = {name: tables[name] for name in ("ccf", "map", "model")}
    half = np.random.default_rng(2).random(binary.size) < 0.5
    first = {n: t[half].reset_index(drop=True) for n, t in tables.items()}
    second = {n: t[~half].reset_index(drop=True) for n, t in tables.items()}
    told = combine(first, binary[half], prior=PRIOR)(second)["is_binary"].to_numpy()
    metrics = {
        "held_out_false_positives": float(told[~binary[~half]].mean()),
        "held_out_completeness": float(told[binary[~half]].mean()),
        "n_single": int((~binary).sum()),
        "n_binary": int(binary.sum()),
    }
    whole = combine(tables, binary, prior=PRIOR)
    return Combination(whole.weighings, whole.false_positives, whole.prior, metrics)


def ship(path: Path, what) -> None:
    path.write_text(what.to_json() + "\n", encoding="utf-8")
    print(path.name, {k: round(v, 4) for k, v in what.metrics.items()})


def with_calibration(store: SurveyStore, calibration: ModelCalibration) -> None:
    """Write probabilities by this calibration into the product: fits do not depend on it."""
    table = store.product("detections_model")
    table["probability"] = calibration.probability(table)
    table["is_binary"] = calibration.decide(table)
    info = store.product_info("detections_model")
    parameters = info["parameters"] | {"threshold": calibration.threshold}
    store.write_product("detections_model", table, method="model", parameters=parameters)


def table(folder: Path, stars: int, jobs: int) -> None:
    store = inject(folder / "mbench.siderea", InjectionRecipe(stars, 2026), jobs=jobs)
    search(store, jobs=jobs, report=progress)
    with_calibration(store, default_calibration())
    truth = store.product("truth")
    binary = truth["n_stars"].to_numpy() > 1
    shipped = Combination.from_json((SHIPPED / "combination_galah.json").read_text())
    fixed, equal = decisions(store, truth, shipped)
    model = store.product("detections_model")
    fixed["fixed table"] = el_badry_accepts(model["delta_chi2"], model["f_imp"])
    equal["delta chi2 alone"] = at_false_positives(model["delta_chi2"], binary)
    for word, sets in (("own thresholds", fixed), ("1 % of singles", equal)):
        print(f"\n{word}\n{percent(summary(sets, binary, groups(truth)))}")
    every = detections(store)
    together = shipped(every)
    bright = binary & (light_ratio(truth) >= 0.03)
    print("\nbinaries found (light ratio >= 0.03) against false positives")
    scores = {name: score(name, every[name]) for name in shipped.channels}
    scores["combined"] = together["probability"]
    excess = photometry(truth, every["model"])
    scores["photometric"] = score("photometric", excess)
    scores["all with photometry"] = shipped(every | {"photometric": excess})["probability"]
    for share in (0.001, 0.003, 0.01, 0.03, 0.081):
        line = [
            f"{name} {at_false_positives(s, binary, share)[bright].mean():.1%}"
            for name, s in scores.items()
        ]
        print(f"  {share:.1%}: " + ", ".join(line))
    for name, values in (("model", every["model"]), ("map", every["map"]), ("combined", together)):
        print(name, "probabilities:", reliability(values["probability"].to_numpy(), binary))


def photometry(truth: pd.DataFrame, model: pd.DataFrame) -> pd.DataFrame:
    """Return the photometric channel: Gaia magnitudes to .01 mag, parallaxes to .03 mas."""
    rng, n = np.random.default_rng(5), len(truth)
    frame = pd.DataFrame({"id": truth["id"]})
    for band in ("gaia_g", "gaia_bp", "gaia_rp"):
        frame[f"mag_{band}"] = truth[f"mag_{band}"] + rng.normal(0, 0.01, n)
        frame[f"mag_{band}_err"] = 0.01
    frame["parallax"] = 1 / truth["distance"] + rng.normal(0, 0.03, n)
    frame["parallax_err"], frame["ebv"] = 0.03, truth["ebv"]
    frame["fe_h"], frame["fe_h_err"] = model["single_fe_h"], 0.1
    frame["logg"] = model["single_logg"]
    found = photometric_excess(frame)
    return found.assign(is_binary=found["probability"].fillna(0) > 0.5)


def reliability(p, binary) -> str:
    edges = np.array([0, 0.02, 0.1, 0.3, 0.7, 0.9, 1.0 + 1e-9])
    out = []
    for low, high in pairwise(edges):
        rows = (p >= low) & (p < high)
        if rows.any():
            out.append(f"{p[rows].mean():.2f}->{binary[rows].mean():.2f} ({rows.sum()})")
    return "; ".join(out)


def percent(frame: pd.DataFrame) -> str:
    shown = frame.copy()
    for name in shown.columns[3:]:
        shown[name] = [f"{100 * v:.1f}" for v in shown[name]]
    return shown.to_string(index=False)


def real(folder: Path, data: Path) -> None:
    from siderea.pipelines.ingest import ingest

    path = folder / "mreal.siderea"
    if not path.exists():
        ingest("galah", [str(data / "galah_dr3" / "spectra")], path, jobs=1)
    store = SurveyStore.open(path)
    if "detections_ccf" not in store.products:
        from siderea.pipelines.detect import detect_ccf

        detect_ccf(path)
    detect(path, ModelRecipe(model_error=LTE))
    model = store.product("detections_model")
    classes = pd.read_csv(data / "galah_dr3" / "tsne_class_of_these_stars.csv", dtype=str)
    known = classes.groupby("sobject_id")["class"].first()
    word = model["id"].map(known).fillna("")
    binary = word.str.contains("BIN|TRI").to_numpy()
    ccf = store.product("detections_ccf")
    shown = model[["id", "snr", "delta_chi2", "f_imp", "q", "dv", "flux_ratio", "probability"]]
    shown = shown.assign(published=word, ccf=ccf["n_components"], model=model["is_binary"])
    shown["fixed"] = el_badry_accepts(model["delta_chi2"], model["f_imp"])
    print(shown.sort_values("delta_chi2").tail(14).round(3).to_string(index=False))
    for name, calls in (
        ("ccf", ccf["n_components"] > 1),
        ("model", model["is_binary"]),
        ("fixed table", shown["fixed"]),
    ):
        print(f"{name}: {calls[binary].sum()} of {binary.sum()} BIN, {calls[~binary].sum()} others")


def cost() -> None:
    spectra, _ = simulate_spectra(256, rng=7)
    detect_model(spectra[:8])  # tables are made once
    start = time.process_time()
    detect_model(spectra)
    print(f"model: {(time.process_time() - start) / 256:.3f} s of processor time per spectrum")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["calibrate", "table", "real", "cost"])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("channels"))
    parser.add_argument("data", type=Path, nargs="?", default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--stars", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.what == "calibrate":
        control(options.folder, options.stars or 4096, options.jobs)
    elif options.what == "table":
        table(options.folder, options.stars or 20_480, options.jobs)
    elif options.what == "real":
        real(options.folder, options.data)
    else:
        cost()
