"""Distances: ours, the literature's formulae and plain estimates, on real and simulated stars.

    SIDEREA_DATA=... python benchmarks/distances.py {green,apogee,mock,clusters,speed}
        [--half report] [--stars N] [--models FOLDER] [--figures FOLDER]

Half of the stars (`--half develop`) served to settle what is in `siderea.stellar`; the figures in
RESULTS.md are of the other half. Real distances are compared as parallaxes: ϖ d, whose error
σ_ϖ d is Gaussian and known, is d over the true distance, with no bias of 1/ϖ.
`green` needs h5py.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtr

from siderea.data import Photometry
from siderea.photometry.extinction import coefficient, deredden
from siderea.stellar.distances import DistanceModel, distances, sample_distances
from siderea.stellar.ensemble import EnsembleSettings
from siderea.stellar.features import FeatureOptions
from siderea.stellar.network import LabelNetwork
from siderea.stellar.parallax import GAIA_DR2, ParallaxErrors
from siderea.stellar.scores import mad_sigma
from siderea.stellar.training import TrainingSettings

GREEN_BANDS = (
    "gaia_g", "gaia_bp", "gaia_rp", "ps1_g", "ps1_r", "ps1_i", "ps1_z", "ps1_y",
    "twomass_j", "twomass_h", "twomass_ks", "wise_w1", "wise_w2",
)  # fmt: skip
BAYESTAR = {"ps1_g": 3.518, "ps1_r": 2.617, "ps1_i": 1.971, "ps1_z": 1.549, "ps1_y": 1.263,
            "twomass_j": 0.7927, "twomass_h": 0.4690, "twomass_ks": 0.3026}  # fmt: skip
"""Extinction per unit of reddening of the map of Green et al. (2019), their Table 1."""
TO_SFD = 1.14
"""The same over the coefficients of `siderea.photometry.extinction`: for the bands not there."""
BRIGHT = {"dwarf": 14.5, "subgiant": 14.0, "giant": 13.0}
"""G of the stars whose bias and scatter are measured: a cut on the parallax, or on its error over
the distance found, would select by the errors that are to be measured."""
CLASSES = {
    "dwarf": lambda logg: logg > 4.1,
    "subgiant": lambda logg: (logg > 3.5) & (logg <= 4.1),
    "giant": lambda logg: logg <= 3.5,
}


def data_folder() -> Path:
    here = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("SIDEREA_DATA", here)) / "photometry"


def rows_of(stars: Photometry, rows: np.ndarray) -> Photometry:
    index = np.flatnonzero(rows) if rows.dtype == bool else rows
    table = stars.table.iloc[index].reset_index(drop=True)
    return Photometry(stars.bands, stars.mag[index], stars.mag_err[index], table)


def half_of(n: int, name: str) -> np.ndarray:
    """Return the rows of a half, drawn once for all."""
    report = np.random.default_rng(20_080_601).random(n) < 0.5
    return report if name == "report" else ~report


def green() -> tuple[Photometry, pd.DataFrame]:
    """Return stars (with parallaxes in the table) and their spectroscopic labels."""
    import h5py

    with h5py.File(data_folder() / "green2020.h5") as file:
        raw = file["data"][:]
    sigma = np.sqrt(np.einsum("nii->ni", raw["atm_param_cov"]).astype(float))
    names = ("teff", "logg", "fe_h")
    labels = pd.DataFrame(raw["atm_param"].astype(float), columns=list(names))
    labels = labels.assign(**{f"{name}_err": sigma[:, k] for k, name in enumerate(names)})
    reddening = raw["r"].astype(float)
    ratio = [BAYESTAR.get(name, TO_SFD * coefficient(name)) for name in GREEN_BANDS]
    mag = raw["mag"].astype(float) - reddening[:, None] * ratio
    table = pd.DataFrame(
        {
            "ebv": 0.0,
            "ebv_err": TO_SFD * raw["r_err"].astype(float),
            "reddening": reddening,
            "parallax": raw["parallax"].astype(float),
            "parallax_err": raw["parallax_err"].astype(float),
        }
    )
    return Photometry(
        GREEN_BANDS, mag, raw["mag_err"].astype(float), table
    ), labels


def without_parallax(stars: Photometry) -> Photometry:
    table = stars.table.drop(columns=["parallax", "parallax_err"])
    return Photometry(stars.bands, stars.mag, stars.mag_err, table)


def network_labels(
    name: str, train: Photometry, labels: pd.DataFrame, test: Photometry, args
) -> pd.DataFrame:
    """Return what a network says of stars that it was not trained on, without their parallaxes."""
    kept = args.models / f"{name}.pkl" if args.models else None
    if kept and kept.exists():
        return pd.read_pickle(kept)
    model = LabelNetwork(
        ensemble=EnsembleSettings(members=4),
        training=TrainingSettings(max_epochs=args.epochs),
        features=FeatureOptions(ebv="ebv" in train.table, parallax=False),
    ).fit(without_parallax(train) if "parallax" in train.table else train, labels)
    found = model.predict(test)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        found.to_pickle(kept)
    return found


def coverage_in_parallax(
    samples: np.ndarray, parallax: np.ndarray, sigma: np.ndarray
) -> np.ndarray:
    """Return where each parallax lies in what the samples predict for it, its error included."""
    return ndtr((parallax[:, None] - 1 / samples) / sigma[:, None]).mean(axis=1)


def parallax_line(
    name: str,
    distance: np.ndarray,
    parallax: np.ndarray,
    sigma: np.ndarray,
    rows: np.ndarray,
    bright: np.ndarray,
    pit: np.ndarray | None = None,
) -> str:
    """Return a table row: bias, robust scatter, its part beside the parallax's error, coverage."""
    ratio = parallax * distance
    error = sigma * distance
    use = rows & np.isfinite(ratio) & bright
    scatter = mad_sigma(ratio[use])
    own = np.sqrt(max(scatter**2 - np.median(error[use]) ** 2, 0.0))
    text = f"| {name} | {use.sum()} | {np.median(ratio[use]) - 1:+.3f} | {scatter:.3f} | {own:.3f} |"
    if pit is None:
        return text + " | |"
    good = rows & np.isfinite(pit)
    inside = [np.mean(np.abs(pit[good] - 0.5) < part / 2) for part in (0.6827, 0.9545)]
    return text + f" {100 * inside[0]:.1f} | {100 * inside[1]:.1f} |"


