"""The demo: a mock survey in the survey's own file format, then the job of any real survey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siderea.errors import StoreError
from siderea.io.galah_format import CCD_GRIDS, write_ccd
from siderea.pipelines.embed import embed
from siderea.pipelines.ingest import ingest
from siderea.pipelines.report import write_report
from siderea.simulate.emulated import EmulatedSurvey

__all__ = ["DemoResult", "demo", "write_mock_galah"]

_PIXELS = 4096
_COUNTS = 1000.0
_BATCH = 100

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
    files = write_mock_galah(output / "files", n_stars=n_stars, seed=seed, progress=progress)
    ingest(
        "galah",
        [files / "spectra"],
        store,
        catalogue=files / "labels.csv",
        overwrite=True,
        progress=progress,
    )
    embed(store, method="pca", colour="teff", progress=progress)
    embed(store, method="tsne", colour="teff", progress=progress)
    embed(store, method="tsne", name="tsne_kinds", colour="kind", progress=progress)
    report = write_report(store, output=output / "report.html")
    return DemoResult(store, report)


def write_mock_galah(
    folder: Path, *, n_stars: int, seed: int, progress: Progress | None = None
) -> Path:
    """Write stars of the emulator as GALAH DR3 files, and ``labels.csv`` with the truth.

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
    Path
        ``folder``; the files are in ``spectra``.
    """
    survey = EmulatedSurvey.draw(n_stars, seed)
    (folder / "spectra").mkdir(parents=True, exist_ok=True)
    for earlier in (folder / "spectra").glob("990101*.fits"):  # of a larger mock survey
        earlier.unlink()
    for start in range(0, n_stars, _BATCH):
        rows = range(start, min(start + _BATCH, n_stars))
        _write_stars(folder / "spectra", survey, rows)
        if progress is not None:
            progress(rows.stop, n_stars)
    ids = [_sobject_id(star) for star in range(n_stars)]
    truth = survey.stars.drop(columns=["rv", "snr"]).assign(sobject_id=ids)
    truth.to_csv(folder / "labels.csv", index=False)
    return folder


def _sobject_id(star: int) -> str:
    return f"{990101_0001_00000 + star:015d}"


def _write_stars(folder: Path, survey: EmulatedSurvey, rows: range) -> None:
    """Write the four CCDs of some stars: counts under a smooth response, with noise."""
    x = np.linspace(-1.0, 1.0, _PIXELS)
    noise = {star: survey.noise(star) for star in rows}
    for ccd, (start, step) in enumerate(CCD_GRIDS, 1):
        truth = survey.spectra(rows, start + step * np.arange(_PIXELS))
        response = _COUNTS * (1.0 + 0.2 * x - 0.15 * x**2 + 0.05 * x**3) * (0.7 + 0.1 * ccd)
        for star, flux in zip(rows, truth, strict=True):
            relative = 1.0 / (float(survey.stars["snr"].iloc[star]) * np.sqrt(flux.clip(0.05)))
            noisy = flux * (1.0 + noise[star].normal(0.0, relative))
            write_ccd(
                folder,
                _sobject_id(star),
                ccd,
                counts=noisy * response,
                relative_error=relative,
                normalised=noisy,
                rv=float(survey.stars["rv"].iloc[star]),
            )
