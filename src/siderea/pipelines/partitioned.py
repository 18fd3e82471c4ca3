"""A job over the partitions of a catalogue: in parallel, in bounded memory, resumable.

Every partition becomes one Parquet file, written atomically under a name that depends on the
partition alone, with columns that were declared before the run. A repeated start keeps what is
there and whole; the result does not depend on who made which partition, or when.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

import siderea
from siderea.errors import SidereaError, StorageFullError, StoreError
from siderea.io.files import atomic_write, locked, read_json, write_json
from siderea.pipelines.pool import n_processes
from siderea.pipelines.scheduler import results

__all__ = ["FAILURES", "JOURNAL", "Job", "Outcome", "Piece", "run_job", "work_off"]

logger = logging.getLogger(__name__)

JOURNAL = "_siderea.json"
"""File of a result that says what made it, and whether it is complete."""
FAILURES = "_failures.csv"
"""File of a result that lists the partitions that failed, and why."""

WORTH_A_PROCESS = 100_000
"""Rows for which starting another process pays."""

Progress = Callable[[int, int], None]


class Piece(Protocol):
    """A piece of a job, and the file that it becomes."""

    @property
    def name(self) -> str:
        """Name of the file, below the folder of the result."""
        ...

    @property
    def n_rows(self) -> int:
        """Rows of that file, −1 if that is not known."""
        ...

    @property
    def size(self) -> int:
        """Rows that are worked off to make it."""
        ...


class Job(Protocol):
    """What is done with each piece; it is sent to processes and machines, so it is small."""

    @property
    def schema(self) -> pa.Schema:
        """Columns of the result."""
        ...

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides about the result, as JSON can say it."""
        ...

    def table(self, piece: Any) -> pa.Table:
        """Make the rows of a piece."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of a piece: nothing to say, or why it failed."""

    name: str
    error: str = ""


def run_job(
    job: Job,
    pieces: Sequence[Piece],
    folder: Path,
    *,
    finish: Callable[[Path], None],
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Make every piece that is not there yet, and finish the result.

    Parameters
    ----------
    job : Job
    pieces : sequence of Piece
    folder : Path
        Of the result; made if need be. One of another recipe is refused.
    finish : callable
        Called with the folder once all pieces are there, to make them one catalogue.
    jobs : int, optional
        Processes on this machine; as many as cores by default.
    scheduler : str, optional
        Address of a Dask scheduler, to work on its cluster instead.
    progress : callable, optional
        Told (done, all) rows.

    Raises
    ------
    StoreError
        If the folder is of another job, some pieces failed (the others are kept, and
        ``_failures.csv`` has the reasons), or a worker was lost.
    StorageFullError
        If the disk is full; what was written is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / JOURNAL
    with locked(folder / ".lock"):
        if _is_complete(journal, job.recipe):
            return
        write_json(journal, {"complete": False, "siderea": siderea.__version__, **job.recipe})
        for left in folder.rglob(".*.tmp"):  # of a run that was killed
            left.unlink(missing_ok=True)
        work_off(job, pieces, folder, jobs=jobs, scheduler=scheduler, progress=progress)
        finish(folder)
        (folder / FAILURES).unlink(missing_ok=True)
        write_json(journal, {"complete": True, "siderea": siderea.__version__, **job.recipe})
    (folder / ".lock").unlink(missing_ok=True)


def work_off(
    job: Job,
    pieces: Sequence[Piece],
    folder: Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Make the pieces that are not there yet; see `run_job`."""
    waiting = [piece for piece in pieces if not _is_made(folder, piece, job.schema)]
    total = sum(piece.size for piece in pieces)
    done = total - sum(piece.size for piece in waiting)
    if progress:
        progress(done, total)
    failed: list[Outcome] = []
    work = ((job, piece, str(folder.absolute())) for piece in waiting)
    processes = n_processes(jobs, min(len(waiting), (total - done) // WORTH_A_PROCESS))
    made = results(make_piece, work, jobs=processes, scheduler=scheduler)
    for piece, outcome in zip(waiting, made, strict=True):
        failed += [outcome] if outcome.error else []
        done += piece.size
        if progress:
            progress(done, total)
    if failed:
        raise StoreError(_report(folder, failed, len(pieces)))


def make_piece(job: Job, piece: Piece, folder: str) -> Outcome:
    """Make one piece and write it (in a worker); what is wrong with it is told, not raised."""
    path = Path(folder) / piece.name
    try:
        table = job.table(piece)
        if piece.n_rows not in (table.num_rows, -1):
            return Outcome(piece.name, f"made {table.num_rows} rows of {piece.n_rows}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as handle:
            write_rows(table.cast(job.schema), handle)
    except StorageFullError:
        raise
    except (SidereaError, OSError, pa.ArrowException) as error:
        return Outcome(piece.name, " ".join(str(error).split()))
    except Exception as error:  # one odd partition in thousands must not end the job
        logger.exception("unexpected error in %s", piece.name)
        return Outcome(piece.name, f"unexpected {type(error).__name__}: {error}")
    return Outcome(piece.name)


def write_rows(table: pa.Table, handle: Any) -> None:
    """Write a table as this package writes partitions: quick, and the same bytes every time."""
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    pq.write_table(
        table, handle, compression="zstd", compression_level=1, use_dictionary=texts or False
    )


def _is_complete(journal: Path, recipe: dict[str, Any]) -> bool:
    """Tell whether the result is there already; refuse one of another recipe."""
    if not journal.is_file():
        others = [path for path in journal.parent.iterdir() if path.name != ".lock"]
        if others:
            raise StoreError(f"{journal.parent}: holds other files; choose another --output")
        return False
    said = read_json(journal)
    complete = bool(said.pop("complete", False))
    version = said.pop("siderea", None)
    wanted = json.loads(json.dumps(recipe))
    differs = sorted(key for key in {*said, *wanted} if said.get(key) != wanted.get(key))
    if differs or (not complete and version != siderea.__version__):
        what = ", ".join(differs) or f"siderea {version}"
        raise StoreError(
            f"{journal.parent}: is of another run (it differs in {what}); choose another --output "
            "or remove it"
        )
    return complete


def _is_made(folder: Path, piece: Piece, schema: pa.Schema) -> bool:
    """Tell whether a piece is there with its rows and columns."""
    try:
        footer = pq.read_metadata(folder / piece.name)
    except (OSError, pa.ArrowInvalid):
        return False
    if piece.n_rows not in (footer.num_rows, -1):
        return False
    return bool(footer.schema.to_arrow_schema().remove_metadata().equals(schema))


def _report(folder: Path, failed: list[Outcome], n: int) -> str:
    """List the failures in a file, and say the first in a line."""
    with atomic_write(folder / FAILURES, "w") as handle:
        handle.write("partition,reason\n")
        for outcome in failed:
            quoted = outcome.error.replace('"', "'")
            handle.write(f'{outcome.name},"{quoted}"\n')
    first = failed[0]
    return (
        f"{folder}: {len(failed)} of {n} partitions failed, the first {first.name}: {first.error}; "
        f"the others are kept (reasons in {FAILURES}): mend them and run the same command again"
    )


def parts_of(folder: Path, pieces: Sequence[Piece]) -> Iterator[pa.Table]:
    """Yield the tables of the pieces in order."""
    for piece in pieces:
        yield pq.read_table(folder / piece.name, use_threads=False)
