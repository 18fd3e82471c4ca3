"""The mock Milky Way at size: labels, distances and map, their times, memory, and what comes out.

    python benchmarks/milky_way.py run --stars 18000000 --model MODEL --folder DIR [--jobs 2]
    python benchmarks/milky_way.py {kill,cluster} --model MODEL --folder DIR     # after run
    python benchmarks/milky_way.py gradients --folder DIR                        # after run
    SIDEREA_DATA=... python benchmarks/milky_way.py stripe82 --folder DIR        # real stars, LSDB

`kill` ends every step by SIGKILL at half and starts it again; `cluster` is two Dask workers; both
compare their bytes with those of `run`.

Every step is a command in a process of its own: wall time, processor time (user and system, all
processes), and the largest memory of all its processes together (sum of PSS, twice a second).
MODEL is what `siderea photometry train` makes of `siderea simulate photometry --seed 77`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

TURN_OFF = "14.5 < sdss_r < 20 and 0.2 < sdss_g - sdss_r < 0.4 and 0.8 < distance < 9"
"""The stars of Ivezić et al. (2008), Figure 8: of any metallicity, so that no cut in a noisy label
stands between the gradient and the truth."""
A = {"u": 4.239, "g": 3.303, "r": 2.285, "i": 1.698}
TRUTH = ["--column", "fe_h=true_fe_h", "--column", "distance=true_distance"]
TRUTH += [text for band in "gr" for text in ("--column", f"mag_sdss_{band}=true_mag_sdss_{band}")]


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float
    memory: float  # GiB


def measured(arguments: Sequence[object], *, kill_at: Path | None = None, n_parts: int = 0) -> Cost:
    """Run a command of siderea; with ``kill_at``, kill it once that folder has so many parts."""
    script = "import sys; from siderea.cli import main; sys.argv[0] = 'siderea'; main()"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start, peak = time.perf_counter(), [0.0]
    alone = kill_at is not None  # a group of its own, to be killed with its workers
    quiet = subprocess.DEVNULL
    running = subprocess.Popen(command, stderr=quiet, stdout=quiet, start_new_session=alone)
    threading.Thread(target=_watch, args=(running.pid, peak), daemon=True).start()
    if kill_at is not None:
        while running.poll() is None and len(parts(kill_at)) < n_parts:
            time.sleep(0.2)
        os.killpg(running.pid, signal.SIGKILL)
    code = running.wait()
    if code and kill_at is None:
        raise SystemExit(f"{' '.join(command[3:])}: ended with {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(getattr(after, k) - getattr(before, k) for k in ("ru_utime", "ru_stime"))
    return Cost(time.perf_counter() - start, cpu, peak[0] / 2**30)


def _watch(pid: int, peak: list[float]) -> None:
    while psutil.pid_exists(pid):
        total = 0.0
        try:
            whole = psutil.Process(pid)
            for process in (whole, *whole.children(recursive=True)):
                total += process.memory_full_info().pss
        except psutil.Error:
            pass
        peak[0] = max(peak[0], total)
        time.sleep(0.5)


def parts(folder: Path) -> list[Path]:
    return sorted(folder.rglob("Npix=*.parquet"))


def steps(
    options: argparse.Namespace, output: Path, where: Sequence[object]
) -> list[tuple[str, Path, list]]:
    """Return the steps asked for, with what they write and their commands, from those of `run`."""
    folder = Path(options.folder)
    every = {
        "predict": ("labels", [options.model, folder / "mock"]),
        "distances": ("places", [folder / "labels", "--stars", "simulated"]),
        "map": ("map", [folder / "places"]),
    }
    return [
        (name, output / made, ["photometry", name, *rest, "--output", output / made, *where])
        for name, (made, rest) in every.items()
        if name in options.steps
    ]


def show(name: str, n: int, cost: Cost) -> None:
    speed, rate = n / (cost.wall or 1), n / (cost.cpu or 1)
    print(
        f"{name:12s} {cost.wall:7.1f} s wall {cost.cpu:7.1f} s CPU {speed:9,.0f} stars/s "
        f"{rate:9,.0f} stars/CPU s {cost.memory:5.2f} GiB",
        flush=True,
    )


def run(options: argparse.Namespace) -> None:
    """Time the steps asked for; what an earlier start has done is not done again."""
    folder, n = Path(options.folder), options.stars
    folder.mkdir(parents=True, exist_ok=True)
    where = ["--jobs", options.jobs]
    sky = ["simulate", "photometry", "--hats", "--stars", n, "--seed", options.seed]
    if "simulate" in options.steps:
        show("simulate", n, measured([*sky, "--output", folder / "mock", *where]))
    total = Cost(0.0, 0.0, 0.0)
    for name, _, command in steps(options, folder, where):
        cost = measured(command)
        show(name, n, cost)
        total = Cost(total.wall + cost.wall, total.cpu + cost.cpu, max(total.memory, cost.memory))
    show("but simulate", n, total)
    if "gradients" in options.steps:
        gradients(options)


def gradients(options: argparse.Namespace) -> None:
    """Map the turn-off stars of any [Fe/H], with what was found and with the truth; compare."""
    folder, where = Path(options.folder), ["--jobs", str(options.jobs)]
    found = {}
    for name, columns in (("found", []), ("truth", TRUTH)):
        plane = folder / f"map_{name}"
        command = ["photometry", "map", folder / "places", "--output", plane, "--select", TURN_OFF]
        measured([*command, *columns, *where])
        table = pd.read_csv(plane / "gradients.csv")
        found[name] = table[table["direction"] == "z"].set_index("at")
    both = found["found"].join(found["truth"].add_suffix("_true"), how="inner")
    for ring, line in both.iterrows():
        pull = (line.slope - line.slope_true) / (line.slope_err**2 + line.slope_err_true**2) ** 0.5
        print(
            f"R = {ring:4.1f} kpc: d[Fe/H]/d|Z| {line.slope:+.4f} ± {line.slope_err:.4f}, "
            f"truth {line.slope_true:+.4f} ± {line.slope_err_true:.4f} dex/kpc ({pull:+.1f} σ)"
        )
    if options.images:
        shutil.copy(folder / "map_found" / "rz.png", Path(options.images) / "milky_way.png")


def fingerprint(folder: Path) -> str:
    """Digest of all tables and figures of a result, names included."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".parquet", ".csv", ".png") or path.name.startswith("_common"):
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


