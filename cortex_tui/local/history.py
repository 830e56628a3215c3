"""The newest events of each product, and the keys that tell a redelivered message.

Both are written with the batch they came in, many to a row: a row for each event would cost more
than all that is done with it.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlite_utils import Database

from cortex_tui.events import Decision, Event, Outcome
from cortex_tui.local.database import PAGE_BYTES, DatabaseFile

RING = 2_000
"""Events that are kept of a product: the newest."""
MAX_KEPT = 65_536
"""Bytes of a payload that are kept."""
MAX_SEEN = 65_535
"""Keys that are kept of a product: a broker has no more messages on their way to one client
(MQTT 5 §2.2.1)."""
KEY_BYTES = 16
EVENTS_A_ROW = 100
"""So many at most, so that a page is not read out of one huge row."""

_OUTCOMES = tuple(Outcome)

DecisionRow = tuple[int, int] | tuple[int, int, str]
"""A subscription, the position of its outcome in `Outcome`, and an error where there was one."""
EventRow = tuple[int, float, str, str | None, int, int, str, str | None, list[DecisionRow]]
"""An event as it is kept: id, time, topic, name, QoS, size, payload, problem, decisions."""


def kept_text(payload: bytes) -> str:
    """A payload as it is kept: cut, and as text."""
    return payload[:MAX_KEPT].decode(errors="replace")


@dataclass
class _Progress:
    """How far a product has come."""

    event_id: int = 0
    seen_upto: int = 0


@dataclass
class Addition:
    """What one batch adds to the history of one product."""

    product_id: int
    event_id: int
    """Of the newest event, those of the batch included."""
    rows: list[EventRow] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)


class History:
    """The events of one orchestrator. Written by one thread only."""

    def __init__(self, store: DatabaseFile) -> None:
        self._store = store
        self._progress: dict[int, _Progress] = {}

    def begin(self, product_id: int) -> Addition:
        """What a batch is to add for a product; nothing is kept before `add` and `added`."""
        return Addition(product_id, self._of(product_id).event_id)

    def add(self, db: Database, additions: Collection[Addition]) -> None:
        """Write within a transaction of the caller's; call `added` once it is committed."""
        db.conn.executemany(
            "INSERT INTO events (product_id, upto, data) VALUES (?, ?, ?)",
            (
                (each.product_id, rows[-1][0], orjson.dumps(rows))
                for each in additions
                for rows in _parts(each.rows)
            ),
        )
        db.conn.executemany(
            "DELETE FROM events WHERE product_id = ? AND upto <= ?",
            [(each.product_id, each.event_id - RING) for each in additions],
        )
        seen = [
            (each.product_id, self._of(each.product_id).seen_upto + len(each.keys), each.keys)
            for each in additions
            if each.keys
        ]
        db.conn.executemany(
            "INSERT INTO seen VALUES (?, ?, ?)",
            [(product_id, upto, b"".join(keys)) for product_id, upto, keys in seen],
        )
        db.conn.executemany(
            "DELETE FROM seen WHERE product_id = ? AND upto < ?",
            [(product_id, upto - MAX_SEEN) for product_id, upto, _ in seen],
        )

    def added(self, additions: Iterable[Addition]) -> None:
        """These additions are committed."""
        for each in additions:
            progress = self._of(each.product_id)
            progress.event_id = each.event_id
            progress.seen_upto += len(each.keys)

    def seen(self, product_id: int) -> set[bytes]:
        """The keys of the product's latest messages."""
        rows = self._store.rows("SELECT keys FROM seen WHERE product_id = ?", product_id)
        return {
            row["keys"][at : at + KEY_BYTES]
            for row in rows
            for at in range(0, len(row["keys"]), KEY_BYTES)
        }

    def _of(self, product_id: int) -> _Progress:
        progress = self._progress.get(product_id)
        if progress is None:
            [row] = self._store.rows(
                """SELECT (SELECT MAX(upto) FROM events WHERE product_id = ?) AS event_id,
                    (SELECT MAX(upto) FROM seen WHERE product_id = ?) AS seen_upto""",
                product_id,
                product_id,
            )
            progress = _Progress(row["event_id"] or 0, row["seen_upto"] or 0)
            self._progress[product_id] = progress
        return progress

    # -- reading ------------------------------------------------------------------------------

    def events(
        self, product_id: int, *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> list[Event]:
        """The newest events, newest first; see `Backend.events`. From any thread."""
        found: list[Event] = []
        size = 0
        for row in self._rows(product_id, after, before):
            if len(found) == limit or size > PAGE_BYTES:
                break
            found.append(_event(product_id, row))
            size += len(found[-1].payload)
        return found

    def _rows(self, product_id: int, after: int, before: int | None) -> Iterator[EventRow]:
        """The kept events with ids between, newest first; read as they are asked for."""
        [ends] = self._store.rows(
            """SELECT MAX(upto) AS newest, MIN(upto) FILTER (WHERE upto >= ? - 1) AS first
            FROM events WHERE product_id = ?""",
            before,
            product_id,
        )
        oldest = max(after, (ends["newest"] or 0) - RING)
        first = ends["first"] or ends["newest"]
        while first is not None:
            rows = self._store.rows(
                """SELECT upto, data FROM events WHERE product_id = ? AND upto > ? AND upto <= ?
                ORDER BY upto DESC LIMIT 1""",
                product_id,
                oldest,
                first,
            )
            if not rows:
                return
            first = rows[0]["upto"] - 1
            for row in reversed(orjson.loads(rows[0]["data"])):
                if row[0] > oldest and (before is None or row[0] < before):
                    yield row


def _parts(rows: list[EventRow]) -> Iterator[list[EventRow]]:
    return (rows[start : start + EVENTS_A_ROW] for start in range(0, len(rows), EVENTS_A_ROW))


def _event(product_id: int, row: Any) -> Event:
    event_id, at, topic, name, qos, size, payload, problem, decisions = row
    return Event(
        id=event_id,
        product_id=product_id,
        at=datetime.fromtimestamp(at, UTC),
        topic=topic,
        name=name,
        qos=qos,
        size=size,
        payload=payload,
        truncated=size > MAX_KEPT,
        problem=problem,
        decisions=tuple(
            Decision(
                subscription_id=subscription_id,
                outcome=_OUTCOMES[outcome],
                error=error[0] if error else None,
            )
            for subscription_id, outcome, *error in decisions
        ),
    )
