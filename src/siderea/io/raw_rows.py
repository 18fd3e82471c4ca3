"""Single rows out of the raw chunks of a Zarr v3 array.

Zarr reads whole chunks: for a thousand spectra picked all over a survey that is four gigabytes for
sixty-five megabytes of pixels. An uncompressed chunk of whole rows is nothing but its rows one
after another (Zarr v3 specification, codec ``bytes``), so a row is one read at a known place.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siderea.errors import StoreError

__all__ = ["read_rows"]


def read_rows(
    array: Path, index: NDArray[np.int64], *, chunk_rows: int, n_pixels: int
) -> NDArray[np.float32]:
    """Read rows of a float32 array chunked by whole rows without compression.

    Parameters
    ----------
    array : Path
        Folder of the array (``.../spectra.zarr/flux``).
    index : (M,) ndarray of int
        Rows, in any order, repeats allowed.
    chunk_rows, n_pixels : int
        Shape of a chunk.

    Returns
    -------
    (M, P) ndarray of float32

    Raises
    ------
    StoreError
        If a chunk is missing or cut short.
    """
    rows = np.empty((index.size, n_pixels), dtype="<f4")
    chunk, inside = np.divmod(index, chunk_rows)
    for number in np.unique(chunk):
        path = array / "c" / str(number) / "0"
        try:
            with open(path, "rb", buffering=0) as handle:
                for place in np.flatnonzero(chunk == number):
                    _fill(rows[place], handle.fileno(), int(inside[place]) * rows[place].nbytes)
        except (FileNotFoundError, EOFError) as error:
            raise StoreError(f"{path}: the chunk is missing or cut short; ingest again") from error
    return rows.astype(np.float32, copy=False)


def _fill(row: NDArray, file: int, offset: int) -> None:
    if os.preadv(file, [row.data], offset) != row.nbytes:
        raise EOFError
