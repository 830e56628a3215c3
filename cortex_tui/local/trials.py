"""What a subscription would make of an event: routing, every term of every condition with what it
saw, and every action as it would go out. Nothing comes of it."""

from datetime import UTC, datetime
from typing import Any

import orjson

from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.events import (
    MAX_SEEN,
    ActionTrial,
    ConditionTrial,
    Explanation,
    JobState,
    MailTrial,
    SeenValue,
    TermTrial,
)
from cortex_tui.local.actions import CompiledAction, compile_stored
from cortex_tui.local.conditions import Condition
from cortex_tui.local.mail import MailError, MailTemplates, addresses
from cortex_tui.models import Action, Subscription, SubscriptionDraft
from cortex_tui.routing import Unreadable, decode, event_name, refusal
from cortex_tui.topics import example_topic


def explain(
    subscription: Subscription,
    topic: str | None,
    payload: str,
    settings: DeliverySettings,
    templates: MailTemplates,
) -> Explanation:
    """Try `subscription` with an event; reads e-mail templates, so it blocks a little."""
    topic = topic or example_topic(subscription.topic)
    try:
        value = decode(payload)
    except Unreadable as error:
        return Explanation(
            topic=topic, problem=str(error), takes=False, reason="the payload cannot be read"
        )
    name = event_name(value)
    refused = refusal(subscription, topic, name)
    named = f"is named {name}" if name else "has no name"
    return Explanation(
        topic=topic,
        name=name,
        takes=refused is None,
        reason=refused or f"topic and event fit: it {named}",
        actions=tuple(
            _action(action, compile_stored(action, settings), value, settings, templates)
            for action in subscription.actions
        ),
    )


def _action(
    action: Action,
    compiled: CompiledAction,
    value: Any,
    settings: DeliverySettings,
    templates: MailTemplates,
) -> ActionTrial:
    condition = None if compiled.condition is None else _condition(compiled.condition, value)
    prepared = compiled.prepare(value)
    content = None if prepared.content is None else orjson.loads(prepared.content)
    mail, problem = None, prepared.problem
    if action.type == "conditional_email" and content is not None:
        try:
            mail = _mail(content, value, settings, templates)
        except MailError as error:
            problem = str(error)
    return ActionTrial(
        type=action.type,
        runs=condition is None or condition.result is True,
        condition=condition,
        sent=prepared.state is JobState.PENDING,
        content=content,
        mail=mail,
        problem=problem,
    )


def _condition(condition: Condition, value: Any) -> ConditionTrial:
    explained = condition.explain(value)
    return ConditionTrial(
        text=condition.text,
        result=explained.result,
        error=explained.error,
        terms=tuple(
            TermTrial(
                text=term.text,
                seen=tuple(
                    SeenValue(path=seen.path, value=_cut(seen.value), missing=seen.missing)
                    for seen in term.seen
                ),
                result=term.result,
                error=term.error,
            )
            for term in explained.terms
        ),
    )


def _cut(value: Any) -> Any:
    """A value as it is, or the start of a long one: each term may have seen the whole event."""
    text = value if isinstance(value, str) else _json(value)
    return value if len(text) <= MAX_SEEN else f"{text[:MAX_SEEN]}…"


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return repr(value)  # nested too deep to be written


def _mail(
    content: dict[str, Any], value: Any, settings: DeliverySettings, templates: MailTemplates
) -> MailTrial:
    mail = templates.render(content["template"], value, content["params"])
    named = content["recipients"] or (settings.email.recipients if settings.email else ())
    return MailTrial(
        # Where e-mails are not configured, nobody can tell who they go to by default.
        recipients=tuple(map(str, addresses(named))) if named or settings.email else (),
        subject=mail.subject,
        text=mail.text,
        html=mail.html,
    )


def unsaved(draft: SubscriptionDraft, topic: str) -> Subscription:
    """A subscription that is not stored, for a trial."""
    now = datetime.now(UTC)
    return Subscription.model_validate(
        {
            **draft.model_dump(),
            "id": 0,
            "topic": topic,
            "enabled": True,
            "created_at": now,
            "updated_at": now,
        }
    )
