"""The brokers we start: they listen, do what their configuration says, and leave nothing behind."""

import hashlib
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from cortex_tui.demo import broker as brokers
from cortex_tui.demo.broker import Amqtt, Broker, BrokerFailed, Mosquitto
from tests.brokers import ANONYMOUS, StartMosquitto, acl, publish, require_mosquitto, tls, users
from tests.certificates import Authority, self_signed
from tests.waiting import DEADLINE, wait_until

KINDS = [Mosquitto, Amqtt]


def _make(kind: type[Broker], *, refusing: bool = False) -> Broker:
    if kind is Mosquitto:
        require_mosquitto()
        return Mosquitto([f"allow_anonymous {'false' if refusing else 'true'}"])
    pytest.importorskip("amqtt")
    return Amqtt(refusing=refusing)


class Client:
    """A paho client that keeps what the broker said and sent."""

    def __init__(self, broker: Broker, *, user: tuple[str, str] | None = None) -> None:
        self._broker = broker
        self._granted = 0
        self.answer: ReasonCode | None = None
        self.received: list[bytes] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        if user:
            self._client.username_pw_set(*user)
        self._client.connect(broker.host, broker.port)
        self._run_until(lambda: self.answer is not None)

    def _on_connect(self, *arguments: Any) -> None:
        self.answer = arguments[3]

    def _on_subscribe(self, *_: Any) -> None:
        self._granted += 1

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self.received.append(bytes(message.payload))

    def _run_until(self, condition: Callable[[], bool]) -> None:
        wait_until(lambda: self._client.loop(0.05) or condition())

    def receives(
        self, topic: str, payload: bytes, *, publisher: tuple[str, str] | None = None
    ) -> None:
        """What is published to `topic` arrives, and nothing before it."""
        self.subscribe(topic)
        publish(self._broker, topic, payload, user=publisher)
        self._run_until(lambda: bool(self.received))
        assert self.received == [payload]

    def subscribe(self, topic: str) -> None:
        """Returns once the broker has answered."""
        before = self._granted
        self._client.subscribe(topic, qos=1)
        self._run_until(lambda: self._granted > before)


@pytest.mark.parametrize("kind", KINDS)
def test_it_delivers_and_comes_back_on_the_same_port(kind: type[Broker]) -> None:
    with _make(kind) as broker:
        assert broker.running
        assert broker.name.split()[0] == kind.__name__.lower()
        assert broker.name.split()[1][0].isdigit()
        Client(broker).receives("a/b", b"before")

        port = broker.port
        broker.stop()
        assert not broker.running
        with pytest.raises(ConnectionRefusedError):
            Client(broker)
        broker.start()

        assert broker.port == port
        Client(broker).receives("a/b", b"after")


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusing_broker_refuses_every_password(kind: type[Broker]) -> None:
    with _make(kind, refusing=True) as broker:
        for user in [None, ("alice", "secret")]:
            answer = Client(broker, user=user).answer
            assert answer is not None
            assert answer.value in (134, 135)


def test_amqtt_hangs_up_on_mqtt_5_so_that_clients_fall_back() -> None:
    with _make(Amqtt) as broker, socket.create_connection((broker.host, broker.port)) as raw:
        raw.settimeout(DEADLINE)
        with_receive_maximum = "1018 0004 4d515454 05 02 003c 03 210014 0008"
        raw.sendall(bytes.fromhex(with_receive_maximum) + b"a-client")
        assert raw.recv(1) == b""


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_behind(kind: type[Broker]) -> None:
    with _make(kind) as broker:
        assert broker._process is not None
        pid = broker._process.pid
        folder = broker.folder
    assert not broker.running
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    broker.stop()


def test_another_port_is_tried_when_somebody_takes_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with _make(Mosquitto) as first:
        free_port = brokers._free_port
        ports = iter([first.port, free_port(first.host)])
        monkeypatch.setattr(brokers, "_free_port", lambda _host: next(ports))
        with _make(Mosquitto) as second:
            assert second.port != first.port
            Client(second).receives("a", b"1")


def test_a_broker_that_cannot_start_says_why() -> None:
    require_mosquitto()
    broken = Mosquitto(["no_such_option 1"])
    with pytest.raises(BrokerFailed, match="no_such_option"), broken:
        pass
    assert not broken.folder.exists()


def test_without_any_broker_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(brokers, "mosquitto_program", lambda: None)
    monkeypatch.setattr(brokers, "amqtt_installed", lambda: False)
    with pytest.raises(BrokerFailed, match=r"pip install 'cortex-tui\[demo\]'"):
        brokers.best_broker()


def test_mosquitto_is_found_outside_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "mosquitto"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(brokers, "_SBIN", (str(tmp_path),))
    assert brokers.mosquitto_program() == str(program)


def test_packets_are_logged(start_mosquitto: StartMosquitto) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    Client(broker).receives("v3/events", b"{}")
    wait_until(lambda: "Received SUBSCRIBE from" in broker.log)
    assert "v3/events" in broker.log


def test_users_and_acl(start_mosquitto: StartMosquitto, tmp_path: Path) -> None:
    rules = acl(tmp_path, "user alice", "topic read allowed", "user bob", "topic write #")
    broker = start_mosquitto(*users(tmp_path, {"alice": "secret", "bob": "builder"}), *rules)
    assert "secret" not in (tmp_path / "passwords").read_text()
    refused = Client(broker, user=("alice", "wrong")).answer
    assert refused is not None
    assert refused.is_failure

    alice = Client(broker, user=("alice", "secret"))
    alice.subscribe("forbidden")
    publish(broker, "forbidden", b"no", user=("bob", "builder"))
    alice.receives("allowed", b"yes", publisher=("bob", "builder"))


def _handshake(broker: Broker, context: ssl.SSLContext) -> str:
    """The fingerprint of the server's certificate, after one byte of real traffic."""
    with (
        socket.create_connection((broker.host, broker.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as wrapped,
    ):
        # Under TLS 1.3 a missing client certificate shows at the first read only.
        wrapped.sendall(bytes.fromhex("100c00044d5154540402003c0000"))
        assert wrapped.recv(4)[0] == 0x20
        certificate = wrapped.getpeercert(binary_form=True)
        assert certificate is not None
        return hashlib.sha256(certificate).hexdigest()


def test_tls(start_mosquitto: StartMosquitto, authority: Authority, tmp_path: Path) -> None:
    trusting = ssl.create_default_context(cafile=authority.cert)
    server = authority.server("good")
    good = start_mosquitto(*ANONYMOUS, *tls(server))
    assert _handshake(good, trusting) == server.fingerprint
    publish(good, "a", b"1", ca=authority.cert)

    for server, reason in [
        (authority.server("expired", days=(-30, -1)), "has expired"),
        (authority.server("future", days=(1, 30)), "not yet valid"),
        (authority.server("elsewhere", names=("example.org",)), "mismatch"),
        (self_signed(tmp_path), "self.signed"),
    ]:
        broker = start_mosquitto(*ANONYMOUS, *tls(server))
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            _handshake(broker, trusting)


def test_client_certificates(start_mosquitto: StartMosquitto, authority: Authority) -> None:
    server = authority.server("mutual")
    broker = start_mosquitto(*ANONYMOUS, *tls(server, clients=authority))
    trusting = ssl.create_default_context(cafile=authority.cert)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _handshake(broker, trusting)
    client = authority.client("some-client")
    trusting.load_cert_chain(client.cert, client.key)
    assert _handshake(broker, trusting) == server.fingerprint
