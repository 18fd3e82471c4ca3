"""What a job skipped and why, kept beside its result so that a resumed job still knows it."""

from __future__ import annotations

import csv
import io
import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from siderea.errors import DataError
from siderea.io.files import atomic_write

__all__ = ["Failure", "Ledger"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A source, or a spectrum of one, that is not in the store, and why."""

    ordinal: int
    source: str
    reason: str


class Ledger:
    """The failures of a job, in a CSV file.

    Parameters
    ----------
    path : Path
        The file; read if it is there.
    begin : int
        Ordinal of the source where the job goes on: later failures will be found again.
    """

    def __init__(self, path: Path, begin: int) -> None:
        self.path = path
        self.failures: list[Failure] = []
        if path.is_file():
            rows = pd.read_csv(path, keep_default_na=False, dtype=str).itertuples(index=False)
            known = [Failure(int(row.ordinal), row.source, row.reason) for row in rows]
            self.failures = [one for one in known if one.ordinal < begin]

    def add(self, failures: list[Failure], *, strict: bool) -> None:
        """Note failures; with ``strict`` the first one ends the job."""
        for failure in failures:
            logger.warning("skipped %s: %s", failure.source, failure.reason)
        if failures and strict:
            raise DataError(f"{failures[0].reason} (--strict: stopped at the first bad source)")
        self.failures += failures
        if failures:
            self.write()

    def write(self) -> None:
        """Write ``failures.csv``, sorted, only if there is something to say."""
        self.failures.sort(key=lambda failure: failure.ordinal)
        if not self.failures:
            return
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["ordinal", "source", "reason"])
        rows.writerows((one.ordinal, one.source, one.reason) for one in self.failures)
        with atomic_write(self.path, "w") as handle:
            handle.write(text.getvalue())
