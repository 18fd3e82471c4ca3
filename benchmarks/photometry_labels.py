"""Labels from photometry: ours and the peers, same split, same run.

    SIDEREA_DATA=... PYTHONPATH=PEERS python benchmarks/photometry_labels.py
        {segue,green,limit,missing,speed} [--epochs 60] [--stars N] [--skip NAME ...]

Peers: LightGBM, XGBoost, RealMLP (pytabkit) where they can be imported (h5py too, for `green`);
`pip install --no-deps --target PEERS lightgbm xgboost pytabkit h5py`. Stars that share all colours
are on one side of the split; the test, a fifth of the groups (seed 0), is used here only.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from siderea.data import Photometry
from siderea.io import artefacts
from siderea.photometry.colours import from_colours
from siderea.stellar.calibration import coverage
from siderea.stellar.ensemble import EnsembleSettings
from siderea.stellar.imputation import METHODS, BandImputer, ImputerSettings
from siderea.stellar.network import GIANT_LOGG, LabelNetwork
from siderea.stellar.relations import bond2010_fe_h
from siderea.stellar.scores import completeness_purity, mad_sigma
from siderea.stellar.splits import held_out_mask, repeated_rows
from siderea.stellar.training import TrainingSettings

LEVELS = (0.025, 0.158655, 0.841345, 0.975)
GREEN_BANDS = (
    "gaia_g", "gaia_bp", "gaia_rp", "ps1_g", "ps1_r", "ps1_i", "ps1_z", "ps1_y",
    "twomass_j", "twomass_h", "twomass_ks", "wise_w1", "wise_w2",
)  # fmt: skip
SEVEN = ("cfht_u", "ps1_g", "ps1_r", "ps1_i", "ps1_z", "ps1_y", "gaia_g")
"""The report's seven bands."""


def data_folder() -> Path:
    here = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("SIDEREA_DATA", here)) / "photometry"


def rows_of(photometry: Photometry, rows: np.ndarray) -> Photometry:
    index = np.flatnonzero(rows) if rows.dtype == bool else rows
    table = photometry.table.iloc[index].reset_index(drop=True)
    return Photometry(photometry.bands, photometry.mag[index], photometry.mag_err[index], table)


def segue() -> tuple[Photometry, pd.DataFrame, pd.DataFrame]:
    """Return stars, labels and the raw colours."""
    raw = pd.read_csv(data_folder() / "segue_ugriz_feh.csv.gz")
    pairs = [("sdss_u", "sdss_g"), ("sdss_g", "sdss_r"), ("sdss_r", "sdss_i"), ("sdss_i", "sdss_z")]
    colours = dict(zip(pairs, raw[["ug", "gr", "ri", "iz"]].to_numpy().T, strict=True))
    stars = from_colours(colours, reference="sdss_r")
    return stars, pd.DataFrame({"fe_h": raw["feh"]}), raw[["ug", "gr", "ri", "iz"]]


def green(*, parallax: bool) -> tuple[Photometry, pd.DataFrame, pd.DataFrame]:
    """Return stars, labels and the features of the tree peers."""
    import h5py

    with h5py.File(data_folder() / "green2020.h5") as file:
        raw = file["data"][:]
    mag, err = raw["mag"].astype(float), raw["mag_err"].astype(float)
    sigma = np.sqrt(np.einsum("nii->ni", raw["atm_param_cov"]).astype(float))
    names = ("teff", "logg", "fe_h")
    labels = pd.DataFrame(raw["atm_param"].astype(float), columns=list(names))
    labels = labels.assign(**{f"{name}_err": sigma[:, k] for k, name in enumerate(names)})
    table = pd.DataFrame({"ebv": raw["r"].astype(float)})
    tree = [mag[:, 1:] - mag[:, :1], np.diff(mag, axis=1), table.to_numpy()]
    if parallax:
        table["parallax"], table["parallax_err"] = (
            raw["parallax"].astype(float),
            raw["parallax_err"].astype(float),
        )
        absolute = mag[:, 0] + 5 * np.log10(np.maximum(table["parallax"], 0.02)) - 10
        tree += [table[["parallax", "parallax_err"]].to_numpy(), absolute.to_numpy()[:, None]]
    features = pd.DataFrame(np.concatenate(tree, axis=1)).add_prefix("f")
    return Photometry(GREEN_BANDS, mag, err, table), labels, features


