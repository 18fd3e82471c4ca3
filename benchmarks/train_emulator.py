"""Train the emulator that is shipped: ``python benchmarks/train_emulator.py GRID OUTPUT``.

GRID is the folder of synthetic spectra (``synthetic_galah_grid`` of the data, or what ``siderea
synthesise`` wrote); OUTPUT the name of the artefact, ``src/siderea/models/data/galah_emulator``
for the shipped one. A tenth of the grid is held out (seed 0), never looked at in training, and
what the emulator makes of it goes into the metadata. About a minute on one core.
"""

import argparse

import numpy as np

from siderea.io import artefacts
from siderea.io.spectral_grid import read_grid
from siderea.models.emulator_training import held_out, measure, train

DRAWN = [(4400, 7000), (0.7, 4.8), (-2.65, 0.5), (-0.2, 0.5), (0.5, 2.6)]
"""Where the labels of the grid were drawn, rounded outward."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grid")
    parser.add_argument("output")
    arguments = parser.parse_args()
    grid = read_grid(arguments.grid)
    out = held_out(len(grid))
    model = train(grid[~out], label_range=DRAWN)
    accuracy = measure(model, grid[out])
    model.metadata["metrics"].update(
        held_out_spectra=int(out.sum()),
        held_out_median_at_28000=accuracy.median,
        held_out_rms_99_at_28000=accuracy.rms_99,
        held_out_ln_continuum_median_rms=float(np.median(accuracy.continuum)),
    )
    arrays, metadata = model.state()
    for path in artefacts.save(arguments.output, arrays, metadata):
        print(path)
    for name, value in model.metadata["metrics"].items():
        print(f"{name:36s} {value:.3g}")


if __name__ == "__main__":
    main()
