"""Labels of real stars: 5-fold cross-validation on the FGK stars of the MILES library.

    python benchmarks/miles.py [--data DIR] [--decoder]

Stars: all three labels known and 4000 ≤ Teff ≤ 7000 K (the FGK stars; 517 in our copy). Folds are
fixed by a seed. σ is 1.4826 × the median absolute deviation from the median of (found − catalogue),
so that it holds the catalogue's own errors too; the plain standard deviation stands beside it.

The candidates are judged inside the training stars of each fold, by a cross-validation of them
alone: the lowest mean ln σ over the three labels is the best. The test fold is never seen. Two
answers are given: that of the best candidate, and the mean of the three best. MILES gives no flux
errors: every pixel gets S/N 100, and the intrinsic scatter takes up the difference. Temperatures
enter the models as log₁₀ Teff except in the plain quadratic Cannon.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from siderea.models.cannon import Cannon
from siderea.models.decoder import Decoder, Training
from siderea.models.two_scales import two_scales

Array = np.ndarray
SEED, FOLDS, INNER_FOLDS = 20261121, 5, 3
SNR = 100.0
NAMES = ("teff", "logg", "fe_h")
REFERENCE = (111.0, 0.26, 0.15)
"""The quadratic Cannon that is to be beaten."""


@dataclass(frozen=True)
class Stars:
    """Spectra in each representation, with labels in physical units."""

    views: dict[str, tuple[Array, Array]]
    labels: Array

    def part(self, view: str, rows: Array) -> tuple[Array, Array]:
        flux, ivar = self.views[view]
        return flux[rows], ivar[rows]


def load(folder: Path) -> Stars:
    """Read the FGK stars of miles.npz (plain arrays, no pickle)."""
    with np.load(folder / "miles" / "miles.npz") as held:
        wavelength, flux, labels = held["wave"], held["flux"].astype(float), held["labels"]
    keep = np.isfinite(labels).all(axis=1) & (labels[:, 0] >= 4000) & (labels[:, 0] <= 7000)
    flux, labels = flux[keep], labels[keep]
    ivar = np.full(flux.shape, SNR**2)
    smooth = gaussian_filter1d(flux, 50 / np.diff(wavelength).mean(), axis=1, mode="nearest")
    views = {
        "as given": (flux, ivar),
        "lines": (flux / smooth, ivar),
        "two scales": two_scales(flux, ivar, wavelength),
    }
    return Stars(views, labels)


def inward(labels: Array) -> Array:
    return np.c_[np.log10(labels[:, 0]), labels[:, 1:]]


def outward(labels: Array) -> Array:
    return np.c_[10 ** labels[:, 0], labels[:, 1:]]


@dataclass(frozen=True)
class Candidate:
    """A Cannon on one representation of the spectra."""

    view: str
    order: int
    n_modes: int = 0
    clip: float | None = None
    plain: bool = False

    def __str__(self) -> str:
        extras = f", {self.n_modes} modes" * bool(self.n_modes)
        extras += f", clip {self.clip}" * (self.clip is not None)
        return f"Cannon of order {self.order} on {self.view}{extras}"

    def predict(self, stars: Stars, train: Array, test: Array) -> Array:
        """Return the labels of the test stars, learnt from the training stars."""
        given = stars.labels[train] if self.plain else inward(stars.labels[train])
        model = Cannon(
            self.order,
            label_names=NAMES,
            n_modes=self.n_modes,
            modes_at="fitted",
            clip=self.clip,
        )
        found = model.fit(*stars.part(self.view, train), given).infer(*stars.part(self.view, test))
        return found.labels if self.plain else outward(found.labels)


QUADRATIC = Candidate("lines", 2, plain=True)
CANDIDATES = tuple(
    Candidate(view, 3, n_modes, clip=3.0)
    for view in ("as given", "lines", "two scales")
    for n_modes in (10, 30)
)
COMMITTEE = 3
"""Candidates whose answers are averaged."""

DECODER_ERRORS = (0.007, 0.2, 0.12)
"""Assumed errors of log₁₀ Teff (about 80 K), logg and [Fe/H] of the catalogue."""


def by_decoder(stars: Stars, train: Array, test: Array) -> Array:
    """Return the labels by the neural decoder, its settings fixed beforehand."""
    model = Decoder((32, 32), label_names=NAMES, training=Training(max_epochs=80, patience=15))
    flux, ivar = stars.part("two scales", train)
    model.fit(flux, ivar, inward(stars.labels[train]), label_errors=DECODER_ERRORS)
    return outward(model.infer(*stars.part("two scales", test)).labels)


def folds_of(n: int, n_folds: int, seed: int) -> Array:
    return np.random.default_rng(seed).permutation(n) % n_folds


def robust_sigma(error: Array) -> Array:
    return 1.4826 * np.median(np.abs(error - np.median(error, axis=0)), axis=0)


def cross_validated(
    predict: Callable[[Stars, Array, Array], Array], stars: Stars, rows: Array, folds: Array
) -> Array:
    """Return the labels of ``rows``, each from the other folds."""
    parts = [
        (folds == fold, predict(stars, rows[folds != fold], rows[folds == fold]))
        for fold in np.unique(folds)
    ]
    found = np.empty((len(rows), parts[0][1].shape[1]))
    for test, part in parts:
        found[test] = part
    return found


def ranked(stars: Stars, rows: Array) -> list[Candidate]:
    """Return the candidates, best first, by a cross-validation inside ``rows``."""
    folds = folds_of(len(rows), INNER_FOLDS, SEED + 1)

    def cost(candidate: Candidate) -> float:
        found = cross_validated(candidate.predict, stars, rows, folds)
        return float(np.log(robust_sigma(found - stars.labels[rows])).mean())

    return sorted(CANDIDATES, key=cost)


def nested(stars: Stars, train: Array, test: Array) -> Array:
    """Return the answers of the best candidate and of the committee, (N, 2 L)."""
    best = ranked(stars, train)[:COMMITTEE]
    print("    best inside a fold: " + "; ".join(map(str, best)), flush=True)
    found = [candidate.predict(stars, train, test) for candidate in best]
    return np.hstack([found[0], np.mean(found, axis=0)])


def report(name: str, found: Array, labels: Array, seconds: float) -> None:
    error = found - labels
    sigma, plain, bias = robust_sigma(error), error.std(axis=0), np.median(error, axis=0)
    print(
        f"{name:28s} sigma {sigma[0]:5.0f} K {sigma[1]:.3f} {sigma[2]:.3f} dex   "
        f"sd {plain[0]:5.0f} K {plain[1]:.3f} {plain[2]:.3f}   "
        f"bias {bias[0]:+4.0f} K {bias[1]:+.3f} {bias[2]:+.3f}   {seconds:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SIDEREA_DATA"))
    parser.add_argument("--decoder", action="store_true", help="also the neural decoder (minutes)")
    given = parser.parse_args()
    stars = load(given.data or Path(__file__).parents[2] / "shared" / "data")
    rows = np.arange(len(stars.labels))
    folds = folds_of(len(rows), FOLDS, SEED)
    print(f"{len(rows)} FGK stars of MILES, {FOLDS} folds; to beat: {REFERENCE}")
    runs = {("quadratic Cannon",): QUADRATIC.predict}
    if given.decoder:
        runs["neural decoder",] = by_decoder
    runs["best inside each fold", "mean of the best three"] = nested
    for names, predict in runs.items():
        start = time.perf_counter()
        found = cross_validated(predict, stars, rows, folds)
        seconds = time.perf_counter() - start
        for name, answer in zip(names, np.hsplit(found, len(names)), strict=True):
            report(name, answer, stars.labels, seconds)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
