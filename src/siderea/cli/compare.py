"""``siderea compare``: which channel finds what, and all of them together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    store: Annotated[Path, typer.Argument(help="The NAME.siderea folder.")],
) -> None:
    """Compare the channels that searched a store, and give every star one probability.

    Needs siderea detect by one method or more. Writes products/detections_combined.parquet,
    tables/compare.csv and two figures: how many stars each set of channels finds, and who finds
    what in velocity difference and light ratio.

    Memory: 1 kB per spectrum. Time: 0.1 s per thousand spectra.
    """
    from siderea.pipelines.compare import compare

    result = compare(store)
    typer.echo(result.overlap.to_string(index=False))
    typer.echo(f"{result.n_found} binaries by all channels together")
    typer.echo("\n".join(f"wrote {path}" for path in (result.table, *result.figures)))
