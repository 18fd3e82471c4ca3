"""Molecules for the shipped emulator, which was trained on atomic lines only.

    pysme/bin/python benchmarks/train_molecules.py synthesise DATA FOLDER [--part 0/2]
    python benchmarks/train_molecules.py train DATA FOLDER src/siderea/models/data/galah_molecules

The first, in the environment of docs/decisions/0003-pysme-environment.md, repeats models of the
grid with the lines of molecules: about half a minute each, in an order that covers the labels
evenly however many are done; a file that exists is not made again. The second learns what the
molecules change.

Not in it: TiO and VO (they matter below about 4,450 K, the cool end of the grid, and TiO alone has
eight times as many lines as all the others), and any mixing of C and N in giants: both are scaled
with [Fe/H].
"""

import argparse
from pathlib import Path

import numpy as np

DATA_GRID, INPUTS = "synthetic_galah_grid", "synthesis_inputs"
HOTTEST, POOREST = 5700.0, -1.6
"""K, dex: within these the molecules are sampled densely."""

HOT, RICH = 9, -0.5
"""Every ninth model is hotter, and not poorer than this, so that their end is known too."""

SPACING = np.array([0.12, 1.6, 0.6, 0.5, 2.0])
"""In 5040/teff and the other labels: distances at which molecules change alike."""

LEFT_OUT = (822, 823)
WEAKEST = 2.7


def order(labels: np.ndarray) -> list[int]:
    """Return rows of the grid in the order in which they are made."""
    cool = spread(labels, (labels[:, 0] < HOTTEST) & (labels[:, 2] > POOREST))
    hot = iter(spread(labels, (labels[:, 0] >= HOTTEST) & (labels[:, 2] > RICH)))
    rows: list[int] = []
    for number, row in enumerate(cool, 1):
        rows.append(row)
        rows += [next(hot)] if number % (HOT - 1) == 0 else []
    return rows


def spread(labels: np.ndarray, chosen: np.ndarray) -> list[int]:
    """Return the chosen rows, each as far as can be from those before it."""
    rows = np.flatnonzero(chosen)
    places = np.c_[5040 / labels[rows, 0], labels[rows, 1:]] / SPACING
    picked = [int(np.argmin(((places - places.mean(0)) ** 2).sum(1)))]
    distance = ((places - places[picked[0]]) ** 2).sum(1)
    while len(picked) < len(rows):
        picked.append(int(distance.argmax()))
        distance = np.minimum(distance, ((places - places[picked[-1]]) ** 2).sum(1))
        distance[picked] = -1
    return rows[picked].tolist()


def synthesise(data: Path, folder: Path, part: str) -> None:
    from siderea.io.synthesis_inputs import read_atmospheres, read_line_list
    from siderea.models.synthesis import BANDS, Synthesiser

    with np.load(data / DATA_GRID / "red.npz") as file:
        labels = file["labels"].astype(float)
    atmospheres = read_atmospheres(data / INPUTS / "si_odf_atmospheres.npz")
    lines = read_line_list(data / INPUTS / "galah_dr3_linelist.h5", molecules=True)
    lines = lines[~np.isin(lines.element, LEFT_OUT)].to("air")
    mine, parts = (int(v) for v in part.split("/"))
    folder.mkdir(parents=True, exist_ok=True)
    for row in order(labels)[mine::parts]:
        path = folder / f"row{row}.npz"
        if path.exists():
            continue
        pieces = []
        for band in BANDS:
            strong = lines.between(band.start, band.end).strong(labels[row, 0], WEAKEST)
            pieces += Synthesiser(atmospheres, strong, (band,))(labels[row])
        np.savez(path, flux=np.concatenate([piece.flux for piece in pieces]).astype("f4"))
        print(row, labels[row].round(2), flush=True)


def train(data: Path, folder: Path, output: Path) -> None:
    from siderea.io import artefacts
    from siderea.io.spectral_grid import read_grid
    from siderea.models.emulator_molecules import train_molecules

    grid = read_grid(data / DATA_GRID)
    files = sorted(folder.glob("row*.npz"))
    rows = np.array([int(path.stem[3:]) for path in files])
    flux = np.stack([np.load(path)["flux"] for path in files])
    correction = train_molecules(grid, rows, flux)
    arrays, metadata = correction.state()
    for path in artefacts.save(output, arrays, metadata):
        print(path)
    for name, value in metadata["metrics"].items():
        print(f"{name:36s} {value:.3g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=("synthesise", "train"))
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path, nargs="?")
    parser.add_argument("--part", default="0/1")
    arguments = parser.parse_args()
    if arguments.job == "synthesise":
        synthesise(arguments.data, arguments.folder, arguments.part)
    else:
        train(arguments.data, arguments.folder, arguments.output)


if __name__ == "__main__":
    main()
