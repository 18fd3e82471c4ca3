"""``siderea explore``: the map, the spectra and the labels of a store in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    store: Annotated[Path, typer.Argument(help="The NAME.siderea folder.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine, with --token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any that is free.")
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="SIDEREA_TOKEN", help="Word that whoever calls has to know."),
    ] = None,
) -> None:
    """Explore a store in a browser: map, spectra, labels. Says the address; Ctrl-C ends it.

    Labels are kept in the store (explorer/labels.sqlite), whatever happens to the server.

    Memory: 0.5 GiB for 600,000 spectra, whatever their pixels; 1 GiB while it refits.
    Time: ready within a few seconds; nothing is copied.
    """
    from siderea.errors import DataError

    try:
        from siderea.explorer.security import Policy
        from siderea.explorer.server import Listening
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "siderea":
            raise
        raise DataError(
            f"the explorer needs {error.name}: pip install 'siderea[explorer]'"
        ) from error

    listening = Listening(store, policy=Policy(host, token), port=port)
    typer.echo(f"{store}: explore it at {listening.address} (Ctrl-C ends)")
    if token:
        typer.echo("open it with /?token=... once; the browser then remembers it")
    listening.run()
