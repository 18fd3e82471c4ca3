"""Train the network of `siderea.lightcurves.kinds` on simulated binaries.

``python benchmarks/lightcurve_kinds.py DATA [--systems N] [--seed S] [--output FOLDER]``

DATA is the folder of real data (``kepler_eb`` is read from it). Each system is seen by Kepler, by
Gaia, and by a survey of 40 to 400 points at random phases with errors of .1 to 3 %. A fifth of the
systems (by their row in the catalogue) chooses when to stop and the temperature.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from lightcurves import catalogue
from siderea.data import LightCurve
from siderea.lightcurves import two_gaussian
from siderea.lightcurves.kinds import inputs
from siderea.simulate.binaries import KINDS, from_catalogue
from siderea.simulate.lightcurves import simulate_lightcurves

HIDDEN = 48
EPOCHS, BATCH, DECAY = 120, 512, 1e-3


def columns(curves):
    return [[getattr(curve, name) for curve in curves] for name in ("time", "flux", "flux_err")]


def sparse(curves, rng):
    """Thin curves out, and make them noisier, as a survey from the ground would have them."""
    thin = []
    for curve in curves:
        points = int(10 ** rng.uniform(1.6, 2.6))
        rows = np.sort(rng.choice(len(curve), min(points, len(curve)), replace=False))
        error = np.hypot(curve.flux_err[rows], 10 ** rng.uniform(-3.0, -1.5))
        noise = np.sqrt(error**2 - curve.flux_err[rows] ** 2) * rng.standard_normal(rows.size)
        thin.append(LightCurve(curve.time[rows], curve.flux[rows] + noise, error, folded=True))
    return thin


def seen(curves):
    """Return the inputs of the network."""
    phase, flux, error = columns(curves)
    return inputs(phase, flux, error, two_gaussian.fit(phase, flux, error))


def training_set(table, n, seed):
    """Return inputs, numbers of kinds, and rows of the catalogue."""
    population = from_catalogue(table, n, rng=np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 1)
    x, kind, source = [], [], []
    for sampling in ("kepler", "gaia"):
        curves, truth = simulate_lightcurves(
            n, rng=np.random.default_rng(seed + 1000), sampling=sampling, population=population
        )
        sets = [curves, sparse(curves, rng)] if sampling == "kepler" else [curves]
        for some in sets:
            x.append(seen(some))
            kind.append([KINDS.index(one) for one in truth["kind"]])
            source.append(population["source"])
    x, kind, source = (np.concatenate(one) for one in (x, kind, source))
    known = np.isfinite(x).all(axis=1)
    return x[known], kind[known], source[known]


def train(x, kind, source, *, seed=0):
    """Return layers, scaling, temperature and what the held-out fifth says of them."""
    torch.manual_seed(seed)
    held = source % 5 == 0
    mean, scale = x[~held].mean(axis=0), x[~held].std(axis=0)
    z = torch.from_numpy(np.clip((x - mean) / scale, -8, 8)).float()
    y, out = torch.from_numpy(kind), torch.from_numpy(held)
    layers = [torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.Linear(HIDDEN, HIDDEN)]
    net = torch.nn.Sequential(
        layers[0], torch.nn.Tanh(), layers[1], torch.nn.Tanh(), torch.nn.Linear(HIDDEN, len(KINDS))
    )
    steps = EPOCHS * (int((~out).sum()) // BATCH)
    adam = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 5e-3, total_steps=steps)
    rows, best = (~out).nonzero()[:, 0], (np.inf, None)
    for step in range(steps):
        some = rows[torch.randint(len(rows), (BATCH,))]
        loss = torch.nn.functional.cross_entropy(net(z[some]), y[some])
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        if step % 200 == 0 or step == steps - 1:
            with torch.no_grad():
                test = float(torch.nn.functional.cross_entropy(net(z[out]), y[out]))
            if test < best[0]:
                best = (test, {k: v.clone() for k, v in net.state_dict().items()})
    net.load_state_dict(best[1])
    with torch.no_grad():
        logit = net(z[out])
    losses = {
        t: float(torch.nn.functional.cross_entropy(logit / t, y[out]))
        for t in np.arange(0.6, 2.0, 0.02)
    }
    temperature = float(min(losses, key=losses.get))
    right = float((logit.argmax(1) == y[out]).double().mean())
    print(f"held out: right {right:.4f}, cross entropy {losses[temperature]:.4f} at {temperature}")
    weights = [p.detach().numpy() for p in net.parameters()]
    return weights, mean, scale, temperature, {"right": right, "cross_entropy": losses[temperature]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--systems", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=101)
    default = Path(__file__).parents[1] / "src" / "siderea" / "lightcurves" / "data"
    parser.add_argument("--output", type=Path, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, kind, source = training_set(catalogue(options.data), options.systems, options.seed)
    write(options.output, train(x, kind, source), kind, options.systems, options.seed)


def write(folder, trained, kind, systems, seed):
    weights, mean, scale, temperature, metrics = trained
    shares = np.bincount(kind, minlength=len(KINDS)) / len(kind)
    arrays = {"mean": mean, "scale": scale, "shares": shares}
    arrays |= {f"weight_{k}": weights[2 * k] for k in range(len(weights) // 2)}
    arrays |= {f"bias_{k}": weights[2 * k + 1] for k in range(len(weights) // 2)}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / "kinds.npz", **{name: a.astype(np.float32) for name, a in arrays.items()}
    )
    about = {
        "kinds": list(KINDS),
        "temperature": temperature,
        "held_out": {name: round(value, 4) for name, value in metrics.items()},
        "systems": systems,
        "seed": seed,
        "samplings": ["kepler, 1000 bins", "gaia", "40 to 400 points, errors .1 to 3 %"],
        "parameters": "Kepler Eclipsing Binary Catalog, revision of 2016-08-09 (Kirk et al. 2016)",
        "made_by": "benchmarks/lightcurve_kinds.py",
    }
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    (folder / "kinds.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
