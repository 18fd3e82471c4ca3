"""Distances: ours, the literature's formulae and plain estimates, on real and simulated stars.

    SIDEREA_DATA=... python benchmarks/distances.py {green,apogee,mock,clusters,speed,offsets}
        [--half report] [--stars N] [--models FOLDER] [--figures FOLDER]

Half of the stars (`--half develop`) served to settle what is in `siderea.stellar`; the figures in
RESULTS.md are of the other half. Real distances are compared as parallaxes: ϖ d, whose error
σ_ϖ d is Gaussian and known, is d over the true distance, with no bias of 1/ϖ.
`green` needs h5py.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.spatial import cKDTree
from scipy.special import ndtr

from siderea.data import Photometry
from siderea.flags import DistanceFlag
from siderea.isochrones import load_default
from siderea.photometry.extinction import coefficient, deredden
from siderea.simulate.photometry import observe, simulate_photometry
from siderea.stellar.absolute_magnitude import GIANT_LOGG
from siderea.stellar.coordinates import COORDINATES
from siderea.stellar.distances import DistanceModel, distances, sample_distances
from siderea.stellar.ensemble import EnsembleSettings
from siderea.stellar.features import FeatureOptions
from siderea.stellar.network import LabelNetwork
from siderea.stellar.parallax import GAIA_DR2
from siderea.stellar.photometric_parallax import (
    distance_of,
    ivezic2008_absolute_magnitude,
    juric2008_absolute_magnitude,
)
from siderea.stellar.scores import mad_sigma
from siderea.stellar.training import TrainingSettings

GREEN_BANDS = (
    "gaia_g", "gaia_bp", "gaia_rp", "ps1_g", "ps1_r", "ps1_i", "ps1_z", "ps1_y",
    "twomass_j", "twomass_h", "twomass_ks", "wise_w1", "wise_w2",
)  # fmt: skip
BAYESTAR = {"ps1_g": 3.518, "ps1_r": 2.617, "ps1_i": 1.971, "ps1_z": 1.549, "ps1_y": 1.263,
            "twomass_j": 0.7927, "twomass_h": 0.4690, "twomass_ks": 0.3026}  # fmt: skip
"""Extinction per unit of reddening of the map of Green et al. (2019), their Table 1."""
TO_SFD = 1.14
"""The same over the coefficients of `siderea.photometry.extinction`: for the bands not there."""
BRIGHT = {"dwarf": 14.5, "subgiant": 14.0, "giant": 13.0}
"""G of the stars whose bias and scatter are measured: a cut on the parallax, or on its error over
the distance found, would select by the errors that are to be measured."""
RAW = {
    "colours": tuple(replace(one, offset=()) for one in COORDINATES),
    "teff_offset": (),
}
"""What makes a `DistanceModel` take the isochrones as they stand."""


def data_folder() -> Path:
    here = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("SIDEREA_DATA", here)) / "photometry"


def rows_of(stars: Photometry, rows: np.ndarray) -> Photometry:
    index = np.flatnonzero(rows) if rows.dtype == bool else rows
    table = stars.table.iloc[index].reset_index(drop=True)
    return Photometry(stars.bands, stars.mag[index], stars.mag_err[index], table)


LEVELS = (0.6827, 0.9545)
HEAD = "| method | stars | bias | σ | σ without ϖ's | 68.3 % | 95.4 % |\n" + "|---" * 7 + "|"
TRUTH_HEAD = "| method | stars | bias | σ | within 10 % | 68.3 % | 95.4 % |\n" + "|---" * 7 + "|"


def half_of(n: int, name: str) -> np.ndarray:
    """Return the rows of a half, drawn once for all."""
    report = np.random.default_rng(20_080_601).random(n) < 0.5
    return report if name == "report" else ~report


def green() -> tuple[Photometry, pd.DataFrame]:
    """Return stars free of extinction (parallaxes in the table) and their spectroscopic labels."""
    import h5py

    with h5py.File(data_folder() / "green2020.h5") as file:
        raw = file["data"][:]
    sigma = np.sqrt(np.einsum("nii->ni", raw["atm_param_cov"]).astype(float))
    names = ("teff", "logg", "fe_h")
    labels = pd.DataFrame(raw["atm_param"].astype(float), columns=list(names))
    labels = labels.assign(**{f"{name}_err": sigma[:, k] for k, name in enumerate(names)})
    reddening = raw["r"].astype(float)
    ratio = [BAYESTAR.get(name, TO_SFD * coefficient(name)) for name in GREEN_BANDS]
    mag = raw["mag"].astype(float) - reddening[:, None] * ratio
    table = pd.DataFrame(
        {
            "ebv": 0.0,
            "ebv_err": TO_SFD * raw["r_err"].astype(float),
            "reddening": reddening,
            "parallax": raw["parallax"].astype(float),
            "parallax_err": raw["parallax_err"].astype(float),
        }
    )
    return Photometry(GREEN_BANDS, mag, raw["mag_err"].astype(float), table), labels


def without_parallax(stars: Photometry) -> Photometry:
    table = stars.table.drop(columns=["parallax", "parallax_err"], errors="ignore")
    return Photometry(stars.bands, stars.mag, stars.mag_err, table)


def network_labels(name, train, labels, test, args) -> pd.DataFrame:
    """Return what a network says of stars that it was not trained on, without their parallaxes."""
    kept = args.models / f"{name}_{args.half}.pkl" if args.models else None
    if kept and kept.exists():
        return pd.read_pickle(kept)
    model = LabelNetwork(
        ensemble=EnsembleSettings(members=4),
        training=TrainingSettings(max_epochs=args.epochs),
        features=FeatureOptions(ebv=False, parallax=False),
    ).fit(without_parallax(train), labels)
    found = model.predict(test)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        found.to_pickle(kept)
    return found


def classes_of(labels: pd.DataFrame) -> dict[str, np.ndarray]:
    logg = labels["logg"].to_numpy()
    return {
        "dwarf": logg > 4.1,
        "subgiant": (logg > GIANT_LOGG) & (logg <= 4.1),
        "giant": logg <= GIANT_LOGG,
    }


def coverage_text(pit: np.ndarray | None, rows: np.ndarray) -> str:
    if pit is None:
        return " | |"
    good = rows & np.isfinite(pit)
    inside = [100 * np.mean(np.abs(pit[good] - 0.5) < level / 2) for level in LEVELS]
    return f" {inside[0]:.1f} | {inside[1]:.1f} |"


def parallax_line(name, distance, test, rows, use, pit=None) -> str:
    """Return a row: median and scatter of ϖ d, what is left without ϖ's error, coverage."""
    given, sigma = GAIA_DR2.apply(test.table["parallax"], test.table["parallax_err"])
    ratio, error = given * distance, sigma * distance
    use = use & rows & np.isfinite(ratio)
    scatter = mad_sigma(ratio[use])
    own = np.sqrt(max(scatter**2 - np.median(error[use]) ** 2, 0.0))
    text = (
        f"| {name} | {use.sum()} | {np.median(ratio[use]) - 1:+.3f} | {scatter:.3f} | {own:.3f} |"
    )
    return text + coverage_text(pit, rows)


