"""Build the shipped isochrones from the published tables, and measure what the building costs.

    python benchmarks/isochrones.py DATA                # accuracy and speed
    python benchmarks/isochrones.py DATA --build        # write src/siderea/isochrones/data/dsed.npz

DATA is the folder of real data (its ``isochrones/`` and ``photometry/`` are read). Building, and
the comparison of bands, need h5py.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from isochrone_tables import dartmouth, grid, padova, usable_ages
from siderea.isochrones import Isochrones, load_default
from siderea.isochrones.table import pack

SHIPPED = Path(__file__).parents[1] / "src/siderea/isochrones/data/dsed.npz"
STAGES = ("main sequence", "subgiant", "giant branch")
QUANTITIES = ("Teff", "log g", "log R", "log L", "M_r")


def stages(rows):
    """Return 0 before the hottest point, 1 to the base of the giant branch, 2 above it.

    The base is the knee of log L against log Teff: the point farthest below the line from the
    hottest point to the tip.
    """
    heat, light = rows[:, 2], rows[:, 4]
    hottest = np.argmax(np.where(rows[:, 0] > 60, heat, 0))
    x = (heat - heat[-1]) / (heat[hottest] - heat[-1])
    y = (light - light[hottest]) / (light[-1] - light[hottest])
    step = np.arange(heat.size)
    knee = np.argmax(np.where(step >= hottest, 1 - x - y, -np.inf))
    return np.where(step <= hottest, 0, np.where(step <= knee, 1, 2))


def at_mass(isochrones, rows, age, fe_h):
    """Return errors (rows, 5) at the masses of one table, in the order of QUANTITIES."""
    stars = isochrones.stars(rows[:, 1], age, fe_h)
    m_r = isochrones.magnitudes(rows[:, 1], age, fe_h, ["sdss_r"])[:, 0]
    log_r = 0.5 * rows[:, 4] - 2 * (rows[:, 2] - np.log10(5772.0))
    return np.c_[
        stars.teff / 10 ** rows[:, 2] - 1,
        stars.logg - (4.438068 + np.log10(rows[:, 1]) - 2 * log_r),
        np.log10(stars.radius) - log_r,
        np.log10(stars.luminosity) - rows[:, 4],
        m_r - rows[:, 7],
    ]


def at_gravity(isochrones, rows, age, fe_h):
    """Return errors of Teff and M_r (rows, 2) at the gravities of evolved stars of one table."""
    heaviest = float(isochrones.heaviest(age, fe_h))
    mass = heaviest * (1 - np.geomspace(1e-9, 0.15, 6000)[::-1])
    stars = isochrones.stars(mass, age, fe_h)
    m_r = isochrones.magnitudes(mass, age, fe_h, ["sdss_r"])[:, 0]
    order = np.flatnonzero(np.isfinite(stars.logg))
    order = order[np.argsort(-stars.logg[order])]
    log_r = 0.5 * rows[:, 4] - 2 * (rows[:, 2] - np.log10(5772.0))
    logg = 4.438068 + np.log10(rows[:, 1]) - 2 * log_r
    teff = np.interp(-logg, -stars.logg[order], stars.teff[order])
    return np.c_[
        teff / 10 ** rows[:, 2] - 1,
        np.interp(-logg, -stars.logg[order], m_r[order]) - rows[:, 7],
    ]


def compare(isochrones, tables, nodes):
    """Print medians and 99th percentiles of the errors over some nodes of the tables."""
    by_mass, by_gravity, lost = [[], [], []], [], []
    for fe_h, age in nodes:
        rows = tables[fe_h][age]
        rows = rows[rows[:, 1] > 0.141]
        stage, error = stages(rows), np.abs(at_mass(isochrones, rows, age, fe_h))
        for index in range(3):
            by_mass[index].append(error[stage == index])
        by_gravity.append(np.abs(at_gravity(isochrones, rows[stage == 2], age, fe_h)))
        lost.append(np.isnan(error[:, 0]).mean())
    for name, errors in zip(STAGES, by_mass, strict=True):
        errors = np.vstack(errors)
        middle, worst = np.nanmedian(errors, 0), np.nanpercentile(errors, 99, axis=0)
        text = "  ".join(
            f"{q} {m:.4f}/{w:.3f}" for q, m, w in zip(QUANTITIES, middle, worst, strict=True)
        )
        print(f"  {name:13} at its mass     {text}")
    errors = np.vstack(by_gravity)
    middle, worst = np.nanmedian(errors, 0), np.nanpercentile(errors, 99, axis=0)
    print(
        f"  {'giant branch':13} at its log g    Teff {middle[0]:.4f}/{worst[0]:.3f}  "
        f"M_r {middle[1]:.4f}/{worst[1]:.3f}"
    )
    print(f"  past the interpolated tip: {100 * np.mean(lost):.2f} % of the table's stars")


def accuracy(tables):
    """Print errors with every second node left out, and at the nodes of the shipped table."""
    metals, ages = sorted(tables), usable_ages(tables)
    print("errors: median / 99th percentile of absolute values; Teff is relative")
    print("every second age and [Fe/H] left out, compared at nodes left out in both")
    held_out = [(fe_h, age) for fe_h in metals[1::2] for age in ages[1::2]]
    compare(Isochrones(grid(tables, ages[::2], metals[::2])), tables, held_out)
    print("the same, nodes of 4 Gyr and more (neighbours 2 Gyr and 0.2 dex apart)")
    compare(
        Isochrones(grid(tables, ages[::2], metals[::2])),
        tables,
        [node for node in held_out if node[1] >= 4],
    )
    print("every second [Fe/H] left out")
    metal_poorer = Isochrones(grid(tables, ages, metals[::2]))
    compare(metal_poorer, tables, [(fe_h, age) for fe_h in metals[1::2] for age in ages])
    print("the shipped table at its own nodes")
    compare(load_default(), tables, [(fe_h, age) for fe_h in metals for age in ages])


def speed(isochrones, n_stars=1_000_000):
    """Print stars per second of CPU time on one thread (best of three)."""
    rng = np.random.default_rng(0)
    age, fe_h = rng.uniform(1, 13, n_stars), rng.uniform(-2.5, 0.5, n_stars)
    mass = rng.uniform(0.15, 1.0, n_stars) * isochrones.heaviest(age, fe_h)
    for name, call in (
        ("stars", lambda: isochrones.stars(mass, age, fe_h)),
        (f"{len(isochrones.bands)} magnitudes", lambda: isochrones.magnitudes(mass, age, fe_h)),
    ):
        seconds = []
        for _ in range(3):
            start = time.process_time()
            call()
            seconds.append(time.process_time() - start)
        print(f"{name}: {n_stars / min(seconds):,.0f} stars per CPU second")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--build", action="store_true")
    options = parser.parse_args()
    tables = dartmouth(options.data / "isochrones/DSED.tar.xz")
    if options.build:
        from isochrone_photometry import with_bands

        table = grid(tables, usable_ages(tables), sorted(tables))
        table = with_bands(options.data, table, padova(options.data / "isochrones/PARSEC.tar.xz"))
        SHIPPED.write_bytes(pack(table))
        print(SHIPPED, SHIPPED.stat().st_size)
        return
    accuracy(tables)
    speed(load_default())
    try:
        from isochrone_photometry import compare_bands
    except ImportError:
        print("bands not compared: h5py is not installed")
        return
    compare_bands(options.data, load_default(), padova(options.data / "isochrones/PARSEC.tar.xz"))


if __name__ == "__main__":
    main()
