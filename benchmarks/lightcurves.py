"""Light curves of eclipsing binaries: the figures of step 9.

``python benchmarks/lightcurves.py DATA [--curves N] [--only family,speed] [--figure PNG]``

DATA is the folder of real data (``kepler_eb/kebc.csv`` is read from it).

family  curves of the two-Gaussian family itself with the depths, widths, separations of the
        catalogue: here the right model is known.
speed   CPU time per curve, and scipy's ``curve_fit`` (finite differences, one curve and one model
        at a time) on some of the same curves in the same run.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.optimize import curve_fit

from siderea.lightcurves import two_gaussian
from siderea.lightcurves.gaussian_descent import box
from siderea.lightcurves.gaussian_family import FAMILY, Points, quadratic, values
from siderea.lightcurves.two_gaussian import WIDTH_IN_SIGMA
from siderea.models.levenberg_marquardt import minimise

CHUNK = 2000


def catalogue(data: Path) -> pd.DataFrame:
    table = pd.read_csv(data / "kepler_eb" / "kebc.csv", comment="#")
    temperatures = pd.read_csv(data / "kepler_eb" / "armstrong14.tsv", sep="\t", comment="#")
    temperatures = temperatures.rename(columns=str.strip)[["KIC", "T1", "R2/R1", "T2", "e_T2"]]
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


MODELS = {"CG": FAMILY[2], "CGE": FAMILY[3], "CG12": FAMILY[4], "CG12E": FAMILY[5]}


def pieces_by_model(theta, name):
    """Yield each model with the rows that are of it and its parameters."""
    for label, model in MODELS.items():
        rows = np.flatnonzero(name == label)
        columns = [0, 1, 2, 3, *([4, 5, 6] if model.eclipses == 2 else [])]
        columns += [7] if model.tide is not None else []
        yield model, rows, torch.from_numpy(theta[np.ix_(rows, columns)])


@dataclass
class Bound:
    """What no fit can beat: Cramér-Rao bounds at the truth, all parameters being free.

    strength (N, 3): depths and ellipsoidal amplitude over their errors, inf for terms that are not
    there; separation (N,): error of the separation; covered (N,): three points within two sigma of
    each eclipse.
    """

    strength: np.ndarray
    separation: np.ndarray
    covered: np.ndarray

    def identifiable(self):
        """Every term five sigma strong, every eclipse covered."""
        return self.covered & np.all(self.strength > 5.0, axis=1)

    def above_criterion(self, points):
        """Every term lowers chi2 by more than it costs in the criterion.

        3 ln n for an eclipse, ln n for the ellipsoidal term.
        """
        cost = np.array([3.0, 3.0, 1.0]) * np.log(points)
        return np.all(self.strength**2 > cost, axis=1)


def bounds(phase, theta, name, error):
    n = len(theta)
    bound = Bound(np.full((n, 3), np.inf), np.full(n, np.nan), np.ones(n, dtype=bool))
    for model, rows, some in pieces_by_model(theta, name):
        x = torch.from_numpy(phase[rows])
        weight = torch.full_like(x, error**-2)
        normal = quadratic(model, some, Points(x, torch.zeros_like(x), weight)).normal
        diagonal = torch.diagonal(normal, dim1=1, dim2=2)
        size = diagonal.clamp(min=1e-300).sqrt()
        scaled = normal / (size[:, :, None] * size[:, None, :])
        inverse = torch.linalg.pinv(scaled, rtol=1e-14, hermitian=True)
        covariance = inverse / (size[:, :, None] * size[:, None, :])
        spread = torch.diagonal(covariance, dim1=1, dim2=2).sqrt()
        strength = torch.where(diagonal > 0, some / spread, 0.0).numpy()
        for term, column in ((0, 2), (1, 5))[: model.eclipses]:
            bound.strength[rows, term] = strength[:, column]
        if model.tide is not None:
            bound.strength[rows, 2] = strength[:, -1]
        if model.eclipses == 2:
            apart = covariance[:, 1, 1] + covariance[:, 4, 4] - 2 * covariance[:, 1, 4]
            bound.separation[rows] = apart.clamp(min=0).sqrt().numpy()
        for number in range(model.eclipses):
            off = phase[rows] - theta[rows, 1 + 3 * number, None]
            off = np.abs(off - np.rint(off)) < 2.0 * theta[rows, 3 + 3 * number, None]
            bound.covered[rows] &= off.sum(axis=1) >= 3
    return bound


def criterion_at_truth(phase, flux, theta, name, error):
    """Return the criterion of the true model, its descent begun at the truth."""
    best = np.full(len(theta), np.inf)
    for model, rows, start in pieces_by_model(theta, name):
        weight = np.full((len(rows), phase.shape[1]), error**-2)
        points = Points(*(torch.from_numpy(a) for a in (phase[rows], flux[rows], weight)))
        lower, upper = box(model, 1e-4)
        found = minimise(
            lambda t, some, m=model, p=points: quadratic(m, t, p[some]),
            start,
            lambda t, low=lower, high=upper: (low.expand_as(t), high.expand_as(t)),
            max_iterations=30,
        )
        best[rows] = found.at.chi2.numpy() + model.size * np.log(phase.shape[1])
    return best


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
            one_family(table, n, points, error, rng)


def one_family(table, n, points, error, rng):
    phase, flux, theta, name = family_curves(table, n, points, error, rng)
    pieces, spent = fitted(phase, flux, [np.full(points, error)] * n)
    model = np.concatenate([piece.model for piece in pieces])
    model = np.array(["CG12E" if one.startswith("CG12E") else one for one in model])
    separation = np.concatenate([piece.separation for piece in pieces])
    spread = np.concatenate([piece.separation_err for piece in pieces])
    chosen = np.concatenate([piece.bic for piece in pieces]).min(axis=1)
    bound = bounds(phase, theta, name, error)
    shown, above = bound.identifiable(), bound.above_criterion(points)
    two = np.char.startswith(name, "CG12")
    off = circular(separation, theta[:, 4] - theta[:, 1])
    known = two & np.isfinite(separation)
    good, right = known & shown, model == name
    missed = ~right & (criterion_at_truth(phase, flux, theta, name, error) < chosen - 0.5)
    median = 0.6745  # of |x| of a Gaussian
    print(
        f"N={points} error={error:g}: {1e3 * spent / n:.2f} ms/curve\n"
        f"  separation error, median: {np.median(off[known]):.2e} where two eclipses were found "
        f"({known.sum() / two.sum():.0%}; Cramér-Rao bound "
        f"{median * np.median(bound.separation[known]):.2e}), {np.median(off[good]):.2e} where "
        f"identifiable (bound {median * np.median(bound.separation[good]):.2e}); median |pull| "
        f"{np.median(off[good] / spread[good]):.2f}\n"
        f"  family right: identifiable ({shown.mean():.0%}) {right[shown].mean():.1%}; every term "
        f"worth its cost ({above.mean():.0%}) {right[above].mean():.1%}, else "
        f"{right[~above].mean():.1%}; all {right.mean():.1%}\n"
        f"  wrong because the true model has no better criterion: "
        f"{np.mean(~right & ~missed):.1%}; because the descent missed it: {missed.mean():.2%}",
        flush=True,
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--curves", type=int, default=10_000)
    parser.add_argument("--only", default="family,speed")
    parser.add_argument("--seed", type=int, default=2017)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = catalogue(options.data)
    parts = options.only.split(",")
    if "family" in parts:
        family(table, options.curves, np.random.default_rng(options.seed))
    if "speed" in parts:
        speed(table, np.random.default_rng(options.seed + 1))


if __name__ == "__main__":
    main()
