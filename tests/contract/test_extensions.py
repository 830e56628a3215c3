"""What goes beyond the reference, the same for both backends."""

import asyncio
from datetime import UTC, datetime

import pytest

from cortex_tui.backend import Capability, Conflict, Invalid, NotFound, Stale
from cortex_tui.demo.broker import Broker
from cortex_tui.diagnosis import Diagnosis, Outcome, Stage, StageResult
from cortex_tui.local.backend import LocalBackend
from cortex_tui.local.store import CONFIG_HISTORY_LIMIT
from cortex_tui.models import (
    ConnectionTest,
    ProductChange,
    ProductDraft,
    ProductState,
    SubscriptionChange,
    SubscriptionDraft,
)
from cortex_tui.person import who
from tests.contract.conftest import Orchestrator
from tests.counterparts import StartCounterpart, silent
from tests.orchestrators import TOPIC, draft
from tests.waiting import until


async def test_it_can_do_everything(extended: Orchestrator) -> None:
    await extended.backend.products()

    assert extended.backend.capabilities == frozenset(Capability)


async def test_products_are_made_changed_and_deleted(extended: Orchestrator) -> None:
    backend = extended.backend

    made = await backend.create_product(ProductDraft(name="Tyres", description="Round"))
    assert (made.name, made.description, made.enabled) == ("Tyres", "Round", True)
    assert await backend.products() == [made]

    changed = await backend.update_product(made.id, ProductChange(enabled=False))
    assert (changed.name, changed.description, changed.enabled) == ("Tyres", "Round", False)
    assert await backend.products() == [changed]

    await backend.delete_product(made.id)
    assert await backend.products() == []
    with pytest.raises(NotFound, match="Product not found"):
        await backend.delete_product(made.id)
    with pytest.raises(NotFound, match="Product not found"):
        await backend.update_product(made.id, ProductChange(name="Other"))


async def test_a_name_belongs_to_one_product(extended: Orchestrator) -> None:
    await extended.backend.create_product(ProductDraft(name="Tyres"))
    other = await extended.backend.create_product(ProductDraft(name="Wheels"))

    with pytest.raises(Conflict) as refused:
        await extended.backend.create_product(ProductDraft(name="Tyres"))
    with pytest.raises(Conflict):
        await extended.backend.update_product(other.id, ProductChange(name="Tyres"))

    assert refused.value.message
    assert refused.value.hint


async def test_subscriptions_are_made_changed_and_deleted(
    extended: Orchestrator, broker: Broker
) -> None:
    backend = extended.backend
    product = await backend.create_product(ProductDraft(name="Tyres"))
    await backend.save_config(product.id, draft(broker))

    made = await backend.create_subscription(
        product.id, SubscriptionDraft(name="paid", application_id="ABC123", event="*")
    )
    assert (made.topic, made.derived, made.application_id, made.event) == (
        TOPIC,
        True,
        "ABC123",
        "*",
    )

    changed = await backend.update_subscription(
        product.id, made.id, SubscriptionChange(name="settled", topic="a/b", application_id=None)
    )
    assert (changed.name, changed.topic, changed.derived) == ("settled", "a/b", False)
    assert await backend.subscriptions(product.id) == [changed]

    await backend.delete_subscription(product.id, made.id)
    assert await backend.subscriptions(product.id) == []
    with pytest.raises(NotFound, match="Subscription not found"):
        await backend.delete_subscription(product.id, made.id)


async def test_a_name_belongs_to_one_subscription_of_a_product(extended: Orchestrator) -> None:
    backend = extended.backend
    product = await backend.create_product(ProductDraft(name="Tyres"))
    await backend.create_subscription(product.id, SubscriptionDraft(name="paid"))

    with pytest.raises(Conflict):
        await backend.create_subscription(product.id, SubscriptionDraft(name="paid"))
    with pytest.raises(NotFound, match="Product not found"):
        await backend.create_subscription(77, SubscriptionDraft(name="paid"))


async def test_two_ways_to_a_topic_are_one_too_many(extended: Orchestrator) -> None:
    backend = extended.backend
    product = await backend.create_product(ProductDraft(name="Tyres"))
    made = await backend.create_subscription(
        product.id, SubscriptionDraft(name="paid", application_id="ABC123")
    )

    with pytest.raises(Invalid) as rejected:
        await backend.update_subscription(
            product.id, made.id, SubscriptionChange(topic="a/b", application_id="ABC123")
        )

    assert rejected.value.problems[0].loc[-1] in ("topic", "application_id")
    assert rejected.value.problems[0].message


