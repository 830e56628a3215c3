"""What can be copied of products, subscriptions, events and actions, each text by what it is: what
a page shows together has no name twice."""

import json

from cortex_tui.events import Event, Job
from cortex_tui.models import Model, ProductState, Subscription
from cortex_tui.wording import worded

Copies = list[tuple[str, str]]


def of_product(state: ProductState) -> Copies:
    """Its name, what is wrong with it, where it connects to, and everything."""
    status = state.status
    error = status.connection_error if status else None
    return _present(
        ("product name", state.product.name),
        ("error", state.problem or worded(error or "")),
        ("hint", worded(status.hint or "") if status else None),
        ("broker", state.broker),
        ("client id", status.client_id if status else None),
        ("product id", str(state.product.id)),
        ("whole product", _json(state)),
    )


def of_subscription(row: Subscription) -> Copies:
    """Its name, its topic, its actions, and everything."""
    return _present(
        ("subscription name", row.name),
        ("topic", row.topic),
        ("description", row.description),
        ("actions", json.dumps([action.model_dump() for action in row.actions], indent=2)),
        ("whole subscription", _json(row)),
    )


def of_event(event: Event) -> Copies:
    """Its payload, its topic, and everything."""
    return _present(
        ("payload", event.payload), ("topic", event.topic), ("whole event", _json(event))
    )


def of_action(job: Job) -> Copies:
    """What it says, its key, why it failed, its event, and everything."""
    return _present(
        ("content", json.dumps(job.content, indent=2, ensure_ascii=False) if job.content else None),
        ("key", job.key),
        ("last failure", job.reason or None),
        ("event", job.event),
        ("whole action", _json(job)),
    )


def _present(*texts: tuple[str, str | None]) -> Copies:
    return [(what, text) for what, text in texts if text]


def _json(model: Model) -> str:
    return json.dumps(model.model_dump(mode="json"), indent=2, ensure_ascii=False)
