"""Events through the pipeline, from a real broker to the database and back to the broker."""

import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.demo.broker import Broker, Mosquitto
from cortex_tui.events import MAX_PAYLOAD, JobChoice, JobState, Outcome
from cortex_tui.local import history as history_room
from cortex_tui.local import negotiation, retries
from cortex_tui.local import outbox as outbox_room
from cortex_tui.local.backend import LocalBackend
from cortex_tui.local.connection import Arrivals, Connection
from cortex_tui.local.pipeline import _TOO_MANY
from cortex_tui.local.splitter import Publish
from cortex_tui.models import (
    Action,
    Product,
    ProductChange,
    SubscriptionDraft,
    SubscriptionStats,
    TopicsConfig,
)
from cortex_tui.states import ConnectionState
from tests.brokers import ANONYMOUS, StartMosquitto, publish, tls
from tests.certificates import Authority
from tests.orchestrators import TOPIC, connected, draft, reaches, received
from tests.waiting import until

RECORD = Action(type="record", params={"id": "{{event.id}}"})
PAID = SubscriptionDraft(
    name="paid",
    topic=TOPIC,
    actions=(RECORD.model_copy(update={"condition": "amount > 10"}),),
)
EVERYTHING = SubscriptionDraft(name="everything", topic=TOPIC, event="*")


def event(number: int, **more: object) -> str:
    return json.dumps({"event": "paid", "event_id": f"e{number}", "id": number, **more})


async def stats_of(local: LocalBackend, product: Product) -> SubscriptionStats:
    return (await local.subscriptions(product.id))[0].stats


async def subscribed(local: LocalBackend, product: Product) -> None:
    async def granted() -> bool:
        return (await local.status(product.id)).subscribed_topics_count > 0

    await until(granted)


async def test_what_an_event_comes_to(local: LocalBackend, broker: Broker) -> None:
    product = await connected(local, draft(broker), PAID, EVERYTHING)
    await subscribed(local, product)
    publish(broker, TOPIC, event(1, amount=20))
    publish(broker, TOPIC, event(2, amount=5))
    publish(broker, TOPIC, event(3, amount="twenty"))
    publish(broker, TOPIC, json.dumps({"event": "other"}))
    await received(local, product.id, 3, 4)

    stats = await stats_of(local, product)
    assert (stats.matched, stats.condition_false, stats.evaluation_failed) == (1, 1, 1)
    assert (stats.actions_executed, stats.actions_failed) == (1, 0)
    assert stats.last_error is not None
    assert "amount is a string" in stats.last_error
    assert stats.last_error_event_id == 3
    assert stats.rate_1m > 0
    assert stats.rate_5m > 0

    kept = await local.events(product.id)
    assert [(each.id, each.name) for each in kept] == [
        (4, "other"), (3, "paid"), (2, "paid"), (1, "paid"),
    ]  # fmt: skip
    everything = (await local.subscriptions(product.id))[1].id
    paid = everything - 1
    assert [(d.subscription_id, d.outcome) for d in kept[0].decisions] == [
        (everything, Outcome.MATCHED)
    ]
    outcomes = [
        next(d.outcome for d in each.decisions if d.subscription_id == paid) for each in kept[1:]
    ]
    assert outcomes == [Outcome.EVALUATION_FAILED, Outcome.CONDITION_FALSE, Outcome.MATCHED]

    [job] = await local.jobs(product.id)
    assert (job.state, job.content, job.event_id) == (JobState.RECORDED, {"params": {"id": 1}}, 1)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"no json", "not JSON: line 1, column 1"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"", "empty"),
        (b"[" * 2_000 + b"]" * 2_000, "nested too deep"),
        (b'"' + b"x" * MAX_PAYLOAD + b'"', "larger than 1,048,576 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_read_is_kept_and_sets_nothing_off(
    local: LocalBackend, broker: Broker, payload: bytes, problem: str
) -> None:
    always = SubscriptionDraft(name="always", topic=TOPIC, event="*", actions=(RECORD,))
    product = await connected(local, draft(broker), always)
    await subscribed(local, product)
    publish(broker, TOPIC, payload)
    publish(broker, TOPIC, event(1))
    await received(local, product.id, 2)
    readable, unreadable = await local.events(product.id)
    assert readable.problem is None
    assert (unreadable.problem, unreadable.size) == (problem, len(payload))
    assert len(unreadable.payload) <= history_room.MAX_KEPT
    assert unreadable.truncated is (len(payload) > history_room.MAX_KEPT)
    stats = await stats_of(local, product)
    assert (stats.matched, stats.evaluation_failed, stats.actions_executed) == (1, 1, 1)
    assert (await local.status(product.id)).messages_unreadable == 1


