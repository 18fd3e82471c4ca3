"""Detections of binaries over a store: any detector, streamed in chunks of rows, one product.

A `Recipe` says how a detector is made for the spectra of a store. The rows are searched piece by
piece, here, by several processes or on a Dask cluster; each piece writes its own table, so that a
stopped job goes on with the first piece it lacks, and who did a piece does not show in it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siderea.binaries.detect import CCFDetector, CCFSettings
from siderea.binaries.model_calibration import (
    ModelCalibration,
    shipped_calibration,
)
from siderea.binaries.model_fingerprint import model_digest
from siderea.binaries.model_selection import ModelDetector
from siderea.binaries.survey_correction import SurveyCorrection, default_correction
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.io.files import atomic_write
from siderea.io.store import SurveyStore
from siderea.models.emulator import Emulator, load_default
from siderea.models.model_error import LTE, ModelError
from siderea.models.protocol import DifferentiableModel
from siderea.pipelines.calibrate import own_calibration
from siderea.pipelines.ccf_templates import AutoencoderReference
from siderea.pipelines.scheduler import results
from siderea.pipelines.spectral_model import load_model

__all__ = [
    "CCFRecipe",
    "DetectResult",
    "Detector",
    "ModelRecipe",
    "Recipe",
    "detect",
    "detect_ccf",
    "model_recipe",
]

Detector = Callable[[Spectra], pd.DataFrame]
Progress = Callable[[int, int], None]


class Recipe(Protocol):
    """How a detector is made: what can be sent to another machine, and decides the result."""

    @property
    def method(self) -> str:
        """Word for the product's description."""
        ...

    @property
    def rows(self) -> int:
        """Spectra of a piece, about: half a minute of work or less."""
        ...

    def parameters(self) -> dict[str, Any]:
        """Return what decides the result, as JSON takes it."""
        ...

    def detector(self, example: Spectra) -> Detector:
        """Return what makes a table, one row per spectrum, of spectra on the grid of an example."""
        ...

    def counts(self, table: pd.DataFrame) -> tuple[int, int]:
        """Return how many spectra of a table were searched, and how many are multiple."""
        ...


@dataclass(frozen=True)
class CCFRecipe:
    """Detection by cross-correlation.

    Parameters
    ----------
    settings : CCFSettings
    max_velocity : float
        Range of velocities on either side of 0, km/s, in the frame of the stored spectra.
    templates : (T, P) ndarray, optional
        Normalised spectra on the store's grid; the emulator's dozen by default.
    reference : AutoencoderReference, optional
        Correlate each spectrum with what an autoencoder makes of it, and what it makes of the
        middle of its latent space, instead of templates.
    """

    settings: CCFSettings = field(default_factory=CCFSettings)
    max_velocity: float = 200.0
    templates: NDArray | None = None
    reference: AutoencoderReference | None = None
    method: str = field(default="ccf", init=False)
    rows: int = field(default=512, init=False)

    def parameters(self) -> dict[str, Any]:
        """See `Recipe`."""
        values: dict[str, Any] = {"max_velocity": self.max_velocity, **asdict(self.settings)}
        if self.templates is not None:
            content = np.ascontiguousarray(self.templates).tobytes()
            values["templates"] = hashlib.sha256(content).hexdigest()[:16]
        if self.reference is not None:
            values["reference"] = self.reference.digest()
        return values

    def detector(self, example: Spectra) -> Detector:
        """See `Recipe`."""
        reference = self.reference
        shared = self.templates if reference is None else reference.mean(example)
        search = CCFDetector(
            example, templates=shared, settings=self.settings, max_velocity=self.max_velocity
        )
        if reference is None:
            return search
        return lambda spectra: search(spectra, references=reference(spectra))

    def counts(self, table: pd.DataFrame) -> tuple[int, int]:
        """See `Recipe`."""
        number = table["n_components"].to_numpy()
        return int((number > 0).sum()), int((number > 1).sum())


@dataclass(frozen=True)
class ModelRecipe:
    """Detection by fits of one star and two.

    Parameters
    ----------
    n_stars : {2, 3}
        Stars of the largest fit.
    model_error : ModelError, optional
        What the model gets wrong of itself; the noise is all there is by default.
    correction : SurveyCorrection, optional
        What the survey's own stars say that the model gets wrong.
    calibration : ModelCalibration, optional
        The shipped one by default.
    model : str, optional
        Path of the model (`siderea.pipelines.spectral_model.load_model`), under which every worker
        finds it; the shipped emulator by default.
    """

    n_stars: int = 2
    model_error: ModelError | None = None
    correction: SurveyCorrection | None = None
    calibration: ModelCalibration | None = None
    model: str | None = None
    method: str = field(default="model", init=False)
    rows: int = field(default=256, init=False)

    def parameters(self) -> dict[str, Any]:
        """See `Recipe`."""
        model = self._model()
        chosen = self.calibration or shipped_calibration(model, self.model_error, self.correction)
        digest = hashlib.sha256(chosen.to_json().encode()).hexdigest()[:16]
        error = None if self.model_error is None else asdict(self.model_error)
        values = {
            "n_stars": self.n_stars,
            "model_error": error,
            "correction": None if self.correction is None else self.correction.digest,
            "calibration": digest,
            "threshold": chosen.threshold,
            "false_positives": chosen.false_positives,
        }
        return values if self.model is None else values | {"model": model_digest(model)}

    def _model(self) -> Emulator | DifferentiableModel:
        return load_default() if self.model is None else load_model(self.model)

    def detector(self, example: Spectra) -> Detector:
        """See `Recipe`."""
        return ModelDetector(
            example,
            self._model(),
            n_stars=self.n_stars,
            model_error=self.model_error,
            correction=self.correction,
            calibration=self.calibration,
        )

    def counts(self, table: pd.DataFrame) -> tuple[int, int]:
        """See `Recipe`."""
        return int(table["chi2_single"].notna().sum()), int(table["is_binary"].sum())


