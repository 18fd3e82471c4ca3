"""Summaries of columns kept beside the labels, so that a large store opens at once again."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

from siderea.errors import StoreError
from siderea.explorer.columns import Columns
from siderea.explorer.values import Summary
from siderea.io.files import atomic_write

__all__ = ["load", "save"]

FORMAT = 1


def load(path: Path, columns: Columns) -> int:
    """Give columns the summaries that were kept; return how many.

    Parameters
    ----------
    path : Path
    columns : Columns
        A summary of another version of its table is not used.

    Notes
    -----
    A file that is absent, damaged or of another format is as good as none: all can be made anew.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        if held["format"] != FORMAT:
            return 0
        columns.summaries = {
            key: (version, Summary(**{**said, "words": tuple(said["words"])}))
            for key, (version, said) in held["columns"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0
    return len(columns.summaries)


def save(path: Path, columns: Columns) -> None:
    """Keep the summaries; where the store cannot be written to, they are not kept.

    Parameters
    ----------
    path : Path
    columns : Columns
    """
    files = {name for name, table in columns.tables.items() if hasattr(table, "path")}
    held = {
        key: (version, asdict(said))
        for key, (version, said) in columns.summaries.items()
        if key.partition(":")[0] in files
    }
    with contextlib.suppress(OSError, StoreError):
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path, "w") as handle:
            json.dump({"format": FORMAT, "columns": held}, handle)
