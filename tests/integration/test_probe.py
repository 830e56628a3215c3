"""The connection test against a real counterpart for each way a connection can fail."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from cortex_tui.demo.broker import Amqtt
from cortex_tui.diagnosis import Diagnosis, Outcome, Stage, StageResult
from cortex_tui.local.probe import probe
from cortex_tui.local.probe.dial import Address
from cortex_tui.models import ConnectionTest
from cortex_tui.values import STORED
from tests.brokers import ANONYMOUS, StartMosquitto, acl, tls, users
from tests.certificates import Authority, Identity, self_signed
from tests.counterparts import (
    CONNACK_V3,
    Behaviour,
    Crowded,
    StartCounterpart,
    closes_after_hearing,
    closes_at_once,
    connack,
    drips,
    http_server,
    only_alerts_in_tls,
    only_cipher,
    only_tls_1_0,
    only_version,
    resets,
    says,
    scripted,
    silent,
    slowly,
    text_property,
    websocket_listener,
    within_tls,
)
from tests.waiting import DEADLINE, wait_until

QUICK = 1.5
"""Limit, in seconds, of tests that have to wait it out because nobody ever answers."""

Fields = dict[str, Any]


@dataclass
class Bench:
    """What a case may start, and a folder for its files."""

    counterpart: StartCounterpart
    mosquitto: StartMosquitto
    authority: Authority
    folder: Path
    running: ExitStack

    def secured(self, identity: Identity | None = None, **clients: Authority) -> Fields:
        """A mosquitto with TLS, and the fields to reach it."""
        identity = identity or self.authority.server("broker")
        port = self.mosquitto(*ANONYMOUS, *tls(identity, **clients)).port
        return {"port": port, "use_tls": True, "ca_cert": self.authority.cert.read_text()}

    def behind_tls(self, behaviour: Behaviour) -> Fields:
        """A counterpart with TLS, and the fields to reach it."""
        port = self.counterpart(within_tls(self.authority.server("broker"), behaviour))
        return {"port": port, "use_tls": True, "ca_cert": self.authority.cert.read_text()}

    def with_users(self, *rules: str) -> Fields:
        """A mosquitto that knows alice, and the fields with which she gets in."""
        lines = users(self.folder, {"alice": "wonderland"})
        if rules:
            lines += acl(self.folder, "user alice", *rules)
        return {
            "port": self.mosquitto(*lines).port,
            "username": "alice",
            "password": "wonderland",
        }


@pytest.fixture
def bench(
    counterpart: StartCounterpart,
    start_mosquitto: StartMosquitto,
    authority: Authority,
    tmp_path: Path,
) -> Iterator[Bench]:
    with ExitStack() as running:
        yield Bench(counterpart, start_mosquitto, authority, tmp_path, running)


def diagnose(fields: Fields, *, limit: float = 10.0, **options: Any) -> Diagnosis:
    """The result of a test, which ends although nobody calls it off."""
    values = {"host": "localhost", "time_limit": limit, **fields}
    test = ConnectionTest.model_validate(values, context=STORED)
    results: list[Diagnosis] = []
    thread = threading.Thread(target=lambda: results.append(probe(test, **options)))
    thread.start()
    thread.join(DEADLINE)
    assert results, "the test did not end"
    return results[0]


def stage_of(result: Diagnosis, stage: Stage) -> StageResult:
    (found,) = [told for told in result.stages if told.stage is stage]
    return found


@dataclass(frozen=True)
class Case:
    """A counterpart with the fields to meet it, and what the test must say."""

    name: str
    meet: Callable[[Bench], Fields]
    stage: Stage
    cause: str
    advice: str
    limit: float = 10.0


def _port(behaviour: Behaviour, **fields: Any) -> Callable[[Bench], Fields]:
    return lambda bench: {"port": bench.counterpart(behaviour), **fields}


def _fields(**fields: Any) -> Callable[[Bench], Fields]:
    return lambda bench: fields


def _wrong_client_certificate(bench: Bench) -> Fields:
    stranger = Authority(bench.folder, "Another Authority").client("mallory")
    return {
        **bench.secured(clients=bench.authority),
        "client_cert": stranger.cert.read_text(),
        "client_key": stranger.key.read_text(),
    }


_MQTT_PORT = "Use the broker's MQTT port"

UNREACHED = [
    Case(
        "name that does not exist",
        _fields(host="no-such-host.invalid"),
        Stage.DNS,
        "There is no host named no-such-host.invalid",
        "Check the spelling",
    ),
    Case(
        "host given as URL",
        _fields(host="mqtt://localhost"),
        Stage.DNS,
        "host contains a scheme",
        "Keep only the host itself",
    ),
    Case(
        "host with port",
        _fields(host="localhost:1883"),
        Stage.DNS,
        "host contains a port",
        "Keep only the host itself and put the port into its own field",
    ),
    Case(
        "refused",
        _fields(port=1),
        Stage.TCP,
        "localhost:1 refused the connection",
        "Nothing listens on that port",
    ),
    Case(
        "refused over IPv6",
        _fields(host="::1", port=1),
        Stage.TCP,
        "[::1]:1 refused the connection",
        "Nothing listens on that port",
    ),
    Case(
        "filtered",
        lambda bench: {"port": bench.running.enter_context(Crowded())},
        Stage.TCP,
        "did not answer",
        "A firewall drops the packets",
        QUICK,
    ),
]

NOT_A_BROKER = [
    Case(
        "accepts and stays silent",
        _port(silent),
        Stage.CONNECT,
        "accepts connections and says nothing",
        "Check that this port speaks MQTT",
        QUICK,
    ),
    Case(
        "silent to TLS",
        _port(silent, use_tls=True),
        Stage.TLS,
        "stopped answering during the TLS handshake",
        "Check that this port speaks TLS",
        QUICK,
    ),
    Case(
        "silent after TLS",
        lambda bench: bench.behind_tls(silent),
        Stage.CONNECT,
        "accepts connections and says nothing",
        "Check that this port speaks MQTT",
        QUICK,
    ),
    Case(
        "drips an answer that never ends",
        _port(drips),
        Stage.CONNECT,
        "began an answer and did not finish it",
        "the broker or the network may be overloaded",
        QUICK,
    ),
    Case(
        "closes at once",
        _port(closes_at_once),
        Stage.CONNECT,
        "closed the connection",
        "Check that this port speaks MQTT",
    ),
    Case(
        "closes during TLS",
        _port(closes_after_hearing, use_tls=True),
        Stage.TLS,
        "cut the TLS handshake off",
        "Check that this port speaks TLS",
    ),
    Case(
        "cuts TLS off, and still wants it",
        _port(only_alerts_in_tls, use_tls=True),
        Stage.TLS,
        "cut the TLS handshake off",
        "Check that this port speaks TLS",
    ),
    Case(
        "closes after CONNECT",
        _port(closes_after_hearing),
        Stage.CONNECT,
        "closed the connection",
        "the broker's log may say why",
    ),
    Case(
        "resets",
        _port(resets),
        Stage.CONNECT,
        "reset the connection",
        "the broker's log may say why",
    ),
    Case(
        "TLS to a plain port",
        lambda bench: {"port": bench.mosquitto(*ANONYMOUS).port, "use_tls": True},
        Stage.TLS,
        "speaks MQTT without TLS",
        "Turn off use_tls",
    ),
    Case(
        "plain to a TLS port",
        lambda bench: {**bench.secured(), "use_tls": False},
        Stage.CONNECT,
        "wants TLS",
        "Turn on use_tls",
    ),
    *(
        Case(
            f"HTTP server with {status}",
            _port(http_server(status, {"Location": "/elsewhere"} if status == 301 else None)),
            Stage.CONNECT,
            f"is an HTTP server (HTTP/1.1 {line}",
            _MQTT_PORT,
        )
        for status, line in (
            (200, "200 OK)"),
            (301, "301 Moved Permanently, to /elsewhere)"),
            (404, "404 Not Found)"),
        )
    ),
    Case(
        "TLS to an HTTP server",
        _port(http_server(200), use_tls=True),
        Stage.TLS,
        "is an HTTP server (HTTP/1.1 200 OK)",
        _MQTT_PORT,
    ),
    Case(
        "HTTPS server",
        lambda bench: bench.behind_tls(http_server(404)),
        Stage.CONNECT,
        "is an HTTP server (HTTP/1.1 404 Not Found)",
        _MQTT_PORT,
    ),
    Case(
        "WebSocket listener",
        lambda bench: {"port": bench.running.enter_context(websocket_listener())},
        Stage.CONNECT,
        "speaks MQTT over WebSocket",
        _MQTT_PORT,
    ),
    Case(
        "SSH banner",
        _port(says(b"SSH-2.0-OpenSSH_9.2p1\r\n")),
        Stage.CONNECT,
        "is an SSH server (SSH-2.0-OpenSSH_9.2p1)",
        _MQTT_PORT,
    ),
    Case(
        "another banner",
        _port(says(b"220 mail.example \x1b[31mESMTP\r\n")),
        Stage.CONNECT,
        "answers something that is not MQTT (220 mail.example [31mESMTP)",
        _MQTT_PORT,
    ),
    Case(
        "random bytes",
        _port(says(bytes.fromhex("c3f10be7a2099d41"))),
        Stage.CONNECT,
        "answers something that is not MQTT (c3 f1 0b e7 a2 09 9d 41)",
        _MQTT_PORT,
    ),
    Case(
        "a CONNACK that is none",
        _port(says(b"\x20\xff\xff\xff\xff\xff")),
        Stage.CONNECT,
        "answers something that is not MQTT",
        _MQTT_PORT,
    ),
]


def _of_an_expired_authority(bench: Bench) -> Fields:
    expired = Authority(bench.folder / "elsewhere", days=(-30, -1))
    return {**bench.secured(expired.server("broker")), "ca_cert": expired.cert.read_text()}


def _another(bench: Bench, name: str) -> str:
    return Authority(bench.folder / "elsewhere", name).cert.read_text()


TLS = [
    Case(
        "unknown issuer",
        lambda bench: {**bench.secured(), "ca_cert": None},
        Stage.TLS,
        "issued by an authority this machine does not know: CN=Cortex Test Authority",
        "Give the certificate of that authority as ca_cert",
    ),
    Case(
        "self-signed",
        lambda bench: {**bench.secured(self_signed(bench.folder)), "ca_cert": None},
        Stage.TLS,
        "signed by itself",
        "Compare its fingerprint with whoever runs the broker",
    ),
    Case(
        "another authority than the one that is given",
        lambda bench: {**bench.secured(), "ca_cert": _another(bench, "Another Authority")},
        Stage.TLS,
        "not issued by the authority in ca_cert, but by CN=Cortex Test Authority",
        "Give that authority as ca_cert, or none where this machine knows it",
    ),
    Case(
        "another authority of the same name",
        lambda bench: {**bench.secured(), "ca_cert": _another(bench, "Cortex Test Authority")},
        Stage.TLS,
        "not issued by the authority in ca_cert, but by CN=Cortex Test Authority",
        "Give that authority as ca_cert, or none where this machine knows it",
    ),
    Case(
        "self-signed, and an authority is given",
        lambda bench: bench.secured(self_signed(bench.folder)),
        Stage.TLS,
        "signed by itself, not by the authority in ca_cert",
        "Compare its fingerprint with whoever runs the broker",
    ),
    Case(
        "expired",
        lambda bench: bench.secured(bench.authority.server("old", days=(-30, -1))),
        Stage.TLS,
        "The certificate has expired: valid until 20",
        "The broker needs a new certificate",
    ),
    Case(
        "the authority that is given has expired",
        _of_an_expired_authority,
        Stage.TLS,
        "The authority in ca_cert has expired",
        "Give its new certificate as ca_cert; check this machine's clock too",
    ),
    Case(
        "not yet valid",
        lambda bench: bench.secured(bench.authority.server("early", days=(1, 30))),
        Stage.TLS,
        "The certificate is not valid yet: valid from 20",
        "Check this machine's clock",
    ),
    Case(
        "wrong name",
        lambda bench: bench.secured(
            bench.authority.server("elsewhere", names=("a.example", "10.0.0.7"))
        ),
        Stage.TLS,
        "The certificate is not for localhost, it is for a.example, 10.0.0.7",
        "Use a host the certificate names",
    ),
    Case(
        "IP address not in the certificate",
        lambda bench: {
            **bench.secured(bench.authority.server("named", names=("localhost",))),
            "host": "127.0.0.1",
        },
        Stage.TLS,
        "The certificate is not for 127.0.0.1, it is for localhost",
        "Use a host the certificate names",
    ),
    Case(
        "client certificate missing",
        lambda bench: bench.secured(clients=bench.authority),
        Stage.TLS,
        "The broker wants a client certificate",
        "Give client_cert and client_key",
    ),
    Case(
        "wrong client certificate",
        _wrong_client_certificate,
        Stage.TLS,
        "The broker refused our client certificate",
        "from an authority the broker trusts",
    ),
    Case(
        "only TLS 1.0",
        lambda bench: {
            "port": bench.counterpart(only_tls_1_0(bench.authority.server("ancient"))),
            "use_tls": True,
        },
        Stage.TLS,
        "only TLS versions that are no longer safe",
        "TLS 1.2 or 1.3",
    ),
    Case(
        "no cipher in common",
        lambda bench: {
            "port": bench.counterpart(only_cipher(bench.authority.server("rsa"), "AES128-SHA")),
            "use_tls": True,
        },
        Stage.TLS,
        "The broker ended the TLS handshake",
        "or shares no cipher with us",
    ),
    Case(
        "a ca_cert that is none",
        lambda bench: {**bench.secured(), "ca_cert": "-----BEGIN TEA-----"},
        Stage.TLS,
        "ca_cert is no certificate in PEM form",
        "It starts with -----BEGIN CERTIFICATE-----",
    ),
    Case(
        "a client_cert without its key",
        lambda bench: {
            **bench.secured(),
            "client_cert": bench.authority.client("alice").cert.read_text(),
        },
        Stage.TLS,
        "client_cert is set without its key",
        "Give client_key too",
    ),
]

CONNECT = [
    Case(
        "wrong password",
        lambda bench: {**bench.with_users(), "password": "looking-glass"},
        Stage.CONNECT,
        "Not authorized",
        "Check username and password first: several brokers answer this to a wrong one",
    ),
    Case(
        "no credentials",
        lambda bench: {**bench.with_users(), "username": None, "password": None},
        Stage.CONNECT,
        "Not authorized",
        "No username is set",
    ),
    Case(
        "client id refused",
        lambda bench: {
            "port": bench.mosquitto(*ANONYMOUS, "clientid_prefixes shop-").port,
            "client_id": "till",
        },
        Stage.CONNECT,
        "Not authorized",
        "otherwise this client id may not connect",
    ),
    Case(
        "client id rejected",
        _port(scripted(connack(133))),
        Stage.CONNECT,
        "Invalid client identifier",
        "Choose another client_id",
    ),
    Case(
        "server unavailable",
        _port(scripted(connack(136))),
        Stage.CONNECT,
        "Server unavailable",
        "it may accept again later",
    ),
    Case(
        "banned, with the broker's own words",
        _port(scripted(connack(138, text_property(31, "three strikes\r\nand out")))),
        Stage.CONNECT,
        "Banned (three strikes and out)",
        "ask whoever runs it to lift that",
    ),
    Case(
        "quota",
        _port(scripted(connack(151))),
        Stage.CONNECT,
        "Quota exceeded",
        "close other connections or raise it",
    ),
    Case(
        "server moved",
        _port(scripted(connack(157, text_property(28, "b.example:1884")))),
        Stage.CONNECT,
        "Server moved",
        "The broker names another one: b.example:1884",
    ),
    Case(
        "neither MQTT 5 nor 3.1.1",
        _port(only_version(3, b"", CONNACK_V3 + b"\x01")),
        Stage.CONNECT,
        "Incorrect protocol version",
        "look up what it speaks on this port",
    ),
]

SUBSCRIBE = [
    Case(
        "ACL that refuses the SUBACK",
        _port(
            scripted(connack(0), b"\x90\x04\x00\x01\x00\x87"),
            filters=("$share/bre/v3/+/business-events",),
        ),
        Stage.SUBSCRIBE,
        "$share/bre/v3/+/business-events was refused: Not authorized",
        "Let this user read the topic",
    ),
    Case(
        "sharing refused",
        _port(scripted(connack(0), b"\x90\x04\x00\x01\x00\x9e"), filters=("$share/bre/a",)),
        Stage.SUBSCRIBE,
        "$share/bre/a was refused: Shared subscriptions not supported",
        "Turn off use_shared",
    ),
    Case(
        "ends the session at the SUBSCRIBE",
        _port(scripted(connack(0), b"\xe0\x01\x87"), filters=("$SYS/#",)),
        Stage.SUBSCRIBE,
        "The broker ended the session: Not authorized",
        "Let this user read the topic",
    ),
    Case(
        "session taken over",
        _port(scripted(connack(0), b"\xe0\x01\x8e"), filters=("v3/#",)),
        Stage.SUBSCRIBE,
        "The broker ended the session: Session taken over",
        "Another client connected with the same client id",
    ),
    Case(
        "ACL that grants and does not deliver",
        lambda bench: {
            **bench.with_users("topic write v3/events"),
            "filters": ("v3/#",),
            "round_trip_topic": "v3/events",
        },
        Stage.ROUND_TRIP,
        "The message did not come back",
        "An access rule",
        QUICK,
    ),
    Case(
        "ACL that forbids publishing",
        lambda bench: {
            **bench.with_users("topic read v3/events"),
            "round_trip_topic": "v3/events",
        },
        Stage.ROUND_TRIP,
        "The broker takes no message on v3/events: Not authorized",
        "This user may not publish there",
    ),
    Case(
        "silent $share",
        lambda bench: {
            "port": bench.running.enter_context(Amqtt()).port,
            "filters": ("$share/bre/v3/+",),
            "round_trip_topic": "v3/events",
        },
        Stage.ROUND_TRIP,
        "The broker grants shared subscriptions and delivers nothing to them",
        "Turn off use_shared",
        QUICK,
    ),
]


@pytest.mark.parametrize(
    "case",
    [*UNREACHED, *NOT_A_BROKER, *TLS, *CONNECT, *SUBSCRIBE],
    ids=lambda case: case.name,
)
def test_it_names_stage_cause_and_advice(bench: Bench, case: Case) -> None:
    result = diagnose(case.meet(bench), limit=case.limit)

    failed = [told for told in result.stages if told.outcome is Outcome.FAILED]
    assert [told.stage for told in failed] == [case.stage], result
    assert case.cause in (failed[0].cause or "")
    assert case.advice in (failed[0].advice or "")
    assert result.status == "error"
    assert result.details == f"{failed[0].cause}. {failed[0].advice}"
    later = list(Stage)[list(Stage).index(case.stage) + 1 :]
    assert {stage_of(result, stage).outcome for stage in later} <= {Outcome.SKIPPED}
    assert result.connected == (case.stage in (Stage.SUBSCRIBE, Stage.ROUND_TRIP))


DOCUMENTED = [
    (134, CONNACK_V3 + b"\x04", "Connection failed with code 4", "Bad username or password"),
    (135, CONNACK_V3 + b"\x05", "Connection failed with code 5", "Not authorized"),
    (133, CONNACK_V3 + b"\x02", "Connection failed with code 2", "Invalid client identifier"),
    (136, CONNACK_V3 + b"\x03", "Connection failed with code 3", "Server unavailable"),
]


@pytest.mark.parametrize(("reason", "return_code", "error", "details"), DOCUMENTED)
def test_codes_and_texts_of_the_reference(
    bench: Bench, reason: int, return_code: bytes, error: str, details: str
) -> None:
    for reply in (connack(reason), return_code):
        result = diagnose({"port": bench.counterpart(scripted(reply)), "username": "u"})
        assert result.error == error
        assert result.details.startswith(f"{details}. ")
        assert (result.connected, result.latency_ms) == (False, None)


@pytest.mark.parametrize("reason", [128, 129, 130, 131, 137, 138, 140, 149, 151, 156, 157, 159])
def test_other_reasons_keep_their_number(bench: Bench, reason: int) -> None:
    result = diagnose({"port": bench.counterpart(scripted(connack(reason)))})
    assert result.error == f"Connection failed with code {reason}"


# -- what works -------------------------------------------------------------------------------


def test_a_healthy_broker(bench: Bench) -> None:
    result = diagnose(
        {
            "port": bench.mosquitto(*ANONYMOUS).port,
            "filters": ("$share/bre/v3/+/events", "v3/#"),
            "round_trip_topic": "v3/shop/events",
        }
    )
    assert (result.status, result.connected, result.error) == ("success", True, None)
    assert result.details == "Connected successfully"
    assert result.latency_ms is not None
    assert [told.outcome for told in result.stages] == [
        Outcome.SKIPPED if told.stage is Stage.TLS else Outcome.OK for told in result.stages
    ]
    assert result.grants is not None
    assert (result.grants.version, result.grants.max_qos) == ("5.0", 2)
    assert result.grants.shared_subscriptions is True
    assert (result.grants.software or "").startswith("mosquitto version")
    assert [(grant.filter, grant.granted_qos) for grant in result.filters] == [
        ("$share/bre/v3/+/events", 2),
        ("v3/#", 2),
    ]
    assert [trip.qos for trip in result.round_trips if trip.ms is not None] == [0, 1, 2]


def test_a_broker_that_grants_less(bench: Bench) -> None:
    limits = b"\x24\x00" + b"\x25\x00" + b"\x28\x00" + b"\x2a\x00"
    sizes = b"\x21\x00\x0a" + b"\x27\x00\x00\x04\x00" + b"\x13\x00\x1e" + b"\x11\x00\x00\x00\x3c"
    properties = limits + sizes + text_property(18, "assigned-1")
    result = diagnose({"port": bench.counterpart(scripted(connack(0, properties)))})
    assert result.grants is not None
    assert result.grants.model_dump() == {
        "version": "5.0",
        "software": None,
        "max_qos": 0,
        "retain": False,
        "wildcard_subscriptions": False,
        "shared_subscriptions": False,
        "receive_maximum": 10,
        "max_packet_bytes": 1024,
        "keep_alive": 30,
        "session_expiry": 60,
        "assigned_client_id": "assigned-1",
    }


@pytest.mark.parametrize(
    ("behaviour", "version"),
    [
        (only_version(5, connack(0), CONNACK_V3 + b"\x01"), "5.0"),
        (only_version(4, CONNACK_V3 + b"\x00", CONNACK_V3 + b"\x01"), "3.1.1"),
        (only_version(4, CONNACK_V3 + b"\x00", connack(132)), "3.1.1"),
        (only_version(4, CONNACK_V3 + b"\x00", b""), "3.1.1"),
        (scripted(CONNACK_V3 + b"\x00"), "3.1.1"),
    ],
    ids=["v5 only", "v3.1.1 by its code", "v3.1.1 by reason", "v3.1.1 by closing", "by ignoring"],
)
def test_versions(bench: Bench, behaviour: Behaviour, version: str) -> None:
    result = diagnose({"port": bench.counterpart(behaviour)})
    assert result.connected
    assert result.grants is not None
    assert result.grants.version == version


def test_a_real_broker_of_3_1_1(bench: Bench) -> None:
    port = bench.running.enter_context(Amqtt()).port
    result = diagnose({"port": port, "filters": ("a/#",), "round_trip_topic": "a/b"})
    assert result.status == "success"
    assert stage_of(result, Stage.CONNECT).seen.endswith("MQTT 3.1.1")
    assert [trip.qos for trip in result.round_trips if trip.ms is not None] == [0, 1, 2]


def test_a_slow_broker_is_healthy(bench: Bench) -> None:
    # Slower than the patience before the second look, which finds nothing and keeps waiting.
    port = bench.counterpart(slowly(1.0, scripted(connack(0))))
    assert diagnose({"port": port}, limit=3.0).status == "success"


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_literal(bench: Bench, host: str) -> None:
    port = bench.counterpart(scripted(connack(0)), "::1")
    result = diagnose({"host": host, "port": port})
    assert result.status == "success"
    assert stage_of(result, Stage.TCP).seen == "::1 answered"


def test_a_name_with_two_addresses_of_which_one_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`localhost` is often both, and a broker often listens on one."""
    port = bench.mosquitto(*ANONYMOUS).port
    real = socket.getaddrinfo

    def both(host: str, *args: Any, **options: Any) -> list[Any]:
        return real("::1", *args, **options) + real("127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", both)
    result = diagnose({"port": port})
    assert result.status == "success"
    assert stage_of(result, Stage.DNS).seen == "::1, 127.0.0.1"
    assert stage_of(result, Stage.TCP).seen == "127.0.0.1 answered, ::1: connection refused"


