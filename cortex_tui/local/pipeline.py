"""What happens to what arrives: decode → route → decide → commit → acknowledge, a batch at a time.

Runs on the network thread. Counters, events and jobs of a batch are one transaction, and nothing
is acknowledged before it is committed: what a crash undoes the broker sends again, and what it
sends again without need is recognised by its key.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any, NamedTuple

from cortex_tui.diagnosis import Stage
from cortex_tui.events import MAX_PAYLOAD, Outcome
from cortex_tui.local.actions import CompiledAction, idempotency_key
from cortex_tui.local.causes import Cause
from cortex_tui.local.connection import Arrivals
from cortex_tui.local.counters import ProductCount, SubscriptionCount, count
from cortex_tui.local.history import (
    KEY_BYTES,
    RING,
    Addition,
    DecisionRow,
    History,
    kept_text,
)
from cortex_tui.local.jobs import NewJob, new_job
from cortex_tui.local.outbox import Load, Outbox
from cortex_tui.local.paths import EvaluationError
from cortex_tui.local.recent import Recent
from cortex_tui.local.splitter import Publish
from cortex_tui.local.store import Store
from cortex_tui.routing import Router, Unreadable, decode, event_name
from cortex_tui.values import MAX_NAME

log = logging.getLogger(__name__)

MAX_BATCH = 5_000
"""Messages that make a batch at once; else it is what one round of the network brought."""
MAX_JOBS, MAX_JOBS_BYTES = 20_000, 64 * 1_048_576
"""Jobs that end a batch, and bytes of events that they carry, however many messages are left: what
is committed together is in memory together. The jobs of one message are not parted."""
MAX_HELD = 64 * 1_048_576
"""Bytes of messages that wait in memory while the outbox is full; beyond that their connections
are dropped, and the broker keeps them."""
MESSAGE_BYTES = 200
"""What a message costs in memory beside its payload and topic."""
ID_KEYS = ("event_id", "eventId", "id")
"""Where an event's own key is looked for in its payload: the first that holds a string or a whole
number."""

_MATCHED, _CONDITION_FALSE, _EVALUATION_FAILED = range(len(Outcome))


class Taker:
    """A subscription, ready for any event."""

    __slots__ = ("actions", "subscription_id")

    def __init__(self, subscription_id: int, actions: tuple[CompiledAction, ...]) -> None:
        self.subscription_id = subscription_id
        self.actions = actions


class Pipeline:
    """Takes what arrives, and sees it through."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        history: History,
        *,
        on_committed: Callable[[set[int], set[str]], None],
    ) -> None:
        """`on_committed` is told the products that got messages, and the targets that got jobs."""
        self.recent = Recent()
        self._store = store
        self._outbox = outbox
        self._history = history
        self._on_committed = on_committed
        self._routers: dict[int, Router[Taker]] = {}
        self._waiting: list[Arrivals] = []
        self._messages = 0
        self._held: list[Arrivals] = []
        """What the outbox had no room for."""
        self._held_bytes = 0

    def route(self, product_id: int, router: Router[Taker] | None) -> None:
        """Use `router` for a product from now on; none takes nothing."""
        if router is None:
            self._routers.pop(product_id, None)
        else:
            self._routers[product_id] = router

    def take(self, arrivals: Arrivals) -> None:
        """Deal with these messages: soon, or at once where there are many."""
        self._waiting.append(arrivals)
        self._messages += len(arrivals.messages)
        if self._messages >= MAX_BATCH and not self._outbox.full:
            self.run()

    @property
    def holding(self) -> bool:
        """Whether messages wait for room in the outbox."""
        return bool(self._held)

    def run(self) -> None:
        """Deal with what has arrived, as long as there is room for the actions it sets off."""
        left, self._waiting, self._messages = self._waiting, [], 0
        if not self._outbox.full:
            left, self._held, self._held_bytes = self._held + left, [], 0
            while left and not self._outbox.full:
                left = self._see_through(left)
        if left:
            self._hold(left)

    def _see_through(self, waiting: list[Arrivals]) -> list[Arrivals]:
        """Commit a batch of what waits, and acknowledge it; returns what is left."""
        batch = self._batch()
        try:
            done, left = self._fill(batch, waiting)
            self._commit(batch)
        except Exception as error:
            log.exception("%d messages could not be stored", sum(len(a.messages) for a in waiting))
            for arrivals in waiting:
                arrivals.connection.interrupt(_not_stored(error), arrivals.stream)
            return []
        for arrivals in done:
            arrivals.connection.acknowledge(arrivals)
        self._on_committed(set(batch.products), batch.targets)
        return left

    def _fill(
        self, batch: "_Batch", waiting: list[Arrivals]
    ) -> tuple[list[Arrivals], list[Arrivals]]:
        """Put into the batch as much as it takes; returns that, and what is left."""
        for place, arrivals in enumerate(waiting):
            router = self._routers.get(arrivals.connection.product_id)
            if router is None:
                continue
            left = batch.take(arrivals, router)
            if batch.complete:
                taken = arrivals.messages[: len(arrivals.messages) - len(left)]
                done = [*waiting[:place], replace(arrivals, messages=taken)]
                begun = [replace(arrivals, messages=left)] if left else []
                return done, [*begun, *waiting[place + 1 :]]
        return waiting, []

    def _batch(self) -> "_Batch":
        return _Batch(self._history, self._store.instance_id, self._outbox.room)

    def _commit(self, batch: "_Batch") -> None:
        additions = batch.additions.values()
        with self._store.writing() as db:
            count(db, batch.products, batch.subscriptions)
            self._history.add(db, additions)
            if batch.jobs:
                self._outbox.add(db, batch.jobs)
        self._history.added(additions)
        self._outbox.added(batch.waiting, batch.waiting_bytes)
        for subscription_id, counted in batch.subscriptions.items():
            self.recent.add(subscription_id, counted.received, counted.last_at)

    def _hold(self, waiting: list[Arrivals]) -> None:
        """Keep what the broker will not send again before it is acknowledged; QoS 0 is dropped, and
        counted."""
        batch = self._batch()
        for arrivals in waiting:
            held = [message for message in arrivals.messages if message.qos]
            batch.drop(arrivals, len(arrivals.messages) - len(held))
            if held:
                self._held.append(replace(arrivals, messages=held))
                self._held_bytes += sum(
                    len(each.payload) + len(each.topic) + MESSAGE_BYTES for each in held
                )
        if batch.products:
            self._tell_dropped(batch)
        if self._held_bytes > MAX_HELD:
            dropped, self._held, self._held_bytes = self._held, [], 0
            for arrivals in dropped:
                arrivals.connection.interrupt(_TOO_MANY, arrivals.stream)

    def _tell_dropped(self, batch: "_Batch") -> None:
        try:
            self._commit(batch)
        except Exception:
            log.exception("dropped messages could not be counted")
            return
        self._on_committed(set(batch.products), batch.targets)


