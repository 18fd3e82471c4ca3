"""A small store of known stars, the explorer that serves it, and a browser that looks at it."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from siderea.data import Spectra
from siderea.io.store import SurveyStore

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
START = "from siderea.cli import main; main()"
EVIL = '<img src=x onerror="window.hacked=1">'
ISLANDS = (("NOR", -20.0, 0.0), ("BIN", 12.0, 14.0), ("HAE", 14.0, -12.0))
STARS = 120  # per island
PIXELS = 250  # per arm
ARMS = ("blue", "red")
HALPHA = 6562.8


def survey_table(rng):
    """Return the catalogue, the map's places and the classes of the islands."""
    n = STARS * len(ISLANDS)
    name = np.repeat([one for one, _, _ in ISLANDS], STARS)
    x = np.concatenate([rng.normal(cx, 2.0, STARS) for _, cx, _ in ISLANDS])
    y = np.concatenate([rng.normal(cy, 2.0, STARS) for _, _, cy in ISLANDS])
    giant = name == "NOR"
    catalogue = pd.DataFrame(
        {
            "id": [f"star_{i:04d}" for i in range(n)],
            "star_id": [f"S{i // 2:04d}" for i in range(n)],
            "ra": rng.uniform(0, 360, n),
            "dec": np.degrees(np.arcsin(rng.uniform(-1, 0.3, n))),
            "teff": np.where(giant, rng.normal(4600, 150, n), rng.normal(6100, 250, n)),
            "logg": np.where(giant, rng.normal(2.4, 0.3, n), rng.normal(4.3, 0.1, n)),
            "fe_h": rng.normal(-0.2, 0.2, n),
            "snr": rng.lognormal(3.6, 0.4, n),
            "flags": np.where(np.arange(n) % 10 == 3, 1 | 128, 0),
            "field": np.where(np.arange(n) % 2, "north", "south"),
            f"bad {EVIL}": rng.normal(size=n),
            "note": np.where(np.arange(n) % 40 == 7, EVIL, "plain"),
        }
    )
    catalogue.loc[5, "teff"] = np.nan
    catalogue.loc[7, "id"] = f"evil_{EVIL}"
    return catalogue, np.column_stack([x, y]).astype(np.float32), name


def write_store(path):
    """Write the store; return what is known of it."""
    rng = np.random.default_rng(20261127)
    catalogue, places, name = survey_table(rng)
    n = len(catalogue)
    wavelength = np.concatenate([np.linspace(4718, 4900, PIXELS), np.linspace(6481, 6739, PIXELS)])
    depth = np.where(name == "HAE", -0.8, 0.6)
    flux = 1 - depth[:, None] * np.exp(-0.5 * ((wavelength - HALPHA) / 2.0) ** 2)
    sigma = 1 / catalogue["snr"].to_numpy()[:, None]
    flux = (flux + rng.normal(size=flux.shape) * sigma).astype(np.float32)
    ivar = np.broadcast_to(sigma**-2, flux.shape).astype(np.float32).copy()
    ivar[:, 10:14] = 0
    spectra = Spectra(
        wavelength,
        flux,
        ivar,
        "air",
        arms=(slice(0, PIXELS), slice(PIXELS, 2 * PIXELS)),
        arm_names=ARMS,
        resolution=(28_000.0, 28_000.0),
        table=catalogue,
    )
    store = SurveyStore.create(path, spectra)
    ids = catalogue["id"]
    frame = pd.DataFrame({"id": ids, "x": places[:, 0], "y": places[:, 1]})
    store.write_product("tsne", frame, method="tsne", parameters={"perplexity": 30.0})
    turned = frame.assign(x=frame["y"], y=-frame["x"])
    store.write_product("pca", turned, method="pca", parameters={})
    features = rng.normal(size=(n, 6))
    features[:, 0] += 6 * (name == "BIN")
    features[:, 1] += 6 * (name == "HAE")
    columns = pd.DataFrame(features, columns=[f"pca_{i + 1}" for i in range(6)])
    columns.insert(0, "id", ids)
    store.write_product("tsne_features", columns, method="pca", parameters={})
    classes = pd.DataFrame({"id": ids, "class": np.where(name == "BIN", "HFR_BIN", name)})
    classes["cluster"] = np.repeat([4, 7, -1], STARS)
    store.write_product("classes", classes, method="classify", parameters={})
    return SimpleNamespace(
        path=path, catalogue=catalogue, places=places, name=name, flux=flux, n=n, ids=list(ids)
    )


