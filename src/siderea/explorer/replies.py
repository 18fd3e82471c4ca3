"""Replies: arrays with an ETag, packed where that pays; JSON without NaN."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["as_json", "binary", "compact", "json_reply"]

_PROBE = 64 * 1024
_PAYS = 0.6
"""Packed, a probe must be smaller than this share: noise of stars hardly shrinks, words do."""

_YEAR = 365 * 86400


def json_reply(content: Any, *, status: int = 200) -> Response:
    """Return JSON; NaN and infinities are null."""
    headers = {"cache-control": "no-store"}
    return Response(
        as_json(content), status_code=status, media_type="application/json", headers=headers
    )


def as_json(content: Any) -> bytes:
    """Return content as JSON; NaN and infinities are null."""
    text = json.dumps(_plain(content), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii")


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return str(value)


def compact(data: bytes) -> bytes | None:
    """Return data packed by gzip, or None where that does not pay.

    Parameters
    ----------
    data : bytes
    """
    if len(data) < 1024:
        return None
    middle = max(0, len(data) // 2 - _PROBE // 2)
    probe = data[middle : middle + _PROBE]
    if len(gzip.compress(probe, 1)) > _PAYS * len(probe):
        return None
    return gzip.compress(data, 1, mtime=0)


def binary(
    request: Request,
    data: bytes,
    *,
    version: str = "",
    packed: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an array, or "not modified" where the browser holds it.

    Parameters
    ----------
    request : Request
    data : bytes
    version : str
        Of what it was made from; empty for what is not to be kept.
    packed : bytes, optional
        The same by gzip; sent to whom takes it.
    headers : mapping, optional
        More of them.
    """
    more = dict(headers or {})
    if not version:
        return _octets(data, more | {"cache-control": "no-store"})
    tag = hashlib.sha256(f"{request.url.path}\n{version}".encode()).hexdigest()[:20]
    kept = request.query_params.get("v") == version
    more |= {
        "etag": f'"{tag}"',
        "vary": "accept-encoding",
        "cache-control": f"private, max-age={_YEAR}, immutable" if kept else "private, no-cache",
    }
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=more)
    if packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return _octets(packed, more | {"content-encoding": "gzip"})
    return _octets(data, more)


def _octets(data: bytes, headers: Mapping[str, str]) -> Response:
    kind = headers.get("content-type", "application/octet-stream")
    return Response(data, media_type=kind, headers=dict(headers))
