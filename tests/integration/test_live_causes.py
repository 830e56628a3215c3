"""A live connection names the cause as well as the connection test does."""

from pathlib import Path
from typing import Any

import pytest

from cortex_tui.local import connection
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import BrokerConfig, ConfigDraft, TopicsConfig
from cortex_tui.states import ConnectionState
from tests.brokers import ANONYMOUS, StartMosquitto, tls
from tests.certificates import Authority
from tests.counterparts import (
    Behaviour,
    StartCounterpart,
    answers,
    closes_after_hearing,
    http_server,
    says,
    silent,
    within_tls,
)
from tests.orchestrators import configured, reaches
from tests.waiting import until

RETRYING, LATCHED = ConnectionState.RETRYING, ConnectionState.LATCHED


async def explains(
    local: LocalBackend, broker: dict[str, Any], state: ConnectionState, error: str, hint: str
) -> None:
    """Wait until a product with that broker says so."""
    config = ConfigDraft(
        broker=BrokerConfig.model_validate({"host": "localhost", **broker}), topics=TopicsConfig()
    )
    product = await configured(local, config)

    async def told() -> bool:
        status = await local.status(product.id)
        return (
            status.state is state
            and error in (status.connection_error or "")
            and hint in (status.hint or "")
        )

    await until(told)


async def test_an_unknown_issuer_by_its_name(
    local: LocalBackend, start_mosquitto: StartMosquitto, authority: Authority
) -> None:
    port = start_mosquitto(*ANONYMOUS, *tls(authority.server("unknown"))).port
    await explains(
        local,
        {"port": port, "use_tls": True},
        LATCHED,
        "issued by an authority this machine does not know: CN=Cortex Test Authority",
        "Give the certificate of that authority as ca_cert",
    )


async def test_an_issuer_that_is_not_the_given_one(
    local: LocalBackend, start_mosquitto: StartMosquitto, authority: Authority, tmp_path: Path
) -> None:
    port = start_mosquitto(*ANONYMOUS, *tls(authority.server("unknown"))).port
    another = Authority(tmp_path, "Another Authority").cert.read_text()
    await explains(
        local,
        {"port": port, "use_tls": True, "ca_cert": another},
        LATCHED,
        "not issued by the authority in ca_cert, but by CN=Cortex Test Authority",
        "Give that authority as ca_cert, or none where this machine knows it",
    )


async def test_an_expired_certificate_with_its_date(
    local: LocalBackend, start_mosquitto: StartMosquitto, authority: Authority
) -> None:
    expired = authority.server("expired", days=(-30, -1))
    port = start_mosquitto(*ANONYMOUS, *tls(expired)).port
    ca_cert = authority.cert.read_text()
    await explains(
        local,
        {"port": port, "use_tls": True, "ca_cert": ca_cert},
        LATCHED,
        "The certificate has expired: valid until 20",
        "The broker needs a new certificate",
    )


async def test_a_missing_client_certificate(
    local: LocalBackend, start_mosquitto: StartMosquitto, authority: Authority
) -> None:
    """TLS 1.3 tells it after the handshake, when paho is no longer listening for it."""
    port = start_mosquitto(*ANONYMOUS, *tls(authority.server("asks"), clients=authority)).port
    await explains(
        local,
        {"port": port, "use_tls": True, "ca_cert": authority.cert.read_text()},
        LATCHED,
        "The broker wants a client certificate",
        "Give client_cert and client_key",
    )


SSH = b"SSH-2.0-OpenSSH_9.2p1\r\n"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("behaviour", "use_tls", "error"),
    [
        (says(SSH), False, "is an SSH server"),
        (answers(BAD_REQUEST), False, "is an HTTP server (HTTP/1.1 400 Bad Request)"),
        (answers(b"\x00"), False, "answers something that is not MQTT (00)"),
        (http_server(200), True, "is an HTTP server (HTTP/1.1 200 OK)"),
        (closes_after_hearing, False, "closed the connection"),
    ],
)
async def test_a_port_that_is_no_broker_at_its_first_word(
    local: LocalBackend,
    counterpart: StartCounterpart,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: Behaviour,
    use_tls: bool,
    error: str,
) -> None:
    monkeypatch.setattr(connection, "CONNACK_TIMEOUT", 1_000.0)
    port = counterpart(behaviour)
    await explains(local, {"port": port, "use_tls": use_tls}, RETRYING, error, "")


async def test_a_port_that_is_no_broker_within_tls(
    local: LocalBackend,
    counterpart: StartCounterpart,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "CONNACK_TIMEOUT", 1_000.0)
    port = counterpart(within_tls(authority.server("shell"), says(SSH)))
    secured = {"use_tls": True, "ca_cert": authority.cert.read_text(), "verify_cert": False}
    await explains(local, {"port": port, **secured}, RETRYING, "is an SSH server", "")


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (http_server(404), "is an HTTP server (HTTP/1.1 404 Not Found)"),
        (silent, "accepts connections and says nothing"),
    ],
)
async def test_a_port_that_stays_silent(
    local: LocalBackend,
    counterpart: StartCounterpart,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: Behaviour,
    error: str,
) -> None:
    """Until it is asked what it speaks; an HTTP server waits for the end of a line."""
    monkeypatch.setattr(connection, "CONNACK_TIMEOUT", 0.2)
    await explains(local, {"port": counterpart(behaviour)}, RETRYING, error, "")


@pytest.mark.parametrize("use_tls", [True, False])
async def test_tls_on_one_side_only(
    local: LocalBackend, start_mosquitto: StartMosquitto, authority: Authority, use_tls: bool
) -> None:
    secured = [] if use_tls else tls(authority.server("one-sided"))
    port = start_mosquitto(*ANONYMOUS, *secured).port
    error = "speaks MQTT without TLS" if use_tls else "wants TLS"
    hint = "Turn off use_tls" if use_tls else "Turn on use_tls"
    await explains(local, {"port": port, "use_tls": use_tls}, RETRYING, error, hint)


async def test_material_that_cannot_be_used_waits_for_a_person(local: LocalBackend) -> None:
    """What was stored before it was checked, or is checked more strictly since."""
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    broker = BrokerConfig(host="localhost", port=1)
    product = await configured(local, ConfigDraft(broker=broker, topics=TopicsConfig()))
    stored = BrokerConfig(host="localhost", use_tls=True, ca_cert=broken)
    local._store.save_config(product.id, ConfigDraft(broker=stored, topics=TopicsConfig()))
    await local.reconnect(product.id)
    await reaches(local, product.id, LATCHED)
    status = await local.status(product.id)
    assert status.connection_error == "ca_cert is no certificate in PEM form"
    assert status.hint == "It starts with -----BEGIN CERTIFICATE-----"
