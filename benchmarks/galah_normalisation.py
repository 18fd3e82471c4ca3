"""Our normalisation of raw GALAH spectra against the survey's own normalised extension.

    SIDEREA_DATA=... python benchmarks/galah_normalisation.py

Prints, per CCD, the rms of (survey − ours) over the pixels with data, for the stars above S/N 40
(median of 1/relative error in that CCD) and for all; CCD4 also redward of 7700 Å, beyond the
telluric O2 A band, where neither means much. The survey's extension is on the raw grid divided by
(1 + v/c), so the two are compared pixel for pixel and nothing is resampled.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits

from siderea.data import Spectra
from siderea.spectra.continuum import GALAH, ContinuumRecipe, normalise

O2_END = 7700.0


def read(path: Path) -> dict:
    """Read one CCD: raw flux with its ivar on the rest-frame grid, and the survey's result."""
    with fits.open(path) as file:
        flux, relative = (file[i].data.astype(float) for i in (0, 1))
        survey, header = file[-1].data.astype(float), file[-1].header
    grid = header["CRVAL1"] + header["CDELT1"] * (np.arange(flux.size) + 1 - header["CRPIX1"])
    with np.errstate(divide="ignore", invalid="ignore"):
        ivar = 1.0 / (relative * flux) ** 2
    ivar[~np.isfinite(ivar) | (flux <= 0)] = 0.0
    spectra = Spectra(grid, np.nan_to_num(flux)[None], ivar[None], "air")
    return {"spectra": spectra, "survey": survey, "snr": np.nanmedian(1.0 / relative)}


def compare(folder: Path, recipe: ContinuumRecipe) -> list[list[tuple[float, ...]]]:
    """Return, per CCD, one (S/N, rms, rms redward of the O2 band, flags) per star."""
    rows: list[list[tuple[float, ...]]] = [[], [], [], []]
    for path in sorted(folder.glob("*[1-4].fits")):
        ccd = int(path.stem[-1]) - 1
        star = read(path)
        edge = recipe.edge[ccd] if isinstance(recipe.edge, tuple) else recipe.edge
        ours, _ = normalise(star["spectra"], replace(recipe, degree=GALAH.degree[ccd], edge=edge))
        difference = star["survey"] - ours.flux[0]
        valid = ours.ivar[0] > 0
        clean = valid & ((ccd < 3) | (ours.wavelength > O2_END))
        rms = [np.sqrt(np.mean(difference[m] ** 2)) if m.any() else np.nan for m in (valid, clean)]
        rows[ccd].append((star["snr"], *rms, int(ours.table["flags"][0])))
    return rows


def show(name: str, rows: list[list[tuple[float, ...]]]) -> None:
    """Print median, 68 % and worst rms."""
    print(f"\n{name}\nCCD  stars        n   median     68 %    worst")
    for ccd, values in enumerate(rows, start=1):
        table = np.array(values)
        columns = [("", 1)] + ([(" >7700 Å", 2)] if ccd == 4 else [])
        for suffix, column in columns:
            for label, chosen in (("S/N>40", table[:, 0] > 40), ("all", table[:, 0] > 0)):
                rms = table[chosen, column]
                middle, most, worst = np.nanpercentile(rms, [50, 68.27, 100])
                figures = f"{middle:8.4f} {most:8.4f} {worst:8.3g}{suffix}"
                print(f"{ccd}    {label:7s}{len(rms):6d} {figures}")


def main() -> None:
    folder = Path(os.environ["SIDEREA_DATA"]) / "galah_dr3" / "spectra"
    if not folder.is_dir():
        sys.exit(f"{folder}: found no folder; set SIDEREA_DATA to the folder of real data")
    show("GALAH recipe (line-free windows)", compare(folder, GALAH))
    clipped = ContinuumRecipe(avoid=GALAH.avoid, medium="air")
    show("clipped Chebyshev (no windows needed)", compare(folder, clipped))


if __name__ == "__main__":
    main()