# -- TLS --------------------------------------------------------------------------------------


@pytest.mark.parametrize("verify_cert", [True, False])
def test_the_chain_is_shown_although_it_is_not_trusted(bench: Bench, verify_cert: bool) -> None:
    identity = bench.authority.server("shown", days=(-1, 90))
    fields = {**bench.secured(identity), "ca_cert": None, "verify_cert": verify_cert}
    result = diagnose(fields)
    (certificate,) = result.certificates
    assert certificate.subject == "CN=shown"
    assert certificate.issuer == "CN=Cortex Test Authority"
    assert set(certificate.names) == {"localhost", "127.0.0.1", "::1"}
    assert certificate.days_left == 89
    assert certificate.fingerprint.replace(":", "").lower() == identity.fingerprint
    assert result.connected is not verify_cert


def test_whom_a_person_may_decide_to_trust(bench: Bench) -> None:
    """The authority where the broker shows it, else its own certificate; nobody where trust is
    not what is missing."""
    identity = bench.authority.server("offered")
    alone = {**bench.secured(identity), "ca_cert": None}
    chain = bench.folder / "chain.pem"
    chain.write_text(identity.cert.read_text() + bench.authority.cert.read_text())
    with_authority = {**alone, **bench.secured(Identity(chain, identity.key)), "ca_cert": None}
    for fields, subject in ((alone, "CN=offered"), (with_authority, "CN=Cortex Test Authority")):
        offered = diagnose(fields).untrusted
        assert offered is not None
        assert offered.subject == subject
        assert diagnose({**fields, "ca_cert": offered.pem}).status == "success"
    other = bench.secured(bench.authority.server("other", names=("a.example",)))
    assert diagnose(other).untrusted is None


