"""The demo: a mock survey in the survey's own file format, then the job of any real survey.

Beside the spectra: eclipsing light curves fitted and grouped; labels from colours, distances and
a map of the Milky Way.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from siderea.binaries.map_candidates import LEAST
from siderea.errors import StoreError
from siderea.io.galah_format import CCD_GRIDS, write_ccd
from siderea.io.store import SurveyStore
from siderea.pipelines import lightcurves, photometry
from siderea.pipelines.classify import classify
from siderea.pipelines.compare import COMBINED, compare
from siderea.pipelines.detect import ModelRecipe, detect, detect_ccf
from siderea.pipelines.detect_map import BINARY_CLASSES, detect_map
from siderea.pipelines.distances import distances
from siderea.pipelines.embed import embed
from siderea.pipelines.galactic_map import MapSettings, galactic_map
from siderea.pipelines.ingest import ingest
from siderea.pipelines.mock_sky import simulate_sky
from siderea.pipelines.predict import predict
from siderea.pipelines.report import Section, write_report
from siderea.pipelines.simulate_tables import (
    simulate_lightcurves,
    simulate_photometry,
    truth_path,
)
from siderea.simulate.instruments import Instrument, galah
from siderea.simulate.population import Survey, SurveySettings
from siderea.simulate.spectra import Simulated, SpectralSurvey, SpectraSettings
from siderea.spectra.instruments import GALAH_GRID, InstrumentGrid

__all__ = ["DemoResult", "demo", "detectors", "mock_survey", "write_mock_galah"]

_PIXELS = 4096
_COUNTS = 1000.0

PECULIAR = (("HAE", 0.03), ("CEH", 0.03), ("WRD", 0.04), ("LIR", 0.1))
"""Shares that put some of each peculiar class among a few hundred stars; LIR of the giants."""

LIGHT_CURVES, COLOURED_STARS, EPOCHS, SKY_STARS = 80, 3000, 15, 30_000
"""Sizes of the shorter parts."""

TURN_OFF = "14.5 < sdss_r < 20 and 0.2 < sdss_g - sdss_r < 0.4 and 0.8 < distance < 9"
"""Stars that the map of the Milky Way is drawn of: one kind, seen far away."""

ENOUGH_TO_COMPARE, ENOUGH_TO_TEACH = 50, 200
"""Fewer stars are not classified at all; in less than 200, a quarter would hold less than the five
labels that a class needs."""

LABELS = (
    "ra",
    "dec",
    "class",
    "teff",
    "logg",
    "fe_h",
    "alpha_fe",
    "vmic",
    "vsini",
    "v_jk",
)
"""What a catalogue would have of the stars."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DemoResult:
    """Where the demo put its store and its report."""

    store: Path
    report: Path


def demo(
    output: str | Path,
    *,
    n_stars: int = 400,
    seed: int = 1,
    progress: Progress | None = None,
) -> DemoResult:
    """Simulate, ingest, map, classify, find binaries; light curves; colours to the Galaxy; report.

    Parameters
    ----------
    output : path-like
        Folder for everything; an earlier demo in it is replaced.
    n_stars : int
        Size of the mock survey.
    seed : int
        Seed of the mock survey.
    progress : callable, optional
        Called with (done, in all) through each step.

    Returns
    -------
    DemoResult
    """
    output = Path(output)
    store = output / "demo.siderea"
    if store.exists() and not (store / "manifest.json").is_file():
        raise StoreError(f"{store}: in the way of the demo, and not a store; remove it")
    files = output / "files"
    truth = write_mock_galah(files, n_stars=n_stars, seed=seed, progress=progress)
    result = ingest(
        "galah",
        [files / "spectra"],
        store,
        catalogue=files / "labels.csv",
        overwrite=True,
        progress=progress,
    )
    known = truth[truth["id"].isin(result.store.catalogue["id"])]
    result.store.write_product("truth", known, method="simulate spectra")
    embed(store, method="pca", colour="teff", progress=progress)
    embed(store, method="tsne", colour="teff", progress=progress)
    embed(store, method="tsne", name="tsne_classes", colour="class", progress=progress)
    labels = _labels_of_a_person(known, files)
    if len(known) >= ENOUGH_TO_COMPARE:
        classify(store, map_name="tsne", labels=labels, progress=progress)
    sections = [
        *_binaries(store, labels, progress),
        *_light_curves(output, seed),
        *_photometry(output, seed),
        *_milky_way(output, seed),
    ]
    report = write_report(store, output=output / "report.html", sections=sections)
    return DemoResult(store, report)


