"""Batches of sources read and prepared by a pool of processes, given back in order."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from siderea.data import Spectra
from siderea.errors import SidereaError
from siderea.flags import SpectrumFlag
from siderea.io.native import InstrumentGrid, NativeSpectrum
from siderea.io.readers import reader
from siderea.pipelines.failures import Failure
from siderea.pipelines.pool import in_order
from siderea.pipelines.prepare import Preparation, prepare

__all__ = ["Batch", "Source", "run"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """What one source is called, where its files are, and its velocity if they do not say."""

    ordinal: int
    name: str
    paths: tuple[str, ...]
    rv: float  # from the catalogue; NaN where it has none


@dataclass
class Batch:
    """What a worker returns for a run of sources."""

    n_sources: int
    spectra: Spectra | None = None
    sources: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    failures: list[Failure] = field(default_factory=list)


def run(work: Iterable[tuple], jobs: int) -> Iterator[Batch]:
    """Read and prepare batches; at most two per worker are under way.

    Parameters
    ----------
    work : iterable of tuple
        Arguments of `read_and_prepare`; a generator is only drawn from as fast as it is worked off.
    jobs : int
        Processes; 1 works in this one.

    Yields
    ------
    Batch
        In the order of ``work``.
    """
    return in_order(read_and_prepare, work, jobs)


def read_and_prepare(
    product: str, grid: InstrumentGrid, preparation: Preparation, sources: tuple[Source, ...]
) -> Batch:
    """Read a run of sources and prepare their spectra together (in a worker)."""
    form = reader(product)
    batch = Batch(len(sources))
    natives: list[NativeSpectrum] = []
    ordinals: list[int] = []
    for source in sources:
        try:
            found = form.read(source.paths)
        except (SidereaError, OSError) as error:
            batch.failures.append(Failure(source.ordinal, source.name, str(error)))
            continue
        except Exception as error:  # one odd file in a million must not end the job
            logger.exception("unexpected error in %s", source.name)
            reason = f"unexpected {type(error).__name__}: {error} (please report this)"
            batch.failures.append(Failure(source.ordinal, source.name, reason))
            continue
        for native in found:
            misfit = _misfit(native, grid)
            if misfit:
                batch.failures.append(Failure(source.ordinal, source.name, misfit))
                continue
            natives.append(_with_rv(native, source.rv))
            ordinals.append(source.ordinal)
    if natives:
        batch.spectra = prepare(natives, grid, preparation)
        batch.sources = np.asarray(ordinals, dtype=np.int64)
    return batch


def _misfit(native: NativeSpectrum, grid: InstrumentGrid) -> str:
    """Say why a spectrum cannot be put on the grid of the store; nothing where it can."""
    if native.medium != grid.medium:
        return f"{native.path}: found {native.medium} wavelengths; the store is in {grid.medium}"
    names = [arm.name for arm in native.arms]
    if not set(names) & set(grid.arm_names):
        return (
            f"{native.path}: found arms {', '.join(names) or 'none'}; the store has "
            f"{', '.join(grid.arm_names)}: ingest the two apart"
        )
    return ""


def _with_rv(native: NativeSpectrum, rv: float) -> NativeSpectrum:
    """Give a spectrum that brings no velocity the one of the catalogue."""
    if np.isfinite(native.row.get("rv", np.nan)) or not np.isfinite(rv):
        return native
    known = native.flags & ~SpectrumFlag.NO_RV
    return replace(native, row={**native.row, "rv": rv}, flags=known)
