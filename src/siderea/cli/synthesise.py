"""``siderea synthesise``: a grid of synthetic spectra with PySME."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    output: Annotated[Path, typer.Option(help="Folder of the grid; an unfinished one resumes.")],
    models: Annotated[int, typer.Option(min=1, help="Number of models.")] = 500,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the atmospheres and the line list (default: synthesis_inputs/ in "
            "the folder that SIDEREA_DATA names).",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw of labels.")] = 0,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes (default: one per core).")
    ] = None,
) -> None:
    """Compute normalised spectra and continuum flux densities with PySME (extra `synthesis`).

    Labels (Teff, log g, [Fe/H], [α/Fe], v_mic) are drawn quasi-randomly; each model is a file of
    its own, so that a stopped run goes on where it was. The grid is what the emulator trains on.

    Memory: about 0.5 GB per process.
    Time: about 20 s per model and core for the four GALAH bands.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.synthesise import synthesise

    with bar("Synthesising") as progress:
        result = synthesise(
            output,
            inputs=inputs or _default_inputs(),
            n_models=models,
            seed=seed,
            processes=processes,
            progress=progress,
        )
    typer.echo(f"{result.n_computed} models computed, {result.n_present} were there: {output}")
    if result.n_failed:
        typer.echo(f"{result.n_failed} left out: outside the atmospheres, or not converged")


def _default_inputs() -> Path | None:
    import os

    setting = os.environ.get("SIDEREA_DATA")
    folder = Path(setting) if setting else Path("..") / "shared" / "data"
    return folder / "synthesis_inputs" if (folder / "synthesis_inputs").is_dir() else None
