"""``siderea lightcurves``: eclipsing binaries fitted and classified."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


class Grouping(StrEnum):
    """Ways to find groups on the map."""

    dbscan = "dbscan"
    hdbscan = "hdbscan"


def run(
    table: Annotated[
        list[Path],
        typer.Argument(help="Table of points, Kepler or TESS FITS, Gaia epoch photometry."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    period: Annotated[
        float | None, typer.Option(help="Period (d) of curves that have none of their own.")
    ] = None,
    flatten: Annotated[
        bool, typer.Option("--flatten/--as-is", help="Take slow trends away first.")
    ] = False,
    method: Annotated[Grouping, typer.Option(help="How groups are found.")] = Grouping.dbscan,
    seed: Annotated[int, typer.Option(help="Seed of the map.")] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace earlier results.")] = False,
) -> None:
    """Fold, fit and classify light curves: a table, figures, and a store to explore.

    A table has one row per point: id, time or phase, flux, flux_err; and the period of each star
    where it is known. Without one it is searched for, which takes much longer than all the rest.
    Each star gets a kind (detached, semi-detached, contact, ellipsoidal) with its probabilities.

    Memory: that of the table, and 1 GiB for the fits.
    Time: 10 to 20 s per thousand folded curves of 1,000 points.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.lightcurves import run as run_lightcurves

    with bar("Folding") as progress:
        result = run_lightcurves(
            table,
            output,
            period=period,
            flatten=flatten,
            method=method.value,
            random_state=seed,
            overwrite=overwrite,
            progress=progress,
        )
    typer.echo(f"{result.n_curves} light curves, {result.n_fitted} of them vary")
    typer.echo(f"{result.n_groups} groups\ntable: {result.table}\nstore: {result.store}")
    for figure in result.figures:
        typer.echo(f"figure: {figure}")
