"""One watch of the backend, shared by every stream and by the metrics.

A client that reads slowly costs the set of products that changed since it last read, and no more:
each state is whole, so what it missed in between does not matter.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

from cortex_tui.backend import Backend
from cortex_tui.models import ProductState

HEARTBEAT = 15.0
"""Seconds after which a quiet stream says that it is alive."""

_RESTART = 1.0

logger = logging.getLogger(__name__)


class _Reader:
    """A client of the stream: which products it has yet to hear of."""

    def __init__(self) -> None:
        self.changed: set[int] = set()
        self.wake = asyncio.Event()
        self.wake.set()


class Live:
    """The present state of every product, and streams of its changes."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._readers: set[_Reader] = set()
        self._encoded: dict[int, bytes] = {}
        self._closed = False
        self.states: dict[int, ProductState] = {}
        self.started = False
        """Whether the backend has given its first beat."""

    @property
    def readers(self) -> int:
        """How many clients read a stream."""
        return len(self._readers)

    async def run(self) -> None:
        """Watch the backend until cancelled."""
        while True:
            try:
                async with contextlib.aclosing(self._backend.watch()) as beats:
                    whole = True
                    async for beat in beats:
                        # The first beat is whole: what it lacks is gone.
                        self._take({**dict.fromkeys(self.states), **beat} if whole else beat)
                        whole = False
            except Exception:
                logger.exception("The watch of the backend failed; it starts again")
            self._end_streams()
            await asyncio.sleep(_RESTART)

    def _take(self, beat: Mapping[int, ProductState | None]) -> None:
        for product_id, state in beat.items():
            self._encoded.pop(product_id, None)
            if state is None:
                self.states.pop(product_id, None)
            else:
                self.states[product_id] = state
        self.started = True
        for reader in self._readers:
            reader.changed.update(beat)
            reader.wake.set()

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closed = True
        self._end_streams()

    def _end_streams(self) -> None:
        # A reader that is no longer known ends; its client connects again and asks anew.
        self.started = False
        readers, self._readers = self._readers, set()
        for reader in readers:
            reader.wake.set()

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events: every state at first, then those that changed."""
        if self._closed:
            return
        reader = _Reader()
        self._readers.add(reader)
        try:
            await self._look(reader)
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await reader.wake.wait()
                except TimeoutError:
                    yield b": alive\n\n"
                    continue
                if reader not in self._readers:
                    return
                reader.wake.clear()
                changed, reader.changed = reader.changed, set()
                yield self._event(changed)
        finally:
            self._readers.discard(reader)

    async def _look(self, reader: _Reader) -> None:
        """See every product as it is now, for a new reader: the next beat of the watch is yet to
        come. What one told it meanwhile is newer."""
        async with contextlib.aclosing(self._backend.watch()) as beats:
            beat: Mapping[int, ProductState | None] = await anext(beats, {})
        self._take({each: beat[each] for each in beat.keys() - reader.changed})
        reader.changed = set(self.states)

    def _event(self, product_ids: set[int]) -> bytes:
        pairs = (b'"%d":%b' % (number, self._json(number)) for number in sorted(product_ids))
        return b'data: {"states":{' + b",".join(pairs) + b"}}\n\n"

    def _json(self, product_id: int) -> bytes:
        if product_id not in self.states:
            return b"null"
        if product_id not in self._encoded:
            self._encoded[product_id] = self.states[product_id].model_dump_json().encode()
        return self._encoded[product_id]
