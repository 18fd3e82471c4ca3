"""Opening a store to write to: a new one, one that was interrupted, or one to be replaced."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from siderea.data import Spectra
from siderea.io.store import SurveyStore
from siderea.io.writer import StoreWriter

__all__ = ["store_writer"]


def store_writer(
    output: Path, empty: Spectra, provenance: dict[str, Any], *, overwrite: bool
) -> StoreWriter:
    """Return the writer of a store.

    Parameters
    ----------
    output : Path
        The ``NAME.siderea`` folder. An incomplete store there is gone on with.
    empty : Spectra
        A set without rows, on the grid of the store.
    provenance : dict
        What decides the content of the store: a resumed job must agree with it.
    overwrite : bool
        Replace a store.

    Raises
    ------
    StoreError
        If there is something else, a complete store, or one that was begun with other input.
    """
    if output.exists() and overwrite:
        SurveyStore.open(output)  # remove nothing that is not a store
        shutil.rmtree(output)
    if (output / "manifest.json").is_file() and not SurveyStore.open(output).complete:
        return StoreWriter.resume(output, provenance=provenance)
    return StoreWriter.create(output, empty, provenance=provenance)
