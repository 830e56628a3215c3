"""How fast a backlog of QoS 1 messages is drained: decode, route, decide, commit with its recorded
action, acknowledge. Beside it, from the same run and broker: a bare paho client of the same
protocol version, with its own thread, a counting callback and automatic acknowledgement; and
`mosquitto_sub`, which is written in C and stores nothing.

From the first message to the last, ours from the first commit after all have connected: opening,
connecting and compiling are not in it."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cortex_tui.demo.broker import Mosquitto
from cortex_tui.local import negotiation
from cortex_tui.local.backend import LocalBackend
from cortex_tui.local.database import Durability
from cortex_tui.models import (
    Action,
    BrokerConfig,
    ConfigDraft,
    ProductDraft,
    SubscriptionDraft,
    TopicsConfig,
)
from cortex_tui.states import ConnectionState
from tests.brokers import ANONYMOUS
from tests.waiting import until

MESSAGES = 30_000
ROUNDS = 3
V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
NAMES = {V5: "MQTT 5", V311: "MQTT 3.1.1"}

ACTION = Action(type="record", params={"id": "{{event.id}}", "status": "{{payment.status}}"})
PAID = ACTION.model_copy(update={"condition": "payment.status == 'paid' && payment.amount > 10"})


def payload(number: int, size: int = 300) -> bytes:
    """A business event of `size` bytes."""
    event = {
        "event": "payment_received",
        "event_id": f"e-{number:010}",
        "id": number,
        "payment": {"status": "paid", "amount": 12.5, "currency": "EUR"},
        "filler": "",
    }
    event["filler"] = "x" * (size - len(json.dumps(event)))
    return json.dumps(event).encode()


@dataclass(frozen=True)
class Load:
    """What our side is given to do."""

    protocol: MQTTProtocolVersion = V5
    connections: int = 1
    subscriptions: int = 10
    durability: Durability = "full"


def run() -> None:
    with Mosquitto([*ANONYMOUS, "max_queued_messages 0"]) as broker:
        for protocol in (V311, V5):
            bare = max(_bare(broker, protocol) for _ in range(ROUNDS))
            print(f"  {NAMES[protocol]}")
            _say("bare paho, counting", bare)
            one = _best(broker, Load(protocol))
            _say("durable pipeline (FULL)", one, bare, "bare paho")
            normal = _best(broker, Load(protocol, durability="normal"))
            _say('durability = "normal"', normal, bare, "bare paho")
            _say("mosquitto_sub", max(_mosquitto_sub(broker, protocol) for _ in range(ROUNDS)))
            for connections in (16, 100):
                rate = _best(broker, Load(protocol, connections))
                _say(f"{connections} connections", rate, one, "one connection")
        few, many = _best(broker, Load()), _best(broker, Load(subscriptions=10_000))
        print("  Subscriptions of one product")
        _say("10", few)
        _say("10,000", many, few, "10 subscriptions")


def _best(broker: Mosquitto, load: Load) -> float:
    return max(asyncio.run(_ours(broker, load)) for _ in range(ROUNDS))


def _say(what: str, rate: float, yardstick: float = 0.0, of: str = "") -> None:
    ratio = f"   {rate / yardstick:.2f} of {of}" if yardstick else ""
    print(f"    {what:<26}{rate:>10,.0f} messages/s{ratio}", flush=True)


# -- the others -------------------------------------------------------------------------------


def _client(name: str, protocol: MQTTProtocolVersion) -> Client:
    return Client(
        CallbackAPIVersion.VERSION2,
        client_id=name,
        clean_session=None if protocol is V5 else False,
        protocol=protocol,
    )


def _connect(client: Client, broker: Mosquitto) -> None:
    if client.protocol is not V5:
        client.connect(broker.host, broker.port)
        return
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    kept.SessionExpiryInterval = 3_600
    client.connect(broker.host, broker.port, clean_start=False, properties=kept)


def _keep_session(name: str, protocol: MQTTProtocolVersion, broker: Mosquitto) -> None:
    client, subscribed = _client(name, protocol), threading.Event()

    def subscribe(*_: Any) -> None:
        client.subscribe("bench/0/#", qos=1)

    client.on_connect = subscribe
    client.on_subscribe = lambda *_: subscribed.set()
    _connect(client, broker)
    client.loop_start()
    subscribed.wait(20)
    client.disconnect()
    client.loop_stop()


def _fill(broker: Mosquitto, topics: int = 1) -> None:
    client, published = _client("publisher", V311), threading.Semaphore(0)
    client.on_publish = lambda *_: published.release()
    client.connect(broker.host, broker.port)
    client.loop_start()
    for number in range(MESSAGES):
        client.publish(f"bench/{number % topics}/events", payload(number), qos=1)
    for _ in range(MESSAGES):
        published.acquire(timeout=60)
    client.disconnect()
    client.loop_stop()


def _bare(broker: Mosquitto, protocol: MQTTProtocolVersion) -> float:
    name = f"bare-{protocol}"
    _keep_session(name, protocol, broker)
    _fill(broker)
    client, done, count = _client(name, protocol), threading.Event(), 0
    start = end = 0.0

    def on_message(*_: Any) -> None:
        nonlocal count, start, end
        count += 1
        if count == 1:
            start = time.perf_counter()
        if count == MESSAGES:
            end = time.perf_counter()
            done.set()

    client.on_message = on_message
    _connect(client, broker)
    client.loop_start()
    done.wait(120)
    client.unsubscribe("bench/0/#")
    client.disconnect()
    client.loop_stop()
    return MESSAGES / (end - start)


def _mosquitto_sub(broker: Mosquitto, protocol: MQTTProtocolVersion) -> float:
    program = shutil.which("mosquitto_sub")
    if program is None:
        return 0.0
    name = f"sub-{protocol}"
    _keep_session(name, protocol, broker)
    _fill(broker)
    command = [program, "-h", broker.host, "-p", str(broker.port), "-i", name, "-c", "-q", "1"]
    command += ["-V", "5" if protocol is V5 else "311", "-t", "bench/0/#", "-C", str(MESSAGES)]
    command += ["-x", "3600"] if protocol is V5 else []
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return MESSAGES / (time.perf_counter() - start)


# -- ours -------------------------------------------------------------------------------------


async def _ours(broker: Mosquitto, load: Load) -> float:
    negotiation.FIRST_PROTOCOL = load.protocol
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        backend = await LocalBackend.open(path, durability=load.durability)
        for number in range(load.connections):
            await _product(backend, broker, number, load)

        def subscribed() -> bool:
            links = [each.link for each in backend._connections._connections.values()]
            return all(len(link.granted) == 1 for link in links)

        await until(subscribed, deadline=60)
        await backend.aclose()
        await asyncio.to_thread(_fill, broker, load.connections)
        with sqlite3.connect(path) as reader:

            def committed() -> int:
                [count] = reader.execute("SELECT SUM(messages_received) FROM products").fetchone()
                return int(count)

            backend = await LocalBackend.open(path, durability=load.durability)
            await until(lambda: committed() and _connected(backend), deadline=60)
            start, before = time.perf_counter(), committed()
            await until(lambda: committed() >= MESSAGES, deadline=120)
            took = time.perf_counter() - start
            _check(reader, load)
        for product in await backend.products():
            await backend.delete_product(product.id)  # its session goes with it
        await backend.aclose()
        return (MESSAGES - before) / took


def _connected(backend: LocalBackend) -> bool:
    links = [each.link for each in backend._connections._connections.values()]
    return all(link.state is ConnectionState.CONNECTED for link in links)


async def _product(backend: LocalBackend, broker: Mosquitto, number: int, load: Load) -> None:
    product = await backend.create_product(ProductDraft(name=f"bench {number}"))
    store = backend._store
    topic = f"bench/{number}/events"
    paid = SubscriptionDraft(name="payment_received", topic=topic, actions=(PAID,))

    def subscriptions() -> None:
        store.create_subscription(product.id, paid)
        for other in range(1, load.subscriptions):
            store.create_subscription(
                product.id, SubscriptionDraft(name=f"other {other}", topic=topic, actions=(PAID,))
            )

    await asyncio.to_thread(subscriptions)
    broker_config = BrokerConfig(host=broker.host, port=broker.port, clean_session=False)
    await backend.save_config(
        product.id, ConfigDraft(broker=broker_config, topics=TopicsConfig(use_shared=False))
    )


def _check(reader: sqlite3.Connection, load: Load) -> None:
    """A figure counts only where the work behind it was done."""
    query = "SELECT SUM(messages_received), SUM(matched), SUM(actions_executed) FROM subscriptions"
    found = reader.execute(query).fetchone()
    assert found == (MESSAGES,) * 3, f"{load}: received, matched, executed: {found}"
