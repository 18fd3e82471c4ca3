"""A simulated GALAH sample beside the real one: figure, medians and 16 to 84 %; speed of the draw.

    SIDEREA_DATA=… python benchmarks/simulated_survey.py [--systems N] [--figure PATH]

Real: the stars of `galah_map_6064` with flag_sp = 0 (labels), the public GALAH DR3 spectra (radial
velocity and S/N, which the table does not have). Both sides are cut to the ranges of the shipped
emulator, `siderea.simulate.population.EMULATOR_RANGES`. Simulated labels are true ones, without
errors of measurement. Nothing in the simulator was fitted to these samples.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from siderea.figures.style import CATEGORICAL, INK, style
from siderea.io.galah import read_spectra
from siderea.simulate.multiplicity import multiple_fraction
from siderea.simulate.population import EMULATOR_RANGES, Survey, SurveySettings, sampler
from siderea.simulate.selection import NO_SELECTION

HISTOGRAMS = (
    ("teff", "effective temperature / K", np.arange(4400, 7001, 100)),
    ("logg", "log g / dex", np.arange(0.6, 4.9, 0.15)),
    ("fe_h", "[Fe/H] / dex", np.arange(-2.5, 0.55, 0.1)),
    ("alpha_fe", "[α/Fe] / dex", np.arange(-0.3, 0.6, 0.04)),
    ("vbroad", "broadening / km s⁻¹", np.arange(0, 41, 2)),
    ("rv", "radial velocity / km s⁻¹", np.arange(-200, 201, 20)),
    ("snr", "S/N per pixel, green arm", np.arange(0, 121, 6)),
)
LEFT = ("logg", "fe_h", "rv")
REAL, MADE = CATEGORICAL[1], CATEGORICAL[0]


def in_ranges(table: pd.DataFrame) -> pd.DataFrame:
    good = np.ones(len(table), dtype=bool)
    for name, low, high in EMULATOR_RANGES:
        good &= table[name].between(low, high).to_numpy()
    return table[good]


def real_labels(data: Path) -> pd.DataFrame:
    table = pd.read_csv(data / "galah_map_6064" / "stars.csv.gz")
    numbers = table.select_dtypes("number").columns
    table[numbers] = table[numbers].mask(table[numbers].abs() > 1e19)
    return in_ranges(table[table["flag_sp"] == 0])


def real_spectra(data: Path) -> pd.DataFrame:
    spectra = read_spectra(sorted((data / "galah_dr3" / "spectra").glob("*.fits")))
    green = spectra.arm(1)
    noise = green.flux * np.sqrt(green.ivar)
    noise[green.ivar == 0] = np.nan
    return pd.DataFrame({"rv": spectra.table["rv"], "snr": np.nanmedian(noise, axis=1)})


def column(table: pd.DataFrame, other: pd.DataFrame, name: str) -> np.ndarray:
    source = table if name in table else other
    return source[name].dropna().to_numpy()


def draw(real: pd.DataFrame, spectra: pd.DataFrame, made: pd.DataFrame, path: Path) -> None:
    with style():
        figure, axes = plt.subplots(3, 3, figsize=(10, 9), layout="constrained")
        rng = np.random.default_rng(0)
        shown = made.iloc[rng.choice(len(made), len(real), replace=False)]
        titles = f"GALAH, {len(real):,} stars", f"simulated, {len(shown):,} systems"
        for axis, table, title, colour in zip(
            axes[0, :2], (real, shown), titles, (REAL, MADE), strict=True
        ):
            axis.scatter(table["teff"], table["logg"], s=2, lw=0, alpha=0.5, color=colour)
            axis.set(xlim=(7050, 4350), ylim=(4.9, 0.6), title=title)
            axis.set(xlabel="effective temperature / K", ylabel="log g / dex")
        for axis, (name, label, edges) in zip(axes.flat[2:], HISTOGRAMS, strict=True):
            for table, colour, text, width in (
                (real, REAL, "GALAH", 1.4),
                (made, MADE, "simulated", 1.4),
            ):
                values = column(table, spectra, name)
                weights = np.full(values.size, 1 / values.size)
                axis.hist(
                    np.clip(values, edges[0], edges[-1] - 1e-9),
                    edges,
                    weights=weights,
                    histtype="step",
                    color=colour,
                    lw=width,
                    ls="-" if text == "GALAH" else "--",
                    label=f"{text}, {values.size:,}",
                )
            axis.set(xlabel=label, ylabel="share per bin")
            axis.margins(y=0.25)
            axis.legend(loc="upper left" if name in LEFT else "upper right")
        axes[0, 0].tick_params(colors=INK)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def report(real: pd.DataFrame, spectra: pd.DataFrame, made: pd.DataFrame) -> None:
    print("| | real: 16, 50, 84 % | simulated: 16, 50, 84 % | real stars |\n|---|---|---|---|")
    for name, label, _ in HISTOGRAMS:
        values = column(real, spectra, name)
        rows = (np.percentile(v, [16, 50, 84]) for v in (values, made[name].dropna()))
        text = (", ".join(f"{x:.2f}" if abs(x) < 100 else f"{x:.0f}" for x in row) for row in rows)
        print(f"| {label} | {' | '.join(text)} | {values.size} |")
    for name, good in (("log g < 3.5", lambda t: t["logg"] < 3.5),):
        print(f"| {name} | {good(real).mean():.1%} | {good(made).mean():.1%} | |")
    print("\nsimulated shares:")
    for name in ("population", "n_stars", "class"):
        print(name, made[name].value_counts(normalize=True).round(4).to_dict())
    print("clump", round(float(made["clump"].mean()), 4))


def multiples() -> None:
    """How a magnitude limit changes the multiples."""
    everyone = Survey(40_960, 2, SurveySettings(selection=NO_SELECTION, ranges=(), bands=()))
    limited = Survey(40_960, 2, SurveySettings(bands=()))
    for name, survey in (("within 500 pc", everyone), ("12 < V < 14", limited)):
        table = survey.stars()
        solar = table[table["mass"].between(0.8, 1.2) & (table["logg"] > 4)]
        multiple = solar[solar["n_stars"] > 1]
        share, twins = len(multiple) / len(solar), (multiple["q"] > 0.95).mean()
        log_p = np.log10(multiple["period"]).mean()
        print(
            f"{name}: {len(solar)} dwarfs of .8 to 1.2 M☉: multiple {share:.3f}, "
            f"q > .95 among them {twins:.3f}, mean log P {log_p:.2f}"
        )


def goodness() -> None:
    """p of the distributions in a draw that nothing selected."""
    table = Survey(100_000, 3, SurveySettings(selection=NO_SELECTION, ranges=(), bands=())).stars()
    pairs, every = table[table["n_stars"] == 2], table[table["n_stars"] > 1]
    periods = stats.truncnorm(-4.8 / 2.3, 4.76 / 2.3, loc=4.8, scale=2.3)
    share = multiple_fraction(table["mass"])
    excess = (len(every) - share.sum()) / np.sqrt((share * (1 - share)).sum())
    long = pairs[pairs["period"] > 10]
    log_p = np.log10(long["period"])
    u = (long["eccentricity"] / (1 - (10**log_p / 2) ** (-2 / 3))) ** (1.6 - 0.7 / (log_p - 0.5))
    found = {
        "multiple fraction": 2 * stats.norm.sf(abs(excess)),
        "share of triples": stats.binomtest(
            int((every["n_stars"] == 3).sum()), len(every), 0.25
        ).pvalue,
        "log P": stats.kstest(np.log10(pairs["period"]), periods.cdf).pvalue,
        "e": stats.kstest(u, stats.uniform.cdf).pvalue,
        "cos i": stats.kstest(
            np.cos(np.deg2rad(every["inclination"])), stats.uniform(-1, 2).cdf
        ).pvalue,
    }
    print(f"100,000 systems, {len(every)} multiple ({len(every) / len(table):.4f}, expected")
    print(f"{share.mean():.4f}); p:", {name: round(float(p), 3) for name, p in found.items()})


def speed() -> None:
    settings = SurveySettings()
    sampler(settings)
    for seed in range(3):
        start, wall = time.process_time(), time.perf_counter()
        Survey(20_480, 100 + seed, settings).stars()
        cpu, wall = time.process_time() - start, time.perf_counter() - wall
        print(f"{20_480 / cpu:,.0f} systems per CPU second ({20_480 / wall:,.0f} by the clock)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SIDEREA_DATA", "../shared/data"))
    parser.add_argument("--systems", type=int, default=40_000)
    parser.add_argument("--figure", type=Path, default=Path("docs/images/simulated_survey.png"))
    options = parser.parse_args()
    data = Path(options.data)
    made = Survey(options.systems, 1).stars()
    made["vbroad"] = np.hypot(made["vsini"], made["vmac"])
    real, spectra = real_labels(data), real_spectra(data)
    draw(real, spectra, made, options.figure)
    report(real, spectra, made)
    multiples()
    goodness()
    speed()


if __name__ == "__main__":
    main()
