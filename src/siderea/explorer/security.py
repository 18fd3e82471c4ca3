"""Who may call: host, origin, token, size of bodies; and what browsers are told of every reply.

A page that any site can reach from a visitor's browser must not obey that site. So the Host header
has to be one of this server's names (DNS rebinding), the Origin of a post has to be the server
itself (cross-site posts), and beyond loopback every call needs the token.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from siderea.errors import DataError

__all__ = ["Guard", "Policy", "is_loopback"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

COOKIE = "siderea_explorer"
MAX_BODY = 8 * 2**20
"""Bytes of a request's body: two million rows."""

_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_DATA = "default-src 'none'; frame-ancestors 'none'; sandbox"
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from this machine alone.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Policy:
    """Whom the server answers.

    Parameters
    ----------
    host : str
        Address it listens on.
    token : str, optional
        Needed by every call; required where ``host`` is not loopback.
    max_body : int
        Bytes.

    Raises
    ------
    DataError
        If the host is not loopback and there is no token.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    max_body: int = MAX_BODY

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.token:
            raise DataError(
                f"host {self.host}: others can reach it, and whoever can may label: give "
                "--token with a long random word, or use 127.0.0.1 and an SSH tunnel"
            )

    def knows_host(self, header: str) -> bool:
        """Say whether a Host header names this server; beyond loopback the token decides."""
        if not is_loopback(self.host):
            return True
        try:
            name = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        return name == self.host.strip("[]").lower() or is_loopback(name)

    @property
    def cookie(self) -> str:
        """What the cookie holds: derived from the token, which stays out of the browser's store."""
        return hashlib.sha256(f"siderea explorer\n{self.token}".encode()).hexdigest()

    def is_token(self, given: str) -> bool:
        """Compare with the token in constant time."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), (self.token or "").encode())

    def admits(self, headers: dict[str, str]) -> bool:
        """Say whether a call carries the token, as a bearer or a cookie, where one is needed."""
        if not self.token:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        try:
            held = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return held is not None and hmac.compare_digest(held.value.encode(), self.cookie.encode())


class Guard:
    """ASGI middleware that applies a `Policy`.

    Parameters
    ----------
    app : ASGI application
    policy : Policy
    """

    def __init__(self, app: Any, policy: Policy) -> None:
        self.app = app
        self.policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        sealed = _sealing(send, page=not scope["path"].startswith("/api/"))
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, sealed)
            return
        await self.app(scope, _Bounded(receive, self.policy.max_body), sealed)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        policy, host = self.policy, headers.get("host", "")
        if not policy.knows_host(host):
            return _says(403, "Host header: found another name; expected that of this server")
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != host.lower():
            return _says(403, "Origin header: found another site; expected this server")
        is_api = scope["path"].startswith("/api/")
        if is_api and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return _says(403, "a page of another site asked; expected this server's own")
        if not policy.admits(headers):
            return self._entrance(scope)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return _says(400, "Content-Length: expected a number")
        if len(length) > 15 or int(length) > policy.max_body:
            return _says(413, f"body: expected at most {policy.max_body} bytes")
        return None

    def _entrance(self, scope: Scope) -> Response:
        """Let one in who brings the token in the address, with a cookie for what follows."""
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = query.get("token", [""])[0]
        if scope["path"] == "/" and scope["method"] == "GET" and self.policy.is_token(given):
            inside = RedirectResponse("/", status_code=303)
            inside.set_cookie(
                COOKIE, self.policy.cookie, httponly=True, samesite="strict", path="/"
            )
            return inside
        refused = _says(401, "this explorer needs its token: /?token=... or Authorization: Bearer")
        refused.headers["www-authenticate"] = "Bearer"
        return refused


def _netloc(origin: str) -> str:
    """Return host and port of an origin, empty where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _says(status: int, line: str) -> Response:
    return JSONResponse({"detail": line}, status_code=status)


def _sealing(send: Send, *, page: bool) -> Send:
    """Return ``send`` that adds the headers of safety to every reply."""
    policy = {"content-security-policy": _PAGE if page else _DATA, **_ALWAYS}
    added = [(name.encode(), value.encode()) for name, value in policy.items()]

    async def sealed(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *added]
        await send(message)

    return sealed


class _Bounded:
    """``receive`` that counts the bytes of a body whose length was not told."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.receive = receive
        self.left = most

    async def __call__(self) -> MutableMapping[str, Any]:
        message = await self.receive()
        if message["type"] == "http.request":
            self.left -= len(message.get("body", b""))
            if self.left < 0:
                raise HTTPException(413, "body: larger than this server takes")
        return message
