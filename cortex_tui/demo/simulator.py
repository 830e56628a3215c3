"""Publishes business events at a steady average rate, from a thread of its own."""

import time
from datetime import UTC, datetime
from random import Random
from threading import Event, Thread
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cortex_tui.demo.broker import Broker
from cortex_tui.demo.events import random_event

_MAX_LAG = 1.0
"""Seconds; after a longer pause, as of a suspended laptop, what was missed is not made up for."""

_MAX_QUEUED = 1_000
"""Messages that wait for a broker slower than the rate; more are dropped."""


class Simulator:
    """While the `with` lasts, `rate` events a second reach `broker`, at random intervals.

    While the broker is away nothing is published, so that its return brings no burst.
    """

    def __init__(self, broker: Broker, *, rate: float, seed: int) -> None:
        self._rate = rate
        self._events = Random(seed)  # noqa: S311 - events, not secrets
        self._intervals = Random(seed)  # noqa: S311
        self._stopping = Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(max_delay=1)
        self._client.max_queued_messages_set(_MAX_QUEUED)
        self._client.connect_async(broker.host, broker.port)
        self._thread = Thread(target=self._publish, name="cortex-simulator", daemon=True)

    def __enter__(self) -> Self:
        if self._rate > 0:
            self._client.loop_start()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            if self._client.is_connected():
                event = random_event(self._events, datetime.now(UTC))
                self._client.publish(event.topic, event.body, qos=1)
            interval = self._intervals.expovariate(self._rate)
            due = max(due + interval, time.monotonic() - _MAX_LAG)
