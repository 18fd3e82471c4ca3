"""Distances for catalogues of any size: `siderea photometry distances`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from siderea.errors import DataError
from siderea.io.partitions import open_partitions
from siderea.io.photometry_table import photometry_of
from siderea.photometry.bands import BANDS, error_column, magnitude_column
from siderea.pipelines.catalogues import add_columns, column_job
from siderea.pipelines.predict import Predicted, check_bands, count_flagged
from siderea.stellar.distances import DistanceModel
from siderea.stellar.distances import distances as find_distances

__all__ = ["DistanceStep", "distances"]

Progress = Callable[[int, int], None]
LABELS = ("teff", "teff_err", "fe_h", "fe_h_err", "logg", "logg_err", "p_giant")
MODELS: dict[str, Callable[[], DistanceModel]] = {
    "photometric": DistanceModel,
    "spectroscopic": DistanceModel.of_spectra,
    "simulated": DistanceModel.of_isochrones,
}
"""What is believed of the stars, by where their labels come from."""
SOLUTIONS = ("distance", "distance_dwarf", "distance_giant")
NUMBERS = (
    *(f"{name}{end}" for name in SOLUTIONS for end in ("", "_lo", "_hi")),
    "absolute_magnitude",
    "absolute_magnitude_err",
)


@dataclass(frozen=True)
class DistanceStep:
    """Photometric distances, with parallaxes where there are some.

    Parameters
    ----------
    parallax : bool
        Whether to use the columns ``parallax`` and ``parallax_err``: not where the labels were
        found with them.
    stars : {"photometric", "spectroscopic", "simulated"}
        Where the labels come from; simulated stars are as the isochrones say, real ones are not
        quite. See `siderea.stellar.distances.DistanceModel`.
    """

    parallax: bool = True
    stars: str = "photometric"

    def __post_init__(self) -> None:
        if self.stars not in MODELS:
            raise DataError(f"stars: found {self.stars!r}; expected one of {', '.join(MODELS)}")

    @property
    def wanted(self) -> tuple[str, ...]:
        """Magnitudes, labels, reddening, place, parallax."""
        names = [make(band) for band in BANDS for make in (magnitude_column, error_column)]
        given = ["ebv", "ebv_err", "ra", "dec", "l", "b", "flags"]
        given += ["parallax", "parallax_err"] if self.parallax else []
        return (*names, *LABELS, *given)

    @property
    def needed(self) -> tuple[str, ...]:
        """The metallicity; with it, colours or Teff place a star."""
        return ("fe_h",)

    @property
    def fields(self) -> tuple[pa.Field, ...]:
        """Distances, the giant's probability, flags."""
        names = (*NUMBERS, "distance_p_giant")
        numbers = [pa.field(name, pa.float32()) for name in names]
        texts = [pa.field("distance_band", pa.string())]
        return (*numbers, *texts, pa.field("distance_flags", pa.int64()))

    @property
    def recipe(self) -> dict[str, Any]:
        """Whether parallaxes were used, and what the stars are."""
        return {"step": "distances", "parallax": self.parallax, "stars": self.stars}

    def __call__(self, frame: pd.DataFrame) -> Mapping[str, Any]:
        """Return the distances of some stars."""
        names = [name for name in (*LABELS, "flags") if name in frame]
        context = [name for name in frame if name in self.wanted and name not in names]
        model = MODELS[self.stars]()
        found = find_distances(photometry_of(frame[context]), frame[names], model=model)
        columns: dict[str, Any] = {name: found[name].to_numpy() for name in NUMBERS}
        columns["distance_p_giant"] = found["p_giant"].to_numpy()
        bands = found["band"].astype(object).fillna("").to_numpy()
        columns["distance_band"] = pd.array(bands, dtype="str")
        columns["distance_flags"] = found["flags"].to_numpy()
        return columns


def distances(
    table: str | Path,
    output: str | Path,
    *,
    use_parallax: bool = True,
    stars: str = "photometric",
    keep: Sequence[str] | None = None,
    definitions: Mapping[str, str] | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Predicted:
    """Find the distances of a catalogue of any size.

    Parameters
    ----------
    table, output : path-like
        A catalogue with magnitudes and labels, as `siderea.pipelines.predict.predict` writes it;
        where to write, see `siderea.pipelines.catalogues.add_columns`.
    use_parallax : bool
        Use the parallaxes, where there are some.
    stars : {"photometric", "spectroscopic", "simulated"}
        Where the labels come from, see `DistanceStep`.
    keep, definitions
        See `siderea.pipelines.predict.predict`.
    jobs, scheduler, progress
        See `siderea.pipelines.partitioned.run_job`.

    Returns
    -------
    Predicted
        ``n_flagged`` counts those with a bit of `siderea.flags.DistanceFlag`.
    """
    step = DistanceStep(use_parallax, stars)
    source = open_partitions(table)
    check_bands(source.schema.names, definitions, tuple(BANDS), source.path)
    job = column_job(source, step, keep=keep, definitions=definitions)
    done = add_columns(source, job, output, jobs=jobs, scheduler=scheduler, progress=progress)
    return Predicted(done.output, done.n_stars, count_flagged(done.output, "distance_flags"))
