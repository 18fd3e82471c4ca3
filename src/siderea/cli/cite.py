"""``siderea cite``: the literature behind a method."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["run"]


def run(
    method: Annotated[str | None, typer.Argument(help="A method; everything by default.")] = None,
) -> None:
    """Print the BibTeX entries of a method, or of everything.

    Memory and time: none to speak of.
    """
    from siderea.citations import bibtex

    typer.echo(bibtex(method))
