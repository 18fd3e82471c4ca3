"""Files of a survey in, a `SurveyStore` out: in parallel, streaming, resumable.

Sources are taken in sorted order, in batches. Workers read and prepare a batch; the main process
appends the batches in order, so that the store does not depend on the number of workers or on
interruptions. Memory is a few batches, whatever the number of files. A source that cannot be read
is reported and skipped (``failures.csv`` in the store); with ``strict`` it ends the job, which can
still be resumed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import logging
import multiprocessing
import os
import shutil
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import siderea
from siderea.data import Spectra
from siderea.errors import DataError, SidereaError, StoreError
from siderea.flags import SpectrumFlag
from siderea.io.catalogue import Catalogue
from siderea.io.files import atomic_write
from siderea.io.native import InstrumentGrid, NativeSpectrum
from siderea.io.readers import Reader, reader
from siderea.io.sources import expand
from siderea.io.store import SurveyStore
from siderea.io.writer import StoreWriter
from siderea.pipelines.prepare import Preparation, prepare

__all__ = ["Failure", "IngestResult", "ingest"]

logger = logging.getLogger(__name__)

BATCH = 32
"""Sources per batch: arrays of some megabytes, a few tenths of a second of work."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Failure:
    """A source, or a spectrum of one, that is not in the store, and why."""

    ordinal: int
    source: str
    reason: str


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


@dataclass(frozen=True)
class _Source:
    ordinal: int
    name: str
    paths: tuple[str, ...]
    rv: float  # from the catalogue; NaN where it has none


@dataclass
class _Batch:
    """What a worker returns for a run of sources."""

    n_sources: int
    spectra: Spectra | None = None
    sources: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    failures: list[Failure] = field(default_factory=list)


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
    with _writer(output, grid, provenance, overwrite) as writer:
        # Whole batches are done again: what a batch gives depends, in the last bit, on all of it.
        begin = writer.next_source // BATCH * BATCH
        ledger = _Ledger(output / "failures.csv", begin)
        known = writer.committed()
        seen = set(known["id"][known["source"] < begin])
        skip = int((known["source"] >= begin).sum())
        jobs = _n_jobs(jobs, total - begin)
        work = (
            (product, grid, preparation, batch)
            for batch in _batches(_sources(form, files, table, begin))
        )
        done = begin
        for batch in _run(work, jobs):
            _append(writer, batch, table, skip=skip, seen=seen)
            ledger.add(batch.failures, strict=strict)
            skip, done = 0, done + batch.n_sources
            if progress is not None:
                progress(done, total)
        ledger.write()
        store = writer.finish({"n_sources": total, "n_failures": len(ledger.failures)})
    return IngestResult(store, tuple(ledger.failures))


def _survey(form: Reader, files: list[str]) -> tuple[int, str]:
    """Return the number of sources, and a digest of what they are called."""
    digest, total = hashlib.sha256(), 0
    for name, paths in form.sources(files):
        digest.update("\0".join([name, *map(os.path.basename, paths)]).encode())
        total += 1
    return total, digest.hexdigest()


def _sources(form: Reader, files: list[str], table: Catalogue, begin: int) -> Iterator[_Source]:
    """Yield the sources from number ``begin`` on; they are never all held."""
    numbered = enumerate(form.sources(files))
    for ordinal, (name, paths) in itertools.islice(numbered, begin, None):
        yield _Source(ordinal, name, paths, table.rv(name))


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


def _writer(
    output: Path, grid: InstrumentGrid, provenance: dict[str, Any], overwrite: bool
) -> StoreWriter:
    if output.exists() and overwrite:
        SurveyStore.open(output)  # remove nothing that is not a store
        shutil.rmtree(output)
    if (output / "manifest.json").is_file() and not SurveyStore.open(output).complete:
        return StoreWriter.resume(output, provenance=provenance)
    empty = np.empty((0, grid.wavelength.size), dtype=np.float32)
    frame = Spectra(
        grid.wavelength,
        empty,
        empty,
        grid.medium,
        arms=grid.arms,
        arm_names=grid.arm_names,
        resolution=grid.resolution,
    )
    return StoreWriter.create(output, frame, provenance=provenance)


