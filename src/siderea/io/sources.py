"""Which files a job is to read: names, folders, and lists of names.

A survey has millions of files: names are plain strings, in one sorted list, and nothing else is
kept of them.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from siderea.errors import DataError

__all__ = ["expand"]


def expand(paths: Iterable[str | os.PathLike[str]], *, suffixes: Sequence[str]) -> list[str]:
    """Turn arguments into files, sorted and without repeats.

    Parameters
    ----------
    paths : iterable of path-like
        A file; a folder (searched to any depth for files with one of ``suffixes``); or
        ``@LIST``, a text file with one such name per line (a survey has more files than a
        command line holds). Names in a list are relative to the list.
    suffixes : sequence of str
        Endings that count inside a folder, for instance ``(".fits", ".fits.gz")``.

    Returns
    -------
    list of str
        Sorted, so that a job is the same whatever the order of its arguments.

    Raises
    ------
    DataError
        If a name does not exist, or nothing is left to read.
    """
    found = [file for path in paths for file in _expand_one(os.fspath(path), tuple(suffixes))]
    if not found:
        raise DataError(f"no input: found no file ending in {' or '.join(suffixes)}")
    found.sort()
    if any(one == other for one, other in itertools.pairwise(found)):
        found = sorted(set(found))
    return found


def _expand_one(name: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    if name.startswith("@"):
        yield from _listed(Path(name[1:]), suffixes)
    elif os.path.isdir(name):
        yield from _in_folder(name, suffixes)
    elif os.path.exists(name):
        yield name
    else:
        raise DataError(f"{name}: no such file or folder")


def _listed(listing: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    if not listing.is_file():
        raise DataError(f"@{listing}: no such list of files")
    with open(listing, encoding="utf-8") as lines:
        for line in map(str.strip, lines):
            if line and not line.startswith("#"):
                yield from _expand_one(os.path.join(listing.parent, line), suffixes)


def _in_folder(folder: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    empty = True
    for path in _walk(folder):
        if path.endswith(suffixes):
            empty = False
            yield path
    if empty:
        raise DataError(f"{folder}: an empty folder; expected files ending in {suffixes[0]}")


def _walk(folder: str) -> Iterator[str]:
    """Yield every file below a folder; unlike `os.walk`, without a list of each folder's names."""
    below = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                below.append(entry.path)
            else:
                yield entry.path
    for path in below:
        yield from _walk(path)
