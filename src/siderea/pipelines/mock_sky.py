"""A mock Milky Way of any size as a HATS catalogue: one pixel, one file, one generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from siderea.io.hats import finish_hats, partition_name
from siderea.pipelines.catalogues import Added
from siderea.pipelines.partitioned import run_job
from siderea.simulate.milky_way import SKY, MockSky, SkyPixel
from siderea.simulate.photometry import SDSS

__all__ = ["SkyJob", "SkyPiece", "simulate_sky"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SkyPiece:
    """A pixel of the sky, and the file that it becomes."""

    pixel: SkyPixel

    @property
    def name(self) -> str:
        """Name of the file below the folder of the catalogue."""
        return partition_name((self.pixel.order, self.pixel.number))

    @property
    def n_rows(self) -> int:
        """Stars."""
        return self.pixel.n_stars

    @property
    def size(self) -> int:
        """Stars to draw."""
        return self.pixel.n_stars


@dataclass(frozen=True)
class SkyJob:
    """Draw the pixels of a mock sky."""

    sky: MockSky

    @property
    def schema(self) -> pa.Schema:
        """Columns: see `siderea.simulate.milky_way.MockSky.stars`."""
        single, whole = pa.float32(), pa.int64()
        names = [f"mag_{band}{end}" for band in SDSS for end in ("", "_err")]
        truth = ["true_teff", "true_logg", "true_fe_h", "true_distance"]
        truth += [f"true_mag_{band}" for band in SDSS]
        return pa.schema(
            [("_healpix_29", whole), ("id", whole), ("ra", pa.float64()), ("dec", pa.float64())]
            + [(name, single) for name in ("ebv", *names, *truth)]
            + [("n_stars", pa.int8()), ("population", pa.int8())]
        )

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides about the result."""
        fraction = self.sky.settings.binary_fraction
        return {
            "product": "mock sky",
            "n_stars": self.sky.n,
            "seed": self.sky.seed,
            "binary_fraction": fraction,
            "order": self.sky.order,
            "components": [one.name for one in self.sky.settings.components],
        }

    def table(self, piece: SkyPiece) -> pa.Table:
        """Draw a pixel."""
        stars = self.sky.stars(piece.pixel)
        arrays = [pa.array(stars[field.name].to_numpy()).cast(field.type) for field in self.schema]
        return pa.Table.from_arrays(arrays, schema=self.schema)


def simulate_sky(
    output: str | Path,
    *,
    n_stars: int,
    seed: int = 0,
    binary_fraction: float | None = None,
    sky: MockSky | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Added:
    """Write a mock sky as a HATS catalogue; an interrupted one is gone on with.

    Parameters
    ----------
    output : path-like
        Folder of the catalogue.
    n_stars, seed : int
    binary_fraction : float, optional
        Share of systems with companions; by the mass of the first star when None.
    sky : MockSky, optional
        Another sky than the standard one; the three before are then not used.
    jobs, scheduler, progress
        See `siderea.pipelines.partitioned.run_job`.

    Returns
    -------
    Added
    """
    settings = replace(SKY, binary_fraction=binary_fraction)
    job = SkyJob(sky or MockSky(n_stars, seed, settings))
    pieces = [SkyPiece(pixel) for pixel in job.sky.pixels()]
    pixels = [(piece.pixel.order, piece.pixel.number) for piece in pieces]

    def finish(folder: Path) -> None:
        finish_hats(folder, folder.name, pixels, job.schema)

    folder = Path(output)
    run_job(job, pieces, folder, finish=finish, jobs=jobs, scheduler=scheduler, progress=progress)
    return Added(folder, job.sky.n)
