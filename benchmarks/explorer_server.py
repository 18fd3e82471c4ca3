"""What the explorer's server costs at survey size: 587,154 spectra of four GALAH arms.

    python benchmarks/explorer_server.py make survey.siderea [--spectra 587154]
    python benchmarks/explorer_server.py measure survey.siderea

``make`` writes a store of simulated places on a map (a continuum and islands) and labels drawn with
them, with the columns of GALAH DR3's catalogues: names, kinds and number, not the values. Its
spectra are 1,024 of the emulator's stars with noise; the chunks of the rest are links to theirs, so
that every spectrum is read from the disk as in a real store. ``measure`` starts the server as a
process of its own, and asks it as the page does.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from siderea.data import Spectra
from siderea.io.galah import GRID
from siderea.io.store import SurveyStore
from siderea.io.writer import StoreWriter

SPECTRA = 587_154
REAL_SPECTRA = 1024
RUN = "from siderea.cli import main; main()"
ELEMENTS = (  # of GALAH DR3
    "Li C O Na Mg Al Si K Ca Sc Ti Ti2 V Cr Mn Co Ni Cu Zn Rb Sr Y Zr Mo Ru Ba La Ce Nd Sm Eu"
)
ISLANDS = (
    # class, share, centre, width
    ("HFR", 0.07, (42.0, 18.0), 5.0),
    ("MAB", 0.05, (-38.0, 30.0), 4.5),
    ("CMP", 0.026, (-30.0, -34.0), 4.0),
    ("BIN", 0.022, (30.0, -30.0), 3.0),
    ("WRD", 0.006, (4.0, 52.0), 2.0),
    ("CEH", 0.0015, (-52.0, 2.0), 1.2),
    ("HAE", 0.001, (54.0, 4.0), 1.2),
    ("TRI", 0.0001, (40.0, -40.0), 0.6),
)


def make(path: Path, n: int) -> None:
    """Write the store."""
    rng = np.random.default_rng(20261127)
    drawn = _drawn(n, rng)
    catalogue = _catalogue(drawn, rng)
    with StoreWriter.create(path, _spectra(catalogue.iloc[:0], rng)) as writer:
        writer.append(_spectra(catalogue.iloc[:REAL_SPECTRA], rng))
        store = writer.finish()
    _grow(store, catalogue)
    store = SurveyStore.open(path)
    ids = catalogue["id"]
    known = {"id": ids, "x": drawn["x"].to_numpy(), "y": drawn["y"].to_numpy()}
    store.write_product("tsne", pd.DataFrame(known), method="tsne", parameters={"perplexity": 30.0})
    store.write_product("tsne_features", _features(drawn, ids, rng), method="pca")
    store.write_product("classes", _classes(drawn, ids, rng), method="classify")
    store.write_product("detections_ccf", _detections(drawn, ids, rng), method="ccf")
    print(f"{path}: {n} spectra, {len(catalogue.columns)} columns in the catalogue")


def _drawn(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw places, classes and labels: a continuum that temperature orders, and islands."""
    teff = np.clip(rng.normal(5400, 750, n), 3700, 7800)
    giant = rng.random(n) < 0.35
    logg = np.where(giant, rng.normal(2.4, 0.5, n), rng.normal(4.35, 0.2, n))
    fe_h = np.clip(rng.normal(-0.1, 0.3, n), -2.5, 0.6)
    angle = (teff - 3700) / 4100 * 3.6 + 0.4 * rng.normal(size=n) + np.where(giant, 2.6, 0.0)
    reach = 22 + 14 * np.sin(3 * angle) + 6 * fe_h + rng.normal(0, 5, n)
    x, y = reach * np.cos(angle), reach * np.sin(angle)
    kind = np.full(n, "NOR", dtype=object)
    start = 0
    order = rng.permutation(n)
    for name, share, centre, width in ISLANDS:
        rows = order[start : start + int(share * n)]
        start += rows.size
        kind[rows] = name
        x[rows], y[rows] = (rng.normal(c, width, rows.size) for c in centre)
    return pd.DataFrame({"x": x, "y": y, "teff": teff, "logg": logg, "fe_h": fe_h, "class": kind})


