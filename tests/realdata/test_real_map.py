"""Classes of real GALAH stars are as near to each other on our map as on the published one."""

import numpy as np
import pandas as pd
import pytest

from siderea.embeddings.quality import neighbours_vote
from siderea.embeddings.table_features import standardised
from siderea.embeddings.tsne import TSNEMap

COMPONENTS = [f"pca_{k}" for k in range(1, 7)]
LABELS = ["teff", "logg", "fe_h", "alpha_fe", "vmic", "vbroad"]


@pytest.mark.realdata
def test_classes_are_kept_as_on_the_published_map(real_data):
    table = pd.read_csv(real_data / "galah_map_6064" / "stars.csv.gz")
    numbers = COMPONENTS + LABELS
    table[numbers] = table[numbers].where(table[numbers].abs() < 1e10)  # 1e20 is missing
    listed = pd.read_csv(
        real_data / "galah_tsne_classes" / "tsne_classification_dr52_2018_04_09.csv"
    )
    classes = table["tsne_class"].fillna(
        table["sobject_id"].map(listed.groupby("sobject_id")["FFF"].first())
    )
    known = classes.notna().to_numpy()
    truth = classes[known].to_numpy(dtype=str)
    places = TSNEMap().fit_transform(standardised(table, numbers, logarithms=["vbroad"]))
    published = table[["tsne_x", "tsne_y"]].to_numpy()
    right = [neighbours_vote(where[known], truth, k=10) == truth for where in (places, published)]
    # Paired: the error of the difference of two shares of the same stars.
    difference = right[0].astype(float) - right[1]
    assert difference.mean() > -2.5 * difference.std() / np.sqrt(truth.size)
    binary = truth == "BIN"
    assert right[0][binary].mean() > 0.75
    assert right[0].mean() > 0.85
