"""A server that is killed again and again while events arrive, and what it makes of them.

Used by the test that nothing is lost, and by the bench with many more events.
"""

import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from cortex_tui.demo.broker import Mosquitto
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import Action, SubscriptionDraft, TopicsConfig
from tests.orchestrators import connected, draft
from tests.waiting import until, wait_until

TOPIC = "crash/events"
TICK = SubscriptionDraft(
    name="tick",
    topic=TOPIC,
    actions=(Action(type="webhook", condition="n >= 0", params={"n": "{{n}}"}),),
)


@dataclass
class Receiver:
    """An HTTP server on a port of its own that remembers which action came with which key."""

    port: int = 0
    keys: dict[int, set[str]] = field(default_factory=dict)
    deliveries: Counter[int] = field(default_factory=Counter)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                headers = dict(
                    line.lower().split(b": ", 1) for line in head.split(b"\r\n") if b": " in line
                )
                body = await reader.readexactly(int(headers[b"content-length"]))
                number = json.loads(body)["params"]["n"]
                self.deliveries[number] += 1
                self.keys.setdefault(number, set()).add(headers[b"idempotency-key"].decode())
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A `Receiver`, listening on loopback in a thread of its own."""
    receiver, loop, ready = Receiver(), asyncio.new_event_loop(), threading.Event()

    async def listen() -> None:
        server = await asyncio.start_server(receiver.take, "127.0.0.1", 0)
        receiver.port = server.sockets[0].getsockname()[1]
        ready.set()

    def run() -> None:
        loop.create_task(listen())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    yield receiver
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@dataclass(frozen=True)
class Outcome:
    """What became of all events."""

    received: int
    taken: int
    executed: int
    dead: int
    kills: int


def survive(
    broker: Mosquitto, folder: Path, receiver: Receiver, *, events: int, kills: int, seed: int
) -> Outcome:
    """Publish `events` while a server that takes them is killed `kills` times, and wait until all
    are seen through."""
    database = folder / "crash.db"
    asyncio.run(_prepare(broker, database))
    (folder / "config.toml").write_text(
        f'[delivery.webhook]\nurl = "http://127.0.0.1:{receiver.port}/"\nconcurrency = 20\n'
    )
    publisher = threading.Thread(target=_publish, args=(broker, events), daemon=True)
    server = _serve(folder, database)
    publisher.start()
    with sqlite3.connect(database) as reader:
        chance = random.Random(seed)
        moments = sorted(chance.sample(range(events // 20, events), kills))
        for moment in moments:
            wait_until(partial(_has_counted, reader, moment), deadline=300)
            server.kill()
            server.wait()
            server = _serve(folder, database)
        publisher.join(300)
        wait_until(lambda: _is_done(reader, events), deadline=600)
        received, taken, executed, dead = _counted(reader)
    server.terminate()
    server.wait(20)
    return Outcome(received, taken, executed, dead, len(moments))


async def _prepare(broker: Mosquitto, database: Path) -> None:
    backend = await LocalBackend.open(database)
    config = draft(broker, clean_session=False, topics=TopicsConfig(use_shared=False))
    product = await connected(backend, config, TICK)

    async def subscribed() -> bool:
        return (await backend.status(product.id)).subscribed_topics_count == 1

    await until(subscribed)
    await backend.aclose()


def _serve(folder: Path, database: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "CORTEX_CONFIG": str(folder / "config.toml")}
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "cortex_tui", "--db", str(database), "serve", "--port", "0"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )


def _publish(broker: Mosquitto, events: int) -> None:
    client, room = Client(CallbackAPIVersion.VERSION2), threading.Semaphore(200)
    client.on_publish = lambda *_: room.release()
    client.connect(broker.host, broker.port)
    client.loop_start()
    for number in range(events):
        room.acquire()
        client.publish(TOPIC, json.dumps({"event": "tick", "event_id": number, "n": number}), qos=1)
    for _ in range(200):
        room.acquire(timeout=30)
    client.disconnect()
    client.loop_stop()


def _counted(reader: sqlite3.Connection) -> tuple[Any, ...]:
    found: tuple[Any, ...] = reader.execute(
        """SELECT p.messages_received, s.messages_received, s.actions_executed, s.actions_failed
        FROM products p JOIN subscriptions s ON s.product_id = p.id"""
    ).fetchone()
    return found


def _has_counted(reader: sqlite3.Connection, events: int) -> bool:
    return bool(_counted(reader)[0] >= events)


def _is_done(reader: sqlite3.Connection, events: int) -> bool:
    received, _, executed, dead = _counted(reader)
    return bool(received >= events and executed + dead >= events)
