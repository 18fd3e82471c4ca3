"""`SurveyStore`: the spectra, catalogue and products of one survey in a ``NAME.siderea`` folder.

::

    NAME.siderea/
      manifest.json      what this is: grid, medium, arms, rows, how it was made, whether complete
      spectra.zarr/      Zarr v3: flux, ivar (N, P) float32 in raw chunks of rows; wavelength (P,)
      catalogue.parquet  one row per spectrum, in the order of the spectra
      products/          one Parquet per result, with the parameters and versions that made it

Nothing but the manifest is read on opening. Spectra are read by rows; a whole pass streams chunks.
The layout was measured: see ``docs/decisions/0002-store-layout.md``.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray

import siderea
from siderea.data import Spectra
from siderea.errors import DataError, ProductError, StoreError
from siderea.io.files import atomic_write, read_json, write_json
from siderea.io.raw_rows import read_rows

__all__ = ["FORMAT_VERSION", "SurveyStore", "chunk_rows"]

FORMAT = "siderea-store"
FORMAT_VERSION = 1
CHUNK_BYTES = 4 * 2**20
ROW_GROUP = 8192
"""Rows of a product that are read together: one row of a large table costs no more."""
_PRODUCT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PROVENANCE = b"siderea"


def chunk_rows(n_pixels: int) -> int:
    """Return the number of spectra per chunk: about 4 MiB each, a multiple of 8, at most 1024.

    Examples
    --------
    >>> chunk_rows(16384)
    64
    """
    return int(np.clip(CHUNK_BYTES // (4 * n_pixels) // 8 * 8, 8, 1024))


class SurveyStore:
    """One survey on disk, opened lazily.

    Use `SurveyStore.open` or `SurveyStore.create`, not the constructor.

    Parameters
    ----------
    path : Path
        The ``NAME.siderea`` folder.
    manifest : dict
        Content of its ``manifest.json``.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest

    # ------------------------------------------------------------------ opening and creating

    @classmethod
    def open(cls, path: str | Path) -> SurveyStore:
        """Open an existing store.

        Raises
        ------
        StoreError
            If the folder is absent, is not a store, or was written by a newer siderea.
        """
        path = Path(path)
        if not path.is_dir():
            raise StoreError(f"{path}: no such folder; expected a NAME.siderea folder")
        if not (path / "manifest.json").is_file():
            raise StoreError(f"{path}: no manifest.json; expected a folder made by siderea ingest")
        manifest = read_json(path / "manifest.json")
        if manifest.get("format") != FORMAT:
            raise StoreError(f"{path}: manifest.json is not that of a siderea store")
        if manifest["format_version"] > FORMAT_VERSION:
            raise StoreError(
                f"{path}: format {manifest['format_version']}; this siderea reads up to "
                f"{FORMAT_VERSION}: install a newer siderea"
            )
        return cls(path, manifest)

    @classmethod
    def create(
        cls, path: str | Path, spectra: Spectra, *, provenance: dict[str, Any] | None = None
    ) -> SurveyStore:
        """Write a set of spectra that fits in memory as a complete new store.

        For sets that do not fit, stream with `siderea.io.writer.StoreWriter`.

        Parameters
        ----------
        path : str or Path
            Folder to make; it must not exist.
        spectra : Spectra
            All the rows.
        provenance : dict, optional
            How the spectra were made, kept in the manifest.
        """
        from siderea.io.writer import StoreWriter  # the writer builds on the store

        with StoreWriter.create(path, spectra[:0], provenance=provenance) as writer:
            step = writer.chunk_rows
            for start in range(0, len(spectra), step):
                writer.append(spectra[start : start + step])
            return writer.finish()

    # ------------------------------------------------------------------------ what it holds

    def __repr__(self) -> str:
        return f"SurveyStore({str(self.path)!r}, {len(self)} spectra of {self.n_pixels} pixels)"

    def __len__(self) -> int:
        return int(self.manifest["n_spectra"])

    @property
    def n_pixels(self) -> int:
        """Number of pixels of the common grid."""
        return int(self.manifest["n_pixels"])

    @property
    def complete(self) -> bool:
        """Whether the ingest that made this store has come to its end."""
        return bool(self.manifest["complete"])

    @property
    def arms(self) -> tuple[slice, ...]:
        """Slices of the pixels, one per arm."""
        return tuple(slice(*pixels) for pixels in self.manifest["arms"])

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(self.manifest["arm_names"])

    @property
    def medium(self) -> str:
        """Medium of the wavelengths: "air" or "vacuum"."""
        return str(self.manifest["medium"])

    @cached_property
    def _group(self) -> zarr.Group:
        try:
            return zarr.open_group(self.path / "spectra.zarr", mode="r")
        except FileNotFoundError as error:
            raise StoreError(f"{self.path}: spectra.zarr is missing; ingest again") from error

    @cached_property
    def wavelength(self) -> NDArray[np.float64]:
        """Common grid (P,), Å, in `medium`."""
        return np.asarray(self._group["wavelength"][:])

    @cached_property
    def catalogue(self) -> pd.DataFrame:
        """The catalogue (N rows), read on first use."""
        return self.read_catalogue()

    def read_catalogue(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read some columns of the catalogue.

        Parameters
        ----------
        columns : sequence of str, optional
            All by default.

        Raises
        ------
        DataError
            If a column is not there; the message lists those that are.
        """
        self._require_complete()
        path = self.path / "catalogue.parquet"
        if columns is not None:
            known = pq.read_schema(path).names
            missing = [name for name in columns if name not in known]
            if missing:
                raise DataError(
                    f"{self.path}: no column {', '.join(missing)}; there are {', '.join(known)}"
                )
        return pd.read_parquet(path, columns=list(columns) if columns is not None else None)

    def _require_complete(self) -> None:
        if not self.complete:
            raise StoreError(
                f"{self.path}: its ingest was interrupted after {len(self)} spectra; "
                "run the same ingest command again to finish it"
            )

    # ----------------------------------------------------------------------------- spectra

    def rows_of(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each identifier; an unknown one is a `DataError`."""
        lookup = pd.Index(self.read_catalogue(["id"])["id"].astype(str))
        rows = lookup.get_indexer(pd.Index([str(one) for one in ids]))
        if np.any(rows < 0):
            unknown = [str(one) for one, row in zip(ids, rows, strict=True) if row < 0]
            raise DataError(f"{self.path}: no spectrum with id {', '.join(unknown[:5])}")
        return rows.astype(np.int64)

    def spectra(self, rows: Any = None) -> Spectra:
        """Read spectra into memory.

        Parameters
        ----------
        rows : int, slice, sequence of int or bool mask, optional
            Rows of the catalogue, in any order; all of them by default.

        Returns
        -------
        Spectra
            flux and ivar as float32.
        """
        index = np.atleast_1d(np.arange(len(self))[slice(None) if rows is None else rows])
        return self._spectra(
            self._read("flux", index), self._read("ivar", index), self._rows_of_catalogue(index)
        )

    def _rows_of_catalogue(self, index: NDArray[np.int64]) -> pd.DataFrame:
        """Return rows of the catalogue, from the row groups that hold them if it is not read."""
        self._require_complete()
        if "catalogue" not in self.__dict__ and index.size and len(self) > 10 * index.size:
            parquet = self._parquet
            sizes = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
            starts = np.cumsum([0, *sizes])
            groups = np.unique(np.searchsorted(starts, index, side="right") - 1)
            held = np.concatenate([np.arange(starts[g], starts[g + 1]) for g in groups])
            frame = parquet.read_row_groups(groups.tolist()).to_pandas()
            return frame.iloc[np.searchsorted(held, index)].reset_index(drop=True)
        return self.catalogue.iloc[index].reset_index(drop=True)

    @cached_property
    def _parquet(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path / "catalogue.parquet")

    def _read(self, name: str, index: NDArray) -> NDArray[np.float32]:
        chunk = int(self.manifest["chunk_rows"])
        run = index.size > 1 and np.array_equal(index, np.arange(index[0], index[0] + index.size))
        if run and index.size >= chunk:  # whole chunks: Zarr reads several at a time
            return np.asarray(self._group[name][int(index[0]) : int(index[-1]) + 1])
        folder = self.path / "spectra.zarr" / name
        return read_rows(folder, index, chunk_rows=chunk, n_pixels=self.n_pixels)

    def _spectra(self, flux: NDArray, ivar: NDArray, table: pd.DataFrame) -> Spectra:
        return Spectra(
            self.wavelength,
            flux,
            ivar,
            self.medium,  # type: ignore[arg-type]
            arms=self.arms,
            arm_names=self.arm_names,
            resolution=tuple(self.manifest["resolution"]),
            table=table,
        )

    def iter_chunks(self, size: int | None = None) -> Iterator[Spectra]:
        """Stream all spectra in order, ``size`` rows at a time (whole chunks are fastest).

        Parameters
        ----------
        size : int, optional
            Rows per step; 512 rounded to whole chunks by default.
        """
        step = int(self.manifest["chunk_rows"])
        size = max(step, 512 // step * step) if size is None else size
        if size < 1:
            raise DataError(f"size: found {size}; expected at least 1")
        self.catalogue  # noqa: B018  (read once here, not by the thread below)
        pieces = [slice(start, start + size) for start in range(0, len(self), size)]
        with ThreadPoolExecutor(1) as ahead:  # the next piece is read while one is worked on
            waiting = [ahead.submit(self.spectra, piece) for piece in pieces[:1]]
            for piece in [*pieces[1:], None]:
                current = waiting.pop()
                if piece is not None:
                    waiting.append(ahead.submit(self.spectra, piece))
                yield current.result()

    # ---------------------------------------------------------------------------- products

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the products in the store."""
        return tuple(sorted(path.stem for path in (self.path / "products").glob("[!.]*.parquet")))

    def _product_path(self, name: str) -> Path:
        if not _PRODUCT_NAME.fullmatch(name):
            raise ProductError(
                f"product name: found {name!r}; expected letters, digits, '_', '-' and '.'"
            )
        return self.path / "products" / f"{name}.parquet"

    def product(self, name: str) -> pd.DataFrame:
        """Read a product; rows follow the catalogue unless it says otherwise."""
        path = self._product_path(name)
        if not path.is_file():
            known = ", ".join(self.products) or "none yet"
            raise ProductError(f"{self.path}: no product {name!r}; there are: {known}")
        return pd.read_parquet(path)

    def product_info(self, name: str) -> dict[str, Any]:
        """Return the provenance of a product: method, parameters, versions, time."""
        self.product_columns(name)
        metadata = pq.read_schema(self._product_path(name)).metadata or {}
        info = json.loads(metadata.get(_PROVENANCE, b"{}"))
        return info | {"n_rows": pq.read_metadata(self._product_path(name)).num_rows}

    def product_columns(self, name: str) -> tuple[str, ...]:
        """Return the column names of a product without reading it."""
        path = self._product_path(name)
        if not path.is_file():
            raise ProductError(f"{self.path}: no product {name!r}")
        return tuple(pq.read_schema(path).names)

    def write_product(
        self,
        name: str,
        frame: pd.DataFrame,
        *,
        method: str = "",
        parameters: dict[str, Any] | None = None,
    ) -> Path:
        """Write a result atomically, with its provenance inside the file.

        Parameters
        ----------
        name : str
            Letters, digits, ``_``, ``-`` and ``.``.
        frame : pandas.DataFrame
            Must have a column ``id``; every id must be one of the catalogue's.
        method : str
            What made it, for instance ``"tsne"``.
        parameters : dict, optional
            JSON-able parameters.

        Raises
        ------
        ProductError
            If the frame has no ``id``, or ids that the catalogue lacks.
        """
        return self.write_product_parts(name, [frame], method=method, parameters=parameters)

    def write_product_parts(
        self,
        name: str,
        frames: Iterable[pd.DataFrame],
        *,
        method: str = "",
        parameters: dict[str, Any] | None = None,
    ) -> Path:
        """Write a result that comes in parts, as `write_product`, holding one part at a time.

        Parameters
        ----------
        name, method, parameters
            See `write_product`.
        frames : iterable of pandas.DataFrame
            Parts with the same columns, in order.
        """
        path = self._product_path(name)
        known = set(self.read_catalogue(["id"])["id"])
        info = {
            "method": method,
            "parameters": parameters or {},
            "siderea": siderea.__version__,
            "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as handle, contextlib.ExitStack() as exit:
            writer: pq.ParquetWriter | None = None
            for frame in frames:
                _check_product(name, frame, known)
                table = pa.Table.from_pandas(frame, preserve_index=False)
                if writer is None:
                    metadata = {**(table.schema.metadata or {}), _PROVENANCE: json.dumps(info)}
                    schema = table.schema.with_metadata(metadata)
                    writer = exit.enter_context(pq.ParquetWriter(handle, schema))
                writer.write_table(table.cast(writer.schema), row_group_size=ROW_GROUP)
            if writer is None:
                raise ProductError(f"product {name!r}: found no part; expected at least one")
        return path

    def write_manifest(self) -> None:
        """Write ``manifest.json`` atomically: the commit point of every change."""
        write_json(self.path / "manifest.json", self.manifest)


def _check_product(name: str, frame: pd.DataFrame, known: set[str]) -> None:
    """Raise `ProductError` where a frame has no ``id``, or ids that are not ``known``."""
    if "id" not in frame:
        raise ProductError(f"product {name!r}: no column 'id'; found {list(frame.columns)}")
    strangers = [one for one in frame["id"] if one not in known]
    if strangers:
        raise ProductError(
            f"product {name!r}: {len(strangers)} ids are not in the catalogue, "
            f"for instance {strangers[0]!r}"
        )
