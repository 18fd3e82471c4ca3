"""Cross-correlation: completeness, false positives, purity, velocity errors and cost.

    python benchmarks/binaries_ccf.py [--spectra 2048] [--seed 2024] [--figures DIR] [--only PART]

``simulated``: GALAH spectra of the emulator, half of them binaries, once with the emulator as
template (other labels) and once with templates whose lines have wrong strengths (a factor
exp N(0, .3) that changes over 3 pixels: the CCF is then about as low as that of real stars).
The derivatives of the CCF (Merle et al. 2017) are run beside. Shares of real detections are for a
survey with 10 % of such binaries.
``crosstalk``: light of another star in one arm alone.
``real``: Gaia benchmark stars of NARVAL in the GALAH bands at R = 28,000, alone (rotation added)
and two by two, with Gaussian noise. Their lines are nature's, not the emulator's.
"""

import argparse
import importlib.util
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d

from siderea.binaries.ccf import Correlator
from siderea.binaries.detect import CCFDetector, DetectionFlag
from siderea.binaries.templates import emulator_templates
from siderea.data import Spectra
from siderea.figures.cross_correlation import ccf_with_stars, completeness_map
from siderea.simulate.spectra import TableOfStars, simulate_spectra
from siderea.spectra.broadening import rotational
from siderea.spectra.instruments import GALAH_GRID as GRID

HERE = Path(__file__).resolve().parent
DV = (5, 10, 15, 20, 25, 40, 80, 120)
RATIO = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
BINARIES = 0.1
"""Share of binaries for which the purity of the classes is stated."""


def module(path: Path):
    specification = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    return loaded


