"""Velocities that vary: false alarms, orbits of the catalogues, posteriors that cover the truth.

    python benchmarks/binaries_orbits.py [--only constant|catalogue|coverage|speed] [--stars 40]
    ... --only coverage --stars 100 --epochs 8 --seed 9

``constant``: 10⁶ constant stars, errors of each epoch of its own, the floor estimated from them.
``catalogue``: orbital elements of the 320 unimodal APOGEE orbits of The Joker and of Troup et al.
(2016); their epochs are *not* published with them, so velocities are simulated: as many visits as
the catalogue says, over the star's own baseline (Troup) or that of a Troup star (The Joker), with
the catalogue's jitter and 0.1 km/s of error. An orbit counts as constrained where, of the noiseless
velocities, no period more than 1 % away fits within Δχ² of 25, and three errors are below 1 %.
``coverage``: orbits of the prior, 4 to 12 epochs; how often the truth is in the central intervals.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.table import Table
from scipy.stats import norm

from siderea.binaries.orbit_fit import fit_orbit, search_periods
from siderea.binaries.orbit_samples import ECCENTRICITY, sample_orbits
from siderea.binaries.rv_variability import sb1_significance
from siderea.simulate.orbits import radial_velocity

ERROR = 0.1
SHORTEST = 1.0


def constant(n: int = 1_000_000) -> None:
    rng = np.random.default_rng(31)
    for name, spread in (("equal errors", 0.0), ("errors that differ by a factor 1.8", 0.6)):
        epochs = rng.integers(2, 9, n)
        star = np.repeat(np.arange(n), epochs)
        error = 0.3 * np.exp(spread * rng.standard_normal(star.size))
        rv = rng.normal(0, 30, n)[star] + rng.standard_normal(star.size) * np.hypot(error, 0.25)
        start = time.process_time()
        table = sb1_significance(rv, error, star)
        print(
            f"{name}: {n} constant stars in {time.process_time() - start:.1f} s, floor "
            f"{table['floor'].iloc[0]:.3f} (0.25), beyond 3 sigma over nominal: "
            f"{(table['sigma'] > 3).mean() / norm.sf(3):.3f} (chi2), "
            f"{(table['sigma_pair'] > 3).mean() / norm.sf(3):.3f} (pairs), "
            f"{int(table['variable'].sum())} called variable"
        )


def catalogues(data: Path) -> dict[str, pd.DataFrame]:
    """Return P, e, omega, phase at the first epoch, K, jitter, visits and baseline."""
    folder = data / "apogee_orbits"
    troup = pd.read_csv(folder / "troup16-dr12.csv", skipinitialspace=True)
    troup.columns = [name.strip("# ") for name in troup.columns]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        joker = Table.read(folder / "highK-unimodal.fits")
    names = {"P": "period", "e": "e", "omega": "omega", "K": "k", "jitter": "jitter"}
    one = pd.DataFrame({new: np.asarray(joker[old], float) for old, new in names.items()})
    one["visits"] = np.asarray(joker["NVISITS"], int)
    rng = np.random.default_rng(5)
    one["baseline"] = rng.choice(troup["BASELINE"].to_numpy(), len(one))
    two = troup.rename(columns={"PERIOD": "period", "ECC": "e", "OMEGA": "omega"})
    two = two.assign(k=two["SEMIAMP"] / 1000, jitter=0.0, visits=two["NVISITS"])
    two["baseline"] = troup["BASELINE"]
    names = ["period", "e", "omega", "k", "jitter", "visits", "baseline"]
    return {"The Joker, unimodal": one[names], "Troup et al. 2016": two[names]}


def catalogue(data: Path, most: int) -> None:
    for name, orbits in catalogues(data).items():
        rng = np.random.default_rng(17)
        usable = orbits[(orbits["visits"] >= 7) & (orbits["period"] > 2 * SHORTEST)]
        usable = usable.sample(min(most, len(usable)), random_state=3)
        start, constrained, right, flagged = time.process_time(), 0, 0, 0
        for row in usable.itertuples():
            t = 57000 + np.sort(rng.uniform(0, row.baseline, row.visits))
            first = t[0] - rng.uniform(0, 1) * row.period
            clean = radial_velocity(t, row.period, first, row.k, min(row.e, 0.95), row.omega)
            sigma = np.full(t.size, np.hypot(ERROR, row.jitter))
            longest = max(row.baseline, 1.2 * row.period)
            if not is_constrained(t, clean, sigma, row.period, longest):
                continue
            constrained += 1
            rv = clean + sigma * rng.standard_normal(t.size)
            orbit = fit_orbit(t, rv, sigma, shortest=SHORTEST, longest=longest)
            good = abs(orbit.period / row.period - 1) < 0.01
            right += good
            flagged += (not good) and (not orbit.unimodal)
        print(
            f"{name}: {len(usable)} orbits of 7 visits and more, {constrained} constrained by "
            f"simulated epochs, {right} periods within 1 %, {flagged} of the others flagged by "
            f"rival periods; {time.process_time() - start:.0f} s"
        )


def is_constrained(t, clean, sigma, period: float, longest: float) -> bool:
    trial, chi2 = search_periods(t, clean, sigma, shortest=SHORTEST, longest=longest)
    if chi2[np.abs(trial / period - 1) > 0.01].min() < 25:
        return False
    best = fit_orbit(t, clean, sigma, shortest=SHORTEST, longest=longest)
    return 3 * best.errors["period"] < 0.01 * period


def coverage(n: int, seed: int = 8, chosen: tuple[int, ...] = ()) -> None:
    for epochs, error in ((4, 2.0), (6, 1.0), (8, 0.3), (12, 0.2)):
        if chosen and epochs not in chosen:
            continue
        rank, cpu = [], time.process_time()
        for rng in np.random.default_rng([seed, epochs]).spawn(n):
            period, e = np.exp(rng.uniform(np.log(2), np.log(1000))), rng.beta(*ECCENTRICITY)
            k = rng.normal(0, 30 * (period / 365.25) ** (-1 / 3) / np.sqrt(1 - e**2))
            omega, first = rng.uniform(0, 2 * np.pi), rng.uniform(0, period)
            t = 57000 + np.sort(rng.uniform(0, 900, epochs))
            rv = radial_velocity(t, period, t[0] - first, k, e, omega, rng.normal(0, 30))
            rv += rng.normal(0, error, epochs)
            samples = sample_orbits(
                t, rv, np.full(epochs, error), rng=rng, shortest=2.0, longest=1000.0
            )
            truth = ((samples.period, period), (samples.eccentricity, e))
            truth += ((np.abs(samples.amplitude), abs(k)),)
            rank.append([np.mean(values < true) for values, true in truth])
        inside = [np.mean(np.abs(np.array(rank) - 0.5) < half, axis=0) for half in (0.34, 0.475)]
        print(
            f"{epochs} epochs of {error} km/s, {n} orbits: truth within 68 % of P, e, K in "
            f"{np.round(inside[0], 3)}, within 95 % in {np.round(inside[1], 3)} (one σ of chance "
            f"{np.sqrt(0.68 * 0.32 / n):.3f}, {np.sqrt(0.95 * 0.05 / n):.3f}); seed {seed}, "
            f"{(time.process_time() - cpu) / n:.2f} s each"
        )


def speed() -> None:
    rng = np.random.default_rng(0)
    t = 57000 + np.sort(rng.uniform(0, 800, 5))
    rv, start = 10 * np.sin(t / 20) + rng.normal(0, 0.5, 5), time.process_time()
    sample_orbits(t, rv, np.full(5, 0.5), rng=rng, n_prior=1_000_000, fewest=1)
    print(f"10⁶ draws of the prior and their likelihoods: {time.process_time() - start:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("constant", "catalogue", "coverage", "speed"))
    parser.add_argument("--stars", type=int, default=40)
    parser.add_argument("--seed", type=int, default=8, help="of coverage")
    parser.add_argument("--epochs", type=int, nargs="*", default=(), help="of coverage: 4 6 8 12")
    options = parser.parse_args()
    data = Path(
        os.environ.get("SIDEREA_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    )
    parts = {
        "constant": constant,
        "catalogue": lambda: catalogue(data, options.stars),
        "coverage": lambda: coverage(options.stars, options.seed, tuple(options.epochs)),
        "speed": speed,
    }
    for name, part in parts.items():
        if options.only in (None, name):
            part()