def lightgbm_of(x, y, seed, **options):
    import lightgbm

    return lightgbm.LGBMRegressor(n_jobs=1, verbose=-1, random_state=seed, **options).fit(x, y)


def xgboost_of(x, y, seed, **options):
    import xgboost

    return xgboost.XGBRegressor(n_jobs=1, random_state=seed, **options).fit(x, y)


def realmlp_of(x, y, seed):
    from pytabkit import RealMLP_TD_Regressor

    model = RealMLP_TD_Regressor(device="cpu", random_state=seed, n_threads=1, verbosity=0)
    filled = x.fillna(x.median())
    model.fit(filled.astype(np.float32), y)
    model.fill = x.median()
    return model


PEERS = {
    "LightGBM, default": lightgbm_of,
    "LightGBM, L1, 400 trees": lambda x, y, seed: lightgbm_of(
        x, y, seed, objective="l1", n_estimators=400, learning_rate=0.05
    ),
    "XGBoost, default": xgboost_of,
    "XGBoost, L1, 400 trees": lambda x, y, seed: xgboost_of(
        x, y, seed, objective="reg:absoluteerror", n_estimators=400, learning_rate=0.05
    ),
    "RealMLP-TD (pytabkit)": realmlp_of,
}


def peers(features, labels, test, seed, skip):
    """Yield (name, predictions by label, seconds) of every peer that can be imported."""
    for name, train in PEERS.items():
        if any(name.lower().startswith(one.lower()) for one in skip):
            continue
        start, found = time.process_time(), {}
        try:
            for label in labels:
                model = train(features[~test], labels[label].to_numpy()[~test], seed)
                x = features[test]
                x = x.fillna(model.fill).astype(np.float32) if hasattr(model, "fill") else x
                found[label] = np.asarray(model.predict(x)).ravel()
        except ImportError as error:
            print(f"| {name} | not run: {error} |", flush=True)
            continue
        yield name, found, time.process_time() - start


def ours(args):
    """Return the networks to compare, by name."""
    full = TrainingSettings(max_epochs=args.epochs)
    plain = EnsembleSettings(
        members=1, backbone="plain", heads="scaled_sigmoid", periodic=False, n_components=1
    )
    report = EnsembleSettings(
        members=1, backbone="resdense", heads="causal", periodic=False, n_components=1
    )
    bare = TrainingSettings(max_epochs=20, learning_rate=1e-2, noise=0, masking=0, weight_decay=0)
    return {
        "siderea (ours)": (EnsembleSettings(), full),
        "report's plain net, 1024-512": (plain, bare),
        "report's ResDense with attention, causal": (
            report,
            TrainingSettings(max_epochs=40, learning_rate=2e-3, noise=0, masking=0),
        ),
    }


def bootstrap(residual: np.ndarray, n: int = 200) -> float:
    rng = np.random.default_rng(0)
    draws = rng.integers(0, residual.size, (n, residual.size))
    return float(np.std([mad_sigma(residual[d]) for d in draws]))


def run_segue(args) -> None:
    stars, labels, colours = segue()
    test = held_out_mask(repeated_rows(stars.mag))
    truth, gr = labels["fe_h"].to_numpy()[test], colours["gr"].to_numpy()[test]
    inside = (gr > 0.2) & (gr < 0.6)
    print(f"train {np.sum(~test)}, test {np.sum(test)}, {inside.sum()} of them at .2<g-r<.6\n")
    print("| method | MAD-σ, .2<g−r<.6 | ± | rms | MAD-σ, all | rms | CPU s |\n|---|" + "---|" * 6)

    def line(name, found, seconds):
        r = found - truth
        s = r[inside & np.isfinite(r)]
        print(f"| {name} | {mad_sigma(s):.4f} | {bootstrap(s):.4f} | {np.std(s):.4f} | "
              f"{mad_sigma(r):.4f} | {np.nanstd(r):.4f} | {seconds:.0f} |", flush=True)  # fmt: skip

    line("Bond et al. 2010 (where valid)", bond2010_fe_h(colours["ug"], colours["gr"])[test], 0)
    for name, (ensemble, training) in ours(args).items():
        start = time.process_time()
        key = "segue " + name.split(",")[0]
        model = trained(key, args, rows_of(stars, ~test), labels[~test], ensemble, training)
        found = model.predict(rows_of(stars, test))
        line(name, found["fe_h"].to_numpy(), time.process_time() - start)
        if name.startswith("siderea"):
            report_coverage(model, rows_of(stars, test), labels[test].reset_index(drop=True))
    for name, found, seconds in peers(colours, labels, test, 0, args.skip):
        line(name, found["fe_h"], seconds)


