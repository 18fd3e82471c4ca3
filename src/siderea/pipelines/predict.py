"""Labels for catalogues of any size: `siderea photometry predict`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from siderea.data import Photometry
from siderea.errors import DataError
from siderea.io import artefacts
from siderea.io.partitions import open_partitions, read_partition
from siderea.io.photometry_table import photometry_of
from siderea.photometry.bands import error_column, magnitude_column
from siderea.photometry.extinction import deredden
from siderea.pipelines.catalogues import add_columns, column_job
from siderea.stellar.network import LabelNetwork

__all__ = ["PredictStep", "Predicted", "load_network", "predict"]

Progress = Callable[[int, int], None]
CHUNK = 65_536
"""Stars whose distributions are in memory at once."""
LABELS = ("teff", "teff_err", "fe_h", "fe_h_err", "logg", "logg_err", "p_giant")


@dataclass(frozen=True)
class Predicted:
    """What `predict` did: where, how many stars, how many of them flagged."""

    output: Path
    n_stars: int
    n_flagged: int


@dataclass(frozen=True)
class PredictStep:
    """Labels of a trained network.

    Parameters
    ----------
    model : str
        Name of the artefact.
    sha256 : str
        Of its weights: a model that was trained anew is another one.
    bands : tuple of str
        Bands that it knows.
    dereddened : bool
        Whether it wants magnitudes free of extinction.
    """

    model: str
    sha256: str
    bands: tuple[str, ...]
    dereddened: bool = False

    @classmethod
    def of(cls, model: str | Path) -> PredictStep:
        """Return the step of an artefact."""
        _, metadata = artefacts.load(model)
        network, dereddened = load_network(model)
        name = str(Path(model).absolute())  # a worker may stand in another folder
        return cls(name, str(metadata["weights_sha256"]), network.bands_, dereddened)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Magnitudes, errors, and what else the network may look at."""
        names = [make(band) for band in self.bands for make in (magnitude_column, error_column)]
        return (*names, "ebv", "parallax", "parallax_err")

    @property
    def needed(self) -> tuple[str, ...]:
        """Nothing but some bands, unless extinction is to be removed."""
        return ("ebv",) if self.dereddened else ()

    @property
    def fields(self) -> tuple[pa.Field, ...]:
        """Labels and flags."""
        labels = [pa.field(name, pa.float32()) for name in LABELS]
        return (*labels, pa.field("flags", pa.int64()))

    @property
    def recipe(self) -> dict[str, Any]:
        """The model."""
        return {"step": "predict", "model_sha256": self.sha256}

    def __call__(self, frame: pd.DataFrame) -> Mapping[str, Any]:
        """Return the labels of some stars."""
        network = _network(self.model, self.sha256)
        photometry = free_of_extinction(frame, self.bands) if self.dereddened else _of(frame, self)
        parts = [
            network.predict(_rows(photometry, slice(start, start + CHUNK)))
            for start in range(0, max(len(photometry), 1), CHUNK)
        ]
        found = pd.concat(parts, ignore_index=True)
        return {name: found[name].to_numpy() for name in (*LABELS, "flags")}


def predict(
    model: str | Path,
    table: str | Path,
    output: str | Path,
    *,
    keep: Sequence[str] | None = None,
    definitions: Mapping[str, str] | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Predicted:
    """Predict the labels of a catalogue of any size.

    Parameters
    ----------
    model, table, output : path-like
        The artefact; a table or a HATS catalogue with some of its bands (others are carried
        along); where to write, see `siderea.pipelines.catalogues.add_columns`.
    keep : sequence of str, optional
        Columns to carry along; all by default. Labels of the same names are replaced.
    definitions : mapping of str to str, optional
        New columns by expressions, as ``{"mag_sdss_u": "umag", "ebv": "Ar / 2.285"}``.
    jobs, scheduler, progress
        See `siderea.pipelines.partitioned.run_job`.

    Returns
    -------
    Predicted
    """
    step = PredictStep.of(model)
    source = open_partitions(table)
    check_bands(source.schema.names, definitions, step.bands, source.path)
    job = column_job(source, step, keep=keep, definitions=definitions)
    done = add_columns(source, job, output, jobs=jobs, scheduler=scheduler, progress=progress)
    return Predicted(done.output, done.n_stars, count_flagged(done.output, "flags"))


def load_network(path: str | Path) -> tuple[LabelNetwork, bool]:
    """Read a trained network, and whether it wants dereddened magnitudes."""
    arrays, metadata = artefacts.load(path)
    return LabelNetwork.from_artefact(arrays, metadata), bool(metadata.get("dereddened", False))


def check_bands(
    names: Sequence[str],
    definitions: Mapping[str, str] | None,
    bands: Sequence[str],
    path: Path,
) -> None:
    """Raise a `DataError` unless two of the bands are there."""
    known = {*names, *(definitions or {})}
    found = [band for band in bands if magnitude_column(band) in known]
    if len(found) < 2:
        raise DataError(
            f"{path}: found magnitudes of {', '.join(found) or 'no band'}; expected at least two "
            f"of {', '.join(bands)}, as columns such as {magnitude_column(bands[0])} (or name "
            f"others: --column '{magnitude_column(bands[0])}=OTHER')"
        )


def free_of_extinction(frame: pd.DataFrame, bands: Sequence[str]) -> Photometry:
    """Return the photometry of a frame without the extinction that its ``ebv`` says."""
    photometry = photometry_of(frame, bands=bands)
    corrected = deredden(photometry, frame["ebv"].to_numpy(dtype=float))
    return replace(corrected, table=corrected.table.drop(columns="ebv"))


def count_flagged(output: Path, column: str) -> int:
    """Count the stars of a result that have a flag."""
    source = open_partitions(output)
    columns = (read_partition(part, [column])[column] for part in source.partitions)
    return sum(int(np.count_nonzero(flags.to_numpy())) for flags in columns)


def _of(frame: pd.DataFrame, step: PredictStep) -> Photometry:
    return photometry_of(frame, bands=step.bands)


def _rows(photometry: Photometry, rows: slice) -> Photometry:
    return replace(
        photometry,
        mag=photometry.mag[rows],
        mag_err=photometry.mag_err[rows],
        table=photometry.table.iloc[rows],
    )


@lru_cache(maxsize=2)
def _network(model: str, sha256: str) -> LabelNetwork:
    """Read the network once in each process, and check that it is still the same."""
    _, metadata = artefacts.load(model)
    if metadata["weights_sha256"] != sha256:
        raise DataError(f"{model}: changed since the job was started; start it again")
    return load_network(model)[0]
