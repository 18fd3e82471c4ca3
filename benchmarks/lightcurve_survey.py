"""Physical light curves with the catalogue's parameters: separation, detection, morphology.

``python benchmarks/lightcurve_survey.py DATA [--curves N] [--seed S] [--sampling kepler,gaia]``

DATA is the folder of real data (``kepler_eb`` is read from it). Seen by Kepler (folded in 1,000
bins, and in 100) and by Gaia (folded transits).

Detection is told in several ways, for the published one rests on the fit of each real curve by eye
and by its parameters: what is fitted with at least one eclipse; with one that holds points; with
one that stands out of the noise; with both.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from lightcurves import catalogue, circular, fitted
from siderea.lightcurves import polyfit
from siderea.lightcurves.classes import morphology
from siderea.lightcurves.folding import binned
from siderea.lightcurves.temperatures import companion_temperature
from siderea.simulate.binaries import from_catalogue
from siderea.simulate.lightcurves import simulate_lightcurves


def joined(pieces, name):
    return np.concatenate([getattr(piece, name) for piece in pieces])


def survey(table, n, seed, sampling):
    population = from_catalogue(table, n, rng=np.random.default_rng(seed))
    source = table.iloc[population["source"]].reset_index(drop=True)
    start = time.process_time()
    rng = np.random.default_rng(seed + 1000)
    curves, truth = simulate_lightcurves(n, rng=rng, sampling=sampling, population=population)
    made = time.process_time() - start
    print(f"\n== {sampling}, {n} systems, seed {seed}: {1e3 * made / n:.1f} ms each to simulate ==")
    report(points_of(curves), truth, source)
    if sampling == "kepler":
        print("  in 100 bins:")
        pieces, spent = fitted(*points_of([binned(curve, 100) for curve in curves]))
        separations(pieces, truth, spent)


def points_of(curves):
    return [[getattr(curve, name) for curve in curves] for name in ("time", "flux", "flux_err")]


def separations(pieces, truth, spent):
    found, kind = joined(pieces, "separation"), truth["kind"].to_numpy().astype(str)
    off = circular(found, truth["separation"].to_numpy())
    two = np.isfinite(off)
    kinds = [f"{name} {np.median(off[two & (kind == name)]):.1e}" for name in np.unique(kind)]
    print(
        f"  {1e3 * spent / len(kind):.2f} ms each to fit; separation error, median "
        f"{np.median(off[two]):.1e} of {two.mean():.0%}: {', '.join(kinds)}",
        flush=True,
    )


def report(points, truth, source):
    pieces, spent = fitted(*points)
    separations(pieces, truth, spent)
    detection(points, pieces, truth)
    shapes(points, source)


def detection(points, pieces, truth):
    """Tell what is found, by several definitions."""
    model, kind = joined(pieces, "model"), truth["kind"].to_numpy().astype(str)
    n = len(model)
    held, strong = np.zeros((n, 2), dtype=int), np.zeros((n, 2), dtype=bool)
    for k in (1, 2):
        at, width, depth, error = (
            joined(pieces, name)
            for name in (f"position_{k}", f"width_{k}", f"depth_{k}", f"depth_{k}_err")
        )
        strong[:, k - 1] = depth > 3.0 * error
        for row in np.flatnonzero(np.isfinite(at)):
            off = np.abs((np.asarray(points[0][row]) - at[row] + 0.5) % 1 - 0.5)
            held[row, k - 1] = int((off < 0.5 * width[row]).sum())
    # A dip deeper than 3 σ, of 3 points or more: not one wild transit.
    sure = strong & (held >= 3)
    ways = {
        "varies": model != "C",
        "an eclipse in the model": np.char.startswith(model, "CG"),
        "an eclipse of 3 points and 3 σ": sure.any(axis=1),
        "the first (deeper) one": sure[:, 0],
        "both in the model": np.char.startswith(model, "CG12"),
        "both of 3 points and 3 σ": sure.all(axis=1),
    }
    for name, found in ways.items():
        kinds = [f"{one} {found[kind == one].mean():.0%}" for one in np.unique(kind)]
        print(f"  {name}: {found.mean():.1%} ({', '.join(kinds)})")
    eclipsing = kind != "ellipsoidal"
    print(
        f"  of those that eclipse, an eclipse of 3 points and 3 σ: "
        f"{sure[eclipsing].any(axis=1).mean():.1%}",
        flush=True,
    )


def shapes(points, source):
    """Compare our morphology with the catalogue's of the row each system was made from."""
    start = time.process_time()
    ours = morphology(polyfit.fit(*points).minima()[2])
    spent = time.process_time() - start
    theirs = source["morph"].to_numpy()
    both = np.isfinite(ours)
    off = (ours - theirs)[both]
    rank = spearmanr(ours[both], theirs[both])[0]
    print(
        f"  morphology against the catalogue's: Spearman {rank:.3f}, median difference "
        f"{np.median(off):+.3f}, MAD {np.median(np.abs(off)):.3f}; "
        f"{1e3 * spent / len(ours):.2f} ms each"
    )
    rows = []
    for low in np.arange(0.0, 1.0, 0.2):
        mine = both & (theirs >= low) & (theirs < low + 0.2)
        rows.append(f"{low:.1f}: {np.median(ours[mine]):.2f} ({mine.sum()})")
    print("    median of ours by fifths of theirs: " + ", ".join(rows), flush=True)


def temperatures(table):
    """Compare the temperature of the second star by the catalogue's depths with that of spectral
    energy distributions (Armstrong et al. 2014), for real binaries."""
    good = (table["pdepth"] > 0.01) & (table["sdepth"] > 0.002) & table["T2"].notna()
    good &= (table["morph"] >= 0) & (table["morph"] < 0.7)
    real = table[good]
    ours = companion_temperature(real["T1"], real["pdepth"], real["sdepth"])
    print(f"== {len(real)} real binaries: T2 by depths − T2 by colours (T1 being theirs) ==")
    for low, high in ((0.0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.0, 0.7)):
        mine = ((real["morph"] >= low) & (real["morph"] < high)).to_numpy()
        off = ours[mine] - real["T2"].to_numpy()[mine]
        scatter = 1.4826 * np.median(np.abs(off - np.median(off)))
        rank = spearmanr(ours[mine] / real["T1"][mine], real["T2"][mine] / real["T1"][mine])[0]
        print(
            f"  morphology {low} to {high} ({mine.sum()}): median {np.median(off):+.0f} K, scatter "
            f"{scatter:.0f} K (their error {np.median(real['e_T2'][mine]):.0f} K), Spearman of "
            f"T2/T1 {rank:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--curves", type=int, default=10_000)
    parser.add_argument("--sampling", default="kepler,gaia")
    parser.add_argument("--seed", type=int, default=202)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = catalogue(options.data)
    temperatures(table)
    for sampling in options.sampling.split(","):
        survey(table, options.curves, options.seed, sampling)


if __name__ == "__main__":
    main()