def test_trusting_what_was_shown(bench: Bench) -> None:
    fields = {**bench.secured(self_signed(bench.folder)), "ca_cert": None}
    shown = diagnose(fields).certificates[-1]
    assert diagnose({**fields, "ca_cert": shown.pem}).status == "success"


def test_a_client_certificate(bench: Bench) -> None:
    alice = bench.authority.client("alice")
    fields = bench.secured(clients=bench.authority)
    material = {"client_cert": alice.cert.read_text(), "client_key": alice.key.read_text()}
    assert diagnose({**fields, **material}).status == "success"


def test_weak_spots_of_a_success(bench: Bench) -> None:
    soon = bench.secured(bench.authority.server("soon", days=(-1, 5)))
    result = diagnose({**soon, "verify_cert": False})
    assert result.details.startswith("Connected successfully. ")
    assert "is not verified" in result.warnings[0]
    assert "CN=soon expires in 4 days" in result.warnings[1]


def test_credentials_in_clear_text_are_warned_of(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Address, "is_loopback", False)
    (warning,) = diagnose(bench.with_users()).warnings
    assert warning == "User name and password travel unencrypted: turn on use_tls"


def test_no_warning_for_a_password_on_loopback(bench: Bench) -> None:
    assert diagnose(bench.with_users()).warnings == ()


