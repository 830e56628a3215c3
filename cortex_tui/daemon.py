"""For what may wait for a silent network: unlike asyncio's own threads, those here are not joined
when the program ends."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


def in_this_loop(function: Callable[[T], None]) -> Callable[[T], None]:
    """`function`, to be called from any thread; it runs in the loop of now."""
    loop = asyncio.get_running_loop()

    def call(argument: T) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(function, argument)

    return call


async def in_daemon_thread(name: str, function: Callable[[], T]) -> T:
    """Run `function` in a thread of its own, called `name`."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def settle(outcome: tuple[T | None, Exception | None]) -> None:
        result, error = outcome
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    settle_here = in_this_loop(settle)

    def run() -> None:
        try:
            outcome: tuple[T | None, Exception | None] = (function(), None)
        except Exception as error:
            outcome = (None, error)
        settle_here(outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future


class Loop(asyncio.SelectorEventLoop):
    """An asyncio loop that waits for no name service when it ends."""

    async def getaddrinfo(self, *question: Any, **options: Any) -> Any:
        ask = partial(socket.getaddrinfo, *question, **options)
        return await in_daemon_thread("cortex-names", ask)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, in a `Loop`."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)
