"""Fits of real visits and of mock binaries: χ² reached, parameters, cost per star.

    OMP_NUM_THREADS=1 python benchmarks/fitting.py visits [--repeats 10]
    OMP_NUM_THREADS=1 python benchmarks/fitting.py mocks [--stars 200] [--seed 0]

Needs the folder of El-Badry's networks (SIDEREA_DATA, or ../shared/data beside the checkout). CPU
time is `time.process_time`, so that other users of the machine do not count as ours. The binary is
given the single star's fit, as a survey that compares the two has it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from siderea.data import Spectra
from siderea.models import binspec
from siderea.models.composite import Binary, Single
from siderea.models.epochs import SB1, SB2, Steady
from siderea.models.fitting import fit
from siderea.models.protocol import FitResult

DATA = Path(os.environ.get("SIDEREA_DATA", Path(__file__).parents[2] / "shared" / "data"))
FOLDER = DATA / "apogee_binspec"
GUESS = [5000.0, 4.4, -0.1, 0.0, 10.0]


def timed(run: Callable[[], FitResult], repeats: int = 1) -> tuple[FitResult, float, float]:
    """Return the result, and the smallest CPU and wall time of the repeats."""
    cpu, wall = [], []
    for _ in range(repeats):
        start = time.process_time(), time.perf_counter()
        result = run()
        cpu.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    return result, min(cpu), min(wall)


def real_visits(model: binspec.BinspecModel) -> Spectra:
    """Three visits of 2M06133561+2433362, S/N capped at 200, renormalised as the model is."""
    with np.load(FOLDER / "visit_spectra_ap_id_2M06133561+2433362_.npz") as archive:
        flux, sigma = archive["spectra"].astype(float), archive["spec_errs"].astype(float)
        rv = archive["vhelios"].astype(float)
    sigma = np.maximum(sigma, np.abs(flux) / 200)
    spectra = Spectra(model.wavelength, flux, sigma**-2, "vacuum", arms=model.arms)
    shape = Single(model).shape([[*GUESS, v] for v in rv])
    return model.pseudo_continuum.normalise(spectra, shape=shape)


def visits(repeats: int) -> None:
    model = binspec.load(FOLDER)
    spectra = real_visits(model)
    single = Single(model)
    reference = {"Steady": 208_827, "SB1": 143_878, "SB2": 21_063.80}
    fit(spectra, SB2(Binary(model), 3))  # the first call pays for imports
    print("| model | chi2 | reference | flags | CPU s | wall s |")
    print("|---|---|---|---|---|---|")
    for composite in (Steady(single, 3), SB1(single, 3), SB2(Binary(model), 3)):
        result, cpu, wall = timed(lambda c=composite: fit(spectra, c), repeats)
        name = type(composite).__name__
        print(
            f"| {name} | {result.chi2[0]:.2f} | {reference[name]} | {result.flags[0]} "
            f"| {cpu:.3f} | {wall:.3f} |"
        )
    for name, value, error in zip(
        result.label_names, result.labels[0], result.errors[0], strict=True
    ):
        print(f"{name:10s} {value:10.4f} ± {error:.4f}")


def mock_binaries(
    model: binspec.BinspecModel, n: int, seed: int, snr: float = 100.0
) -> tuple[Spectra, np.ndarray]:
    """Binaries of the published mock labels inside the networks' range, Δv uniform to 100 km/s."""
    with np.load(FOLDER / "labels_for_20000_mock_dwarf_dwarf_binaries.npz") as archive:
        labels = archive["mock_labels"]  # teff, logg, fe_h, alpha, m1, age, m2, teff2, logg2
    low, high = model.label_range[:4].T
    inside = ((labels[:, :4] >= low) & (labels[:, :4] <= high)).all(axis=1)
    inside &= (labels[:, 7] >= low[0]) & (labels[:, 8] <= 5.0)
    rng = np.random.default_rng(seed)
    rows = labels[rng.choice(np.flatnonzero(inside), n, replace=False)]
    q = rows[:, 6] / rows[:, 4]
    dv = rng.uniform(0, 100, n) * rng.choice([-1, 1], n)
    systemic = rng.uniform(-20, 20, n)
    widths = rng.uniform(1, 15, (n, 2))
    rv = np.column_stack([systemic - dv * q / (1 + q), systemic + dv / (1 + q)])
    truth = np.column_stack([rows[:, :4], q, widths, rv])
    flux = Binary(model).predict(truth)
    flux += rng.normal(0, 1 / snr, flux.shape)
    ivar = np.full(flux.shape, snr**2)
    return Spectra(model.wavelength, flux, ivar, "vacuum", arms=model.arms), truth


def mocks(n: int, seed: int) -> None:
    model = binspec.load(FOLDER)
    spectra, truth = mock_binaries(model, n, seed)
    single, binary = Single(model), Binary(model)
    fit(spectra[:2], binary)  # the first call pays for imports
    one, cpu_one, wall_one = timed(lambda: fit(spectra, single))
    two, cpu_two, wall_two = timed(lambda: fit(spectra, binary, alone=one))
    own = fit(spectra, binary, start=truth)
    above = two.chi2 - own.chi2
    print(f"{n} mock binaries, seed {seed}, S/N 100, Δv 0-100 km/s")
    print(f"χ² above the truth's own basin: > 25 in {(above > 25).sum()}, > 1 in", end=" ")
    print(f"{(above > 1).sum()}, largest {above.max():.2f}, smallest {above.min():.2f}")
    print(f"binary never worse than single: {bool((two.chi2 <= one.chi2 + 0.1).all())}")
    print(f"flags: {dict(zip(*np.unique(two.flags, return_counts=True), strict=True))}")
    print(f"CPU s per star: single {cpu_one / n:.4f}, binary {cpu_two / n:.4f}, ", end="")
    print(f"sum {(cpu_one + cpu_two) / n:.4f}; wall {(wall_one + wall_two) / n:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=("visits", "mocks"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--stars", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.job == "visits":
        visits(arguments.repeats)
    else:
        mocks(arguments.stars, arguments.seed)


if __name__ == "__main__":
    main()
