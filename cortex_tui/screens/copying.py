"""What can be copied of a product and of a subscription, each text by what it is."""

import json

from cortex_tui.models import Model, ProductState, Subscription

Copies = list[tuple[str, str]]


def of_product(state: ProductState) -> Copies:
    """Its name, what is wrong with it, where it connects to, and everything."""
    status = state.status
    error = status.connection_error if status else None
    return _present(
        ("name", state.product.name),
        ("error", state.problem or error),
        ("hint", status.hint if status else None),
        ("broker", state.broker),
        ("client id", status.client_id if status else None),
        ("id", str(state.product.id)),
        ("everything", _json(state)),
    )


def of_subscription(row: Subscription) -> Copies:
    """Its name, its topic, its actions, and everything."""
    return _present(
        ("name", row.name),
        ("topic", row.topic),
        ("description", row.description),
        ("actions", json.dumps([action.model_dump() for action in row.actions], indent=2)),
        ("everything", _json(row)),
    )


def _present(*texts: tuple[str, str | None]) -> Copies:
    return [(what, text) for what, text in texts if text]


def _json(model: Model) -> str:
    return json.dumps(model.model_dump(mode="json"), indent=2, ensure_ascii=False)
