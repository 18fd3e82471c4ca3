"""Build the shipped isochrones from the published tables, and measure what the building costs.

    python benchmarks/isochrones.py DATA                # accuracy and speed
    python benchmarks/isochrones.py DATA --build        # write src/siderea/isochrones/data/dsed.npz

DATA is the folder of real data (its ``isochrones/`` and ``photometry/`` are read).
"""

import argparse
import re
import tarfile
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator
from sklearn.isotonic import isotonic_regression

from siderea.isochrones.table import IsochroneTable, pack

SHIPPED = Path(__file__).parents[1] / "src/siderea/isochrones/data/dsed.npz"
SDSS = ("sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z")
LOWEST, FIXED = 0.14, 0.5  # solar masses: start of the grid; up to here phases are masses
FIRST_EEP, LAST_EEP = 100, 260  # the tables' own phases are kept between these
N_FIXED, N_SCALED, N_TIP = 24, 60, 20


def dartmouth(path):
    """Return {[Fe/H]: {age in Gyr: array (rows, 10)}} of a DSED archive."""
    tables = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith(".iso"):
                text = archive.extractfile(member).read().decode()
                fe_h = float(text.split("\n")[3].split()[5])
                blocks = re.split(r"#AGE=\s*", text)[1:]
                tables[fe_h] = {
                    float(block.split()[0]): np.array(
                        [row.split() for row in block.split("\n")[2:] if row.strip()], dtype=float
                    )
                    for block in blocks
                }
    return tables


def ascending(mass):
    """Return the masses made strictly ascending: nearest such sequence, ties spread evenly."""
    fitted = isotonic_regression(mass)
    steps = np.arange(mass.size)
    first = np.searchsorted(fitted, fitted, side="left")
    values, knots = np.unique(fitted, return_index=True)
    del first
    last = np.r_[knots[1:], mass.size] - 1
    return np.interp(steps, (knots + last) / 2, values) + 1e-9 * steps


def resample(rows):
    """Return log mass (K,) and columns (K, 7) of one isochrone along the phase."""
    eep, mass = rows[:, 0], np.log10(ascending(rows[:, 1]))
    by_mass = PchipInterpolator(mass, rows[:, [2, 4, *range(5, 10)]])
    start = float(np.interp(FIRST_EEP, eep, mass))
    fixed = np.linspace(np.log10(LOWEST), np.log10(FIXED), N_FIXED, endpoint=False)
    # Denser towards the turn-off, where a star of little more mass is much more evolved.
    scaled = 1 - np.linspace(1, 0, N_SCALED, endpoint=False) ** 1.5
    scaled = np.log10(FIXED) + scaled * (start - np.log10(FIXED))
    eeps = np.r_[np.arange(FIRST_EEP, LAST_EEP), np.linspace(LAST_EEP, eep[-1], N_TIP)]
    by_eep = PchipInterpolator(eep, np.c_[mass, rows[:, [2, 4, *range(5, 10)]]])(eeps)
    below = np.r_[fixed, scaled]
    return np.r_[below, by_eep[:, 0]], np.r_[by_mass(below), by_eep[:, 1:]]


def grid(tables, ages, metals):
    """Return the IsochroneTable of the nodes asked for."""
    nodes = [[resample(tables[fe_h][age]) for age in ages] for fe_h in metals]
    return IsochroneTable(
        fe_h=np.array(metals),
        age=np.array(ages),
        log_mass=np.array([[node[0] for node in row] for row in nodes]),
        columns=np.array([[node[1] for node in row] for row in nodes]),
        bands=SDSS,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--build", action="store_true")
    options = parser.parse_args()
    tables = dartmouth(options.data / "isochrones/DSED.tar.xz")
    metals = sorted(tables)
    # Below 1 Gyr the tables are extrapolations: their masses do not ascend.
    ages = [age for age in sorted(tables[0.0]) if age >= 1]
    if options.build:
        SHIPPED.write_bytes(pack(grid(tables, ages, metals)))
        print(SHIPPED, SHIPPED.stat().st_size)


if __name__ == "__main__":
    main()
