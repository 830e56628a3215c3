"""What the HTTP API costs: requests for a status, beside a bare FastAPI route that returns the
same JSON; and 1,000 products on the stream of states, for the server and for its client.

Both servers are processes of their own under uvicorn, asked over kept connections by a client that
does no more than count. CPU is read from /proc, so the second part needs Linux.
"""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from cortex_tui.demo.broker import Mosquitto
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft, SubscriptionDraft, TopicsConfig
from cortex_tui.remote import RemoteBackend
from cortex_tui.states import ConnectionState
from tests.brokers import ANONYMOUS
from tests.orchestrators import TOPIC, draft
from tests.waiting import until

CONNECTIONS = 8
ROUNDS = 5
ROUND = 2.0
"""Seconds."""
PRODUCTS = 1_000
LOOK = 5.0
"""Seconds that the stream is looked at."""
STATUS = "/api/v1/products/1/mqtt-config/status"

BARE = """
import json, os, socket, sys, uvicorn
from fastapi import FastAPI
STATUS = json.loads(sys.argv[1])
app = FastAPI()
@app.get("/api/v1/products/{product_id}/mqtt-config/status")
async def status(product_id: int) -> dict:
    return STATUS
# With the protocol named, as uvicorn's own sockets have it: else an answer waits for an ACK.
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
print(f"listens on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
os.dup2(2, 1)  # its log goes where ours goes
uvicorn.Server(uvicorn.Config(app, ACCESS_LOG)).run([listener])
"""


def run() -> None:
    # A thousand products are as many connections, for the broker and for the server.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, most), most))
    with Mosquitto(ANONYMOUS) as broker, tempfile.TemporaryDirectory() as folder:
        asyncio.run(_requests(broker, Path(folder) / "one.db"))
        if sys.platform == "linux":
            asyncio.run(_stream(broker, Path(folder) / "many.db"))


# -- requests ---------------------------------------------------------------------------------


async def _requests(broker: Mosquitto, database: Path) -> None:
    await _prepare(database, broker, 1)
    with _serving(database) as (_, url):
        async with _remote(url) as backend:
            await until(lambda: _connected(backend))
        answer = (await _body(url)).decode()
        with _bare(answer, log=True) as logging, _bare(answer, log=False) as silent:
            servers = (url, logging, silent)
            rounds = [[await _rate(each) for each in servers] for _ in range(ROUNDS)]
    ours, bare, quiet = map(max, zip(*rounds, strict=True))
    print(f"  bare FastAPI, as it comes {bare:>9,.0f} requests/s")
    print(f"  bare FastAPI, no log      {quiet:>9,.0f} requests/s")
    print(
        f"  status, a log line each   {ours:>9,.0f} requests/s   {ours / bare:.2f} of bare, "
        f"{ours / quiet:.2f} of one without a log"
    )


async def _connected(backend: RemoteBackend) -> bool:
    return (await backend.status(1)).connected


async def _body(url: str) -> bytes:
    """The status, as the server writes it."""
    reader, writer = await _connect(url)
    body = await _ask(reader, writer)
    writer.close()
    return body


async def _rate(url: str) -> float:
    """Requests per second over some connections at once."""
    begun = time.perf_counter()
    each = (_keep_asking(url, begun + ROUND) for _ in range(CONNECTIONS))
    return sum(await asyncio.gather(*each)) / (time.perf_counter() - begun)


async def _keep_asking(url: str, end: float) -> int:
    reader, writer = await _connect(url)
    count = 0
    while time.perf_counter() < end:
        await _ask(reader, writer)
        count += 1
    writer.close()
    return count


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = url.removeprefix("http://").partition(":")
    return await asyncio.open_connection(host, int(port), limit=1 << 24)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % STATUS.encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200"), head
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


# -- the stream -------------------------------------------------------------------------------


