"""Handlers of what is in the store: schema, maps, columns, objects, search, filter."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from siderea.explorer.asking import OCTETS, ROW, ROWS_BODY, Ask, Keys, Rows
from siderea.explorer.export import rows_told
from siderea.explorer.expression import mask_of
from siderea.explorer.labelling import entries_told
from siderea.explorer.models import Filter
from siderea.explorer.neighbours import MOST
from siderea.explorer.objects import object_of
from siderea.explorer.refusals import TooLargeError
from siderea.explorer.replies import binary, compact, json_reply

__all__ = ["router"]

MOST_SHOWN = 5000
"""Rows of a table on the screen."""

router = APIRouter(prefix="/api")
Name = Annotated[str, Path(max_length=200)]


@router.get("/schema")
def schema(explorer: Ask, request: Request) -> Response:
    """Give what is in the store."""
    text, version = explorer.schema_text()
    headers = {"content-type": "application/json"}
    return binary(request, text, version=version, packed=compact(text), headers=headers)


@router.get("/version")
def version(explorer: Ask) -> Response:
    """Give what changes when anything does."""
    return json_reply(explorer.state())


@router.get("/maps/{name}/xy", responses=OCTETS)
def places(explorer: Ask, request: Request, name: Name) -> Response:
    """Give the places on a map."""
    data, packed, made_of = explorer.places(name)
    return binary(request, data, version=made_of, packed=packed)


@router.get("/columns/{key:path}", responses=OCTETS)
def column(explorer: Ask, request: Request, key: Annotated[str, Path(max_length=400)]) -> Response:
    """Give the values of a column."""
    data, packed, made_of = explorer.column(key)
    return binary(request, data, version=made_of, packed=packed)


@router.get("/wavelength", responses=OCTETS)
def wavelength(explorer: Ask, request: Request) -> Response:
    """Give the grid of the spectra."""
    data = explorer.survey.store.wavelength.astype("<f8").tobytes()
    return binary(request, data, version=explorer.survey.grid_version)


@router.get("/objects/{row}")
def one_object(explorer: Ask, row: ROW) -> Response:
    """Give all that is known of an object."""
    known = object_of(explorer.survey, explorer.row(row))
    if explorer.schema()["has"]["labels"]:
        log, names = explorer.log, explorer.survey.names
        known["labels"] = entries_told(log, names, log.of(known["id"]), shown=0)
    return json_reply({"labels": [], **known})


@router.get("/search")
def search(explorer: Ask, q: Annotated[str, Query(max_length=200)]) -> Response:
    """Find objects by name or row."""
    names = explorer.survey.names
    found = names.search(q.encode("utf-8", "replace").decode("utf-8"))
    ids = names.of(np.array(found.rows, dtype=np.int64))
    return json_reply({"rows": found.rows, "ids": ids, "total": found.total})


@router.get("/neighbours/{row}")
def neighbours(
    explorer: Ask,
    row: ROW,
    space: Annotated[str, Query(max_length=220, examples=["map:tsne"])],
    k: Annotated[int, Query(ge=1, le=MOST)] = 20,
) -> Response:
    """Give the nearest objects on a map or among its features."""
    with explorer.hands():
        near = explorer.neighbours.of(explorer.row(row), space, k)
    ids = explorer.survey.names.of(near.rows)
    return json_reply({"rows": near.rows, "distances": near.distances, "ids": ids})


@router.post("/filter", responses=OCTETS)
def filter_rows(explorer: Ask, request: Request, sent: Filter) -> Response:
    """Give which rows satisfy an expression."""
    survey = explorer.survey
    with explorer.hands():
        mask = mask_of(sent.expression, survey.columns, len(survey))
    data = mask.astype(np.uint8).tobytes()
    headers = {"x-siderea-count": str(np.count_nonzero(mask))}
    return binary(request, data, packed=compact(data), headers=headers)


@router.post("/table", openapi_extra=ROWS_BODY)
def table(explorer: Ask, rows: Rows, columns: Keys) -> Response:
    """Give rows of columns as they are."""
    if rows.size > MOST_SHOWN:
        raise TooLargeError(f"{rows.size} rows: a table on the screen takes {MOST_SHOWN}")
    with explorer.hands():
        return json_reply(rows_told(explorer.survey, rows, columns))