class _Decoded(NamedTuple):
    """An event, as the subscriptions see it."""

    product_id: int
    id: int
    key: str
    """Tells it apart from all others, also those of other orchestrators."""
    at: float
    payload: Any
    problem: str | None


class _Batch:
    """What is to be committed together."""

    def __init__(self, history: History, instance_id: str, room: Load) -> None:
        """`room` is how much more may wait in the outbox."""
        self.products: dict[int, ProductCount] = {}
        self.subscriptions: dict[int, SubscriptionCount] = {}
        self.additions: dict[int, Addition] = {}
        self.jobs: list[NewJob] = []
        self.waiting, self.waiting_bytes = 0, 0
        """Of the jobs those that wait, and the bytes of their events."""
        self.targets: set[str] = set()
        self.complete = False
        """Whether nothing more is to be taken."""
        self._jobs_bytes = 0
        self._room = room
        self._history = history
        self._instance_id = instance_id
        self._known: dict[int, set[bytes]] = {}
        """Keys of earlier messages, of the products that got some again."""

    def drop(self, arrivals: Arrivals, messages: int) -> None:
        """Count messages that are not taken."""
        if messages:
            self._product(arrivals.connection.product_id).dropped += messages
            self._product(arrivals.connection.product_id).last_at = arrivals.at

    def take(self, arrivals: Arrivals, router: Router[Taker]) -> list[Publish]:
        """Decode, route and decide, until it is complete; returns the messages that are left."""
        product_id, at = arrivals.connection.product_id, arrivals.at
        counted = self._product(product_id)
        addition = self.additions.get(product_id)
        if addition is None:
            addition = self.additions[product_id] = self._history.begin(product_id)
        known = self._known.get(product_id)
        messages = iter(arrivals.messages)
        for message in messages:
            problem, payload = None, None
            try:
                payload = _decoded(message)
            except Unreadable as error:
                problem = str(error)
            if message.qos:
                key = _digest(message)
                if message.dup and known is None:
                    known = self._history.seen(product_id).union(addition.keys)
                    self._known[product_id] = known
                if known is not None:
                    if message.dup and key in known:
                        continue
                    known.add(key)
                addition.keys.append(key)
            addition.event_id += 1
            counted.received += 1
            counted.unreadable += problem is not None
            name = event_name(payload)
            event_key = _own_key(payload, name) or f"{self._instance_id}/{addition.event_id}"
            event = _Decoded(product_id, addition.event_id, event_key, at, payload, problem)
            decisions = [
                self._decide(taker, message, event) for taker in router.takers(message.topic, name)
            ]
            addition.rows.append(
                (
                    addition.event_id,
                    at,
                    message.topic,
                    name and name[:MAX_NAME],
                    message.qos,
                    message.size,
                    kept_text(message.payload),
                    problem,
                    decisions,
                )
            )
            if self.complete:
                break
        counted.last_at = at
        del addition.rows[:-RING]  # the rest would only be overwritten
        return list(messages)

    def _decide(self, taker: Taker, message: Publish, event: _Decoded) -> DecisionRow:
        subscription_id, payload = taker.subscription_id, event.payload
        counted = self.subscriptions.get(subscription_id)
        if counted is None:
            counted = self.subscriptions[subscription_id] = SubscriptionCount()
        counted.received += 1
        counted.last_at = event.at
        matched, error = not taker.actions, event.problem
        if error is None:
            for position, action in enumerate(taker.actions):
                if action.condition is not None:
                    try:
                        if not action.condition.holds(payload):
                            continue
                    except EvaluationError as failure:
                        error = str(failure)
                        continue
                matched = True
                job = new_job(
                    action,
                    payload,
                    event=message.payload,
                    event_id=event.id,
                    key=idempotency_key(event.key, event.product_id, subscription_id, position),
                    product_id=event.product_id,
                    subscription_id=subscription_id,
                    now=event.at,
                )
                self.jobs.append(job)
                self._jobs_bytes += len(message.payload)
                if job.due_at is not None:
                    self.targets.add(job.target)
                    self.waiting += 1
                    self.waiting_bytes += len(message.payload)
        counted.matched += matched and event.problem is None
        if matched and self._is_complete():
            self.complete = True
        if error is not None:
            counted.evaluation_failed += 1
            counted.error, counted.error_event_id = error, event.id
            return subscription_id, _EVALUATION_FAILED, error
        if matched:
            return subscription_id, _MATCHED
        counted.condition_false += 1
        return subscription_id, _CONDITION_FALSE

    def _is_complete(self) -> bool:
        return (
            len(self.jobs) >= MAX_JOBS
            or self._jobs_bytes >= MAX_JOBS_BYTES
            or self.waiting >= self._room.jobs
            or self.waiting_bytes >= self._room.size
        )

    def _product(self, product_id: int) -> ProductCount:
        counted = self.products.get(product_id)
        if counted is None:
            counted = self.products[product_id] = ProductCount()
        return counted


