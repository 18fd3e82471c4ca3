"""Channels of catalogues: excess light, astrometry, common motion; simulated and real stars.

    python benchmarks/binaries_catalogue.py [simulated|green2020|field]

``simulated``: catalogues with the truth known; found probabilities beside the shares of real ones.
``green2020``: real unevolved stars; how many of them are called binary as they are, beside what the
known multiplicity lets a magnitude-limited sample have; then companions are added, other stars of
the sample (band by band) or the star's own light (grey), the distance unchanged. The sequence is
fitted to the sample as it is.
``field``: 8,756 real Gaia sources of one field (an open cluster among them); pairs are injected,
and motions and parallaxes exchanged among the sources, which leaves no real pair.
"""

import argparse
import os
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kstest

from siderea.binaries.astrometric import astrometric_binaries
from siderea.binaries.common_motion import find_pairs
from siderea.binaries.photometric_excess import fit_main_sequence, photometric_excess
from siderea.photometry.extinction import coefficients
from siderea.simulate.photometry import DEEP, BandError, simulate_photometry

GAIA = ("gaia_g", "gaia_bp", "gaia_rp")
MOTION = ("pmra", "pmdec", "parallax", "pmra_err", "pmdec_err", "parallax_err")
TO_SFD = 1.14
"""Reddening of the map of Green et al. (2019) in units of E(B−V) of SFD, as in ``distances.py``."""

REDDEST = 2.0
"""BP − RP of the simulated stars that are counted: nearly all of the real ones are bluer."""

FRACTIONS = (0.35, 0.44, 0.50)
"""Share of systems with companions: K dwarfs and the least published, solar type (Raghavan et al.
2010), and the most published for F to K dwarfs."""


def data_folder() -> Path:
    here = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("SIDEREA_DATA", here)) / "photometry"


def shares(title: str, probability, real, edges) -> None:
    """Print the mean probability and the share of real ones between the edges."""
    for low, high in pairwise(edges):
        rows = (probability >= low) & (probability < high)
        print(
            f"{title}: {rows.sum()} of probability {low} to {min(high, 1.0)}: mean "
            f"{probability[rows].mean():.2f}, real {real[rows].mean():.2f}"
        )