def _labels_of_a_person(truth: pd.DataFrame, files: Path) -> Path | None:
    """Write the classes of some stars, as somebody who looked at a quarter of them would.

    None from a survey too small to teach a class by a quarter of it.
    """
    if len(truth) < ENOUGH_TO_TEACH:
        return None
    path = files / "classes_by_eye.csv"
    truth.loc[truth.index % 4 == 0, ["id", "class"]].to_csv(path, index=False)
    return path


def _binaries(store: Path, labels: Path | None, progress: Progress | None) -> list[Section]:
    """Search for binaries by every channel; show which of the true ones each finds."""
    detect_ccf(store, progress=progress)
    detect(store, ModelRecipe(), progress=progress)
    if labels is not None and _binaries_of(labels) >= LEAST:
        detect_map(store, map_name="tsne", labels=labels)
    result = compare(store)
    plane = next((path for path in result.figures if path.stem == "compare_plane"), None)
    if plane is None:  # no binary in the sample
        return []
    opened = SurveyStore.open(store)
    truth = opened.product("truth").set_index("id")
    called = opened.product(COMBINED).set_index("id")["is_binary"].reindex(truth.index)
    wrong, peculiar = called & (truth["n_stars"] == 1), truth["class"] != "NOR"
    caption = (
        f"The binaries of the sample by their true velocity difference and light, and who finds "
        f"them: {', '.join(result.channels)}. All channels together call {result.n_found} stars "
        f"binary; {int(wrong.sum())} of these are single, {int((wrong & peculiar).sum())} of them "
        "peculiar or spoiled: spectra that no model of normal stars fits."
    )
    return [Section("Binaries", plane, caption)]


def _binaries_of(labels: Path) -> int:
    """Return how many spectra somebody called binary."""
    return int(pd.read_csv(labels)["class"].isin(BINARY_CLASSES).sum())


def _light_curves(output: Path, seed: int) -> list[Section]:
    """Simulate eclipsing binaries, fit and group them."""
    table = output / "lightcurves.parquet"
    _remove(table, truth_path(table))
    simulate_lightcurves(table, n_stars=LIGHT_CURVES, seed=seed)
    result = lightcurves.run(table, output / "lightcurves", overwrite=True)
    kinds = SurveyStore.open(result.store).product("classes")["class"].value_counts()
    named = ", ".join(f"{count} {kind.lower()}" for kind, count in kinds.items())
    caption = (
        f"{result.n_curves} simulated light curves, two-Gaussian fits: a map of the fitted curves, "
        f"{result.n_groups} groups found on it, and the mean curve of each with its scatter. "
        f"Each curve by itself: {named}."
    )
    return [Section("Eclipsing binaries", result.figures[-1], caption)]


def _photometry(output: Path, seed: int) -> list[Section]:
    """Train on the colours of simulated stars; show the labels of those held out."""
    table = output / "photometry.parquet"
    _remove(table, truth_path(table))
    simulate_photometry(table, n_stars=COLOURED_STARS, seed=seed)
    result = photometry.train(
        table, output / "photometry_model", labels=truth_path(table), max_epochs=EPOCHS, seed=seed
    )
    scatter = ", ".join(
        f"{symbol} {result.scores[f'mad_sigma_{name}']:.3g}{unit}"
        for name, symbol, unit in (
            ("teff", "Teff", " K"),
            ("logg", "log g", ""),
            ("fe_h", "[Fe/H]", ""),
        )
    )
    caption = (
        f"A short training on {result.n_stars:,} simulated stars in SDSS ugriz with errors, "
        f"extinction and companions. Scatter of stars while they were held out: {scatter}."
    )
    return [Section("Labels from photometry", result.figures[0], caption)]


def _milky_way(output: Path, seed: int) -> list[Section]:
    """Label a mock sky by its colours, find distances, map its metallicity."""
    folder = output / "milky_way"
    shutil.rmtree(folder, ignore_errors=True)  # an earlier demo's
    sky, labels, places = folder / "sky", folder / "labels", folder / "places"
    simulate_sky(sky, n_stars=SKY_STARS, seed=seed, jobs=1)
    predict(output / "photometry_model", sky, labels, jobs=1)
    distances(labels, places, stars="simulated", jobs=1)
    settings = MapSettings(select=TURN_OFF, minimum=3)
    result = galactic_map(places, folder / "map", settings=settings, jobs=1)
    profile = next(path for path in result.figures if path.stem == "profile")
    caption = (
        f"{SKY_STARS:,} simulated stars to r = 20 over the whole sky, labelled by that network, "
        f"with distances from their colours: mean [Fe/H] of {result.n_selected:,} turn-off stars "
        "above and below the plane, and its gradients. A survey of millions goes through the same "
        "calls, partition by partition."
    )
    return [Section("The Milky Way", profile, caption)]


