"""Classes of simulated eclipsing binaries: groups of a map, the network, and how far one could get.

``python benchmarks/lightcurve_classes.py DATA [--curves N] [--sizes 1200,10000] [--seed S] ...``

DATA is the folder of real data (``kepler_eb`` is read from it). N systems with the parameters of
the catalogue are seen by Kepler and by Gaia; smaller sizes are the first of them.

groups   t-SNE and DBSCAN, and what each group is: by the truth of most of it, and as the network
         names it (which does not see the truth).
network  probabilities of each kind, curve by curve: purity, completeness, calibration.
ceiling  gradient boosting that is told the truth of other systems (three folds; no row of the
         catalogue is in two), on the features of the map, and on the series of the network.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold, cross_val_predict

from lightcurves import catalogue
from siderea.figures.lightcurves import class_figure
from siderea.lightcurves import two_gaussian
from siderea.lightcurves.classes import (
    PHASES,
    Classes,
    agreement,
    classify,
    features,
    normalised_curves,
)
from siderea.lightcurves.kinds import inputs, load_default, names_of_groups
from siderea.pipelines.draw import save_figure
from siderea.simulate.binaries import from_catalogue
from siderea.simulate.lightcurves import simulate_lightcurves

TITLES = {"kepler": "as Kepler would see them", "gaia": "as Gaia would see them"}


class Sample:
    """Fits of simulated curves, and what is asked of them."""

    def __init__(self, points, truth):
        self.fit = two_gaussian.fit(*points)
        self.kind = truth["kind"].to_numpy().astype(str)
        self.source = truth["source"].to_numpy()
        self.x = inputs(*points, self.fit)
        self.varies = np.isfinite(self.x).all(axis=1)
        self.curves = self.fit.curve(PHASES)
        self.curves[~self.varies] = np.nan
        first = np.isfinite(self.fit.position_1)
        self.position = np.where(first, self.fit.position_1, self.fit.position_e)
        self.chances = load_default().predict(self.x)
        self.shape = features(*normalised_curves(self.curves, self.position))


def table_of(called, truth):
    """Return purity and completeness in one line; called and truth are names of kinds."""
    rows, right = [], float(np.mean(called == truth))
    for kind in ("detached", "semi-detached", "contact", "ellipsoidal"):
        said, is_so = called == kind, truth == kind
        both = (said & is_so).sum()
        pure = both / said.sum() if said.any() else np.nan
        rows.append(f"{kind} {pure:.3f}/{both / is_so.sum():.3f}")
    return f"right {right:.3f}; " + ", ".join(rows)


def groups(sample, n, method):
    """Map the first n curves; return their classes."""
    start = time.process_time()
    found = classify(sample.curves[:n], position=sample.position[:n], method=method)
    spent = time.process_time() - start
    mine = sample.varies[:n]
    truth, group = sample.kind[:n][mine], found.group[mine]
    most, named = names_by_truth(group, truth), names_of_groups(found.group, sample.chances[:n])
    by_most, by_name = (
        np.array([*names, "none"])[np.maximum(group, -1)] for names in (most, named)
    )
    print(
        f"  {method}, {n} systems, {mine.sum()} vary: {found.n_groups} groups, "
        f"{np.mean(group < 0):.1%} in none, {spent:.0f} s CPU"
    )
    print(f"    by the truth of most: {table_of(by_most, truth)}")
    print(f"    as the network names: {table_of(by_name, truth)}")
    sure = found.probability[mine] >= 0.9
    print(f"    probability ≥ .9 ({sure.mean():.0%}): {table_of(by_most[sure], truth[sure])}")
    check = agreement(group, truth)
    right = float((check["n"] * check["completeness"]).sum() / check["n"].sum())
    assert abs(right - np.mean(by_most == truth)) < 1e-9
    return found, most


def names_by_truth(group, truth):
    """Return the kind of most of each group."""
    names = []
    for number in range(int(group.max()) + 1):
        kinds, count = np.unique(truth[group == number], return_counts=True)
        names.append(str(kinds[count.argmax()]))
    return names


def network(sample):
    """Report the network's probabilities, and whether they are probabilities."""
    kinds = np.array(load_default().kinds)
    chance, truth = sample.chances[sample.varies], sample.kind[sample.varies]
    called, best = kinds[chance.argmax(axis=1)], chance.max(axis=1)
    print(f"  network: {table_of(called, truth)}")
    right = called == truth
    own = chance[np.arange(len(truth)), [list(kinds).index(one) for one in truth]]
    bins = []
    for low, high in ((0.0, 0.6), (0.6, 0.8), (0.8, 0.9), (0.9, 0.97), (0.97, 1.01)):
        some = (best >= low) & (best < high)
        if some.sum() > 20:
            bins.append(f"{best[some].mean():.3f}: {right[some].mean():.3f} ({some.sum()})")
    print(
        f"    cross entropy {-np.log(own).mean():.3f}; probability: right (n)  " + "  ".join(bins)
    )
    wide = [
        f"{kind} {chance[:, k].mean():.3f}/{np.mean(truth == kind):.3f}"
        for k, kind in enumerate(kinds)
    ]
    print("    mean probability/true share: " + ", ".join(wide))


