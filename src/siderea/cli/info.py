"""``siderea info``: what a store holds, in a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(store: Annotated[Path, typer.Argument(help="The NAME.siderea folder.")]) -> None:
    """Say what a store holds: spectra, grid, arms, columns, products and their provenance.

    Memory and time: those of reading the manifest.
    """
    from siderea.pipelines.info import describe_store

    typer.echo(describe_store(store))
