"""``siderea calibrate``: the model channel learns from a survey's own spectra."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    store: Annotated[Path, typer.Argument(help="The NAME.siderea folder, of real spectra.")],
    stars: Annotated[int, typer.Option(help="Spectra to learn from, at most.", min=40)] = 2000,
    controls: Annotated[int, typer.Option(help="Control stars.", min=500)] = 4096,
    seed: Annotated[int, typer.Option(help="Seed.")] = 0,
) -> None:
    """Learn from real spectra what the spectral model gets wrong, and what two stars look like.

    Fits the spectra, learns a correction of the model from what the fits leave, and makes control
    stars, single and double, from residuals of real ones: they set the probability and threshold of
    siderea detect --method model, which uses both from then on.

    Needs 40 spectra or more. Memory: 2 GiB. Time of one processor: half a second per spectrum, a
    tenth per control star.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.calibrate import calibrate_model

    with bar("Control stars") as progress:
        result = calibrate_model(
            store, n_stars=stars, n_controls=controls, random_state=seed, progress=progress
        )
    told = result.metrics
    typer.echo(f"learned from {result.n_stars} stars")
    typer.echo(
        f"held out: {100 * told['held_out_false_positives']:.1f} % of single control stars called "
        f"binary, {100 * told['held_out_completeness']:.1f} % of the binaries found"
    )
    typer.echo(f"wrote {result.correction}\nwrote {result.calibration}")