async def test_who_comes_second_is_told(extended: Orchestrator, broker: Broker) -> None:
    backend = extended.backend
    product = await backend.create_product(ProductDraft(name="Tyres"))
    first = await backend.save_config(product.id, draft(broker), if_version=0)
    read = first.mqtt_config.version
    assert read is not None
    with pytest.raises(Stale):
        await backend.save_config(product.id, draft(broker, keep_alive=10), if_version=0)

    second = await backend.save_config(product.id, draft(broker, keep_alive=20), if_version=read)
    with pytest.raises(Stale) as stale:
        await backend.save_config(product.id, draft(broker, keep_alive=30), if_version=read)

    assert stale.value.hint
    stored = (await backend.config(product.id)).mqtt_config
    assert stored == second.mqtt_config


async def test_watch_tells_of_products_that_come_and_go(extended: Orchestrator) -> None:
    backend = extended.backend
    there = await backend.create_product(ProductDraft(name="Tyres"))
    seen: list[dict[int, ProductState | None]] = []

    async def follow() -> None:
        async for beat in backend.watch():
            seen.append(dict(beat))

    def told(product_id: int) -> list[ProductState | None]:
        return [beat[product_id] for beat in seen if product_id in beat]

    following = asyncio.create_task(follow())
    await until(lambda: told(there.id))
    assert set(seen[0]) == {there.id}

    made = await backend.create_product(ProductDraft(name="Wheels"))
    await until(lambda: told(made.id))
    await backend.delete_product(there.id)
    await until(lambda: told(there.id)[-1] is None)

    following.cancel()
    await asyncio.wait({following})


async def test_the_history_of_a_configuration_says_who_when_and_what(
    extended: Orchestrator, broker: Broker
) -> None:
    backend = extended.backend
    product = await backend.create_product(ProductDraft(name="Tyres"))
    assert await backend.config_history(product.id) == []
    before = datetime.now(UTC)
    await backend.save_config(product.id, draft(broker, username="alice", password="first"))
    await backend.save_config(product.id, draft(broker, username="alice", keep_alive=30))
    changed = draft(broker, username="alice", password="second", keep_alive=30)
    await backend.save_config(product.id, changed, by="anna@laptop")

    third, second, first = await backend.config_history(product.id)

    assert [each.version for each in (third, second, first)] == [3, 2, 1]
    assert (first.changed, second.changed, third.changed) == ((), ("keep_alive",), ("password",))
    assert (first.broker.keep_alive, second.broker.keep_alive) == (60, 30)
    assert before <= first.saved_at <= second.saved_at <= third.saved_at <= datetime.now(UTC)
    assert first.saved_by is not None
    assert first.saved_by.startswith(who())
    assert third.saved_by is not None
    assert third.saved_by.startswith("anna@laptop")
    assert (third.saved_by == "anna@laptop") == isinstance(backend, LocalBackend), "and its address"
    assert third.broker.password is None
    with pytest.raises(NotFound):
        await backend.config_history(77)


async def test_a_history_is_bounded(extended: Orchestrator, broker: Broker) -> None:
    product = await extended.backend.create_product(ProductDraft(name="Tyres"))
    for keep_alive in range(CONFIG_HISTORY_LIMIT + 2):
        await extended.inside.save_config(product.id, draft(broker, keep_alive=keep_alive))
    versions = await extended.backend.config_history(product.id)
    assert len(versions) == CONFIG_HISTORY_LIMIT
    assert versions[-1].changed == ()


async def test_a_test_tells_its_stages_and_keeps_to_its_time_limit(
    extended: Orchestrator, counterpart: StartCounterpart
) -> None:
    """One by one where the backend can, and whole in the answer of every one."""
    product = await extended.product()
    told: list[StageResult] = []
    silent_port = counterpart(silent)

    result = await extended.backend.test_connection(
        product.id,
        ConnectionTest(host="127.0.0.1", port=silent_port, time_limit=1),
        on_stage=told.append,
    )

    assert isinstance(result, Diagnosis)
    assert [each.stage for each in result.stages] == list(Stage)
    failed = next(each for each in result.stages if each.outcome is Outcome.FAILED)
    assert failed.stage is Stage.CONNECT
    assert result.details == f"{failed.cause}. {failed.advice}"
    assert told in ([], [each for each in result.stages if each.ms is not None or each.seen])
    assert bool(told) is isinstance(extended.backend, LocalBackend)
