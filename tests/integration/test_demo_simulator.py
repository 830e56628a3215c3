"""The simulator reaches a real broker, comes back after it, and stops at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from cortex_tui.demo.broker import Broker
from cortex_tui.demo.events import random_event
from cortex_tui.demo.simulator import Simulator
from tests.waiting import wait_until


@contextmanager
def _listening(broker: Broker) -> Iterator[list[mqtt.MQTTMessage]]:
    """What arrives under the demo's topics, from the moment the broker granted them."""
    received: list[mqtt.MQTTMessage] = []
    granted = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def subscribe(*_: Any) -> None:
        client.subscribe("/v3/applications/+/business-events", qos=1)

    def keep(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        received.append(message)

    def note(*_: Any) -> None:
        granted.set()

    client.on_connect = subscribe
    client.on_subscribe = note
    client.on_message = keep
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        wait_until(granted.is_set)
        yield received
    finally:
        client.disconnect()
        client.loop_stop()


def test_events_arrive_in_the_order_of_the_seed(broker: Broker) -> None:
    with _listening(broker) as received, Simulator(broker, rate=200, seed=5):
        wait_until(lambda: len(received) >= 50)
    random, any_moment = Random(5), datetime(2026, 1, 1, tzinfo=UTC)
    for message in received:
        expected = random_event(random, any_moment)
        assert message.topic == expected.topic
        assert orjson.loads(bytes(message.payload))["event_id"] == expected.payload["event_id"]


def test_it_comes_back_when_the_broker_does(broker: Broker) -> None:
    with Simulator(broker, rate=100, seed=5):
        with _listening(broker) as received:
            wait_until(lambda: received)
        broker.restart()
        with _listening(broker) as received:
            wait_until(lambda: received)


@pytest.mark.parametrize("away", [False, True])
def test_it_leaves_no_thread(broker: Broker, away: bool) -> None:
    before = set(threading.enumerate())
    with Simulator(broker, rate=100, seed=5):
        assert set(threading.enumerate()) - before
        if away:
            broker.stop()
    assert set(threading.enumerate()) == before


def test_no_rate_is_no_events(broker: Broker) -> None:
    before = set(threading.enumerate())
    with Simulator(broker, rate=0, seed=5):
        assert set(threading.enumerate()) == before
