"""A job on its way: as an event sets it off, as it is attempted, and as an attempt ends."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from cortex_tui.events import JobState
from cortex_tui.local.actions import CompiledAction, target_name
from cortex_tui.values import wire_seconds

MAX_FAILURES = 50
"""Failures that a job remembers; the oldest go first."""


class NewJob(NamedTuple):
    """A row of the outbox, but for what every new one has in common."""

    key: str
    product_id: int
    subscription_id: int
    target: str
    action: bytes
    content: bytes | None
    event: bytes | None
    event_id: int
    state: str
    failures: str
    created_at: float
    due_at: float | None
    finished_at: float | None


def new_job(
    action: CompiledAction,
    payload: Any,
    *,
    event: bytes,
    event_id: int,
    key: str,
    product_id: int,
    subscription_id: int,
    now: float,
) -> NewJob:
    """What an event makes of an action whose condition holds; `payload` is `event` decoded, and
    `key` its idempotency key."""
    prepared = action.prepare(payload)
    pending = prepared.state is JobState.PENDING
    failures = "[]" if prepared.problem is None else json.dumps([_failure(now, prepared.problem)])
    return NewJob(
        key,
        product_id,
        subscription_id,
        target_name(action.type, product_id),
        action.source,
        prepared.content,
        # What was only to be recorded is complete; the history keeps its event.
        None if action.type == "record" and prepared.state is JobState.RECORDED else event,
        event_id,
        prepared.state.value,
        failures,
        now,
        now if pending else None,
        None if pending else now,
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is being attempted."""

    id: int
    key: str
    product_id: int
    subscription_id: int
    target: str
    action: bytes
    content: bytes | None
    event: bytes | None
    event_id: int | None
    attempts: int
    """This one included."""
    failures: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a claim: `due_at` is for one that goes back to pending."""

    claim: Claim
    state: JobState
    reason: str | None = None
    """What went wrong; of a job that is done, or recorded after all, what should be known."""
    due_at: float | None = None
    content: bytes | None = None
    """The rendered fields, where the claim had none."""

    def failures(self, now: float) -> str:
        """The failures of the claim with this one, as they are stored."""
        if self.reason is None:
            return self.claim.failures
        failures = [*json.loads(self.claim.failures), _failure(now, self.reason)]
        return json.dumps(failures[-MAX_FAILURES:])


def _failure(now: float, reason: str) -> dict[str, str]:
    return {"at": wire_seconds(now), "reason": reason}