def trained(name, args, stars, labels, ensemble=None, training=None):
    """Train ours, or take what an earlier run left in the folder of models."""
    path = args.models / name if args.models else None
    if path and path.with_suffix(".json").exists():
        return LabelNetwork.from_artefact(*artefacts.load(path))
    training = training or TrainingSettings(max_epochs=args.epochs)
    model = LabelNetwork(ensemble=ensemble, training=training).fit(stars, labels)
    if path:
        args.models.mkdir(exist_ok=True)
        artefacts.save(path, *model.artefact())
    return model


def report_coverage(model, stars, labels) -> None:
    """Print 68 and 95 % coverage, of all and in bins of [Fe/H] predicted and true."""
    quantiles = model.quantiles(stars, LEVELS, label_errors=labels)
    predicted = model.predict(stars)["fe_h"].to_numpy()
    for name, q in quantiles.items():
        truth = labels[name].to_numpy()
        both = [coverage(q[:, i], q[:, j], truth) for i, j in ((1, 2), (0, 3))]
        print(f"  coverage of {name}: 68.3 % {both[0]:.3f}, 95 % {both[1]:.3f}")
        for which, values in (("predicted", predicted), ("true", labels["fe_h"].to_numpy())):
            cells = []
            edges = np.array([-5, -1.5, -1.0, -0.6, -0.3, 0.0, 1.0])
            for low, high in pairwise(edges):
                rows = (values >= low) & (values < high)
                pair = [coverage(q[rows, i], q[rows, j], truth[rows]) for i, j in ((1, 2), (0, 3))]
                cells.append(f"{low:+.1f} (n={rows.sum()}) {pair[0]:.2f}/{pair[1]:.2f}")
            print(f"    by {which} [Fe/H]: " + "; ".join(cells), flush=True)


def run_green(args) -> None:
    for parallax in (False, True) if args.parallax is None else (args.parallax == "yes",):
        stars, labels, features = green(parallax=parallax)
        test = held_out_mask(repeated_rows(stars.mag[:, :1]))
        three = labels[["teff", "logg", "fe_h"]]
        truth = three[test].reset_index(drop=True)
        giant = truth["logg"] < GIANT_LOGG
        print(f"\ngreen2020, {'with' if parallax else 'without'} parallax: "
              f"train {np.sum(~test)}, test {np.sum(test)}, {giant.sum()} giants\n")  # fmt: skip
        print("| method | Teff K | log g | [Fe/H] | giants complete % | pure % | rms | CPU s |")
        print("|---|" + "---|" * 7)

        def line(name, found, taken, seconds, truth=truth, giant=giant):
            scatter = [mad_sigma(found[k] - truth[k]) for k in truth]
            rms = [np.std(found[k] - truth[k]) for k in truth]
            complete, pure = completeness_purity(giant, taken)
            print(f"| {name} | {scatter[0]:.1f} | {scatter[1]:.3f} | {scatter[2]:.3f} | "
                  f"{100 * complete:.1f} | {100 * pure:.1f} | {rms[0]:.0f} / {rms[1]:.3f} / "
                  f"{rms[2]:.3f} | {seconds:.0f} |", flush=True)  # fmt: skip

        for name, (ensemble, training) in ours(args).items():
            start = time.process_time()
            key = f"green {parallax} " + name.split(",")[0]
            model = trained(key, args, rows_of(stars, ~test), labels[~test], ensemble, training)
            found = model.predict(rows_of(stars, test))
            line(name, found, found["p_giant"] > 0.5, time.process_time() - start)
            if name.startswith("siderea"):
                report_coverage(model, rows_of(stars, test), labels[test].reset_index(drop=True))
        for name, found, seconds in peers(features, three, test, 0, args.skip):
            line(name, found, found["logg"] < GIANT_LOGG, seconds)


