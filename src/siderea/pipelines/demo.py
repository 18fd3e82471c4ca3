"""The demo: a mock survey in the survey's own file format, then the job of any real survey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from siderea.errors import StoreError
from siderea.io.galah_format import CCD_GRIDS, write_ccd
from siderea.pipelines.embed import embed
from siderea.pipelines.ingest import ingest
from siderea.pipelines.report import write_report
from siderea.simulate.instruments import Instrument, galah
from siderea.simulate.population import Survey, SurveySettings
from siderea.simulate.spectra import Simulated, SpectralSurvey, SpectraSettings
from siderea.spectra.instruments import GALAH_GRID, InstrumentGrid

__all__ = ["DemoResult", "demo", "detectors", "mock_survey", "write_mock_galah"]

_PIXELS = 4096
_COUNTS = 1000.0

PECULIAR = (("HAE", 0.03), ("CEH", 0.03), ("WRD", 0.04), ("LIR", 0.1))
"""Shares that put some of each peculiar class among a few hundred stars; LIR of the giants."""

LABELS = (
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
    """Simulate, ingest, map, report.

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
    report = write_report(store, output=output / "report.html")
    return DemoResult(store, report)


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
