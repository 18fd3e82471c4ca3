"""A progress bar on stderr, for the commands that take a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["bar", "steps"]


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for the time of a ``with``.

    Parameters
    ----------
    what : str
        What is being done.

    Yields
    ------
    callable
        To be called with (done, in all).
    """
    with steps() as step:
        yield step(what)


@contextmanager
def steps() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show bars, one below the other, for the time of a ``with``.

    Yields
    ------
    callable
        By what is being done returns what is to be called with (done, in all).
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as shown:

        def step(what: str) -> Callable[[int, int], None]:
            task = shown.add_task(what, total=None)

            def update(done: int, total: int) -> None:
                shown.update(task, completed=done, total=total)

            return update

        yield step