def simulated(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw stars at .2<g-r<.6: absolute magnitudes (n, 7), [Fe/H], log g.

    Ages 1 to 13 Gyr and [Fe/H] -2.5 to 0.5 are flat; masses are flat between 0.45 and the heaviest
    star alive, so that the turn-off and the giants are well filled.
    """
    from siderea.isochrones import load_default

    isochrones = load_default()
    found = [np.empty((0, 9))]
    while sum(map(len, found)) < n:
        age, fe_h = rng.uniform(1, 13, 100_000), rng.uniform(-2.5, 0.5, 100_000)
        mass = 0.45 + (isochrones.heaviest(age, fe_h) - 0.45) * rng.uniform(0, 1, 100_000)
        mag = isochrones.magnitudes(mass, age, fe_h, bands=SEVEN)
        logg = isochrones.stars(mass, age, fe_h).logg
        gr = mag[:, 1] - mag[:, 2]
        good = np.isfinite(mag).all(axis=1) & (gr > 0.2) & (gr < 0.6)
        found.append(np.column_stack([mag, fe_h, logg])[good])
    stars = np.concatenate(found)[:n]
    return stars[:, :7], stars[:, 7], stars[:, 8]


def realistic_errors(r: np.ndarray) -> np.ndarray:
    """Return errors (n, 7): a floor, and photon noise about as deep as the surveys."""
    floor = np.array([0.010, 0.008, 0.008, 0.008, 0.008, 0.010, 0.003])
    limit = np.array([23.2, 22.6, 22.5, 22.4, 21.7, 20.7, 22.5])  # 10 sigma
    return np.hypot(floor, 0.1 * 10 ** (0.4 * (r[:, None] + np.array([1.2] + [0.0] * 6) - limit)))


def observed(n: int, rng: np.random.Generator):
    """Draw stars with noise; r is between 15 and 19."""
    mag, fe_h, logg = simulated(n, rng)
    mag = mag + (rng.uniform(15, 19, n) - mag[:, 2])[:, None]
    err = realistic_errors(mag[:, 2])
    noisy = mag + err * rng.normal(size=mag.shape)
    return Photometry(SEVEN, noisy, err), pd.DataFrame({"fe_h": fe_h, "logg": logg})


def bayes(stars: Photometry, grid: np.ndarray, fe_h: np.ndarray) -> np.ndarray:
    """Return the posterior median of [Fe/H] over a grid drawn from the prior, brightness free."""
    colour = grid[:, 1] - grid[:, 3]  # g - i preselects what a star can be
    order = np.argsort(colour)
    grid, fe_h, colour = grid[order], fe_h[order], colour[order]
    out = np.full(len(stars), np.nan)
    for i, (mag, err) in enumerate(zip(stars.mag, stars.mag_err, strict=True)):
        reach = 5 * np.hypot(err[1], err[3])
        low, high = np.searchsorted(colour, mag[1] - mag[3] + np.array([-reach, reach]))
        weight = err**-2
        miss = mag - grid[low:high]
        miss = miss - (miss @ weight / weight.sum())[:, None]
        chi2 = miss**2 @ weight
        likely = chi2 < chi2.min() + 40
        probability = np.exp(-0.5 * (chi2[likely] - chi2.min()))
        values = fe_h[low:high][likely]
        by = np.argsort(values)
        total = np.cumsum(probability[by])
        out[i] = values[by][np.searchsorted(total, total[-1] / 2)]
    return out


def run_limit(args) -> None:
    rng = np.random.default_rng(5)
    train, labels = observed(args.stars, rng)
    n_test, n_grid = 1500, 1_500_000
    test, truth = observed(n_test, np.random.default_rng(6))
    grid, fe_h, _ = simulated(n_grid, np.random.default_rng(7))
    best = bayes(test, grid, fe_h) - truth["fe_h"]
    half = bayes(test, grid[::2], fe_h[::2]) - truth["fe_h"]  # is the grid fine enough?
    start = time.process_time()
    model = trained("limit", args, train, labels)
    seconds = time.process_time() - start
    found = model.predict(test)["fe_h"] - truth["fe_h"]
    print(
        f"{args.stars} training stars ({seconds:.0f} CPU s), {n_test} test stars, grid {n_grid}\n"
    )
    print(
        "| [Fe/H] | Bayes limit MAD-σ / rms | with half the grid | ours | ratio |\n"
        + "|---" * 5
        + "|"
    )
    for low, high in ((-2.5, 0.5), (-2.5, -1.5), (-1.5, -0.5), (-0.5, 0.5)):
        rows = (truth["fe_h"] >= low) & (truth["fe_h"] < high)
        pair = [(mad_sigma(v[rows]), float(np.std(v[rows]))) for v in (best, half, found)]
        text = [f"{a:.4f} / {b:.4f}" for a, b in pair]
        ratio = f"{pair[2][0] / pair[0][0]:.3f} / {pair[2][1] / pair[0][1]:.3f}"
        print(f"| {low} to {high} | {' | '.join(text)} | {ratio} |", flush=True)


def run_missing(args) -> None:
    stars, labels, _ = segue()
    test = held_out_mask(repeated_rows(stars.mag))
    train, rest, truth = (
        rows_of(stars, ~test),
        rows_of(stars, test),
        labels["fe_h"].to_numpy()[test],
    )
    gr = rest.mag[:, 1] - rest.mag[:, 2]
    known = np.abs(gr) < 3
    print("segue, g missing: error of the reconstructed g−r (MAD-σ / rms, mag)\n")
    for method in METHODS:
        start = time.process_time()
        settings = ImputerSettings(members=1 if method == "autoencoder" else 4)
        imputer = BandImputer(method=method, settings=settings).fit(train, labels[~test])
        gap = Photometry(rest.bands, rest.mag.copy(), rest.mag_err, rest.table)
        gap.mag[:, 1] = np.nan
        filled = imputer.impute(gap).mag
        miss = ((filled[:, 1] - filled[:, 2]) - gr)[known]
        inner = miss[(np.abs(miss) < 1)]
        print(f"| {method} | {mad_sigma(miss):.4f} / {np.std(inner):.4f} | "
              f"{time.process_time() - start:.0f} CPU s |", flush=True)  # fmt: skip
    model = trained("segue siderea (ours)", args, train, labels[~test])
    print("\n| segue, band missing | MAD-σ([Fe/H]) |\n|---|---|")
    for k, name in enumerate((None, *rest.bands)):
        gap = Photometry(rest.bands, rest.mag.copy(), rest.mag_err, rest.table)
        if name:
            gap.mag[:, k - 1] = np.nan
        print(f"| {name or 'none'} | {mad_sigma(model.predict(gap)['fe_h'] - truth):.4f} |")
    stars, labels, _ = green(parallax=False)
    test = held_out_mask(repeated_rows(stars.mag[:, :1]))
    rest, truth = rows_of(stars, test), labels[test].reset_index(drop=True)
    model = trained("green False siderea (ours)", args, rows_of(stars, ~test), labels[~test])
    print("\n| green2020, band missing | Teff K | log g | [Fe/H] |\n|---|---|---|---|")
    for k, name in enumerate((None, *rest.bands)):
        gap = Photometry(rest.bands, rest.mag.copy(), rest.mag_err, rest.table)
        if name:
            gap.mag[:, k - 1] = np.nan
        found = model.predict(gap)
        cells = [f"{mad_sigma(found[n] - truth[n]):.3f}" for n in ("teff", "logg", "fe_h")]
        print(f"| {name or 'none'} | {' | '.join(cells)} |", flush=True)


def run_speed(args) -> None:
    stars, labels, _ = green(parallax=True)
    rng = np.random.default_rng(0)
    many = rows_of(stars, rng.integers(0, len(stars), args.stars))
    test = held_out_mask(repeated_rows(stars.mag[:, :1]))
    model = trained("green True siderea (ours)", args, rows_of(stars, ~test), labels[~test])
    model.predict(rows_of(many, np.arange(2000)))
    for bands in (13, 5):
        part = Photometry(
            many.bands[:bands], many.mag[:, :bands], many.mag_err[:, :bands], many.table
        )
        wall, cpu = time.perf_counter(), time.process_time()
        model.predict(part)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rates = f"{args.stars / wall:.0f} stars/s, {args.stars / cpu:.0f} per CPU s"
        print(f"predict, {bands} bands: {rates}")


RUNS = {
    "segue": run_segue,
    "green": run_green,
    "limit": run_limit,
    "missing": run_missing,
    "speed": run_speed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--stars", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parallax", choices=("yes", "no"), help="green: one of the two only")
    parser.add_argument("--models", type=Path, help="folder that keeps ours, trained")
    parser.add_argument("--skip", nargs="*", default=[])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    RUNS[args.what](args)


if __name__ == "__main__":
    main()
