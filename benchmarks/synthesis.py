"""Our synthesis against the shared grid, at the same labels; needs the ``synthesis`` extra.

``python benchmarks/synthesis.py DATA [--models 4]``, in the environment of
docs/decisions/0003-pysme-environment.md; DATA holds ``synthesis_inputs`` and
``synthetic_galah_grid``.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from siderea.io.spectral_grid import read_grid
from siderea.io.synthesis_inputs import read_atmospheres, read_line_list
from siderea.models.synthesis import Synthesiser


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=int, default=4)
    arguments = parser.parse_args()
    inputs = arguments.data / "synthesis_inputs"
    synthesiser = Synthesiser(
        read_atmospheres(inputs / "si_odf_atmospheres.npz"),
        read_line_list(inputs / "galah_dr3_linelist.h5"),
    )
    grid = read_grid(arguments.data / "synthetic_galah_grid")
    print("teff   logg  fe_h  alpha  vmic | band   median   rms      max     ln continuum | s")
    for row in np.linspace(0, len(grid) - 1, arguments.models).astype(int):
        labels = grid.labels[row].astype(float)
        start = time.perf_counter()
        spectra = synthesiser(labels)
        seconds = time.perf_counter() - start
        for i, (band, arm) in enumerate(zip(spectra, grid.arms, strict=True)):
            error = np.abs(band.flux - grid.flux[row, arm])
            level = np.log(band.continuum / grid.continuum[row, i]).mean()
            print(
                f"{labels[0]:.0f}  {labels[1]:5.2f} {labels[2]:5.2f} {labels[3]:5.2f} "
                f"{labels[4]:5.2f} | {grid.arm_names[i]:5s} {np.median(error):.1e}  "
                f"{np.sqrt((error**2).mean()):.1e}  {error.max():.3f}   {level:+.4f} | "
                f"{seconds:.0f}"
            )


if __name__ == "__main__":
    main()
