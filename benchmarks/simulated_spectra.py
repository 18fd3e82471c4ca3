"""A real GALAH spectrum beside a simulated one of the same labels, and one of each peculiar class.

    python benchmarks/simulated_spectra.py figure DATA OUTPUT.png
    python benchmarks/simulated_spectra.py speed [--stars 20000] [--workers 2]

``figure`` prints the rms of real minus simulated per arm; the labels are the catalogue's, nothing is
fitted. ``speed`` streams into a store and prints spectra per second and the memory of all processes
(PSS: pages that they share count once).
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import psutil

from siderea.figures.style import ACCENT, CATEGORICAL, INK, style
from siderea.io import galah as galah_files
from siderea.pipelines.prepare import Preparation, prepare
from siderea.pipelines.simulate import Recipe, simulate_spectra
from siderea.simulate.instruments import galah
from siderea.simulate.spectra import SpectralSurvey, SpectraSettings, TableOfStars

STAR = "170711004501282"
"""The one of the 61 spectra at hand whose labels are at hand too, in ``galah_map_6064``."""

SUN = {"teff": 5772.0, "logg": 4.44, "fe_h": 0.0, "alpha_fe": 0.0, "vmic": 1.1, "radius": 1.0}
SUN |= {"vsini": 2.0, "vmac": 3.5, "rv_system": 0.0, "time": 57400.0, "snr": 150.0, "ra": 0.0}
SUN |= {"dec": 0.0, "n_stars": 1, "class": "NOR", "star_id": "s", "rv_2": np.nan, "rv_3": np.nan}
SUN |= {"rv_1": 0.0, "rv": 0.0, "dv": np.nan}

Panel = tuple[str, Mapping[str, object], Mapping[str, object], tuple[float, float]]
GIANT = {"teff": 4700.0, "logg": 2.4, "radius": 10.0}
HALPHA, HBETA = (6552.0, 6574.0), (4851.0, 4872.0)
EMISSION = {"emission_ew": 3.0, "emission_width": 40.0, "emission_velocity": 90.0}
EMISSION |= {"emission_violet": 0.5, "emission_depth": 0.7, "balmer_decrement": 2.5}
SECOND = {"n_stars": 2, "teff_2": 5500.0, "logg_2": 4.5, "radius_2": 0.9, "vmic_2": 1.0}
SECOND |= {"vsini_2": 2.0, "vmac_2": 3.0, "rv_1": 35.0, "rv_2": -40.0}
THIRD = {"n_stars": 3, "teff_3": 5300.0, "logg_3": 4.5, "radius_3": 0.85, "vmic_3": 1.0}
THIRD |= {"vsini_3": 2.0, "vmac_3": 3.0, "rv_3": 90.0}

PANELS: tuple[Panel, ...] = (
    ("BIN: 75 km/s apart", SECOND, {}, (6490, 6520)),
    ("TRI", {**SECOND, **THIRD}, {}, (6490, 6520)),
    ("HFR: 90 km/s", {"teff": 6700.0, "vsini": 90.0}, {}, (6480, 6580)),
    ("HAE: single peak", {}, {"emission": "single", **EMISSION}, HALPHA),
    ("HAE: double peak", {}, {"emission": "double", **EMISSION}, HALPHA),
    (
        "HAE: asymmetric",
        {},
        {"emission": "asymmetric", **EMISSION, "emission_violet": 0.25},
        HALPHA,
    ),
    ("HAE: P Cygni", {}, {"emission": "pcygni", **EMISSION}, HALPHA),
    ("HAE: inverted P Cygni", {}, {"emission": "inverted", **EMISSION}, HALPHA),
    ("HAE: Hβ of the double peak", {}, {"emission": "double", **EMISSION}, HBETA),
    ("LIR: A(Li) = 3.0", GIANT, {"a_li": 3.0}, (6700, 6715)),
    ("CEH: [C/Fe] = 1.2", {**GIANT, "fe_h": -0.7}, {"c_fe": 1.2}, (4715, 4780)),
    ("CMP: [Fe/H] = −2", {**GIANT, "fe_h": -2.0, "alpha_fe": 0.3}, {}, (5670, 5730)),
    ("MAB: 3,550 K giant", {"teff": 3550.0, "logg": 0.8, "radius": 70.0}, {}, (5650, 5870)),
    ("MAB: 3,600 K dwarf", {"teff": 3600.0, "logg": 4.8, "radius": 0.5}, {}, (4714, 4900)),
    ("WRD: fringing", {}, {"problem": "fringing", "problem_size": 0.4}, (6478, 6735)),
    ("WRD: cosmic rays", {}, {"problem": "cosmic", "problem_size": 0.8}, (5649, 5870)),
    ("WRD: sky lines", {}, {"problem": "sky", "problem_size": 0.5}, (7730, 7850)),
    ("WRD: scattered light", {}, {"problem": "scattered", "problem_size": 0.7}, (6490, 6520)),
    ("WRD: saturated", {}, {"problem": "saturated", "problem_size": 0.5}, (6478, 6735)),
    ("WRD: wrong velocity", {}, {"problem": "velocity", "problem_size": 0.6}, HALPHA),
    ("WRD: gaps", {}, {"problem": "gaps", "problem_size": 0.9}, (4714, 4900)),
)


def simulated(rows: list[dict], told: list[Mapping[str, object]], *, noise: bool = True):
    """Simulate given stars with given peculiarities."""
    import siderea.simulate.peculiar as peculiar

    drawn = peculiar.peculiarities

    def tell(stars, first, *, seed):
        columns = drawn(stars, first, seed=seed)
        columns |= {"problem_arm": np.full(len(told), 2)}
        for row, one in enumerate(told):
            for name, value in one.items():
                if columns[name].dtype.kind in "US":
                    columns[name] = columns[name].astype(object)
                columns[name][row] = value
        return columns

    peculiar.peculiarities = tell
    try:
        settings = SpectraSettings(noise=noise, continuum_error=0.0, cosmic_rays=0.0)
        population = TableOfStars(pd.DataFrame([{**SUN, **row} for row in rows]))
        return SpectralSurvey(population, len(rows), galah(), settings, 3).block(0)
    finally:
        peculiar.peculiarities = drawn


def real_star(data: Path):
    """The prepared spectrum of `STAR`, and its labels."""
    files = sorted((data / "galah_dr3" / "spectra").glob(f"{STAR}*.fits"))
    ours = prepare([galah_files.read_native(files)], galah_files.GRID, Preparation.of("galah"))
    table = pd.read_csv(data / "galah_map_6064" / "stars.csv.gz")
    return ours, table[table["sobject_id"] == int(STAR)].iloc[0]


def figure(data: Path, output: Path) -> None:
    ours, labels = real_star(data)
    names = ("teff", "logg", "fe_h", "alpha_fe", "vmic")
    snr = float(ours.table["snr_green"].iloc[0])
    # the catalogue's vbroad is rotation and macroturbulence together: given as rotation
    twin = {**{n: float(labels[n]) for n in names}, "vsini": float(labels["vbroad"]), "vmac": 0.0}
    alike = simulated([{**twin, "snr": snr}], [{}])
    clean = simulated([{**twin, "snr": snr}], [{}], noise=False)
    wave = ours.wavelength
    for name, arm, _ in ours.iter_arms():
        good = (ours.ivar[0, arm] > 0) & (alike.spectra.ivar[0, arm] > 0)
        off = (ours.flux[0, arm] - clean.spectra.flux[0, arm])[good]
        noise = np.median(1 / np.sqrt(ours.ivar[0, arm][good]))
        print(f"{name}: rms of real minus simulated (noiseless) {off.std():.4f}, noise {noise:.4f}")
    special = simulated([dict(p[1]) for p in PANELS], [p[2] for p in PANELS])
    with style():
        drawn = plt.figure(figsize=(11, 17), layout="constrained")
        top, bottom = drawn.subfigures(2, 1, height_ratios=(4, 7))
        windows = ((4750, 4790), (5680, 5720), (6545, 6600), (7740, 7800))
        axes = top.subplots(4, 1)
        for ax, (low, high) in zip(axes, windows, strict=True):
            inside = (wave > low) & (wave < high)
            ax.plot(wave[inside], ours.flux[0, inside], color=INK, lw=1.0, label=f"GALAH {STAR}")
            ax.plot(
                wave[inside],
                alike.spectra.flux[0, inside] - 0.5,
                color=ACCENT,
                lw=1.0,
                label="simulated, same labels and S/N (−0.5)",
            )
            ax.set(xlim=(low, high), ylim=(-0.5, 1.2), ylabel="flux / continuum")
        axes[0].legend(loc="lower right", ncols=2, frameon=True)
        axes[-1].set_xlabel("wavelength (Å, air)")
        told = ", ".join(f"{n} {labels[n]:.4g}" for n in (*names, "vbroad"))
        top.suptitle(f"A real star and its simulation: {told}", fontsize=10)
        for ax, (title, _, _, (low, high)), flux, ivar in zip(
            bottom.subplots(7, 3).ravel(),
            PANELS,
            special.spectra.flux,
            special.spectra.ivar,
            strict=True,
        ):
            inside = (wave > low) & (wave < high)
            shown = np.where(ivar[inside] > 0, flux[inside], np.nan)
            ax.plot(wave[inside], shown, color=CATEGORICAL[0], lw=0.7)
            ax.set(title=title, xlim=(low, high))
            ax.title.set_fontsize(9)
            ax.locator_params(axis="x", nbins=4)
        bottom.supxlabel("wavelength (Å, air)", fontsize=9)
        bottom.supylabel("flux / continuum", fontsize=9)
        drawn.savefig(output, dpi=110)


def speed(n_stars: int, workers: int) -> None:
    peak = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            total = 0.0
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                try:
                    total += process.memory_full_info().pss / 2**20
                except psutil.Error:
                    continue
            peak[0] = max(peak[0], total)

    marks: list[tuple[int, float]] = []
    watcher = threading.Thread(target=watch)
    watcher.start()
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        simulate_spectra(
            Recipe(n_stars, seed=1),
            Path(folder) / "a.siderea",
            jobs=workers,
            progress=lambda n, _: marks.append((n, time.perf_counter())),
        )
        end = time.perf_counter()
    done.set()
    watcher.join()
    steady = (marks[-1][0] - marks[3][0]) / (marks[-1][1] - marks[3][1])
    print(
        f"{n_stars} spectra, {workers} workers: {n_stars / (end - begin):.0f} per second in all, "
        f"{steady:.0f} once started; {end - begin:.0f} s; {peak[0]:.0f} MiB (PSS, all processes)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    one = what.add_parser("figure")
    one.add_argument("data", type=Path)
    one.add_argument("output", type=Path)
    two = what.add_parser("speed")
    two.add_argument("--stars", type=int, default=20_000)
    two.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.what == "figure":
        figure(arguments.data, arguments.output)
    else:
        speed(arguments.stars, arguments.workers)


if __name__ == "__main__":
    main()
