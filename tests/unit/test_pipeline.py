"""The pipeline's limits: what one batch takes, and what waits for room in the outbox."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.events import JobState
from cortex_tui.local import outbox as outbox_room
from cortex_tui.local import pipeline as pipeline_room
from cortex_tui.local.causes import Cause
from cortex_tui.local.connection import Arrivals, Connection
from cortex_tui.local.processing import Processing
from cortex_tui.local.splitter import Publish
from cortex_tui.local.store import Store
from cortex_tui.local.stream import Stream
from cortex_tui.local.vault import Vault
from cortex_tui.models import Action, ProductDraft, SubscriptionDraft

NOW = 1_769_000_000.0
SETTINGS = DeliverySettings.model_validate({"webhook": {"url": "http://localhost/"}})
PAYLOAD = b'{"event": "paid"}'


class FakeConnection:
    """Where messages come from: what it was told."""

    def __init__(self, product_id: int) -> None:
        self.product_id = product_id
        self.acknowledged: list[bytes] = []
        self.trouble: list[Cause] = []

    def acknowledge(self, arrivals: Arrivals) -> None:
        self.acknowledged += [each.packet_id for each in arrivals.messages]

    def interrupt(self, cause: Cause, _stream: Stream) -> None:
        self.trouble.append(cause)


class Room:
    """A pipeline over a database of its own. Nobody delivers: what is to be sent waits."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "cortex.db", Vault.open(folder / "key", None))
        self.processing = Processing(self.store, SETTINGS, folder, on_change=lambda _: None)
        self.pipeline = self.processing.pipeline
        self.outbox = self.processing.outbox
        self.product_id = self.store.create_product(ProductDraft(name="p")).id
        self.connection = FakeConnection(self.product_id)
        self.batches: list[int] = []
        """The jobs of each batch."""
        self.pipeline._on_committed = lambda *_: self.batches.append(self.jobs - sum(self.batches))

    def subscribe(self, *actions: str) -> None:
        draft = SubscriptionDraft(
            name="paid", topic="t", event="*", actions=tuple(Action(type=each) for each in actions)
        )
        self.store.create_subscription(self.product_id, draft)
        router = self.processing.router(self.store.subscriptions(self.product_id))
        self.pipeline.route(self.product_id, router)

    def arrive(self, *qualities: int, payload: bytes = PAYLOAD) -> None:
        """Messages of these qualities of service, together; each is numbered."""
        messages = [
            Publish("t", payload, len(payload), qos, dup=False, packet_id=bytes([0, number]))
            for number, qos in enumerate(qualities)
        ]
        came_by = cast("Connection", self.connection), cast("Stream", None)
        self.pipeline.take(Arrivals(*came_by, at=NOW, messages=messages))
        self.pipeline.run()

    @property
    def acknowledged(self) -> list[int]:
        return [each[1] for each in self.connection.acknowledged]

    @property
    def jobs(self) -> int:
        return len(self.outbox.jobs(self.product_id))

    @property
    def waiting(self) -> int:
        return len(self.outbox.jobs(self.product_id, states=[JobState.PENDING]))

    @property
    def counted(self) -> tuple[int, int]:
        """Messages taken, and dropped."""
        seen = self.store.overview(self.product_id)
        return seen.messages_received, seen.messages_dropped


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.store.close()


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_room, "MAX_PENDING", 5)


def test_the_limit_holds_within_a_batch_but_for_the_actions_of_one_message(room: Room) -> None:
    room.subscribe(*["webhook"] * 3)
    room.arrive(*[1] * 8)
    assert room.waiting == 6
    assert room.acknowledged == [0, 1]
    assert room.counted == (2, 0)
    assert room.outbox.full
    assert room.pipeline.holding
    assert room.processing.paused() is not None


def test_what_was_held_goes_on_in_its_order_when_there_is_room(room: Room) -> None:
    room.subscribe(*["webhook"] * 3)
    room.arrive(*[2] * 5)
    room.arrive(1)
    for acknowledged in ([0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 0]):
        room.pipeline.run()
        assert room.acknowledged == acknowledged
        assert room.waiting == 6
        assert room.outbox.full
        room.outbox.discard(room.product_id)
        room.outbox.prune()
    assert room.counted == (6, 0)
    assert room.processing.paused() is None


def test_of_what_finds_no_room_quality_of_service_0_is_dropped_and_counted(room: Room) -> None:
    room.subscribe(*["webhook"] * 3)
    room.arrive(0, 1, 0, 1, 0)
    assert room.waiting == 6
    assert room.counted == (2, 2)
    room.arrive(0)
    assert room.counted == (2, 3)
    room.outbox.discard(room.product_id)
    room.outbox.prune()
    room.pipeline.run()
    assert room.counted == (3, 3)
    assert room.waiting == 3


def test_the_limit_of_bytes_holds_too(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_room, "MAX_PENDING_BYTES", 1_500)
    room.subscribe("webhook")
    room.arrive(*[1] * 4, payload=b'"' + b"x" * 998 + b'"')
    assert room.waiting == 2
    assert room.outbox.full


def test_what_is_only_recorded_needs_no_room(room: Room) -> None:
    room.subscribe(*["record"] * 3)
    room.arrive(*[1] * 8)
    assert room.counted == (8, 0)
    assert not room.outbox.full


def test_what_waits_when_it_starts_counts(room: Room) -> None:
    room.subscribe(*["webhook"] * 3)
    room.arrive(1, 1)
    again = Processing(room.store, SETTINGS, Path(), on_change=lambda _: None)
    assert again.outbox.full


def test_dead_letters_that_are_retried_count(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_room, "MAX_PENDING", 3)
    room.subscribe(*["webhook"] * 3)
    room.arrive(1)
    with room.store.writing() as db:
        db.execute("UPDATE outbox SET state = 'dead'")
    room.outbox.prune()
    assert not room.outbox.full
    room.outbox.retry(room.product_id, NOW)
    assert room.outbox.full


def test_a_batch_ends_where_it_has_many_actions(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed together is in memory together."""
    monkeypatch.setattr(pipeline_room, "MAX_JOBS", 4)
    room.subscribe(*["record"] * 3)
    room.arrive(*[1] * 5)
    assert room.batches == [6, 6, 3]
    assert room.acknowledged == [0, 1, 2, 3, 4]


def test_a_batch_ends_where_its_actions_carry_much(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_room, "MAX_JOBS_BYTES", 2 * len(PAYLOAD))
    room.subscribe("activate_policy")
    room.arrive(*[1] * 5)
    assert room.batches == [2, 2, 1]


def test_what_is_left_of_a_batch_that_fails_is_not_taken_either(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker sends all of it again, in its order."""
    room.subscribe(*["webhook"] * 3)

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room.outbox, "add", fails)
    room.arrive(*[1] * 8)
    assert room.acknowledged == []
    assert not room.pipeline.holding
    assert [each.message for each in room.connection.trouble] == [
        "The messages could not be stored: [Errno 28] No space left on device"
    ]
