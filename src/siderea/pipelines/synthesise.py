"""A grid of synthetic spectra: models in parallel, one file each, so that it resumes."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from siderea.errors import DataError, SidereaError, StoreError
from siderea.io.files import atomic_write, locked, read_json, write_json
from siderea.io.spectral_grid import write_grid
from siderea.io.synthesis_inputs import read_atmospheres, read_line_list
from siderea.models.emulator_training import SpectralGrid
from siderea.models.synthesis import (
    BANDS,
    LABELS,
    Band,
    Synthesiser,
    SyntheticBand,
    require_pysme,
)

__all__ = ["LABEL_RANGE", "SynthesisResult", "draw_labels", "synthesise"]

LABEL_RANGE = ((4420.0, 6980.0), (0.7, 4.8), (-2.6, 0.45), (-0.15, 0.45), (0.6, 2.5))
"""Where labels are drawn: FGK stars, within the model atmospheres."""

ATMOSPHERES, LINES = "si_odf_atmospheres.npz", "galah_dr3_linelist.h5"

Progress = Callable[[int, int], None]
Compute = Callable[[NDArray], list[SyntheticBand]]


@dataclass(frozen=True)
class SynthesisResult:
    """What `synthesise` did.

    Parameters
    ----------
    n_computed, n_present, n_failed : int
        Models computed now, there before, and not computable (outside the atmospheres, or not
        converged): those are left out of the grid.
    """

    n_computed: int
    n_present: int
    n_failed: int


def draw_labels(
    n: int, *, seed: int = 0, inside: Callable[[NDArray], NDArray[np.bool_]] | None = None
) -> NDArray[np.float64]:
    """Draw labels (n, 5) quasi-randomly, so that any first part covers the whole range evenly.

    Parameters
    ----------
    n : int
        Number of models.
    seed : int
        Of the scrambling of Sobol's sequence.
    inside : callable, optional
        Labels (N, 5) to (N,) bool: what to keep. The corners of the range have no atmospheres.

    Returns
    -------
    (n, 5) ndarray
        `siderea.models.synthesis.LABELS`. More models with the same seed continue the same grid.

    Raises
    ------
    DataError
        If next to nothing is inside.
    """
    sampler = qmc.Sobol(len(LABELS), rng=np.random.default_rng(seed))
    found = np.empty((0, len(LABELS)))
    for power in range(7, 24):  # each time as many more points as there are
        size = 2**power if power == 7 else 2 ** (power - 1)
        labels = qmc.scale(sampler.random(size), *np.transpose(LABEL_RANGE))
        found = np.concatenate([found, labels if inside is None else labels[inside(labels)]])
        if len(found) >= n:
            return found[:n]
    raise DataError(f"models: found {len(found)} labels within the atmospheres; expected {n}")


def synthesise(
    output: str | Path,
    *,
    inputs: str | Path | None = None,
    n_models: int = 500,
    seed: int = 0,
    processes: int | None = None,
    bands: Sequence[Band] = BANDS,
    compute: Compute | None = None,
    progress: Progress | None = None,
) -> SynthesisResult:
    """Compute a grid, resuming where an earlier run stopped.

    Parameters
    ----------
    output : path-like
        Folder: ``parts/`` with one file per model, and at the end one ``BAND.npz`` per band.
    inputs : path-like, optional
        Folder with the atmospheres and the line list; not needed with ``compute``.
    n_models, seed : int
        See `draw_labels`.
    processes : int, optional
        One per core by default.
    bands : sequence of Band
    compute : callable, optional
        Labels (5,) to one `SyntheticBand` per band, instead of PySME; run in this process.
    progress : callable, optional
        Called with (done, in all).

    Returns
    -------
    SynthesisResult

    Raises
    ------
    SidereaError
        If PySME or an input is missing, or the folder holds another grid.
    """
    if n_models < 1:
        raise DataError(f"models: found {n_models}; expected at least 1")
    inside = None
    if compute is None:
        require_pysme()
        compute = _synthesiser(inputs, bands)
        inside = compute.atmospheres.covers
    output = Path(output).resolve()
    parts = output / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    with locked(output / ".lock"):
        _same_grid(output / "grid.json", seed, bands)
        labels = draw_labels(n_models, seed=seed, inside=inside)
        missing = [i for i in range(n_models) if not _is_done(_part(parts, i))]
        failed = 0
        jobs = ((i, labels[i], parts) for i in missing)
        for done, ok in enumerate(_run(compute, jobs, output, processes), 1):
            failed += not ok
            if progress is not None:
                progress(n_models - len(missing) + done, n_models)
        _gather(output, [_part(parts, i) for i in range(n_models)], bands)
    return SynthesisResult(len(missing) - failed, n_models - len(missing), failed)


def _synthesiser(inputs: str | Path | None, bands: Sequence[Band]) -> Synthesiser:
    if inputs is None:
        raise DataError(f"inputs: found none; give the folder with {ATMOSPHERES} and {LINES}")
    folder = Path(inputs)
    atmospheres = read_atmospheres(folder / ATMOSPHERES)
    return Synthesiser(atmospheres, read_line_list(folder / LINES), tuple(bands))


def _same_grid(path: Path, seed: int, bands: Sequence[Band]) -> None:
    """Write down what the grid is, or refuse to mix two grids."""
    described = {
        "labels": list(LABELS),
        "label_range": [list(pair) for pair in LABEL_RANGE],
        "seed": seed,
        "bands": [[band.name, band.start, band.end, band.step] for band in bands],
    }
    if not path.exists():
        write_json(path, described)
    elif read_json(path) != described:
        raise StoreError(
            f"{path}: found a grid of another seed, range or bands; choose another output"
        )


def _part(parts: Path, number: int) -> Path:
    return parts / f"{number:06d}.npz"


def _is_done(path: Path) -> bool:
    """Tell whether a part is there and whole."""
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as content:
            return "labels" in content
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False


Job = tuple[int, NDArray, Path]


def _run(
    compute: Compute, jobs: Iterator[Job], folder: Path, processes: int | None
) -> Iterator[bool]:
    """Yield, model by model, whether it could be computed."""
    if not isinstance(compute, Synthesiser):
        yield from (_one(compute, *job) for job in jobs)
        return
    # Spawned, not forked: SMElib keeps the star in global variables of the C library.
    workers = processes or os.cpu_count() or 1
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start, initargs=(compute, folder)
    ) as pool:
        futures = [pool.submit(_in_worker, *job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_worker: Compute | None = None


def _start(compute: Compute, folder: Path) -> None:
    global _worker
    _worker = compute
    os.chdir(folder)  # SMElib leaves a log, syntherr.log, where it runs


def _in_worker(number: int, labels: NDArray, parts: Path) -> bool:
    assert _worker is not None
    return _one(_worker, number, labels, parts)


def _one(compute: Compute, number: int, labels: NDArray, parts: Path) -> bool:
    """Compute and write one model; False where it cannot be computed."""
    try:
        spectra = compute(labels)
    except DataError:
        return False
    content = {"labels": labels}
    for i, band in enumerate(spectra):
        content[f"flux{i}"] = band.flux.astype(np.float32)
        content[f"continuum{i}"] = band.continuum
        content[f"continuum_wave{i}"] = band.continuum_wavelength
    with atomic_write(_part(parts, number)) as handle:
        np.savez(handle, **content)  # type: ignore[arg-type]
    return True


def _gather(output: Path, parts: list[Path], bands: Sequence[Band]) -> None:
    """Put the models that exist together, one file per band."""
    found = [path for path in parts if path.exists()]
    if not found:
        raise SidereaError(f"{output}: not one model could be computed; check the inputs")
    models = []
    for path in found:
        with np.load(path, allow_pickle=False) as content:
            models.append({name: content[name] for name in content.files})
    n = range(len(bands))
    sizes = [0, *(band.wavelength.size for band in bands)]
    edges = np.cumsum(sizes).tolist()
    grid = SpectralGrid(
        labels=np.stack([model["labels"] for model in models]),
        wavelength=np.concatenate([band.wavelength for band in bands]),
        arms=tuple(slice(edges[i], edges[i + 1]) for i in n),
        arm_names=tuple(band.name for band in bands),
        flux=np.stack([np.concatenate([model[f"flux{i}"] for i in n]) for model in models]),
        continuum_wavelength=np.stack([models[0][f"continuum_wave{i}"] for i in n]),
        continuum=np.stack([np.stack([model[f"continuum{i}"] for i in n]) for model in models]),
        medium="air",
    )
    write_grid(output, grid)
