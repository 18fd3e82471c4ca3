"""A simulated survey into a `SurveyStore`, or into tables: in parallel, streaming, resumable.

Processes make blocks of spectra, the main one appends them in order. A block depends on nothing but
the seed and its number, so that the store has the same bytes whatever the number of processes and
however often the job was interrupted. The truth of each block is kept as a part until the end, when
the parts become the product ``truth``.
"""

from __future__ import annotations

import io
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

import siderea
from siderea.data import Spectra
from siderea.errors import DataError
from siderea.io.files import atomic_write
from siderea.io.store import SurveyStore
from siderea.io.writer import StoreWriter
from siderea.models import binspec
from siderea.pipelines.pool import in_order, n_processes
from siderea.pipelines.writing import store_writer
from siderea.simulate.apogee import apogee
from siderea.simulate.instruments import Instrument, galah
from siderea.simulate.population import PECULIAR, Survey, SurveySettings
from siderea.simulate.spectra import (
    SpectralSurvey,
    SpectraSettings,
    stars_per_block,
)
from siderea.spectra.instruments import GALAH_GRID, InstrumentGrid

__all__ = ["Recipe", "instrument_of", "simulate_spectra"]

TRUTH = "truth"

WIDE_RANGES = (("teff", 3500.0, 7000.0), ("logg", 0.5, 5.1), ("fe_h", -2.6, 0.5))
"""Primaries that spectra are made of: down to 4,400 K by the emulator, below by its coolest
atmosphere with molecular bands."""

