"""The errors siderea raises on purpose: each says what was found, what was expected, what to do.

The command line turns a `SidereaError` into one line on stderr and exit code 2. Anything else that
escapes is a bug of ours, and exits with 1.
"""

__all__ = [
    "DataError",
    "MediumError",
    "NotThisProductError",
    "ProductError",
    "SidereaError",
    "StorageFullError",
    "StoreError",
]


class SidereaError(Exception):
    """Base class of every error that bad input, not a bug, can cause."""


class DataError(SidereaError, ValueError):
    """Arrays of the wrong shape, unit or content."""


class MediumError(DataError):
    """Air wavelengths met vacuum wavelengths (or a name that is neither)."""


class NotThisProductError(SidereaError):
    """A file is not of the product that the reader reads, or is damaged."""

    def __init__(self, path: object, found: str, expected: str) -> None:
        self.path, self.found, self.expected = str(path), found, expected
        super().__init__(f"{path}: found {found}; expected {expected}")

    def __reduce__(self) -> tuple:
        """Pickle by the three fields, so that the error crosses from a worker process."""
        return (type(self), (self.path, self.found, self.expected))


class StoreError(SidereaError):
    """A survey store that is absent, damaged, incomplete, or does not fit what is written to it."""


class StorageFullError(StoreError):
    """The disk is full; what was committed before stays readable and the job resumes from it."""


class ProductError(StoreError):
    """A product that is not in the store, or does not belong to its catalogue."""
