"""Make every picture in this folder from the running demo: `make screenshots`.

Everything is real: a broker, the embedded orchestrator, events that go through the broker, the
pipeline and the outbox. Two runs still give the same bytes, on any machine, since what differs from
run to run is pinned in one place, `pinned`: the clock (it moves only from one event to the next),
ports, random tokens, and what is measured in milliseconds. The broker is always aMQTT, which
comes with `make`, whether mosquitto is installed or not. Events are published one by one, and the
next waits until all that the one before sets off is done.

The SVG says which font it wants and is the same everywhere. The PNG is drawn with DejaVu Sans Mono;
on a machine without that font, or with another release of it, the PNG differs.

    python -m screenshots.make [--into FOLDER] [--events NUMBER] [NAME…]

With names, it ends each size with the last of them.
"""

import argparse
import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import resvg_py
import time_machine

from cortex_tui import demo
from cortex_tui.app import CortexApp
from cortex_tui.backend import Backend
from cortex_tui.demo import broker as brokers
from cortex_tui.demo import run as demo_run
from cortex_tui.demo.events import random_event
from cortex_tui.events import JobState, Publication
from cortex_tui.local import changes, stream, web_target
from cortex_tui.local.backend import LocalBackend
from cortex_tui.local.probe import ladder, session, stages
from cortex_tui.settings import Context, Target
from cortex_tui.states import ConnectionState
from tests.stillness import still_screen
from tests.ui.driving import Person
from tests.waiting import until

FOLDER = Path(__file__).parent
FONT = "DejaVu Sans Mono"
SIZES = {"": (120, 36), "-80x24": (80, 24)}

NOON = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
EVENTS = 240
"""As many are published: about a minute of them."""
RATE = 4.0
"""Events per second of the clock that is pinned."""
PORTS = {"healthy": 1883, "refusing": 1884, "desk": 8080}
"""What the pictures say; the brokers themselves listen wherever a port is free."""
TOKEN = "5f3a2c91d07be846" * 4
UNCHANGED = 0.3
"""Seconds that a screen shows the same before it is pictured, once it shows what it should."""


@dataclass(frozen=True)
class Step:
    """A picture, the keys that lead there from the one before, and texts that it must show."""

    name: str
    keys: tuple[str, ...]
    sees: tuple[str, ...]


_OPEN = ("enter", "enter")
"""Ends the filter, and opens the row."""

STEPS = (
    Step("products", ("t", "home"), ("Travel insurance", "latched")),
    Step("broker", ("escape", "t", "home", "enter"), ("Keep alive",)),
    Step("topics", ("2",), ("Pattern",)),
    Step("subscriptions", ("3",), ("audit_trail",)),
    Step("subscription", ("down", "enter"), ("Application id",)),
    Step("events", ("escape", "4"), ("claim_opened",)),
    Step("event", ("slash", *"claim", "space", *"matched", *_OPEN), ("✓ claim_opened", "event_id")),
    Step("dry-run", ("escape", "f4", "enter"), ("would run",)),
    Step("actions", ("escape", "escape", "5"), ("409 Conflict",)),
    Step("action", ("enter",), ("409 Conflict",)),
    Step("test", ("escape", "1", "f4"), ("Connected",)),
    Step("help", ("escape", "question_mark"), ("Help",)),
    Step("switched-off", ("escape", "3", "space"), ("takes it back",)),
    Step("refused", ("escape", "t", "home", "enter", "f4"), ("✗ CONNECT: Not authorized",)),
    Step(
        "light",
        ("escape", "escape", "escape", "f9", *"cortex", "minus", *"light", "enter"),
        ("NAME",),
    ),
)


async def main(into: Path, names: Sequence[str], events: int) -> None:
    for suffix, size in SIZES.items():
        wanted = [step for step in STEPS if not names or f"{step.name}{suffix}" in names]
        if wanted:
            with pinned() as clock:
                async with demo.running(LocalBackend.open, rate=0) as running:
                    await until(lambda: _settled(running.backend))
                    app = CortexApp(
                        _opens(running.backend), Target("demo", Context()), ascii_only=False
                    )
                    async with app.run_test(size=size, notifications=True) as pilot:
                        person = Person(app, pilot)
                        await _publish(person, running.backend, clock, events)
                        async for name, svg in _pictures(person, last=wanted[-1]):
                            _save(svg, into / f"{name}{suffix}")


# -- what differs from run to run -------------------------------------------------------------