@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311])
@pytest.mark.parametrize("qos", [1, 2])
async def test_what_is_sent_again_is_neither_counted_nor_acted_on_again(
    local: LocalBackend,
    start_mosquitto: StartMosquitto,
    monkeypatch: pytest.MonkeyPatch,
    qos: int,
    protocol: MQTTProtocolVersion,
) -> None:
    monkeypatch.setattr(negotiation, "FIRST_PROTOCOL", protocol)
    broker = start_mosquitto(*ANONYMOUS)
    topics = TopicsConfig(use_shared=False, qos=qos)
    always = SubscriptionDraft(name="paid", topic=TOPIC, actions=(RECORD,))
    config = draft(broker, clean_session=False, topics=topics)
    product = await connected(local, config, always)
    await subscribed(local, product)
    withheld: list[Publish] = []
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "acknowledge", lambda _, came: withheld.extend(came.messages))
        for number in range(5):
            publish(broker, TOPIC, event(number), qos=qos)
        # They are counted a moment before they would be acknowledged.
        await until(lambda: len(withheld) == 5)
    await local.reconnect(product.id)
    await until(lambda: broker.log.count("(d1, q") == 5)  # sent again, as duplicates
    publish(broker, TOPIC, event(99), qos=qos)
    await received(local, product.id, 6)
    assert len(await local.events(product.id)) == 6
    assert (await stats_of(local, product)).actions_executed == 6
    # What is acknowledged now does not come a third time.
    await local.reconnect(product.id)
    await until(lambda: broker.log.count("Received SUBSCRIBE from cortex-") == 3)
    publish(broker, TOPIC, event(100), qos=qos)
    await received(local, product.id, 7)
    assert broker.log.count("(d1, q") == 5


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_the_broker_is_answered_by_quality_of_service(
    local: LocalBackend, start_mosquitto: StartMosquitto, qos: int
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    topics = TopicsConfig(use_shared=False, qos=qos)
    product = await connected(local, draft(broker, topics=topics), EVERYTHING)
    await subscribed(local, product)
    client_id = (await local.status(product.id)).client_id
    publish(broker, TOPIC, event(1), qos=2)
    await received(local, product.id, 1)
    for answer in {0: (), 1: ("PUBACK",), 2: ("PUBREC", "PUBCOMP")}[qos]:
        line = f"Received {answer} from {client_id}"
        await until(partial(lambda line: line in broker.log, line))


async def test_much_at_once_over_tls(
    local: LocalBackend, start_mosquitto: StartMosquitto, authority: Authority
) -> None:
    broker = start_mosquitto(
        *ANONYMOUS, *tls(authority.server("localhost")), "max_queued_messages 0"
    )
    config = draft(broker, use_tls=True, verify_cert=False)
    product = await connected(local, config, EVERYTHING)
    await subscribed(local, product)
    sizes = [10, 20_000, 500_000, 1, 70_000]
    for number, size in enumerate(sizes):
        publish(broker, TOPIC, event(number, filler="x" * size), tls_unverified=True)
    await received(local, product.id, len(sizes))
    kept = await local.events(product.id)
    assert [each.problem for each in kept] == [None] * len(sizes)


async def test_only_the_newest_events_are_kept(
    local: LocalBackend, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_room, "RING", 3)
    monkeypatch.setattr(history_room, "EVENTS_A_ROW", 2)
    product = await connected(local, draft(broker), EVERYTHING)
    await subscribed(local, product)
    for number in range(8):
        publish(broker, TOPIC, event(number))
    await received(local, product.id, 8)
    assert [each.id for each in await local.events(product.id)] == [8, 7, 6]
    assert [each.id for each in await local.events(product.id, after=6, before=8)] == [7]
    assert [each.id for each in await local.events(product.id, limit=1)] == [8]


async def test_a_commit_that_fails_loses_nothing(
    local: LocalBackend, start_mosquitto: StartMosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    config = draft(broker, clean_session=False, topics=TopicsConfig(use_shared=False))
    product = await connected(local, config, EVERYTHING)
    await subscribed(local, product)
    history = local._processing.history
    add, failures = history.add, [0]

    def fails_twice(*arguments: object) -> None:
        if failures[0] < 2:
            failures[0] += 1
            raise OSError(28, "No space left on device")
        add(*arguments)  # type: ignore[arg-type]

    publish(broker, TOPIC, event(1))
    await received(local, product.id, 1)
    monkeypatch.setattr(history, "add", fails_twice)
    # Sent again, with the id of an event that was committed: another event all the same.
    publish(broker, TOPIC, event(1, status="cancelled"))
    await received(local, product.id, 2)
    assert failures == [2]
    assert [each.id for each in await local.events(product.id)] == [2, 1]


async def test_a_name_without_end_is_kept_cut(local: LocalBackend, broker: Broker) -> None:
    product = await connected(local, draft(broker), EVERYTHING)
    await subscribed(local, product)
    publish(broker, TOPIC, json.dumps({"event": "x" * 100_000}))
    await received(local, product.id, 1)
    [kept] = await local.events(product.id)
    assert kept.name == "x" * 200


async def test_a_product_that_is_switched_off_stays_off_whatever_waits(
    swamped: tuple[LocalBackend, Mosquitto, Product],
) -> None:
    backend, broker, product = swamped
    publish(broker, TOPIC, event(10), qos=1)
    await until(lambda: backend._processing.pipeline.holding)
    await backend.update_product(product.id, ProductChange(enabled=False))
    await reaches(backend, product.id, ConnectionState.DISABLED)
    [held] = backend._processing.pipeline._held
    held.connection.interrupt(_TOO_MANY, held.stream)
    assert (await backend.status(product.id)).state is ConnectionState.DISABLED


@pytest.fixture
async def swamped(
    tmp_path: Path, start_mosquitto: StartMosquitto, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[LocalBackend, Mosquitto, Product]]:
    """An orchestrator whose outbox is full: its webhook's port is closed, and it is not asked again
    soon."""
    monkeypatch.setattr(outbox_room, "MAX_PENDING", 3)
    monkeypatch.setattr(retries, "FIRST_DELAY", 600.0)
    nowhere = DeliverySettings.model_validate({"webhook": {"url": "http://127.0.0.1:9/"}})
    backend = await LocalBackend.open(tmp_path / "swamped.db", delivery=nowhere)
    broker = start_mosquitto(*ANONYMOUS)
    told = SubscriptionDraft(name="paid", topic=TOPIC, actions=(Action(type="webhook"),))
    product = await connected(backend, draft(broker), told)
    await subscribed(backend, product)
    for number in range(3):
        publish(broker, TOPIC, event(number))
    await received(backend, product.id, 3)

    async def failed_once() -> bool:
        jobs = await backend.jobs(product.id, states=[JobState.PENDING])
        return sum(bool(job.failures) for job in jobs) == 3

    await until(failed_once)
    assert backend._processing.outbox.full
    yield backend, broker, product
    await backend.aclose()


async def test_while_too_many_actions_wait_the_broker_keeps_the_events(
    swamped: tuple[LocalBackend, Mosquitto, Product],
) -> None:
    backend, broker, product = swamped
    publish(broker, TOPIC, event(10), qos=1)
    publish(broker, TOPIC, event(11), qos=0)

    async def dropped() -> bool:
        return (await backend.status(product.id)).messages_dropped == 1

    await until(dropped)
    status = await backend.status(product.id)
    assert status.messages_received == 3
    assert status.paused is not None
    await backend.discard_jobs(product.id, JobChoice())
    await received(backend, product.id, 4)
    assert (await backend.status(product.id)).paused is None


async def test_what_is_held_is_bounded(
    swamped: tuple[LocalBackend, Mosquitto, Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, broker, product = swamped
    monkeypatch.setattr("cortex_tui.local.pipeline.MAX_HELD", 1_000)
    publish(broker, TOPIC, event(10, filler="x" * 2_000), qos=1)

    async def gave_up() -> bool:
        error = (await backend.status(product.id)).connection_error
        return error is not None and "Too many actions wait" in error

    await until(gave_up)


async def test_messages_of_a_connection_that_ended_are_not_acknowledged_on_the_next(
    local: LocalBackend, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await connected(local, draft(broker), EVERYTHING)
    await subscribed(local, product)
    late: list[Arrivals] = []
    acknowledge = Connection.acknowledge
    monkeypatch.setattr(Connection, "acknowledge", lambda _, arrivals: late.append(arrivals))
    publish(broker, TOPIC, event(1))
    await until(lambda: late)
    monkeypatch.setattr(Connection, "acknowledge", acknowledge)
    await local.reconnect(product.id)
    [arrivals] = late

    def connected_anew() -> bool:
        client = arrivals.connection._client
        return client is not None and client.stream not in (None, arrivals.stream)

    await until(connected_anew)
    await subscribed(local, product)
    arrivals.connection.acknowledge(arrivals)
    client = arrivals.connection._client
    assert client is not None
    assert client.stream is not None
    assert not client.stream.unsent
    assert "Received PUBACK" not in getattr(broker, "log", "")
