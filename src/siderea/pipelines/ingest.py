"""Files of a survey in, a `SurveyStore` out: in parallel, streaming, resumable.

Sources are taken in sorted order, in batches. Workers read and prepare a batch; the main process
appends the batches in order, so that the store does not depend on the number of workers or on
interruptions. Memory is a few batches, whatever the number of files. A source that cannot be read
is reported and skipped (``failures.csv`` in the store); with ``strict`` it ends the job, which can
still be resumed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import siderea
from siderea.errors import DataError, SidereaError
from siderea.io.catalogue import Catalogue
from siderea.io.native import InstrumentGrid
from siderea.io.readers import Reader, reader
from siderea.io.sources import expand
from siderea.io.store import SurveyStore
from siderea.io.writer import StoreWriter
from siderea.pipelines.failures import Failure, Ledger
from siderea.pipelines.pool import n_processes
from siderea.pipelines.prepare import Preparation
from siderea.pipelines.workers import Batch, Source, run
from siderea.pipelines.writing import store_writer

__all__ = ["Failure", "IngestResult", "ingest"]

BATCH = 32
"""Sources per batch: arrays of some megabytes, a few tenths of a second of work."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class IngestResult:
    """What an ingest made.

    Parameters
    ----------
    store : SurveyStore
        The complete store.
    failures : tuple of Failure
        What was skipped.
    """

    store: SurveyStore
    failures: tuple[Failure, ...]


def ingest(
    product: str,
    paths: Iterable[str | Path],
    output: str | Path,
    *,
    preparation: Preparation | None = None,
    catalogue: str | Path | None = None,
    jobs: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> IngestResult:
    """Read, prepare and store the spectra of a survey.

    Parameters
    ----------
    product : str
        A key of `siderea.io.readers.READERS`.
    paths : iterable of path-like
        Files, folders, or ``@LIST`` (see `siderea.io.sources.expand`).
    output : path-like
        The ``NAME.siderea`` folder. An interrupted one is gone on with, if it was begun with the
        same input and options.
    preparation : Preparation, optional
        What is done to each spectrum; `Preparation.of` the product by default.
    catalogue : path-like, optional
        Table joined on ``id`` (or ``sobject_id``), see `siderea.io.catalogue`.
    jobs : int, optional
        Processes; as many as cores, but no more than the work is worth.
    strict : bool
        End the job at the first bad source.
    overwrite : bool
        Replace a complete store.
    progress : callable, optional
        Called with (sources done, sources in all).

    Returns
    -------
    IngestResult

    Raises
    ------
    SidereaError
        On bad input: nothing to read, an output that exists, a full disk, or (``strict``) a bad
        source. What was committed is kept, and the same call goes on from there.
    """
    form = reader(product)
    preparation = preparation or Preparation.of(product)
    table = Catalogue.read(catalogue) if catalogue else Catalogue.empty()
    files = expand(paths, suffixes=form.suffixes)
    total, digest = _survey(form, files)
    provenance = _provenance(product, total, digest, preparation, catalogue)
    grid, output = _grid_of(form, files), Path(output)
    with store_writer(output, grid.empty(), provenance, overwrite=overwrite) as writer:
        # Whole batches are done again: what a batch gives depends, in the last bit, on all of it.
        begin = writer.next_source // BATCH * BATCH
        ledger = Ledger(output / "failures.csv", begin)
        known = writer.committed()
        seen = set(known["id"][known["source"] < begin])
        skip = int((known["source"] >= begin).sum())
        # no process for less than a few batches: each takes a second to start
        jobs = n_processes(jobs, (total - begin) // (4 * BATCH))
        work = (
            (product, grid, preparation, batch)
            for batch in _batches(_sources(form, files, table, begin))
        )
        done = begin
        for batch in run(work, jobs):
            _append(writer, batch, table, skip=skip, seen=seen)
            ledger.add(batch.failures, strict=strict)
            skip, done = 0, done + batch.n_sources
            if progress is not None:
                progress(done, total)
        ledger.write()
        facts = {"n_sources": total, "n_failures": len(ledger.failures)}
        store = writer.finish(facts, revise=form.revise)
    return IngestResult(store, tuple(ledger.failures))


def _survey(form: Reader, files: list[str]) -> tuple[int, str]:
    """Return the number of sources, and a digest of what they are called."""
    digest, total = hashlib.sha256(), 0
    for name, paths in form.sources(files):
        digest.update("\0".join([name, *map(os.path.basename, paths)]).encode())
        total += 1
    return total, digest.hexdigest()


def _sources(form: Reader, files: list[str], table: Catalogue, begin: int) -> Iterator[Source]:
    """Yield the sources from number ``begin`` on; they are never all held."""
    numbered = enumerate(form.sources(files))
    for ordinal, (name, paths) in itertools.islice(numbered, begin, None):
        yield Source(ordinal, name, paths, table.rv(name))


def _provenance(
    product: str,
    total: int,
    digest: str,
    preparation: Preparation,
    catalogue: str | Path | None,
) -> dict[str, Any]:
    """Say what decides the content of the store: a resumed job must agree with it."""
    return {
        "product": product,
        "input": {"n_sources": total, "sha256": digest},
        "preparation": _jsonable(asdict(preparation)),
        "catalogue": hashlib.sha256(Path(catalogue).read_bytes()).hexdigest() if catalogue else "",
        "siderea": siderea.__version__,
    }


def _jsonable(value: Any) -> Any:
    """Return the value as JSON gives it back, so that a re-read manifest compares equal."""
    if isinstance(value, dict):
        return {key: _jsonable(one) for key, one in value.items()}
    return [_jsonable(one) for one in value] if isinstance(value, (list, tuple)) else value


def _grid_of(form: Reader, files: list[str]) -> InstrumentGrid:
    """Ask the product for its grid, showing it the first source that can be read."""
    total = 0
    for _, paths in form.sources(files):
        try:
            return form.grid(form.read(paths))
        except SidereaError as error:
            total, last = total + 1, error
    raise DataError(f"none of the {total} sources could be read; the last said: {last}")


def _batches(sources: Iterator[Source]) -> Iterator[tuple[Source, ...]]:
    while batch := tuple(itertools.islice(sources, BATCH)):
        yield batch


def _append(
    writer: StoreWriter, batch: Batch, table: Catalogue, *, skip: int, seen: set[str]
) -> None:
    """Append a batch, less the rows whose id is taken and the first ``skip`` of the others."""
    if batch.spectra is None:
        return
    fresh = np.ones(len(batch.spectra), dtype=bool)
    for row, one in enumerate(batch.spectra.ids):
        fresh[row] = one not in seen
        seen.add(one)
        if not fresh[row]:
            reason = f"duplicate id {one}; the first is kept"
            batch.failures.append(Failure(int(batch.sources[row]), one, reason))
    kept = np.flatnonzero(fresh)[skip:]
    writer.append(table.join(batch.spectra[kept]), batch.sources[kept])
