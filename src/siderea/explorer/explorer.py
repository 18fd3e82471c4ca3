"""The services of one explorer together: what the handlers are handed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siderea.errors import DataError, StoreError
from siderea.explorer import summary_file
from siderea.explorer.cache import ByteCache
from siderea.explorer.correlation import Correlations
from siderea.explorer.label_table import LabelTable
from siderea.explorer.neighbours import Neighbours
from siderea.explorer.overlay import Overlays
from siderea.explorer.refit import Refit
from siderea.explorer.refusals import AbsentError, NotNowError
from siderea.explorer.replies import as_json, compact
from siderea.explorer.samp import Outbox
from siderea.explorer.schema import schema_of
from siderea.explorer.survey import Survey
from siderea.io.label_log import LabelLog

__all__ = ["LOG", "BusyError", "Explorer"]

LOG = Path("explorer") / "labels.sqlite"
"""The log of labels within a store."""

SUMMARIES = Path("explorer") / "summaries.json"
"""What is said of its columns: can be made anew at any time."""

_PACKED = 32 * 2**20
_QUEUE = 32
"""Heavy calls at work or waiting; the handlers have 40 threads."""
_WAIT = 30.0
"""Seconds that a call waits for the hands of the server to be free."""

_NO_CLASSIFIER = "this store holds light curves: siderea classify knows spectra only"
_NO_FEATURES = "no map of the store keeps its features: run siderea embed again"


class BusyError(Exception):
    """Too many heavy calls at once: try again."""


class Explorer:
    """One store being explored.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.

    Raises
    ------
    SidereaError
        If it cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.survey = survey = Survey(path)
        self.neighbours = Neighbours(survey)
        self.correlations = Correlations(survey)
        self.overlays = Overlays(survey)
        self.outbox = Outbox(f"siderea explorer: {survey.store.path.stem}")
        self._open_log()
        self._summaries = survey.store.path / SUMMARIES
        self._packed = ByteCache(_PACKED)
        self._hands = threading.BoundedSemaphore(2)
        self._queue = threading.BoundedSemaphore(_QUEUE)
        self._schema: tuple[str, dict[str, Any], bytes] = ("", {}, b"")
        self._schema_lock = threading.Lock()

    def _open_log(self) -> None:
        """Open the log of labels; a store that cannot be written to is explored without."""
        self._log: LabelLog | None = None
        self._refit: Refit | None = None
        self._no_log = ""
        try:
            self._log = LabelLog(self.survey.store.path / LOG)
        except StoreError as error:
            self._no_log = str(error)
            return
        table = LabelTable(self._log, self.survey.names)
        self._refit = Refit(table, self.neighbours)
        self.survey.add(table)

    def close(self) -> None:
        """Let go of files."""
        self.outbox.close()
        if self._log is not None:
            self._log.close()

    @contextmanager
    def hands(self) -> Iterator[None]:
        """Hold one of two places for heavy work.

        Raises
        ------
        BusyError
            If none is free for long, or too many wait already: light calls need threads too.
        """
        if not self._queue.acquire(blocking=False):
            raise BusyError
        try:
            if not self._hands.acquire(timeout=_WAIT):
                raise BusyError
            try:
                yield
            finally:
                self._hands.release()
        finally:
            self._queue.release()

    # -------------------------------------------------------------------- what there is

    @property
    def log(self) -> LabelLog:
        """The log of labels; a `NotNowError` where it cannot be written."""
        if self._log is None:
            raise NotNowError(self._no_log)
        return self._log

    @property
    def refit(self) -> Refit:
        """The classifier; a `NotNowError` where there can be none."""
        missing = self._no_classifier()
        if missing or self._refit is None:
            raise NotNowError(missing)
        return self._refit

    def _no_classifier(self) -> str:
        """Return why nothing can be learned here, empty where it can."""
        if self.survey.kind != "spectra":
            return _NO_CLASSIFIER
        if self._refit is None:
            return self._no_log
        return "" if self.survey.features() else _NO_FEATURES

    def state(self) -> dict[str, Any]:
        """Return what changes when anything does."""
        self._renew()
        seq = 0 if self._log is None else self._log.seq
        job = "idle" if self._refit is None else self._refit.status.state
        return {"version": self._version(), "labels": seq, "classify": job}

    def schema(self) -> dict[str, Any]:
        """Return the schema, made anew only where something changed."""
        return self._described()[1]

    def schema_text(self) -> tuple[bytes, str]:
        """Return the schema as JSON, and its version."""
        version, _, text = self._described()
        return text, version

    def _described(self) -> tuple[str, dict[str, Any], bytes]:
        self._renew()
        with self._schema_lock:
            version, columns = self._version(), self.survey.columns
            if self._schema[0] != version:
                before = len(columns.summaries) or summary_file.load(self._summaries, columns)
                told = {**schema_of(self.survey), **self._abilities(), "version": version}
                self._schema = (version, told, as_json(told))
                if len(columns.summaries) > before:
                    summary_file.save(self._summaries, columns)
            return self._schema

    def _renew(self) -> None:
        self.survey.refresh()
        if self._refit is not None and self._refit.table is not None:
            self.survey.add(self._refit.table)

    def _version(self) -> str:
        said = f"{self.survey.version} {self._no_classifier()}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def _abilities(self) -> dict[str, Any]:
        missing = self._no_classifier()
        has = {
            "model": self.overlays.available,
            "ccf": self.survey.kind == "spectra",
            "features": bool(self.survey.features()),
            "labels": self._log is not None,
            "classify": not missing,
        }
        notes = {"classify": missing, "labels": self._no_log}
        return {"has": has, "notes": {name: text for name, text in notes.items() if text}}

    def default_features(self) -> str:
        """Return the map whose features are learned on when none is named."""
        names = self.survey.features()
        wanted = self.schema()["default"]["map"]
        return wanted if wanted in names else names[0]

    # --------------------------------------------------------------------------- arrays

    def row(self, row: int) -> int:
        """Return a row, or say that it is none."""
        if not 0 <= row < len(self.survey):
            raise AbsentError(f"row {row}: expected 0 to {len(self.survey) - 1}")
        return row

    def rows(self, body: bytes) -> NDArray[np.int64]:
        """Return the rows that a body of uint32 names.

        Raises
        ------
        DataError
            If it is none, empty, or names rows that are not there.
        """
        if not body or len(body) % 4:
            raise DataError(f"body: found {len(body)} bytes; expected rows as uint32")
        rows = np.frombuffer(body, dtype="<u4").astype(np.int64)
        if rows.max() >= len(self.survey):
            raise DataError(f"row {rows.max()}: expected 0 to {len(self.survey) - 1}")
        return rows

    def column(self, key: str) -> tuple[bytes, bytes | None, str]:
        """Return a column's bytes, the same packed where that pays, and its version."""
        columns = self.survey.columns
        version = columns.column(key).version
        data = columns.buffer(key)
        return data, self._pack(("column", key, version), data), version

    def places(self, name: str) -> tuple[bytes, bytes | None, str]:
        """Return a map's places likewise."""
        version = self.survey.map(name).version
        data = self.survey.places(name).tobytes()
        return data, self._pack(("map", name, version), data), version

    def _pack(self, key: tuple[str, str, str], data: bytes) -> bytes | None:
        packed = self._packed.get(key, lambda: compact(data) or b"", lambda held: len(held) + 64)
        return packed or None
