"""``siderea limits``: completeness and false positives of every channel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    stars: Annotated[int, typer.Option(help="Stars to inject.", min=200)] = 20_000,
    binary_fraction: Annotated[float, typer.Option(help="Share of binaries.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed.")] = 0,
    keep: Annotated[bool, typer.Option(help="Keep the spectra (131 kB per star).")] = False,
    jobs: Annotated[int, typer.Option(help="Processes on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler that does the work.")
    ] = None,
) -> None:
    """Inject single stars and binaries, and see which of them each channel finds.

    Writes summary.csv (groups of stars), limits.csv (by velocity difference, mass ratio, light,
    S/N, temperature, rotation) and figures. A stopped run goes on where it was.

    Memory: 2 GiB. Disk: 131 kB per star. Time: 90 s of one processor per thousand stars.
    """
    from functools import partial

    from siderea.binaries.injection import InjectionSettings
    from siderea.cli.progress import steps
    from siderea.pipelines.limits import limits

    with steps() as report:
        result = limits(
            output,
            n_stars=stars,
            seed=seed,
            injections=InjectionSettings(binary_fraction=binary_fraction),
            jobs=jobs,
            scheduler=scheduler,
            keep=keep,
            report=report,
        )
    show = partial(result.summary.to_string, index=False, float_format=lambda v: f"{100 * v:.1f} %")
    typer.echo(show())
    typer.echo("\n".join(f"wrote {path}" for path in (*result.tables, *result.figures)))