def ceiling(sample):
    """Report what gradient boosting reaches with the truth of other systems."""
    mine = sample.varies
    kind, source = sample.kind[mine], sample.source[mine]
    for name, x in (("map's features", sample.shape), ("network's series", sample.x)):
        called = cross_val_predict(
            HistGradientBoostingClassifier(max_iter=150, random_state=0),
            x[mine],
            kind,
            groups=source,
            cv=GroupKFold(3),
        )
        print(f"  ceiling, {name}: {table_of(called, kind)}")


def draw(found: Classes, names, sampling, path):
    figure = class_figure(
        found.place,
        found.group,
        PHASES,
        found.mean,
        found.spread,
        names=names,
        title=f"Binaries with the catalogue's parameters, {TITLES[sampling]}",
    )
    save_figure(figure, Path(path))


def report(sampling, points, truth, options):
    print(f"\n== {sampling}, seed {options.seed} ==", flush=True)
    sample = Sample(points, truth)
    for n in (int(one) for one in options.sizes.split(",")):
        for number, method in enumerate(options.methods.split(",")):
            found, names = groups(sample, min(n, len(sample.kind)), method)
            wanted = number == 0 and n == options.figure_size and sampling in options.figure
            if options.figure and wanted:
                draw(found, names, sampling, options.figure)
    network(sample)
    if not options.quick:
        ceiling(sample)


def simulated(table: pd.DataFrame, n: int, seed: int, sampling: str):
    """Return points and truth of n systems of the catalogue."""
    population = from_catalogue(table, n, rng=np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 1000)
    curves, truth = simulate_lightcurves(n, rng=rng, sampling=sampling, population=population)
    points = [[getattr(c, name) for c in curves] for name in ("time", "flux", "flux_err")]
    return points, truth.assign(source=population["source"].to_numpy())


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--curves", type=int, default=10_000)
    parser.add_argument("--sizes", default="1200,10000")
    parser.add_argument("--methods", default="dbscan,hdbscan")
    parser.add_argument("--sampling", default="kepler,gaia")
    parser.add_argument("--seed", type=int, default=202)
    parser.add_argument("--figure", default="", help="PNG; its name holds the sampling to draw")
    parser.add_argument("--figure-size", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="without the ceiling")
    return parser


def main() -> None:
    options = arguments().parse_args()
    torch.set_num_threads(1)
    table = catalogue(options.data)
    for sampling in options.sampling.split(","):
        points, truth = simulated(table, options.curves, options.seed, sampling)
        report(sampling, points, truth, options)


if __name__ == "__main__":
    main()
