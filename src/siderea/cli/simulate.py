"""``siderea simulate``: a survey with the truth known."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    help="Simulate a survey whose truth is known: spectra, photometry or light curves.",
    no_args_is_help=True,
)

Stars = Annotated[int, typer.Option(min=1, help="Number of stars.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed: the same gives the same bits.")]
Fraction = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0, help="Share of systems with companions (default: by the star's mass)."
    ),
]
Table = Annotated[Path, typer.Option("--output", "-o", help="The Parquet table to write.")]


class InstrumentName(StrEnum):
    """Instruments that can be simulated."""

    galah = "galah"
    apogee = "apogee"


class FrameName(StrEnum):
    """Frames of the stored wavelengths."""

    rest = "rest"
    barycentric = "barycentric"


class SamplingName(StrEnum):
    """Telescopes whose light curves can be simulated."""

    kepler = "kepler"
    gaia = "gaia"


@app.command()
def spectra(
    stars: Stars,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The NAME.siderea folder to make.")
    ],
    seed: Seed = 0,
    binary_fraction: Fraction = None,
    instrument: Annotated[
        InstrumentName, typer.Option(help="Whose pixels, resolution and S/N.")
    ] = InstrumentName.galah,
    models: Annotated[
        Path | None, typer.Option(help="Folder of El-Badry's networks, for APOGEE.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Spectra per star, on its orbit.")] = 1,
    frame: Annotated[FrameName, typer.Option(help="Frame of the wavelengths.")] = FrameName.rest,
    peculiar: Annotated[
        float, typer.Option(min=0.0, help="Multiplies the shares of the peculiar classes.")
    ] = 1.0,
    noise: Annotated[
        bool, typer.Option("--noise/--noiseless", help="Add noise, or do not.")
    ] = True,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes (default: as many as cores).")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a complete store.")] = False,
) -> None:
    """Simulate spectra into a store, as `siderea ingest` would store them.

    The product `truth` holds all that is known of each spectrum. An interrupted simulation goes on
    when the same command is run again.

    Memory: 1.4 GiB whatever the number of stars (two workers). Time: 2 to 3 s of processor per
    thousand spectra, and 4 s per process to start.
    """
    from siderea.cli.progress import bar
    from siderea.pipelines.simulate import Recipe, simulate_spectra
    from siderea.simulate.population import PECULIAR
    from siderea.simulate.spectra import SpectraSettings

    recipe = Recipe(
        n_stars=stars,
        seed=seed,
        instrument=instrument.value,
        models=str(models or ""),
        binary_fraction=binary_fraction,
        peculiar=tuple((code, peculiar * share) for code, share in PECULIAR),
        settings=SpectraSettings(frame=frame.value, visits=epochs, noise=noise),
    )
    with bar("Simulating") as progress:
        store = simulate_spectra(
            recipe, output, jobs=workers, overwrite=overwrite, progress=progress
        )
    typer.echo(f"{output}: {len(store)} spectra of {store.n_pixels} pixels; product truth")


@app.command()
def photometry(
    stars: Stars,
    output: Table,
    seed: Seed = 0,
    binary_fraction: Fraction = None,
    hats: Annotated[
        bool, typer.Option("--hats", help="Write a HATS catalogue of the whole sky instead.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes (with --hats).")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler (with --hats).")
    ] = None,
) -> None:
    """Simulate magnitudes with errors and missing bands, and beside them NAME.truth.parquet.

    With --hats: a folder with the mock Milky Way to r = 20, the truth in its columns true_*, drawn
    pixel by pixel; an interrupted one goes on when the same command is run again.

    Memory: 0.4 GiB per process, whatever the number of stars. Time: a second, and .05 s per
    thousand stars; with --hats, 10 s, and .01 s of processor time per thousand stars.
    """
    from siderea.cli.progress import bar

    with bar("Simulating") as progress:
        if hats:
            from siderea.pipelines.mock_sky import simulate_sky

            done = simulate_sky(
                output,
                n_stars=stars,
                seed=seed,
                binary_fraction=binary_fraction,
                jobs=jobs,
                scheduler=scheduler,
                progress=progress,
            )
            message = f"{output}: {done.n_stars} stars in HATS; the truth in the columns true_*"
        else:
            from siderea.pipelines.simulate_tables import simulate_photometry

            n = simulate_photometry(
                output,
                n_stars=stars,
                seed=seed,
                binary_fraction=binary_fraction,
                progress=progress,
            )
            message = f"{output}: {n} stars; truth in {output.with_suffix('.truth.parquet')}"
    typer.echo(message)


@app.command()
def lightcurves(
    stars: Stars,
    output: Table,
    seed: Seed = 0,
    binary_fraction: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Share of eclipsing binaries; the others are constant."
        ),
    ] = 1.0,
    sampling: Annotated[
        SamplingName, typer.Option(help="Whose times and noise.")
    ] = SamplingName.kepler,
) -> None:
    """Simulate light curves of eclipsing binaries, and beside them NAME.truth.parquet.

    Memory: 0.3 GiB and 0.1 MB per star. Time: 20 to 25 s per thousand stars.
    """
    from siderea.pipelines.simulate_tables import simulate_lightcurves

    n = simulate_lightcurves(
        output,
        n_stars=stars,
        seed=seed,
        binary_fraction=binary_fraction,
        sampling=sampling.value,
    )
    typer.echo(f"{output}: {n} stars; truth in {output.with_suffix('.truth.parquet')}")
