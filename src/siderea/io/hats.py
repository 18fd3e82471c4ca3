"""HATS catalogues: where their partitions are, and the files that make a folder of them one.

A HATS catalogue is a folder of Parquet files, one per HEALPix pixel, of sizes that follow the
density of stars (https://www.ivoa.net/documents/Notes/HATS/). LSDB opens what is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from siderea.errors import DataError, NotThisProductError
from siderea.io.files import atomic_write, full_disk_is_clear

__all__ = ["INDEX", "HatsHead", "Pixel", "finish_hats", "hats_head", "is_hats", "partition_name"]

INDEX = "_healpix_29"
"""Column of the nested HEALPix number of order 29, by which the rows of a partition are sorted."""
PROPERTIES = ("hats.properties", "properties")
EXPECTED = "a HATS catalogue (a folder with hats.properties, partition_info.csv and dataset/)"

Pixel = tuple[int, int]
"""Order, and nested number."""


@dataclass(frozen=True)
class HatsHead:
    """What a HATS catalogue says of itself.

    Parameters
    ----------
    path : Path
        Folder of the catalogue; in a collection, that of its main catalogue.
    name : str
    pixels : tuple of (order, number)
    suffix : str
        Ending of the files of partitions.
    ra, dec : str
        Columns of the position.
    """

    path: Path
    name: str
    pixels: tuple[Pixel, ...]
    suffix: str = ".parquet"
    ra: str = "ra"
    dec: str = "dec"

    @property
    def common_metadata(self) -> Path:
        """The file with the schema."""
        return self.path / "dataset" / "_common_metadata"

    def files(self) -> tuple[list[str], list[Path]]:
        """Return the names that outputs of the partitions have, and the partitions' files."""
        names = [partition_name(pixel) for pixel in self.pixels]
        own = [name.removesuffix(".parquet") + self.suffix for name in names]
        return names, [self.path / name for name in own]


def is_hats(path: str | Path) -> bool:
    """Tell whether a folder is a HATS catalogue or a collection of some."""
    path = Path(path)
    return path.is_dir() and any(
        (path / name).is_file() for name in (*PROPERTIES, "collection.properties")
    )


def hats_head(path: str | Path) -> HatsHead:
    """Read what a HATS catalogue says of itself.

    Raises
    ------
    NotThisProductError
        If it says too little.
    """
    path = Path(path)
    if (path / "collection.properties").is_file():
        path = path / _properties(path / "collection.properties")["hats_primary_table_url"]
    file = next((path / name for name in PROPERTIES if (path / name).is_file()), None)
    if file is None:
        raise NotThisProductError(path, "no hats.properties", EXPECTED)
    said = _properties(file)
    try:
        rows = (path / "partition_info.csv").read_text().splitlines()
        order, number = (rows[0].split(",").index(name) for name in ("Norder", "Npix"))
        cells = [row.split(",") for row in rows[1:] if row.strip()]
        pixels = tuple((int(cell[order]), int(cell[number])) for cell in cells)
    except (OSError, ValueError, IndexError) as error:
        raise NotThisProductError(path / "partition_info.csv", str(error), EXPECTED) from error
    suffix = said.get("hats_npix_suffix", ".parquet")
    if suffix in ("/", "\\"):
        raise NotThisProductError(path, "partitions that are folders", "one file per partition")
    return HatsHead(
        path,
        said.get("obs_collection", path.name),
        pixels,
        suffix,
        said.get("hats_col_ra", "ra"),
        said.get("hats_col_dec", "dec"),
    )


def partition_name(pixel: Pixel) -> str:
    """Return the name of a partition's file below the folder of the catalogue."""
    order, number = pixel
    return f"dataset/Norder={order}/Dir={number // 10_000 * 10_000}/Npix={number}.parquet"


def finish_hats(
    folder: Path,
    name: str,
    pixels: Sequence[Pixel],
    schema: pa.Schema,
    *,
    ra: str = "ra",
    dec: str = "dec",
) -> int:
    """Write the files that make a folder of partitions a HATS catalogue, the properties last.

    Parameters
    ----------
    folder : Path
        With the partitions in it.
    name : str
        Of the catalogue.
    pixels : sequence of (order, number)
    schema : pyarrow.Schema
        Of every partition.
    ra, dec : str
        Columns of the position.

    Returns
    -------
    int
        Rows in all.
    """
    try:
        from hats.catalog import PartitionInfo, TableProperties
        from hats.pixel_math import HealpixPixel
    except ImportError:
        raise DataError(
            "HATS catalogues need LSDB, which is not installed; pip install 'siderea[scale]'"
        ) from None
    rows = _write_metadata(folder, pixels, schema)
    with full_disk_is_clear(folder):
        info = PartitionInfo([HealpixPixel(*pixel) for pixel in pixels])
        info.write_to_file(folder / "partition_info.csv")
        properties: dict[str, Any] = {
            "catalog_name": name,
            "catalog_type": "object",
            "total_rows": sum(rows),
            "ra_column": ra,
            "dec_column": dec,
            "hats_max_rows": max(rows, default=0),
            "hats_order": max((order for order, _ in pixels), default=0),
            "moc_sky_fraction": f"{sum(4.0**-order / 12 for order, _ in pixels):.6f}",
            "hats_builder": "siderea",
            "hats_version": "v1.0",
        }
        if INDEX in schema.names:
            properties |= {"healpix_column": INDEX, "healpix_order": 29}
        TableProperties(**properties).to_properties_file(folder)
    return sum(rows)


def _write_metadata(folder: Path, pixels: Sequence[Pixel], schema: pa.Schema) -> list[int]:
    """Join the footers of all partitions; return the rows of each."""
    footers = []
    for pixel in sorted(pixels):
        footer = pq.read_metadata(folder / partition_name(pixel))
        footer.set_file_path(partition_name(pixel).removeprefix("dataset/"))
        footers.append(footer)
    content = pa.BufferOutputStream()
    pq.write_metadata(schema, content)
    joined = pq.read_metadata(pa.BufferReader(content.getvalue()))
    with atomic_write(folder / "dataset" / "_common_metadata") as handle:
        handle.write(content.getvalue())
    for footer in footers:
        joined.append_row_groups(footer)
    with atomic_write(folder / "dataset" / "_metadata") as handle:
        joined.write_metadata_file(handle)
    return [footer.num_rows for footer in footers]


def _properties(file: Path) -> dict[str, str]:
    lines = (line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in lines if not key.startswith(("#", "!"))}
