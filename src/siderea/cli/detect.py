"""``siderea detect``: binaries among the spectra of a store."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from siderea.pipelines.detect import Recipe

__all__ = ["run"]


class Method(StrEnum):
    """Ways to find binaries."""

    ccf = "ccf"
    map = "map"
    model = "model"
    photometric = "photometric"
    astrometric = "astrometric"
    pairs = "pairs"


class Errors(StrEnum):
    """What the model is taken to get wrong."""

    auto = "auto"
    survey = "survey"
    lte = "lte"
    none = "none"


Templates = Annotated[
    str,
    typer.Option(
        metavar="emulator|masks|reference|FILE",
        help="ccf: stars of the emulator, masks of their lines, what the autoencoder of --map "
        "makes of each spectrum, or a file of lines (wavelength, depth) or of spectra.",
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        help="model: a folder of El-Badry's networks, or a saved emulator, Cannon or decoder."
    ),
]
ModelErrors = Annotated[
    Errors,
    typer.Option(
        help="model: correct and weigh what it gets wrong of real stars (survey: as learned by "
        "siderea calibrate, else as shipped for GALAH; lte: as any LTE model), or nothing (none). "
        "auto: survey for real spectra, none for simulated ones and with --model."
    ),
]


def run(
    store: Annotated[Path, typer.Argument(help="The NAME.siderea folder.")],
    method: Annotated[Method, typer.Option(help="How binaries are found.")] = Method.ccf,
    max_velocity: Annotated[
        float, typer.Option(help="ccf: range of velocities on either side of 0 (km/s).")
    ] = 200.0,
    significance: Annotated[
        float, typer.Option(help="ccf: least significance of a further star (sigma).")
    ] = 6.0,
    templates: Templates = "emulator",
    triples: Annotated[bool, typer.Option(help="model: fit three stars, too.")] = False,
    model: Model = None,
    model_error: ModelErrors = Errors.auto,
    map_name: Annotated[
        str, typer.Option("--map", help="map, ccf: the map that is used.")
    ] = "tsne",
    labels: Annotated[
        Path | None,
        typer.Option(help="map: table of id and class (default: those given to classify)."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler that does the work.")
    ] = None,
) -> None:
    """Find spectra of two and more stars: a product with what is known of them.

    Writes products/detections_METHOD.parquet. A stopped job goes on where it was, and gives the
    same table on one process, several, or a Dask cluster.

    ccf, map and model search the spectra; photometric (stars above the main sequence), astrometric
    (RUWE, proper motions that differ) and pairs (common proper motion) the catalogue's columns.

    Memory: 1 GiB per process whatever the size of the store (map: 1 kB per spectrum).
    Time per thousand spectra of 16,384 pixels, in seconds of one processor: ccf 3 to 7, model 40 to
    70 (triples 140; with --model 60 to 200), map 1; catalogue methods 0.1.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.detect import detect
    from siderea.pipelines.detect_catalogue import CATALOGUE_METHODS, detect_catalogue
    from siderea.pipelines.detect_map import detect_map

    if method.value in CATALOGUE_METHODS:
        result = detect_catalogue(store, method.value)
    elif method is Method.map:
        result = detect_map(store, map_name=map_name, labels=labels)
    else:
        if method is Method.ccf:
            recipe: Recipe = _ccf(store, max_velocity, significance, templates, map_name)
        else:
            recipe = _model(store, model, triples, model_error)
        with bar(f"Searching ({method.value})") as progress:
            result = detect(store, recipe, jobs=jobs, scheduler=scheduler, progress=progress)
    typer.echo(f"{result.n_searched} of {result.n_spectra} spectra searched")
    typer.echo(f"{result.n_multiple} show more than one star\nproduct: {result.path}")


def _ccf(
    store: Path, max_velocity: float, significance: float, templates: str, map_name: str
) -> Recipe:
    from siderea.binaries.detect import CCFSettings
    from siderea.io.store import SurveyStore
    from siderea.pipelines.ccf_templates import file_templates, map_reference, mask_templates
    from siderea.pipelines.detect import CCFRecipe

    settings = CCFSettings(significance=significance)
    if templates == "emulator":
        return CCFRecipe(settings, max_velocity)
    opened = SurveyStore.open(store)
    if templates == "reference":
        return CCFRecipe(settings, max_velocity, reference=map_reference(opened, map_name))
    masks = templates == "masks"
    chosen = mask_templates(opened) if masks else file_templates(opened, Path(templates))
    return CCFRecipe(settings, max_velocity, chosen)


def _model(store: Path, model: Path | None, triples: bool, errors: Errors) -> Recipe:
    from siderea.pipelines.detect import model_recipe

    return model_recipe(store, n_stars=3 if triples else 2, errors=errors.value, model=model)
