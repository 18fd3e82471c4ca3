"""Binaries by what a catalogue holds beside the spectrum: colours, astrometry, company."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from siderea.binaries.astrometric import astrometric_binaries
from siderea.binaries.common_motion import common_motion_pairs
from siderea.binaries.photometric_excess import photometric_excess
from siderea.io.store import SurveyStore
from siderea.pipelines.detect import DetectResult

__all__ = ["CATALOGUE_METHODS", "detect_catalogue"]

CATALOGUE_METHODS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "photometric": photometric_excess,
    "astrometric": astrometric_binaries,
    "pairs": common_motion_pairs,
}
"""By method: what finds binaries in a catalogue, a row per star."""

LIKELY = 0.5
"""Probability above which a star is called binary."""


def detect_catalogue(path: str | Path, method: str, *, name: str | None = None) -> DetectResult:
    """Find binaries by the columns of a store's catalogue.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    method : {"photometric", "astrometric", "pairs"}
        See `siderea.binaries.photometric_excess.photometric_excess`,
        `siderea.binaries.astrometric.astrometric_binaries` and
        `siderea.binaries.common_motion.common_motion_pairs` for the columns that each needs.
    name : str, optional
        Of the product to write; ``detections_<method>`` by default.

    Returns
    -------
    DetectResult

    Raises
    ------
    DataError
        If the catalogue lacks a column that the method needs.
    """
    store = SurveyStore.open(path)
    chosen = name or f"detections_{method}"
    table = CATALOGUE_METHODS[method](store.catalogue.reset_index(drop=True))
    known = np.isfinite(table["probability"].to_numpy(dtype=float))
    table["is_binary"] = known & (table["probability"].fillna(0.0).to_numpy() > LIKELY)
    written = store.write_product(chosen, table, method=method, parameters={"likely": LIKELY})
    return DetectResult(
        chosen, written, len(store), int(known.sum()), int(table["is_binary"].sum())
    )
