"""``siderea rv``: single-lined binaries from a table of radial velocities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    table: Annotated[
        Path,
        typer.Argument(
            help="CSV, ECSV, FITS or Parquet: star_id, time (BMJD), rv, rv_err (km/s); or a "
            "NAME.siderea folder of repeated spectra that siderea detect has been run on."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV or Parquet to write.")],
    floor: Annotated[
        float | None,
        typer.Option(help="Floor of the errors, km/s (default: estimated from the sample)."),
    ] = None,
    false_alarms: Annotated[
        float, typer.Option(help="Share of constant stars among those called variable.")
    ] = 0.01,
    orbits: Annotated[
        bool, typer.Option("--orbits/--no-orbits", help="Look for orbits of variable stars.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of the samples of orbits.")] = 0,
) -> None:
    """Find stars whose radial velocity varies, and their orbits where the epochs allow.

    Memory: that of the table, and 300 MB.
    Time: 5 ms per thousand stars; up to 2 s for the orbit of each variable star.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.rv import run as run_rv

    with bar("Orbits") as progress:
        result = run_rv(
            table,
            output,
            floor=floor,
            false_alarms=false_alarms,
            orbits=orbits,
            random_state=seed,
            progress=progress,
        )
    typer.echo(f"{result.n_stars} stars, {result.n_variable} of them vary")
    typer.echo(f"error floor: {result.floor:.3f} km/s")
    typer.echo(f"{result.n_orbits} orbits of one period\ntable: {result.table}")