def stars(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return half binaries; of the single dwarfs a third rotate at 10 to 60, some to 250 km/s."""
    given, rows = module(HERE.parent / "tests" / "given_stars.py"), []
    for _ in range(n):
        giant, kind = rng.random() < 0.2, rng.random()
        teff = rng.uniform(4400, 5200) if giant else rng.uniform(4600, 6700)
        row = {"teff": teff, "logg": rng.uniform(1.8, 3.2) if giant else rng.uniform(4.1, 4.7)}
        row |= {"fe_h": rng.uniform(-1, 0.3), "alpha_fe": rng.uniform(0, 0.3)}
        row |= {"radius": 10.0 if giant else (teff / 5772) ** 1.5, "vsini": rng.uniform(1, 10)}
        row |= {"snr": float(np.exp(rng.uniform(np.log(20), np.log(200))))}
        if not giant and kind < 0.6:
            dv, second = rng.uniform(5, 120), max(teff - rng.uniform(0, 1700), 4100.0)
            row |= given.TWIN | {"teff_2": second, "logg_2": row["logg"] + 0.1}
            row |= {"radius_2": row["radius"] * (second / teff) ** 1.5}
            row |= {"vsini_2": rng.uniform(1, 10), "dv": dv, "rv_1": -dv / 2, "rv_2": dv / 2}
        elif not giant and kind < 0.74:
            row["vsini"] = rng.uniform(10, 60)
        elif not giant and kind < 0.78:
            row["vsini"] = rng.uniform(60, 250)
        rows.append(row)
    return given.table(*rows)


def perturbed(templates: np.ndarray, rng: np.random.Generator, rms: float = 0.3) -> np.ndarray:
    """Return templates whose lines have wrong strengths, the same for all."""
    factor = gaussian_filter1d(rng.normal(size=templates.shape[1]), 3.0)
    return (1 - (1 - templates) * np.exp(rms * factor / factor.std())).astype(np.float32)


def simulated(n: int, seed: int, figures: Path | None) -> None:
    table = stars(n, np.random.default_rng(seed))
    spectra, truth = simulate_spectra(n, rng=seed, population=TableOfStars(table))
    parts = np.array_split(np.arange(n), 8)
    maps, titles = [], []
    for name in ("templates of the emulator", "templates with wrong lines"):
        start, found = time.process_time(), []
        for number, rows in enumerate(parts):  # eight sets of wrong lines: errors are of all
            own = emulator_templates(spectra)
            wrong = perturbed(own, np.random.default_rng([seed, number]))
            templates = wrong if "wrong" in name else own
            found.append(CCFDetector(spectra, templates=templates)(spectra[rows]))
        cost = 1e3 * (time.process_time() - start) / n
        found = pd.concat(found, ignore_index=True)
        print(f"\n== {name}; {cost:.2f} ms of processor time per spectrum, half of them binaries")
        maps += [
            completeness(found["n_components"], truth),
            completeness(found["n_extrema"], truth),
        ]
        titles += [f"CCF, {name}", f"derivatives alone, {name}"]
        false_positives(found, truth)
        required(found, truth)
        purity(found, truth)
        pulls(found, truth)
    if figures is not None:
        chosen = (0, 2, 1)
        titles = [titles[k] for k in chosen]
        pairs = [maps[k] for k in chosen]
        figure = completeness_map(DV, RATIO, *zip(*pairs, strict=True), titles=titles)
        figure.savefig(figures / "ccf_completeness.png")
    singles = np.flatnonzero((truth["n_stars"] == 1) & (truth["vsini"] < 60))
    binaries = np.flatnonzero(truth["n_stars"] == 2)[: len(singles) // 19]
    survey = spectra[np.r_[singles, binaries]]
    detector = CCFDetector(survey)
    start = time.process_time()
    detector(survey)
    cost = 1e3 * (time.process_time() - start) / len(survey)
    print(f"\na survey of 5 % such binaries: {cost:.2f} ms of processor time per spectrum")


def ratios(truth: pd.DataFrame) -> pd.Series:
    return truth["share_2"] / (1 - truth["share_2"])


def completeness(n_found: pd.Series, truth: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return binaries found and all (R, S) at S/N of at least 40."""
    rows = ((truth["n_stars"] == 2) & (truth["snr"] >= 40)).to_numpy()
    y, x = ratios(truth)[rows], truth["dv"].abs()[rows]
    many = (n_found > 1).to_numpy()[rows]
    found = np.histogram2d(y[many], x[many], bins=(RATIO, DV))[0]
    return found, np.histogram2d(y, x, bins=(RATIO, DV))[0]


def false_positives(found: pd.DataFrame, truth: pd.DataFrame) -> None:
    single = truth["n_stars"] == 1
    for low, high in ((0, 300), (0, 10), (10, 30), (30, 60), (60, 300)):
        rows = single & (truth["vsini"] >= low) & (truth["vsini"] < high)
        ours, peer = (int((found[name] > 1)[rows].sum()) for name in ("n_components", "n_extrema"))
        print(
            f"single, v sin i {low}-{high} km/s: {ours} of {int(rows.sum())}; by derivatives "
            f"alone {peer}"
        )


def required(found: pd.DataFrame, truth: pd.DataFrame) -> None:
    ratio, dv, snr = ratios(truth), truth["dv"].abs(), truth["snr"]
    binary = truth["n_stars"] == 2
    for name, rows in (
        ("dv >= 25, ratio >= .3, S/N >= 40", (dv >= 25) & (ratio >= 0.3) & (snr >= 40)),
        ("dv >= 25, ratio >= .3, S/N 20-40", (dv >= 25) & (ratio >= 0.3) & (snr < 40)),
        ("dv >= 25, ratio .1-.3", (dv >= 25) & (ratio >= 0.1) & (ratio < 0.3)),
        ("dv >= 25, ratio .05-.1", (dv >= 25) & (ratio >= 0.05) & (ratio < 0.1)),
        ("dv 15-25, ratio >= .3", (dv >= 15) & (dv < 25) & (ratio >= 0.3)),
        ("dv 15-25, ratio .1-.3", (dv >= 15) & (dv < 25) & (ratio >= 0.1) & (ratio < 0.3)),
        ("dv 10-15, ratio >= .1", (dv >= 10) & (dv < 15) & (ratio >= 0.1)),
        ("dv 5-10", dv < 10),
    ):
        rows &= binary
        ours, peer = (int((found[name] > 1)[rows].sum()) for name in ("n_components", "n_extrema"))
        print(f"binaries, {name}: {ours} of {int(rows.sum())}; by derivatives alone {peer}")


def purity(found: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Print which share of each class is real where a tenth of the stars are binaries."""
    binary = (truth["n_stars"] == 2).to_numpy()
    weight = np.where(binary, BINARIES / binary.mean(), (1 - BINARIES) / (1 - binary.mean()))
    for grade in "ABC":
        rows = (found["confidence"] == grade).to_numpy()
        real = weight[rows & binary].sum() / max(weight[rows].sum(), 1e-9)
        print(
            f"class {grade}: {int((rows & binary).sum())} binaries, {int((rows & ~binary).sum())} "
            f"single; {real:.1%} of them real with {BINARIES:.0%} of binaries"
        )


def pulls(found: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Print rms of (velocity − truth)/error, deviations cut at 5, and the median error."""
    one, two = (truth[f"rv_{k}"] - truth["rv_measured"] for k in (1, 2))
    single = (truth["n_stars"] == 1) & (found["n_components"] == 1)
    for low, high in ((0, 12), (12, 60), (60, 300)):
        rows = single & (truth["vsini"] >= low) & (truth["vsini"] < high)
        show(f"single, v sin i {low}-{high}", (found["rv_1"] - one)[rows], found["rv_1_err"][rows])
    both = (truth["n_stars"] == 2) & (found["n_components"] == 2)
    swapped = (found["rv_1"] - two).abs() + (found["rv_2"] - one).abs()
    swapped = swapped < (found["rv_1"] - one).abs() + (found["rv_2"] - two).abs()
    blended = (found["flags"] & int(DetectionFlag.BLENDED)) > 0
    for name, rows in (("apart", both & ~blended), ("blended", both & blended)):
        first = found["rv_1"] - one.where(~swapped, two)
        second = found["rv_2"] - two.where(~swapped, one)
        show(f"binaries {name}, primary", first[rows], found["rv_1_err"][rows])
        show(f"binaries {name}, secondary", second[rows], found["rv_2_err"][rows])


def show(name: str, difference: pd.Series, error: pd.Series) -> None:
    pull = np.clip(difference / error, -5, 5)
    print(
        f"velocities, {name}: {len(pull)}, rms pull {np.sqrt((pull**2).mean()):.2f}, median error "
        f"{error.median():.2f} km/s"
    )


def crosstalk(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = stars(600, rng)
    table = table[(table["n_stars"] == 1) & (table["vsini"] < 12)].reset_index(drop=True)
    spectra, _ = simulate_spectra(len(table), rng=seed, population=TableOfStars(table))
    flux = spectra.flux.copy()
    for row in range(len(flux)):
        other, share = int(rng.integers(len(flux))), rng.uniform(0.15, 0.5)
        arm = GRID.arms[int(rng.integers(len(GRID.arms)))]
        light = moved(spectra.flux[other], rng.choice([-1, 1]) * rng.uniform(25, 120))
        flux[row, arm] = (1 - share) * flux[row, arm] + share * light[arm]
    found = CCFDetector(spectra)(spectra.with_flux(flux, spectra.ivar))
    many = found["n_components"] > 1
    flagged = (found["flags"] & int(DetectionFlag.ONE_ARM)) > 0
    print(
        f"\nlight of another star in one arm alone: {len(found)} spectra, {int(many.sum())} called "
        f"multiple, {int((many & flagged).sum())} of them flagged; classes "
        f"{found['confidence'][many].value_counts().to_dict()}"
    )


def noisy(flux: np.ndarray, covered: np.ndarray, snr: float, rng: np.random.Generator) -> Spectra:
    ivar = np.where(covered, snr**2, 0.0)
    return Spectra(
        GRID.wavelength,
        flux + rng.normal(0, 1 / snr, flux.shape),
        ivar,
        "air",
        arms=GRID.arms,
        arm_names=GRID.arm_names,
        resolution=GRID.resolution,
    )


def moved(flux: np.ndarray, rv: float) -> np.ndarray:
    shift = 1 + rv / 299_792.458
    return np.concatenate(
        [np.interp(GRID.wavelength[a] / shift, GRID.wavelength[a], flux[a]) for a in GRID.arms]
    )


def alike(names: list[str], references: dict) -> tuple[list, list]:
    """Return ordered pairs of like chemistry and gravity, as binaries have, and the others."""
    known = [(i, references[star]) for i, star in enumerate(names) if star in references]
    like = [
        (i, j)
        for i, one in known
        for j, other in known
        if i != j and abs(one[2] - other[2]) < 0.4 and abs(one[1] - other[1]) < 0.9
    ]
    pairs = [(i, j) for i in range(len(names)) for j in range(len(names)) if i != j]
    return like, [pair for pair in pairs if pair not in like]


def real(data: Path, seed: int) -> None:
    narval, rng = module(HERE / "narval.py"), np.random.default_rng(seed)
    cool = ("alfCet", "gamSge", "alfTau", "61CygB")  # M and late K: cooler than any template
    read = {star: narval.read_star(data, star) for star in narval.HD if star not in cool}
    names = list(read)
    covered = np.stack([read[star][1] for star in names])
    at_rest = noisy(np.stack([read[star][0] for star in names]), covered, 200.0, rng)
    detector = CCFDetector(at_rest)
    rv = detector(at_rest)["rv_1"].to_numpy()
    flux = [moved(read[star][0], -v) for star, v in zip(names, rv, strict=True)]
    like, unlike = alike(names, narval.references(data))
    print(f"\n{len(names)} real stars, {len(like)} ordered pairs of like stars")
    for snr in (40.0, 100.0):
        for vsini in (0.0, 10.0, 15.0, 30.0, 45.0, 60.0, 90.0, 150.0):
            rows = np.array(flux)
            if vsini:
                rows = np.concatenate([rotational(rows[:, a], 2.85, vsini) for a in GRID.arms], 1)
            found = detector(noisy(np.tile(rows, (4, 1)), np.tile(covered, (4, 1)), snr, rng))
            called = int((found["n_components"] > 1).sum())
            peer = int((found["n_extrema"] > 1).sum())
            print(
                f"real singles, S/N {snr:.0f}, v sin i {vsini:.0f}: {called} of {len(found)}; by "
                f"derivatives alone {peer}; median v sin i found {found['vsini'].median():.0f}"
            )
        for kind, pairs in (("like", like), ("unlike", unlike)):
            for ratio in (0.1, 0.15, 0.3, 0.6, 1.0):
                line = []
                for dv in (15.0, 20.0, 25.0, 40.0, 80.0):
                    chosen = [pairs[k] for k in rng.integers(len(pairs), size=48)]
                    line.append(of_pairs(detector, flux, covered, chosen, ratio, dv, snr, rng))
                print(f"real {kind} pairs, S/N {snr:.0f}, light ratio {ratio}: " + ", ".join(line))


def of_pairs(
    detector: CCFDetector,
    flux: list,
    covered: np.ndarray,
    pairs: list,
    ratio: float,
    dv: float,
    snr: float,
    rng: np.random.Generator,
) -> str:
    both = [
        (moved(flux[i], -dv / 2) + ratio * moved(flux[j], dv / 2)) / (1 + ratio) for i, j in pairs
    ]
    seen = np.stack([covered[i] & covered[j] for i, j in pairs])
    found = detector(noisy(np.array(both), seen, snr, rng))
    two = found[found["n_components"] == 2]
    first = np.where(two["rv_1"] < two["rv_2"], -dv / 2, dv / 2)
    pull = np.r_[(two["rv_1"] - first) / two["rv_1_err"], (two["rv_2"] + first) / two["rv_2_err"]]
    rms = np.sqrt(np.mean(np.clip(pull, -5, 5) ** 2)) if len(two) else np.nan
    return f"{dv:.0f}: {len(two) / len(found):.0%} (pull {rms:.1f})"


def draw(figures: Path, seed: int) -> None:
    """Draw the CCFs of two, three and one fast rotating star, with their profiles."""
    given = module(HERE.parent / "tests" / "given_stars.py")
    rows = [
        given.TWIN | {"rv_1": -21.0, "rv_2": 24.0, "teff_2": 5300.0, "radius_2": 0.85, "dv": 45.0},
        given.TWIN
        | {"n_stars": 3, "rv_1": -55.0, "rv_2": 5.0, "rv_3": 62.0, "dv": 60.0}
        | {f"{name}_3": given.TWIN[f"{name}_2"] for name in ("teff", "logg", "radius", "vmic")}
        | {"vsini_3": 2.0, "vmac_3": 3.5},
        {"teff": 6500.0, "vsini": 110.0, "logg": 4.2},
    ]
    frame = given.table(*rows).assign(snr=60.0)
    spectra, _ = simulate_spectra(len(rows), rng=seed, population=TableOfStars(frame))
    templates, reach = emulator_templates(spectra), {"max_velocity": 300.0}
    found = CCFDetector(spectra, templates=templates, **reach)(spectra)
    stars_, places, ccf, error = [], [], [], []
    for number, row in found.iterrows():
        # The CCF with the template that the stars were found with.
        own = Correlator(spectra, templates=templates[[row["template"]]], **reach)
        correlation = own(spectra[[number]])
        ccf.append(correlation.ccf[0])
        error.append(correlation.error[0])
        count = range(1, int(row["n_components"]) + 1)
        values = np.array(
            [[row[f"{name}_{k}"] for k in count] for name in ("rv", "vsini", "height")]
        )
        stars_.append(profiles(correlation, *values))
        places.append([(row[f"rv_{k}"], row[f"rv_{k}_err"]) for k in count])
    titles = ["two stars", "three stars", f"one star, v sin i {found['vsini'].iloc[2]:.0f} km/s"]
    figure = ccf_with_stars(
        correlation.velocities, np.array(ccf), stars_, places, titles=titles, error=error
    )
    figure.savefig(figures / "ccf_components.png")


def profiles(correlation, velocity, turn, height) -> np.ndarray:
    """Return the broadened autocorrelation of each star (K, V)."""
    lags = correlation.velocities
    wide = np.arange(-2 * correlation.n_lags, 2 * correlation.n_lags + 1) * correlation.step
    out = []
    for v, u, h in zip(velocity, turn, height, strict=True):
        acf = rotational(correlation.acf[0], correlation.step, u) if u > 1 else correlation.acf[0]
        out.append(h * np.interp(lags - v, wide, np.ravel(acf)))
    return np.array(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--only", choices=("simulated", "crosstalk", "real", "draw"))
    options = parser.parse_args()
    if options.only in (None, "simulated"):
        simulated(options.spectra, options.seed, options.figures)
    if options.only in (None, "crosstalk"):
        crosstalk(options.seed)
    if options.only in (None, "draw") and options.figures is not None:
        draw(options.figures, options.seed)
    if options.only in (None, "real"):
        default = HERE.parents[1] / "shared" / "data"
        real(Path(os.environ.get("SIDEREA_DATA", default)), options.seed)
