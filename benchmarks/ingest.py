"""How fast GALAH files become a store, and how much memory it takes.

    python benchmarks/ingest.py [--stars 3000] [--jobs 2]

The real stars of SIDEREA_DATA are linked under new identifiers to make as many as asked for; the
files are in the page cache from a first read ("a warm disk"). Beside it: the bare reading of the
same extensions with astropy on as many processes, which bounds what any reader built on it can do.
"""

import argparse
import os
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psutil
from astropy.io import fits

from siderea.pipelines.ingest import ingest


def link_stars(source: Path, target: Path, n: int) -> list[Path]:
    """Link the sample's files under n new identifiers; return all of them."""
    stars = sorted({path.name[:15] for path in source.glob("*.fits")})
    files = []
    for star in range(n):
        for path in source.glob(f"{stars[star % len(stars)]}?.fits"):
            link = target / f"{800_000_000_000_000 + star}{path.name[15:]}"
            link.symlink_to(path.resolve())
            files.append(link)
    return files


class Peak(threading.Thread):
    """Peak memory of this process and its children: resident, and without what they share."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.rss = self.pss = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self.over.wait(0.2):
            rss = pss = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    info = process.memory_full_info()
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
                rss, pss = rss + info.rss, pss + info.pss
            self.rss, self.pss = max(self.rss, rss / 2**20), max(self.pss, pss / 2**20)


def bare(path: Path) -> float:
    """Read with plain astropy what the reader needs of one file."""
    with fits.open(path, memmap=False) as hdus:
        return float(hdus[0].data[0] + hdus[1].data[0] + hdus[4].data[0] + hdus[4].header["CRVAL1"])


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--stars", type=int, default=3000)
    options.add_argument("--jobs", type=int, default=2)
    given = options.parse_args()
    data = Path(os.environ.get("SIDEREA_DATA", "../shared/data"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        files = link_stars(data / "galah_dr3" / "spectra", folder / "files", given.stars)
        for path in files:
            path.read_bytes()
        start = time.perf_counter()
        with ProcessPoolExecutor(given.jobs) as pool:
            list(pool.map(bare, files, chunksize=64))
        plain = time.perf_counter() - start
        peak = Peak()
        peak.start()
        before, start = os.times(), time.perf_counter()
        result = ingest("galah", [folder / "files"], folder / "a.siderea", jobs=given.jobs)
        wall, after = time.perf_counter() - start, os.times()
        peak.over.set()
    cpu = sum(after[:4]) - sum(before[:4])
    n = len(result.store)
    print(f"{n} stars, {len(files)} files, {given.jobs} processes")
    print(f"ingest   {n / wall:7.1f} stars/s   {1000 * cpu / n:6.1f} ms CPU per star")
    print(f"astropy  {n / plain:7.1f} stars/s   bare reading of the same extensions")
    print(f"peak memory of all processes: {peak.pss:.0f} MiB (resident, shared pages once)")


if __name__ == "__main__":
    main()
