"""Certificates and keys of a broker: an extension, the same for every way to an orchestrator."""

import json
from typing import Any

import httpx
import pytest

from cortex_tui.backend import Capability, Invalid, Unsupported
from cortex_tui.demo.broker import Broker, Mosquitto
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import TLS_MATERIAL, ConnectionTest
from cortex_tui.server import create_app
from cortex_tui.values import MASK
from tests.brokers import ANONYMOUS, StartMosquitto, tls
from tests.certificates import Authority, Identity
from tests.contract.conftest import DOCUMENTED, Orchestrator
from tests.orchestrators import configured, draft
from tests.waiting import until


@pytest.fixture
def alice(authority: Authority) -> Identity:
    return authority.client("alice")


@pytest.fixture
def guarded(start_mosquitto: StartMosquitto, authority: Authority) -> Mosquitto:
    """A broker that nobody knows without `ca_cert`, and that wants a certificate itself."""
    return start_mosquitto(*ANONYMOUS, *tls(authority.server("guarded"), clients=authority))


def material(authority: Authority, alice: Identity) -> dict[str, Any]:
    return {
        "use_tls": True,
        "ca_cert": authority.cert.read_text(),
        "client_cert": alice.cert.read_text(),
        "client_key": alice.key.read_text(),
    }


async def connects(orchestrator: Orchestrator, product_id: int) -> None:
    async def connected() -> bool:
        return (await orchestrator.backend.status(product_id)).connected

    await until(connected)


async def test_they_are_kept_used_and_the_key_never_comes_back(
    extended: Orchestrator, guarded: Mosquitto, authority: Authority, alice: Identity
) -> None:
    backend = extended.backend
    assert Capability.TLS_MATERIAL in await _capabilities(extended)
    product = await extended.product()
    asked = draft(guarded, **material(authority, alice))

    await backend.save_config(product.id, asked)
    await connects(extended, product.id)
    document = await backend.config(product.id)

    assert document.mqtt_config is not None
    stored = document.mqtt_config.broker
    assert (stored.ca_cert, stored.client_cert) == (asked.broker.ca_cert, asked.broker.client_cert)
    assert stored.client_key is not None
    assert stored.client_key.get_secret_value() == MASK
    assert "PRIVATE" not in document.model_dump_json()


async def test_what_is_not_named_is_kept_and_what_is_null_goes(
    extended: Orchestrator, guarded: Mosquitto, authority: Authority, alice: Identity
) -> None:
    backend = extended.backend
    product = await extended.product()
    await backend.save_config(product.id, draft(guarded, **material(authority, alice)))

    kept = await backend.save_config(product.id, draft(guarded, use_tls=True, keep_alive=20))
    await backend.reconnect(product.id)
    await until(lambda: "k20" in guarded.log)  # the CONNECT with the new keep alive was accepted
    without = await backend.save_config(
        product.id, draft(guarded, use_tls=True, ca_cert=None, client_cert=None)
    )

    assert kept.mqtt_config.broker.ca_cert == authority.cert.read_text()
    assert kept.mqtt_config.broker.client_key is not None
    removed = without.mqtt_config.broker
    assert (removed.ca_cert, removed.client_cert, removed.client_key) == (None, None, None)


async def test_a_test_uses_the_stored_key_for_the_stored_certificate(
    extended: Orchestrator, guarded: Mosquitto, authority: Authority, alice: Identity
) -> None:
    backend = extended.backend
    product = await extended.product()
    await backend.save_config(product.id, draft(guarded, **material(authority, alice)))
    access = {"host": guarded.host, "port": guarded.port, **material(authority, alice)}

    def without_key(certificate: Identity) -> ConnectionTest:
        values = {**access, "client_key": None, "client_cert": certificate.cert.read_text()}
        return ConnectionTest.model_validate(values)

    assert (await backend.test_connection(product.id, without_key(alice))).connected
    bob = await backend.test_connection(product.id, without_key(authority.client("bob")))
    assert not bob.connected
    assert bob.details == "client_cert is set without its key. Give client_key too"


