"""New columns for catalogues of any size: what `siderea photometry predict` and others share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from siderea.errors import DataError, StoreError
from siderea.galaxy.selection import Expression
from siderea.io.files import atomic_write
from siderea.io.hats import INDEX, finish_hats
from siderea.io.partitions import Partition, PartitionedTable, open_partitions, read_partition
from siderea.io.photometry_table import FORMATS, write_table
from siderea.pipelines.partitioned import parts_of, run_job

__all__ = ["Added", "ColumnJob", "Step", "add_columns", "column_job"]

Progress = Callable[[int, int], None]


class Step(Protocol):
    """What is computed: a small frozen dataclass, sent to the workers."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Columns that are used where the catalogue has them."""
        ...

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns that it cannot do without."""
        ...

    @property
    def fields(self) -> tuple[pa.Field, ...]:
        """Columns that it makes."""
        ...

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides about the result, as JSON can say it."""
        ...

    def __call__(self, frame: pd.DataFrame) -> Mapping[str, Any]:
        """Return the new columns of some stars."""
        ...


@dataclass(frozen=True)
class Added:
    """What a job over a catalogue did: where, and how many stars."""

    output: Path
    n_stars: int


@dataclass(frozen=True)
class ColumnJob:
    """A job that carries columns of a catalogue along and adds new ones.

    Parameters
    ----------
    source : str
        The catalogue.
    step : Step
    kept : tuple of pyarrow.Field
        Columns that are carried along as they are.
    used : tuple of str
        Columns of the file that step and definitions look at.
    definitions : tuple of (name, expression)
        Columns that are made of others first, and written as well.
    """

    source: str
    step: Step
    kept: tuple[pa.Field, ...]
    used: tuple[str, ...]
    definitions: tuple[tuple[str, str], ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """Columns of the result: those kept, those defined, those new."""
        defined = [pa.field(name, pa.float64()) for name, _ in self.definitions]
        fields = {field.name: field for field in (*self.kept, *defined, *self.step.fields)}
        return pa.schema(list(fields.values()))

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides about the result."""
        return {
            "source": self.source,
            "columns": [field.name for field in self.kept],
            "definitions": [list(pair) for pair in self.definitions],
            **self.step.recipe,
        }

    def table(self, piece: Partition) -> pa.Table:
        """Read a partition and add the columns."""
        names = dict.fromkeys((*(field.name for field in self.kept), *self.used))
        table = read_partition(piece, list(names))
        frame = pd.DataFrame({name: _numpy(table[name]) for name in self.used}, copy=False)
        for name, text in self.definitions:
            frame[name] = np.broadcast_to(Expression(text)(frame), len(frame)).astype(float)
        new = {name: frame[name].to_numpy() for name, _ in self.definitions}
        new |= dict(self.step(frame))
        columns = {field.name: table[field.name] for field in self.kept} | new
        arrays = [_as(columns[field.name], field) for field in self.schema]
        return pa.Table.from_arrays(arrays, schema=self.schema)


def column_job(
    source: PartitionedTable,
    step: Step,
    *,
    keep: Sequence[str] | None = None,
    definitions: Mapping[str, str] | None = None,
) -> ColumnJob:
    """Declare a job: find the columns that it reads and writes before anything is read.

    Parameters
    ----------
    source : PartitionedTable
    step : Step
    keep : sequence of str, optional
        Columns to carry along; all by default.
    definitions : mapping of str to str, optional
        New columns by their expressions over those of the catalogue.

    Raises
    ------
    DataError
        If a column that is needed is absent.
    """
    schema, defined = source.schema, dict(definitions or {})
    names = _known(source, schema.names if keep is None else keep, "keep")
    if source.hats is not None:  # without its place a star is in no partition
        names += [INDEX, source.hats.ra, source.hats.dec]
    kept = tuple(field for field in schema if field.name in names)
    basis = {name for text in defined.values() for name in Expression(text).names}
    _known(source, sorted(basis), "column definitions")
    absent = [n for n in step.needed if n not in schema.names and n not in defined]
    if absent:
        raise DataError(
            f"{source.path}: found no column {', '.join(absent)} among "
            f"{', '.join(schema.names)}; name it with --column, as --column '{absent[0]}=OTHER'"
        )
    wanted = {*step.wanted, *step.needed} - set(defined)
    used = tuple(name for name in schema.names if name in wanted | basis)
    return ColumnJob(str(source.path), step, kept, used, tuple(defined.items()))


def add_columns(
    source: PartitionedTable,
    job: ColumnJob,
    output: str | Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Added:
    """Run a job over a catalogue.

    Parameters
    ----------
    source : PartitionedTable
    job : ColumnJob
    output : path-like
        A folder: a HATS catalogue if the source is one, else Parquet files. With the ending of a
        table (.parquet, .csv, .fits ...), one file.
    jobs, scheduler, progress
        See `siderea.pipelines.partitioned.run_job`.

    Returns
    -------
    Added
    """
    output = Path(output)
    if output.resolve() == source.path.resolve():
        raise StoreError(f"{output}: is the catalogue itself; choose another --output")
    options: dict[str, Any] = {"jobs": jobs, "scheduler": scheduler, "progress": progress}
    if output.suffix in FORMATS:
        return _one_file(source, job, output, options)
    if output.suffix and not output.is_dir():
        raise DataError(f"{output}: found ending {output.suffix!r}; expected {', '.join(FORMATS)}, "
                        "or none for a folder of partitions")  # fmt: skip

    def finish(folder: Path) -> None:
        if source.hats is not None:
            head = source.hats
            finish_hats(folder, folder.name, head.pixels, job.schema, ra=head.ra, dec=head.dec)

    run_job(job, source.partitions, output, finish=finish, **options)
    return _counted(source, output)


def _one_file(
    source: PartitionedTable, job: ColumnJob, output: Path, options: dict[str, Any]
) -> Added:
    """Make the parts in a folder beside the output, then join them."""
    if not output.parent.is_dir():
        raise StoreError(f"{output}: no folder {output.parent}; make it first")
    folder = output.with_name(f".{output.name}.parts")

    def join(folder: Path) -> None:
        parts = parts_of(folder, source.partitions)
        if output.suffix != ".parquet":
            write_table(pa.concat_tables(parts).to_pandas(), output)
            return
        with atomic_write(output) as handle, pq.ParquetWriter(handle, job.schema) as writer:
            for part in parts:
                writer.write_table(part)

    run_job(job, source.partitions, folder, finish=join, **options)
    shutil.rmtree(folder)
    return _counted(source, output)


def _counted(source: PartitionedTable, output: Path) -> Added:
    """Compare the rows written with those of the source as it is now."""
    n, expected = open_partitions(output).n_rows, open_partitions(source.path).n_rows
    if n != expected:
        raise StoreError(f"{output}: holds {n} rows; {source.path} has {expected}: did it change?")
    return Added(output, n)


def _known(source: PartitionedTable, names: Sequence[str], what: str) -> list[str]:
    absent = [name for name in names if name not in source.schema.names]
    if absent:
        known = ", ".join(source.schema.names)
        raise DataError(f"{source.path}: {what}: found no column {', '.join(absent)} among {known}")
    return list(names)


def _numpy(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.to_pandas())


def _as(values: Any, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return values if values.type == field.type else values.cast(field.type)
    return pa.array(np.asarray(values), from_pandas=False).cast(field.type)
