"""Accuracy and speed of the shipped emulator: ``python benchmarks/emulator.py DATA [--payne]``.

Accuracy: the tenth of ``synthetic_galah_grid`` that it was not trained on, at R = 28,000. Speed:
four-arm spectra on the GALAH grid per second, on one thread. ``--payne`` trains, on the same
spectra, what it is measured against: a quadratic polynomial per component, and The Payne's two
hidden layers of 300 (four minutes on one core).
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from siderea.data import Spectra
from siderea.io.galah import GRID
from siderea.io.spectral_grid import read_grid
from siderea.models.emulator import Emulator, label_inputs, load_default
from siderea.models.emulator_training import SpectralGrid, held_out, measure
from siderea.spectra.broadening import to_resolution


def accuracy(model: Emulator, grid: SpectralGrid) -> None:
    rest = grid[held_out(len(grid))]
    print(f"\nHeld-out spectra: {len(rest)} of {len(grid)}, R = 28,000")
    for name, region in [("all", slice(None)), *zip(grid.arm_names, grid.arms, strict=True)]:
        low = _low(grid, model.predict(rest.labels) - rest.flux)[:, region]
        report(name, low)
    errors = measure(model, rest).continuum
    print(
        f"ln continuum: median rms {np.median(errors):.4f}, 90th percentile "
        f"{np.percentile(errors, 90):.4f}, largest {errors.max():.3f}"
    )
    worst = np.argsort(measure(model, rest).rms)[::-1][:5]
    print("worst (teff logg fe_h alpha_fe vmic: rms):")
    for row in worst:
        print("  ", np.round(rest.labels[row], 2), f"{measure(model, rest).rms[row]:.4f}")


def _low(grid: SpectralGrid, difference: np.ndarray) -> np.ndarray:
    spectra = Spectra(
        grid.wavelength, difference, np.ones_like(difference), grid.medium, arms=grid.arms
    )
    return to_resolution(spectra, 28_000, from_resolution=1e9).flux.astype(float)


def report(name: str, low: np.ndarray) -> None:
    rms = np.sqrt((low**2).mean(axis=1))
    print(
        f"{name:20s} median |Δflux| {np.median(np.abs(low)):.5f}   rms: median "
        f"{np.median(rms):.5f}, 99th percentile {np.percentile(rms, 99):.5f}"
    )


def speed(model: Emulator) -> None:
    print("\nSpeed, one thread, four arms of 4,096 pixels, random labels")
    torch.set_num_threads(1)
    for extra in ((), ("vbroad",), ("vsini", "vmac", "rv")):
        start = time.perf_counter()
        survey = model.at(
            GRID.wavelength, resolution=28_000, medium="air", arms=GRID.arms, extra_labels=extra
        )
        made = time.perf_counter() - start
        low, high = survey.label_range.T
        labels = low + np.random.default_rng(0).random((1024, low.size)) * (high - low)
        survey.predict(labels[:64])
        for name, function in (("flux", survey.predict), ("density", survey.flux_density)):
            best = np.inf
            for _ in range(3):
                start = time.perf_counter()
                function(labels)
                best = min(best, time.perf_counter() - start)
            what = " + ".join(("resolution, resampling", *extra))
            print(f"{what:48s} {name:8s} {1024 / best:6.0f} /s   (made once in {made:.1f} s)")


def rivals(model: Emulator, grid: SpectralGrid) -> None:
    """Other maps from labels to the same components, on the same spectra."""
    print("\nThe same components, other networks, the same held-out spectra")
    out = held_out(len(grid))
    mean = grid.flux[~out].mean(axis=0)
    left, values, components = np.linalg.svd(grid.flux[~out] - mean, full_matrices=False)
    components = components[:100]
    scores = (left * values)[:, :100]
    inputs = label_inputs(torch.from_numpy(grid.labels.astype(float))).numpy()[:, :5]
    inputs = (inputs - inputs[~out].min(axis=0)) / np.ptp(inputs[~out], axis=0) - 0.5
    report("components alone", _low(grid, _miss(grid, out, mean, components)))
    for name, predict in (("quadratic", quadratic), ("two layers of 300", two_layers)):
        start = time.perf_counter()
        found = predict(inputs[~out], scores, inputs[out])
        flux = (mean + found @ components).astype(np.float32)
        report(f"{name} ({time.perf_counter() - start:.0f} s)", _low(grid, flux - grid.flux[out]))


def _miss(grid: SpectralGrid, out: np.ndarray, mean: np.ndarray, components: np.ndarray):
    rest = grid.flux[out] - mean
    return (rest @ components.T @ components - rest).astype(np.float32)


def quadratic(inputs: np.ndarray, scores: np.ndarray, new: np.ndarray) -> np.ndarray:
    def terms(x: np.ndarray) -> np.ndarray:
        pairs = [x[:, i] * x[:, j] for i in range(5) for j in range(i, 5)]
        return np.column_stack([np.ones(len(x)), x, *pairs])

    return terms(new) @ np.linalg.lstsq(terms(inputs), scores, rcond=None)[0]


def two_layers(inputs: np.ndarray, scores: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The Payne's network (LeakyReLU 0.01) with the components as a fixed last layer.

    A tenth of the training spectra chooses when to stop.
    """
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(5, 300),
        torch.nn.LeakyReLU(0.01),
        torch.nn.Linear(300, 300),
        torch.nn.LeakyReLU(0.01),
        torch.nn.Linear(300, scores.shape[1]),
    )
    scale = scores.std()
    x = torch.tensor(inputs, dtype=torch.float32)
    y = torch.tensor(scores / scale, dtype=torch.float32)
    kept = np.arange(len(x)) % 10 == 0
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    steps = 12_000
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best, state = np.inf, network.state_dict()
    for step in range(steps):
        optimiser.zero_grad()
        loss = ((network(x[~kept]) - y[~kept]) ** 2).sum(dim=1).mean()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 49:
            with torch.no_grad():
                value = ((network(x[kept]) - y[kept]) ** 2).sum(dim=1).mean().item()
            if value < best:
                best = value
                state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(state)
    with torch.no_grad():
        return network(torch.tensor(new, dtype=torch.float32)).numpy() * scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--payne", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    model = load_default()
    print(f"load_default: {time.perf_counter() - start:.2f} s; {dict(model.metadata['metrics'])}")
    grid = read_grid(arguments.data / "synthetic_galah_grid")
    accuracy(model, grid)
    speed(model)
    if arguments.payne:
        rivals(model, grid)


if __name__ == "__main__":
    main()
