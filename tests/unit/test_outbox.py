"""The outbox: what a job goes through, what is counted, and what is kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cortex_tui.backend import Conflict
from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.events import JobState
from cortex_tui.local import outbox as outbox_room
from cortex_tui.local.actions import compile_action
from cortex_tui.local.jobs import NewJob, Verdict, new_job
from cortex_tui.local.outbox import Outbox
from cortex_tui.local.store import Store
from cortex_tui.local.vault import Vault
from cortex_tui.models import Action, ProductDraft, SubscriptionDraft

NOW = 1_769_000_000.0
SETTINGS = DeliverySettings.model_validate({"webhook": {"url": "http://localhost/"}, "publish": {}})


class Room:
    """An outbox over a database of its own, with a product and a subscription."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cortex.db"
        self.store = Store(self.path, Vault.open(folder / "key", None))
        self.outbox = Outbox(self.store)
        self.product_id = self.store.create_product(ProductDraft(name="p")).id
        draft = SubscriptionDraft(name="s")
        self.subscription_id = self.store.create_subscription(self.product_id, draft).id

    def job(self, number: int = 0, event: bytes = b'{"id": 1}', **fields: Any) -> NewJob:
        action = Action.model_validate({"type": "webhook", **fields})
        return new_job(
            compile_action(action, SETTINGS),
            {"id": 1},
            event=event,
            event_id=number,
            key=f"key{number}",
            product_id=self.product_id,
            subscription_id=self.subscription_id,
            now=NOW + number,
        )

    def add(self, *jobs: NewJob) -> None:
        with self.store.writing() as db:
            self.outbox.add(db, jobs)

    @property
    def stats(self) -> tuple[int, int]:
        stats = self.store.subscription(self.product_id, self.subscription_id).stats
        return stats.actions_executed, stats.actions_failed

    @property
    def states(self) -> list[str]:
        """Oldest first."""
        return [job.state.value for job in reversed(self.outbox.jobs(self.product_id))]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.store.close()


def test_a_new_job_is_pending_recorded_or_dead_and_counted_when_final(room: Room) -> None:
    room.add(
        room.job(1, params={"id": "{{id}}"}),
        room.job(2, type="record", params={"id": "{{id}}"}),
        room.job(3, type="activate_policy"),
        room.job(4, params={"id": "{{nothing}}"}),
    )
    dead, unconfigured, recorded, pending = room.outbox.jobs(room.product_id)
    assert (pending.state, pending.content) == (JobState.PENDING, {"params": {"id": 1}})
    assert pending.due_at == pending.created_at
    assert (recorded.state, recorded.content) == (JobState.RECORDED, {"params": {"id": 1}})
    assert recorded.event is None
    assert (unconfigured.state, unconfigured.event) == (JobState.RECORDED, '{"id": 1}')
    assert (dead.state, dead.content, dead.event) == (JobState.DEAD, None, '{"id": 1}')
    assert [failure.reason for failure in dead.failures] == ["nothing is missing from the event"]
    assert dead.action == Action(type="webhook", params={"id": "{{nothing}}"})
    assert dead.finished_at == dead.created_at
    assert room.stats == (2, 1)


def test_jobs_come_with_their_event_or_not_at_all(room: Room) -> None:
    jobs = [room.job(), room.job(type="record"), room.job()._replace(action=None)]  # type: ignore[arg-type]
    with pytest.raises(Conflict), room.store.writing() as db:
        room.outbox.add(db, jobs)
    assert room.states == []
    assert room.stats == (0, 0)


def test_each_target_gets_what_it_wants_the_longest_due_first(room: Room) -> None:
    room.add(*(room.job(number) for number in (3, 1, 2)), room.job(0, type="publish", topic="a"))
    publish = f"publish/{room.product_id}"
    assert room.outbox.recover() == [publish, "webhook"] or room.outbox.recover() == [
        "webhook",
        publish,
    ]
    claims, next_due = room.outbox.turn([], {"webhook": 2, publish: 5}, NOW + 2.5)
    assert [claim.key for claim in claims] == ["key1", "key2", "key0"]
    assert all(claim.attempts == 1 for claim in claims)
    assert next_due is None
    claims, next_due = room.outbox.turn([], {"webhook": 2}, NOW + 2.5)
    assert claims == []
    assert next_due == NOW + 3
    assert room.states == ["pending", "running", "running", "running"]