@contextmanager
def pinned() -> Iterator[time_machine.Traveller]:
    """Nothing differs from run to run. The clock stands still; whoever has it can move it."""
    with ExitStack() as stack:
        stack.enter_context(still_screen())
        clock = stack.enter_context(time_machine.travel(NOON, tick=False))
        stack.enter_context(_known_ports())
        stack.enter_context(patch.object(secrets, "token_hex", lambda size: TOKEN[: 2 * size]))
        # Each look at the watch of the connection test is a millisecond after the one before.
        looks = count()
        watch = SimpleNamespace(monotonic=lambda: next(looks) / 1_000)
        for module in (stages, ladder, session):
            stack.enter_context(patch.object(module, "time", watch))
        # Whether a ping was needed depends on how long all takes.
        stack.enter_context(
            patch.object(stream.StreamingClient, "ping_ms", property(lambda _: None, _ignore))
        )
        # The claims desk listens wherever a port is free.
        desk = property(lambda _: f"127.0.0.1:{PORTS['desk']}")
        stack.enter_context(patch.object(web_target.HttpTarget, "_where", desk))
        # A toast stays until the next step puts it away.
        stack.enter_context(patch.object(CortexApp, "NOTIFICATION_TIMEOUT", 3_600))
        # The clock moves when the screens have seen what came: that need not take long.
        stack.enter_context(patch.object(changes, "WATCH_INTERVAL", 0.01))
        yield clock


def _ignore(*_: object) -> None:
    """What was measured is not kept."""


@contextmanager
def _known_ports() -> Iterator[None]:
    """aMQTT on free ports that everybody in this process knows by those of `PORTS`."""
    listening: dict[int, int] = {}
    ask = socket.getaddrinfo

    def answer(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        return ask(host, listening.get(port, port), *arguments, **options)

    @contextmanager
    def known(*, refusing: bool = False) -> Iterator[brokers.Broker]:
        with brokers.Amqtt(refusing=refusing) as broker:
            port = PORTS["refusing" if refusing else "healthy"]
            listening[port], broker.port = broker.port, port
            yield broker

    with (
        patch.object(socket, "getaddrinfo", answer),
        patch.object(demo_run, "best_broker", known),
    ):
        yield


# -- from the first event to the last picture -------------------------------------------------


async def _pictures(person: Person, last: Step) -> AsyncIterator[tuple[str, str]]:
    """Name and SVG of every step to the last."""
    for step in STEPS[: STEPS.index(last) + 1]:
        person.app.clear_notifications()
        await person.press(*step.keys)
        await person.sees_each(*step.sees)
        yield step.name, await _quiet(person)


def _opens(backend: Backend) -> Callable[[Target], Awaitable[Backend]]:
    async def opened(_: Target) -> Backend:
        return backend

    return opened


async def _settled(backend: Backend) -> bool:
    """Whether the connections are what they will be."""
    statuses = [await backend.status(product.id) for product in await backend.products()]
    connected, refused, unconfigured = statuses
    return (
        connected.subscribed_topics_count > 0
        and refused.state is ConnectionState.LATCHED
        and unconfigured.state is ConnectionState.NOT_CONFIGURED
    )


async def _publish(
    person: Person, backend: Backend, clock: time_machine.Traveller, how_many: int
) -> None:
    """Events, each when all that the one before set off is done and seen."""
    await person.sees("Car tyres")
    events, intervals, now = Random(1), Random(1), NOON
    tyres = (await backend.products())[0].id
    for number in range(1, how_many + 1):
        now += timedelta(seconds=intervals.expovariate(RATE))
        clock.move_to(now, tick=False)
        event = random_event(events, now)
        await backend.publish(tyres, Publication(topic=event.topic, payload=event.body.decode()))

        async def done(number: int = number) -> bool:
            seen = person.app.watched.states[tyres].status
            return (
                seen is not None
                and seen.messages_received == number
                and not await backend.jobs(
                    tyres, states=(JobState.PENDING, JobState.RUNNING), limit=1
                )
            )

        await until(done)


async def _quiet(person: Person) -> str:
    """The screen as SVG, once nothing changes on it any more."""
    before, since = "", time.monotonic()
    while time.monotonic() - since < UNCHANGED:
        await person.pilot.pause(0.03)
        now = person.app.export_screenshot(title="cortex")
        if now != before:
            before, since = now, time.monotonic()
    return before


def _save(svg: str, path: Path) -> None:
    path.with_suffix(".svg").write_text(svg, encoding="utf-8")
    picture = resvg_py.svg_to_bytes(svg_string=svg, font_family=FONT, monospace_family=FONT)
    path.with_suffix(".png").write_bytes(bytes(picture))
    print(f"screenshots/{path.name}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the pictures from the running demo.")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER")
    parser.add_argument("--events", type=int, default=EVENTS, metavar="NUMBER")
    parser.add_argument("names", nargs="*", metavar="NAME")
    asked = parser.parse_args()
    asyncio.run(main(asked.into, asked.names, asked.events))
