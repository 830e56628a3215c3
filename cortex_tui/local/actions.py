"""What an action of a subscription comes to for an event: nothing, a job, or a failure.

Pure: an action is compiled once, when its subscription is saved or loaded. Where a job goes from
there is `delivery`'s business. Which fields each type has is said in `action_types`; every string
in them is a template, but for the name of an e-mail template.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from cortex_tui import syntax
from cortex_tui.delivery_settings import DeliverySettings, mail_address
from cortex_tui.events import JobState
from cortex_tui.local.conditions import Condition, compile_condition
from cortex_tui.local.paths import EvaluationError, ExpressionError
from cortex_tui.local.templates import Template, compile_template
from cortex_tui.models import Action

MAX_RECIPIENTS = 50

_TEMPLATE_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


class ActionError(ValueError):
    """An action that can never work; `location` leads to the field within the action."""

    def __init__(self, message: str, *location: str | int) -> None:
        super().__init__(message)
        self.location = location


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be kept of an action that an event set off."""

    state: JobState
    """Pending; or recorded, where it goes nowhere; or dead, where it cannot be rendered."""
    content: bytes | None
    """The fields of the action, rendered, as a JSON object."""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CompiledAction:
    """An action, ready for any event."""

    type: str
    source: bytes
    """The action as it was given, as JSON."""
    condition: Condition | None
    sent: bool
    """Whether it goes anywhere; else it is recorded."""
    fields: Template | None
    problem: str | None = None
    """Why it fails for every event; then it has no `fields`."""

    def prepare(self, payload: Any) -> Prepared:
        """What to keep for an event for which the condition holds. Never raises."""
        if self.fields is None:
            return Prepared(JobState.DEAD, None, self.problem)
        try:
            content = orjson.dumps(self.fields.render(payload))
        except EvaluationError as error:
            return Prepared(JobState.DEAD, None, str(error))
        except TypeError:
            return Prepared(JobState.DEAD, None, "a value is nested too deep to be written as JSON")
        return Prepared(JobState.PENDING if self.sent else JobState.RECORDED, content)


def compile_action(action: Action, settings: DeliverySettings) -> CompiledAction:
    """Compile a new action. Raises `ActionError`.

    A type that is unknown here is no error, since another orchestrator may know it; such an action
    fails when an event sets it off.
    """
    given = action.model_dump()
    condition = None if action.condition is None else _condition(action.condition)
    if action.type not in _TYPES:
        problem = f"unknown action type {action.type!r}"
        return CompiledAction(action.type, orjson.dumps(given), condition, False, None, problem)
    target, fields = _TYPES[action.type]
    sent = target is not None and getattr(settings, target) is not None
    return CompiledAction(
        action.type, orjson.dumps(given), condition, sent, _template(fields(given))
    )


def compile_stored(action: Action, settings: DeliverySettings) -> CompiledAction:
    """Compile an action that is stored already: where that is impossible it fails for every
    event, and says why."""
    try:
        return compile_action(action, settings)
    except ActionError as error:
        where = ".".join(str(part) for part in error.location)
        source = orjson.dumps(action.model_dump())
        return CompiledAction(action.type, source, None, False, None, f"{where}: {error}")


def target_name(action_type: str, product_id: int) -> str:
    """What a job waits for, apart from the jobs of all other targets: each product has a broker of
    its own to publish to."""
    return f"publish/{product_id}" if action_type == "publish" else action_type


def idempotency_key(event_key: str, product_id: int, subscription_id: int, position: int) -> str:
    """The same for the same action of the same event, however often either is repeated.

    `event_key` tells the events of a product apart; `position` is the action's in its subscription.
    """
    text = f"{product_id}/{subscription_id}/{position}/{event_key}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


# -- the fields of each type ------------------------------------------------------------------

Fields = dict[str, Any]


def _email(given: Fields) -> Fields:
    name = given.get("template")
    if not isinstance(name, str) or not _TEMPLATE_NAME.fullmatch(name):
        raise ActionError(
            "needs the name of an e-mail template: letters, digits, - and _, as in payment_pending",
            "template",
        )
    recipients = given.get("recipients") or []
    if isinstance(recipients, str):
        recipients = [recipients]
    if not isinstance(recipients, list) or not all(isinstance(each, str) for each in recipients):
        raise ActionError("is no list of addresses, as in ['{{customer.email}}']", "recipients")
    if len(recipients) > MAX_RECIPIENTS:
        raise ActionError(f"has more than {MAX_RECIPIENTS} addresses", "recipients")
    for position, address in enumerate(recipients):
        _check(mail_address, address, "recipients", position)
    return {"template": name, "recipients": recipients, "params": given.get("params") or {}}


def _publish(given: Fields) -> Fields:
    topic, qos, retain = given.get("topic"), given.get("qos", 1), given.get("retain", False)
    if not isinstance(topic, str):
        raise ActionError("needs the topic to publish to", "topic")
    _check(syntax.topic_name, topic, "topic")
    if type(qos) is not int or qos not in (0, 1, 2):
        raise ActionError("is no quality of service: give 0, 1 or 2", "qos")
    if type(retain) is not bool:
        raise ActionError("is neither true nor false", "retain")
    payload = {"payload": given["payload"]} if "payload" in given else {}
    return {"topic": topic, "qos": qos, "retain": retain, **payload}


def _params(given: Fields) -> Fields:
    return {"params": given.get("params") or {}}


_TYPES: dict[str, tuple[str | None, Callable[[Fields], Fields]]] = {
    "conditional_email": ("email", _email),
    "activate_policy": ("activate_policy", _params),
    "webhook": ("webhook", _params),
    "publish": ("publish", _publish),
    "record": (None, _params),
}
"""By type: the table of the settings that says where it goes, and its fields."""


def _check(rule: Callable[[str], object], text: str, *location: str | int) -> None:
    """Apply `rule` to what is no template: that is checked when it is filled in."""
    try:
        if "{{" not in text:
            rule(text)
    except ValueError as error:
        raise ActionError(str(error), *location) from None


def _condition(text: str) -> Condition:
    try:
        return compile_condition(text)
    except ExpressionError as error:
        raise ActionError(str(error), "condition") from None


def _template(fields: Fields) -> Template:
    try:
        return compile_template(fields)
    except ExpressionError as error:
        raise ActionError(str(error), *error.location) from None