def _remove(*paths: Path) -> None:
    for path in paths:  # an earlier demo's
        path.unlink(missing_ok=True)


def mock_survey(
    n_stars: int, seed: int, *, instrument: Instrument, settings: SpectraSettings
) -> SpectralSurvey:
    """Return the survey of the demo: stars of the Milky Way, with more peculiar ones than it has.

    Parameters
    ----------
    n_stars, seed : int
    instrument : Instrument
        What it is observed with.
    settings : SpectraSettings
    """
    population = Survey(n_stars, seed=seed, settings=SurveySettings(peculiar=PECULIAR))
    return SpectralSurvey(population, n_stars, instrument, settings, seed)


@lru_cache(maxsize=1)
def detectors() -> Instrument:
    """Return GALAH on the pixels of its four CCDs, as in the survey's files."""
    pixels = {
        name: np.asarray(start + step * np.arange(_PIXELS), dtype=np.float64)
        for name, (start, step) in zip(GALAH_GRID.arm_names, CCD_GRIDS, strict=True)
    }
    resolution = GALAH_GRID.resolution
    return galah(InstrumentGrid.from_arms(pixels, medium="air", resolution=resolution))


def write_mock_galah(
    folder: Path, *, n_stars: int, seed: int, progress: Progress | None = None
) -> pd.DataFrame:
    """Write simulated stars as GALAH DR3 files, and ``labels.csv`` with labels as a catalogue has.

    Parameters
    ----------
    folder : Path
        Made if need be.
    n_stars, seed : int
        Size and seed of the survey.
    progress : callable, optional
        Called with (done, in all).

    Returns
    -------
    pandas.DataFrame
        The truth, one row per star; the files are in ``folder / "spectra"``.
    """
    spectra = folder / "spectra"
    spectra.mkdir(parents=True, exist_ok=True)
    for earlier in spectra.glob("990101*.fits"):  # of a larger mock survey
        earlier.unlink()
    # the reader finds rays and bands itself, and the continuum is fitted
    settings = SpectraSettings(
        frame="barycentric", continuum_error=0.0, cosmic_rays=0.0, telluric=False
    )
    survey = mock_survey(n_stars, seed, instrument=detectors(), settings=settings)
    truths = []
    for number in range(survey.n_blocks):
        block = survey.block(number)
        _write_stars(spectra, block)
        truths.append(block.truth)
        if progress is not None:
            progress(sum(map(len, truths)), n_stars)
    truth = pd.concat(truths, ignore_index=True)
    truth[[*LABELS, "sobject_id"]].to_csv(folder / "labels.csv", index=False)
    return truth


def _write_stars(folder: Path, block: Simulated) -> None:
    """Write the CCDs of some stars: counts under a smooth response."""
    x = np.linspace(-1.0, 1.0, _PIXELS)
    spectra, rv = block.spectra, block.truth["rv_measured"].to_numpy(dtype=float)
    good = spectra.ivar > 0
    flux = np.where(good, spectra.flux, np.nan)
    # the survey's files give σ/flux, floored where the flux is next to nothing
    noise = 1 / np.sqrt(np.where(good, spectra.ivar, 1.0))
    relative = np.where(good, noise / np.maximum(np.abs(flux), 0.1), np.nan)
    earth = spectra.table["barycentric_velocity"].to_numpy(dtype=float)
    for ccd, arm in enumerate(spectra.arms, 1):
        response = _COUNTS * (1.0 + 0.2 * x - 0.15 * x**2 + 0.05 * x**3) * (0.7 + 0.1 * ccd)
        for row in np.flatnonzero(good[:, arm].any(axis=1)):  # a dead CCD has no file
            write_ccd(
                folder,
                spectra.ids[row],
                ccd,
                counts=flux[row, arm] * response,
                relative_error=relative[row, arm],
                normalised=flux[row, arm],
                rv=float(rv[row]),
                barycentric_velocity=float(earth[row]),
            )
