"""The states of a remote orchestrator's products: from its stream, or polled where it has none.

An orchestrator that cannot be asked shows as such: every state says since when it is unknown, and
keeps the last that was seen. It is asked again, ever more slowly, until it answers.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from cortex_tui.backend import (
    WATCH_INTERVAL,
    BackendError,
    Denied,
    Invalid,
    NotFound,
    Unreachable,
    Unsupported,
)
from cortex_tui.models import ConfigDocument, Product, ProductState

POLL_INTERVAL = 2.0
"""Seconds between two rounds of polling."""
CONCURRENCY = 4
"""Polls under way at once."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between attempts to reach an orchestrator, doubled each time."""

Beat = Mapping[int, ProductState | None]


class Source(Protocol):
    """What a watch asks the orchestrator."""

    async def learn(self) -> None:
        """Find out what the orchestrator can do."""
        ...

    def stream(self) -> AsyncGenerator[Beat]:
        """Beats as the orchestrator sends them; `Unsupported` where it sends none."""
        ...

    async def products(self) -> list[Product]: ...

    async def poll(self, product_id: int) -> ConfigDocument: ...


@dataclass
class Focus:
    """Which products are on screen; none is all of them."""

    product_ids: frozenset[int] | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def move(self, product_ids: frozenset[int]) -> None:
        if product_ids != self.product_ids:
            self.product_ids = product_ids
            self.moved.set()

    def of(self, products: list[Product]) -> list[Product]:
        """Those of `products` that are on screen."""
        if self.product_ids is None:
            return products
        return [product for product in products if product.id in self.product_ids]


class Watch:
    """One watch: what it has seen so far, and how it goes on."""

    def __init__(
        self,
        source: Source,
        focus: Focus,
        *,
        expected: Iterable[Product],
        closed: asyncio.Event,
        on_problem: Callable[[BackendError | None], None],
    ) -> None:
        """`expected` are the products to speak of while the orchestrator never answered;
        `on_problem` is told why it cannot be asked, and none once it can."""
        self._source = source
        self._focus = focus
        self._expected = list(expected)
        self._closed = closed
        self._on_problem = on_problem
        self._states: dict[int, ProductState] = {}
        self._unknown_since: datetime | None = None
        self._told: str | None = ""
        """The problem that was last told, none for none; at first, neither was."""

    async def beats(self) -> AsyncGenerator[Beat]:
        """Beats until the consumer stops or the backend is closed."""
        async with contextlib.aclosing(paced(self._beats(), WATCH_INTERVAL)) as beats:
            async for beat in beats:
                yield beat

    async def _beats(self) -> AsyncGenerator[Beat]:
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            try:
                async with contextlib.aclosing(self._live()) as live:
                    async for beat in live:
                        pause = FIRST_PAUSE
                        self._unknown_since = None
                        if (news := self._news(beat, None)) is not None:
                            yield news
            except BackendError as error:
                if self._closed.is_set():
                    return
                if (news := self._news(self._lost(error), error)) is not None:
                    yield news
            await _event(self._closed, pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _live(self) -> AsyncGenerator[Beat]:
        await self._source.learn()
        try:
            first = True
            async with contextlib.aclosing(self._source.stream()) as stream:
                async for beat in stream:
                    # The first beat is whole: what it lacks is gone.
                    yield {**self._gone(beat), **beat} if first else beat
                    first = False
        except (Unsupported, NotFound, Invalid):
            async with contextlib.aclosing(self._polled()) as polled:
                async for beat in polled:
                    yield beat

    def _gone(self, present: Collection[int]) -> Beat:
        return {number: None for number in self._states if number not in present}

    # -- polling ------------------------------------------------------------------------------

    async def _polled(self) -> AsyncGenerator[Beat]:
        while True:
            self._focus.moved.clear()
            products = await self._source.products()
            fresh = [product for product in products if product.id not in self._states]
            wanted = {each.id: each for each in [*self._focus.of(products), *fresh]}
            beat = await self._round(list(wanted.values()))
            yield {**self._gone({product.id for product in products}), **beat}
            await _event(self._focus.moved, POLL_INTERVAL)

    async def _round(self, products: list[Product]) -> Beat:
        """Ask for each of `products`. Raises where the orchestrator answers for none of them."""
        places = asyncio.Semaphore(CONCURRENCY)
        failures: list[BackendError] = []

        async def ask(product: Product) -> ProductState:
            async with places:
                try:
                    return state_of(product, await self._source.poll(product.id))
                except BackendError as error:
                    if isinstance(error, Unreachable | Denied):
                        failures.append(error)
                    return self._unknown(product, error, datetime.now(UTC))

        states = await asyncio.gather(*(ask(product) for product in products))
        if failures and len(failures) == len(products):
            raise failures[0]
        return {state.product.id: state for state in states}

    # -- what is known ------------------------------------------------------------------------

    def _news(self, beat: Beat, problem: BackendError | None) -> Beat | None:
        """What of `beat` is new; none where nothing is, and the problem is the one told before."""
        changed = {
            number: state for number, state in beat.items() if self._states.get(number) != state
        }
        for number, state in changed.items():
            if state is None:
                del self._states[number]
            else:
                self._states[number] = state
        message = problem.message if problem else None
        if not changed and message == self._told:
            return None
        self._told = message
        self._on_problem(problem)
        return changed

    def _lost(self, error: BackendError) -> Beat:
        """Every state, unknown since the orchestrator was lost."""
        self._unknown_since = self._unknown_since or datetime.now(UTC)
        products = [state.product for state in self._states.values()] or self._expected
        return {each.id: self._unknown(each, error, self._unknown_since) for each in products}

    def _unknown(self, product: Product, error: BackendError, since: datetime) -> ProductState:
        last = self._states.get(product.id) or ProductState(product=product)
        since = last.unknown_since or since
        return last.model_copy(update={"unknown_since": since, "problem": error.message})


def state_of(product: Product, document: ConfigDocument) -> ProductState:
    """A product at a glance, from what the reference documents."""
    subscriptions = document.subscriptions or ()
    return ProductState(
        product=product,
        broker=document.mqtt_config.broker.address if document.mqtt_config else None,
        status=document.status,
        subscriptions_total=len(subscriptions),
        subscriptions_enabled=sum(each.enabled for each in subscriptions),
    )


async def paced(beats: AsyncGenerator[Beat], interval: float) -> AsyncGenerator[Beat]:
    """`beats`, those that come within `interval` seconds after another merged into one."""
    loop = asyncio.get_running_loop()
    merged: dict[int, ProductState | None] | None = None
    not_before = loop.time()
    upcoming = asyncio.ensure_future(anext(beats, None))
    try:
        while True:
            wait = None if merged is None else max(0.0, not_before - loop.time())
            await asyncio.wait({upcoming}, timeout=wait)
            if upcoming.done():
                beat = upcoming.result()
                if beat is None:
                    break
                merged = {**(merged or {}), **beat}
                upcoming = asyncio.ensure_future(anext(beats, None))
            if merged is not None and loop.time() >= not_before:
                yield merged
                merged = None
                not_before = loop.time() + interval
        if merged is not None:
            yield merged
    finally:
        upcoming.cancel()
        await asyncio.wait({upcoming})
        await beats.aclose()


async def _event(event: asyncio.Event, seconds: float) -> None:
    """Wait for `event`, but no longer than that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
