"""The explorer as a process: a port, an address, uvicorn."""

from __future__ import annotations

import contextlib
import ctypes
import socket
from pathlib import Path

import pyarrow
import uvicorn

from siderea.errors import DataError
from siderea.explorer.app import create_app
from siderea.explorer.security import Policy

__all__ = ["Listening", "serve"]

_M_MMAP_THRESHOLD = -3
"""Of malloc.h."""

MOST_CONNECTIONS = 512
"""Open connections, idle ones too, beyond which new ones are told 503: a browser holds six."""


class Listening:
    """A server that holds its port and has not begun to answer.

    Parameters
    ----------
    path : path-like
        The ``NAME.siderea`` folder.
    policy : Policy
    port : int
        0 for any that is free.

    Attributes
    ----------
    address : str
        What to open in a browser.

    Raises
    ------
    SidereaError
        If the store cannot be opened or the port not be had.
    """

    def __init__(self, path: str | Path, *, policy: Policy, port: int) -> None:
        self.app = create_app(path, policy=policy)
        self._socket = _bound(policy.host, port)
        host = policy.host if ":" not in policy.host else f"[{policy.host.strip('[]')}]"
        self.address = f"http://{host}:{self._socket.getsockname()[1]}/"

    def run(self) -> None:
        """Answer until interrupted."""
        _give_memory_back()
        config = uvicorn.Config(
            self.app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=3,
        )
        uvicorn.Server(config).run(sockets=[self._socket])


def _give_memory_back() -> None:
    """Have freed arrays go back to the system at once, where the C library is GNU's.

    It keeps freed blocks of up to 32 MiB for itself, and Arrow's own pool does too: of a server
    that reads columns of a few MiB, hundreds of MiB stay for nothing.
    """
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_MMAP_THRESHOLD, 2**18)


def _bound(host: str, port: int) -> socket.socket:
    plain = host.strip("[]")
    try:
        kind, _, _, _, address = socket.getaddrinfo(plain, port, type=socket.SOCK_STREAM)[0]
        own = socket.socket(kind, socket.SOCK_STREAM)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(address)
        own.listen(128)  # who calls before the server answers waits, and is not turned away
    except OSError as error:
        raise DataError(
            f"{host} port {port}: {error.strerror or error}; give another --port (0: any free)"
        ) from error
    return own


def serve(path: str | Path, *, policy: Policy, port: int) -> None:
    """Explore a store until interrupted.

    Parameters
    ----------
    path, policy, port
        See `Listening`.
    """
    Listening(path, policy=policy, port=port).run()
