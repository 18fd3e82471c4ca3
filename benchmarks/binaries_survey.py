"""A survey of 600,000 spectra through the cross-correlation: time, memory, and the same on Dask.

    python benchmarks/binaries_survey.py FOLDER [--stars 600000] [--dask [ROWS]]

The store has 600,000 rows of which 20,480 are different: its chunks of 64 spectra are links to
those of one simulated store (79 GB of spectra from 2.7 GB of disk; what is read again may come from
memory, so that the disk is spared, the processors are not). With ``--dask`` the same run on a
cluster of two workers, of all rows or the first ROWS, and its table against the first one, byte for
byte of every column.
"""

import argparse
import json
import os
import resource
import threading
import time
from pathlib import Path

import pandas as pd

from siderea.io.store import SurveyStore
from siderea.pipelines.detect import detect_ccf
from siderea.pipelines.limits import InjectionRecipe, inject

DIFFERENT, SEED = 20_480, 2026


def survey_of(source: SurveyStore, path: Path, n: int) -> SurveyStore:
    """Make a store of n rows from links to the chunks of a smaller one."""
    manifest = json.loads((source.path / "manifest.json").read_text())
    chunk, rows = manifest["chunk_rows"], manifest["n_spectra"]
    if rows % chunk or n % chunk:
        raise SystemExit(f"rows: found {rows} and {n}; expected multiples of {chunk}")
    if (path / "manifest.json").is_file():
        return SurveyStore.open(path)
    for array in ("flux", "ivar"):
        folder = path / "spectra.zarr" / array
        for number in range(n // chunk):
            target = folder / "c" / str(number) / "0"
            target.parent.mkdir(parents=True, exist_ok=True)
            same = number % (rows // chunk)
            if not target.exists():
                os.link(source.path / "spectra.zarr" / array / "c" / str(same) / "0", target)
        described = json.loads((source.path / "spectra.zarr" / array / "zarr.json").read_text())
        described["shape"][0] = n
        (folder / "zarr.json").write_text(json.dumps(described))
    for part in ("wavelength", "zarr.json"):
        target = path / "spectra.zarr" / part
        if not target.exists():
            os.symlink((source.path / "spectra.zarr" / part).resolve(), target)
    one = source.read_catalogue()
    times = -(-n // rows)
    catalogue = pd.concat([one] * times, ignore_index=True).iloc[:n]
    catalogue["id"] = [f"{number:012d}" for number in range(n)]
    catalogue.to_parquet(path / "catalogue.parquet", index=False, row_group_size=8192)
    (path / "products").mkdir(exist_ok=True)
    manifest["n_spectra"] = n
    (path / "manifest.json").write_text(json.dumps(manifest))
    return SurveyStore.open(path)


class Memory(threading.Thread):
    """The largest memory of this process and its children together, MiB, every second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest, self.on = 0.0, True

    def run(self) -> None:
        import psutil

        me = psutil.Process()
        while self.on:
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.largest = max(self.largest, total / 2**20)
            time.sleep(1.0)


def used() -> float:
    """Return the processor time of this process and its ended children, s."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def timed(store: SurveyStore, name: str, **how: object) -> None:
    """Search the store and say what it took."""
    memory, begin, before = Memory(), time.perf_counter(), used()
    memory.start()
    told = [0]

    def progress(done: int, total: int) -> None:
        if done * 20 // total > told[0]:
            told[0] = done * 20 // total
            print(f"  {done} of {total}, {time.perf_counter() - begin:.0f} s", flush=True)

    result = detect_ccf(store.path, name=name, progress=progress, **how)
    memory.on = False
    wall = time.perf_counter() - begin
    print(
        f"{name}: {result.n_spectra} spectra, {wall:.0f} s ({result.n_spectra / wall:.0f} per "
        f"second), {used() - before:.0f} s of processor time, {memory.largest:.0f} MiB at most; "
        f"{result.n_searched} searched, {result.n_multiple} multiple",
        flush=True,
    )


def main(folder: Path, stars: int, dask: int) -> None:
    """Run it."""
    source = inject(folder / "mbench.siderea", InjectionRecipe(DIFFERENT, SEED), jobs=2)
    store = survey_of(source, folder / "survey.siderea", stars)
    if "detections_ccf" not in store.products:
        timed(store, "detections_ccf", jobs=2)
    if not dask:
        return
    from distributed import LocalCluster

    part = store if dask >= stars else survey_of(source, folder / f"first{dask}.siderea", dask)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        timed(part, "detections_dask", scheduler=cluster.scheduler_address)
    one, two = store.product("detections_ccf").iloc[:dask], part.product("detections_dask")
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    print(f"identical: {len(one)} rows, {len(one.columns)} columns")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stars", type=int, default=600_000)
    parser.add_argument("--dask", type=int, nargs="?", const=10**9, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    main(options.folder, options.stars, options.dask)
