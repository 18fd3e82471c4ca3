"""``siderea report``: what is in a store, as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    store: Annotated[Path, typer.Argument(help="The NAME.siderea folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path(
        "report.html"
    ),
    colour: Annotated[
        str | None, typer.Option(help="Catalogue column that colours the maps.")
    ] = None,
) -> None:
    """Write a self-contained HTML report: sample, maps, example spectra, provenance.

    Memory: that of the catalogue and a handful of spectra. Time: seconds.
    """
    from siderea.pipelines.report import write_report

    typer.echo(f"report: {write_report(store, output=output, colour=colour)}")
