"""The Cannon, ours and the peer's, side by side: time, coefficients, and labels recovered.

    python benchmarks/cannon.py [--stars 500] [--test 500] [--pixels 7214]
                                                  [--peer-pixels 7214] [--peer-stars 100]

The spectra are quadratic in five labels, seeded, at S/N 100, with intrinsic scatter from 1e-4 to
1e-2 and 2 % of bad pixels. The peer is `TheCannon` (A. Ho; 0.7.3) where it can be imported (unpack
its source distribution and add it to PYTHONPATH; it does not need to be installed). Without it, its
arithmetic stands in: one pixel, and one star, at a time, exactly as its source has it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time

import numpy as np
from scipy.optimize import curve_fit

from siderea.models.cannon import Cannon
from siderea.models.polynomial import PolynomialTerms

NAMES = ("teff", "logg", "fe_h", "mg_fe", "al_fe")
CENTRE = np.array([5000.0, 3.0, -0.2, 0.1, 0.1])
WIDTH = np.array([500.0, 0.8, 0.3, 0.1, 0.1])
TERMS = PolynomialTerms(5, 2)


def simulated(n_stars: int, n_test: int, n_pixels: int, *, snr: float = 100.0, seed: int = 0):
    """Return (flux, ivar, labels) of the training and of the test stars."""
    rng = np.random.default_rng(seed)
    size = np.r_[0.0, np.full(5, 0.02), np.full(15, 0.004)]
    in_line = rng.random(n_pixels) < 0.3
    theta = in_line[:, None] * rng.normal(size=(n_pixels, 21)) * size
    theta[:, 0] = 1 - in_line * rng.uniform(0, 0.4, n_pixels)
    scatter = 10 ** rng.uniform(-4, -2, n_pixels)

    def stars(n: int, width: float):
        x = rng.uniform(-width, width, (n, 5))
        sigma = rng.uniform(0.7, 1.4, (n, 1)) / snr * np.ones(n_pixels)
        noise = rng.normal(size=sigma.shape) * np.hypot(sigma, scatter)
        ivar = np.where(rng.random(sigma.shape) < 0.02, 0.0, sigma**-2)
        return TERMS.design(x) @ theta.T + noise, ivar, CENTRE + WIDTH * x

    return stars(n_stars, 1.7), stars(n_test, 1.5)


def timed(call):
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def peer_pixel(flux, ivar, design, variance):
    weights = ivar / (1 + ivar * variance)
    gram = design.T @ (weights[:, None] * design)
    theta = np.linalg.solve(gram, design.T @ (weights * flux))
    return theta, np.sum(weights * (flux - design @ theta) ** 2) - np.sum(np.log(weights))


def stand_in_train(flux, ivar, design):
    """Train one pixel at a time: a grid of ln s, then the vertex of a parabola."""
    ivar = np.maximum(ivar, 0.01)
    grid = np.arange(np.log(1e-4), 0.0, 0.5)
    coefficients, scatter = [], []
    for f, w in zip(flux.T, ivar.T, strict=True):
        cost = np.array([peer_pixel(f, w, design, np.exp(2 * s))[1] for s in grid])
        best = int(cost.argmin())
        ln_s = grid[best]
        if 0 < best < len(grid) - 1:
            around = slice(best - 1, best + 2)
            a, b, _ = np.polyfit(grid[around], cost[around], 2)
            ln_s = -b / (2 * a)
        coefficients.append(peer_pixel(f, w, design, np.exp(2 * ln_s))[0])
        scatter.append(np.exp(ln_s))
    return np.array(coefficients), np.array(scatter)


def stand_in_infer(flux, ivar, coefficients, scatter):
    """Fit one star at a time by curve_fit without derivatives, from ones."""

    def model(theta, *x):
        return theta @ np.hstack([x, np.outer(x, x)[np.triu_indices(5)]])

    found = []
    for f, w in zip(flux, ivar, strict=True):
        bad = w == 0
        sigma = np.where(bad, 100.0, 1 / np.sqrt(np.where(bad, 1.0, w)))
        target = np.where(bad, 1.0, f) - coefficients[:, 0]
        error = np.hypot(sigma, scatter)
        fit = curve_fit(
            model, coefficients[:, 1:], target, p0=np.ones(5), sigma=error, absolute_sigma=True
        )
        found.append(fit[0])
    return np.array(found)


def peer_functions():
    """Return (name, train, infer) of the peer, or of the stand-in."""
    try:
        from TheCannon import infer_labels, train_model
    except ImportError:
        return "per-pixel stand-in", stand_in_train, stand_in_infer

    class Set:
        def __init__(self, **fields):
            self.__dict__.update(fields)

        def get_plotting_labels(self):
            return NAMES

        def set_test_label_vals(self, values):
            self.found = values

    def train(flux, ivar, labels):
        held = Set(tr_label=labels, wl=np.arange(flux.shape[1]), tr_flux=flux, tr_ivar=ivar.copy())
        with contextlib.redirect_stdout(io.StringIO()):
            return train_model._train_model(held)

    def infer(flux, ivar, model):
        coefficients, scatter, _, pivots, scales = model
        held = Set(test_flux=flux.copy(), test_ivar=ivar)
        fitted = Set(coeffs=coefficients, scatters=scatter, pivots=pivots, scales=scales)
        with contextlib.redirect_stdout(io.StringIO()):
            infer_labels._infer_labels(fitted, held)
        return held.found

    return "TheCannon", train, infer


def robust(error):
    return 1.4826 * np.median(np.abs(error - np.median(error, axis=0)), axis=0)


def line(name, train, infer, per_star, error):
    shown = " ".join(f"{one:.3g}" for one in robust(error))
    print(
        f"{name:20s} train {train:6.2f} s   infer {1e3 * infer / per_star:6.3f} ms/star   σ {shown}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("stars", 500), ("test", 500), ("pixels", 7214)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--peer-pixels", type=int, default=7214)
    parser.add_argument("--peer-stars", type=int, default=100)
    given = parser.parse_args()
    (flux, ivar, labels), test = simulated(given.stars, given.test, given.pixels)
    print(f"{given.stars} stars × {given.pixels} pixels × {len(TERMS)} coefficients")
    Cannon().fit(flux[:, :50], ivar[:, :50], labels)
    model, wall, cpu = timed(lambda: Cannon(label_names=NAMES).fit(flux, ivar, labels))
    found, wall_infer, cpu_infer = timed(lambda: model.infer(test[0], test[1]))
    line("siderea (wall)", wall, wall_infer, given.test, found.labels - test[2])
    line("siderea (CPU)", cpu, cpu_infer, given.test, found.labels - test[2])
    worst = closed_form_difference(model, flux, ivar, labels)
    print(f"largest |Δ coefficient| from the closed form, pixel by pixel: {worst:.1e}")
    compare_with_peer(given, flux, ivar, labels, test, model)


def closed_form_difference(model, flux, ivar, labels) -> float:
    """Return the largest difference of any coefficient from a per-pixel solution at the same s."""
    design = TERMS.design(model.scaling_.scaled(labels))
    variance = model.scatter_**2
    return max(
        np.abs(peer_pixel(f[w > 0], w[w > 0], design[w > 0], v)[0] - theta).max()
        for f, w, v, theta in zip(flux.T, ivar.T, variance, model.coefficients_, strict=True)
    )


def compare_with_peer(given, flux, ivar, labels, test, model) -> None:
    """Time the peer on as many pixels and stars as asked, and print its line."""
    name, train, infer = peer_functions()
    n, m = min(given.peer_pixels, given.pixels), min(given.peer_stars, given.test)
    if name == "TheCannon":
        fitted, wall, cpu = timed(lambda: train(flux[:, :n], ivar[:, :n], labels))
        found, wall_infer, _ = timed(lambda: infer(test[0][:m, :n], test[1][:m, :n], fitted))
    else:
        design = TERMS.design(model.scaling_.scaled(labels))
        fitted, wall, cpu = timed(lambda: train(flux[:, :n], ivar[:, :n], design))
        call = (test[0][:m, :n], test[1][:m, :n], *fitted)
        scaled, wall_infer, _ = timed(lambda: infer(*call))
        found = model.scaling_.unscaled(scaled)
    line(f"{name} (wall)", wall, wall_infer, m, found - test[2][:m])
    print(f"   on {n} pixels and {m} test stars; CPU of its training {cpu:.2f} s")


if __name__ == "__main__":
    main()
