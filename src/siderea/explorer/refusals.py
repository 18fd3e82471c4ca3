"""Why a call is refused, and with which status."""

from __future__ import annotations

from siderea.errors import DataError

__all__ = ["AbsentError", "NotNowError", "TooLargeError"]


class AbsentError(DataError):
    """There is no such row, column, map or product."""

    status = 404


class NotNowError(DataError):
    """The store, or what else is needed, does not allow it as it is."""

    status = 409


class TooLargeError(DataError):
    """More than the server gives at once."""

    status = 413
