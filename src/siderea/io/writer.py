"""Streaming, resumable writing of a `SurveyStore`.

Rows are gathered until a whole chunk is there; then the chunk, its part of the catalogue, and last
the manifest are written, each atomically. The manifest is the commit point: whatever a crash left
behind it is written again on resuming, with the same content. A store made in one go and one made
after any number of interruptions are the same, byte for byte.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from numpy.typing import ArrayLike

import siderea
from siderea.data import Spectra
from siderea.errors import StoreError
from siderea.io.files import atomic_write, full_disk_is_clear, locked
from siderea.io.store import FORMAT, FORMAT_VERSION, SurveyStore, chunk_rows

__all__ = ["StoreWriter"]

_ROW_GROUP = 8192
"""Rows per row group of the catalogue: what is read to know one row."""
_SOURCE = "__source__"
"""Column of the parts of a catalogue that tells the source of each row; not in the whole."""


class StoreWriter:
    """Append spectra to a store in whole chunks; a context manager that holds the store's lock.

    Use `StoreWriter.create` or `StoreWriter.resume`.

    Parameters
    ----------
    store : SurveyStore
        An incomplete store.
    """

    def __init__(self, store: SurveyStore) -> None:
        self.store = store
        self.chunk_rows = int(store.manifest["chunk_rows"])
        self._pending: list[Spectra] = []
        self._marks = np.empty(0, dtype=int)  # source of each pending row
        self._taken = self._marks  # source of each row of the last chunk
        self._exit = contextlib.ExitStack()
        self._group: zarr.Group | None = None

    # ------------------------------------------------------------------- opening and closing

    @classmethod
    def create(
        cls, path: str | Path, grid: Spectra, *, provenance: dict[str, Any] | None = None
    ) -> StoreWriter:
        """Make an empty store on a grid.

        Parameters
        ----------
        path : str or Path
            Folder to make; an existing store is never overwritten.
        grid : Spectra
            A set whose wavelength, medium, arms and resolution every later row must share.
        provenance : dict, optional
            What is being ingested and how; `resume` requires the same.
        """
        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StoreError(f"{path}: already exists; choose another --output or remove it")
        rows = chunk_rows(grid.n_pixels)
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "siderea": siderea.__version__,
            "complete": False,
            "n_spectra": 0,
            "n_pixels": grid.n_pixels,
            "chunk_rows": rows,
            "medium": grid.medium,
            "arms": [[arm.start, arm.stop] for arm in grid.arms],
            "arm_names": list(grid.arm_names),
            "resolution": [float(value) for value in grid.resolution],
            "provenance": provenance or {},
            "progress": {},
        }
        store = SurveyStore(path, manifest)
        try:
            with full_disk_is_clear(path):
                path.mkdir(parents=True, exist_ok=True)
                _create_arrays(path, grid, rows)
                store.write_manifest()
        except BaseException:  # leave nothing that is neither a store nor empty
            shutil.rmtree(path, ignore_errors=True)
            raise
        return cls(store)

    @classmethod
    def resume(cls, path: str | Path, *, provenance: dict[str, Any] | None = None) -> StoreWriter:
        """Go on with an interrupted store.

        Raises
        ------
        StoreError
            If the store is complete, or was begun with other input or options.
        """
        store = SurveyStore.open(path)
        if store.complete:
            raise StoreError(f"{path}: is complete already; choose another --output")
        begun = store.manifest["provenance"]
        if begun != (provenance or {}):
            changed = sorted(
                key
                for key in {*begun, *(provenance or {})}
                if begun.get(key) != (provenance or {}).get(key)
            )
            raise StoreError(
                f"{path}: was begun with another {', '.join(changed)}; repeat the command as it "
                "was, or choose another --output"
            )
        return cls(store)

    def __enter__(self) -> StoreWriter:
        self._exit.enter_context(locked(self.store.path / ".lock"))
        self._sweep()
        self._group = zarr.open_group(self.store.path / "spectra.zarr", mode="r+")
        (self.store.path / "catalogue.parts").mkdir(exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def _sweep(self) -> None:
        """Remove the half-written files that a killed process left; the lock says it is gone."""
        for pattern in (".*.tmp", "catalogue.parts/.*.tmp", "spectra.zarr/**/*.partial"):
            for leftover in self.store.path.glob(pattern):
                leftover.unlink(missing_ok=True)

    # ------------------------------------------------------------------------------ writing

    @property
    def next_source(self) -> int:
        """Ordinal of the first input source that is not wholly committed."""
        return int(self.store.manifest["progress"].get("next_source", 0))

    def committed(self) -> pd.DataFrame:
        """Return ``id`` and ``source`` (ordinal) of the rows that are committed, in order."""
        parts = map(self._part, range(len(self.store) // self.chunk_rows))
        tables = [pq.read_table(part, columns=["id", _SOURCE]) for part in parts]
        empty = pa.table({"id": pa.array([], pa.string()), _SOURCE: pa.array([], pa.int64())})
        joined = pa.concat_tables([empty, *tables], promote_options="permissive").to_pandas()
        return joined.rename(columns={_SOURCE: "source"})

    def append(self, spectra: Spectra, sources: ArrayLike | None = None) -> None:
        """Add rows; whole chunks go to the disk at once.

        Parameters
        ----------
        spectra : Spectra
            On the store's grid.
        sources : (N,) array-like of int, optional
            Ordinal of the input source of each row, increasing; `next_source` and `committed`
            then say where a stopped job goes on.
        """
        self._check_grid(spectra)
        if not len(spectra):
            return
        marks = np.zeros(len(spectra), int) if sources is None else np.asarray(sources, int)
        self._pending.append(spectra)
        self._marks = np.concatenate([self._marks, marks])
        while self._marks.size >= self.chunk_rows:
            self._write_chunk(self._take(self.chunk_rows))
            self.store.manifest["n_spectra"] += self.chunk_rows
            self.store.manifest["progress"] = self._position()
            self.store.write_manifest()

    def finish(
        self,
        facts: dict[str, Any] | None = None,
        *,
        revise: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    ) -> SurveyStore:
        """Write the last, partial chunk and the whole catalogue; mark the store complete.

        Parameters
        ----------
        facts : dict, optional
            What the finished job notes in the manifest, for instance the number of failures.
        revise : callable, optional
            What can only be said of all rows together: takes the catalogue, returns it revised.
        """
        n = len(self.store) + self._marks.size
        if self._marks.size:
            self._write_chunk(self._take(self._marks.size))
        if n == 0:
            raise StoreError(f"{self.store.path}: not one spectrum could be read; nothing to store")
        with full_disk_is_clear(self.store.path):
            for name in ("flux", "ivar"):
                self._arrays[name].resize((n, self.store.n_pixels))
            self._write_catalogue(n)
            if revise is not None:
                self._revise_catalogue(revise)
        self.store.manifest.update(n_spectra=n, complete=True, progress={}, **(facts or {}))
        self.store.write_manifest()
        shutil.rmtree(self.store.path / "catalogue.parts")
        return SurveyStore.open(self.store.path)

    @property
    def _arrays(self) -> zarr.Group:
        if self._group is None:
            raise StoreError(f"{self.store.path}: open the writer with 'with' before writing")
        return self._group

    def _take(self, n: int) -> Spectra:
        """Remove the first n pending rows and return them as one set."""
        rows = concatenate(self._pending)
        self._pending = [rows[n:]] if len(rows) > n else []
        self._taken, self._marks = self._marks[:n], self._marks[n:]
        return rows[:n]

    def _position(self) -> dict[str, int]:
        """Where to go on after the rows taken last: the first source with rows not committed."""
        last = int(self._taken[-1])
        straddles = self._marks.size and int(self._marks[0]) == last
        return {"next_source": last if straddles else last + 1}

    def _write_chunk(self, rows: Spectra) -> None:
        """Write the next chunk and its part of the catalogue; the caller commits the manifest."""
        start = len(self.store)
        stop = start + len(rows)
        with full_disk_is_clear(self.store.path):
            for name, values in (("flux", rows.flux), ("ivar", rows.ivar)):
                array = self._arrays[name]
                if array.shape[0] < stop:
                    array.resize((start + self.chunk_rows, self.store.n_pixels))
                array[start:stop] = np.asarray(values, dtype=np.float32)
            with atomic_write(self._part(start // self.chunk_rows)) as handle:
                table = rows.table.assign(**{_SOURCE: self._taken})
                pq.write_table(pa.Table.from_pandas(table, preserve_index=False), handle)

    def _part(self, number: int) -> Path:
        return self.store.path / "catalogue.parts" / f"part-{number:07d}.parquet"

    def _write_catalogue(self, n: int) -> None:
        """Join the parts of the first n rows into ``catalogue.parquet``."""
        parts = [self._part(number) for number in range(-(-n // self.chunk_rows))]
        schema = pa.unify_schemas(
            [pq.read_schema(part).remove_metadata() for part in parts],
            promote_options="permissive",
        )
        schema = schema.remove(schema.get_field_index(_SOURCE))
        with (
            atomic_write(self.store.path / "catalogue.parquet") as handle,
            pq.ParquetWriter(handle, schema) as writer,
        ):
            batch: list[pa.Table] = []
            for part in parts:
                batch.append(pq.read_table(part))
                if sum(table.num_rows for table in batch) >= _ROW_GROUP:
                    writer.write_table(_conform(batch, schema))
                    batch = []
            if batch:
                writer.write_table(_conform(batch, schema))

    def _revise_catalogue(self, revise: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        path = self.store.path / "catalogue.parquet"
        table = pa.Table.from_pandas(revise(pd.read_parquet(path)), preserve_index=False)
        with atomic_write(path) as handle:
            pq.write_table(table, handle, row_group_size=_ROW_GROUP)

    def _check_grid(self, spectra: Spectra) -> None:
        if spectra.n_pixels != self.store.n_pixels or spectra.medium != self.store.medium:
            raise StoreError(
                f"{self.store.path}: rows have {spectra.n_pixels} pixels in {spectra.medium}; "
                f"the store has {self.store.n_pixels} in {self.store.medium}"
            )
        if not np.array_equal(spectra.wavelength, self.store.wavelength):
            raise StoreError(f"{self.store.path}: rows are on another wavelength grid")


def concatenate(sets: list[Spectra]) -> Spectra:
    """Join sets on the same grid into one, in order."""
    if len(sets) == 1:
        return sets[0]
    first = sets[0]
    return Spectra(
        first.wavelength,
        np.concatenate([one.flux for one in sets]),
        np.concatenate([one.ivar for one in sets]),
        first.medium,
        arms=first.arms,
        arm_names=first.arm_names,
        resolution=first.resolution,
        table=pd.concat([one.table for one in sets], ignore_index=True),
    )


def _conform(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """Join parts of a catalogue under the schema that fits them all, as one row group."""
    empty = schema.empty_table()
    joined = pa.concat_tables([empty, *tables], promote_options="permissive")
    return joined.select(schema.names).cast(schema).combine_chunks()


def _create_arrays(path: Path, grid: Spectra, rows: int) -> None:
    group = zarr.open_group(path / "spectra.zarr", mode="w", zarr_format=3)
    wavelength = group.create_array(
        "wavelength", shape=(grid.n_pixels,), chunks=(grid.n_pixels,), dtype="f8", compressors=None
    )
    wavelength[:] = grid.wavelength
    wavelength.attrs.update(unit="Angstrom", medium=grid.medium)
    for name in ("flux", "ivar"):
        group.create_array(
            name,
            shape=(0, grid.n_pixels),
            chunks=(rows, grid.n_pixels),
            dtype="f4",
            compressors=None,
            dimension_names=("spectrum", "pixel"),
        )
