"""``siderea detect``: binaries among the spectra of a store."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


class Method(StrEnum):
    """Ways to find binaries."""

    ccf = "ccf"


def run(
    store: Annotated[Path, typer.Argument(help="The NAME.siderea folder.")],
    method: Annotated[Method, typer.Option(help="How binaries are found.")] = Method.ccf,
    max_velocity: Annotated[
        float, typer.Option(help="Range of velocities on either side of 0 (km/s).")
    ] = 200.0,
    significance: Annotated[
        float, typer.Option(help="Least significance of a further star (sigma).")
    ] = 6.0,
) -> None:
    """Find spectra of two, three or four stars: a product with their velocities.

    Writes products/detections_ccf.parquet. A stopped job goes on where it was.

    Memory: 1 GiB whatever the size of the store.
    Time: 3 to 7 s of processor time per thousand spectra of 16,384 pixels.
    """
    from siderea.binaries.detect import CCFSettings
    from siderea.cli.progress import bar
    from siderea.pipelines.detect import detect_ccf

    with bar(f"Searching ({method.value})") as progress:
        result = detect_ccf(
            store,
            settings=CCFSettings(significance=significance),
            max_velocity=max_velocity,
            progress=progress,
        )
    typer.echo(f"{result.n_searched} of {result.n_spectra} spectra searched")
    typer.echo(f"{result.n_multiple} show more than one star\nproduct: {result.path}")