def test_a_verdict_settles_a_job_and_counts_it_once(room: Room) -> None:
    room.add(*(room.job(number) for number in range(4)))
    claims, _ = room.outbox.turn([], {"webhook": 9}, NOW + 9)
    done, again, dead, recorded = claims
    verdicts = [
        Verdict(done, JobState.DONE, "refused for b@example.com"),
        Verdict(again, JobState.PENDING, "connection refused", due_at=NOW + 60),
        Verdict(dead, JobState.DEAD, "answered 400 Bad Request"),
        Verdict(recorded, JobState.RECORDED),
    ]
    assert room.outbox.turn(verdicts, {"webhook": 9}, NOW + 10) == ([], NOW + 60)
    assert room.states == ["done", "pending", "dead", "recorded"]
    assert room.stats == (2, 1)
    [claim], _ = room.outbox.turn([], {"webhook": 9}, NOW + 61)
    assert (claim.key, claim.attempts) == ("key1", 2)
    room.outbox.turn([Verdict(claim, JobState.PENDING, "timed out", due_at=NOW + 99)], {}, NOW + 62)
    job = room.outbox.jobs(room.product_id, states=[JobState.PENDING])[0]
    assert [failure.reason for failure in job.failures] == ["connection refused", "timed out"]
    assert [failure.at.timestamp() for failure in job.failures] == [NOW + 10, NOW + 62]
    assert room.stats == (2, 1)


def test_what_was_running_when_the_process_ended_is_attempted_again(room: Room) -> None:
    room.add(room.job(1), room.job(2, type="record"))
    room.outbox.turn([], {"webhook": 1}, NOW + 9)
    room.store.close()
    room.store = Store(room.path, Vault.open(room.path.with_name("key"), None))
    room.outbox = Outbox(room.store)
    assert room.outbox.recover() == ["webhook"]
    claims, _ = room.outbox.turn([], {"webhook": 1}, NOW + 9)
    assert [(claim.key, claim.attempts) for claim in claims] == [("key1", 2)]


def kill(room: Room) -> None:
    claims, _ = room.outbox.turn([], {"webhook": 99}, NOW + 99)
    room.outbox.turn([Verdict(claim, JobState.DEAD, "no") for claim in claims], {}, NOW + 99)


def test_dead_letters_are_retried_one_by_one_by_subscription_or_all(room: Room) -> None:
    room.add(*(room.job(number) for number in range(3)))
    kill(room)
    first = room.outbox.jobs(room.product_id)[-1].id
    assert room.outbox.retry(room.product_id, NOW + 100, job_id=first) == ["webhook"]
    assert room.states == ["pending", "dead", "dead"]
    assert room.outbox.retry(room.product_id + 1, NOW, job_id=first + 1) == []
    assert room.outbox.retry(room.product_id, NOW, subscription_id=room.subscription_id + 1) == []
    retried = room.outbox.retry(room.product_id, NOW, subscription_id=room.subscription_id)
    assert retried == ["webhook"] * 2
    claims, _ = room.outbox.turn([], {"webhook": 9}, NOW + 100)
    assert [claim.attempts for claim in claims] == [1, 1, 1]
    room.outbox.turn([Verdict(claims[0], JobState.DONE)], {}, NOW + 101)
    assert room.stats == (1, 3)


def test_only_what_waits_or_is_dead_can_be_discarded(room: Room) -> None:
    room.add(room.job(1), room.job(2, params={"a": "{{nothing}}"}), room.job(3, type="record"))
    room.add(room.job(0))
    room.outbox.turn([], {"webhook": 1}, NOW + 99)
    assert room.states == ["pending", "dead", "recorded", "running"]
    assert room.outbox.discard(room.product_id) == 2
    assert room.states == ["recorded", "running"]