def truth_line(name, distance, truth, rows, pit=None) -> str:
    """Return a row: median and scatter of d over the truth, the share within a tenth, coverage."""
    ratio = (np.asarray(distance) / truth)[rows]
    found = np.isfinite(ratio)
    close = 100 * np.mean(np.abs(ratio[found] - 1) < 0.1)
    text = (
        f"| {name} | {found.sum()} | {np.median(ratio[found]) - 1:+.3f} | "
        f"{mad_sigma(ratio[found]):.3f} | {close:.1f} % |"
    )
    return text + coverage_text(pit, rows)


def pit_in_parallax(stars, labels, model, test) -> np.ndarray:
    """Return where each parallax lies in what the posterior predicts for it, its error included."""
    given, sigma = GAIA_DR2.apply(test.table["parallax"], test.table["parallax_err"])
    rng = np.random.default_rng(1)
    samples = sample_distances(stars, labels, 100, rng=rng, model=model)
    return ndtr((given[:, None] - 1 / samples) / sigma[:, None]).mean(axis=1)


def pit_of_truth(stars, labels, model, truth, **parallax) -> np.ndarray:
    rng = np.random.default_rng(1)
    samples = sample_distances(stars, labels, 100, rng=rng, model=model, **parallax)
    below = (samples < np.asarray(truth)[:, None]).sum(axis=1)
    pit = (below + np.random.default_rng(2).random(below.size)) / (samples.shape[1] + 1)
    return np.where(np.isfinite(samples[:, 0]), pit, np.nan)


