"""A small store to explore: 60 spectra of two arms, maps, classes, odd names; and its client."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from siderea.data import Spectra
from siderea.io.store import SurveyStore

N = 60
SCRIPT = "<script>alert(1)</script>"


def table():
    rng = np.random.default_rng(5)
    rows = np.arange(N)
    teff = 4000.0 + 50 * rows
    teff[3] = np.nan
    dec = np.linspace(-60, 10, N)
    dec[5] = np.nan
    return pd.DataFrame(
        {
            "id": [f"s{row:03d}" for row in rows],
            "star_id": [f"star{row // 2}" for row in rows],
            "ra": np.linspace(10, 350, N),
            "dec": dec,
            "teff": teff,
            "logg": np.where(rows % 2, 4.5, 2.5),
            "snr": rng.uniform(5, 100, N).astype(np.float32),
            "flags": np.where(rows % 10 == 0, 2, 0) + np.where(rows == 1, 64, 0),
            "sort": np.where(rows % 3 == 0, SCRIPT, "plain"),
            "seen": rows % 2 == 0,
            "number": 131116000501000 + rows,
            "a/b ../c": rows * 1.5,
            SCRIPT: rows % 7,
        }
    )


def make(path: Path) -> SurveyStore:
    rng = np.random.default_rng(6)
    wavelength = np.concatenate([np.linspace(4850, 4875, 40), np.linspace(6550, 6580, 60)])
    flux = (1 + 0.01 * np.arange(N)[:, None] + rng.normal(0, 0.01, (N, 100))).astype(np.float32)
    ivar = np.full((N, 100), 1e4, dtype=np.float32)
    ivar[4, :40] = 0
    ivar[:, 99] = 0
    spectra = Spectra(
        wavelength,
        flux,
        ivar,
        "air",
        arms=(slice(0, 40), slice(40, 100)),
        arm_names=("blue", "red"),
        resolution=(28_000.0,),
        table=table(),
    )
    store = SurveyStore.create(path, spectra)
    _products(store, rng)
    return store


def _products(store, rng):
    ids = store.catalogue["id"].to_numpy()
    rows = np.arange(N)
    x, y = np.where(rows < 30, 0.0, 10.0) + rows / 100, rows / 50
    x[-1] = y[-1] = np.nan
    frame = pd.DataFrame({"id": ids, "x": x, "y": y, "x_2": x + 1, "y_2": y})
    store.write_product("tsne", frame, method="tsne", parameters={"perplexity": 5.0})
    order = rng.permutation(N - 1)  # another order, and the last one is missing
    values = np.where(rows < 30, 0.0, 2.0)[:, None] + rng.normal(0, 1, (N, 4))
    features = pd.DataFrame(
        values[order].astype(np.float32), columns=[f"pca_{i}" for i in range(4)]
    )
    features.insert(0, "id", ids[order])
    store.write_product("tsne_features", features, method="pca")
    words = np.where(rows < 30, "NOR", "BIN").astype(object)
    words[7] = None
    classes = pd.DataFrame({"id": ids, "class": words, "probability": rows / N, "class_flags": 1})
    classes["score"] = 0.5
    store.write_product("classes", classes.iloc[::-1], method="classify")
    some = pd.DataFrame({"id": ids[:10], "n_components": 2, "flags": 8, "score": 1.5})
    store.write_product("detections_ccf", some, method="ccf")


def client(path, **options):
    """Return a client of the application, and the application."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises another HTTP library
        from fastapi.testclient import TestClient

    from siderea.explorer.app import create_app

    app = create_app(path, **options)
    return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=True)


def rows_body(rows):
    return np.asarray(rows, dtype="<u4").tobytes()


class Process:
    """``siderea explore`` as a process of its own, on any free port of loopback."""

    def __init__(self, path: Path, *options: str) -> None:
        run = "from siderea.cli import main; main()"
        self.popen = subprocess.Popen(
            [sys.executable, "-c", run, "explore", str(path), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.line = self.popen.stdout.readline()
        self.address = self.line.partition(" at ")[2].split(" ")[0].rstrip("/")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def kill(self) -> None:
        """As ``kill -9``: no time to finish anything."""
        self.popen.kill()
        self._reap()

    def stop(self) -> None:
        self.popen.terminate()
        self._reap()

    def _reap(self) -> None:
        self.popen.wait(timeout=20)
        self.popen.stdout.close()
