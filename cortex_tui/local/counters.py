"""What a batch of messages adds to the counters of products and subscriptions (API reference §4,
§7), written in the transaction of the batch."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from cortex_tui.values import wire_seconds


@dataclass(slots=True)
class ProductCount:
    """Messages of one product in one batch. Times are seconds since 1970."""

    received: int = 0
    last_at: float = 0.0
    unreadable: int = 0
    dropped: int = 0


@dataclass(slots=True)
class SubscriptionCount:
    """Events that one subscription took in one batch, and what it made of them."""

    received: int = 0
    last_at: float = 0.0
    matched: int = 0
    condition_false: int = 0
    evaluation_failed: int = 0
    error: str | None = None
    """The last one."""
    error_event_id: int | None = None


def count(
    db: Database,
    products: Mapping[int, ProductCount],
    subscriptions: Mapping[int, SubscriptionCount],
) -> None:
    """Add to the counters, within a transaction of the caller's."""
    db.conn.executemany(
        """UPDATE products SET messages_received = messages_received + ?, last_message_at = ?,
            messages_unreadable = messages_unreadable + ?, messages_dropped = messages_dropped + ?
        WHERE id = ?""",
        [
            (each.received, wire_seconds(each.last_at), each.unreadable, each.dropped, product_id)
            for product_id, each in products.items()
        ],
    )
    db.conn.executemany(
        """UPDATE subscriptions SET messages_received = messages_received + ?, last_message_at = ?,
            matched = matched + ?, condition_false = condition_false + ?,
            evaluation_failed = evaluation_failed + ? WHERE id = ?""",
        [
            (
                each.received,
                wire_seconds(each.last_at),
                each.matched,
                each.condition_false,
                each.evaluation_failed,
                subscription_id,
            )
            for subscription_id, each in subscriptions.items()
        ],
    )
    db.conn.executemany(
        """UPDATE subscriptions SET last_error = ?, last_error_at = ?, last_error_event_id = ?
        WHERE id = ?""",
        [
            (each.error, wire_seconds(each.last_at), each.error_event_id, subscription_id)
            for subscription_id, each in subscriptions.items()
            if each.error is not None
        ],
    )
