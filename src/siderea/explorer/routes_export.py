"""Handlers of what leaves the explorer: files, and tables for other programs."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from siderea.explorer.asking import FILES, ROWS_BODY, Ask, OptionalKeys, Rows
from siderea.explorer.export import FORMATS, Format, exported
from siderea.explorer.replies import json_reply

__all__ = ["router"]

router = APIRouter(prefix="/api")


@router.post("/export", responses=FILES, openapi_extra=ROWS_BODY)
def export(
    explorer: Ask, rows: Rows, format: Annotated[Format, Query()], columns: OptionalKeys = None
) -> Response:
    """Give rows as a file."""
    with explorer.hands():
        pieces = exported(explorer.survey, rows, columns or (), format)
    kind = FORMATS[format]
    name = re.sub(r"[^\w.-]", "_", explorer.survey.store.path.stem, flags=re.ASCII)
    headers = {
        "content-disposition": f'attachment; filename="{name}_{rows.size}.{kind.suffix}"',
        "cache-control": "no-store",
    }
    return StreamingResponse(pieces, media_type=kind.media_type, headers=headers)


@router.post("/samp", openapi_extra=ROWS_BODY)
def samp(explorer: Ask, rows: Rows, columns: OptionalKeys = None) -> Response:
    """Send rows as a table to the programs on this desk."""
    with explorer.hands():
        content = b"".join(exported(explorer.survey, rows, columns or (), "votable"))
        title = f"{explorer.survey.store.path.stem}: {rows.size} selected"
        return json_reply({"clients": explorer.outbox.send(content, title)})
