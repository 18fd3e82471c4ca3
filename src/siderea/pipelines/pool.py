"""Work done by a pool of processes and given back in order, a few pieces ahead at most."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from threadpoolctl import threadpool_limits

from siderea.errors import DataError, StoreError

__all__ = ["in_order", "n_processes"]

Result = TypeVar("Result")


def in_order(
    function: Callable[..., Result], work: Iterable[tuple], jobs: int, *, ahead: int | None = None
) -> Iterator[Result]:
    """Call a function with each piece of work.

    Parameters
    ----------
    function : callable
        A function of a module: it is sent to the processes by its name.
    work : iterable of tuple
        Its arguments; a generator is only drawn from as fast as it is worked off.
    jobs : int
        Processes; 1 works in this one.
    ahead : int, optional
        Pieces under way or done and waiting; two per process by default.

    Yields
    ------
    object
        In the order of ``work``.

    Raises
    ------
    StoreError
        If a process was killed.
    """
    if jobs == 1:
        with threadpool_limits(1):
            yield from itertools.starmap(function, work)
        return
    context = multiprocessing.get_context("spawn")  # a fork would inherit zarr's threads
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in work:
                waiting.append(pool.submit(function, *item))
                if len(waiting) > (2 * jobs if ahead is None else ahead):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise StoreError(
                "a worker process was killed (out of memory?); run the same command again to "
                "resume, with fewer processes"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def n_processes(jobs: int | None, most: int) -> int:
    """Return ``jobs``, or as many as cores, but no more than ``most`` are worth starting."""
    if jobs is not None and jobs < 1:
        raise DataError(f"jobs: found {jobs}; expected at least 1")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return jobs or max(1, min(cores or 1, most))


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides on an interrupt
    threadpool_limits(1)  # one thread per process: the processes fill the cores
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this worker when the main process is gone, even if that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
