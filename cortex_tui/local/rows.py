"""What a row of the database is as a model: stored values are not checked again. Pure."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cortex_tui.differences import differences
from cortex_tui.models import (
    BrokerConfig,
    ConfigVersion,
    MqttConfig,
    Product,
    Subscription,
    SubscriptionStats,
    TopicsConfig,
)
from cortex_tui.topics import effective_topic
from cortex_tui.values import MASK, STORED

Row = dict[str, Any]


@dataclass(frozen=True)
class Overview:
    """A product with what a list shows of it."""

    product: Product
    config: MqttConfig | None
    messages_received: int
    last_message_at: datetime | None
    messages_unreadable: int
    messages_dropped: int
    subscriptions_total: int
    subscriptions_enabled: int


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def overview_of(row: Row) -> Overview:
    """A product with its configuration and the counts of its subscriptions."""
    return Overview(
        product=product_of(row),
        config=None if row["config_id"] is None else config_of(row),
        messages_received=row["messages_received"],
        last_message_at=_time(row["last_message_at"]),
        messages_unreadable=row["messages_unreadable"],
        messages_dropped=row["messages_dropped"],
        subscriptions_total=row["total"],
        subscriptions_enabled=row["on_count"],
    )


def product_of(row: Row) -> Product:
    """A product."""
    return Product.model_validate(row, context=STORED)


def config_of(row: Row) -> MqttConfig:
    """A configuration, out of a row of its product; its secrets are masked."""
    secrets_set = {
        "password": MASK if row["has_password"] else None,
        "client_key": MASK if row["has_client_key"] else None,
    }
    return MqttConfig.model_validate(
        {
            "id": row["config_id"],
            "product_id": row["id"],
            "version": row["version"],
            "broker": {**json.loads(row["broker"]), **secrets_set},
            "topics": json.loads(row["topics"]),
            "created_at": row["config_created_at"],
            "updated_at": row["config_updated_at"],
        },
        context=STORED,
    )


def config_version_of(row: Row, before: Row | None) -> ConfigVersion:
    """A version of a configuration, and in what it differs from the one before."""

    def parts(row: Row) -> dict[str, Any]:
        return {name: json.loads(row[name]) for name in ("broker", "topics")}

    version = ConfigVersion.model_validate(
        {**{name: row[name] for name in ("version", "saved_at", "saved_by")}, **parts(row)},
        context=STORED,
    )
    if before is None:
        return version
    earlier = version.model_copy(update=_models(parts(before)))
    changed = [each.field for each in differences(version, earlier)]
    # A secret that was kept is the same bytes; one that was given again is encrypted anew.
    changed += [name for name in ("password", "client_key") if row[name] != before[name]]
    return version.model_copy(update={"changed": tuple(changed)})


def _models(parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "broker": BrokerConfig.model_validate(parts["broker"], context=STORED),
        "topics": TopicsConfig.model_validate(parts["topics"], context=STORED),
    }


def topics_of(text: str) -> TopicsConfig:
    """Stored topics."""
    return TopicsConfig.model_validate_json(text, context=STORED)


def subscription_of(row: Row, topics: TopicsConfig) -> Subscription:
    """A subscription, its topic by `topics` where it has none of its own."""
    return Subscription.model_validate(
        {
            **row,
            "topic": effective_topic(
                topics, topic=row["topic"], application_id=row["application_id"]
            ),
            "derived": row["topic"] is None,
            "actions": json.loads(row["actions"]),
            "stats": {name: row[name] for name in SubscriptionStats.model_fields if name in row},
        },
        context=STORED,
    )


def subscription_values(dumped: Row) -> Row:
    """A dumped subscription as the columns of its row."""
    if "actions" in dumped:
        return {**dumped, "actions": json.dumps(dumped["actions"])}
    return dumped
