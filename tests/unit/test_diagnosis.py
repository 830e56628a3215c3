"""The result of a test as text."""

from datetime import UTC, datetime

from cortex_tui.diagnosis import (
    Certificate,
    Diagnosis,
    FilterGrant,
    Grants,
    Outcome,
    RoundTrip,
    Stage,
    StageResult,
    as_text,
)
from cortex_tui.models import ConnectionTestResult


def certificate(**changes: object) -> Certificate:
    return Certificate.model_validate(
        {
            "subject": "CN=broker",
            "issuer": "CN=Authority",
            "names": ("localhost", "::1"),
            "not_before": datetime(2026, 1, 2, tzinfo=UTC),
            "not_after": datetime(2026, 4, 2, tzinfo=UTC),
            "days_left": 90,
            "fingerprint": "AB:CD",
            "pem": "-----BEGIN CERTIFICATE-----",
            **changes,
        }
    )


def test_everything_that_was_seen_is_in_the_text() -> None:
    result = Diagnosis(
        status="error",
        connected=True,
        latency_ms=12,
        error="Connected, but failed at ROUND TRIP",
        details="The message did not come back. An access rule",
        stages=(
            StageResult(stage=Stage.DNS, outcome=Outcome.OK, ms=3, seen="127.0.0.1"),
            StageResult(stage=Stage.TLS, outcome=Outcome.SKIPPED, seen="off"),
        ),
        certificates=(
            certificate(),
            certificate(subject="CN=Authority", is_authority=True, days_left=-1),
        ),
        grants=Grants(version="5.0", max_qos=1, retain=False, max_packet_bytes=1024, keep_alive=30),
        filters=(FilterGrant(filter="a/#", granted_qos=1), FilterGrant(filter="b", reason="No")),
        round_trips=(RoundTrip(qos=0, ms=2), RoundTrip(qos=1)),
    )
    assert as_text(result, "Test of a:1").splitlines() == [
        "Test of a:1",
        "Connected in 12 ms",
        "Connected, but failed at ROUND TRIP",
        "The message did not come back. An access rule",
        "  DNS         ok           3 ms  127.0.0.1",
        "  TLS         skipped            off",
        "Certificate CN=broker, issued by CN=Authority",
        "  for localhost, ::1",
        "  2026-01-02 to 2026-04-02, 90 days left",
        "  SHA-256 AB:CD",
        "Authority CN=Authority, issued by itself",
        "  may sign certificates",
        "  2026-01-02 to 2026-04-02, expired",
        "  SHA-256 AB:CD",
        "The broker grants:",
        "  MQTT: 5.0",
        "  highest QoS: 1",
        "  retain: no",
        "  largest packet: 1024 bytes",
        "  keep alive: 30 s",
        "Filter a/#: up to QoS 1",
        "Filter b: No",
        "Round trip with QoS 0: 2 ms",
        "Round trip with QoS 1: did not come back",
    ]


def test_of_a_documented_answer_there_is_no_more() -> None:
    result = ConnectionTestResult(status="error", connected=False, error="E", details="Why")
    assert as_text(result) == "Not connected\nE\nWhy\n"


def test_no_terminal_obeys_the_text() -> None:
    result = ConnectionTestResult(
        status="error", connected=False, error="\x1b[31m", details="a\r\nb\x07" + "x" * 5_000
    )
    shown = as_text(result)
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert max(map(len, shown.splitlines())) <= 1_000