def _catalogue(drawn: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return columns as GALAH DR3 has them."""
    n = len(drawn)
    number = 131116000501000 + 1000 * np.arange(n) + rng.integers(1, 400, n)
    snr = rng.lognormal(3.4, 0.5, n)
    columns: dict[str, object] = {
        "id": number.astype(str),
        "star_id": [f"{a:08d}{b:+08d}" for a, b in rng.integers(0, 24_000_000, (n, 2)).tolist()],
        "sobject_id": number,
        "source_id": rng.integers(2**60, 2**62, n),
        "survey_name": pd.Series(
            np.array(["galah_main", "galah_bright", "galah_faint", "k2_hermes", "tess_hermes"])[
                rng.integers(0, 5, n)
            ]
        ),
        "field_id": rng.integers(1, 7117, n),
        "ra": rng.uniform(0, 360, n),
        "dec": np.degrees(np.arcsin(rng.uniform(-1, 0.17, n))),
        "mjd": rng.uniform(56600, 58400, n),
        "rv": rng.normal(0, 40, n),
        "rv_err": rng.lognormal(-2, 0.5, n),
        "flags": rng.choice([0, 0, 0, 0, 1, 2, 64, 128], n),
        "snr": snr,
        **{
            f"snr_{arm}": snr * f
            for arm, f in zip(GRID.arm_names, (0.7, 0.9, 1.1, 1.2), strict=True)
        },
        "ew_halpha": 1.5 + (drawn["teff"].to_numpy() - 5400) / 1500 + rng.normal(0, 0.2, n),
        "ew_hbeta": 1.2 + (drawn["teff"].to_numpy() - 5400) / 1600 + rng.normal(0, 0.2, n),
        "flag_sp": rng.choice([0, 0, 0, 1, 16, 512], n),
        "red_flag": rng.choice([0, 0, 0, 1, 8], n),
        "chi2_sp": rng.lognormal(0, 0.5, n),
    }
    for name in ("teff", "logg", "fe_h"):
        columns[name] = drawn[name].to_numpy()
        columns[f"{name}_err"] = rng.lognormal(-3, 0.4, n) * (1000 if name == "teff" else 1)
    for name in ("alpha_fe", "vmic", "vbroad"):
        columns[name] = rng.normal(1, 0.5, n)
        columns[f"{name}_err"] = rng.lognormal(-3, 0.4, n)
    for element in ELEMENTS.split():
        missing = rng.random(n) < 0.3
        columns[f"{element.lower()}_fe"] = np.where(missing, np.nan, rng.normal(0, 0.2, n))
        columns[f"{element.lower()}_fe_err"] = np.where(missing, np.nan, rng.lognormal(-3, 0.4, n))
        columns[f"flag_{element.lower()}_fe"] = np.where(missing, 32, 0)
    for band in ("g", "bp", "rp", "j", "h", "ks", "w2"):
        columns[f"mag_{band}"] = rng.normal(13, 1, n)
    for name in ("parallax", "parallax_err", "ruwe", "ebv", "distance", "age", "mass", "radius"):
        columns[name] = rng.lognormal(0, 0.5, n)
    return pd.DataFrame(columns)


def _spectra(table: pd.DataFrame, rng: np.random.Generator) -> Spectra:
    """Return stars of the emulator with the noise of their S/N."""
    from siderea.models.emulator import load_default

    model = load_default().at(GRID.wavelength, resolution=28_000, medium="air", arms=GRID.arms)
    n = len(table)
    flux = np.ones((n, GRID.wavelength.size), dtype=np.float32)
    if n:
        low, high = model.label_range.T
        wanted = np.column_stack([table[name] for name in ("teff", "logg", "fe_h")])
        labels = np.column_stack([wanted, np.zeros(n), np.full(n, 1.2)])
        flux = model.predict(np.clip(labels, low, high)).astype(np.float32)
    error = 1 / table["snr"].to_numpy()[:, None]
    flux = flux + rng.normal(0, 1, flux.shape) * error
    ivar = np.broadcast_to(error**-2, flux.shape)
    return Spectra(
        GRID.wavelength,
        flux.astype(np.float32),
        ivar.astype(np.float32),
        "air",
        arms=GRID.arms,
        arm_names=GRID.arm_names,
        resolution=(28_000.0,),
        table=table.reset_index(drop=True),
    )


def _grow(store: SurveyStore, catalogue: pd.DataFrame) -> None:
    """Give the store all rows: their chunks are links to those that were written."""
    import zarr

    n, step = len(catalogue), int(store.manifest["chunk_rows"])
    group = zarr.open_group(store.path / "spectra.zarr", mode="r+")
    for name in ("flux", "ivar"):
        group[name].resize((n, store.n_pixels))
        chunks = store.path / "spectra.zarr" / name / "c"
        for chunk in range(REAL_SPECTRA // step, -(-n // step)):
            (chunks / str(chunk)).mkdir(exist_ok=True)
            link = chunks / str(chunk) / "0"
            os.link(chunks / str(chunk % (REAL_SPECTRA // step)) / "0", link)
    catalogue.to_parquet(store.path / "catalogue.parquet", row_group_size=8192, index=False)
    store.manifest["n_spectra"] = n
    store.write_manifest()


def _features(drawn: pd.DataFrame, ids: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    """Return 50 features: the map's axes, the labels, the classes, and noise."""
    told = np.column_stack([drawn[["x", "y"]], drawn[["teff", "logg", "fe_h"]] / [500, 0.5, 0.2]])
    classes = pd.get_dummies(drawn["class"]).to_numpy() * 5.0
    values = rng.normal(0, 1, (len(drawn), 50)).astype(np.float32)
    values[:, :5] += told
    values[:, 5 : 5 + classes.shape[1]] += classes
    frame = pd.DataFrame(values, columns=[f"pca_{i + 1}" for i in range(50)])
    frame.insert(0, "id", ids.to_numpy())
    return frame


def _classes(drawn: pd.DataFrame, ids: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    n = len(drawn)
    return pd.DataFrame(
        {
            "id": ids.to_numpy(),
            "class": drawn["class"].where(rng.random(n) < 0.97, None).to_numpy(),
            "probability": rng.uniform(0.4, 1, n),
            "source": rng.choice(["human", "propagated", "detector"], n),
            "cluster": rng.integers(-1, 40, n),
            "class_flags": rng.choice([0, 0, 0, 1, 4], n),
            "margin": rng.uniform(0, 1, n),
            "novelty": rng.uniform(0, 1, n),
            "flags": rng.choice([0, 0, 0, 64], n),
        }
    )


def _detections(drawn: pd.DataFrame, ids: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    n = len(drawn)
    two = (drawn["class"] == "BIN").to_numpy()
    frame = {
        "id": ids.to_numpy(),
        "n_components": np.where(two, 2, 1),
        "significance": rng.lognormal(0, 1, n),
        "flux_ratio": rng.uniform(0, 1, n),
        "vsini": rng.lognormal(2, 0.4, n),
    }
    for star in range(1, 5):
        for name in ("rv_{}", "rv_{}_err", "height_{}", "vsini_{}"):
            there = (star == 1) | (two & (star == 2))
            frame[name.format(star)] = np.where(there, rng.normal(0, 30, n), np.nan)
    return pd.DataFrame(frame | {"flags": rng.choice([0, 0, 0, 8, 16], n)})


# ------------------------------------------------------------------------------ measure


class Server:
    """The explorer as a process of its own."""

    def __init__(self, path: Path) -> None:
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, "explore", str(path), "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.address = line.split(" at ")[1].split()[0].rstrip("/")
        self.ready = time.perf_counter() - self.started

    def ask(self, path: str, body: bytes | None = None, kind: str = "") -> tuple[bytes, float]:
        headers = {"Accept-Encoding": "gzip"} | ({"Content-Type": kind} if kind else {})
        request = urllib.request.Request(self.address + path, data=body, headers=headers)
        start = time.perf_counter()
        with urllib.request.urlopen(request) as reply:
            content = reply.read()
        return content, time.perf_counter() - start

    def memory(self) -> float:
        """Return resident memory, MiB."""
        return psutil.Process(self.process.pid).memory_info().rss / 2**20

    def cpu(self) -> float:
        """Return processor time that it has taken, s."""
        return sum(psutil.Process(self.process.pid).cpu_times()[:2])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


def measure(path: Path) -> None:
    server = Server(path)
    try:
        _first_view(server)
        _clicks(server)
        _selections(server)
        _learning(server)
    finally:
        server.stop()
    again(path)


def again(path: Path) -> None:
    """Start once more: the summaries of the columns were kept."""
    server = Server(path)
    try:
        _, spent = server.ask("/api/schema")
        print(
            f"second start: address after {server.ready:.2f} s, schema in {spent:.2f} s, CPU "
            f"{server.cpu():.1f} s, RSS {server.memory():.0f} MiB"
        )
    finally:
        server.stop()


def _first_view(server: Server) -> None:
    print(f"process to address said       {server.ready:7.2f} s   RSS {server.memory():5.0f} MiB")
    text, spent = server.ask("/api/schema")
    schema = json.loads(gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text)
    server.schema = schema  # type: ignore[attr-defined]
    print(
        f"schema, {len(schema['columns'])} columns, at once {spent:7.2f} s   "
        f"{len(text) / 1e6:.2f} MB   RSS {server.memory():5.0f} MiB   CPU {server.cpu():.1f} s"
    )
    print(f"schema again                  {1e3 * server.ask('/api/schema')[1]:7.1f} ms")
    places, spent_map = server.ask(f"/api/maps/{schema['default']['map']}/xy")
    colour, spent_colour = server.ask(f"/api/columns/{schema['default']['colour']}")
    total = (len(text) + len(places) + len(colour)) / 1e6
    print(
        f"map {1e3 * spent_map:.0f} ms, column {1e3 * spent_colour:.0f} ms; "
        f"first view {total:.2f} MB"
    )
    kinds = {}
    for column in schema["columns"]:
        if column["kind"] != "text":
            content, spent = server.ask(f"/api/columns/{column['key']}")
            kinds.setdefault(column["kind"], []).append((spent, len(content)))
    for kind, values in kinds.items():
        spent, size = np.median(values, axis=0)
        print(
            f"  {len(values):3d} columns, {kind:8s} median {1e3 * spent:6.1f} ms "
            f"{size / 1e6:5.2f} MB"
        )
    print(f"all columns were asked for: RSS {server.memory():.0f} MiB")


def _clicks(server: Server) -> None:
    rng = np.random.default_rng(1)
    rows = rng.integers(0, server.schema["n_rows"], 200)  # type: ignore[attr-defined]
    for name, path in (
        ("spectrum", "/api/spectra/{}"),
        ("object", "/api/objects/{}"),
        ("neighbours on the map", "/api/neighbours/{}?space=map:tsne"),
        ("neighbours by features", "/api/neighbours/{}?space=features:tsne"),
        ("ccf", "/api/spectra/{}/ccf"),
        ("search of an id's middle", "/api/search?q=1{:04d}"),
    ):
        few = rows[:20] if name != "spectrum" else rows
        spent = [server.ask(path.format(few[0]))[1]]
        before = server.cpu()
        spent += [server.ask(path.format(row))[1] for row in few[1:]]
        each = 1e3 * (server.cpu() - before) / (few.size - 1)
        low, high = np.percentile(spent[1:], [50, 95])
        print(
            f"{name:26s} first {1e3 * spent[0]:7.1f} ms, median {1e3 * low:6.1f}, "
            f"95 % {1e3 * high:6.1f}, CPU {each:5.1f}   RSS {server.memory():.0f} MiB"
        )


def _selections(server: Server) -> None:
    rng = np.random.default_rng(2)
    n = server.schema["n_rows"]  # type: ignore[attr-defined]
    for text in (
        "teff > 5000 and snr >= 40",
        'classes.class in ("BIN", "TRI") or has(flags, "NO_RV")',
        "sqrt(rv**2 + (dec - 20)**2) < 30 and not missing(li_fe) and 4 <= logg <= 5",
    ):
        body = json.dumps({"expression": text}).encode()
        content, spent = server.ask("/api/filter", body, "application/json")
        before = server.cpu()
        _, again = server.ask("/api/filter", body, "application/json")
        again_cpu = server.cpu() - before
        print(
            f"filter {1e3 * spent:6.0f} ms, again {1e3 * again:5.0f} ms, CPU "
            f"{1e3 * again_cpu:.0f}, {len(content) / 1e6:.2f} MB: {text}"
        )
    for size in (146, 2000, 100_000):
        rows = rng.choice(n, size, replace=False).astype("<u4").tobytes()
        before = server.cpu()
        spent = server.ask("/api/selection/spectrum", rows)[1]
        cpu = server.cpu() - before
        print(
            f"mean of {size:6d} spectra {1e3 * spent:7.0f} ms, CPU {1e3 * cpu:.0f}   "
            f"RSS {server.memory():.0f} MiB"
        )
    rows = rng.choice(n, 10_000, replace=False).astype("<u4").tobytes()
    for kind in ("csv", "fits", "votable"):
        before = server.cpu()
        content, spent = server.ask(f"/api/export?format={kind}", rows)
        print(
            f"export 10,000 rows, {kind:8s}   {1e3 * spent:7.0f} ms, CPU "
            f"{1e3 * (server.cpu() - before):.0f} {len(content) / 1e6:6.1f} MB"
            f"   RSS {server.memory():.0f} MiB"
        )


def _learning(server: Server) -> None:
    """Label islands of the map by boxes, as with a lasso, and refit."""
    for name, _, (x, y), width in (*ISLANDS[:5], ("NOR", 0, (0, 20), 6.0)):
        where = f"abs(tsne.x - {x}) < {width} and abs(tsne.y - {y}) < {width}".replace("- -", "+ ")
        body = json.dumps({"expression": where}).encode()
        rows = np.flatnonzero(np.frombuffer(_plain(server, body), dtype=np.uint8))[:300]
        said = {"rows": rows.tolist(), "kind": "class", "value": name, "user": "benchmark"}
        spent = server.ask("/api/labels", json.dumps(said).encode(), "application/json")[1]
        print(f"label {rows.size} spectra {name}: {1e3 * spent:.0f} ms")
    start, before, most = time.perf_counter(), server.cpu(), server.memory()
    server.ask("/api/classify", b"")
    while json.loads(server.ask("/api/classify")[0])["state"] == "running":
        most = max(most, server.memory())
        time.sleep(0.05)
    told = json.loads(server.ask("/api/classify")[0])
    print(
        f"refit: {told['state']}, {told['message']}; {time.perf_counter() - start:.1f} s, CPU "
        f"{server.cpu() - before:.1f} s, most RSS {most:.0f} MiB"
    )
    print(f"review queue of 50: {1e3 * server.ask('/api/review?n=50')[1]:.0f} ms")


def _plain(server: Server, body: bytes) -> bytes:
    request = urllib.request.Request(
        server.address + "/api/filter", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        return reply.read()


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("what", choices=("make", "measure"))
    options.add_argument("store", type=Path)
    options.add_argument("--spectra", type=int, default=SPECTRA)
    given = options.parse_args()
    if given.what == "make":
        make(given.store, given.spectra)
    else:
        measure(given.store)


if __name__ == "__main__":
    main()