def _decoded(message: Publish) -> Any:
    if message.size > MAX_PAYLOAD:
        raise Unreadable(f"larger than {MAX_PAYLOAD:,} bytes")
    if message.size > len(message.payload):
        raise Unreadable("cut off: its properties are too large")
    return decode(message.payload)


def _own_key(payload: Any, name: str | None) -> str | None:
    """What an event brings along to be told from others. Its name goes with it, since many an `id`
    is that of the thing which the event is about."""
    if type(payload) is dict:
        for key in ID_KEYS:
            value = payload.get(key)
            if type(value) is str or type(value) is int:
                return f"{name}/{key}={value}"
    return None


def _digest(message: Publish) -> bytes:
    """What a redelivered message is recognised by: a broker sends the same bytes again. Nothing
    less would do, since another event may have the same id."""
    whole = blake2b(message.topic.encode(), digest_size=KEY_BYTES)
    whole.update(b"\0")
    whole.update(message.payload)
    return whole.digest()


def _not_stored(error: Exception) -> Cause:
    return Cause(
        Stage.SUBSCRIBE,
        message=f"The messages could not be stored: {error}",
        advice="Free space on the disk of the database; the broker sends them again.",
    )


_TOO_MANY = Cause(
    Stage.SUBSCRIBE,
    message="Too many actions wait: no more events are taken",
    advice="See under Actions what holds them up, and retry or discard it.",
)