def test_jobs_are_read_page_by_page_and_counted(room: Room) -> None:
    room.add(*(room.job(number) for number in range(5)))
    page = room.outbox.jobs(room.product_id, limit=2)
    assert [job.key for job in page] == ["key4", "key3"]
    page = room.outbox.jobs(room.product_id, before=page[-1].id, limit=9)
    assert [job.key for job in page] == ["key2", "key1", "key0"]


def test_a_deleted_product_takes_its_jobs_along_and_a_late_job_harms_nothing(room: Room) -> None:
    late = room.job(2)
    room.add(room.job(1))
    room.store.delete_product(room.product_id)
    assert room.states == []
    room.add(late, late._replace(state="dead"))
    assert len(room.states) == 2


def test_what_is_kept_is_limited_by_number(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_room, "MAX_KEPT", 3)
    monkeypatch.setattr(outbox_room, "MAX_DEAD", 2)
    monkeypatch.setattr(outbox_room, "MAX_PENDING", 2)
    monkeypatch.setattr(outbox_room, "PRUNED_AT_ONCE", 2)
    for number in range(8):
        room.add(room.job(number, type="record"), room.job(number, params={"a": "{{nothing}}"}))
    room.outbox.prune()
    assert sorted(room.states) == ["dead"] * 2 + ["recorded"] * 3
    assert [job.key for job in room.outbox.jobs(room.product_id, limit=2)] == ["key7", "key7"]
    assert not room.outbox.full
    room.add(room.job(1), room.job(2))
    room.outbox.prune()
    assert room.outbox.full
    assert room.states.count("pending") == 2
    room.outbox.discard(room.product_id)
    room.outbox.prune()
    assert not room.outbox.full


def test_what_waits_is_limited_by_size(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_room, "MAX_PENDING_BYTES", 2_000)
    room.add(room.job(1, b"x" * 1_500))
    room.outbox.prune()
    assert not room.outbox.full
    room.add(room.job(2, b"x" * 500))
    room.outbox.prune()
    assert room.outbox.full


def test_what_is_kept_is_limited_by_size(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_room, "MAX_DEAD_BYTES", 2_500)
    room.add(*(room.job(n, b"x" * 1_000, params={"a": "{{nothing}}"}) for n in range(5)))
    room.outbox.prune()
    assert [job.key for job in room.outbox.jobs(room.product_id)] == ["key4", "key3"]


def test_a_prune_before_an_end_is_committed_does_not_hide_it(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.add(room.job(1))
    claims, _ = room.outbox.turn([], {room.job(1).target: 1}, NOW + 1)

    def looked_meanwhile(*_: Any) -> list[Any]:
        room.outbox.prune()  # as another thread does: it sees what is committed
        return []

    monkeypatch.setattr(outbox_room, "_claim", looked_meanwhile)
    verdict = Verdict(claims[0], JobState.DONE)
    room.outbox.turn([verdict], {claims[0].target: 1}, NOW + 2)
    room.outbox.prune()
    assert room.outbox.room.jobs == outbox_room.MAX_PENDING


def test_a_job_that_ends_while_pruning_is_kept(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.add(room.job(1), room.job(2, params={"a": "{{nothing}}"}))
    target = room.job(1).target
    claims, _ = room.outbox.turn([], {target: 1}, NOW + 1)
    real, ends = room.store.rows, [Verdict(claims[0], JobState.DEAD, "no")]

    def reads(sql: str, *arguments: object) -> list[Any]:
        found = real(sql, *arguments)
        if '["dead"]' in arguments:  # as the delivery does, on another thread
            room.outbox.turn([ends.pop()], {target: 0}, NOW + 2)
        return found

    monkeypatch.setattr(room.store, "rows", reads)
    room.outbox.prune()
    assert not ends
    assert room.states == ["dead", "dead"]


def test_a_prune_that_failed_is_made_up_for(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.add(room.job(1))
    with monkeypatch.context() as broken:
        broken.setattr(room.store, "rows", None)
        with pytest.raises(TypeError):
            room.outbox.prune()
    room.outbox.prune()
    assert room.outbox.room.jobs == outbox_room.MAX_PENDING - 1
