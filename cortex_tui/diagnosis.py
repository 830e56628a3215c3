"""What a connection test found, step by step: an extension of the documented answer (§3)."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import chain
from typing import Any

from cortex_tui.models import ConnectionTestResult, Model
from cortex_tui.values import Timestamp

_MAX_LINE = 1_000


def _inert(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def printable(text: str, limit: int = 200) -> str:
    """What the other side sent, on one line, without control characters, cut to `limit`."""
    plain = " ".join(_inert(text).split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


class Stage(StrEnum):
    """The steps of a connection, in their order."""

    DNS = "DNS"
    TCP = "TCP"
    TLS = "TLS"
    CONNECT = "CONNECT"
    SUBSCRIBE = "SUBSCRIBE"
    ROUND_TRIP = "ROUND TRIP"


class Outcome(StrEnum):
    """How a stage ended, in one word."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class StageResult(Model):
    """One step of the ladder: what was seen and, where it failed, the cause and one line of
    advice."""

    stage: Stage
    outcome: Outcome
    ms: int | None = None
    """Milliseconds the stage took; none where it was skipped."""
    seen: str = ""
    cause: str | None = None
    advice: str | None = None
    field: str | None = None
    """The field of the configuration to look at first, where the cause may be in one."""


class Certificate(Model):
    """What is written in one certificate of the chain the broker presented."""

    subject: str
    issuer: str
    names: tuple[str, ...] = ()
    """The host names and IP addresses it is for."""
    not_before: Timestamp
    not_after: Timestamp
    days_left: int
    """Whole days until `not_after`; negative once it has passed."""
    fingerprint: str
    """SHA-256, as colon-separated pairs of hex digits."""
    is_authority: bool = False
    pem: str
    """The certificate itself, for a person who decides to trust it."""


class Grants(Model):
    """What the broker allows, as its CONNACK says it (MQTT 5 §3.2.2.3). MQTT 3.1.1 says nothing,
    so there everything but the version is none."""

    version: str
    """The protocol spoken: `5.0` or `3.1.1`."""
    software: str | None = None
    """What the broker calls itself at `$SYS/broker/version`."""
    max_qos: int | None = None
    retain: bool | None = None
    wildcard_subscriptions: bool | None = None
    shared_subscriptions: bool | None = None
    receive_maximum: int | None = None
    """Unacknowledged QoS 1 and 2 messages it takes at once."""
    max_packet_bytes: int | None = None
    """None is no limit."""
    keep_alive: int | None = None
    """Seconds, where the broker imposes its own."""
    session_expiry: int | None = None
    """Seconds, where the broker imposes its own."""
    assigned_client_id: str | None = None


class FilterGrant(Model):
    """The broker's answer to one topic filter."""

    filter: str
    granted_qos: int | None = None
    """None where it was refused."""
    reason: str | None = None


class RoundTrip(Model):
    """One message published and received again."""

    qos: int
    ms: int | None = None
    """Milliseconds from publishing to receiving; none where it did not come back."""


class Diagnosis(ConnectionTestResult):
    """The documented answer with everything that was seen on the way as additional fields."""

    stages: tuple[StageResult, ...] = ()
    warnings: tuple[str, ...] = ()
    """Weak spots of a test that succeeded."""
    certificates: tuple[Certificate, ...] = ()
    """The chain the broker presented, its own certificate first, verified or not."""
    untrusted: Certificate | None = None
    """Where the test failed for an unknown issuer: the one of `certificates` that a person may
    decide to trust, by giving it as `ca_cert`."""
    grants: Grants | None = None
    filters: tuple[FilterGrant, ...] = ()
    round_trips: tuple[RoundTrip, ...] = ()


def as_text(result: ConnectionTestResult, heading: str = "") -> str:
    """The result as plain text, for a ticket or a terminal; it holds no secret."""
    lines = chain([heading] if heading else [], _lines(result))
    return "".join(f"{_inert(line)[:_MAX_LINE].rstrip()}\n" for line in lines)


def _lines(result: ConnectionTestResult) -> Iterator[str]:
    took = f" in {result.latency_ms} ms" if result.latency_ms is not None else ""
    yield f"Connected{took}" if result.connected else "Not connected"
    if result.error:
        yield result.error
    yield result.details
    if not isinstance(result, Diagnosis):
        return
    for told in result.stages:
        took = "" if told.ms is None else f"{told.ms} ms"
        yield f"  {told.stage:<10}  {told.outcome:<7}  {took:>8}  {told.seen}"
    for certificate in result.certificates:
        yield from (f"{'  ' * bool(i)}{line}" for i, line in enumerate(described(certificate)))
    if result.grants:
        yield "The broker grants:"
        yield from (f"  {name}: {value}" for name, value in granted(result.grants))
    for grant in result.filters:
        answer = grant.reason if grant.granted_qos is None else f"up to QoS {grant.granted_qos}"
        yield f"Filter {grant.filter}: {answer}"
    for trip in result.round_trips:
        answer = "did not come back" if trip.ms is None else f"{trip.ms} ms"
        yield f"Round trip with QoS {trip.qos}: {answer}"


def described(certificate: Certificate) -> tuple[str, str, str, str]:
    """A certificate in four lines."""
    kind = "Authority" if certificate.is_authority else "Certificate"
    by = "itself" if certificate.issuer == certificate.subject else certificate.issuer
    names = ", ".join(certificate.names) or "no host"
    dates = f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    return (
        f"{kind} {certificate.subject}, issued by {by}",
        "may sign certificates" if certificate.is_authority else f"for {names}",
        f"{dates}, {left(certificate)}",
        f"SHA-256 {certificate.fingerprint}",
    )


def left(certificate: Certificate) -> str:
    """How long it is valid: `89 days left`, `expired`."""
    days = certificate.days_left
    if days < 0:
        return "expired"
    return "1 day left" if days == 1 else f"{days:,} days left"


def granted(grants: Grants) -> Iterator[tuple[str, str]]:
    """What the broker told, name and value; nothing of what it left out."""
    values: dict[str, Any] = grants.model_dump(exclude_none=True)
    for field, value in values.items():
        shown = ("yes" if value else "no") if isinstance(value, bool) else f"{value}"
        unit = _UNITS.get(field, "")
        yield _LABELS.get(field, field.replace("_", " ")), f"{shown}{unit}"


_LABELS = {
    "version": "MQTT",
    "max_qos": "highest QoS",
    "max_packet_bytes": "largest packet",
    "assigned_client_id": "assigned client id",
}
_UNITS = {"max_packet_bytes": " bytes", "keep_alive": " s", "session_expiry": " s"}