PARTS_AT_ONCE = 64
MIN_BLOCKS = 4
"""Blocks that are worth a process, which takes some seconds to start."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recipe:
    """All that the spectra of a simulated survey depend on.

    Parameters
    ----------
    n_stars, seed : int
    instrument : {"galah", "apogee"}
    models : str
        Folder of El-Badry's networks, for APOGEE.
    binary_fraction : float, optional
        Share of systems with companions; by the mass of the first star when None.
    peculiar : tuple of (code, share)
        Shares of the peculiar classes, see `siderea.simulate.population.SurveySettings`.
    ranges : tuple of (name, low, high)
        Of the first star's labels.
    settings : SpectraSettings
    """

    n_stars: int
    seed: int = 0
    instrument: Literal["galah", "apogee"] = "galah"
    models: str = ""
    binary_fraction: float | None = None
    peculiar: tuple[tuple[str, float], ...] = PECULIAR
    ranges: tuple[tuple[str, float, float], ...] = WIDE_RANGES
    settings: SpectraSettings = SpectraSettings()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        if self.n_stars < 1 or self.seed < 0:
            raise DataError(
                f"stars {self.n_stars}, seed {self.seed}; expected at least one star and a seed "
                "that is not negative"
            )
        if self.instrument not in ("galah", "apogee"):
            raise DataError(f"instrument: found {self.instrument!r}; expected 'galah' or 'apogee'")
        if self.instrument == "apogee" and not self.models:
            raise DataError(
                "instrument: found 'apogee' without models; give the folder of El-Badry's networks"
            )

    @property
    def n_rows(self) -> int:
        """Number of spectra."""
        return self.n_stars * self.settings.visits

    def grid(self) -> InstrumentGrid:
        """Return the pixels, without making the models."""
        return (
            GALAH_GRID if self.instrument == "galah" else instrument_of("apogee", self.models).grid
        )

    def survey(self) -> SpectralSurvey:
        """Return the survey, ready to make its blocks."""
        population = SurveySettings(
            binary_fraction=self.binary_fraction, peculiar=self.peculiar, ranges=self.ranges
        )
        stars = Survey(self.n_stars, seed=self.seed, settings=population)
        machine = instrument_of(self.instrument, self.models)
        return SpectralSurvey(stars, self.n_stars, machine, self.settings, self.seed)


@lru_cache(maxsize=2)
def instrument_of(name: str, models: str = "") -> Instrument:
    """Return an instrument, made once in each process: it takes seconds."""
    return galah() if name == "galah" else apogee(binspec.load(models))


@lru_cache(maxsize=1)
def _survey(recipe: Recipe) -> SpectralSurvey:
    """Make the survey once in each process."""
    return recipe.survey()


def _block(recipe: Recipe, number: int) -> tuple[Spectra, bytes]:
    """Make a block (in a worker): its spectra, and its truth as the bytes of a Parquet file."""
    block = _survey(recipe).block(number)
    truth = io.BytesIO()
    block.truth.to_parquet(truth, index=False)
    return block.spectra, truth.getvalue()


def simulate_spectra(
    recipe: Recipe,
    output: str | Path,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SurveyStore:
    """Simulate spectra into a store.

    Parameters
    ----------
    recipe : Recipe
    output : path-like
        The ``NAME.siderea`` folder. An interrupted one is gone on with, if it was begun with the
        same recipe.
    jobs : int, optional
        Processes; as many as cores, but no more than the work is worth.
    overwrite : bool
        Replace a complete store.
    progress : callable, optional
        Called with (spectra done, spectra in all).

    Returns
    -------
    SurveyStore
        With the product ``truth``, one row per spectrum.

    Raises
    ------
    SidereaError
        On bad input, an output that exists, or a full disk; what was committed is kept, and the
        same call goes on from there.
    """
    output = Path(output)
    provenance = {
        "product": "simulated",
        "recipe": _jsonable(asdict(recipe)),
        "siderea": siderea.__version__,
    }
    if not _lacks_only_its_truth(output, provenance):
        with store_writer(output, recipe.grid().empty(), provenance, overwrite=overwrite) as writer:
            _append_all(writer, recipe, jobs, progress)
            writer.finish({"n_sources": recipe.n_rows})
    store = SurveyStore.open(output)
    store.write_product_parts(
        TRUTH,
        _truth(output),
        method="simulate spectra",
        parameters=provenance["recipe"],
    )
    shutil.rmtree(_parts(output))
    return store


def _append_all(
    writer: StoreWriter,
    recipe: Recipe,
    jobs: int | None,
    progress: Progress | None,
) -> None:
    """Make the blocks that are not committed, and append them; row r is source r."""
    visits = recipe.settings.visits
    per_block = stars_per_block(visits) * visits
    n_blocks = -(-recipe.n_rows // per_block)
    begin = writer.next_source // per_block
    skip = writer.next_source - begin * per_block
    jobs = n_processes(jobs, (n_blocks - begin) // MIN_BLOCKS)
    parts = _parts(writer.store.path)
    parts.mkdir(exist_ok=True)
    work = ((recipe, number) for number in range(begin, n_blocks))
    for number, (spectra, truth) in enumerate(in_order(_block, work, jobs), begin):
        with atomic_write(parts / f"part-{number:07d}.parquet") as handle:
            handle.write(truth)
        rows = number * per_block + np.arange(len(spectra))
        writer.append(spectra[skip:] if skip else spectra, rows[skip:])
        skip = 0
        if progress is not None:
            progress(int(rows[-1]) + 1, recipe.n_rows)


def _parts(output: Path) -> Path:
    return output / f"{TRUTH}.parts"


def _truth(output: Path) -> Iterator[pd.DataFrame]:
    """Yield the truth of the whole survey, some thousand rows at a time."""
    parts = iter(sorted(_parts(output).glob("part-*.parquet")))
    while group := list(itertools.islice(parts, PARTS_AT_ONCE)):
        yield pd.concat([pd.read_parquet(part) for part in group], ignore_index=True)


def _lacks_only_its_truth(output: Path, provenance: dict[str, Any]) -> bool:
    """Tell whether the job was interrupted after the last spectrum."""
    if not _parts(output).is_dir():
        return False
    store = SurveyStore.open(output)
    return store.complete and store.manifest["provenance"] == provenance


def _jsonable(value: Any) -> Any:
    """Return the value as JSON gives it back, so that a re-read manifest compares equal."""
    return json.loads(json.dumps(value))
