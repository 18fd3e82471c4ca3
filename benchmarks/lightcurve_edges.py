"""Light curves that are wrong in one way: how many of them are flagged, and how many right ones.

``python benchmarks/lightcurve_edges.py DATA [--curves N] [--seed S]``

DATA is the folder of real data (``kepler_eb`` is read from it). Series in time of systems with the
catalogue's parameters go through what ``siderea lightcurves`` does to them, with the right period
and half and twice of it; then with the points over the first eclipse gone, flat, and with a single
eclipse.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from lightcurves import catalogue
from siderea.data import LightCurve
from siderea.lightcurves import two_gaussian
from siderea.lightcurves.period_models import wrong_periods
from siderea.lightcurves.periods import check_period
from siderea.lightcurves.quality import LightCurveFlag
from siderea.lightcurves.two_gaussian import WIDTH_IN_SIGMA
from siderea.pipelines.lightcurves import prepared
from siderea.simulate.binaries import from_catalogue
from siderea.simulate.lightcurves import simulate_lightcurves

F = LightCurveFlag


def fitted(curves):
    return two_gaussian.fit(
        *[[getattr(c, n) for c in curves] for n in ("time", "flux", "flux_err")]
    )


def share(flags, bit, rows):
    return f"{np.mean((flags[rows] & int(bit)) > 0):.0%}"


def periods(sampling, curves, truth):
    """Flag periods that are half or twice the true one; with 40 points or more."""
    kind = truth["kind"].to_numpy()
    for factor in (0.5, 1.0, 2.0):
        period = factor * truth["period"].to_numpy()
        if sampling == "gaia":
            bits = wrong_periods(curves, period)
        else:
            bits = np.array([check_period(*one).flags for one in zip(curves, period, strict=True)])
        half, double = (
            [f"{name} {share(bits, bit, kind == name)}" for name in np.unique(kind)]
            for bit in (F.HALF_PERIOD, F.DOUBLE_PERIOD)
        )
        print(f"  {factor:g} of the period: said to be half: {', '.join(half)}")
        print(f"  {'':17s} said to be twice: {', '.join(double)}", flush=True)


def gaps(sampling, curves, truth):
    """Take away the points within the first eclipse, or all variation, or all but a Gaussian."""
    folded = [
        prepared(curve, float(row.period), float(row.time_0))[0]
        for curve, row in zip(curves, truth.itertuples(), strict=True)
    ]
    whole = fitted(folded)
    # Both eclipses found, narrow enough for a curve to go on without one.
    rows = np.flatnonzero((whole.n_eclipses == 2) & (whole.width_1 < 0.12))
    cut, flat, single = [], [], []
    for row in rows:
        curve, fit = folded[row], whole
        off = np.abs((curve.time - fit.position_1[row] + 0.5) % 1 - 0.5) / fit.width_1[row]
        cut.append(_some(curve, off > 0.55))
        rng = np.random.default_rng(row)
        noise = curve.flux_err * rng.standard_normal(len(curve))
        flat.append(LightCurve(curve.time, 1 + noise, curve.flux_err, folded=True))
        lost = np.exp(-0.5 * (off * WIDTH_IN_SIGMA) ** 2) * fit.depth_1[row]
        flux = fit.constant[row] - lost + noise
        single.append(LightCurve(curve.time, flux, curve.flux_err, folded=True))
    every = np.arange(len(rows))
    print(f"  {len(rows)} curves with two eclipses that are narrower than .12")
    print(f"  as they are: gap {share(whole.flags, F.GAP, rows)}")
    print(f"  first eclipse cut out: gap {share(fitted(cut).flags, F.GAP, every)}")
    print(f"  flat: {share(fitted(flat).flags, F.FLAT, every)}")
    one = share(fitted(single).flags, F.ONE_ECLIPSE, every)
    print(f"  a Gaussian like the first alone: one eclipse {one}")


def _some(curve, keep):
    return LightCurve(curve.time[keep], curve.flux[keep], curve.flux_err[keep], folded=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--curves", type=int, default=300)
    parser.add_argument("--seed", type=int, default=505)
    parser.add_argument("--sampling", default="kepler,gaia")
    options = parser.parse_args()
    torch.set_num_threads(1)
    population = from_catalogue(
        catalogue(options.data), options.curves, rng=np.random.default_rng(options.seed)
    )
    for sampling in options.sampling.split(","):
        curves, truth = simulate_lightcurves(
            options.curves,
            rng=np.random.default_rng(options.seed + 1000),
            sampling=sampling,
            population=population,
            points=None,
        )
        print(f"\n== {sampling}, {options.curves} systems ==", flush=True)
        periods(sampling, curves, truth)
        gaps(sampling, curves, truth)


if __name__ == "__main__":
    main()
