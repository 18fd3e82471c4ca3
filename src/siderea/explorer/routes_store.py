"""Handlers of what is in the store: schema, maps, columns, objects, search."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from siderea.explorer.asking import ROW, Ask
from siderea.explorer.objects import object_of
from siderea.explorer.replies import binary, json_reply

__all__ = ["router"]

router = APIRouter(prefix="/api")


@router.get("/schema")
def schema(explorer: Ask) -> Response:
    """Give what is in the store."""
    return json_reply(explorer.schema())


@router.get("/version")
def version(explorer: Ask) -> Response:
    """Give what changes when anything does."""
    return json_reply(explorer.state())


@router.get("/maps/{name}/xy")
def places(explorer: Ask, request: Request, name: Annotated[str, Path(max_length=200)]) -> Response:
    """Give the places on a map."""
    data, packed, made_of = explorer.places(name)
    return binary(request, data, version=made_of, packed=packed)


@router.get("/columns/{key:path}")
def column(explorer: Ask, request: Request, key: Annotated[str, Path(max_length=400)]) -> Response:
    """Give the values of a column."""
    data, packed, made_of = explorer.column(key)
    return binary(request, data, version=made_of, packed=packed)


@router.get("/wavelength")
def wavelength(explorer: Ask, request: Request) -> Response:
    """Give the grid of the spectra."""
    store = explorer.survey.store
    data = store.wavelength.astype("<f8").tobytes()
    return binary(request, data, version=explorer.survey.grid_version)


@router.get("/objects/{row}")
def one_object(explorer: Ask, row: ROW) -> Response:
    """Give all that is known of an object."""
    return json_reply(object_of(explorer.survey, explorer.row(row)))


@router.get("/search")
def search(explorer: Ask, q: Annotated[str, Query(max_length=200)]) -> Response:
    """Find objects by name or row."""
    found = explorer.survey.names.search(q)
    ids = explorer.survey.names.of(np.array(found.rows, dtype=np.int64))
    return json_reply({"rows": found.rows, "ids": ids, "total": found.total})
