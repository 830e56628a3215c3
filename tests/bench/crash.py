"""100,000 QoS 1 events while the server is killed five times: what was counted, and what ran."""

import tempfile
import time
from pathlib import Path

from cortex_tui.demo.broker import Mosquitto
from tests.brokers import ANONYMOUS
from tests.crashes import receiving, survive

EVENTS, KILLS = 100_000, 5


def run() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Mosquitto([*ANONYMOUS, "max_queued_messages 0"]) as broker,
        receiving() as receiver,
    ):
        start = time.perf_counter()
        outcome = survive(
            broker, Path(folder), receiver, events=EVENTS, kills=KILLS, seed=int(time.time())
        )
        took = time.perf_counter() - start
    twice = sum(count > 1 for count in receiver.deliveries.values())
    several_keys = sum(len(keys) > 1 for keys in receiver.keys.values())
    print(f"  {outcome.kills} times SIGKILL in {took:.0f} s, {EVENTS:,} events published")
    print(f"  counted            {outcome.received:>9,} by the product, {outcome.taken:,} taken")
    print(f"  actions executed   {outcome.executed:>9,}, given up {outcome.dead}")
    print(f"  actions delivered  {len(receiver.keys):>9,} different ones, {twice} of them twice")
    print(f"  actions with more than one idempotency key: {several_keys}")