# -- beside a running connection --------------------------------------------------------------


def _listener(port: int, topic_filter: str, client_id: str = "") -> tuple[paho.Client, list[bytes]]:
    """A client that has subscribed, and the payloads it gets."""
    received: list[bytes] = []
    subscribed = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
    client.on_message = lambda client, data, message: received.append(bytes(message.payload))
    client.on_subscribe = lambda *args: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(topic_filter, qos=2)
    assert subscribed.wait(DEADLINE)
    return client, received


def test_it_takes_no_event_from_the_product(bench: Bench) -> None:
    port = bench.mosquitto(*ANONYMOUS).port
    client, received = _listener(port, "$share/bre/v3/#")
    try:
        result = diagnose(
            {"port": port, "filters": ("$share/bre/v3/#",), "round_trip_topic": "v3/events"}
        )
        assert result.status == "success"
        wait_until(lambda: len(received) == 3)
        assert client.is_connected()
    finally:
        client.disconnect()
        client.loop_stop()


def test_it_never_takes_the_given_client_id(bench: Bench) -> None:
    """That one may be connected; one made from it passes a broker that judges by the beginning."""
    port = bench.mosquitto(*ANONYMOUS, "clientid_prefixes shop-").port
    client, _ = _listener(port, "v3/#", client_id="shop-7")
    try:
        result = diagnose({"port": port, "client_id": "shop-7"})
        assert result.status == "success"
        assert "shop-7-test-" in stage_of(result, Stage.CONNECT).seen
        assert client.is_connected()
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_long_client_id_is_told_in_short(bench: Bench) -> None:
    port = bench.mosquitto(*ANONYMOUS).port
    result = diagnose({"port": port, "client_id": "x" * 5_000})
    seen = stage_of(result, Stage.CONNECT).seen
    assert "xxx…xxx" in seen
    assert "-test-" in seen
    assert len(seen) < 100


