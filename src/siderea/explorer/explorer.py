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

from siderea.errors import DataError
from siderea.explorer.cache import ByteCache
from siderea.explorer.replies import compact
from siderea.explorer.schema import schema_of
from siderea.explorer.survey import Survey

__all__ = ["BusyError", "Explorer"]

_PACKED = 32 * 2**20
_WAIT = 30.0
"""Seconds that a call waits for the hands of the server to be free."""


class BusyError(Exception):
    """Too many heavy calls at once: try again."""


class Explorer:
    """One store being explored.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.survey = Survey(path)
        self._packed = ByteCache(_PACKED)
        self._hands = threading.BoundedSemaphore(2)
        self._schema: tuple[str, dict[str, Any]] = ("", {})
        self._schema_lock = threading.Lock()

    @contextmanager
    def hands(self) -> Iterator[None]:
        """Hold one of two places for heavy work.

        Raises
        ------
        BusyError
            If none is free for long.
        """
        if not self._hands.acquire(timeout=_WAIT):
            raise BusyError
        try:
            yield
        finally:
            self._hands.release()

    # -------------------------------------------------------------------------- schema

    @property
    def version(self) -> str:
        """Changes when anything in the schema does."""
        return hashlib.sha256(self.survey.version.encode()).hexdigest()[:16]

    def schema(self) -> dict[str, Any]:
        """Return the schema, made anew only where something changed."""
        self.survey.refresh()
        with self._schema_lock:
            version = self.version
            if self._schema[0] != version:
                self._schema = (version, {**schema_of(self.survey), "version": version})
            return self._schema[1]

    def state(self) -> dict[str, Any]:
        """Return what changes when anything does."""
        self.survey.refresh()
        return {"version": self.version, "labels": 0, "classify": "idle"}

    def close(self) -> None:
        """Let go of what is held."""

    # --------------------------------------------------------------------------- arrays

    def row(self, row: int) -> int:
        """Return a row, or say that it is none."""
        if not 0 <= row < len(self.survey):
            raise DataError(f"row {row}: expected 0 to {len(self.survey) - 1}")
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
