"""Detections of binaries over a store: streamed, resumable, one product."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.binaries.detect import CCFDetector, CCFSettings
from siderea.io.files import atomic_write
from siderea.io.store import SurveyStore

__all__ = ["DetectResult", "detect_ccf"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DetectResult:
    """What `detect_ccf` wrote.

    Parameters
    ----------
    name : str
        Of the product.
    path : Path
    n_spectra, n_searched, n_multiple : int
        Spectra, those with data enough, and those of two or more stars.
    """

    name: str
    path: Path
    n_spectra: int
    n_searched: int
    n_multiple: int


def detect_ccf(
    path: str | Path,
    *,
    name: str = "detections_ccf",
    settings: CCFSettings | None = None,
    max_velocity: float = 200.0,
    templates: NDArray | None = None,
    progress: Progress | None = None,
) -> DetectResult:
    """Search the spectra of a store for binaries by cross-correlation.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    name : str
        Of the product to write.
    settings : CCFSettings, optional
    max_velocity : float
        Range of velocities on either side of 0, km/s, in the frame of the stored spectra.
    templates : (T, P) ndarray, optional
        Normalised spectra on the store's grid; the emulator's dozen by default.
    progress : callable, optional
        Called with (done, in all).

    Returns
    -------
    DetectResult

    Raises
    ------
    SidereaError
        If there is no complete store, or its grid does not fit.

    Notes
    -----
    The table of every chunk is kept under ``products/`` until all are there: a job that was stopped
    goes on with the first chunk it lacks, if its parameters are the same.
    """
    store = SurveyStore.open(path)
    chosen = settings or CCFSettings()
    parameters: dict[str, Any] = {"max_velocity": max_velocity, **asdict(chosen)}
    if templates is not None:
        parameters["templates"] = hashlib.sha256(np.asarray(templates).tobytes()).hexdigest()[:16]
    folder = _work_folder(store, name, parameters)
    detector = CCFDetector(
        store.spectra([0]), templates=templates, settings=chosen, max_velocity=max_velocity
    )
    parts = _parts(store, detector, folder, progress)
    written = store.write_product_parts(
        name, (pd.read_parquet(part) for part in parts), method="ccf", parameters=parameters
    )
    shutil.rmtree(folder)
    number = store.product(name)["n_components"].to_numpy()
    return DetectResult(name, written, len(store), int((number > 0).sum()), int((number > 1).sum()))


def _work_folder(store: SurveyStore, name: str, parameters: dict[str, Any]) -> Path:
    """Return the folder of the parts: named by what decides their content."""
    content = json.dumps([parameters, len(store), store.n_pixels], sort_keys=True)
    key = hashlib.sha256(content.encode()).hexdigest()[:12]
    folder = store.path / "products" / f".{name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _parts(
    store: SurveyStore, detector: CCFDetector, folder: Path, progress: Progress | None
) -> Iterator[Path]:
    """Yield the tables of the chunks, made where they are not there."""
    size = max(1, 512 // int(store.manifest["chunk_rows"])) * int(store.manifest["chunk_rows"])
    for start in range(0, len(store), size):
        part = folder / f"{start:010d}.parquet"
        if not part.is_file():
            rows = slice(start, min(start + size, len(store)))
            with atomic_write(part) as handle:
                detector(store.spectra(rows)).to_parquet(handle, index=False)
        if progress is not None:
            progress(min(start + size, len(store)), len(store))
        yield part