def simulated_sky(n, rng, *, like=None, settings=DEEP) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a catalogue with the errors of real stars of like G, or small ones; the truth.

    The reddening's error moves all bands at once, and is in no column of errors.
    """
    errors = {name: BandError(21.0, 0.005, sky=0.039) for name in GAIA}
    stars, truth = simulate_photometry(
        n, rng=rng, bands=GAIA, missing=0.0, errors=errors, settings=settings
    )
    frame, mag_err = stars.table.copy(), stars.mag_err
    parallax = 1 / truth["distance"].to_numpy()
    if like is None:
        error, fe_h_err = 0.02 * parallax, np.full(n, 0.05)
    else:
        by_light = like.sort_values("mag_gaia_g")
        place = np.searchsorted(by_light["mag_gaia_g"], truth["mag_gaia_g"])
        real = by_light.iloc[np.clip(place + rng.integers(-20, 21, n), 0, len(like) - 1)]
        error = real["parallax_err"].to_numpy()
        fe_h_err = real["fe_h_err"].to_numpy()
        mag_err = real[[f"mag_{name}_err" for name in GAIA]].to_numpy()
        frame["ebv"] = rng.normal(frame["ebv"], real["ebv_err"])
    for column, name in enumerate(GAIA):
        frame[f"mag_{name}"] = rng.normal(truth[f"mag_{name}"], mag_err[:, column])
        frame[f"mag_{name}_err"] = mag_err[:, column]
    frame["parallax_err"], frame["parallax"] = error, rng.normal(parallax, error)
    frame["fe_h"], frame["fe_h_err"] = rng.normal(truth["fe_h"], fe_h_err), fe_h_err
    return frame.assign(logg=truth["logg"]), truth


def simulated_excess(seed: int = 2027) -> None:
    frame, truth = simulated_sky(12_000, np.random.default_rng(seed))
    found = photometric_excess(frame)
    used = (found["flags"] == 0) & found["probability"].notna()
    probability = found["probability"][used].to_numpy()
    real = (truth["n_stars"] > 1).to_numpy()[used]
    title = f"excess, {used.sum()} simulated unevolved stars, seed {seed}"
    shares(title, probability, real, (0.0, 0.2, 0.5, 0.8, 0.95, 1.01))


def astrometry_of_singles(n, rng) -> pd.DataFrame:
    frame = pd.DataFrame({"id": np.arange(n), "ruwe": np.exp(rng.normal(np.log(1.02), 0.06, n))})
    for axis in ("ra", "dec"):
        motion = rng.normal(0, 10, n)
        for end, error in (("", 0.05), ("_long", 0.02)):
            frame[f"pm{axis}{end}"] = rng.normal(motion, error)
            frame[f"pm{axis}{end}_err"] = error
    return frame


def simulated_astrometry(seed: int = 2028) -> None:
    rng = np.random.default_rng(seed)
    found = astrometric_binaries(astrometry_of_singles(20_000, rng))
    for name in ("ruwe_p", "pm_p", "p_value"):
        p = found[name].to_numpy()
        distance = kstest(p, "uniform").statistic
        print(
            f"astrometry, 20,000 single stars: {name} below .01 / .001: {(p < 0.01).mean():.4f} / "
            f"{(p < 0.001).mean():.5f}; Kolmogorov distance from uniform {distance:.4f}"
        )
    frame, n = astrometry_of_singles(20_000, rng), 3000
    frame.loc[: n - 1, "ruwe"] *= np.exp(np.abs(rng.normal(0, 0.5, n)))
    for axis in ("ra", "dec"):
        frame.loc[: n - 1, f"pm{axis}"] += rng.normal(0, 0.3, n)
    probability = astrometric_binaries(frame)["probability"].to_numpy()
    real = np.arange(len(frame)) < n
    print(f"astrometry, {n} of 20,000 disturbed: above .9: {(probability[real] > 0.9).mean():.3f}")
    shares("astrometry", probability, real, (0.0, 0.3, 0.8, 0.95, 1.01))


def simulated_pairs(seed: int = 2029, fields: int = 5) -> None:
    probability, real, injected = [], [], 0
    for rng in np.random.default_rng(seed).spawn(fields):
        n, pairs = 12_000, 150
        frame = pd.DataFrame({"ra": 150 + rng.uniform(0, 1, n), "dec": rng.uniform(0, 1, n)})
        frame["pmra"], frame["pmdec"] = rng.normal(0, 8, (2, n))
        frame["parallax"] = rng.uniform(0.5, 8.0, n)
        partner, angle = frame.iloc[:pairs].copy(), rng.uniform(0, 2 * np.pi, pairs)
        distance = np.exp(rng.uniform(np.log(1), np.log(50), pairs)) / 3600
        partner["ra"] += distance * np.cos(angle)
        partner["dec"] += distance * np.sin(angle)
        frame = pd.concat([frame, partner], ignore_index=True)
        for name in ("pmra", "pmdec", "parallax"):
            frame[f"{name}_err"] = 0.15
            frame[name] += rng.normal(0, 0.15, n + pairs)
        frame["id"] = np.arange(n + pairs)
        found = find_pairs(frame)
        first, second = np.sort(found[["id_1", "id_2"]].to_numpy(dtype=int), axis=1).T
        real.append((first < pairs) & (second == first + n))
        probability.append(found["probability"].to_numpy())
        injected += pairs
    probability, real = np.concatenate(probability), np.concatenate(real)
    print(
        f"pairs, {fields} fields of 12,150 stars: {real.sum()} of {injected} found, "
        f"{(probability[real] > 0.5).sum()} above .5; sum of all probabilities "
        f"{probability.sum():.0f}"
    )
    shares("pairs", probability, real, (0.0, 0.2, 0.5, 0.9, 1.01))


def green() -> pd.DataFrame:
    """Return the stars of Green et al. (2020) as a catalogue."""
    import h5py

    with h5py.File(data_folder() / "green2020.h5") as file:
        raw = file["data"][:]
    frame = pd.DataFrame({"id": np.arange(len(raw)), "ebv": TO_SFD * raw["r"].astype(float)})
    frame["ebv_err"] = TO_SFD * raw["r_err"].astype(float)
    for column, name in enumerate(GAIA):
        frame[f"mag_{name}"] = raw["mag"][:, column].astype(float)
        frame[f"mag_{name}_err"] = raw["mag_err"][:, column].astype(float)
    for name in ("parallax", "parallax_err"):
        frame[name] = raw[name].astype(float)
    frame["logg"], frame["fe_h"] = raw["atm_param"][:, 1:].astype(float).T
    return frame.assign(fe_h_err=np.sqrt(raw["atm_param_cov"][:, 2, 2].astype(float)))


def brightened(frame: pd.DataFrame, light: np.ndarray) -> pd.DataFrame:
    """Return stars with so much more light (N, 3), as shares of their own."""
    out = frame.copy()
    for column, name in enumerate(GAIA):
        out[f"mag_{name}"] -= 2.5 * np.log10(1 + light[:, column])
    return out


def companions(chosen, pool, ratio: float, rng) -> tuple[np.ndarray, np.ndarray]:
    """Return light (N, 3) over that of each star of a star of the pool, and whether one fits.

    It is within 10 % of the ratio in G, of [Fe/H] within .2, free of reddening.
    """

    def absolute(frame):
        reddening = frame["ebv"].to_numpy()[:, None] * coefficients(GAIA)
        mag = frame[[f"mag_{name}" for name in GAIA]].to_numpy() - reddening
        return mag + 5 * np.log10(frame["parallax"].to_numpy()[:, None])

    own, other = absolute(chosen), absolute(pool)
    light, fits = np.zeros((len(chosen), 3)), np.zeros(len(chosen), dtype=bool)
    for row in range(len(chosen)):
        near = 10 ** (-0.4 * (other[:, 0] - own[row, 0])) / ratio
        metal = np.abs(pool["fe_h"].to_numpy() - chosen["fe_h"].iloc[row])
        rows = np.flatnonzero((np.abs(near - 1) < 0.1) & (metal < 0.2))
        if rows.size:
            fits[row] = True
            light[row] = 10 ** (-0.4 * (other[rng.choice(rows)] - own[row]))
    return light, fits


def green2020(number: int = 400, seed: int = 2030) -> None:
    frame = green()
    sequence = fit_main_sequence(frame)
    found = photometric_excess(frame, sequence=sequence)
    used = ((found["flags"] == 0) & found["probability"].notna()).to_numpy()
    probability = found["probability"].to_numpy()
    above = [(probability[used] > one).mean() for one in (0.5, 0.9)]
    print(
        f"green2020: {used.sum()} unevolved stars as they are: above .5 / .9: "
        f"{above[0]:.3f} / {above[1]:.3f}; sum of probabilities {probability[used].mean():.3f}, "
        f"excess above .35 mag {(found['excess'][used] > 0.35).mean():.3f}; "
        f"share fitted {sequence.binaries:.3f}, widths {np.round(sequence.width, 3)}"
    )
    expected(frame[used])
    rng = np.random.default_rng(seed)
    single = np.flatnonzero(used & (probability < 0.5))
    sure = single[frame["parallax_err"].iloc[single] < 0.05 * frame["parallax"].iloc[single]]
    chosen = frame.iloc[rng.choice(single, number, replace=False)]
    for ratio in (1.0, 0.7, 0.5, 0.3, 0.2):
        grey = photometric_excess(
            brightened(chosen, np.full((number, 3), ratio)), sequence=sequence
        )["probability"]
        light, fits = companions(chosen, frame.iloc[sure], ratio, rng)
        real = photometric_excess(brightened(chosen, light), sequence=sequence)[fits]["probability"]
        print(
            f"green2020, {number} of the others given light of ratio {ratio}: above .5: grey "
            f"{(grey > 0.5).sum() / grey.notna().sum():.3f}; another star of the sample "
            f"{(real > 0.5).sum() / real.notna().sum():.3f} of {real.notna().sum()}"
        )


def expected(stars: pd.DataFrame, seed: int = 2031) -> None:
    """Print what simulated samples of like magnitudes and errors have above .5.

    Limited by magnitude, binaries are seen farther, and there are more of them; limited by distance
    alone they are as many as they are. The real sample lies between: its parallaxes limit it too.
    """
    bright, faint = np.quantile(stars["mag_gaia_g"], [0.02, 0.98]).round(2)
    limits = {
        "magnitude": replace(DEEP.selection, band="gaia_g", magnitude=(bright, faint)),
        "distance": replace(DEEP.selection, magnitude=(-np.inf, np.inf), distance=(0.1, 0.5)),
    }
    for (name, selection), fraction in product(limits.items(), FRACTIONS):
        settings = replace(DEEP, selection=selection, binary_fraction=fraction)
        frame, truth = simulated_sky(
            8000, np.random.default_rng(seed), like=stars, settings=settings
        )
        found = photometric_excess(frame)
        colour = frame["mag_gaia_bp"] - frame["mag_gaia_rp"]
        used = (
            (found["flags"] == 0) & found["probability"].notna() & (colour < REDDEST)
        ).to_numpy()
        probability, real = found["probability"].to_numpy(), truth["n_stars"].to_numpy() > 1
        alone = probability[used & ~real]
        print(
            f"simulated, limited by {name}, {fraction:.2f} of systems multiple "
            f"({real[used].mean():.2f} of the {used.sum()} unevolved): above .5 / .9: "
            f"{(probability[used] > 0.5).mean():.3f} / {(probability[used] > 0.9).mean():.3f} (of "
            f"the single ones {(alone > 0.5).mean():.3f} / {(alone > 0.9).mean():.3f}); excess "
            f"above .35 mag {(found['excess'][used] > 0.35).mean():.3f}"
        )


def gaia_field() -> pd.DataFrame:
    table = pd.read_csv(data_folder() / "one_field" / "gaia.csv")
    names = {"pmra_error": "pmra_err", "pmdec_error": "pmdec_err", "parallax_error": "parallax_err"}
    frame = table.rename(columns=names).assign(id=[f"g{row}" for row in range(len(table))])
    return frame[["id", "ra", "dec", *MOTION, "g"]]


def injected(frame: pd.DataFrame, number: int, reach: float, rng) -> pd.DataFrame:
    """Return companions of stars of the field, with the motion of the orbit, of any magnitude.

    What is measured of two stars differs by both errors: they are those of another star each.
    """
    good = frame[frame["parallax"] > 3 * frame["parallax_err"]]
    own = good.sample(number, random_state=rng).reset_index(drop=True)
    errors = frame.dropna().sample(number, random_state=rng).reset_index(drop=True)
    separation = np.exp(rng.uniform(0, np.log(reach), number))
    angle, turn = rng.uniform(0, 2 * np.pi, (2, number))
    out = own.assign(id="i" + own["id"], g=errors["g"])
    out["ra"] += separation * np.cos(angle) / 3600 / np.cos(np.deg2rad(own["dec"]))
    out["dec"] += separation * np.sin(angle) / 3600
    wide = 1000 * separation / own["parallax"]  # AU
    orbit = 29.8 * np.sqrt(1.5 / wide) / 4.74 * own["parallax"] * rng.uniform(0, 1, number)
    for name, part in (("pmra", np.cos(turn)), ("pmdec", np.sin(turn)), ("parallax", 0.0)):
        out[f"{name}_err"] = errors[f"{name}_err"]
        scatter = np.hypot(own[f"{name}_err"], errors[f"{name}_err"])
        out[name] = own[name] + part * orbit + scatter * rng.standard_normal(number)
    return out


def field(number: int = 40, rounds: int = 20, seed: int = 2032) -> None:
    frame = gaia_field()
    rng = np.random.default_rng(seed)
    pairs = find_pairs(frame)
    high = pairs["probability"] > 0.9
    print(
        f"one_field: {len(frame)} sources, {len(pairs)} pairs agree within 60 arcsec, "
        f"{(pairs['probability'] > 0.5).sum()} above .5, {high.sum()} above .9, sum "
        f"{pairs['probability'].sum():.1f}"
    )
    usable, found = 0, []
    for _ in range(rounds):
        new = injected(frame, number, 30.0, rng)
        usable += int((new["parallax"] > 3 * new["parallax_err"]).sum())
        table = find_pairs(pd.concat([frame, new], ignore_index=True))
        table["id"] = np.where(table["id_1"].str.startswith("i"), table["id_1"], table["id_2"])
        partner = np.where(table["id_1"].str.startswith("i"), table["id_2"], table["id_1"])
        found.append(table[table["id"] == np.char.add("i", partner.astype(str))])
    found = pd.concat(found)
    above = [(found["probability"] > one).sum() for one in (0.5, 0.9)]
    print(
        f"one_field, {rounds} × {number} companions within 30 arcsec: {usable} with a parallax "
        f"above 3 sigma, of them listed {len(found)}, above .5 {above[0]}, above .9 {above[1]}; "
        f"median probability {found['probability'].median():.2f}"
    )
    scrambled(frame, rounds, rng)


def scrambled(frame: pd.DataFrame, rounds: int, rng) -> None:
    """Print the pairs of the field after motions and parallaxes were exchanged."""
    counts = []
    columns = [*MOTION, "g"]
    for _ in range(rounds):
        moved = frame.copy()
        moved[columns] = frame[columns].to_numpy()[rng.permutation(len(frame))]
        probability = find_pairs(moved)["probability"]
        counts.append([len(probability), *((probability > one).sum() for one in (0.5, 0.9))])
        counts[-1].append(probability.sum())
    mean = np.mean(counts, axis=0)
    print(
        f"one_field, motions and parallaxes exchanged, {rounds} times: per field {mean[0]:.0f} "
        f"pairs agree, {mean[1]:.2f} above .5, {mean[2]:.2f} above .9, sum {mean[3]:.1f}"
    )


def simulated() -> None:
    simulated_excess()
    simulated_astrometry()
    simulated_pairs()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"simulated": simulated, "green2020": green2020, "field": field}
    parser.add_argument("part", nargs="?", choices=tuple(parts))
    chosen = parser.parse_args().part
    for name, part in parts.items():
        if chosen in (None, name):
            part()
