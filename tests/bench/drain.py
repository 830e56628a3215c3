"""How fast a backlog of QoS 1 messages is drained: route, commit (FULL), acknowledge; beside a
bare paho client of the same protocol version with its own thread and a counting callback."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cortex_tui.demo.broker import Mosquitto
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import SubscriptionDraft, TopicsConfig
from tests.brokers import ANONYMOUS
from tests.orchestrators import TOPIC, configured, draft
from tests.waiting import until

MESSAGES = 20_000
PAYLOAD = b'{"event": "paid", "filler": "' + b"x" * 268 + b'"}'
V5 = MQTTProtocolVersion.MQTTv5


def run() -> None:
    lines = [*ANONYMOUS, "max_queued_messages 0"]
    with Mosquitto(lines) as broker:
        bare = _drained_by(lambda: _bare(broker), broker)
        ours = asyncio.run(_ours(broker))
    print(f"  bare paho, MQTT 5      {bare:>10,.0f} messages/s")
    print(f"  durable pipeline       {ours:>10,.0f} messages/s   {ours / bare:.2f} of bare paho")


def _client(name: str) -> Client:
    return Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=V5)


def _connect(client: Client, broker: Mosquitto) -> None:
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    kept.SessionExpiryInterval = 3_600
    client.connect(broker.host, broker.port, clean_start=False, properties=kept)


def _drained_by(drain: Callable[[], float], broker: Mosquitto) -> float:
    _keep_session("bare", broker)
    _fill(broker)
    return MESSAGES / drain()


def _keep_session(name: str, broker: Mosquitto) -> None:
    client, subscribed = _client(name), threading.Event()

    def subscribe(*_: Any) -> None:
        client.subscribe(TOPIC, qos=1)

    client.on_connect = subscribe
    client.on_subscribe = lambda *_: subscribed.set()
    _connect(client, broker)
    client.loop_start()
    subscribed.wait(20)
    client.disconnect()
    client.loop_stop()


def _fill(broker: Mosquitto) -> None:
    client, published = _client("publisher"), threading.Semaphore(0)
    client.on_publish = lambda *_: published.release()
    client.connect(broker.host, broker.port)
    client.loop_start()
    for _ in range(MESSAGES):
        client.publish(TOPIC, PAYLOAD, qos=1)
    for _ in range(MESSAGES):
        published.acquire(timeout=60)
    client.disconnect()
    client.loop_stop()


def _bare(broker: Mosquitto) -> float:
    client, done, count = _client("bare"), threading.Event(), 0

    def on_message(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == MESSAGES:
            done.set()

    client.on_message = on_message
    start = time.perf_counter()
    _connect(client, broker)
    client.loop_start()
    done.wait(120)
    took = time.perf_counter() - start
    client.disconnect()
    client.loop_stop()
    return took


async def _ours(broker: Mosquitto) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        backend = await LocalBackend.open(path)
        config = draft(broker, clean_session=False, topics=TopicsConfig(use_shared=False))
        paid = SubscriptionDraft(name="paid", application_id="ABC123")
        product = await configured(backend, config, paid)

        async def subscribed() -> bool:
            return (await backend.status(product.id)).subscribed_topics_count == 1

        async def drained() -> bool:
            return (await backend.status(product.id)).messages_received >= MESSAGES

        await until(subscribed)
        await backend.aclose()
        await asyncio.to_thread(_fill, broker)
        start = time.perf_counter()
        backend = await LocalBackend.open(path)
        await until(drained, deadline=120)
        took = time.perf_counter() - start
        await backend.aclose()
        return MESSAGES / took
