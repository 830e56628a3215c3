"""Which products changed since somebody last looked: marked from any thread, read from asyncio."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cortex_tui.backend import WATCH_INTERVAL


class Changes:
    """Collects product ids for any number of watchers, each at its own pace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: set[Watcher] = set()

    def mark(self, product_id: int) -> None:
        """Note that a product changed. Cheap, and safe from any thread."""
        with self._lock:
            for watcher in self._watchers:
                watcher.mark(product_id)

    @contextmanager
    def watching(self) -> Iterator["Watcher"]:
        """A watcher that misses nothing from now on; from the asyncio loop that will wait."""
        watcher = Watcher(asyncio.get_running_loop(), self._lock)
        with self._lock:
            self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.discard(watcher)


class Watcher:
    """One pair of eyes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lock: threading.Lock) -> None:
        self._loop = loop
        self._lock = lock
        self._woken = asyncio.Event()
        self._changed: set[int] = set()
        self._last_beat = -WATCH_INTERVAL

    def mark(self, product_id: int) -> None:
        """Note that a product changed; whoever calls holds the lock."""
        # One wake-up a beat, however many marks: the loop is touched only by the first.
        first = not self._changed
        self._changed.add(product_id)
        if first:
            with suppress(RuntimeError):  # the loop is closed: nobody watches any more
                self._loop.call_soon_threadsafe(self._woken.set)

    async def beat(self) -> set[int]:
        """The products that changed since the beat before: never none, and at most one beat in
        `WATCH_INTERVAL` seconds."""
        await asyncio.sleep(self._last_beat + WATCH_INTERVAL - self._loop.time())
        changed: set[int] = set()
        while not changed:
            await self._woken.wait()
            self._woken.clear()
            with self._lock:
                changed, self._changed = self._changed, changed
        self._last_beat = self._loop.time()
        return changed
