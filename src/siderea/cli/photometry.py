"""``siderea photometry``: labels of stars from their magnitudes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    help="Labels of stars from photometry: train, predict, impute.", no_args_is_help=True
)


class Filling(StrEnum):
    """Ways to fill a missing band."""

    masked = "masked"
    autoencoder = "autoencoder"
    neighbours = "neighbours"


@app.command()
def train(
    table: Annotated[Path, typer.Argument(help="Columns mag_BAND, mag_BAND_err and labels.")],
    output: Annotated[Path, typer.Option(help="Name of the model.")],
    labels: Annotated[
        Path | None, typer.Option(help="Table of id and labels, if they are not in TABLE.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs (default: 60).")] = None,
    find_rate: Annotated[bool, typer.Option(help="Ask the learning-rate finder first.")] = False,
    deredden: Annotated[bool, typer.Option(help="Remove extinction by the column ebv.")] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder to save the training in, and to resume from.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
) -> None:
    """Train networks on a table of stars whose labels are known.

    Labels: teff (K), fe_h, logg (dex), any of them, with teff_err and so on where known. Also used
    where present: ebv, parallax, parallax_err; star_id, ra, dec (to hold out whole stars and sky
    blocks). Writes NAME.safetensors, NAME.json and figures beside them.

    Memory: about 1 GB at 20,000 stars. Time: 3 to 8 s of processor time per thousand stars.
    """
    from siderea.pipelines.photometry import train as run

    result = run(
        table,
        output,
        labels=labels,
        max_epochs=epochs,
        find_rate=find_rate,
        dereddened=deredden,
        checkpoint=checkpoint,
        seed=seed,
    )
    typer.echo(f"trained on {result.n_stars} stars: {result.model}")
    for name, value in result.scores.items():
        typer.echo(f"  {name}: {value:.4g} (stars held out)")
    for figure in result.figures:
        typer.echo(f"figure: {figure}")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="The model of `photometry train`.")],
    table: Annotated[Path, typer.Argument(help="Columns mag_BAND, mag_BAND_err.")],
    output: Annotated[
        Path, typer.Option(help="Table to write: .parquet, .csv, .fits, .vot or .ecsv.")
    ],
) -> None:
    """Predict teff, fe_h, logg with errors, the probability of a giant, and flags.

    Memory: the table, and 100 MB. Time: about 0.02 s per thousand stars.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.photometry import predict as run

    with bar("Predicting") as progress:
        result = run(model, table, output, progress=progress)
    typer.echo(f"{result.n_stars} stars, {result.n_flagged} of them flagged: {result.output}")


@app.command()
def impute(
    table: Annotated[Path, typer.Argument(help="Columns mag_BAND, mag_BAND_err.")],
    output: Annotated[Path, typer.Option(help="Table to write, by its ending.")],
    train_on: Annotated[
        Path | None, typer.Option(help="Table to learn from (default: the same).")
    ] = None,
    method: Annotated[Filling, typer.Option(help="How to fill.")] = Filling.masked,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
) -> None:
    """Fill missing magnitudes, each with an error; what was measured stays as it is.

    Memory: about 1 GB at 20,000 stars. Time: 2 to 5 s of processor time per thousand stars.
    """
    from siderea.pipelines.photometry import impute as run

    result = run(table, output, train_on=train_on, method=method.value, seed=seed)
    typer.echo(f"{result.n_stars} stars, {result.n_flagged} of them filled: {result.output}")
