"""Causes and advice: every failure has both, and nothing blind is retried that only repeats."""

import errno
import os
import socket
import ssl

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from cortex_tui.diagnosis import Stage
from cortex_tui.local.causes import PeerClosed, explain
from cortex_tui.local.reasons import reason_name, reason_of_v3
from cortex_tui.models import BrokerConfig, ConnectionTest

BROKER = BrokerConfig.model_validate(
    {"host": "broker.example", "port": 8883, "username": "alice", "password": "wonderland"}
)


def _name_error(number: int) -> socket.gaierror:
    return socket.gaierror(number, "text of the system")


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _verification(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "text of OpenSSL"
    return error


def _tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


EXCEPTIONS = [
    (_name_error(socket.EAI_NONAME), Stage.DNS, "no host named broker.example", False),
    (_name_error(socket.EAI_AGAIN), Stage.DNS, "did not answer for broker.example", False),
    (_name_error(socket.EAI_NODATA), Stage.DNS, "has no address", False),
    (_name_error(socket.EAI_FAIL), Stage.DNS, "text of the system", False),
    (UnicodeError("label too long"), Stage.DNS, "no host named", False),
    (ConnectionRefusedError(), Stage.TCP, "broker.example:8883 refused", False),
    (TimeoutError("timed out"), Stage.TCP, "did not answer", False),
    (_os_error(errno.ETIMEDOUT), Stage.TCP, "did not answer", False),
    (_os_error(errno.ENETUNREACH), Stage.TCP, "No route leads to", False),
    (_os_error(errno.EHOSTUNREACH), Stage.TCP, "Nothing answers at", False),
    (_os_error(errno.EACCES), Stage.TCP, "This machine forbids", False),
    (_os_error(errno.EADDRNOTAVAIL), Stage.TCP, "cannot assign requested address", False),
    (ConnectionResetError(), Stage.TCP, "reset the connection", False),
    (PeerClosed(), Stage.TCP, "closed the connection", False),
    (TimeoutError("_ssl.c:989: The handshake operation timed out"), Stage.TLS, "stopped", False),
    (_verification(9), Stage.TLS, "not valid yet", True),
    (_verification(10), Stage.TLS, "has expired", True),
    (_verification(18), Stage.TLS, "signed by itself", True),
    (_verification(19), Stage.TLS, "does not know", True),
    (_verification(20), Stage.TLS, "does not know", True),
    (_verification(62), Stage.TLS, "not for broker.example", True),
    (_verification(64), Stage.TLS, "not for broker.example", True),
    (_verification(26), Stage.TLS, "text of OpenSSL", True),
    (_tls("WRONG_VERSION_NUMBER"), Stage.TLS, "does not speak TLS", False),
    (_tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), Stage.TLS, "wants a client certificate", True),
    (_tls("TLSV1_ALERT_UNKNOWN_CA"), Stage.TLS, "refused our client certificate", True),
    (_tls("SSLV3_ALERT_HANDSHAKE_FAILURE"), Stage.TLS, "ended the TLS handshake", True),
    (_tls("TLSV1_ALERT_PROTOCOL_VERSION"), Stage.TLS, "no longer safe", True),
    (_tls("SOMETHING_NEW"), Stage.TLS, "something new", False),
    (ssl.SSLEOFError(8, "EOF occurred"), Stage.TLS, "cut the TLS handshake off", False),
    (RuntimeError("wonderland"), Stage.TCP, "RuntimeError", False),
]


@pytest.mark.parametrize(("problem", "stage", "message", "latch"), EXCEPTIONS, ids=repr)
def test_exceptions(problem: Exception, stage: Stage, message: str, latch: bool) -> None:
    cause = explain(problem, BROKER)
    assert (cause.stage, cause.latch, cause.code) == (stage, latch, None)
    assert message in cause.message
    assert cause.error == f"Connection failed at {stage}"
    assert "wonderland" not in cause.text


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("problem", [TimeoutError(), PeerClosed(), ConnectionResetError()])
def test_the_same_failure_means_something_else_in_each_stage(
    problem: Exception, stage: Stage
) -> None:
    cause = explain(problem, BROKER, stage)
    assert cause.stage is stage
    assert cause.message
    assert cause.advice


@pytest.mark.parametrize("packet", [PacketTypes.CONNACK, PacketTypes.DISCONNECT])
def test_every_reason_of_the_standard_has_advice(packet: int) -> None:
    for number, names in ReasonCode.names.items():
        if number >= 128 and any(packet in packets for packets in names.values()):
            cause = explain(number, BROKER)
            assert not cause.message.startswith("Unknown")
            assert cause.advice


LATCHES = {132, 133, 134, 135, 138, 140, 142, 157}


def test_what_a_retry_would_only_repeat() -> None:
    assert {number for number in range(256) if explain(number, BROKER).latch} == LATCHES


@pytest.mark.parametrize(
    ("return_code", "reason", "name"),
    [
        (1, 132, "Incorrect protocol version"),
        (2, 133, "Invalid client identifier"),
        (3, 136, "Server unavailable"),
        (4, 134, "Bad username or password"),
        (5, 135, "Not authorized"),
    ],
)
def test_the_table_of_the_reference(return_code: int, reason: int, name: str) -> None:
    assert reason_of_v3(return_code) == reason
    assert reason_name(reason) == name
    cause = explain(reason, BROKER)
    assert cause.error == f"Connection failed with code {return_code}"
    assert cause.text.startswith(f"{name}. ")


def test_missing_credentials_are_said_to_be_missing() -> None:
    anonymous = ConnectionTest(host="broker.example")
    for reason in (134, 135):
        assert explain(reason, anonymous).advice.startswith("No username is set")


def test_a_password_that_is_missing_is_said_to_be_missing() -> None:
    without = ConnectionTest(host="broker.example", username="alice")
    for reason in (134, 135):
        assert explain(reason, without).advice.startswith("No password is given")
        assert explain(reason, without).field == "password"


@pytest.mark.parametrize(
    ("problem", "field"),
    [
        (134, "password"),
        (135, "password"),
        (133, "client_id"),
        (142, "client_id"),
        (136, None),
        (_name_error(socket.EAI_NONAME), "host"),
        (_name_error(socket.EAI_AGAIN), None),
        (ConnectionRefusedError(), "port"),
        (_os_error(errno.EHOSTUNREACH), "host"),
        (_os_error(errno.ENETUNREACH), None),
        (_verification(20), "ca_cert"),
        (_verification(62), "host"),
        (_verification(10), None),
        (_tls("WRONG_VERSION_NUMBER"), "use_tls"),
        (_tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "client_cert"),
    ],
    ids=repr,
)
def test_a_cause_names_the_field_to_look_at(problem: Exception | int, field: str | None) -> None:
    assert explain(problem, BROKER).field == field


def test_where_no_user_name_is_set_that_is_the_field() -> None:
    assert explain(134, ConnectionTest(host="broker.example")).field == "username"