def test_a_twin_with_the_same_client_id(bench: Bench) -> None:
    port = bench.mosquitto(*ANONYMOUS).port
    twins: list[paho.Client] = []

    def bring_the_twin(told: StageResult) -> None:
        if told.stage is Stage.CONNECT:
            client_id = told.seen.split(",")[0].removeprefix("as client id ")
            twins.append(_listener(port, "v3/#", client_id=client_id)[0])

    try:
        result = diagnose({"port": port, "filters": ("v3/#",)}, on_stage=bring_the_twin)
    finally:
        for twin in twins:
            twin.disconnect()
            twin.loop_stop()
    failed = stage_of(result, Stage.SUBSCRIBE)
    # Mosquitto 2.0.11 closes without a word; later ones and other brokers give the reason.
    assert failed.cause is not None
    assert "Session taken over" in failed.cause or "the connection" in failed.cause
    assert "nother client connected with the same client id" in (failed.advice or "")


def test_it_can_be_called_off(bench: Bench) -> None:
    cancelled = threading.Event()
    port = bench.counterpart(silent)

    def call_off(told: StageResult) -> None:
        if told.stage is Stage.TCP:
            cancelled.set()

    result = diagnose({"port": port}, cancelled=cancelled, on_stage=call_off, limit=60.0)
    assert (result.error, result.details) == ("Cancelled", "The test was cancelled")


