"""``siderea photometry``: labels of stars from their magnitudes."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    help="Labels, distances and the map of the Milky Way from photometry.", no_args_is_help=True
)

Catalogue = Annotated[
    Path, typer.Argument(help="Columns mag_BAND, mag_BAND_err; HATS, Parquet, FITS, CSV ...")
]
Result = Annotated[
    Path,
    typer.Option(
        help="A folder (HATS if TABLE is, else Parquet), or a .parquet, .csv, .fits ... table."
    ),
]
Keep = Annotated[
    list[str] | None, typer.Option(help="Column to carry along; repeat it (default: all).")
]
Columns = Annotated[
    list[str] | None,
    typer.Option(help="NAME=EXPRESSION: a column made of others, as 'ebv=Ar / 2.285'; repeat it."),
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes (default: as many as cores).")]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler, to work on its cluster.")
]


class StarsName(StrEnum):
    """Where the labels of stars come from."""

    photometric = "photometric"
    spectroscopic = "spectroscopic"
    simulated = "simulated"


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
    table: Catalogue,
    output: Result,
    keep: Keep = None,
    column: Columns = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
) -> None:
    """Predict teff, fe_h, logg with errors, the probability of a giant, and flags.

    TABLE is read in partitions, and each is written as soon as it is done: run the same command
    again to go on after an interruption. Columns of TABLE are carried along.

    Memory: 0.7 GB per process, whatever the number of stars. Time: 0.02 s of processor time per
    thousand stars.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.predict import predict as run

    with bar("Predicting") as progress:
        result = run(
            model,
            table,
            output,
            keep=keep,
            definitions=_definitions(column),
            jobs=jobs,
            scheduler=scheduler,
            progress=progress,
        )
    typer.echo(f"{result.n_stars} stars, {result.n_flagged} of them flagged: {result.output}")


@app.command()
def distances(
    table: Catalogue,
    output: Result,
    parallax: Annotated[
        bool, typer.Option(help="Use the columns parallax and parallax_err, where they are.")
    ] = True,
    stars: Annotated[
        StarsName, typer.Option(help="Where the labels come from.")
    ] = StarsName.photometric,
    keep: Keep = None,
    column: Columns = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
) -> None:
    """Find distances from magnitudes, labels (as `predict` writes them) and parallaxes.

    Use --no-parallax where the labels were found with the parallax. An interrupted run goes on
    when the same command is run again.

    Memory: 1 GB per process, whatever the number of stars. Time: 15 s per process to start, and
    0.02 s of processor time per thousand stars.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.distances import distances as run

    with bar("Distances") as progress:
        result = run(
            table,
            output,
            use_parallax=parallax,
            stars=stars.value,
            keep=keep,
            definitions=_definitions(column),
            jobs=jobs,
            scheduler=scheduler,
            progress=progress,
        )
    typer.echo(f"{result.n_stars} stars, {result.n_flagged} of them flagged: {result.output}")


@app.command(name="map")
def map_(
    table: Catalogue,
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    select: Annotated[
        str | None, typer.Option(help="Which stars (default: those of Ramuz 2020, Figure 20).")
    ] = None,
    minimum: Annotated[int, typer.Option(min=1, help="Least stars of a cell.")] = 5,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamplings for the errors.")] = 50,
    column: Columns = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamplings.")] = 0,
    figures: Annotated[bool, typer.Option(help="Draw the maps.")] = True,
) -> None:
    """Map [Fe/H] over the Milky Way: R-Z, X-Y, the sky; gradients with errors; figures.

    TABLE has ra, dec, distance, fe_h. In --select, sdss_g and other bands are magnitudes free of
    extinction (by the column ebv), and x, y, z, R, abs_z are Galactocentric (kpc):
    --select "0.2 < sdss_g - sdss_r < 0.4 and 0.8 < distance < 9 and bit(flags, 16) == 0"

    Memory: 1 GB, and little more per process. Time: 0.002 s per thousand stars, and half a minute
    for errors and figures.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.galactic_map import MapSettings, galactic_map

    settings = MapSettings(minimum=minimum, n_bootstrap=bootstrap, seed=seed, figures=figures)
    if select is not None:
        settings = replace(settings, select=select)
    with bar("Mapping") as progress:
        result = galactic_map(
            table,
            output,
            settings=settings,
            definitions=_definitions(column),
            jobs=jobs,
            scheduler=scheduler,
            progress=progress,
        )
    typer.echo(f"{result.n_selected} of {result.n_stars} stars mapped: {result.output}")
    for figure in result.figures:
        typer.echo(f"figure: {figure}")


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


@app.command()
def crossmatch(
    left: Annotated[Path, typer.Argument(help="A HATS catalogue or a table.")],
    right: Annotated[Path, typer.Argument(help="The catalogue to find partners in.")],
    output: Annotated[Path, typer.Option(help="Folder of a HATS catalogue, or a table.")],
    radius: Annotated[float, typer.Option(help="Largest distance of partners, arcsec.")] = 1.0,
    every: Annotated[
        bool, typer.Option("--every", help="Keep the stars of LEFT that have no partner.")
    ] = False,
    left_column: Columns = None,
    right_column: Columns = None,
    left_keep: Keep = None,
    right_keep: Keep = None,
    scheduler: Scheduler = None,
) -> None:
    """Bring the bands of two catalogues together, by position, with LSDB.

    Each star of LEFT gets its nearest partner in RIGHT, also across the edges of partitions. Match
    the result again for a third catalogue: SDSS with Gaia, then with PS1.

    siderea photometry crossmatch sdss gaia --output both --left-column mag_sdss_g=g
    --right-column mag_gaia_g=phot_g_mean_mag

    Memory: a few partitions of each, and the whole of a table that is not HATS.
    """
    from siderea.pipelines import crossmatch as matching

    sides = [
        matching.Side(path, _definitions(column), tuple(keep) if keep else None)
        for path, column, keep in (
            (left, left_column, left_keep),
            (right, right_column, right_keep),
        )
    ]
    result = matching.crossmatch(
        sides[0], sides[1], output, radius=radius, every=every, scheduler=scheduler
    )
    typer.echo(
        f"{result.n_stars} stars, {result.n_matched} with a partner, at a median of "
        f"{result.separation:.3f} arcsec: {result.output}"
    )


def _definitions(columns: list[str] | None) -> dict[str, str]:
    """Read NAME=EXPRESSION."""
    pairs = [text.partition("=") for text in columns or []]
    for name, sign, expression in pairs:
        if not (name.strip().isidentifier() and sign and expression.strip()):
            raise typer.BadParameter(
                f"found {name + sign + expression!r}; expected NAME=EXPRESSION",
                param_hint="--column",
            )
    return {name.strip(): expression.strip() for name, _, expression in pairs}
