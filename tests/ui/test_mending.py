"""What is wrong is mended in at most five keys, the value itself apart, from the first screen."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cortex_tui.demo.broker import Broker
from cortex_tui.models import BrokerConfig, ConfigDraft, ProductDraft
from cortex_tui.states import ConnectionState
from tests.brokers import ANONYMOUS, StartMosquitto, tls, users
from tests.certificates import Authority
from tests.orchestrators import configured, draft, reaches
from tests.ui.conftest import Orchestrator
from tests.ui.driving import NARROW, WIDE, Person, before

MOST = 5


@dataclass
class Counting:
    """Presses keys, and counts them; what is typed as the value is not counted."""

    person: Person
    count: int = 0

    async def press(self, key: str) -> None:
        self.count += 1
        await self.person.press(key)


async def _healthy(orchestrator: Orchestrator, broker: Broker, **options: Any) -> None:
    """Others, before the one that is in trouble by their names."""
    for name in ("Agriculture", "Boats"):
        product = await orchestrator.inside.create_product(ProductDraft(name=name))
        await orchestrator.inside.save_config(product.id, draft(broker, **options))
        await reaches(orchestrator.inside, product.id, ConnectionState.CONNECTED)


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_a_refused_password(
    orchestrator: Orchestrator,
    start_mosquitto: StartMosquitto,
    tmp_path: Path,
    size: tuple[int, int],
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "secret"}))
    await _healthy(orchestrator, broker, username="alice", password="secret")
    config = draft(broker, username="alice", password="wrong")
    product = await configured(orchestrator.inside, config)
    await reaches(orchestrator.inside, product.id, ConnectionState.LATCHED)
    async with before(orchestrator.open, size=size) as person:
        await person.sees("3 products", "✗ 1 latched")
        keys = Counting(person)
        await keys.press("t")
        await person.sees("▸ ✗ latched", "Tyres")
        await keys.press("enter")
        await person.sees_below("Password", "✗ Not authorized (code 5)")
        await keys.press("enter")
        await person.type("secret")
        await keys.press("f3")
        await person.sees("● connected")
        await person.sees_no("Not authorized")
        assert keys.count <= MOST


async def test_a_wrong_host(
    orchestrator: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = socket.getaddrinfo

    def looked_up(host: Any, *more: Any, **options: Any) -> Any:
        if host == "no-such-broker.invalid":  # whatever the network of this machine is
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    await _healthy(orchestrator, broker)
    wrong = draft(broker).broker.model_dump() | {"host": "no-such-broker.invalid"}
    config = ConfigDraft(broker=BrokerConfig(**wrong), topics=draft(broker).topics)
    product = await configured(orchestrator.inside, config)
    await reaches(orchestrator.inside, product.id, ConnectionState.RETRYING)
    async with before(orchestrator.open) as person:
        await person.sees("3 products", "↻ 1 retrying")
        keys = Counting(person)
        await keys.press("t")
        await person.sees("▸ ↻ retrying", "Tyres")
        await keys.press("enter")
        await person.sees_below("Host", "✗ There is no host named")
        await keys.press("enter")
        await person.type(broker.host)
        await keys.press("f3")
        await person.sees("● connected")
        await person.sees_no("no-such-broker")
        assert keys.count <= MOST


async def test_a_certificate_that_is_not_trusted(
    embedded: Orchestrator, start_mosquitto: StartMosquitto, authority: Authority
) -> None:
    broker = start_mosquitto(*tls(authority.server("localhost")), *ANONYMOUS)
    config = draft(broker, host="localhost", use_tls=True)
    product = await configured(embedded.inside, config)
    await reaches(embedded.inside, product.id, ConnectionState.LATCHED)
    async with before(embedded.open) as person:
        await person.sees("▸ ✗ latched", "Tyres")
        keys = Counting(person)
        await keys.press("enter")
        await person.sees_below("CA certificate", "✗ The certificate was")
        await keys.press("enter")
        await person.type(str(authority.cert))
        await person.sees("days left")
        await keys.press("f3")
        await person.sees("● connected")
        assert keys.count <= MOST


async def test_an_edited_field_is_no_longer_blamed(embedded: Orchestrator, broker: Broker) -> None:
    config = draft(broker, port=1)
    product = await configured(embedded.inside, config)
    await reaches(embedded.inside, product.id, ConnectionState.RETRYING)
    async with before(embedded.open, size=WIDE) as person:
        await person.sees("▸ ↻ retrying", "Tyres")
        await person.press("enter")
        await person.sees_below("Port", "✗ 127.0.0.1:1 refused")
        await person.press("enter", "end", "2")
        await person.sees("• Port", "1883")
        await person.sees_no("Port", "✗")
        await person.press("backspace")
        await person.sees_below("Port", "✗ 127.0.0.1:1 refused")
