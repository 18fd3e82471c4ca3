"""``siderea classify``: a class for every spectrum of a store."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


class Islands(StrEnum):
    """Methods of finding the islands of a map."""

    dbscan = "dbscan"
    hdbscan = "hdbscan"


def run(
    store: Annotated[Path, typer.Argument(help="The NAME.siderea folder.")],
    map_name: Annotated[
        str, typer.Option("--map", help="Map of the store whose islands are found.")
    ],
    labels: Annotated[
        Path | None, typer.Option(help="Table of labels: id, class (and person, time).")
    ] = None,
    islands: Annotated[
        Islands, typer.Option(help="How the islands of the map are found.")
    ] = Islands.dbscan,
    queue: Annotated[int, typer.Option(min=1, help="Spectra to propose for labelling next.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
) -> None:
    """Classify: islands of a map, detectors of weak features, and labels spread to all.

    Without labels only islands and detectors speak. With them, a linear classifier on principal
    components and detections gives every spectrum a class, a probability and, where it is unsure,
    none; product label_queue says which spectra to label next.

    Memory: 1.5 GB whatever the size (GALAH pixels), and 1 MB per thousand spectra.
    Time: 7 s of processor time per thousand spectra.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.classify import CLASSES, classify
    from siderea.pipelines.report import write_report

    with bar("Measuring") as progress:
        result = classify(
            store,
            map_name=map_name,
            labels=labels,
            method=islands.value,
            queue=queue,
            random_state=seed,
            progress=progress,
        )
    report = write_report(store, output=store / "report.html")
    typer.echo(f"{result.n_clusters} islands on map {map_name!r}")
    found = ", ".join(f"{name} {n}" for name, n in result.detected.items() if n)
    typer.echo(f"detected: {found or 'nothing'}")
    if result.labels is not None:
        known = result.labels
        typer.echo(
            f"{known.n_labelled} labels used; {len(known.unknown)} of spectra not in the store, "
            f"{len(known.contradictory)} contradictory; balanced accuracy on held-out labels "
            f"{result.accuracy:.3f}"
        )
    for name, n in result.left_out.items():
        typer.echo(f"class {name}: {n} labels are too few to learn it from")
    counts = ", ".join(f"{name or 'none'} {n}" for name, n in result.counts.items())
    typer.echo(f"classes: {counts}\nproduct: {CLASSES}\nfigure: {result.figure}\nreport: {report}")
