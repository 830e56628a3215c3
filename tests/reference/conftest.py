"""Product 2 of the API reference behind real HTTP, and a real broker under the name that its
examples use."""

import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from cortex_tui.demo.broker import Mosquitto
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ConfigDraft, ProductDraft, SubscriptionDraft
from cortex_tui.server import create_app, examples, serving
from cortex_tui.states import ConnectionState
from tests.brokers import ANONYMOUS, StartMosquitto, publish, tls
from tests.certificates import Authority
from tests.orchestrators import TOPIC, reaches, received

HOST: str = examples.CONFIG_DRAFT["broker"]["host"]
PRODUCT = 2

Resolves = Callable[[int], None]


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> Resolves:
    """`resolves(port)`: from now on the reference's broker is this port of this machine. A
    certificate of the tests' authority is one that the whole machine trusts."""
    real = socket.getaddrinfo
    ports: list[int] = []

    def getaddrinfo(host: Any, port: Any, *rest: Any, **named: Any) -> list[Any]:
        if host != HOST:
            return real(host, port, *rest, **named)
        return real("127.0.0.1", ports[-1], *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
    return ports.append


@pytest.fixture
def broker(start_mosquitto: StartMosquitto, authority: Authority, resolves: Resolves) -> Mosquitto:
    """The reference's broker: with TLS, and takes every password."""
    identity = authority.server("reference", names=(HOST,))
    started = start_mosquitto(*ANONYMOUS, *tls(identity))
    resolves(started.port)
    return started


@dataclass
class Reference:
    """The orchestrator of the reference: its address, its inside, and whether its answers may
    hold more than the reference has."""

    url: str
    inside: LocalBackend
    extensions: bool
    client: httpx.AsyncClient

    async def ask(self, method: str, path: str = "", body: Any = None) -> httpx.Response:
        url = f"/api/v1/products/{PRODUCT}/mqtt-config{path}"
        return await self.client.request(method, url, json=body)

    async def subscribe(self, *subscriptions: dict[str, Any]) -> None:
        """Give the product these subscriptions of the reference."""
        for each in subscriptions:
            given = {name: each[name] for name in ("name", "topic", "description", "actions")}
            await self.inside.create_subscription(PRODUCT, SubscriptionDraft(**given))

    async def connect(self) -> None:
        """Save the reference's configuration, and wait until the product is connected."""
        draft = ConfigDraft.model_validate(examples.CONFIG_DRAFT)
        await self.inside.save_config(PRODUCT, draft)
        await reaches(self.inside, PRODUCT, ConnectionState.CONNECTED)

    async def receive(self, broker: Mosquitto, *names: str) -> None:
        """Let each of the product's subscriptions, which are called so, receive an event."""
        for name in names:
            publish(broker, TOPIC, f'{{"event": "{name}"}}', tls_unverified=True)
        await received(self.inside, PRODUCT, *(1 for _ in names))


@pytest.fixture(params=["documented", "extended"])
async def reference(
    request: pytest.FixtureRequest, local: LocalBackend, resolves: Resolves
) -> AsyncIterator[Reference]:
    for name in ("Another", "Tyres"):
        await local.create_product(ProductDraft(name=name))
    extensions = request.param == "extended"
    async with (
        serving(create_app(local, extensions=extensions), port=0) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        yield Reference(url.replace("127.0.0.1", "localhost"), local, extensions, client)
