"""One thread drives every MQTT connection: a selector over all sockets, and timers.

paho's own thread per connection does not scale, and its `select()` fails silently from file
descriptor 1,024 on. What blocks (DNS, TCP, TLS) runs on a few threads beside it.
"""

import contextlib
import gc
import heapq
import itertools
import logging
import queue
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

log = logging.getLogger(__name__)

DIALERS = 32
"""Connection attempts that may wait for DNS, TCP or TLS at the same time."""


@contextlib.contextmanager
def _garbage_later() -> Iterator[None]:
    """No search for reference cycles meanwhile. A batch of messages is many small objects and no
    cycle; with thousands of subscriptions in memory the searches cost more than the messages."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Ready(Protocol):
    """Told on the network thread that its socket can be read or written."""

    def __call__(self, *, read: bool, write: bool) -> None: ...


class Timer:
    """A call that is due once; it may be cancelled."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Network:
    """The thread and what it serves. Only `call`, `finish` and `close` may be used from others."""

    def __init__(self, after_round: Callable[[], None]) -> None:
        """`after_round` is called once after every round in which a socket was ready."""
        self._after_round = after_round
        self._selector = selectors.DefaultSelector()
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._closing = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, self._drain_wake)
        self._dials: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._dialers = 0
        self._idle_dialers = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name="cortex-network", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Call `function` on the network thread, soon, and in the order of the calls."""
        self._calls.append(function)
        self._wake()

    def finish(self, timeout: float) -> None:
        """Wait until all that was called so far is done, at most `timeout` seconds."""
        done = threading.Event()
        self.call(done.set)
        done.wait(timeout)

    def close(self, timeout: float) -> None:
        """Finish the calls that wait, and end the thread; waits at most `timeout` seconds."""
        self._closing = True
        self._wake()
        self._thread.join(timeout)

    def dial(self, function: Callable[[], None]) -> None:
        """Run `function`, which may block, on a thread of its own kind. From the network thread."""
        if self._dialers < DIALERS and not self._idle_dialers.acquire(blocking=False):
            self._dialers += 1
            threading.Thread(target=self._dialer, name="cortex-dialer", daemon=True).start()
        self._dials.put(function)

    def later(self, delay: float, function: Callable[[], None]) -> Timer:
        """Call `function` in `delay` seconds. From the network thread."""
        timer = Timer(function)
        heapq.heappush(self._timers, (time.monotonic() + delay, next(self._order), timer))
        return timer

    def watch(self, sock: socket.socket, ready: Ready, *, write: bool = False) -> None:
        """Serve `sock`, or change what it waits for. From the network thread."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0)
        key = self._selector.get_map().get(sock)
        if key is None:
            self._selector.register(sock, events, ready)
        elif key.events != events:
            self._selector.modify(sock, events, ready)

    def unwatch(self, sock: socket.socket) -> None:
        """Serve `sock` no more; call it before the socket is closed. From the network thread."""
        if sock.fileno() >= 0 and sock in self._selector.get_map():
            self._selector.unregister(sock)

    # -- on the threads -----------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            closing = self._closing
            at_once = closing or bool(self._calls)
            ready = self._selector.select(0 if at_once else self._time_to_next())
            with _garbage_later():
                self._round(ready)
            if closing:
                break
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _round(self, ready: Iterable[tuple[selectors.SelectorKey, int]]) -> None:
        served = 0
        for key, mask in ready:
            served += key.fileobj is not self._wake_reader
            self._guarded(
                key.data,
                read=bool(mask & selectors.EVENT_READ),
                write=bool(mask & selectors.EVENT_WRITE),
            )
        for _ in range(len(self._calls)):
            self._guarded(self._calls.popleft())
        self._run_due()
        if served:
            self._guarded(self._after_round)

    def _run_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                self._guarded(timer.call)

    def _time_to_next(self) -> float | None:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _guarded(self, function: Callable[..., None], **arguments: bool) -> None:
        # Whoever is called handles its own failures; what is left would end every connection, or
        # one dialer after another.
        try:
            function(**arguments)
        except Exception:
            log.exception("a call on %s failed", threading.current_thread().name)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it is awake already, or closed
            self._wake_writer.send(b"\0")

    def _drain_wake(self, *, read: bool, write: bool) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_reader.recv(4096):
                pass

    def _dialer(self) -> None:
        while True:
            self._guarded(self._dials.get())
            self._idle_dialers.release()
