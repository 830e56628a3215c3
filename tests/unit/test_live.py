"""The watch that all streams of the server share."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import cast

import pytest

from cortex_tui.backend import Backend
from cortex_tui.models import Product, ProductState
from cortex_tui.server.live import Live
from tests.waiting import until

Beat = Mapping[int, ProductState | None]
Beats = asyncio.Queue[Beat | Exception]


class Watches:
    """A backend whose watches are given their beats by the test: one queue for each."""

    def __init__(self) -> None:
        self.given: list[Beats] = []

    async def watch(self) -> AsyncGenerator[Beat]:
        beats: Beats = asyncio.Queue()
        self.given.append(beats)
        while True:
            beat = await beats.get()
            if isinstance(beat, Exception):
                raise beat
            yield beat


def named(*names: str) -> Beat:
    """Products by their names, with the ids 1, 2, …"""
    return {
        number: ProductState(product=Product(id=number, name=name))
        for number, name in enumerate(names, start=1)
    }


async def test_a_look_that_is_overtaken_tells_nothing_older() -> None:
    watches = Watches()
    live = Live(cast("Backend", watches))
    running = asyncio.create_task(live.run())
    await until(lambda: len(watches.given) == 1)
    watches.given[0].put_nowait(named("before"))
    await until(lambda: live.started)

    events = cast("AsyncGenerator[bytes]", live.events())
    first = asyncio.ensure_future(anext(events))
    await until(lambda: len(watches.given) == 2)
    watches.given[0].put_nowait(named("after"))  # what was read before comes later
    await until(lambda: live.states[1].product.name == "after")
    watches.given[1].put_nowait(named("before"))
    told = json.loads((await first).removeprefix(b"data: "))
    assert told["states"]["1"]["product"]["name"] == "after"
    assert live.states[1].product.name == "after"
    await events.aclose()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_what_went_while_nobody_watched_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_tui.server.live._RESTART", 0.0)
    watches = Watches()
    live = Live(cast("Backend", watches))
    running = asyncio.create_task(live.run())
    await until(lambda: len(watches.given) == 1)
    watches.given[0].put_nowait(named("one", "two"))
    await until(lambda: live.started)
    watches.given[0].put_nowait(OSError("disk I/O error"))
    await until(lambda: len(watches.given) == 2)
    watches.given[1].put_nowait(named("one"))
    await until(lambda: live.started)
    assert list(live.states) == [1]
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
