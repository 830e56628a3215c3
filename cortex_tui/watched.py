"""The orchestrator that is open, as far as its products were seen: their states, their rates, and
what is stored of them until their states come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from cortex_tui.backend import Backend, BackendError
from cortex_tui.rates import Rate

if TYPE_CHECKING:
    from cortex_tui.models import ProductState
    from cortex_tui.states import Listed, StoredProduct

Open = Callable[[], Awaitable[Backend]]
ReadStored = Callable[[], Awaitable["Mapping[int, StoredProduct]"]]

CLOSING = 2.0
"""Seconds a backend is given to close."""


class Watched:
    """One orchestrator, from before it is open until it is closed. It is opened once."""

    def __init__(
        self,
        open_backend: Open,
        read_stored: ReadStored,
        *,
        now: Callable[[], datetime],
        on_change: Callable[[frozenset[int] | None], None],
    ) -> None:
        """`on_change` is told whose states changed: none for all, and what can be done too."""
        self.backend: Backend | None = None
        self.failure: BackendError | None = None
        """Why it could not be opened."""
        self.seen = False
        """Whether the first states came."""
        self.states: dict[int, ProductState] = {}
        """The last state of every product."""
        self.stored: Mapping[int, StoredProduct] = {}
        """What can be shown of the products until their states come."""
        self._open_backend = open_backend
        self._read_stored = read_stored
        self._now = now
        self._on_change = on_change
        self._rates: dict[int, Rate] = {}
        self._looking: asyncio.Future[Mapping[int, StoredProduct]] | None = None
        self._when_seen: Callable[[], object] | None = None

    async def look_at_stored(self) -> None:
        """Read what is stored, once."""
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._read_stored())
        self.stored = await asyncio.shield(self._looking)

    async def open(self) -> bool:
        """Open it; whether that went well."""
        try:
            self.backend = await self._open_backend()
        except BackendError as error:
            self.failure, self.stored = error, {}
            self._on_change(None)
            return False
        return True

    async def follow(self) -> None:
        """Take in states, as long as they come."""
        assert self.backend is not None
        async for changed in self.backend.watch():
            self._take(changed)

    async def close(self) -> None:
        """Close it, in bounded time."""
        backend, self.backend = self.backend, None
        if backend is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING):
                    await backend.aclose()

    @property
    def listed(self) -> Collection[Listed]:
        """Every product as a list shows it at present."""
        return self.stored.values() or self.states.values()

    def when_seen(self, do: Callable[[], object]) -> None:
        """Call `do` once there is more to work on than what is stored, never if that fails."""
        self._when_seen = do

    def rate(self, product_id: int) -> float:
        """Events per second of a product, by what was seen."""
        rate = self._rates.get(product_id)
        return rate.per_second(self._now().timestamp()) if rate else 0.0

    def rates(self, product_id: int, points: int) -> list[float | None]:
        """The rate of a product in the last `points` points of its history, the oldest first."""
        rate = self._rates.get(product_id)
        return rate.history(self._now().timestamp(), points) if rate else [None] * points

    def _take(self, changed: Mapping[int, ProductState | None]) -> None:
        at = self._now().timestamp()
        for product_id, state in changed.items():
            if state is None:
                self.states.pop(product_id, None)
                self._rates.pop(product_id, None)
                continue
            self.states[product_id] = state
            if state.status is not None:
                rate = self._rates.setdefault(product_id, Rate())
                rate.observe(state.status.messages_received, at)
        if self.seen:
            self._on_change(frozenset(changed))
            return
        self.seen, self.stored = True, {}
        self._on_change(None)
        if self._when_seen is not None:
            self._when_seen()
