"""A throw-away orchestrator with a broker and simulated business events.

Everything the demo starts ends with it: on return, on an exception, on cancellation (ctrl+c under
`asyncio.run`), on SIGTERM and when the terminal goes away.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, cast

from cortex_tui.backend import Backend
from cortex_tui.delivery_settings import DeliverySettings, HttpSettings
from cortex_tui.demo.broker import best_broker
from cortex_tui.demo.desk import claims_desk
from cortex_tui.demo.products import make_products
from cortex_tui.demo.simulator import Simulator

DEFAULT_RATE = 4.0
"""Events per second: enough to see counts move, and slow enough to follow."""

TEMPLATES = Path(__file__).with_name("templates")
"""The e-mails that the demo would send."""

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class OpenBackend(Protocol):
    """Opens a backend on the database at `path`, whose actions go where `delivery` says."""

    def __call__(self, path: Path, /, *, delivery: DeliverySettings) -> Awaitable[Backend]: ...


@dataclass(frozen=True)
class Demo:
    """A running demo: its backend, and the broker of the healthy product."""

    backend: Backend
    broker_name: str
    broker_host: str
    broker_port: int
    sharing: bool
    """Whether the broker delivers to shared subscriptions; the healthy product uses them then."""


@asynccontextmanager
async def running(
    open_backend: OpenBackend,
    *,
    rate: float = DEFAULT_RATE,
    seed: int = 1,
) -> AsyncIterator[Demo]:
    """A demo over the backend that `open_backend` opens for a database path of its own. Nothing is
    sent to anybody: e-mails are recorded, and web hooks go to `claims_desk`, which refuses the
    first few, so that there are dead letters to see.

    `rate` is in events per second on average, 0 for none; `seed` decides which events they are.
    Raises `BrokerFailed` where no broker can be started. A signal that ends it raises `SystemExit`
    with the customary 128 + number, once all is cleared away.
    """
    with _ended_by_signals():
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="cortex-demo-")))
            # Starting blocks the loop for a moment, in which nothing else runs in it yet; a thread
            # could not be taken back if this were cancelled meanwhile.
            healthy = stack.enter_context(best_broker())
            refusing = stack.enter_context(best_broker(refusing=True))
            desk = stack.enter_context(claims_desk())
            delivery = DeliverySettings(webhook=HttpSettings(url=desk), templates=TEMPLATES)
            backend = await open_backend(folder / "demo.db", delivery=delivery)
            stack.push_async_callback(backend.aclose)
            await make_products(backend, healthy=healthy, refusing=refusing)
            stack.enter_context(Simulator(healthy, rate=rate, seed=seed))
            yield Demo(backend, healthy.name, healthy.host, healthy.port, healthy.sharing)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Cancel the current task at the first SIGTERM or SIGHUP; a second one changes nothing."""
    loop = asyncio.get_running_loop()
    task = cast("asyncio.Task[object]", asyncio.current_task())
    received: list[int] = []

    def end(number: int) -> None:
        if not received:
            task.cancel()
        received.append(number)

    for number in _ENDING_SIGNALS:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        task.uncancel()
    finally:
        for number in _ENDING_SIGNALS:
            loop.remove_signal_handler(number)
    if received:
        raise SystemExit(128 + received[0])
