"""Handlers of labels: the log, its tables, the classifier that learns from it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from siderea.errors import DataError
from siderea.explorer.asking import TEXT, Ask, explorer_of
from siderea.explorer.labelling import checked, entries_told, export_csv, import_csv
from siderea.explorer.models import Label, Undo, User
from siderea.explorer.queue import stored_queue
from siderea.explorer.refusals import AbsentError, NotNowError
from siderea.explorer.replies import json_reply
from siderea.io.label_log import Said

__all__ = ["router"]

MOST_ENTRIES = 500

router = APIRouter(prefix="/api")


@router.get("/labels")
def labels(explorer: Ask, since: Annotated[int, Query(ge=0, le=2**53)] = 0) -> Response:
    """Give the entries of the log after a number."""
    log, names = explorer.log, explorer.survey.names
    entries = log.entries(since, most=MOST_ENTRIES)
    told = entries_told(log, names, entries)
    last = log.seq
    more = bool(entries) and entries[-1].seq < last
    return json_reply({"seq": last, "more": more, "entries": told})


@router.post("/labels")
def label(explorer: Ask, sent: Label) -> Response:
    """Give rows a class or a flag."""
    rows = np.unique(np.array(sent.rows, dtype=np.int64))
    explorer.row(int(rows[-1]))
    ids = explorer.survey.names.of(rows)
    said = Said(ids, sent.kind, checked(sent.kind, sent.value), sent.user, sent.comment)
    return json_reply({"seq": explorer.log.append([said])})


@router.post("/labels/undo")
def undo(explorer: Ask, sent: Undo) -> Response:
    """Take back the last action of a user."""
    entry = explorer.log.undo(sent.user)
    if entry is None:
        raise NotNowError("nothing to undo: no action of this user stands")
    return json_reply({"seq": entry.seq, "undone": entry.undoes})


@router.get("/labels/export", responses={200: {"content": TEXT}})
def export(explorer: Ask, kind: Annotated[Literal["class", "flag"], Query()] = "class") -> Response:
    """Give what stands as a CSV table."""
    headers = {
        "content-disposition": 'attachment; filename="labels.csv"',
        "cache-control": "no-store",
    }
    text = export_csv(explorer.log, kind)
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


async def _text(request: Request) -> str:
    explorer_of(request)
    try:
        return (await request.body()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("labels: not text in UTF-8; expected a CSV table") from error


_CSV_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": TEXT}}


@router.post("/labels/import", openapi_extra=_CSV_BODY)
def import_labels(
    explorer: Ask, text: Annotated[str, Depends(_text)], user: Annotated[User, Query()]
) -> Response:
    """Add a CSV table of labels to the log."""
    found = import_csv(explorer.log, explorer.survey.names, text, user=user.strip())
    return json_reply(asdict(found))


@router.post("/classify")
def classify(explorer: Ask, map: Annotated[str | None, Query(max_length=200)] = None) -> Response:
    """Learn from the labels as they are now."""
    refit = explorer.refit
    return json_reply({"job": refit.start(map or explorer.default_features())})


@router.get("/classify")
def classify_state(explorer: Ask) -> Response:
    """Give how the learning stands."""
    try:
        status = explorer.refit.status
    except NotNowError as error:
        return json_reply({"job": 0, "state": "idle", "message": str(error)})
    version = explorer.state()["version"]
    return json_reply({**asdict(status), "version": version})


@router.get("/review")
def review(explorer: Ask, n: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
    """Give the spectra most worth a look."""
    found = None
    if explorer.schema()["has"]["classify"]:
        with explorer.hands():
            found = explorer.refit.review(n)
    if found is None:
        found = stored_queue(explorer.survey, n)
    if found is None:
        raise AbsentError("no queue yet: label two classes and refit, or run siderea classify")
    rows, reasons = found
    return json_reply({"rows": rows, "ids": explorer.survey.names.of(rows), "reasons": reasons})
