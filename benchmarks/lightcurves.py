"""Light curves of eclipsing binaries: the figures of step 9.

``python benchmarks/lightcurves.py DATA [--curves N] [--only family,speed,survey] [--figure PNG]``

DATA is the folder of real data (``kepler_eb/kebc.csv`` is read from it).

family  curves of the two-Gaussian family itself with the depths, widths, separations of the
        catalogue: here the right model is known.
speed   CPU time per curve, and scipy's ``curve_fit`` (finite differences, one curve and one model
        at a time) on some of the same curves in the same run.
survey  physical curves of systems like the catalogue's, as Kepler and Gaia see them: separation,
        detection, classes, morphology.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.optimize import curve_fit
from scipy.stats import spearmanr

from siderea.figures.lightcurves import class_figure
from siderea.lightcurves import polyfit, two_gaussian
from siderea.lightcurves.classes import PHASES, agreement, classify, morphology
from siderea.lightcurves.folding import binned
from siderea.lightcurves.gaussian_family import FAMILY, Points, quadratic, values
from siderea.lightcurves.two_gaussian import WIDTH_IN_SIGMA
from siderea.pipelines.draw import save_figure
from siderea.simulate.binaries import from_catalogue
from siderea.simulate.lightcurves import simulate_lightcurves

CHUNK = 2000


def catalogue(data: Path) -> pd.DataFrame:
    table = pd.read_csv(data / "kepler_eb" / "kebc.csv", comment="#")
    temperatures = pd.read_csv(data / "kepler_eb" / "armstrong14.tsv", sep="\t", comment="#")
    temperatures = temperatures.rename(columns=str.strip)[["KIC", "T1", "R2/R1"]]
    temperatures = (
        temperatures.apply(pd.to_numeric, errors="coerce").dropna().drop_duplicates("KIC")
    )
    return table.merge(temperatures, on="KIC", how="left")


def family_curves(table: pd.DataFrame, n: int, points: int, error: float, rng):
    """Draw curves of the family: two eclipses where the catalogue has two; an ellipsoidal term
    of a tenth to six tenths of the depth where the morphology is above 0.4."""
    usable = table[(table["pdepth"] > 0) & (table["pwidth"] > 0) & (table["morph"] >= 0)]
    row = usable.iloc[rng.integers(0, len(usable), n)]
    two = ((row["sdepth"] > 0) & (row["swidth"] > 0)).to_numpy()
    tide = (row["morph"] > 0.4).to_numpy()
    depth, width = row["pdepth"].to_numpy(), row["pwidth"].to_numpy()
    theta = np.column_stack(
        (
            np.ones(n),
            rng.random(n),
            depth,
            width / WIDTH_IN_SIGMA,
            np.zeros(n),
            np.where(two, np.minimum(row["sdepth"], depth), 0.0),
            np.where(two, row["swidth"], 0.1) / WIDTH_IN_SIGMA,
            np.where(tide, depth * rng.uniform(0.1, 0.6, n), 0.0),
        )
    )
    theta[:, 4] = theta[:, 1] + np.where(two, row["sep"], 0.5)
    phase = np.sort(rng.random((n, points)), axis=1)
    full = torch.from_numpy(theta)
    flux = values(FAMILY[5], full, torch.from_numpy(phase)).numpy()
    flux = flux + error * rng.standard_normal(flux.shape)
    name = np.where(two, np.where(tide, "CG12E", "CG12"), np.where(tide, "CGE", "CG"))
    return phase, flux, theta, name


def identifiable(phase, theta, name, error):
    """Say which curves show every term of their model: each depth and amplitude five sigma at the
    Cramér–Rao bound with all parameters free, and three points within two sigma of each eclipse."""
    shown = np.zeros(len(theta), dtype=bool)
    models = {"CG": FAMILY[2], "CGE": FAMILY[3], "CG12": FAMILY[4], "CG12E": FAMILY[5]}
    for label, model in models.items():
        rows = np.flatnonzero(name == label)
        columns = [0, 1, 2, 3, *([4, 5, 6] if model.eclipses == 2 else [])]
        columns += [7] if model.tide is not None else []
        some = torch.from_numpy(theta[np.ix_(rows, columns)])
        x = torch.from_numpy(phase[rows])
        weight = torch.full_like(x, error**-2)
        normal = quadratic(model, some, Points(x, torch.zeros_like(x), weight)).normal
        size = torch.diagonal(normal, dim1=1, dim2=2).clamp(min=1e-300).sqrt()
        scaled = normal / (size[:, :, None] * size[:, None, :])
        inverse = torch.linalg.pinv(scaled, rtol=1e-14, hermitian=True)
        variance = torch.diagonal(inverse, dim1=1, dim2=2) / size**2
        strong = np.ones(len(rows), dtype=bool)
        wanted = [2, *([5] if model.eclipses == 2 else [])]
        wanted += [len(columns) - 1] if model.tide is not None else []
        for column in wanted:
            strong &= (some[:, column] > 5.0 * variance[:, column].sqrt()).numpy()
        for number in range(model.eclipses):
            off = phase[rows] - theta[rows, 1 + 3 * number, None]
            off = np.abs(off - np.rint(off)) < 2.0 * theta[rows, 3 + 3 * number, None]
            strong &= off.sum(axis=1) >= 3
        shown[rows] = strong
    return shown


def fitted(phase, flux, error):
    """Fit in pieces; return the tables together, and the CPU seconds."""
    start = time.process_time()
    pieces = [
        two_gaussian.fit(phase[k : k + CHUNK], flux[k : k + CHUNK], error[k : k + CHUNK])
        for k in range(0, len(phase), CHUNK)
    ]
    spent = time.process_time() - start
    return pieces, spent


def circular(found, true):
    """Difference of separations; which eclipse is the deeper does not count."""
    straight = np.abs((found - true + 0.5) % 1 - 0.5)
    turned = np.abs((1 - found - true + 0.5) % 1 - 0.5)
    return np.minimum(straight, turned)


def family(table, n, rng):
    print(f"\n== the family itself, {n} curves each ==")
    for points in (100, 1000):
        for error in (1e-3, 5e-3):
            phase, flux, theta, name = family_curves(table, n, points, error, rng)
            pieces, spent = fitted(phase, flux, [np.full(points, error)] * n)
            model = np.concatenate([piece.model for piece in pieces])
            model = np.array(["CG12E" if one.startswith("CG12E") else one for one in model])
            separation = np.concatenate([piece.separation for piece in pieces])
            spread = np.concatenate([piece.separation_err for piece in pieces])
            shown = identifiable(phase, theta, name, error)
            two = np.char.startswith(name, "CG12")
            off = circular(separation, theta[:, 4] - theta[:, 1])
            known = two & np.isfinite(separation)
            good = known & shown
            pull = off[good] / spread[good]
            print(
                f"N={points} error={error:g}: {1e3 * spent / n:.2f} ms/curve; separation error "
                f"median {np.median(off[known]):.2e} (of {known.sum() / two.sum():.0%} of the "
                f"two-eclipse curves), where identifiable {np.median(off[good]):.2e}, "
                f"median |pull| {np.median(pull):.2f}; family right: identifiable "
                f"({shown.mean():.0%}) {np.mean((model == name)[shown]):.1%}, all "
                f"{np.mean(model == name):.1%}"
            )


def peer(phase, flux, error):
    """Fit the seven models of one curve as the published code does; return the separation."""

    def gaussians(x, *theta, eclipses, tide):
        y = np.full_like(x, theta[0])
        for number in range(eclipses):
            mu, depth, sigma = theta[1 + 3 * number : 4 + 3 * number]
            for turn in range(-2, 3):
                y -= depth * np.exp(-((x - mu + turn) ** 2) / (2 * sigma**2))
        if tide is not None:
            y -= 0.5 * theta[-1] * np.cos(4 * np.pi * (x - theta[1 + 3 * tide]))
        return y

    first = phase[flux.argmin()]
    sigma = 0.02
    off = np.abs((phase - first + 0.5) % 1 - 0.5)
    rest = np.where(off > WIDTH_IN_SIGMA * sigma, flux, np.inf)
    second = phase[rest.argmin()]
    depth = np.median(flux) - flux.min()
    best, separation = np.inf, np.nan
    for model in FAMILY:
        start = [np.median(flux)]
        start += [first, depth, sigma] if model.eclipses else []
        start += [second, 0.5 * depth, sigma] if model.eclipses == 2 else []
        start += [first] if model.name == "CE" else []
        start += [0.1 * depth] if model.tide is not None else []

        def curve(x, *theta, model=model):
            return gaussians(x, *theta, eclipses=model.eclipses, tide=model.tide)

        try:
            theta, _ = curve_fit(curve, phase, flux, p0=start, sigma=np.full(len(phase), error))
        except RuntimeError:
            continue
        chi2 = float((((flux - curve(phase, *theta)) / error) ** 2).sum())
        bic = chi2 + len(start) * np.log(len(phase))
        if bic < best:
            best = bic
            separation = (theta[4] - theta[1]) % 1 if model.eclipses == 2 else np.nan
    return separation


def speed(table, rng, n=2000, peers=60):
    import warnings

    from scipy.optimize import OptimizeWarning

    print("\n== CPU per curve, and the peer in the same run ==")
    for points in (100, 1000):
        phase, flux, theta, name = family_curves(table, n, points, 1e-3, rng)
        error = np.full((n, points), 1e-3)
        ours = min(fitted(phase, flux, error)[1] for _ in range(6))
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            found = [peer(phase[k], flux[k], 1e-3) for k in range(peers)]
        theirs = time.process_time() - start
        two = np.char.startswith(name[:peers], "CG12")
        off = circular(np.array(found), (theta[:, 4] - theta[:, 1])[:peers])[two]
        print(
            f"N={points}: ours {1e3 * ours / n:.2f} ms (best of 6 over {n}), peer "
            f"{1e3 * theirs / peers:.0f} ms; its separation error median {np.nanmedian(off):.1e} "
            f"of {np.isfinite(off).mean():.0%}"
        )


def survey(table, n, rng, figure, samplings=("kepler", "gaia")):
    print(f"\n== {n} physical curves with the catalogue's parameters ==")
    start = time.process_time()
    population = from_catalogue(table, n, rng=rng)
    print(f"systems: {1e3 * (time.process_time() - start) / n:.1f} ms each")
    source = table.iloc[population["source"]].reset_index(drop=True)
    for sampling in samplings:
        start = time.process_time()
        curves, truth = simulate_lightcurves(
            n, rng=np.random.default_rng(17), sampling=sampling, population=population
        )
        made = time.process_time() - start
        for points in (1000, 100) if sampling == "kepler" else (0,):
            if points == 100:
                curves = [binned(curve, points) for curve in curves]
            columns = [[getattr(c, k) for c in curves] for k in ("time", "flux", "flux_err")]
            pieces, spent = fitted(*columns)
            print(
                f"\n{sampling} {points or '~80'} points: simulated in {1e3 * made / n:.1f} ms, "
                f"fitted in {1e3 * spent / n:.2f} ms each"
            )
            report(sampling, points, pieces, columns, truth, source, figure)


def report(sampling, points, pieces, columns, truth, source, figure):
    model = np.concatenate([piece.model for piece in pieces])
    separation = np.concatenate([piece.separation for piece in pieces])
    position = np.concatenate(
        [np.where(np.isfinite(p.position_1), p.position_1, p.position_e) for p in pieces]
    )
    kind = truth["kind"].to_numpy().astype(str)
    off = circular(separation, truth["separation"].to_numpy())
    two = np.isfinite(off)
    print(f"separation error median {np.median(off[two]):.2e} of {two.mean():.0%}; by kind:")
    for name in np.unique(kind):
        mine = two & (kind == name)
        print(f"  {name:14s} {np.median(off[mine]):.2e} ({mine.sum()})")
    varies = model != "C"
    eclipse = np.char.startswith(model, "CG")
    print(
        f"varies: {varies.mean():.1%}; with an eclipse: {eclipse.mean():.1%}; both eclipses: "
        f"{two.mean():.1%}"
    )
    if points == 100:
        return
    curves = np.concatenate([piece.curve(PHASES) for piece in pieces])
    curves[~varies] = np.nan
    chains = polyfit.fit(*columns)
    ours = morphology(chains.minima()[2])
    both = np.isfinite(ours)
    print(
        f"morphology against the catalogue's: Spearman "
        f"{spearmanr(ours[both], source['morph'][both])[0]:.3f}, median difference "
        f"{np.median((ours - source['morph'])[both]):+.3f}, "
        f"MAD {np.median(np.abs(ours - source['morph'])[both]):.3f}"
    )
    start = time.process_time()
    classes = classify(curves, position=position)
    print(
        f"t-SNE + DBSCAN: {time.process_time() - start:.0f} s CPU, {classes.n_groups} groups, "
        f"{np.mean(classes.group[varies] == -1):.1%} in none"
    )
    print(agreement(classes.group[varies], kind[varies]).round(3).to_string(index=False))
    names = []
    for number in range(classes.n_groups):
        inside, count = np.unique(kind[classes.group == number], return_counts=True)
        names.append(f"{number + 1}: {inside[count.argmax()]}")
    if figure and sampling == "gaia":
        drawn = class_figure(
            classes.place,
            classes.group,
            PHASES,
            classes.mean,
            classes.spread,
            names=names,
            title="Simulated Kepler binaries, Gaia sampling, two-Gaussian fits",
        )
        save_figure(drawn, Path(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--curves", type=int, default=10_000)
    parser.add_argument("--only", default="family,speed,survey")
    parser.add_argument("--figure", default="")
    parser.add_argument("--sampling", default="kepler,gaia")
    parser.add_argument("--seed", type=int, default=2017)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = catalogue(options.data)
    parts = options.only.split(",")
    if "family" in parts:
        family(table, options.curves, np.random.default_rng(options.seed))
    if "speed" in parts:
        speed(table, np.random.default_rng(options.seed + 1))
    if "survey" in parts:
        rng = np.random.default_rng(options.seed + 2)
        survey(table, options.curves, rng, options.figure, options.sampling.split(","))


if __name__ == "__main__":
    main()
