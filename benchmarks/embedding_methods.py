"""Methods side by side on an easy and a hard case, as in the first seed: a figure and a table.

    python benchmarks/embedding_methods.py [--stars 3000] [--output docs/images]

A cluster among field stars, in simulated spectra of one arm (6480-6735 Å): a metal-poor one that
nothing in the field resembles, and a metal-rich one within the field's own range (1.8 of its σ).
Features: 20 principal components. Purity: the share of members among the 10 nearest of a member on
the map; 2 % by chance.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from siderea.simulate.emulated import EmulatedSurvey, draw_stars

from siderea.embeddings.manifold import ManifoldMap
from siderea.embeddings.neighbours import kneighbours
from siderea.embeddings.pca import PCA
from siderea.embeddings.quality import (
    continuity,
    neighbour_recall,
    shepard_correlation,
    trustworthiness,
)
from siderea.embeddings.tsne import TSNEMap
from siderea.figures.embedding_methods import embedding_methods

WAVELENGTH = np.linspace(6480.0, 6735.0, 2048)
CASES = {"easy: [Fe/H] = −1.4": (-1.4, 0.05), "hard: [Fe/H] = +0.25": (0.25, 0.02)}
METHODS = ("PCA", "mds", "sammon", "isomap", "lle", "spectral", "umap", "t-SNE")
NAMES = {"mds": "MDS", "sammon": "Sammon", "isomap": "Isomap", "lle": "LLE", "umap": "UMAP"}


def stars_of(n: int, fe_h: float, scatter: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Return field stars and a cluster of one composition (2 %), and which are its members."""
    rng = np.random.default_rng(1)
    stars = draw_stars(n, rng)
    members = np.zeros(n, bool)
    single = np.flatnonzero(stars["kind"].isin(["dwarf", "giant"]))
    members[rng.choice(single, n // 50, replace=False)] = True
    stars.loc[members, "fe_h"] = rng.normal(fe_h, scatter, members.sum())
    stars.loc[members, "alpha_fe"] = 0.25 if fe_h < -1 else 0.0
    stars["snr"] = stars["snr"].clip(lower=30)
    return stars, members


def spectra_of(stars: pd.DataFrame) -> np.ndarray:
    """Return noisy spectra at rest."""
    survey = EmulatedSurvey(stars.assign(rv=0.0), 1)
    flux = np.concatenate(
        [survey.spectra(rows, WAVELENGTH) for rows in np.array_split(np.arange(len(stars)), 12)]
    )
    noise = np.random.default_rng(2).normal(size=flux.shape) / stars["snr"].to_numpy()[:, None]
    return (flux + noise).astype(np.float32)


def map_by(method: str, features: np.ndarray) -> np.ndarray:
    if method == "PCA":
        return features[:, :2]
    if method == "t-SNE":
        return TSNEMap().fit_transform(features)
    return ManifoldMap(method).fit_transform(features)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stars", type=int, default=3000)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    cases, notes = {}, {}
    print("| case | method | CPU s | T(15) | C(15) | recall 15 | Shepard ρ | purity of members |")
    print("|---|---|---|---|---|---|---|---|")
    for case, (fe_h, scatter) in CASES.items():
        stars, members = stars_of(arguments.stars, fe_h, scatter)
        features = PCA(20).fit_transform(spectra_of(stars))
        maps = {}
        for method in METHODS:
            start = time.process_time()
            places = map_by(method, features)
            spent = time.process_time() - start
            name = NAMES.get(method, method)
            maps[name] = places
            near = kneighbours(places, 10).indices
            found = members[near][members].mean()
            notes[case, name] = f"{100 * found:.0f} % pure"
            kept = [
                f"{measure(features, places, k=15, n_sample=1000):.3f}"
                for measure in (trustworthiness, continuity, neighbour_recall)
            ]
            rho = shepard_correlation(features, places)
            print(
                f"| {case} | {name} | {spent:.1f} | {' | '.join(kept)} | {rho:.3f} | {found:.2f} |",
                flush=True,
            )
        cases[case] = (maps, members)
    figure = embedding_methods(cases, marked="cluster members", notes=notes)
    arguments.output.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output / "embedding_methods.png", dpi=150)


if __name__ == "__main__":
    main()
