"""Leave-one-out 10-NN of GALAH's classes on the real 6,064-star table: our map, the published.

    SIDEREA_DATA=... python benchmarks/real_map.py

Features: the 6 published principal components and the survey's stellar labels, each by its own
spread (`siderea.embeddings.table_features`); the published t-SNE coordinates are only compared
with. Classes: the table's own, else those of the survey's DR5.2 list. Stars without a class are on
the map but do not vote.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from siderea.embeddings.quality import neighbours_vote
from siderea.embeddings.table_features import standardised
from siderea.embeddings.tsne import TSNEMap

COMPONENTS = [f"pca_{k}" for k in range(1, 7)]
LABELS = ["teff", "logg", "fe_h", "alpha_fe", "vmic", "vbroad"]


def read(folder: Path) -> pd.DataFrame:
    """Return the table, missing values (1e20) as NaN, with column ``class``."""
    table = pd.read_csv(folder / "galah_map_6064" / "stars.csv.gz")
    numbers = COMPONENTS + LABELS
    table[numbers] = table[numbers].where(table[numbers].abs() < 1e10)
    listed = pd.read_csv(folder / "galah_tsne_classes" / "tsne_classification_dr52_2018_04_09.csv")
    classes = listed.groupby("sobject_id")["FFF"].first()
    table["class"] = table["tsne_class"].fillna(table["sobject_id"].map(classes))
    return table


def scores(places: np.ndarray, classes: np.ndarray) -> tuple[float, float, float]:
    """Return accuracy, and recall and precision of BIN, of a leave-one-out vote of 10."""
    voted = neighbours_vote(places, classes, k=10)
    binary, found = classes == "BIN", voted == "BIN"
    both = np.count_nonzero(binary & found)
    return float(np.mean(voted == classes)), both / binary.sum(), both / max(found.sum(), 1)


def main() -> None:
    table = read(Path(os.environ["SIDEREA_DATA"]))
    known = table["class"].notna().to_numpy()
    classes = table.loc[known, "class"].to_numpy(dtype=str)
    both = standardised(table, COMPONENTS + LABELS, logarithms=["vbroad"])
    components = table[COMPONENTS].to_numpy()
    print(f"{len(table)} stars, {known.sum()} with a class, {(classes == 'BIN').sum()} BIN")
    print("| space | accuracy | BIN recall | BIN precision |\n|---|---|---|---|")
    for name, places in (
        ("published map", table[["tsne_x", "tsne_y"]].to_numpy()),
        ("6 components", components),
        ("our map of the 6 components", TSNEMap().fit_transform(components)),
        ("components and labels", both),
        ("our map of components and labels", TSNEMap().fit_transform(both)),
    ):
        print(
            f"| {name} | " + " | ".join(f"{v:.3f}" for v in scores(places[known], classes)) + " |"
        )


if __name__ == "__main__":
    main()
