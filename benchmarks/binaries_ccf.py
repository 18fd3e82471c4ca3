"""Cross-correlation: completeness and false positives, on simulated and on real stars.

    python benchmarks/binaries_ccf.py [--spectra 1536]

Simulated: GALAH spectra of the emulator (the templates are of the same emulator, at other labels).
Real: Gaia benchmark stars of NARVAL in the GALAH bands at R = 28,000, alone (rotation added) and
two by two (like stars: within 0.4 dex of [Fe/H], 0.9 of log g), with Gaussian noise. Their
lines are nature's, not the emulator's.
"""

import argparse
import importlib.util
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from siderea.binaries.detect import CCFDetector
from siderea.data import Spectra
from siderea.simulate.spectra import TableOfStars, simulate_spectra
from siderea.spectra.broadening import rotational
from siderea.spectra.instruments import GALAH_GRID as GRID

HERE = Path(__file__).resolve().parent


def module(path: Path):
    specification = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    return loaded


def stars(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return a third of binaries; a quarter giants, half of the single dwarfs fast rotators."""
    given, rows = module(HERE.parent / "tests" / "given_stars.py"), []
    for number in range(n):
        giant = rng.random() < 0.25
        teff = rng.uniform(4300, 5200) if giant else rng.uniform(4800, 6500)
        row = {"teff": teff, "logg": rng.uniform(1.8, 3.2) if giant else rng.uniform(4.2, 4.7)}
        row |= {"fe_h": rng.uniform(-1, 0.3), "alpha_fe": rng.uniform(0, 0.3)}
        row |= {"radius": 10.0 if giant else (teff / 5772) ** 1.5}
        row |= {"snr": float(np.exp(rng.uniform(np.log(20), np.log(200))))}
        row |= {"vsini": rng.uniform(1, 60 if not giant and rng.random() < 0.5 else 10)}
        if 3 * number >= 2 * n and not giant:
            dv, second = rng.uniform(5, 120) * rng.choice([-1, 1]), teff - rng.uniform(0, 1200)
            row |= given.TWIN | {"teff_2": max(second, 4100.0), "logg_2": row["logg"] + 0.1}
            row |= {"radius_2": row["radius"] * (max(second, 4100.0) / teff) ** 1.5}
            row |= {"vsini": rng.uniform(1, 10), "vsini_2": rng.uniform(1, 8), "dv": dv}
            row |= {"rv_1": -dv / 2, "rv_2": dv / 2}
        rows.append(row)
    return given.table(*rows)


def simulated(n: int) -> None:
    table = stars(n, np.random.default_rng(1977))
    spectra, truth = simulate_spectra(n, rng=12, population=TableOfStars(table))
    detector = CCFDetector(spectra)
    start = time.process_time()
    found = detector(spectra)
    print(f"{1e3 * (time.process_time() - start) / n:.2f} ms of processor time per spectrum")
    many, single = found["n_components"] > 1, truth["n_stars"] == 1
    ratio, dv = truth["share_2"] / (1 - truth["share_2"]), truth["dv"].abs()
    fast = single & (truth["vsini"] > 30)
    for name, rows in (
        ("singles called multiple", single),
        ("  of them v sin i > 30", fast),
        (
            "binaries, dv >= 25, ratio >= .3, S/N >= 40",
            ~single & (dv >= 25) & (ratio >= 0.3) & (truth["snr"] >= 40),
        ),
        (
            "binaries, dv >= 25, ratio >= .3, S/N 20-40",
            ~single & (dv >= 25) & (ratio >= 0.3) & (truth["snr"] < 40),
        ),
        ("binaries, dv >= 25, ratio .1-.3", ~single & (dv >= 25) & (ratio > 0.1) & (ratio < 0.3)),
        ("binaries, dv 15-25", ~single & (dv >= 15) & (dv < 25)),
        ("binaries, dv 5-15", ~single & (dv < 15)),
    ):
        print(f"{name}: {int((many & rows).sum())} of {int(rows.sum())}")
    extrema = found["n_extrema"] > 1
    print(f"by derivatives alone: singles {int((extrema & single).sum())} of {int(single.sum())}")


def noisy(flux: np.ndarray, covered: np.ndarray, snr: float, rng: np.random.Generator) -> Spectra:
    ivar = np.where(covered, snr**2, 0.0)
    return Spectra(
        GRID.wavelength,
        flux + rng.normal(0, 1 / snr, flux.shape),
        ivar,
        "air",
        arms=GRID.arms,
        arm_names=GRID.arm_names,
        resolution=GRID.resolution,
    )


def moved(flux: np.ndarray, rv: float) -> np.ndarray:
    shift = 1 + rv / 299_792.458
    return np.concatenate(
        [np.interp(GRID.wavelength[a] / shift, GRID.wavelength[a], flux[a]) for a in GRID.arms]
    )


def alike(names: list[str], references: dict) -> list[tuple[int, int]]:
    """Return the ordered pairs of like chemistry and gravity, as the stars of a binary are."""
    known = [(i, references[star]) for i, star in enumerate(names) if star in references]
    return [
        (i, j)
        for i, one in known
        for j, other in known
        if i != j and abs(one[2] - other[2]) < 0.4 and abs(one[1] - other[1]) < 0.9
    ]


def real(data: Path) -> None:
    narval, rng = module(HERE / "narval.py"), np.random.default_rng(3)
    cool = ("alfCet", "gamSge", "alfTau", "61CygB")  # M and late K: cooler than any template
    read = {star: narval.read_star(data, star) for star in narval.HD if star not in cool}
    names = list(read)
    covered = np.stack([read[star][1] for star in names])
    at_rest = noisy(np.stack([read[star][0] for star in names]), covered, 200.0, rng)
    detector = CCFDetector(at_rest)
    rv = detector(at_rest)["rv_1"].to_numpy()
    flux = [moved(read[star][0], -v) for star, v in zip(names, rv, strict=True)]
    like = alike(names, narval.references(data))
    print(f"{len(names)} real stars, {len(like)} ordered pairs of like stars")
    for snr in (40.0, 100.0):
        for vsini in (0.0, 15.0, 30.0, 45.0, 60.0):
            rows = np.array(flux)
            if vsini:
                rows = np.concatenate([rotational(rows[:, a], 2.85, vsini) for a in GRID.arms], 1)
            found = detector(noisy(np.tile(rows, (4, 1)), np.tile(covered, (4, 1)), snr, rng))
            called = int((found["n_components"] > 1).sum())
            print(f"real singles, S/N {snr:.0f}, v sin i {vsini:.0f}: {called} of {len(found)}")
        for ratio in (0.15, 0.3, 0.6, 1.0):
            line = []
            for dv in (15.0, 20.0, 25.0, 40.0, 80.0):
                pairs = [like[k] for k in rng.integers(len(like), size=60)]
                both = [
                    (moved(flux[i], -dv / 2) + ratio * moved(flux[j], dv / 2)) / (1 + ratio)
                    for i, j in pairs
                ]
                seen = np.stack([covered[i] & covered[j] for i, j in pairs])
                found = detector(noisy(np.array(both), seen, snr, rng))
                line.append(f"{dv:.0f}: {(found['n_components'] == 2).mean():.0%}")
            print(f"real pairs, S/N {snr:.0f}, light ratio {ratio}: " + ", ".join(line))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--spectra", type=int, default=1536)
    options = parser.parse_args()
    simulated(options.spectra)
    real(Path(os.environ.get("SIDEREA_DATA", HERE.parents[1] / "shared" / "data")))