def compare(made: Path, again: Path) -> None:
    same = fingerprint(made) == fingerprint(again)
    print(f"{made.name}: {'identical bytes' if same else 'DIFFERENT'}", flush=True)
    shutil.rmtree(again)


def kill(options: argparse.Namespace) -> None:
    """Do steps again, each killed at half and started anew; compare with `run`."""
    folder, again = Path(options.folder), Path(options.folder) / "killed"
    shutil.rmtree(again, ignore_errors=True)
    n_parts = len(parts(folder / "mock"))
    for name, output, command in steps(options, again, ["--jobs", options.jobs]):
        first = measured(command, kill_at=output, n_parts=n_parts // 2)
        made = len(parts(output))
        second = measured(command)
        print(f"{name}: killed with {made} of {n_parts} partitions after {first.wall:.0f} s, "
              f"finished in {second.wall:.0f} s", flush=True)  # fmt: skip
        compare(folder / output.name, output)


def cluster(options: argparse.Namespace) -> None:
    """Do steps again on a Dask cluster of two workers; compare with `run`."""
    from distributed import LocalCluster

    folder, again = Path(options.folder), Path(options.folder) / "cluster"
    shutil.rmtree(again, ignore_errors=True)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit="3GiB"
    ) as made:
        for name, output, command in steps(options, again, ["--scheduler", made.scheduler_address]):
            print(f"{name}: {measured(command).wall:.0f} s", flush=True)
            compare(folder / output.name, output)


