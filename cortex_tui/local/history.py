"""The newest events of each product, and the keys that tell a redelivered message.

Rows are made for a batch and added within its transaction. The events of a product lie in a ring
of `RING` places, so that keeping to the limit costs nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

import orjson
from sqlite_utils import Database

from cortex_tui.events import Decision, Event, Outcome
from cortex_tui.local.store import Row, Store

RING = 2_000
"""Events that are kept of a product."""
MAX_KEPT = 65_536
"""Bytes of a payload that are kept."""
MAX_SEEN = 65_535
"""Keys that are kept of a product: a broker has no more messages on their way to one client
(MQTT 5 §2.2.1)."""
KEY_BYTES = 16

_PLACES = 20
"""Bits of a place that tell the events of a product apart; the rest is the product."""
_OUTCOMES = tuple(Outcome)


class EventRow(NamedTuple):
    """A row of the table of events."""

    place: int
    id: int
    product_id: int
    at: float
    topic: str
    name: str | None
    qos: int
    size: int
    payload: bytes
    problem: str | None
    decisions: bytes


_REPLACE = f"REPLACE INTO events VALUES ({', '.join('?' * len(EventRow._fields))})"  # noqa: S608

DecisionRow = tuple[int, int] | tuple[int, int, str]
"""A subscription, the position of its outcome in `Outcome`, and an error where there was one."""


def event_row(
    *,
    event_id: int,
    product_id: int,
    at: float,
    topic: str,
    name: str | None,
    qos: int,
    size: int,
    payload: bytes,
    problem: str | None,
    decisions: list[DecisionRow],
) -> EventRow:
    """The row of an event, its payload cut to what is kept."""
    return EventRow(
        product_id << _PLACES | event_id % RING,
        event_id,
        product_id,
        at,
        topic,
        name,
        qos,
        size,
        payload if len(payload) <= MAX_KEPT else payload[:MAX_KEPT],
        problem,
        orjson.dumps(decisions),
    )


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

    def __init__(self, store: Store) -> None:
        self._store = store
        self._progress: dict[int, _Progress] = {}

    def begin(self, product_id: int) -> Addition:
        """What a batch is to add for a product; nothing is kept before `add` and `added`."""
        return Addition(product_id, self._of(product_id).event_id)

    def add(self, db: Database, additions: Collection[Addition]) -> None:
        """Write within a transaction of the caller's; call `added` once it is committed."""
        rows = chain.from_iterable(each.rows for each in additions)
        db.conn.executemany(_REPLACE, rows)
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
                f"""SELECT (SELECT MAX(id) FROM events WHERE {_OF_PRODUCT}) AS event_id,
                    (SELECT MAX(upto) FROM seen WHERE product_id = ?) AS seen_upto""",  # noqa: S608
                *_places_of(product_id),
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
        rows = self._store.page(
            f"""SELECT * FROM events WHERE {_OF_PRODUCT} AND id > ? AND id < COALESCE(?, id + 1)
            ORDER BY id DESC LIMIT ?""",  # noqa: S608
            *_places_of(product_id),
            after,
            before,
            limit,
        )
        return [_event(row) for row in rows]


_OF_PRODUCT = "place >= ? AND place < ?"


def _places_of(product_id: int) -> tuple[int, int]:
    return product_id << _PLACES, (product_id + 1) << _PLACES


def _event(row: Row) -> Event:
    payload: bytes = row["payload"]
    return Event(
        id=row["id"],
        product_id=row["product_id"],
        at=datetime.fromtimestamp(row["at"], UTC),
        topic=row["topic"],
        name=row["name"],
        qos=row["qos"],
        size=row["size"],
        payload=payload.decode(errors="replace"),
        truncated=len(payload) < row["size"],
        problem=row["problem"],
        decisions=tuple(
            Decision(
                subscription_id=subscription_id,
                outcome=_OUTCOMES[outcome],
                error=error[0] if error else None,
            )
            for subscription_id, outcome, *error in orjson.loads(row["decisions"])
        ),
    )
