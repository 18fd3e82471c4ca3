"""The command line: one thin file per subcommand, arguments to pipeline to files.

A subcommand imports its rooms only when it runs, so that ``siderea --help`` answers at once.
Exit codes: 0 success; 2 bad input, with one clear line on stderr; 1 a failure of ours.
"""

from __future__ import annotations

import sys
import warnings

import typer

from siderea.cli import (
    calibrate,
    cite,
    classify,
    compare,
    demo,
    detect,
    embed,
    explore,
    info,
    ingest,
    lightcurves,
    limits,
    photometry,
    report,
    rv,
    simulate,
    synthesise,
)
from siderea.errors import SidereaError

__all__ = ["app", "main"]

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Typer's base class of every mistake in the arguments; it has no public name of its own."""

app = typer.Typer(
    name="siderea",
    help="Machine learning on large stellar surveys.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich takes longer than all the rest
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for command in (
    ingest,
    embed,
    classify,
    explore,
    calibrate,
    detect,
    compare,
    limits,
    rv,
    lightcurves,
    report,
    info,
    demo,
    synthesise,
    cite,
):
    app.command(command.__name__.rpartition(".")[2])(command.run)
app.add_typer(simulate.app, name="simulate")
app.add_typer(photometry.app, name="photometry")


def _as_one_line(message: Warning | str, *_: object) -> str:
    return f"siderea: note: {message}\n"


def main() -> None:
    """Run the command line; errors of the input become one line and exit code 2."""
    warnings.formatwarning = _as_one_line  # type: ignore[assignment]
    try:
        sys.exit(app(standalone_mode=False))
    except UsageError as error:
        message = getattr(error, "format_message", error.__str__)()
        if message:  # without arguments at all, the help was shown
            print(f"siderea: {message} (try --help)", file=sys.stderr)
        sys.exit(2)
    except SidereaError as error:
        print(f"siderea: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        print("siderea: interrupted; run the same command again to resume", file=sys.stderr)
        sys.exit(130)