def stripe82(options: argparse.Namespace) -> None:
    """Real stars: train on SEGUE; predict, distances and map of Stripe 82; compare with formulae.

    SEGUE's colours are not free of extinction, so the network is given those of Stripe 82 as they
    are, and the field is redder than SEGUE's mean: the offset from Bond et al. (2010) shows it.
    """
    data = Path(os.environ.get("SIDEREA_DATA", "../shared/data")) / "photometry"
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    model, source = folder / "segue", data / "stripe82_hats" / "s82_0_5"
    if not model.with_suffix(".json").exists():
        segue_table(data).to_parquet(folder / "segue.parquet")
        show("train", 20_930, measured(
            ["photometry", "train", folder / "segue.parquet", "--output", model, "--epochs", 15]
        ))  # fmt: skip
    columns = [
        text
        for b in "ugriz"
        for text in ("--column", f"mag_sdss_{b}={b}mag", "--column", f"mag_sdss_{b}_err={b}Err")
    ]
    columns += ["--column", "ebv=Ar / 2.285"]
    where = ["--jobs", str(options.jobs)]
    for name, command in (
        ("predict", ["predict", model, source, "--output", folder / "labels", *columns, *where]),
        ("distances", ["distances", folder / "labels", "--output", folder / "places", *where]),
        ("map", ["map", folder / "places", "--output", folder / "map", "--select",
                 f"{TURN_OFF} and isfinite(mag_sdss_u)", "--minimum", 1]),
    ):  # fmt: skip
        show(name, 3981, measured(["photometry", *command]))
    real_stars(folder)
    if options.images:
        shutil.copy(folder / "map" / "rz_stars.png", Path(options.images) / "stripe82_map.png")


def segue_table(data: Path) -> pd.DataFrame:
    """Return SEGUE as a table of magnitudes relative to r, and [Fe/H]."""
    from siderea.photometry.colours import from_colours

    raw = pd.read_csv(data / "segue_ugriz_feh.csv.gz")
    bands = [f"sdss_{b}" for b in "ugriz"]
    pairs = zip(pairwise(bands), ("ug", "gr", "ri", "iz"), strict=True)
    stars = from_colours({pair: raw[name] for pair, name in pairs}, reference="sdss_r")
    table = pd.DataFrame(stars.mag, columns=[f"mag_{name}" for name in stars.bands])
    return table.assign(fe_h=raw["feh"])


def real_stars(folder: Path) -> None:
    """Say how labels and distances of Stripe 82 agree with formulae, and with LSDB's own way."""
    import lsdb

    from siderea.pipelines.distances import DistanceStep
    from siderea.stellar.photometric_parallax import ivezic2008_absolute_magnitude
    from siderea.stellar.relations import bond2010_fe_h

    step = DistanceStep()
    catalogue = lsdb.open_catalog(folder / "labels")
    names = [name for name in catalogue.columns if name in step.wanted]
    through = catalogue.map_partitions(lambda part: part.assign(**step(part[names]))).compute()
    stars = lsdb.open_catalog(folder / "places").compute()
    same = np.array_equal(through["distance"], stars["distance"], equal_nan=True)
    print(f"{len(stars)} stars; distances through LSDB's map_partitions are the same: {same}")
    numbers = stars.select_dtypes("number").astype(float)
    mag = {b: numbers[f"mag_sdss_{b}"] - A[b] * numbers["ebv"] for b in "ugri"}
    u_g, g_r = mag["u"] - mag["g"], mag["g"] - mag["r"]
    good = (mag["r"] < 20) & (numbers["mag_sdss_u_err"] < 0.05)
    bond = bond2010_fe_h(u_g, g_r)
    _say("[Fe/H] - Bond 2010", (numbers["fe_h"] - bond)[good])
    absolute, _ = ivezic2008_absolute_magnitude(mag["g"] - mag["i"], bond)
    modulus = 5 * np.log10(numbers["distance"]) + 10
    _say("modulus - Ivezic 2008", (modulus - (mag["r"] - absolute))[good & (g_r > 0.2)])


def _say(name: str, difference: pd.Series) -> None:
    values = np.asarray(difference, dtype=float)
    values = values[np.isfinite(values)]
    middle = np.median(values)
    width = 1.4826 * np.median(np.abs(values - middle))
    print(f"{name}: median {middle:+.3f}, MAD-sigma {width:.3f}, {values.size} stars")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "kill", "cluster", "gradients", "stripe82"])
    parser.add_argument("--stars", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    names = ("simulate", "predict", "distances", "map", "gradients")
    parser.add_argument("--steps", nargs="+", choices=names, default=names)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--model", default="model")
    parser.add_argument("--folder", default="milky_way")
    parser.add_argument("--images", help="folder to put the figures of the documentation in")
    chosen = parser.parse_args()
    jobs = {"run": run, "kill": kill, "cluster": cluster, "gradients": gradients}
    (jobs | {"stripe82": stripe82})[chosen.what](chosen)
