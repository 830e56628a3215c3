"""The staged connection test: which step fails, what it saw, and what to change.

DNS → TCP → TLS → CONNECT → SUBSCRIBE → a round trip where one is asked for. Every socket is the
test's own and closed at its end; nothing here touches a running connection.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

from cortex_tui.backend import OnStage
from cortex_tui.diagnosis import Certificate, Diagnosis
from cortex_tui.local.causes import Cause
from cortex_tui.local.probe.clock import Cancelled, Clock
from cortex_tui.local.probe.ladder import Failed, Ladder
from cortex_tui.local.probe.stages import Climb
from cortex_tui.models import BrokerConfig, ConnectionTest

__all__ = ["find_cause", "probe"]

EXPIRES_SOON = 30
"""Days of validity below which a certificate is worth a warning."""


def probe(
    test: ConnectionTest,
    *,
    cancelled: threading.Event | None = None,
    on_stage: OnStage | None = None,
) -> Diagnosis:
    """Try to connect as `test` says, and tell how far it got (§3).

    Blocks for at most `test.time_limit` seconds, and returns at once when `cancelled` is set: call
    it in a thread. `on_stage` is called in that thread with each stage as it ends; one that turns
    out only later to have failed is told again.
    """
    ladder = Ladder(test, on_stage)
    with ExitStack() as opened:
        climb = Climb(test, Clock(test.time_limit, cancelled), ladder, opened)
        try:
            climb.run()
        except Failed as failed:
            return _answer(climb, ladder, failed.cause.error, failed.cause.text)
        except Cancelled:
            return _answer(climb, ladder, "Cancelled", "The test was cancelled")
        warnings = tuple(_warnings(test, climb))
        success = ". ".join(("Connected successfully", *warnings))
        return _answer(climb, ladder, None, success, warnings)


def find_cause(broker: BrokerConfig) -> Cause | None:
    """Why connecting to `broker` fails; none where it succeeds now. Blocks like `probe`."""
    asked = {name: value for name, value in broker if name in ConnectionTest.model_fields}
    test = ConnectionTest.model_construct(**asked)
    with ExitStack() as opened:
        try:
            Climb(test, Clock(test.time_limit), Ladder(test, None), opened).run()
        except Failed as failed:
            return failed.cause
    return None


def _answer(
    climb: Climb,
    ladder: Ladder,
    error: str | None,
    details: str,
    warnings: tuple[str, ...] = (),
) -> Diagnosis:
    return Diagnosis(
        status="success" if error is None else "error",
        connected=climb.latency_ms is not None,
        latency_ms=climb.latency_ms,
        error=error,
        details=details,
        stages=ladder.results,
        warnings=warnings,
        certificates=climb.certificates,
        untrusted=climb.untrusted,
        grants=climb.grants,
        filters=climb.filters,
        round_trips=climb.round_trips,
    )


def _warnings(test: ConnectionTest, climb: Climb) -> Iterator[str]:
    """Weak spots of a connection that works."""
    if test.use_tls and not test.verify_cert:
        yield "The certificate is not verified: anybody in between can read and change everything"
    for certificate in climb.certificates:
        if certificate.days_left < EXPIRES_SOON:
            yield f"The certificate {certificate.subject} {_ends(certificate)}"
    in_clear = test.username is not None and not test.use_tls
    if in_clear and climb.address is not None and not climb.address.is_loopback:
        yield "User name and password travel unencrypted: turn on use_tls"


def _ends(certificate: Certificate) -> str:
    date = f"{certificate.not_after:%Y-%m-%d}"
    if certificate.days_left < 0:
        return f"expired on {date}"
    return f"expires in {certificate.days_left} days, on {date}"
