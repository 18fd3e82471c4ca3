"""The application: services, handlers, guard and page put together."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

import siderea
from siderea.errors import SidereaError
from siderea.explorer import routes_export, routes_labels, routes_spectra, routes_store
from siderea.explorer.explorer import BusyError, Explorer
from siderea.explorer.security import Guard, Policy

__all__ = ["STATIC", "create_app"]

STATIC = Path(__file__).parent / "static"


def create_app(path: str | Path, *, policy: Policy | None = None) -> FastAPI:
    """Return the application that explores a store.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    policy : Policy, optional
        Who may call; by default, from this machine without a token.

    Raises
    ------
    SidereaError
        If the store cannot be opened.
    """
    explorer = Explorer(path)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # The page asks for the schema first: it is ready by then.
        ahead = threading.Thread(target=explorer.schema, name="schema", daemon=True)
        ahead.start()
        yield
        ahead.join()
        explorer.close()

    app = FastAPI(
        title="siderea explorer",
        version=siderea.__version__,
        lifespan=lifespan,
        docs_url=None,  # they load scripts from other hosts
        redoc_url=None,
        responses=_REFUSALS,
    )
    app.state.explorer = explorer
    for module in (routes_store, routes_spectra, routes_export, routes_labels):
        app.include_router(module.router)
    _say_errors(app)
    _serve_page(app)
    app.add_middleware(Guard, policy=policy or Policy())
    return app


_SAID = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"detail": {"type": "string"}},
                "required": ["detail"],
            }
        }
    }
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, **_SAID}
    for code, text in (
        (400, "a value that does not fit"),
        (401, "the token is missing"),
        (403, "another site asked"),
        (404, "not there"),
        (409, "not possible now"),
        (413, "too large"),
        (422, "a value of another kind than expected"),
        (503, "too busy"),
    )
}


def _say_errors(app: FastAPI) -> None:
    """Turn what goes wrong into one line of JSON, without an echo of what was sent."""

    def said(status: int, line: str) -> Response:
        return JSONResponse({"detail": line}, status_code=status)

    @app.exception_handler(SidereaError)
    def _ours(_request: Request, error: SidereaError) -> Response:
        return said(getattr(error, "status", 400), _printable(str(error)))

    @app.exception_handler(BusyError)
    def _busy(_request: Request, _error: BusyError) -> Response:
        return said(503, "busy: try again in a moment")

    @app.exception_handler(HTTPException)
    def _http(_request: Request, error: HTTPException) -> Response:
        reply = said(error.status_code, _printable(str(error.detail)))
        reply.headers.update(error.headers or {})
        return reply

    @app.exception_handler(RequestValidationError)
    def _invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return said(422, _printable(f"{where}: {first['msg']}")[:300])


def _printable(line: str) -> str:
    return line.encode("utf-8", "replace").decode("utf-8")


def _serve_page(app: FastAPI) -> None:
    page = STATIC / "index.html"

    @app.get("/", include_in_schema=False)
    def index() -> Response:
        if not page.is_file():
            return JSONResponse(
                {"detail": "the page is not built: see docs/explorer.md"}, status_code=404
            )
        return FileResponse(page, headers={"cache-control": "no-cache"})

    if STATIC.is_dir():
        app.mount("/static", StaticFiles(directory=STATIC), name="static")
