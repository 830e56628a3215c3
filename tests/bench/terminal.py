"""What the application costs at the end of a line, measured through a pseudo-terminal."""

import asyncio
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from cortex_tui.demo.broker import Mosquitto
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductChange, ProductDraft, SubscriptionDraft
from tests.brokers import ANONYMOUS
from tests.orchestrators import TOPIC, configured, draft

ROUNDS = 5
SPAN = 10.0
"""Seconds over which a line is listened to."""
KEYS = 60
"""Keys that are timed."""
EVENTS = 5_000
"""Events per second of a loaded line."""
UP, DOWN = b"\x1b[A", b"\x1b[B"
BARE = """
import sys
from textual.app import App
from textual.widgets import DataTable
class Bare(App):
    def compose(self):
        yield DataTable()
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns(*"abcdefg")
        for number in range(int(sys.argv[1])):
            table.add_row(f"Product {number:04}", *"123456")
Bare().run()
"""
PUBLISH = """
import sys, time
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
host, port, topic, rate = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
client = Client(CallbackAPIVersion.VERSION2)
client.connect(host, port)
client.loop_start()
start, sent = time.perf_counter(), 0
while True:
    while sent < (time.perf_counter() - start) * rate:
        client.publish(topic, '{"event": "paid", "amount": 12.5}')
        sent += 1
    time.sleep(0.005)
"""


def run() -> None:
    for count in (3, 1_000):
        with tempfile.TemporaryDirectory() as folder:
            _first_frame(asyncio.run(_products(Path(folder), count)), count)
    with Mosquitto([*ANONYMOUS, "max_queued_messages 0"]) as broker:
        for count in (3, 1_000):
            with tempfile.TemporaryDirectory() as folder:
                database = asyncio.run(_connected(Path(folder), broker, count))
                _line(database, broker, count)


def _first_frame(database: Path, count: int) -> None:
    bare, ours, quit_after = [], [], []
    for _ in range(ROUNDS):
        with Program([sys.executable, "-c", BARE, str(count)]) as program:
            bare.append(program.until(b"Product 0000"))
        with Program(_cortex(database)) as program:
            ours.append(program.until(b"Product 0000"))
            program.read(0.5)
            quit_after.append(program.quit(b"q"))
    first, yardstick = min(ours), min(bare)
    print(
        f"  first frame, {count:>5,} products  {first:.2f} s   bare Textual {yardstick:.2f} s"
        f"   ratio {first / yardstick:.2f} (at most 1.5)   quits in"
        f" {statistics.median(quit_after):.2f} s (at most 0.2)"
    )


def _line(database: Path, broker: Mosquitto, count: int) -> None:
    """One product of `count` is connected; its page is in view, then the table of all."""
    with Program(_cortex(database)) as program:
        program.until(b"connected")
        program.write(b"\r")
        program.read(3.0)
        _say(f"idle, connected, {count:,} products", program, "300 B/s, 1% CPU")
        command = [sys.executable, "-c", PUBLISH, broker.host, str(broker.port), TOPIC, str(EVENTS)]
        program.write(b"\x1b")
        program.read(1.0)
        print(f"  key to paint, idle             {_key_to_paint(program)} (p95 at most 30 ms)")
        with subprocess.Popen(command) as publisher:
            program.read(3.0)
            _say(f"{EVENTS:,} events/s, the table", program, "20 KB/s")
            print(f"  key to paint, loaded           {_key_to_paint(program)} (p95 at most 100 ms)")
            program.write(b"\r")
            program.read(2.0)
            _say(f"{EVENTS:,} events/s, the product", program, "20 KB/s")
            print(f"  quits, loaded, in              {program.quit(b'q'):.2f} s (at most 0.2)")
            publisher.kill()


def _say(what: str, program: "Program", limits: str) -> None:
    cpu = program.cpu_seconds()
    size = len(program.read(SPAN))
    used = (program.cpu_seconds() - cpu) / SPAN
    print(f"  {what:<30} {size / SPAN:,.0f} B/s, {used:.1%} CPU (at most {limits})", flush=True)


def _key_to_paint(program: "Program") -> str:
    times = []
    for number in range(KEYS):
        program.read(0.12)
        times.append(program.echo(UP if number % 2 else DOWN) * 1_000)
    p95 = statistics.quantiles(times, n=20)[-1]
    return f"median {statistics.median(times):.0f} ms, p95 {p95:.0f} ms"


def _cortex(database: Path) -> list[str]:
    return [sys.executable, "-m", "cortex_tui", "--db", str(database)]


async def _products(folder: Path, count: int) -> Path:
    backend = await LocalBackend.open(folder / "bench.db")
    for number in range(count):
        await backend.create_product(ProductDraft(name=f"Product {number:04}"))
    await backend.aclose()
    return folder / "bench.db"


async def _connected(folder: Path, broker: Mosquitto, count: int) -> Path:
    """As `_products`, and one before them all in the table that is connected."""
    database = await _products(folder, count - 1)
    backend = await LocalBackend.open(database)
    every = SubscriptionDraft(name="audit", application_id="ABC123", event="*")
    product = await configured(backend, draft(broker), every)
    await backend.update_product(product.id, ProductChange(name="A connected one"))
    await backend.aclose()
    return database


class Program:
    """A command behind a pseudo-terminal of 120 by 36, in a home of its own."""

    def __init__(self, command: list[str]) -> None:
        self._home = tempfile.TemporaryDirectory()
        self._started = time.perf_counter()
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.environ.update(TERM="xterm-256color", LANG="C.UTF-8", HOME=self._home.name)
            os.execvp(command[0], command)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._terminal)
        self._home.cleanup()

    def write(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._terminal, keys)

    def read(self, seconds: float) -> bytes:
        """What it writes within `seconds`."""
        output, end = b"", time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self._terminal], [], [], left)[0]:
                try:
                    output += os.read(self._terminal, 65_536)
                except OSError:
                    break
        return output

    def until(self, text: bytes) -> float:
        """Seconds from its start until it has written `text`."""
        output = b""
        while text not in output:
            if not (read := self.read(0.005)) and time.perf_counter() - self._started > 30:
                sys.exit(f"{text!r} never appeared")
            output += read
        return time.perf_counter() - self._started

    def echo(self, key: bytes) -> float:
        """Seconds from `key` until the mark of the cursor was painted anew."""
        start, output = time.perf_counter(), b""
        os.write(self._terminal, key)
        while "▸".encode() not in output:
            if time.perf_counter() - start > 10:
                sys.exit(f"{key!r} moved nothing")
            if select.select([self._terminal], [], [], 1.0)[0]:
                output += os.read(self._terminal, 65_536)
        return time.perf_counter() - start

    def quit(self, key: bytes) -> float:
        """Seconds from `key` to the end of the process."""
        start = time.perf_counter()
        os.write(self._terminal, key)
        while True:
            self.read(0.002)
            if os.waitpid(self._pid, os.WNOHANG)[0]:
                self._pid = 0
                return time.perf_counter() - start
            if time.perf_counter() - start > 30:
                sys.exit("it does not quit")

    def cpu_seconds(self) -> float:
        """Processor time it has used."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
