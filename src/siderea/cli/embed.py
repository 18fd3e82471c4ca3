"""``siderea embed``: a map of the spectra of a store."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


class Method(StrEnum):
    """Methods of dimensionality reduction."""

    tsne = "tsne"
    umap = "umap"
    pca = "pca"
    isomap = "isomap"
    lle = "lle"
    spectral = "spectral"
    sammon = "sammon"
    mds = "mds"


def run(
    store: Annotated[Path, typer.Argument(help="The NAME.siderea folder.")],
    method: Annotated[Method, typer.Option(help="How the map is made.")] = Method.tsne,
    name: Annotated[
        str | None, typer.Option(help="Name of the map in the store (default: the method).")
    ] = None,
    arms: Annotated[
        str | None, typer.Option(help="Arms to use, comma-separated (default: all).")
    ] = None,
    components: Annotated[int, typer.Option(help="Principal components that are kept.")] = 50,
    autoencoder: Annotated[
        int | None,
        typer.Option(metavar="K", help="Map an autoencoder's K neurons, not the components."),
    ] = None,
    passes: Annotated[
        int,
        typer.Option(min=1, max=2, help="2: t-SNE once more of what stands apart, alone."),
    ] = 1,
    perplexity: Annotated[float, typer.Option(help="Perplexity of t-SNE.")] = 30.0,
    colour: Annotated[
        str | None, typer.Option(help="Catalogue column that colours the figure.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    figure: Annotated[
        Path | None, typer.Option(help="PNG to write (default: figures/ in the store).")
    ] = None,
) -> None:
    """Make a map: a product of coordinates, a figure, and the report brought up to date.

    Spectra are reduced by PCA or an autoencoder, streamed chunk by chunk, and these features are
    mapped. Isomap, LLE and spectral embedding map 5,000 to 10,000 of them, MDS and Sammon 2,000,
    and place the others among these. A stopped autoencoder goes on when the command is run again.

    Memory: PCA a few chunks whatever the size; an autoencoder 4 bytes per bin (4,096 of them) and
    spectrum, 100,000 spectra at most; t-SNE 100 MB at 20,000 spectra.
    Time: for t-SNE 1.2 s of processor time per thousand spectra; for an autoencoder 5 s.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.embed import embed
    from siderea.pipelines.report import write_report

    with bar(f"Mapping ({method.value})") as progress:
        result = embed(
            store,
            method=method.value,
            name=name,
            arms=tuple(arms.replace(" ", "").split(",")) if arms else None,
            n_components=components,
            autoencoder=autoencoder,
            passes=passes,
            perplexity=perplexity,
            colour=colour,
            random_state=seed,
            figure=figure,
            progress=progress,
        )
    report = write_report(store, output=store / "report.html", colour=colour)
    typer.echo(f"{result.n_mapped} spectra mapped: product {result.name!r}")
    if result.n_left_out:
        typer.echo(f"{result.n_left_out} left out: too few good pixels (NaN in the product)")
    typer.echo(f"figure: {result.figure}\nreport: {report}")
