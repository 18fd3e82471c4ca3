"""Writing that is all or nothing: a file appears whole under its name, or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from siderea.errors import StorageFullError, StoreError

__all__ = ["atomic_write", "full_disk_is_clear", "locked", "read_json", "write_json"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def full_disk_is_clear(path: Path) -> Iterator[None]:
    """Turn the operating system's "no space left" into one clear `StorageFullError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFullError(
            f"{path}: the disk is full ({error.strerror}); what was written before is kept: "
            "free some space and run the same command again to resume"
        ) from error


@contextlib.contextmanager
def atomic_write(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path`` that takes its name once closed without error.

    Parameters
    ----------
    path : Path
        Final name.
    mode : {"wb", "w"}
        Binary or text.

    Yields
    ------
    file object
        Flushed to the disk before the rename, so that a crash leaves the old file or the new one.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    encoding = None if "b" in mode else "utf-8"
    try:
        with full_disk_is_clear(path):
            with open(temporary, mode, encoding=encoding) as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file atomically, keys in the order given."""
    with atomic_write(path, "w") as handle:
        json.dump(content, handle, indent=2)
        handle.write("\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file; a damaged one is a `StoreError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: found damaged JSON ({error}); expected a manifest") from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; the system frees it even when the process is killed."""
    with open(path, "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                f"{path.parent}: another process is writing this store; wait for it, or stop it"
            ) from error
        yield
