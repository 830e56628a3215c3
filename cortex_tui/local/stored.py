"""What a database says of its products, read before there is an orchestrator to ask: by SQLite
alone, since the libraries that an orchestrator needs take long to import."""

import json
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cortex_tui import syntax
from cortex_tui.states import ConnectionState, StoredProduct, StoredStatus


def stored_products(path: Path) -> dict[int, StoredProduct]:
    """The products in the database at `path`, by id; none where it cannot be read, or is of
    another version. Blocks, briefly, and writes nothing into it; SQLite may put its `-shm` and
    `-wal` beside it."""
    with suppress(sqlite3.Error, ValueError, LookupError), closing(_opened(path)) as database:
        rows = database.execute(
            """SELECT p.id, p.name, p.description, p.enabled, p.messages_received,
                p.last_message_at, c.broker, COUNT(s.id) AS subscriptions_total,
                COALESCE(SUM(s.enabled), 0) AS subscriptions_enabled
            FROM products p LEFT JOIN configs c ON c.product_id = p.id
                LEFT JOIN subscriptions s ON s.product_id = p.id
            GROUP BY p.id"""
        )
        return {row["id"]: _product(row) for row in rows}
    return {}


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)
    connection.row_factory = sqlite3.Row
    return connection


def _product(row: Any) -> StoredProduct:
    broker = json.loads(row["broker"]) if row["broker"] else None
    enabled, last = bool(row["enabled"]), row["last_message_at"]
    status = StoredStatus(
        state=ConnectionState.CONNECTING if enabled else ConnectionState.DISABLED,
        messages_received=row["messages_received"],
        last_message_at=datetime.fromisoformat(last).replace(tzinfo=UTC) if last else None,
    )
    return StoredProduct(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        enabled=enabled,
        broker=syntax.address(broker["host"], broker["port"]) if broker else None,
        status=status if broker else None,
        subscriptions_total=row["subscriptions_total"],
        subscriptions_enabled=row["subscriptions_enabled"],
    )