def write_lightcurves(path):
    """Write a store of eclipsing light curves."""
    phase = np.linspace(0.0025, 0.9975, 200)
    n = 40
    depth = np.linspace(0.05, 0.4, n)[:, None]
    flux = 1 - depth * np.exp(-0.5 * ((phase - 0.25) / 0.03) ** 2)
    table = pd.DataFrame({"id": [f"kic_{i}" for i in range(n)], "period": np.linspace(1, 9, n)})
    curves = Spectra(
        phase, flux.astype(np.float32), np.full(flux.shape, 1e6, np.float32), "air", table=table
    )
    store = SurveyStore.create(path, curves)
    store.manifest["kind"] = "lightcurves"
    store.manifest["axis"] = {"name": "orbital phase", "unit": ""}
    store.write_manifest()
    places = pd.DataFrame({"id": table["id"], "x": np.arange(n) % 8.0, "y": np.arange(n) // 8.0})
    store.write_product("tsne", places, method="tsne", parameters={})
    return path


class Server:
    """`siderea explore` as a process."""

    def __init__(self, path):
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, "explore", str(path), "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        line = self.process.stdout.readline()
        self.address = line.split(" at ")[1].split()[0]

    def post(self, path, content):
        request = urllib.request.Request(
            f"{self.address}api/{path}",
            data=json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)

    def get(self, path):
        with urllib.request.urlopen(f"{self.address}api/{path}", timeout=20) as reply:
            return json.load(reply)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}: install Debian's chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def survey(tmp_path_factory, browser):
    """The stars of the store, known beforehand; where there is a browser to look at them."""
    return write_store(tmp_path_factory.mktemp("explorer") / "islands.siderea")


@pytest.fixture(scope="session")
def server(survey):
    one = Server(survey.path)
    yield one
    one.stop()


@pytest.fixture(scope="session")
def lightcurve_server(tmp_path_factory, browser):
    one = Server(write_lightcurves(tmp_path_factory.mktemp("explorer") / "curves.siderea"))
    yield one
    one.stop()


class Looker:
    """One window of the page, and what an astronomer does in it."""

    def __init__(self, context, address):
        self.page = context.new_page()
        self.address = address
        self.problems = []
        self.asked = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, fragment=""):
        self.page.goto(self.address + fragment)
        self.page.wait_for_selector("body[data-state=ready]")
        self.until("performance.getEntriesByName('siderea:picture').length > 0")
        return self

    def ask(self, expression):
        return self.page.evaluate(expression)

    def until(self, expression, seconds=20):
        """Wait for a state; asked from here, since the page's policy forbids `eval` inside it."""
        end = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < end, f"waited {seconds} s for {expression}"
            self.page.wait_for_timeout(20)

    def app(self, name):
        """Value of a signal of the page."""
        return self.ask(f"siderea.app.{name}.value")

    @property
    def selected(self):
        return self.ask("Array.from(siderea.app.selection.value.rows)")

    def where(self, row, plane="map"):
        return self.ask(f"siderea.{plane}.where({row})")

    def click(self, row, plane="map"):
        self.page.mouse.click(*self.where(row, plane))

    def drag(self, points, keys=()):
        """Drag over places on the page."""
        mouse = self.page.mouse
        for key in keys:
            self.page.keyboard.down(key)
        mouse.move(*points[0])
        mouse.down()
        for point in points[1:]:
            mouse.move(*point, steps=3)
        mouse.up()
        for key in keys:
            self.page.keyboard.up(key)

    def on_page(self, polygon, plane="map"):
        """Places on the page of places on the map."""
        return self.page.evaluate(
            "([name, polygon]) => { const plane = name.split('.').reduce((o, k) => o[k], siderea);"
            " const box = plane.element.querySelector('canvas').getBoundingClientRect();"
            " return polygon.map(([x, y]) => { const [px, py] = plane.camera.toScreen(x, y);"
            " return [box.left + px, box.top + py]; }); }",
            [plane, [list(map(float, one)) for one in polygon]],
        )

    def text(self, selector):
        return self.page.inner_text(selector)

    def tab(self, name):
        self.page.click(f"#tab-{name}")


@pytest.fixture
def look(browser, server):
    """A function that opens a window: ``look(dark=True, tour=True, fragment="#...")``."""
    contexts, lookers = [], []

    def new(*, dark=False, tour=False, fragment="", address=None, script=None, ready=True):
        context = browser.new_context(
            viewport={"width": 1280, "height": 800},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        context.set_default_timeout(20_000)
        context.add_init_script(
            "window.blocked = []; document.addEventListener('securitypolicyviolation',"
            " event => window.blocked.push(event.violatedDirective + ' ' + event.blockedURI));"
        )
        if not tour:
            context.add_init_script("localStorage.setItem('siderea-tour', 'seen')")
        context.add_init_script(
            "localStorage.getItem('siderea-user') ?? localStorage.setItem('siderea-user', 'Čotar')"
        )
        if script:
            context.add_init_script(script)
        looker = Looker(context, address or server.address)
        contexts.append(context)
        lookers.append(looker)
        return looker.open(fragment) if ready else looker

    yield new
    for looker in lookers:
        assert looker.problems == []
        assert looker.ask("window.blocked ?? []") == []
        assert not looker.ask("window.hacked ?? false")
    for context in contexts:
        context.close()


@pytest.fixture
def eye(look):
    """One window of the page, open on the map."""
    return look()


@pytest.fixture(scope="session")
def npm():
    """Path of npm, where npm and node are."""
    found = shutil.which("npm")
    if found is None or shutil.which("node") is None:
        pytest.skip("no npm and node: the built page cannot be compared with its sources")
    return found