async def test_certificate_and_key_have_to_belong_together(
    extended: Orchestrator, guarded: Mosquitto, authority: Authority, alice: Identity
) -> None:
    product = await extended.product()
    bob = authority.client("bob")
    values = {**material(authority, alice), "client_key": bob.key.read_text()}

    with pytest.raises(Invalid) as rejected:
        await extended.backend.save_config(product.id, draft(guarded, **values))

    (problem,) = rejected.value.problems
    assert problem.loc[-2:] == ("broker", "client_key")
    assert "do not belong together" in problem.message
    assert "PRIVATE" not in rejected.value.text
    assert (await extended.backend.config(product.id)).mqtt_config is None


OF_NO_USE = """-----BEGIN PRIVATE KEY-----
MGECAQAwEAYHKoZIzj0CAQYFK4EEAAgESjBIAgEBBBUA0g/ly1d7sCAePtULHGXb
qB5JYSKhLAMqAARoi5rH3YjpRpL7JjFwoMKhS1lTvnuQudKtK30TkrXOxfUtHvfR
w9HE
-----END PRIVATE KEY-----
"""
"""On a curve (secp160r1) that nobody uses any more."""


async def test_a_key_of_a_kind_that_is_not_supported_is_named(
    extended: Orchestrator, alice: Identity, broker: Broker
) -> None:
    product = await extended.product()
    certificate = alice.cert.read_text()
    with pytest.raises(Invalid, match="client_key is of a kind that is not supported"):
        await extended.backend.save_config(
            product.id, draft(broker, client_cert=certificate, client_key=OF_NO_USE)
        )


async def test_a_new_certificate_needs_a_new_key(
    extended: Orchestrator, guarded: Mosquitto, authority: Authority, alice: Identity
) -> None:
    product = await extended.product()
    await extended.backend.save_config(product.id, draft(guarded, **material(authority, alice)))
    bob = authority.client("bob").cert.read_text()

    with pytest.raises(Invalid, match="do not belong together"):
        await extended.backend.save_config(product.id, draft(guarded, client_cert=bob))


@pytest.mark.parametrize("orchestrator", [DOCUMENTED], indirect=True)
async def test_where_only_the_reference_is_known_they_are_refused_and_none_is_lost(
    orchestrator: Orchestrator, guarded: Mosquitto, authority: Authority, alice: Identity
) -> None:
    backend = orchestrator.backend
    product = await orchestrator.product()
    await orchestrator.inside.save_config(product.id, draft(guarded, **material(authority, alice)))

    with pytest.raises(Unsupported, match="does not take certificates"):
        await backend.save_config(product.id, draft(guarded, **material(authority, alice)))
    with pytest.raises(Unsupported, match="does not take certificates"):
        await backend.test_connection(
            product.id,
            ConnectionTest(host="localhost", ca_cert=authority.cert.read_text()),
        )
    none = draft(guarded, ca_cert=None, client_cert=None, client_key=None)
    saved = await backend.save_config(product.id, none)

    assert saved.mqtt_config.broker.ca_cert is None
    inside = (await orchestrator.inside.config(product.id)).mqtt_config
    assert inside is not None
    assert inside.broker.ca_cert == authority.cert.read_text()
    assert inside.broker.client_key is not None


async def _capabilities(orchestrator: Orchestrator) -> frozenset[Capability]:
    await orchestrator.backend.products()
    return orchestrator.backend.capabilities


@pytest.mark.parametrize("extensions", [True, False])
async def test_a_documented_answer_does_not_gain_them(
    local: LocalBackend, broker: Broker, authority: Authority, extensions: bool
) -> None:
    config = draft(broker, ca_cert=authority.cert.read_text())
    product = await configured(local, config)
    path = f"/api/v1/products/{product.id}/mqtt-config"
    transport = httpx.ASGITransport(app=create_app(local, extensions=extensions))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        read = (await client.get(path)).json()["mqtt_config"]["broker"]
        body = json.loads(config.model_dump_json(exclude={"broker": {"password"}}))
        saved = (await client.put(path, json=body)).json()["mqtt_config"]["broker"]

    for broker_fields in (read, saved):
        assert (set(broker_fields) >= TLS_MATERIAL) is extensions
        assert (len(broker_fields) == 9) is not extensions
