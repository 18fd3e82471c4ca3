"""Handlers of spectra."""

from __future__ import annotations

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response

from siderea.explorer.asking import OCTETS, ROW, Ask
from siderea.explorer.replies import binary

__all__ = ["router"]

router = APIRouter(prefix="/api")


@router.get("/spectra/{row}", responses=OCTETS)
def spectrum(explorer: Ask, request: Request, row: ROW) -> Response:
    """Give flux and ivar of a spectrum."""
    flux, ivar = explorer.survey.flux_and_ivar(np.array([explorer.row(row)]))
    data = np.concatenate([flux[0], ivar[0]]).astype("<f4").tobytes()
    return binary(request, data, version=explorer.survey.grid_version)
