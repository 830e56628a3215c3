"""How long a test may take, and whether somebody has called it off."""

import selectors
import threading
import time
from typing import Self

_SLICE = 0.05
"""Seconds after which a wait looks whether the test was cancelled."""


class Cancelled(Exception):
    """Somebody called the test off."""


class Clock:
    """The time that is left; every wait of a test goes through here."""

    def __init__(self, limit: float, cancelled: threading.Event | None = None) -> None:
        self._end = time.monotonic() + limit
        self._cancelled = cancelled or threading.Event()

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    def at_most(self, seconds: float) -> Self:
        """A clock that ends with this one, or in so many seconds."""
        return type(self)(min(seconds, self.remaining), self._cancelled)

    def tick(self) -> float:
        """How long to wait at most before asking again; raises `TimeoutError` or `Cancelled`."""
        if self._cancelled.is_set():
            raise Cancelled
        if not (remaining := self.remaining):
            raise TimeoutError
        return min(_SLICE, remaining)

    def wait(self, descriptor: int, *, to_write: bool = False) -> None:
        """Return once the descriptor can be read or written."""
        with selectors.DefaultSelector() as selector:
            selector.register(
                descriptor, selectors.EVENT_WRITE if to_write else selectors.EVENT_READ
            )
            while not selector.select(self.tick()):
                pass