def run_green(args) -> None:
    stars, labels = green()
    rows = half_of(len(stars), args.half)
    test, truth = rows_of(stars, rows), labels[rows].reset_index(drop=True)
    found = network_labels(
        f"green_{args.half}", rows_of(stars, ~rows), labels[~rows].reset_index(drop=True), test, args
    )
    given, sigma = GAIA_DR2.apply(test.table["parallax"], test.table["parallax_err"])
    bare = without_parallax(test)
    for which, used in (("spectroscopic labels", truth), ("labels of the network", found)):
        print(f"\n{args.half} half, {which}\n")
        print("| method | stars | bias | σ | σ without ϖ's | 68.3 % | 95.4 % |\n" + "|---" * 7 + "|")
        for temperature in ("colour", "teff", "both"):
            model = DistanceModel(temperature=temperature)
            ours = distances(bare, used, model=model)
            drawn = sample_distances(bare, used, 200, rng=np.random.default_rng(1), model=model)
            pit = coverage_in_parallax(drawn, given, sigma)
            for kind, takes in CLASSES.items():
                line = takes(truth["logg"].to_numpy())
                distance = ours["distance"].to_numpy()
                print(parallax_line(f"ours, {temperature}, {kind}", distance, given, sigma, line, test.mag[:, 0] < BRIGHT[kind], pit))


RUNS = {"green": run_green}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("--half", choices=("develop", "report"), default="report")
    parser.add_argument("--stars", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--models", type=Path, help="folder that keeps the networks' labels")
    parser.add_argument("--figures", type=Path, help="folder for figures")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    RUNS[args.what](args)


if __name__ == "__main__":
    main()
