"""The store as the explorer sees it: names, tables, maps, spectra; read when they are asked for."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from siderea.errors import StoreError
from siderea.explorer.columns import Columns, Table
from siderea.explorer.ids import RowNames
from siderea.explorer.refusals import AbsentError
from siderea.explorer.tables import ParquetTable, signature
from siderea.io.raw_rows import read_rows
from siderea.io.store import SurveyStore

__all__ = ["SECOND_PASS", "MapInfo", "Survey"]

_LOOK_EVERY = 2.0
"""Seconds between looks at the products folder."""

_FEATURES = "_features"
SECOND_PASS = ":2"
"""Ends the name of the map of a second pass."""


@dataclass(frozen=True)
class MapInfo:
    """A map of the store.

    Parameters
    ----------
    name : str
        Product, or ``product:2`` for its second pass.
    product : str
    axes : (str, str)
        Columns.
    method : str
    parameters : dict
    version : str
    """

    name: str
    product: str
    axes: tuple[str, str]
    method: str
    parameters: dict[str, Any]
    version: str


class Survey:
    """One store, opened.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.

    Raises
    ------
    StoreError
        If it is no complete store.
    """

    def __init__(self, path: str | Path) -> None:
        self.store = SurveyStore.open(path)
        if not self.store.complete:
            raise StoreError(f"{path}: its ingest was interrupted; run it again to finish it")
        catalogue = self.store.path / "catalogue.parquet"
        known = pq.read_schema(catalogue).names
        wanted = [name for name in ("id", "star_id") if name in known]
        table = pq.read_table(catalogue, columns=wanted).combine_chunks()
        texts = [table[name].combine_chunks().cast(pa.string()) for name in wanted]
        self.names = RowNames(*texts)
        self.columns = Columns()
        self._extra: dict[str, Table] = {}
        self._looked = -np.inf
        self._found: dict[str, ParquetTable] = {}
        self._infos: dict[str, tuple[str, dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self.refresh()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def kind(self) -> str:
        """``"spectra"`` or ``"lightcurves"``."""
        return str(self.store.manifest.get("kind", "spectra"))

    @property
    def axis(self) -> tuple[str, str]:
        """Name and unit of what the grid counts."""
        axis = self.store.manifest.get("axis", {})
        return str(axis.get("name", "wavelength")), str(axis.get("unit", "Å"))

    # -------------------------------------------------------------------------- tables

    def refresh(self) -> None:
        """Look whether products were written, taken away or replaced since."""
        with self._lock:
            if time.monotonic() - self._looked < _LOOK_EVERY:
                return
            found = {"catalogue": self._table("catalogue")}
            found |= {name: self._table(name) for name in self.store.products}
            self._found = {name: table for name, table in found.items() if table is not None}
            self._looked = time.monotonic()
            self._show()

    def add(self, table: Table) -> None:
        """Show a table that is no product beside those of the store, in place of an older one."""
        with self._lock:
            if self._extra.get(table.name) is not table:
                self._extra[table.name] = table
                self._show()

    def _show(self) -> None:
        shown: list[Table] = [
            table
            for name, table in self._found.items()
            if not name.endswith(_FEATURES) and name not in self._extra
        ]
        self.columns.set_tables([*shown, *self._extra.values()])

    def _table(self, name: str) -> ParquetTable | None:
        """Return a table, the one from before if its file is the same; None if it cannot be one."""
        root = self.store.path
        path = root / ("catalogue.parquet" if name == "catalogue" else f"products/{name}.parquet")
        try:
            table = ParquetTable(name, path, None if name == "catalogue" else self.names)
        except (OSError, pa.ArrowException):
            return None
        old = self._found.get(name)
        if old is not None and old.version == table.version:
            return old
        return table if name == "catalogue" or "id" in table.columns else None

    @property
    def version(self) -> str:
        """Changes when any table does."""
        said = [f"{name}={table.version}" for name, table in self.columns.tables.items()]
        return hashlib.sha256("\n".join(sorted(said)).encode()).hexdigest()[:16]

    def table(self, name: str) -> ParquetTable:
        """Return the catalogue or a product.

        Raises
        ------
        AbsentError
            If there is none.
        """
        if name not in self._found:
            raise AbsentError(f"no product {name[:60]!r}; there are {', '.join(self._found)}")
        return self._found[name]

    def products(self) -> dict[str, ParquetTable]:
        """Return all products by name, features included."""
        return {name: table for name, table in self._found.items() if name != "catalogue"}

    # ---------------------------------------------------------------------------- maps

    def maps(self) -> list[MapInfo]:
        """Return the maps of the store."""
        found = []
        for name, table in self.products().items():
            for suffix, axes in (("", ("x", "y")), (SECOND_PASS, ("x_2", "y_2"))):
                if set(axes) <= set(table.columns):
                    info = self._info(name, table.version)
                    parameters = dict(info.get("parameters", {}))
                    method = str(info.get("method", ""))
                    found.append(
                        MapInfo(name + suffix, name, axes, method, parameters, table.version)
                    )
        return found

    def _info(self, name: str, version: str) -> dict[str, Any]:
        """Return the provenance of a product, read once."""
        known = self._infos.get(name)
        if known is None or known[0] != version:
            known = (version, self.store.product_info(name))
            self._infos[name] = known
        return known[1]

    def map(self, name: str) -> MapInfo:
        """Return a map by name; an `AbsentError` where there is none."""
        for one in self.maps():
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.maps()) or "none yet: run siderea embed"
        raise AbsentError(f"no map {name[:60]!r}; there are: {known}")

    def places(self, name: str) -> NDArray[np.float32]:
        """Return places (N, 2) on a map, NaN off it."""
        found = self.map(name)
        places = [self.columns.values(f"{found.product}:{axis}").array for axis in found.axes]
        return np.stack([one.astype("<f4") for one in places], axis=1)

    def features(self) -> list[str]:
        """Return the maps whose features are in the store."""
        names = [name for name in self.products() if name.endswith(_FEATURES)]
        return [name.removesuffix(_FEATURES) for name in names]

    def features_version(self, name: str) -> str:
        """Return what changes when the features of a map do; `AbsentError` where there are none."""
        if name not in self.features():
            known = ", ".join(self.features()) or "none: run siderea embed again"
            raise AbsentError(f"no features of map {name[:60]!r}; there are: {known}")
        return self.table(name + _FEATURES).version

    def feature_matrix(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the rows (M,) that have features of a map, and these (M, K).

        Raises
        ------
        AbsentError
            If the store holds none.
        """
        self.features_version(name)
        table = self.table(name + _FEATURES)
        columns = [one for one in table.columns if one != "id"]
        matrix = np.empty((len(self), len(columns)), dtype=np.float32)
        for number, column in enumerate(columns):
            values = table.read(column).to_numpy(zero_copy_only=False)
            matrix[:, number] = values.astype(np.float32)
        usable = np.isfinite(matrix).all(axis=1)
        return np.flatnonzero(usable), matrix if usable.all() else matrix[usable]

    # ------------------------------------------------------------------------- spectra

    @property
    def grid_version(self) -> str:
        """Changes when the spectra may have."""
        return signature(self.store.path / "manifest.json")

    def flux_and_ivar(self, rows: NDArray[np.int64]) -> tuple[NDArray, NDArray]:
        """Return flux and ivar (M, P) of rows, float32, read from the chunks that hold them."""
        store = self.store
        folder, chunk = store.path / "spectra.zarr", int(store.manifest["chunk_rows"])
        flux, ivar = (
            read_rows(folder / name, rows, chunk_rows=chunk, n_pixels=store.n_pixels)
            for name in ("flux", "ivar")
        )
        return flux, ivar
