"""Read the published isochrones and put them on one phase coordinate (used by isochrones.py)."""

import re
import tarfile

import numpy as np
from scipy.interpolate import PchipInterpolator
from sklearn.isotonic import isotonic_regression

from siderea.isochrones.table import IsochroneTable

SDSS = ("sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z")
COLUMNS = [2, 4, *range(5, 10)]  # log Teff, log L, ugriz in a row of DSED
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


def padova(path):
    """Return labels (rows, 3) and bolometric corrections (rows, 8) of a PARSEC archive.

    Labels are log Teff, log g, [M/H]; the corrections M + 2.5 log L of ugriz J H Ks. Pre-main
    sequence, later phases than the first giant branch, and the 10 Myr table are left out.
    """
    with tarfile.open(path) as archive:
        names = [name for name in archive.getnames() if name.endswith(".txt")]
        older = [name for name in names if "logAge7" not in name]
        rows = np.vstack([np.loadtxt(archive.extractfile(name)) for name in older])
    rows = rows[(rows[:, 9] >= 1) & (rows[:, 9] <= 3) & (rows[:, 6] > -9)]
    return rows[:, [7, 8, 1]], rows[:, 28:36] + 2.5 * rows[:, 6:7]


def ascending(mass):
    """Return the masses made strictly ascending: nearest such sequence, ties spread evenly."""
    fitted = isotonic_regression(mass)
    values, first = np.unique(fitted, return_index=True)
    last = np.r_[first[1:], mass.size] - 1
    steps = np.arange(mass.size)
    return np.interp(steps, (first + last) / 2, values) + 1e-9 * steps


def without_overlaps(rows):
    """Return the rows with every run of main-sequence rows of falling mass replaced by its mean.

    Where two pieces of the tables' own interpolation meet, the mass steps back by up to 2 % and
    log Teff by 0.002: no star does. Later phases keep their rows, which do differ at one mass.
    """
    fitted = isotonic_regression(rows[:, 1])
    group = np.cumsum(np.r_[True, (np.diff(fitted) > 0) | (rows[1:, 0] >= FIRST_EEP)])
    sizes = np.bincount(group)[1:]
    return np.add.reduceat(rows, np.r_[0, np.cumsum(sizes)[:-1]]) / sizes[:, None]


def resample(rows):
    """Return log mass (K,) and columns (K, 7) of one isochrone along the phase.

    Up to FIXED solar masses, stars that never leave the main sequence in a Hubble time, the phase
    is the mass. From there to the table's phase FIRST_EEP it is the mass as a fraction of that
    phase's: a star of the same fraction of the turn-off mass has spent the same fraction of its
    life. Above, the phases are the table's own, stretched near the end to reach the tip.
    """
    rows = without_overlaps(rows)
    eep, mass = rows[:, 0], np.log10(ascending(rows[:, 1]))
    start = float(np.interp(FIRST_EEP, eep, mass))
    fixed = np.linspace(np.log10(LOWEST), np.log10(FIXED), N_FIXED, endpoint=False)
    # Denser towards the turn-off, where a star of little more mass is much more evolved.
    scaled = 1 - np.linspace(1, 0, N_SCALED, endpoint=False) ** 1.5
    below = np.r_[fixed, np.log10(FIXED) + scaled * (start - np.log10(FIXED))]
    eeps = np.r_[np.arange(FIRST_EEP, LAST_EEP), np.linspace(LAST_EEP, eep[-1], N_TIP)]
    by_eep = PchipInterpolator(eep, np.c_[mass, rows[:, COLUMNS]])(eeps)
    by_mass = PchipInterpolator(mass, rows[:, COLUMNS])(below)
    return np.r_[below, by_eep[:, 0]], np.r_[by_mass, by_eep[:, 1:]]


def grid(tables, ages, metals):
    """Return the IsochroneTable, in SDSS bands, of the nodes asked for."""
    nodes = [[resample(tables[fe_h][age]) for age in ages] for fe_h in metals]
    return IsochroneTable(
        fe_h=np.array(metals),
        age=np.array(ages),
        log_mass=np.array([[node[0] for node in row] for row in nodes]),
        columns=np.array([[node[1] for node in row] for row in nodes]),
        bands=SDSS,
    )


def usable_ages(tables):
    """Return the ages used: below 1 Gyr the tables are extrapolations, masses do not ascend."""
    return [age for age in sorted(next(iter(tables.values()))) if age >= 1]
