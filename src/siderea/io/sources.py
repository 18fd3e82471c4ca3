"""Which files a job is to read: names, folders, and lists of names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from siderea.errors import DataError

__all__ = ["expand"]


def expand(paths: Iterable[str | Path], *, suffixes: Sequence[str]) -> list[Path]:
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
    list of Path
        Sorted by path, so that a job is the same whatever the order of its arguments.

    Raises
    ------
    DataError
        If a name does not exist, or nothing is left to read.
    """
    found: set[Path] = set()
    for path in paths:
        found.update(_expand_one(str(path), tuple(suffixes)))
    if not found:
        raise DataError(f"no input: found no file ending in {' or '.join(suffixes)}")
    return sorted(found)


def _expand_one(name: str, suffixes: tuple[str, ...]) -> list[Path]:
    if name.startswith("@"):
        listing = Path(name[1:])
        if not listing.is_file():
            raise DataError(f"{name}: no such list of files")
        lines = [line.strip() for line in listing.read_text(encoding="utf-8").splitlines()]
        named = [str(listing.parent / line) for line in lines if line and not line.startswith("#")]
        return [path for one in named for path in _expand_one(one, suffixes)]
    path = Path(name)
    if path.is_dir():
        files = [one for one in path.rglob("*") if one.name.endswith(suffixes) and one.is_file()]
        if not files:
            raise DataError(f"{path}: an empty folder; expected files ending in {suffixes[0]}")
        return files
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    return [path]
