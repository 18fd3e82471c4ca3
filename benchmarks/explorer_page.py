"""What a person waits for on the explorer's page, in headless Chromium with software GL.

    python benchmarks/explorer_server.py make survey.siderea     # 587,154 spectra, once
    python benchmarks/explorer_page.py survey.siderea [--shot picture.png]

Times run in the page, from the event of a click to when the card has drawn (a pixel is read back),
or to the frame after a plot was drawn. The machine's load is printed: on a busy machine they are
upper bounds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

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
SIZE = {"width": 1280, "height": 800}
CLICKS = 40


@contextmanager
def served(path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Serve a store by a process of its own; give its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, "explore", str(path), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split(" at ")[1].split()[0], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def until(page: Any, expression: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            raise TimeoutError(expression)
        page.wait_for_timeout(10)


class Cost:
    """Processor time of the browser from now on."""

    def __init__(self) -> None:
        self.start = self.total()

    def total(self) -> float:
        found = 0.0
        for child in psutil.Process().children(recursive=True):
            if "chrom" in child.name():
                found += sum(child.cpu_times()[:2])
        return found

    def spent(self) -> float:
        return self.total() - self.start


def opened(browser: Any, address: str) -> Any:
    context = browser.new_context(viewport=SIZE)
    context.add_init_script("localStorage.setItem('siderea-tour', 'seen')")
    page = context.new_page()
    page.goto(address)
    until(page, "performance.getEntriesByName('siderea:coloured').length > 0")
    return page


def first_view(browser: Any, address: str, title: str) -> Any:
    cost = Cost()
    page = opened(browser, address)
    spent = cost.spent()
    picture, coloured = (
        page.evaluate(f"performance.getEntriesByName('siderea:{name}')[0].startTime")
        for name in ("picture", "coloured")
    )
    sent = page.evaluate(
        "['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind))"
        f".filter(one => one.responseEnd < {coloured})"
        ".reduce((sum, one) => sum + one.transferSize, 0)"
    )
    print(
        f"{title:34s} first picture {picture / 1e3:5.2f} s, in its colour {coloured / 1e3:5.2f} s, "
        f"{sent / 1e6:5.2f} MB sent, CPU of Chromium {spent:4.2f} s"
    )
    return page


def statistics(name: str, values: list[float], unit: str = "ms") -> None:
    found = np.array(values)
    print(
        f"{name:34s} median {np.median(found):6.1f}, 95 % {np.quantile(found, 0.95):6.1f}, "
        f"worst {found.max():6.1f} {unit}  (n = {found.size})"
    )


def panning(page: Any) -> None:
    """Drag the map for some seconds, as the mouse sends it, and note every picture."""
    for share in (1, 0.25):
        spent = page.evaluate(f"[0, 1, 2, 3].map(() => siderea.map.timedDraw({share}))")
        statistics(f"one picture of {share:.0%} of the points", spent[1:])
    chromium = Cost()
    page.mouse.move(500, 200)
    page.mouse.down()
    turn = np.linspace(0, 4 * np.pi, 240)
    start = time.monotonic()
    for i, angle in enumerate(turn):
        page.mouse.move(500 + 120 * np.sin(angle), 200 + 60 * (1 - np.cos(angle)))
        time.sleep(max(0.0, start + 0.016 * i - time.monotonic()))
    page.mouse.up()
    frames = page.evaluate("siderea.map.pace.times")
    statistics("picture to next frame, panning", frames)
    share = page.evaluate("siderea.map.pace.share(siderea.app.n)")
    print(f"{'':34s} {share:6.0%} of the points at the end")
    print(
        f"{'':34s} {1e3 * chromium.spent() / len(frames):6.1f} ms of CPU a frame, all of Chromium"
    )


def clicks(page: Any) -> None:
    """Open objects by clicks; from the pointer's release to the frame with the spectrum."""
    page.keyboard.press("f")
    page.evaluate(
        "(() => { window.times = []; let start = 0;"
        " addEventListener('pointerup', event => { start = event.timeStamp; }, true);"
        " new PerformanceObserver(list => { for (const one of list.getEntries())"
        " if (one.name === 'siderea:spectrum') requestAnimationFrame(() => setTimeout(() =>"
        " times.push(performance.now() - start))); }).observe({ entryTypes: ['mark'] }); })()"
    )
    page.wait_for_timeout(1500)  # the whole map is drawn, and the wavelengths are there
    rng = np.random.default_rng(1)
    n = page.evaluate("siderea.app.n")
    cost = Cost()
    for row in rng.integers(0, n, CLICKS).tolist():
        before = page.evaluate("times.length")
        page.mouse.click(*page.evaluate(f"siderea.map.where({row})"))
        until(page, f"times.length > {before}")
        page.wait_for_timeout(150)
    statistics("click to its spectrum on screen", page.evaluate("times")[1:])
    print(f"{'':34s} {1e3 * cost.spent() / CLICKS:6.1f} ms of CPU a click, all of Chromium")


TIMED = (
    "(async () => {{ const drawn = () => siderea.map.timedDraw(); const start = performance.now();"
    " {act}; drawn(); return performance.now() - start; }})()"
)


def acts(page: Any) -> None:
    lasso = (
        "siderea.app.select(siderea.map.grid.inside(Array.from({ length: 200 }, (_, k) =>"
        " [centre[0] + reach * Math.cos(k * Math.PI / 100),"
        " centre[1] + reach * Math.sin(k * Math.PI / 100)]),"
        " siderea.app.mask.value.keep), 'Lasso')"
    )
    page.evaluate("(() => { window.centre = [8, 0]; window.reach = 32; })()")
    found = "(() => { const start = performance.now(); " + lasso.replace(
        "siderea.app.select(", "(rows => rows)("
    )
    for name in ("rows in a lasso of 200 corners", "rows in it again"):
        spent = page.evaluate(found + "; return performance.now() - start; })()")
        print(f"{name:34s} {spent:7.0f} ms")
    steps = (
        ("recolour, column from the server", "await siderea.app.colourBy('catalogue:logg')"),
        ("recolour, column held", "await siderea.app.colourBy('catalogue:teff')"),
        ("colour range moved", "siderea.app.recolour({ low: 5000 })"),
        ("recolour by class", "await siderea.app.colourBy('classes:class')"),
        ("lasso, drawn", lasso),
        ("lasso again, drawn", lasso),
        ("selection cleared", "siderea.app.clearSelection()"),
        ("hexagons, 40 across", "siderea.app.hex.set({ ...siderea.app.hex.value, on: true })"),
        ("points again", "siderea.app.hex.set({ ...siderea.app.hex.value, on: false })"),
    )
    for name, act in steps:
        spent = page.evaluate(TIMED.format(act=act))
        more = page.evaluate("siderea.app.selection.value.rows.length")
        print(f"{name:34s} {spent:7.0f} ms" + (f"  ({more:,} selected)" if more else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--shot", type=Path, help="write a picture of the page")
    chosen = parser.parse_args()
    from playwright.sync_api import sync_playwright

    print(f"load of the machine at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with served(chosen.store) as (address, server), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        first_view(browser, address, "server just started").close()
        for _ in range(2):
            first_view(browser, address, "server up, empty browser cache").close()
        page = first_view(browser, address, "once more")
        if chosen.shot:
            page.wait_for_timeout(1500)
            page.screenshot(path=chosen.shot)
        panning(page)
        clicks(page)
        acts(page)
        print(f"server RSS {server.memory_info().rss / 2**20:.0f} MiB")
        print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
        browser.close()


if __name__ == "__main__":
    main()
