"""What a `SurveyStore` costs: opening, one spectrum, a full pass; and the layouts beside it.

    python benchmarks/store.py [--spectra 16384] [--layouts]

The pass is set beside a plain read of the same bytes from the same disk (one NumPy file, cold and
warm alike: whichever state the page cache is in after writing). "cold" drops a file's pages first.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import zarr

from siderea.data import Spectra
from siderea.io.store import SurveyStore
from siderea.io.writer import StoreWriter

PIXELS = 16_384


def rows(n: int, start: int) -> Spectra:
    rng = np.random.default_rng(start)
    flux = rng.normal(1.0, 0.05, (n, PIXELS)).astype(np.float32)
    table = pd.DataFrame({"id": [f"s{start + row}" for row in range(n)], "teff": 5000.0})
    arms = tuple(slice(i * 4096, (i + 1) * 4096) for i in range(4))
    return Spectra(np.linspace(4e3, 8e3, PIXELS), flux, flux, "air", arms, table=table)


def drop_cache(folder: Path) -> None:
    """Ask the system to forget the pages of every file below a folder."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as handle:
                os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(action) -> tuple[float, object]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def store(folder: Path, n: int) -> None:
    block = rows(1024, 0)
    megabytes = n * PIXELS * 4 * 2 / 1e6
    path = folder / "a.siderea"
    with StoreWriter.create(path, block[:0]) as writer:
        start = time.perf_counter()
        for first in range(0, n, 1024):
            ids = [f"s{first + row}" for row in range(1024)]
            table = block.table.assign(id=ids)
            writer.append(
                Spectra(block.wavelength, block.flux, block.ivar, "air", block.arms, table=table)
            )
        writer.finish()
    print(f"write        {megabytes / (time.perf_counter() - start):8.0f} MB/s")
    seconds = [timed(lambda: SurveyStore.open(path))[0] for _ in range(20)]
    print(f"open         {1e3 * np.median(seconds):8.2f} ms")
    opened = SurveyStore.open(path)
    opened.spectra(0)
    rng = np.random.default_rng(1)
    for state in ("cold", "warm"):
        if state == "cold":
            drop_cache(path)
        seconds = [timed(lambda row=row: opened.spectra(row))[0] for row in rng.integers(0, n, 50)]
        print(f"one spectrum {1e3 * np.median(seconds):8.2f} ms  ({state}, median of 50)")
    plain = folder / "plain.npy"
    np.save(plain, np.zeros((n, PIXELS), dtype=np.float32))
    for state in ("cold", "warm"):
        if state == "cold":
            drop_cache(folder)
        spent, _ = timed(lambda: sum(len(chunk) for chunk in opened.iter_chunks()))
        if state == "cold":
            drop_cache(folder)
        raw, _ = timed(lambda: read_all(plain))
        print(
            f"full pass    {megabytes / spent:8.0f} MB/s ({state}); a plain file "
            f"{megabytes / 2 / raw:.0f} MB/s"
        )


def read_all(path: Path) -> int:
    """Read a file to its end, four megabytes at a time."""
    total = 0
    with open(path, "rb", buffering=0) as handle:
        while piece := handle.read(4 * 2**20):
            total += len(piece)
    return total


def full_size(folder: Path) -> None:
    """The format at 600,000 spectra: everything but the bytes of the chunks is there."""
    path = folder / "full.siderea"
    with StoreWriter.create(path, rows(1, 0)[:0]) as writer:
        writer.append(rows(64, 0))
        finished = writer.finish()
    group = zarr.open_group(path / "spectra.zarr", mode="r+")
    for name in ("flux", "ivar"):
        group[name].resize((600_000, PIXELS))
    finished.manifest["n_spectra"] = 600_000
    finished.write_manifest()
    ids = np.char.add("s", np.arange(600_000).astype(str))
    pd.DataFrame({"id": ids, **{f"c{i}": np.arange(6e5) for i in range(40)}}).to_parquet(
        path / "catalogue.parquet", row_group_size=8192
    )
    spent, opened = timed(lambda: SurveyStore.open(path))
    print(f"600,000 x {PIXELS}: open {1e3 * spent:.1f} ms", end="")
    print(
        f", first spectrum with its 41 columns {1e3 * timed(lambda: opened.spectra(7))[0]:.0f} ms",
        end="",
    )
    print(f", the next {1e3 * timed(lambda: opened.spectra(31))[0]:.1f} ms")


LAYOUTS = ((16, 0, 0), (64, 0, 0), (256, 0, 0), (1, 256, 0), (16, 256, 0), (64, 0, 1))
"""Rows per chunk, rows per shard (0: none), and whether zstd packs them."""


def layouts(folder: Path, n: int = 2048) -> None:
    data = rows(n, 0).flux
    for number, layout in enumerate(LAYOUTS):
        one_layout(folder / str(number), data, *layout)


def one_layout(path: Path, data: np.ndarray, chunk: int, shard: int, packed: int) -> None:
    n, step, size = len(data), max(chunk, shard), data.nbytes / 1e6
    group = zarr.open_group(path, mode="w", zarr_format=3)
    array = group.create_array(
        "flux",
        shape=data.shape,
        chunks=(chunk, PIXELS),
        shards=(shard, PIXELS) if shard else None,
        dtype="f4",
        compressors="auto" if packed else None,
    )

    def fill() -> None:
        for start in range(0, n, step):
            array[start : start + step] = data[start : start + step]

    write, _ = timed(fill)
    picks = np.random.default_rng(0).integers(0, n, 50)
    row, _ = timed(lambda: [array[int(i)] for i in picks])
    whole, _ = timed(lambda: [array[i : i + 512] for i in range(0, n, 512)])
    print(
        f"chunk {chunk:4d} shard {shard:4d} {'zstd' if packed else 'raw ':4s}  write "
        f"{size / write:6.0f} MB/s   row {20 * row:5.2f} ms   pass {size / whole:6.0f} MB/s"
    )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--spectra", type=int, default=16_384)
    options.add_argument("--layouts", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if given.layouts:
            layouts(Path(name))
        else:
            full_size(Path(name))
            store(Path(name), given.spectra // 1024 * 1024)


if __name__ == "__main__":
    main()
