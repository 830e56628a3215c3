"""Memory and disk of a server under full load: events as fast as it takes them, with a condition
and a recorded action each. Ten minutes, or `CORTEX_BENCH_SECONDS`."""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from cortex_tui.demo.broker import Mosquitto
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import SubscriptionDraft, TopicsConfig
from tests.bench.drain import PAID, payload
from tests.brokers import ANONYMOUS
from tests.orchestrators import connected, draft

SECONDS = int(os.environ.get("CORTEX_BENCH_SECONDS", "600"))
SAMPLES = 10
TOPIC = "bench/0/events"


def run() -> None:
    with (
        tempfile.TemporaryDirectory() as name,
        Mosquitto([*ANONYMOUS, "max_queued_messages 10000"]) as broker,
    ):
        database = Path(name) / "memory.db"
        asyncio.run(_prepare(broker, database))
        command = [sys.executable, "-m", "cortex_tui", "--db", str(database), "serve"]
        with (
            subprocess.Popen(
                [*command, "--port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as server,
            _publishing(broker) as published,
        ):
            first = 0.0
            for sample in range(SAMPLES + 1):
                time.sleep(SECONDS / SAMPLES if sample else 10)
                memory = _megabytes(server.pid)
                first = first or memory
                print(
                    f"  after {10 + SECONDS * sample // SAMPLES:>4} s {memory:>7.1f} MB resident,"
                    f" {_size(database):>6.1f} MB on disk, {published[0]:>11,} events published",
                    flush=True,
                )
            server.terminate()
        print(f"  memory at the end: {memory / first:.2f} of that after ten seconds")


async def _prepare(broker: Mosquitto, database: Path) -> None:
    backend = await LocalBackend.open(database)
    paid = SubscriptionDraft(name="payment_received", topic=TOPIC, actions=(PAID,))
    await connected(backend, draft(broker, topics=TopicsConfig(use_shared=False)), paid)
    await backend.aclose()


@contextmanager
def _publishing(broker: Mosquitto) -> Iterator[list[int]]:
    client, room, stopped = Client(CallbackAPIVersion.VERSION2), threading.Semaphore(500), False
    client.on_publish = lambda *_: room.release()
    client.connect(broker.host, broker.port)
    client.loop_start()
    published = [0]

    def publish() -> None:
        while not stopped:
            room.acquire(timeout=5)
            client.publish(TOPIC, payload(published[0]), qos=1)
            published[0] += 1

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield published
    finally:
        stopped = True
        thread.join()
        client.disconnect()
        client.loop_stop()


def _megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _size(database: Path) -> float:
    return sum(each.stat().st_size for each in database.parent.glob("memory.db*")) / 1_048_576