def model_recipe(
    path: str | Path,
    *,
    n_stars: int = 2,
    errors: Literal["auto", "survey", "lte", "none"] = "auto",
    model: str | Path | None = None,
) -> ModelRecipe:
    """Return the recipe of the model channel that suits a store.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    n_stars : {2, 3}
    errors : {"auto", "survey", "lte", "none"}
        What the model is taken to get wrong: what the survey's stars say (by `calibrate_model` of
        `siderea.pipelines.calibrate` for this store, else what is shipped for GALAH), what an LTE
        model does, or nothing. ``auto``: the survey's for real spectra, nothing for simulated ones
        and for other models.
    model : path-like, optional
        Of another model than the shipped emulator.

    Raises
    ------
    DataError
        If another model is to have a correction.
    """
    if model is not None:
        if errors == "survey":
            raise DataError(
                "model error: found survey with --model; the correction is the shipped emulator's: "
                "choose lte or none"
            )
        error = LTE if errors == "lte" else None
        return ModelRecipe(n_stars, error, model=str(Path(model).resolve()))
    if errors == "auto":
        told = SurveyStore.open(path).manifest.get("provenance") or {}
        made = told.get("product") == "simulated"
        errors = "none" if made else "survey"
    if errors == "none":
        return ModelRecipe(n_stars)
    if errors == "lte":
        return ModelRecipe(n_stars, LTE)
    correction, calibration = own_calibration(path) or (default_correction(), None)
    return ModelRecipe(n_stars, LTE, correction, calibration)


@dataclass(frozen=True)
class DetectResult:
    """What `detect` wrote.

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


def detect(
    path: str | Path,
    recipe: Recipe,
    *,
    name: str | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> DetectResult:
    """Search the spectra of a store for binaries.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    recipe : Recipe
        The detector.
    name : str, optional
        Of the product to write; ``detections_<method>`` by default.
    jobs : int
        Processes on this machine.
    scheduler : str, optional
        Address of a Dask scheduler whose workers see the store under the same path.
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
    The table of every piece is kept under ``products/`` until all are there: a job that was stopped
    goes on with the first piece it lacks, if its parameters are the same. The product is the same,
    bit for bit, from any number of processes and from a cluster.
    """
    store = SurveyStore.open(path)
    chosen = name or f"detections_{recipe.method}"
    parameters = recipe.parameters()
    folder = _work_folder(store, chosen, parameters)
    counted = np.zeros(2, dtype=np.int64)

    def parts() -> Iterator[pd.DataFrame]:
        work = _pieces(store, recipe, folder)
        for part, stop in results(_search, work, jobs=jobs, scheduler=scheduler):
            table = pd.read_parquet(part)
            counted[:] += recipe.counts(table)
            if progress is not None:
                progress(stop, len(store))
            yield table

    written = store.write_product_parts(
        chosen, parts(), method=recipe.method, parameters=parameters
    )
    shutil.rmtree(folder)
    _made.clear()
    return DetectResult(chosen, written, len(store), *counted.tolist())


def detect_ccf(
    path: str | Path,
    *,
    name: str = "detections_ccf",
    settings: CCFSettings | None = None,
    max_velocity: float = 200.0,
    templates: NDArray | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> DetectResult:
    """Search the spectra of a store for binaries by cross-correlation.

    Parameters
    ----------
    path, name, jobs, scheduler, progress
        See `detect`.
    settings, max_velocity, templates
        See `CCFRecipe`.

    Returns
    -------
    DetectResult
    """
    recipe = CCFRecipe(settings or CCFSettings(), max_velocity, templates)
    return detect(path, recipe, name=name, jobs=jobs, scheduler=scheduler, progress=progress)


def _work_folder(store: SurveyStore, name: str, parameters: dict[str, Any]) -> Path:
    """Return the folder of the parts: named by what decides their content."""
    content = json.dumps([parameters, store.manifest], sort_keys=True, default=str).encode()
    content += np.ascontiguousarray(store.wavelength).tobytes()
    key = hashlib.sha256(content).hexdigest()[:12]
    folder = store.path / "products" / f".{name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _pieces(store: SurveyStore, recipe: Recipe, folder: Path) -> Iterator[tuple]:
    """Yield the arguments of `_search`: whole chunks of the store, whoever works on them."""
    chunk = int(store.manifest["chunk_rows"])
    size = max(1, recipe.rows // chunk) * chunk
    for start in range(0, len(store), size):
        stop = min(start + size, len(store))
        yield str(store.path), start, stop, str(folder / f"{start:010d}.parquet"), recipe


_made: dict[str, Detector] = {}
"""The detector of the job that this process works on, by the folder of its parts."""


def _search(path: str, start: int, stop: int, part: str, recipe: Recipe) -> tuple[str, int]:
    """Write the table of some rows, where it is not there; return its file and the last row."""
    file = Path(part)
    if not file.is_file():
        store = SurveyStore.open(path)
        key = str(file.parent)
        if key not in _made:
            _made.clear()
            _made[key] = recipe.detector(store.spectra([0]))
        with atomic_write(file) as handle:
            _made[key](store.spectra(slice(start, stop))).to_parquet(handle, index=False)
    return part, stop
