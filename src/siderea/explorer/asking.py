"""What handlers ask for: the explorer, rows of a body, and how these stand in the description."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import Depends, Path, Query, Request
from numpy.typing import NDArray

from siderea.explorer.explorer import Explorer

__all__ = [
    "FILES",
    "OCTETS",
    "ROW",
    "ROWS_BODY",
    "TEXT",
    "Ask",
    "Keys",
    "OptionalKeys",
    "Rows",
    "explorer_of",
]


def explorer_of(request: Request) -> Explorer:
    """Return the explorer of the application that a request came to."""
    explorer: Explorer = request.app.state.explorer
    return explorer


async def rows_of(request: Request) -> NDArray[np.int64]:
    """Return the rows that the body names."""
    return explorer_of(request).rows(await request.body())


Ask = Annotated[Explorer, Depends(explorer_of)]
Rows = Annotated[Any, Depends(rows_of)]
Keys = Annotated[list[str], Query(min_length=1, max_length=500)]
OptionalKeys = Annotated[list[str] | None, Query(max_length=500)]
ROW = Annotated[int, Path(ge=0, le=2**32 - 1)]

_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
TEXT = {"text/csv": {"schema": {"type": "string"}}}
FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a file",
        "content": {
            **TEXT,
            **{
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("application/fits", "application/x-votable+xml")
            },
        },
    }
}
"""How a reply that is a file stands in the description."""

OCTETS: dict[int | str, dict[str, Any]] = {
    200: {"description": "little-endian array", "content": _BINARY}
}
"""How a reply of an array stands in the description."""

ROWS_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "description": "rows, uint32", "content": _BINARY}
}
"""How a body of rows stands in the description."""
