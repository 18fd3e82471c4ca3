"""Catalogues of any size, read partition by partition: HATS, Parquet (files or folders), FITS.

A `Partition` says where some rows of a catalogue are; reading one needs nothing else, so that it
can be sent to another process or machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from siderea.errors import DataError, NotThisProductError
from siderea.io.catalogue import read_table
from siderea.io.hats import HatsHead, hats_head, is_hats

__all__ = ["Partition", "PartitionedTable", "open_partitions", "read_partition"]

ROWS = 250_000
"""Rows of a partition at most, where the catalogue itself is not cut smaller."""
EXPECTED = (
    "a HATS catalogue, a Parquet file, a folder of them, or a FITS, CSV, VOTable or ECSV table"
)


@dataclass(frozen=True)
class Partition:
    """Some rows of a catalogue.

    Parameters
    ----------
    name : str
        Name of the file, below the folder of the output, that holds what becomes of them.
    path : str
        The file that they are in.
    n_rows : int
        −1 where the file cannot be read.
    start : int
        First row (FITS and text).
    row_groups : tuple of int, optional
        Row groups of a Parquet file; all of them when None.
    """

    name: str
    path: str
    n_rows: int
    start: int = 0
    row_groups: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """Rows to work off."""
        return max(self.n_rows, 0)


@dataclass(frozen=True)
class PartitionedTable:
    """A catalogue, none of whose rows have been read.

    Parameters
    ----------
    path : Path
    schema : pyarrow.Schema
        Columns of every partition.
    partitions : tuple of Partition
    hats : HatsHead, optional
        What a HATS catalogue says of itself.
    """

    path: Path
    schema: pa.Schema
    partitions: tuple[Partition, ...]
    hats: HatsHead | None = None

    @property
    def n_rows(self) -> int:
        """Rows of the partitions that can be read."""
        return sum(max(part.n_rows, 0) for part in self.partitions)


def open_partitions(path: str | Path) -> PartitionedTable:
    """Find the partitions of a catalogue, of which only the footers are read.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    PartitionedTable

    Raises
    ------
    DataError
        If there is no such catalogue, or it is of no known kind.
    """
    path = Path(path).absolute()  # a worker may stand in another folder
    if is_hats(path):
        return _hats(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*.parquet") if _is_data(file, path))
        if not files:
            raise NotThisProductError(path, "no Parquet file in it", EXPECTED)
        return _parquet(path, files)
    if not path.is_file():
        raise DataError(f"{path}: no such catalogue; expected {EXPECTED}")
    if path.suffix in (".parquet", ".pq"):
        return _parquet(path, [path])
    if path.name.removesuffix(".gz").endswith((".fits", ".fit")):
        return _fits(path)
    return _whole(path)


def read_partition(part: Partition, columns: Sequence[str]) -> pa.Table:
    """Read columns of a partition.

    Raises
    ------
    DataError
        If the file is damaged, lacks a column, or has not the rows that it had.
    """
    if part.path.endswith((".parquet", ".pq")):
        table = _read_parquet(part, columns)
    elif Path(part.path).name.removesuffix(".gz").endswith((".fits", ".fit")):
        table = _read_fits(part, columns)
    else:
        frame = read_table(part.path)
        table = pa.Table.from_pandas(frame[list(columns)], preserve_index=False)
    if part.n_rows not in (table.num_rows, -1):
        raise DataError(f"{part.path}: found {table.num_rows} rows; expected {part.n_rows}")
    return table.replace_schema_metadata(None)


def _is_data(file: Path, folder: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def _hats(path: Path) -> PartitionedTable:
    head = hats_head(path)
    partitions = tuple(
        Partition(name, str(file), _rows_of(file)) for name, file in zip(*head.files(), strict=True)
    )
    schema = _first_schema([head.common_metadata, *(part.path for part in partitions)], path)
    return PartitionedTable(path, schema, partitions, head)


def _parquet(path: Path, files: list[Path]) -> PartitionedTable:
    partitions: list[Partition] = []
    for file in files:
        for groups, n_rows in _groups(file):
            name = f"part-{len(partitions):06d}.parquet"
            partitions.append(Partition(name, str(file), n_rows, row_groups=groups))
    return PartitionedTable(path, _first_schema(files, path), tuple(partitions))


def _groups(file: Path) -> Iterable[tuple[tuple[int, ...] | None, int]]:
    """Yield runs of row groups of about `ROWS` rows; the whole file where it cannot be read."""
    try:
        metadata = pq.read_metadata(file)
    except (OSError, pa.ArrowInvalid):
        yield None, -1
        return
    run: list[int] = []
    size = 0
    for number in range(metadata.num_row_groups):
        rows = metadata.row_group(number).num_rows
        if run and size + rows > ROWS:
            yield tuple(run), size
            run, size = [], 0
        run.append(number)
        size += rows
    yield tuple(run), size


def _rows_of(file: str | Path) -> int:
    try:
        return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowInvalid):
        return -1


def _first_schema(files: Iterable[str | Path], path: Path) -> pa.Schema:
    for file in files:
        try:
            return pq.read_schema(file).remove_metadata()
        except (OSError, pa.ArrowInvalid):
            continue
    raise NotThisProductError(path, "no partition that can be read", EXPECTED)


def _read_parquet(part: Partition, columns: Sequence[str]) -> pa.Table:
    try:
        with pq.ParquetFile(part.path) as file:
            lacking = [name for name in columns if name not in file.schema_arrow.names]
            if lacking:
                raise DataError(f"{part.path}: found no column {', '.join(lacking)}")
            if part.row_groups is None:
                return file.read(columns=list(columns), use_threads=False)
            return file.read_row_groups(part.row_groups, columns=list(columns), use_threads=False)
    except FileNotFoundError:
        raise DataError(f"{part.path}: no such file") from None
    except (OSError, pa.ArrowException) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{part.path}: damaged ({reason})") from error


def _fits(path: Path) -> PartitionedTable:
    from astropy.io import fits

    try:
        with fits.open(path, memmap=True) as hdus:
            n_rows = int(hdus[1].header["NAXIS2"])
            schema = _arrow(hdus[1].data[:0]).schema
    except (OSError, IndexError, KeyError, TypeError) as error:
        raise NotThisProductError(path, f"no table ({error})", EXPECTED) from error
    starts = range(0, max(n_rows, 1), ROWS)
    partitions = tuple(
        Partition(f"part-{k:06d}.parquet", str(path), min(ROWS, n_rows - start), start)
        for k, start in enumerate(starts)
    )
    return PartitionedTable(path, schema, partitions)


def _read_fits(part: Partition, columns: Sequence[str]) -> pa.Table:
    from astropy.io import fits

    with fits.open(part.path, memmap=True) as hdus:
        return _arrow(hdus[1].data[part.start : part.start + part.n_rows], columns)


def _arrow(rows: np.ndarray, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the one-dimensional columns of FITS rows, in the machine's own byte order."""
    known = rows.dtype.names or ()
    names = columns or [name for name in known if rows.dtype[name].subdtype is None]
    arrays = {}
    for name in names:
        values = np.asarray(rows[name])
        if values.dtype.kind in "SU":
            arrays[name] = pa.array([str(value).strip() for value in values], type=pa.string())
        else:
            arrays[name] = pa.array(values.astype(values.dtype.newbyteorder("=")))
    return pa.table(arrays)


def _whole(path: Path) -> PartitionedTable:
    """Open a text table or a VOTable, which is read as one partition."""
    frame = read_table(path)
    schema = pa.Schema.from_pandas(frame, preserve_index=False).remove_metadata()
    partition = Partition("part-000000.parquet", str(path), len(frame))
    return PartitionedTable(path, schema, (partition,))