async def _stream(broker: Mosquitto, database: Path) -> None:
    await _prepare(database, broker, PRODUCTS)
    with _serving(database) as (server, url):
        async with _remote(url) as backend:
            beats = backend.watch()
            connected: set[int] = set()
            async for beat in beats:
                connected |= {
                    number
                    for number, state in beat.items()
                    if state and state.state is ConnectionState.CONNECTED
                }
                if len(connected) == PRODUCTS:
                    break
            await beats.aclose()
        for rate in (0, 1, 4):
            with _publishing(broker, rate):
                alone = await _server_alone(server)
                bytes_sent = await _bytes(url)
                streaming, client = await _watched(server, url)
            print(
                f"  {PRODUCTS:,} products that change {rate} times a second: server {alone:.0%} CPU"
                f" without a client, {streaming:.0%} with one; client {client:.0%}; "
                f"{bytes_sent / 1_000:,.0f} kB/s"
            )


async def _server_alone(server: int) -> float:
    before = _cpu(server)
    await asyncio.sleep(LOOK)
    return (_cpu(server) - before) / LOOK


async def _watched(server: int, url: str) -> tuple[float, float]:
    """The CPU of the server and of this client while it watches, after the first beat."""
    async with _remote(url) as backend:
        beats = backend.watch()
        await anext(beats)
        servers, ours = _cpu(server), time.process_time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                async for _ in beats:
                    pass
        spent = (_cpu(server) - servers) / LOOK, (time.process_time() - ours) / LOOK
        await beats.aclose()
    return spent


async def _bytes(url: str) -> float:
    """Bytes a second of the stream, after the first event."""
    reader, writer = await _connect(url)
    path = b"/api/v1/products/status/stream"
    writer.write(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
    await reader.readuntil(b"}}\n\n\r\n")
    count, end = 0, time.perf_counter() + LOOK
    while (left := end - time.perf_counter()) > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                count += len(await reader.read(1 << 20))
    writer.close()
    return count / LOOK


def _cpu(process: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _publishing(broker: Mosquitto, rate: float) -> Iterator[None]:
    """An event for all products at once, `rate` times a second."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="publisher")
    client.connect(broker.host, broker.port)
    client.loop_start()
    task = asyncio.ensure_future(_publish(client, rate)) if rate else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
        client.disconnect()
        client.loop_stop()


async def _publish(client: Client, rate: float) -> None:
    while True:
        client.publish(TOPIC, b'{"event": "paid"}', qos=0)
        await asyncio.sleep(1 / rate)


# -- servers ----------------------------------------------------------------------------------


async def _prepare(database: Path, broker: Mosquitto, count: int) -> None:
    backend = await LocalBackend.open(database, durability="normal")
    config = draft(broker, topics=TopicsConfig(use_shared=False))
    paid = SubscriptionDraft(name="paid", application_id="ABC123")
    for number in range(count):
        product = await backend.create_product(ProductDraft(name=f"Product {number:04}"))
        await backend.create_subscription(product.id, paid)
        await backend.save_config(product.id, config)
    await backend.aclose()


@contextmanager
def _running(*command: str) -> Iterator[tuple[int, str]]:
    """A server: its process and the URL that it prints."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.pid, process.stdout.readline().rpartition(" ")[2].strip()
        finally:
            process.terminate()


@contextmanager
def _serving(database: Path) -> Iterator[tuple[int, str]]:
    command = [sys.executable, "-m", "cortex_tui", "serve", "--port", "0", "--db", str(database)]
    with _running(*command) as server:
        yield server


@contextmanager
def _bare(answer: str, *, log: bool) -> Iterator[str]:
    program = BARE.replace("ACCESS_LOG", "" if log else "access_log=False")
    with _running(sys.executable, "-c", program, answer) as (_, url):
        yield url


@asynccontextmanager
async def _remote(url: str) -> AsyncIterator[RemoteBackend]:
    backend = await RemoteBackend.open(url)
    try:
        yield backend
    finally:
        await backend.aclose()
