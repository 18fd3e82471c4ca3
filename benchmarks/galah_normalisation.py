"""Our normalised, rest-frame spectra against the survey's own normalised extension.

    python benchmarks/galah_normalisation.py

Ours are what `siderea ingest galah` stores: raw extension, cosmic rays and telluric bands masked,
shifted to rest, divided by our continuum. The survey's extension is read onto the same grid. The
figure of a star and CCD is the rms of the difference over the pixels that are good in both.
"""

import os
from pathlib import Path

import numpy as np

from siderea.io import galah
from siderea.io.native import to_common_grid
from siderea.pipelines.prepare import Preparation, prepare


def spectra_of(folder: Path) -> tuple:
    """Return what an ingest stores, and the survey's own, on the same grid."""
    stars = galah.group(folder.glob("*.fits")).values()
    raw = [galah.read_native(files) for files in stars]
    survey = [galah.read_native(files, extension="normalised") for files in stars]
    ours = prepare(raw, galah.GRID, Preparation.of("galah"))
    return ours, to_common_grid(survey, galah.GRID, frame="rest")


def rms(ours, survey, pixels: slice) -> np.ndarray:
    """Return the rms difference of each star over the pixels that are good in both."""
    good = (ours.ivar[:, pixels] > 0) & (survey.ivar[:, pixels] > 0)
    difference = np.where(good, ours.flux[:, pixels] - survey.flux[:, pixels], 0.0)
    n = good.sum(axis=1)
    return np.sqrt((difference**2).sum(axis=1) / np.where(n > 0, n, np.nan))


def main() -> None:
    data = Path(os.environ.get("SIDEREA_DATA", "../shared/data"))
    ours, survey = spectra_of(data / "galah_dr3" / "spectra")
    half = np.arange(len(ours)) % 2
    print("rms of ours - survey, normalised flux        median   68 %    95 %   worst  <0.03")
    for name, arm, _ in ours.iter_arms():
        value = rms(ours, survey, arm)
        snr = ours.table[f"snr_{name}"].to_numpy()
        for label, chosen in (
            ("S/N > 40", snr > 40),
            ("S/N > 40, odd stars", (snr > 40) & (half == 1)),
            ("all", np.isfinite(value)),
        ):
            some = value[chosen & np.isfinite(value)]
            figures = "  ".join(f"{np.percentile(some, q):.4f}" for q in (50, 68, 95, 100))
            share = np.mean(some < 0.03)
            print(f"{name:6s} {label:20s} {some.size:3d} stars     {figures}  {share:.2f}")


if __name__ == "__main__":
    main()