def _n_jobs(jobs: int | None, n_sources: int) -> int:
    """Use the cores, but no process for less than a few batches: each takes a second to start."""
    if jobs is not None and jobs < 1:
        raise DataError(f"jobs: found {jobs}; expected at least 1")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return jobs or max(1, min(cores or 1, n_sources // (4 * BATCH)))


def _batches(sources: Iterator[_Source]) -> Iterator[tuple[_Source, ...]]:
    while batch := tuple(itertools.islice(sources, BATCH)):
        yield batch


def _run(work: Iterable[tuple], jobs: int) -> Iterator[_Batch]:
    """Yield the results in order; at most two batches per worker are under way."""
    if jobs == 1:
        with threadpool_limits(1):
            yield from itertools.starmap(_read_and_prepare, work)
        return
    context = multiprocessing.get_context("spawn")  # a fork would inherit zarr's threads
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker) as pool:
        waiting: deque[Future[_Batch]] = deque()
        try:
            for item in work:
                waiting.append(pool.submit(_read_and_prepare, *item))
                if len(waiting) > 2 * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise StoreError(
                "a worker process was killed (out of memory?); run the same command again to "
                "resume, with fewer --jobs"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides on an interrupt
    threadpool_limits(1)  # one thread per process: the processes fill the cores


def _read_and_prepare(
    product: str, grid: InstrumentGrid, preparation: Preparation, sources: tuple[_Source, ...]
) -> _Batch:
    """Read a run of sources and prepare their spectra together (in a worker)."""
    form = reader(product)
    batch = _Batch(len(sources))
    natives: list[NativeSpectrum] = []
    ordinals: list[int] = []
    for source in sources:
        try:
            found = form.read(source.paths)
        except (SidereaError, OSError) as error:
            batch.failures.append(Failure(source.ordinal, source.name, str(error)))
            continue
        except Exception as error:  # one odd file in a million must not end the job
            logger.exception("unexpected error in %s", source.name)
            reason = f"unexpected {type(error).__name__}: {error} (please report this)"
            batch.failures.append(Failure(source.ordinal, source.name, reason))
            continue
        for native in found:
            misfit = _misfit(native, grid)
            if misfit:
                batch.failures.append(Failure(source.ordinal, source.name, misfit))
                continue
            natives.append(_with_rv(native, source.rv))
            ordinals.append(source.ordinal)
    if natives:
        batch.spectra = prepare(natives, grid, preparation)
        batch.sources = np.asarray(ordinals, dtype=np.int64)
    return batch


def _misfit(native: NativeSpectrum, grid: InstrumentGrid) -> str:
    """Say why a spectrum cannot be put on the grid of the store; nothing where it can."""
    if native.medium != grid.medium:
        return f"{native.path}: found {native.medium} wavelengths; the store is in {grid.medium}"
    names = [arm.name for arm in native.arms]
    if not set(names) & set(grid.arm_names):
        return (
            f"{native.path}: found arms {', '.join(names) or 'none'}; the store has "
            f"{', '.join(grid.arm_names)}: ingest the two apart"
        )
    return ""


def _with_rv(native: NativeSpectrum, rv: float) -> NativeSpectrum:
    """Give a spectrum that brings no velocity the one of the catalogue."""
    if np.isfinite(native.row.get("rv", np.nan)) or not np.isfinite(rv):
        return native
    known = native.flags & ~SpectrumFlag.NO_RV
    return replace(native, row={**native.row, "rv": rv}, flags=known)


def _append(
    writer: StoreWriter, batch: _Batch, table: Catalogue, *, skip: int, seen: set[str]
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


class _Ledger:
    """The failures of a job, kept with the store so that a resumed job still knows them."""

    def __init__(self, path: Path, begin: int) -> None:
        self.path = path
        self.failures: list[Failure] = []
        if path.is_file():
            rows = pd.read_csv(path, keep_default_na=False, dtype=str).itertuples(index=False)
            known = [Failure(int(row.ordinal), row.source, row.reason) for row in rows]
            self.failures = [one for one in known if one.ordinal < begin]

    def add(self, failures: list[Failure], *, strict: bool) -> None:
        """Note failures; with ``strict`` the first one ends the job."""
        for failure in failures:
            logger.warning("skipped %s: %s", failure.source, failure.reason)
        if failures and strict:
            raise DataError(f"{failures[0].reason} (--strict: stopped at the first bad source)")
        self.failures += failures
        if failures:
            self.write()

    def write(self) -> None:
        """Write ``failures.csv``, sorted, only if there is something to say."""
        self.failures.sort(key=lambda failure: failure.ordinal)
        if not self.failures:
            return
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["ordinal", "source", "reason"])
        rows.writerows((one.ordinal, one.source, one.reason) for one in self.failures)
        with atomic_write(self.path, "w") as handle:
            handle.write(text.getvalue())
