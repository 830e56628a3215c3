"""Waiting for something to become true: a condition and a deadline, never a bare sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

DEADLINE = 20.0
"""Seconds; generous, since it is only spent by a test that fails."""

_POLL = 0.01


def wait_until(condition: Callable[[], object], *, deadline: float = DEADLINE) -> None:
    """Return as soon as `condition()` is true; fail with its source when it never is."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(_never(condition, deadline))
        time.sleep(_POLL)


async def until(
    condition: Callable[[], object | Awaitable[object]], *, deadline: float = DEADLINE
) -> None:
    """`wait_until` for a loop: lets it run meanwhile, and takes a coroutine function too."""
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return
        if time.monotonic() > end:
            raise AssertionError(_never(condition, deadline))
        await asyncio.sleep(_POLL)


def _never(condition: Callable[[], object], deadline: float) -> str:
    try:
        source = inspect.getsource(condition).strip()
    except (OSError, TypeError):
        source = repr(condition)
    return f"not within {deadline:g} s: {source}"
