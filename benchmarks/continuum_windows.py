"""Derive line-free windows of the GALAH arms from synthetic spectra (SIDEREA_DATA).

    python benchmarks/continuum_windows.py

The windows in `siderea.spectra.continuum_pixels` are what this prints. No observed spectrum and no
survey product enters: in each segment of 4 Å it keeps the run of pixels (at least 0.15 Å) where the
90 % deepest of the FGK spectra of the synthetic grid, at R = 28,000, still come closest to their
continuum, if that is above 0.97. The Balmer wings and the telluric O2 A band are left out.
"""

import os
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from siderea.spectra.continuum_pixels import BALMER_AND_O2

RESOLUTION = 28_000.0
SEGMENT, SHORTEST, LOWEST = 4.0, 0.15, 0.97


def depth(folder: Path, band: str) -> tuple[np.ndarray, np.ndarray]:
    """Return wavelength and the flux that 90 % of the FGK spectra exceed at R = 28,000."""
    with np.load(folder / f"{band}.npz") as grid:
        wave, labels = grid["wave"].astype(float), grid["labels"]
        fgk = (labels[:, 0] > 4600) & (labels[:, 0] < 6900) & (labels[:, 2] > -1.5)
        flux = grid["flux"][fgk].astype(np.float32)
    sigma = wave.mean() / RESOLUTION / 2.3548 / np.median(np.diff(wave))
    return wave, np.percentile(gaussian_filter1d(flux, sigma, axis=1), 10, axis=0)


def windows(wave: np.ndarray, floor: np.ndarray) -> list[tuple[float, float]]:
    """Return the best window of each segment."""
    allowed = np.ones(wave.size, bool)
    for low, high in BALMER_AND_O2:
        allowed &= (wave < low) | (wave > high)
    half = max(1, round(SHORTEST / 2 / np.median(np.diff(wave))))
    found = []
    for start in np.arange(wave[0], wave[-1], SEGMENT):
        inside = np.flatnonzero((wave >= start) & (wave < start + SEGMENT) & allowed)
        if inside.size <= 2 * half + 1:
            continue
        worst = np.array([floor[max(0, i - half) : i + half + 1].min() for i in inside])
        best = worst.max()
        if best < LOWEST:
            continue
        centre = inside[int(worst.argmax())]
        low = high = centre
        while low > inside[0] and floor[low - 1] >= best - 0.002:
            low -= 1
        while high < inside[-1] and floor[high + 1] >= best - 0.002:
            high += 1
        found.append((round(float(wave[low]), 2), round(float(wave[high]), 2)))
    return found


def main() -> None:
    folder = Path(os.environ.get("SIDEREA_DATA", "../shared/data")) / "synthetic_galah_grid"
    total = []
    for band in ("blue", "green", "red", "ir"):
        total += windows(*depth(folder, band))
    for row in range(0, len(total), 4):
        print("    " + " ".join(f"({low:.2f}, {high:.2f})," for low, high in total[row : row + 4]))


if __name__ == "__main__":
    main()