def test_stages_are_told_as_they_end(bench: Bench) -> None:
    told: list[StageResult] = []
    result = diagnose({"port": bench.mosquitto(*ANONYMOUS).port}, on_stage=told.append)
    assert tuple(told) == result.stages


def test_nothing_is_left_behind(bench: Bench) -> None:
    """Neither a thread nor a descriptor, whichever way it ends."""
    tls_broker = bench.secured()
    plain = {"port": bench.mosquitto(*ANONYMOUS).port}
    everything = [
        plain,
        {**plain, "use_tls": True},
        tls_broker,
        {**tls_broker, "ca_cert": None},
        {**tls_broker, "use_tls": False},
        {"port": 1},
        {"host": "no-such-host.invalid"},
    ]
    diagnose(plain)  # the first one imports and caches
    threads, descriptors = threading.active_count(), _open_descriptors()
    for fields in everything:
        diagnose(fields)
    wait_until(lambda: threading.active_count() == threads)
    assert _open_descriptors() == descriptors


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_no_secret_is_told(bench: Bench) -> None:
    alice = bench.authority.client("alice")
    fields = {
        **bench.with_users(),
        "use_tls": True,
        "password": "looking-glass",
        "client_cert": alice.cert.read_text(),
        "client_key": alice.key.read_text(),
    }
    for use_tls in (True, False):
        told = repr(diagnose({**fields, "use_tls": use_tls}))
        assert "looking-glass" not in told
        assert "PRIVATE KEY" not in told
