"""What people said of the spectra: an append-only log in SQLite.

Every action is one row of ``entries``, numbered without gaps, with its spectra in ``members``; both
are written in one transaction that is on the disk before the action is acknowledged. Nothing is
ever changed or deleted (triggers see to it): undoing is an entry too. The spectra are named by
their ids, so that the log outlives a new ingest.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from siderea.errors import StoreError

__all__ = ["SCHEMA_VERSION", "Entry", "LabelLog", "Said"]

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  time TEXT NOT NULL,
  user TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action IN ('label', 'undo', 'import')),
  kind TEXT NOT NULL CHECK (kind IN ('class', 'flag')),
  value TEXT NOT NULL,
  comment TEXT NOT NULL,
  undoes INTEGER REFERENCES entries (seq),
  n INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS members (
  seq INTEGER NOT NULL REFERENCES entries (seq),
  id TEXT NOT NULL,
  PRIMARY KEY (seq, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS members_id ON members (id);
CREATE INDEX IF NOT EXISTS undone ON entries (undoes) WHERE undoes IS NOT NULL;
"""
_FROZEN = """
CREATE TRIGGER IF NOT EXISTS {table}_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'the log of labels is append-only'); END;
"""
_SELECT = (
    "SELECT e.seq, e.time, e.user, e.action, e.kind, e.value, e.comment, e.undoes, e.n, "
    "EXISTS (SELECT 1 FROM entries u WHERE u.undoes = e.seq) FROM entries e "
)


@dataclass(frozen=True)
class Said:
    """What someone says of some spectra.

    Parameters
    ----------
    ids : sequence of str
    kind : {"class", "flag"}
    value : str
        Code or flag; empty takes away.
    user, comment : str
    action : {"label", "import"}
    """

    ids: Sequence[str]
    kind: str
    value: str
    user: str
    comment: str = ""
    action: str = "label"


@dataclass(frozen=True)
class Entry:
    """One row of the log; ``undone`` says whether a later one takes it back."""

    seq: int
    time: str
    user: str
    action: str
    kind: str
    value: str
    comment: str
    undoes: int | None
    n: int
    undone: bool


class LabelLog:
    """The log of one store; several processes may hold it open at once.

    Parameters
    ----------
    path : Path
        SQLite file, made where it is absent.

    Raises
    ------
    StoreError
        If it cannot be opened, or a newer siderea wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(exist_ok=True)
            self._database = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=30.0
            )
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: the log of labels cannot be opened ({error})") from error

    def _prepare(self) -> None:
        database = self._database
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: labels of format {version}; this siderea reads up to "
                f"{SCHEMA_VERSION}: install a newer siderea"
            )
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # acknowledged is on the disk
        database.execute("PRAGMA foreign_keys = ON")
        frozen = "".join(
            _FROZEN.format(table=table, verb=verb)
            for table in ("entries", "members")
            for verb in ("UPDATE", "DELETE")
        )
        database.executescript(
            f"BEGIN IMMEDIATE;{_SCHEMA}{frozen}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
        )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    # ------------------------------------------------------------------------- writing

    def append(self, said: Sequence[Said]) -> int:
        """Write actions, all of them or none, and return the number of the last.

        Parameters
        ----------
        said : sequence of Said
        """
        with self._lock, self._transaction():
            return [self._insert(one, None) for one in said][-1]

    def undo(self, user: str) -> Entry | None:
        """Take back the last action of a user that stands; None where there is none."""
        with self._lock, self._transaction():
            found = self._database.execute(
                _SELECT + "WHERE e.user = ? AND e.action != 'undo' AND NOT EXISTS "
                "(SELECT 1 FROM entries u WHERE u.undoes = e.seq) ORDER BY e.seq DESC LIMIT 1",
                (user,),
            ).fetchone()
            if found is None:
                return None
            last = _entry(found)
            said = Said((), last.kind, last.value, user, "", "undo")
            seq = self._insert(said, last.seq)
        return self.entry(seq)

    def _transaction(self) -> _Transaction:
        return _Transaction(self._database)

    def _insert(self, said: Said, undoes: int | None) -> int:
        ids = list(dict.fromkeys(said.ids))
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        cursor = self._database.execute(
            "INSERT INTO entries (time, user, action, kind, value, comment, undoes, n) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (now, said.user, said.action, said.kind, said.value, said.comment, undoes, len(ids)),
        )
        seq = int(cursor.lastrowid or 0)
        self._database.executemany(
            "INSERT INTO members (seq, id) VALUES (?, ?)", ((seq, one) for one in ids)
        )
        return seq

    # ------------------------------------------------------------------------- reading

    @property
    def seq(self) -> int:
        """Number of the last entry, 0 for none."""
        with self._lock:
            found = self._database.execute("SELECT max(seq) FROM entries").fetchone()[0]
        return int(found or 0)

    def entry(self, seq: int) -> Entry:
        """Return one entry."""
        with self._lock:
            return _entry(self._database.execute(_SELECT + "WHERE e.seq = ?", (seq,)).fetchone())

    def entries(self, since: int = 0, *, most: int = 500) -> list[Entry]:
        """Return entries after a number, in order, at most so many."""
        with self._lock:
            found = self._database.execute(
                _SELECT + "WHERE e.seq > ? ORDER BY e.seq LIMIT ?", (since, most)
            ).fetchall()
        return [_entry(row) for row in found]

    def members(self, seq: int, *, most: int | None = None) -> list[str]:
        """Return the ids of an entry, at most so many."""
        with self._lock:
            found = self._database.execute(
                "SELECT id FROM members WHERE seq = ? LIMIT ?", (seq, -1 if most is None else most)
            ).fetchall()
        return [row[0] for row in found]

    def of(self, one: str) -> list[Entry]:
        """Return what was said of a spectrum, in order."""
        with self._lock:
            found = self._database.execute(
                _SELECT + "JOIN members m ON m.seq = e.seq WHERE m.id = ? ORDER BY e.seq",
                (one,),
            ).fetchall()
        return [_entry(row) for row in found]

    def standing(self, kind: str) -> list[tuple[str, Entry]]:
        """Return (id, entry) of what was said last, and stands, of each spectrum that has a value.

        Parameters
        ----------
        kind : {"class", "flag"}
        """
        with self._lock:
            last = self._database.execute(
                "SELECT m.id, max(m.seq) FROM members m JOIN entries e ON e.seq = m.seq "
                "WHERE e.kind = ? AND NOT EXISTS "
                "(SELECT 1 FROM entries u WHERE u.undoes = e.seq) GROUP BY m.id",
                (kind,),
            ).fetchall()
        entries = {entry.seq: entry for entry in self.entries(most=-1)}
        return [(one, entries[seq]) for one, seq in last if entries[seq].value]


class _Transaction:
    """BEGIN IMMEDIATE to COMMIT, or nothing."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    def __enter__(self) -> None:
        self.database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self.database.execute("COMMIT" if kind is None else "ROLLBACK")


def _entry(row: Sequence) -> Entry:
    *fields, undone = row
    return Entry(*fields, undone=bool(undone))  # type: ignore[misc]