def sdss_like(stars: Photometry) -> dict[str, np.ndarray]:
    """Return g, r, i of SDSS; from PS1 by the linear relations of Tonry et al. (2012), Table 6."""
    mag = dict(zip(stars.bands, stars.mag.T, strict=True))
    if "sdss_g" in mag:
        return {band: mag[f"sdss_{band}"] for band in "gri"}
    gr = (mag["ps1_g"] - mag["ps1_r"] + 0.012) / (1 - 0.139 + 0.007)
    r = mag["ps1_r"] + 0.007 * gr
    return {
        "g": mag["ps1_g"] + 0.012 + 0.139 * gr,
        "r": r,
        "i": mag["ps1_i"] - 0.004 + 0.014 * gr,
    }


def formulae(stars: Photometry, labels: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return distances of the literature's photometric parallaxes; NaN outside their ranges."""
    mag = sdss_like(stars)
    logg = labels["logg"].to_numpy()
    ivezic, valid = ivezic2008_absolute_magnitude(
        mag["g"] - mag["i"], labels["fe_h"].to_numpy(), logg=logg
    )
    out = {"Ivezić 2008": np.where(valid, distance_of(mag["r"], ivezic), np.nan)}
    for kind in ("bright", "faint"):
        absolute, valid = juric2008_absolute_magnitude(mag["r"] - mag["i"], normalisation=kind)
        valid = valid & (logg >= 3.3)
        out[f"Jurić 2008, {kind}"] = np.where(valid, distance_of(mag["r"], absolute), np.nan)
    return out


def plain_isochrone(stars: Photometry, labels: pd.DataFrame, band: str) -> np.ndarray:
    """Return distances of the nearest star, in Teff and log g, of isochrones of 8 Gyr."""
    model = load_default()
    fe_h = np.clip(np.round(labels["fe_h"].to_numpy() / 0.1) * 0.1, -2.5, 0.5)
    out = np.full(len(stars), np.nan)
    for value in np.unique(fe_h[np.isfinite(fe_h)]):
        top = float(model.heaviest(8.0, value))
        mass = np.concatenate(
            [np.linspace(0.15, 0.97 * top, 400), top * (1 - np.geomspace(0.03, 1e-5, 400))]
        )
        found, magnitude = model.stars(mass, 8.0, value), model.magnitudes(mass, 8.0, value, [band])
        rows = np.flatnonzero(np.abs(fe_h - value) < 0.01)
        place = np.column_stack([np.log10(found.teff) / 0.01, found.logg / 0.3])
        good = np.isfinite(place).all(axis=1)
        star = np.column_stack(
            [
                np.log10(labels["teff"].to_numpy()[rows]) / 0.01,
                labels["logg"].to_numpy()[rows] / 0.3,
            ]
        )
        known = np.isfinite(star).all(axis=1)
        nearest = cKDTree(place[good]).query(star[known])[1]
        mag = stars.mag[rows[known], stars.bands.index(band)]
        out[rows[known]] = distance_of(mag, magnitude[good, 0][nearest])
    return out


def run_green(args) -> None:
    stars, labels = green()
    rows = half_of(len(stars), args.half)
    test, spectra = rows_of(stars, rows), labels[rows].reset_index(drop=True)
    train, train_labels = rows_of(stars, ~rows), labels[~rows].reset_index(drop=True)
    network = network_labels("green", train, train_labels, test, args)
    bare, true_class = without_parallax(test), classes_of(spectra)
    bright = {kind: test.mag[:, 0] < limit for kind, limit in BRIGHT.items()}
    for title, used, model in (
        ("labels of spectra", spectra, DistanceModel.of_spectra()),
        ("labels of spectra, isochrones as they stand", spectra,
         DistanceModel.of_spectra(**RAW)),
        ("labels of the network", network, DistanceModel()),
    ):  # fmt: skip
        ours = distances(bare, used, model=model)
        pit = pit_in_parallax(bare, used, model, test)
        methods = {"ours": (ours["distance"].to_numpy(), pit)}
        if model.colours is COORDINATES:
            peers = {"isochrone of 8 Gyr": plain_isochrone(bare, used, "gaia_g")}
            peers |= formulae(bare, used)
            methods |= {name: (value, None) for name, value in peers.items()}
        print(f"\n{args.half} half of green2020, {title}; classes by spectra\n\n{HEAD}")
        for kind, mine in true_class.items():
            for name, (distance, coverage) in methods.items():
                print(
                    parallax_line(f"{name}, {kind}", distance, test, mine, bright[kind], coverage)
                )
        every = np.ones(len(test), dtype=bool)
        print(f"\ncoverage, all stars: {coverage_text(pit, every)}")
        for kind, mine in classes_of(used).items():
            print(f"coverage, {kind} by the labels used, {mine.sum()}: {coverage_text(pit, mine)}")
        if args.figures:
            name = "network" if used is network else "spectra"
            if model.colours is COORDINATES:
                green_figures(args.figures, name, test, ours, pit, true_class, classes_of(used))


def save(figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight")


def green_figures(folder, name, test, ours, pit, kinds, kinds_found) -> None:
    from siderea.figures import distances as figures

    given, sigma = GAIA_DR2.apply(test.table["parallax"], test.table["parallax_err"])
    save(
        figures.against_parallax(ours, given, sigma, kinds),
        folder / f"distances_parallax_{name}.png",
    )
    colour = test.mag[:, 1] - test.mag[:, 2]
    bright = np.zeros(len(test), dtype=bool)
    for kind, rows in kinds.items():
        bright |= rows & (test.mag[:, 0] < BRIGHT[kind])
    ratio = np.where(bright, given * ours["distance"].to_numpy(), np.nan)
    save(
        figures.ratio_by_colour(colour, ratio, kinds, label="BP − RP"),
        folder / f"distances_colour_{name}.png",
    )
    save(figures.pit(pit, kinds_found), folder / f"distances_pit_{name}.png")


def run_apogee(args) -> None:
    raw = pd.read_csv(data_folder() / "apogee_gaia_wise.csv.gz")
    raw = raw[half_of(len(raw), args.half)].reset_index(drop=True)
    mag = raw[["phot_g_mean_mag", "Jmag"]].to_numpy()
    stars = Photometry(("gaia_g", "twomass_j"), mag, np.full(mag.shape, 0.02))
    truth = distance_of(raw["phot_g_mean_mag"], raw["M_G"])
    labels = {
        "fe_h": raw["FE_H"],
        "fe_h_err": np.full(len(raw), 0.05),
        "p_giant": np.zeros(len(raw)),
    }
    print(
        f"\n{args.half} half of apogee_gaia_wise, G − J and [Fe/H] only, known not to be giants\n"
    )
    print(TRUTH_HEAD)
    for name, model in (
        ("ours", DistanceModel()),
        ("isochrones as they stand", DistanceModel(**RAW)),
    ):
        found = distances(stars, labels, model=model)["distance"]
        pit = pit_of_truth(stars, labels, model, truth)
        for low, high in ((3.0, 4.5), (4.5, 6.0), (6.0, 7.5), (7.5, 9.0), (9.0, 12.0)):
            rows = ((raw["M_G"] > low) & (raw["M_G"] <= high)).to_numpy()
            print(truth_line(f"{name}, {low} < M_G < {high}", found, truth, rows, pit))


def gaia_like(g: np.ndarray) -> np.ndarray:
    """Return parallax errors, mas: 0.02 at G < 15, 0.1 at 18, 0.5 at 20, as Gaia EDR3's."""
    return np.interp(g, [15.0, 17.0, 18.0, 19.0, 20.0, 21.0], [0.02, 0.07, 0.12, 0.22, 0.5, 1.3])


def mock(n: int, seed: int) -> tuple[Photometry, pd.DataFrame]:
    bands = ("sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z")
    stars, truth = simulate_photometry(n, rng=np.random.default_rng(seed), bands=bands)
    free = deredden(stars, stars.table["ebv"].to_numpy())
    table = stars.table.assign(ebv=0.0)
    return Photometry(free.bands, free.mag, free.mag_err, table), truth


def run_mock(args) -> None:
    seed = 11 if args.half == "report" else 7
    train, train_truth = mock(args.training, seed + 100)
    stars, truth = mock(args.stars, seed)
    labels = network_labels(
        f"mock{args.stars}", train, train_truth[["teff", "fe_h", "logg"]], stars, args
    )
    model = DistanceModel.of_isochrones()
    true = truth["distance"].to_numpy()
    kinds = classes_of(truth)
    error = np.hypot(stars.mag_err[:, 1], stars.mag_err[:, 3])
    good = kinds["dwarf"] & (error < 0.02)
    single = good & (truth["n_stars"] == 1).to_numpy()
    peers = formulae(stars, labels) | {
        "isochrone of 8 Gyr": plain_isochrone(stars, labels, "sdss_r")
    }
    ours = distances(stars, labels, model=model)
    pit = pit_of_truth(stars, labels, model, true)
    print(f"\nmock, seed {seed}, {args.stars} systems, labels of a network of {args.training}\n")
    print(TRUTH_HEAD)
    names = {**kinds, "dwarf, good photometry": good, "the same, single": single}
    for kind, rows in names.items():
        print(truth_line(f"ours, {kind}", ours["distance"], true, rows, pit))
    said = labels["p_giant"].to_numpy() > 0.5
    by_label = {"all": np.ones(true.size, dtype=bool), "called dwarf": ~said, "called giant": said}
    for kind, rows in by_label.items():
        print(truth_line(f"ours, {kind}", ours["distance"], true, rows, pit))
    measured = true_metallicity(truth, labels, seed)
    known = distances(stars, measured, model=model)
    pit_known = pit_of_truth(stars, measured, model, true)
    for kind in ("dwarf, good photometry", "the same, single"):
        line = truth_line(f"[Fe/H] ± 0.05 of a spectrum, {kind}", known["distance"], true,
                          names[kind], pit_known)  # fmt: skip
        print(line)
    for low, high in ((0.05, 1), (1, 2), (2, 4), (4, 8), (8, 60)):
        rows = (true > low) & (true <= high)
        print(truth_line(f"ours, {low} to {high} kpc (true)", ours["distance"], true, rows, pit))
        rows = ((ours["distance"] > low) & (ours["distance"] <= high)).to_numpy()
        print(truth_line(f"ours, {low} to {high} kpc (found)", ours["distance"], true, rows, pit))
    for name, value in peers.items():
        print(truth_line(f"{name}, dwarf, good photometry", value, true, good))
    sigma = gaia_like(truth["mag_gaia_g"].to_numpy())
    parallax = 1 / true + sigma * np.random.default_rng(seed + 1).standard_normal(true.size)
    both = distances(stars, labels, parallax=parallax, parallax_err=sigma, model=model)
    pit_both = pit_of_truth(stars, labels, model, true, parallax=parallax, parallax_err=sigma)
    with np.errstate(divide="ignore"):
        inverse = np.where(parallax > 0, 1 / parallax, np.nan)
    for kind, rows in names.items():
        print(truth_line(f"ours with ϖ, {kind}", both["distance"], true, rows, pit_both))
        print(truth_line(f"1/ϖ where positive, {kind}", inverse, true, rows))
    two = (ours["flags"] & int(DistanceFlag.TWO_SOLUTIONS)).to_numpy() > 0
    chosen = np.where(kinds["giant"], ours["distance_giant"], ours["distance_dwarf"])
    print(truth_line("two-fold stars, whole posterior", ours["distance"], true, two, pit))
    print(truth_line("two-fold stars, the true one of the two solutions", chosen, true, two))
    mean, true_giant = ours["p_giant"][two].mean(), kinds["giant"][two].mean()
    print(
        f"\ntwo-fold: {two.sum()}; giants {100 * true_giant:.1f} %, mean p_giant {100 * mean:.1f} %"
    )
    if args.figures:
        from siderea.figures import distances as figures

        save(figures.pit(pit, by_label), args.figures / "distances_pit_mock.png")
        colour = stars.mag[:, 1] - stars.mag[:, 3]
        ratio = ours["distance"].to_numpy() / true
        save(
            figures.ratio_by_colour(colour, ratio, by_label, label="(g − i)₀"),
            args.figures / "distances_colour_mock.png",
        )


def true_metallicity(truth: pd.DataFrame, labels: pd.DataFrame, seed: int) -> pd.DataFrame:
    noise = 0.05 * np.random.default_rng(seed + 2).standard_normal(len(truth))
    return labels.assign(fe_h=truth["fe_h"] + noise, fe_h_err=0.05)


CLUSTERS = {
    "NGC 6341 (M92)": (-2.31, 8.50, 68.34, 34.86),
    "NGC 6205 (M13)": (-1.53, 7.42, 59.01, 40.91),
    "NGC 5904 (M5)": (-1.29, 7.48, 3.86, 46.80),
    "NGC 104 (47 Tuc)": (-0.72, 4.52, 305.89, -44.89),
    "NGC 6366": (-0.59, 3.44, 18.41, 16.04),
}
"""[Fe/H] of Harris (1996, 2010 edition), distance in kpc of Baumgardt & Vasiliev (2021), l, b."""


def run_clusters(args) -> None:
    """Place simulated members of real clusters: no star of the tables at hand is in one."""
    rng = np.random.default_rng(11 if args.half == "report" else 7)
    print(
        "| cluster | [Fe/H] | kpc | members | bias | turn-off | giants | [Fe/H] ± 0.15 |"
        " [Fe/H] 0.15 too high | σ of a member |\n" + "|---" * 10 + "|"
    )
    for name, (fe_h, true, lon, lat) in CLUSTERS.items():
        stars, labels = members(fe_h, true, rng)
        where = {"lon": lon, "lat": lat, "ebv": 0.0}
        noise = 0.15 * rng.standard_normal(len(labels))
        ratios = [
            distances(
                stars,
                labels.assign(fe_h=fe_h + error, fe_h_err=width),
                **where,
                model=DistanceModel.of_isochrones(logg_inflation=1.0),
            )["distance"].to_numpy()
            / true
            for error, width in ((0.0, 0.05), (noise, 0.15), (0.15, 0.15))
        ]
        giant = labels["true_logg"].to_numpy() < GIANT_LOGG
        turn = ~giant & (labels["true_logg"].to_numpy() < 4.3)
        shown = (ratios[0], ratios[0][turn], ratios[0][giant], *ratios[1:])
        cells = " | ".join(f"{np.nanmedian(ratio) - 1:+.3f}" for ratio in shown)
        spread = mad_sigma(ratios[1])
        print(f"| {name} | {fe_h} | {true} | {len(stars)} | {cells} | {spread:.3f} |")


def members(fe_h, distance, rng, *, age=12.5, n=4000):
    """Return stars of one age and [Fe/H] at one distance, r < 21, and labels with errors."""
    bands = ("sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z")
    model = load_default()
    low, top = 0.5, float(model.heaviest(age, fe_h))
    mass = low * (1 - rng.random(40 * n) * (1 - (low / top) ** 1.3)) ** (-1 / 1.3)
    mass = np.concatenate([rng.choice(mass, n), top * (1 - 0.06 * rng.random(n // 8))])
    absolute = model.magnitudes(mass, age, fe_h, bands)
    logg, teff = model.stars(mass, age, fe_h).logg, model.stars(mass, age, fe_h).teff
    mag, err = observe(absolute + 5 * np.log10(distance) + 10, bands, rng=rng)
    seen = np.isfinite(mag).all(axis=1) & (mag[:, 2] < 21)
    stars = Photometry(bands, mag[seen], err[seen])
    labels = pd.DataFrame(
        {"fe_h": fe_h, "fe_h_err": 0.05, "teff": teff[seen], "true_logg": logg[seen]}
    )
    labels["logg"] = logg[seen] + 0.3 * rng.standard_normal(seen.sum())
    return stars, labels.assign(logg_err=0.3, teff_err=100.0)


def run_speed(args) -> None:
    stars, truth = mock(50_000, 3)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(stars), args.stars)
    many, chosen = rows_of(stars, rows), truth.iloc[rows].reset_index(drop=True)
    labels = pd.DataFrame({"p_giant": np.clip(rng.normal(0.1, 0.2, len(many)), 0, 1)})
    for name, low, high in (("teff", 50, 150), ("fe_h", 0.1, 0.4), ("logg", 0.1, 0.5)):
        labels[f"{name}_err"] = rng.uniform(low, high, len(many))
        labels[name] = chosen[name] + labels[f"{name}_err"] * rng.standard_normal(len(many))
    sigma = gaia_like(chosen["mag_gaia_g"].to_numpy())
    parallax = 1 / chosen["distance"].to_numpy() + sigma * rng.standard_normal(len(many))
    start = time.process_time()
    distances(rows_of(many, np.arange(2000)), labels[:2000])
    print(f"first 2000 stars, tables made: {time.process_time() - start:.1f} CPU s")
    runs = {
        "first pass": {},
        "again": {},
        "with parallaxes": {"parallax": parallax, "parallax_err": sigma},
    }
    for name, extra in runs.items():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, wall = time.process_time(), time.perf_counter()
        distances(many, labels, **extra)
        cpu, wall = time.process_time() - start, time.perf_counter() - wall
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"{name}: {args.stars / cpu:.0f} stars per CPU s, {args.stars / wall:.0f} per s; "
              f"memory grew by {grown:.0f} MiB for {args.stars} stars")  # fmt: skip


def run_offsets(args) -> None:
    """Print how much fainter real stars are than the isochrones', with and without the offsets."""
    stars, labels = green()
    rows = half_of(len(stars), args.half)
    test, spectra = rows_of(stars, rows), labels[rows].reset_index(drop=True)
    given, _ = GAIA_DR2.apply(test.table["parallax"], test.table["parallax_err"])
    good = (test.table["reddening"] < 0.2) & (test.table["ebv_err"] < 0.06)
    bare, mag = without_parallax(test), dict(zip(test.bands, test.mag.T, strict=True))
    for number, one in enumerate(COORDINATES[1:], 1):
        x = mag[one.colour[0]] - mag[one.colour[1]]
        for name, offset in (("isochrones", ()), ("with offsets", one.offset)):
            model = DistanceModel.of_spectra(
                temperature="colour", colours=(replace(COORDINATES[number], offset=offset),)
            )
            ratio = given * distances(bare, spectra, model=model)["distance"].to_numpy()
            print(f"\n{'-'.join(one.colour)}, {name}: x, stars, mag fainter, its error")
            for kind, limit in (("dwarf", 15.2), ("giant", 14.2)):
                use = classes_of(spectra)[kind] & good & (test.mag[:, 0] < limit)
                use &= np.isfinite(ratio) & np.isfinite(x)
                for part in np.array_split(np.flatnonzero(use)[np.argsort(x[use])], 8):
                    fainter = 5 * np.log10(np.median(ratio[part]))
                    error = 2.7 * mad_sigma(ratio[part]) / np.sqrt(part.size)
                    print(f"{kind} {np.median(x[part]):.2f} {part.size} {fainter:+.2f} {error:.2f}")


RUNS = {
    "offsets": run_offsets,
    "green": run_green,
    "apogee": run_apogee,
    "mock": run_mock,
    "clusters": run_clusters,
    "speed": run_speed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("--half", choices=("develop", "report"), default="report")
    parser.add_argument("--stars", type=int, default=20_000)
    parser.add_argument("--training", type=int, default=12_000, help="mock: stars of the network")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--models", type=Path, help="folder that keeps the networks' labels")
    parser.add_argument("--figures", type=Path, help="folder for figures")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    RUNS[args.what](args)


if __name__ == "__main__":
    main()
