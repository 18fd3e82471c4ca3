"""What was read once and may be asked for again, up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

__all__ = ["ByteCache"]


class ByteCache:
    """Values by key; the least recently used go when they take more than a bound.

    Parameters
    ----------
    max_bytes : int
        A value that is larger alone is made, given and not kept.

    Examples
    --------
    >>> cache = ByteCache(10)
    >>> cache.get("a", lambda: b"12345678", len), cache.get("b", lambda: b"123456", len)
    (b'12345678', b'123456')
    >>> cache.n_bytes
    6
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: Hashable, make: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        """Return the value of a key; made, one at a time, where it is not held.

        Parameters
        ----------
        key : hashable
        make : callable
            Gives the value.
        size : callable
            Gives its bytes.
        """
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
            value = make()
            self._keep(key, value, size(value))
            return value

    def _keep(self, key: Hashable, value: Any, n_bytes: int) -> None:
        if n_bytes > self.max_bytes:
            return
        self._held[key] = (value, n_bytes)
        self.n_bytes += n_bytes
        while self.n_bytes > self.max_bytes:
            _, (_, dropped) = self._held.popitem(last=False)
            self.n_bytes -= dropped
