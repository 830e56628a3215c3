"""What arrived and what came of it: the nouns of the pipeline. All of it is beyond the reference.

An event is a message that arrived. Every subscription that takes it makes a decision on it, and a
decision may set off actions; what an action comes to is a job.
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from cortex_tui import syntax
from cortex_tui.models import Action, Model, SubscriptionDraft
from cortex_tui.values import Timestamp

MAX_PAYLOAD = 1_048_576
"""Bytes of a payload that are looked at; what is larger is kept cut, and sets nothing off."""

ExactTopic = Annotated[str, AfterValidator(syntax.topic_name)]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Outcome(StrEnum):
    """What a subscription made of an event it took."""

    MATCHED = "matched"
    """It set off at least one action, or has none."""
    CONDITION_FALSE = "condition false"
    """It has actions, and no condition held."""
    EVALUATION_FAILED = "evaluation failed"
    """Whether it sets anything off could not be told, or not for every action."""


class Decision(Model):
    """What one subscription made of one event."""

    subscription_id: int
    outcome: Outcome
    error: str | None = None
    """Why an evaluation failed."""


class Event(Model):
    """One message that arrived. Only the newest of a product are kept."""

    id: int
    """Grows with every event of the product."""
    product_id: int
    at: Timestamp
    topic: str
    name: str | None = None
    """The event's name, where its payload carries one."""
    qos: int
    size: int
    """Bytes of the payload as it came."""
    payload: str
    """The payload as text, maybe cut; bytes that are no text are replaced."""
    truncated: bool = False
    problem: str | None = None
    """Why the payload could not be read as JSON; such an event sets nothing off."""
    decisions: tuple[Decision, ...] = ()
    """Of the subscriptions that took it, by id."""


class JobState(StrEnum):
    """Where an action that an event set off stands."""

    PENDING = "pending"
    """Waits for its first attempt, or for the next."""
    RUNNING = "running"
    DONE = "done"
    RECORDED = "recorded"
    """Kept and not sent: nothing says where actions of this type go."""
    DEAD = "dead"
    """Given up; a person may try it again or discard it."""


class JobFailure(Model):
    """An attempt that failed, and why."""

    at: Timestamp
    reason: str


class Job(Model):
    """An action that an event set off."""

    id: int
    key: str
    """The idempotency key that goes with every attempt."""
    product_id: int
    subscription_id: int
    action: Action
    state: JobState
    attempts: int = 0
    failures: tuple[JobFailure, ...] = ()
    created_at: Timestamp
    due_at: Timestamp | None = None
    """When the next attempt is made; of one that is being made, when it was due."""
    finished_at: Timestamp | None = None
    content: dict[str, Any] | None = None
    """The fields of the action, rendered; none where that was not possible."""
    event: str | None = None
    """The payload of the event, as it came."""
    event_id: int | None = None

    @property
    def reason(self) -> str:
        """Why it failed last; empty where it did not."""
        return self.failures[-1].reason if self.failures else ""


DISCARDABLE = (JobState.DEAD, JobState.PENDING)
"""The states in which an action can be discarded."""


def _discardable(states: tuple[JobState, ...]) -> tuple[JobState, ...]:
    if not set(states).issubset(DISCARDABLE):
        raise ValueError(f"only {' and '.join(DISCARDABLE)} can be chosen here")
    return states


class JobChoice(Model):
    """Which actions are meant: one, those of a subscription, or all of the product."""

    # A field that is mistyped must not mean all of them.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="forbid")

    job_id: Id | None = None
    subscription_id: Id | None = None
    states: Annotated[tuple[JobState, ...], AfterValidator(_discardable)] = DISCARDABLE
    """Only those in one of these, which are of `DISCARDABLE`. A retry is of dead letters anyhow."""


# -- trying an event out ----------------------------------------------------------------------

MAX_SEEN = 1_000


class Trial(Model):
    """An event to try a subscription with; nothing comes of it."""

    payload: Annotated[str, Field(max_length=MAX_PAYLOAD)]
    topic: ExactTopic | None = None
    """The topic it would come on; none is one that the subscription listens to."""
    subscription_id: Id | None = None
    draft: SubscriptionDraft | None = None
    """A subscription that is not saved, instead of a stored one."""

    @model_validator(mode="after")
    def _one_subscription(self) -> "Trial":
        if (self.subscription_id is None) == (self.draft is None):
            raise ValueError("give either subscription_id or draft: one subscription is tried")
        return self


class SeenValue(Model):
    """What a path of a condition led to; nothing (`missing`) counts as null."""

    path: str
    value: Any = None
    """What is longer than `MAX_SEEN` characters is text that ends with "…"."""
    missing: bool = False


class TermTrial(Model):
    """One comparison of a condition, with the values it saw."""

    text: str
    seen: tuple[SeenValue, ...] = ()
    result: bool | None = None
    """None is `error`."""
    error: str | None = None


class ConditionTrial(Model):
    """How a condition came out, and each of its terms."""

    text: str
    result: bool | None = None
    error: str | None = None
    terms: tuple[TermTrial, ...] = ()


class MailTrial(Model):
    """An e-mail as it would be sent."""

    recipients: tuple[str, ...] = ()
    subject: str
    text: str
    html: str | None = None


class ActionTrial(Model):
    """What one action would come to."""

    type: str
    runs: bool
    """Whether the event would set it off."""
    condition: ConditionTrial | None = None
    sent: bool = False
    """Whether it would go anywhere; else it would only be recorded."""
    content: dict[str, Any] | None = None
    """The fields of the action, rendered."""
    mail: MailTrial | None = None
    problem: str | None = None
    """Why it would fail."""


class Explanation(Model):
    """What a subscription would make of an event."""

    topic: str
    """The topic the event would come on."""
    name: str | None = None
    """The event's name, where its payload carries one."""
    problem: str | None = None
    """Why the payload cannot be read."""
    takes: bool
    reason: str
    """Why the subscription takes the event, or does not."""
    actions: tuple[ActionTrial, ...] = ()


# -- publishing -------------------------------------------------------------------------------


class Publication(Model):
    """A message for a person to publish to the broker of a product."""

    topic: ExactTopic
    payload: Annotated[str, Field(max_length=MAX_PAYLOAD)] = ""
    qos: Annotated[int, Field(ge=0, le=2)] = 1
    retain: bool = False
