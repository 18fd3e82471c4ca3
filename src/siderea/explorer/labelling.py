"""Labelling by rows: checked, written to the log, exchanged as tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siderea.classify.taxonomy import canonical
from siderea.errors import DataError
from siderea.explorer.ids import RowNames
from siderea.io.label_log import Entry, LabelLog, Said

__all__ = ["Imported", "checked", "entries_told", "export_csv", "import_csv"]

SHOWN = 1000
"""Rows of an entry that are listed."""

_FLAG = re.compile(r"\w[\w .+-]{0,39}")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PERSONS = ("person", "user")


@dataclass(frozen=True)
class Imported:
    """What a table brought.

    Parameters
    ----------
    seq : int
        Last entry.
    n : int
        Spectra that got a label.
    unknown : int
        Rows about spectra that are not in the store: they are kept in the log.
    """

    seq: int
    n: int
    unknown: int


def checked(kind: str, value: str) -> str:
    """Return a value as it is written: a class in its canonical code, a flag as a short word.

    Raises
    ------
    DataError
        If it is neither.

    Examples
    --------
    >>> checked("class", "bin_hfr"), checked("flag", " ghost ")
    ('HFR_BIN', 'ghost')
    """
    value = value.strip()
    if not value:
        return ""
    if kind == "class":
        return canonical(value)
    if not _FLAG.fullmatch(value):
        raise DataError("flag: expected a word of at most 40 letters, digits, blanks, '_.+-'")
    return value


def entries_told(
    log: LabelLog, names: RowNames, entries: Sequence[Entry], *, shown: int = SHOWN
) -> list[dict[str, Any]]:
    """Return entries with their rows, as the page gets them.

    Parameters
    ----------
    log : LabelLog
    names : RowNames
    entries : sequence of Entry
    shown : int
        Rows that are listed of each.
    """
    about = [entry.seq if entry.undoes is None else entry.undoes for entry in entries]
    ids = [log.members(seq, most=shown) if shown else [] for seq in about]
    # All at once: a look-up goes through the names of the whole store, however few are sought.
    rows = iter(names.rows_of([one for some in ids for one in some]).tolist())
    return [
        {**asdict(entry), "ids": some, "rows": [next(rows) for _ in some]}
        for entry, some in zip(entries, ids, strict=True)
    ]


def export_csv(log: LabelLog, kind: str) -> str:
    """Return what stands, as a table that `siderea classify --labels` reads.

    Parameters
    ----------
    log : LabelLog
    kind : {"class", "flag"}
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("id", kind, "person", "time", "comment"))
    for one, entry in sorted(log.standing(kind), key=lambda pair: pair[0]):
        words = (_safe(entry.user), entry.time, _safe(entry.comment))
        writer.writerow((one, entry.value, *words))
    return out.getvalue()


def _safe(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _unsafe(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text


def import_csv(log: LabelLog, names: RowNames, text: str, *, user: str) -> Imported:
    """Write a table of labels to the log: all of it, or nothing.

    Parameters
    ----------
    log : LabelLog
    names : RowNames
    text : str
        CSV with columns ``id`` and ``class`` (or ``flag``), and ``person``, ``comment`` if known.
    user : str
        Who is named where the table names nobody.

    Raises
    ------
    DataError
        If it is no such table.
    """
    said = _grouped(_read(text), user)
    if not said:
        raise DataError("labels: no row has an id and a class; nothing was imported")
    seq = log.append(said)
    rows: NDArray[np.int64] = np.concatenate([names.rows_of(list(one.ids)) for one in said])
    return Imported(seq, int(np.unique(rows[rows >= 0]).size), int(np.count_nonzero(rows < 0)))


def _read(text: str) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        columns = [str(name).strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        rows = [dict(row) for row in reader]
    except csv.Error as error:
        raise DataError(f"labels: not a CSV table ({error})") from error
    if "id" not in columns or not {"class", "flag"} & set(columns):
        raise DataError("labels: expected columns id and class (or flag), comma-separated")
    return rows


def _grouped(rows: Sequence[dict[str, Any]], user: str) -> list[Said]:
    """Return one action for all that one person says alike."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for number, row in enumerate(rows, 2):
        one = str(row.get("id") or "").strip()
        for kind in ("class", "flag"):
            given = str(row.get(kind) or "").strip()
            if not one or not given:
                continue
            try:
                value = checked(kind, given)
            except DataError as error:
                raise DataError(f"labels, line {number}: {error}") from error
            person = next((str(row[name]) for name in _PERSONS if row.get(name)), user)
            comment = _unsafe(str(row.get("comment") or ""))[:1000]
            key = (kind, value, _unsafe(person).strip()[:60] or user, comment)
            groups.setdefault(key, []).append(one[:200])
    return [
        Said(ids, kind, value, person, comment, "import")
        for (kind, value, person, comment), ids in groups.items()
    ]
