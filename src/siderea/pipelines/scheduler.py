"""The pieces of a job on this machine's processes, or on the Dask cluster at an address.

A piece is a call of a module's function whose arguments can be pickled. It writes its own result
(atomically, under a name that only depends on the piece) and returns little, so that the machine
that started the job holds none of it, and a repeated start skips what is there.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from siderea.errors import DataError, StoreError
from siderea.pipelines.pool import in_order

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["connect", "results"]

Result = TypeVar("Result")

AHEAD_PER_THREAD = 2
"""Pieces under way or done and waiting, for each thread of a cluster."""

CONNECT_SECONDS = 10

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's ``mallopt``."""


def results(
    function: Callable[..., Result],
    work: Iterable[tuple],
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    ahead: int | None = None,
) -> Iterator[Result]:
    """Call a function with each piece of work, here or on a cluster.

    Parameters
    ----------
    function : callable
        A function of a module; it is sent by its name.
    work : iterable of tuple
        Its arguments; a generator is only drawn from as fast as it is worked off.
    jobs : int
        Processes on this machine; 1 works in this one. Not looked at with a scheduler.
    scheduler : str, optional
        Address of a Dask scheduler, as ``tcp://127.0.0.1:8786``. Its workers see the same files
        under the same names.
    ahead : int, optional
        Pieces under way or done and waiting; two per process or thread by default.

    Yields
    ------
    object
        In the order of ``work``, whoever did it.

    Raises
    ------
    DataError
        If no scheduler answers, or it has no workers.
    StoreError
        If a process was killed, or the cluster lost a piece more often than it tries again.
    """
    if scheduler is None:
        yield from in_order(function, work, jobs, ahead=ahead)
        return
    with connect(scheduler) as client:
        yield from _on_cluster(client, function, work, ahead)


def connect(scheduler: str) -> Client:
    """Return a client of the scheduler at an address; close it, or use it in ``with``.

    Raises
    ------
    DataError
        If Dask is not installed, no scheduler answers, or it has no workers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise DataError(
            "a scheduler needs Dask, which is not installed; pip install 'siderea[scale]'"
        ) from None
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise DataError(
            f"scheduler {scheduler}: no answer ({type(error).__name__}); expected the address of "
            "a running Dask scheduler, as tcp://127.0.0.1:8786"
        ) from None
    if not client.nthreads():
        client.close()
        raise DataError(f"scheduler {scheduler}: it has no workers; start some first")
    return client


def _on_cluster(
    client: Client, function: Callable[..., Result], work: Iterable[tuple], ahead: int | None
) -> Iterator[Result]:
    from distributed import KilledWorker

    most = ahead or AHEAD_PER_THREAD * sum(client.nthreads().values())
    waiting: deque[Future] = deque()
    try:
        for item in work:
            waiting.append(client.submit(_call, function, item, pure=False))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except KilledWorker as error:
        raise StoreError(
            f"the cluster lost a piece of the work with several workers ({error}); what is done "
            "is kept: run the same command again to go on, with more memory per worker"
        ) from error
    finally:
        client.cancel(list(waiting))


def _call(function: Callable[..., Any], item: tuple) -> Any:
    """Work off a piece with one thread, as a process of this machine does.

    The cluster decides how many pieces run at once; the same number of threads in the linear
    algebra also gives the same bits.
    """
    from threadpoolctl import threadpool_limits

    _keep_freed_memory()

    with threadpool_limits(1):
        return function(*item)


@lru_cache(maxsize=1)
def _keep_freed_memory() -> None:
    """Let this process keep up to 64 MiB that it has freed, as glibc does by itself.

    Dask's workers are told to give back everything beyond 64 kB (``MALLOC_TRIM_THRESHOLD_``), so
    that each array that comes and goes is fresh pages of the kernel: more than half of the time.
    """
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(M_TRIM_THRESHOLD, 64 * 2**20)
