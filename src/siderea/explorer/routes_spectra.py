"""Handlers of spectra: one, its model, its correlation, the mean of many."""

from __future__ import annotations

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response

from siderea.explorer.asking import OCTETS, ROW, ROWS_BODY, Ask, Rows
from siderea.explorer.mean_spectrum import mean_spectrum
from siderea.explorer.replies import binary, json_reply

__all__ = ["router"]

router = APIRouter(prefix="/api")


@router.get("/spectra/{row}", responses=OCTETS)
def spectrum(explorer: Ask, request: Request, row: ROW) -> Response:
    """Give flux and ivar of a spectrum."""
    flux, ivar = explorer.survey.flux_and_ivar(np.array([explorer.row(row)]))
    data = np.concatenate([flux[0], ivar[0]]).astype("<f4").tobytes()
    return binary(request, data, version=explorer.survey.grid_version)


@router.get("/spectra/{row}/model", responses=OCTETS)
def model(explorer: Ask, request: Request, row: ROW) -> Response:
    """Give the fitted model of a spectrum, and the light of each of its stars."""
    with explorer.hands():
        overlay = explorer.overlays.of(explorer.row(row))
    headers = {"x-siderea-parts": ",".join(overlay.names)}
    return binary(request, overlay.flux.astype("<f4").tobytes(), headers=headers)


@router.get("/spectra/{row}/ccf")
def correlation(explorer: Ask, row: ROW) -> Response:
    """Give the cross-correlation of a spectrum and the stars found in it."""
    with explorer.hands():
        return json_reply(explorer.correlations.of(explorer.row(row)))


@router.post("/selection/spectrum", responses=OCTETS, openapi_extra=ROWS_BODY)
def selection(explorer: Ask, request: Request, rows: Rows) -> Response:
    """Give the mean spectrum of a selection and the scatter about it."""
    with explorer.hands():
        found = mean_spectrum(explorer.survey, rows)
    data = np.concatenate([found.mean, found.sigma]).astype("<f4").tobytes()
    return binary(request, data, headers={"x-siderea-count": str(found.n)})
