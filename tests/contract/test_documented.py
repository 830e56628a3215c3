"""What the API reference documents, the same for every way to reach an orchestrator."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from cortex_tui.backend import Backend, NotFound
from cortex_tui.demo.broker import Broker
from cortex_tui.models import Action, ConnectionTest, ProductState, SubscriptionChange, TopicsConfig
from cortex_tui.states import ConnectionState
from cortex_tui.values import MASK
from tests.brokers import StartMosquitto, publish, users
from tests.contract.conftest import Orchestrator
from tests.orchestrators import TOPIC, draft
from tests.waiting import until


async def connected(backend: Backend, product_id: int) -> None:
    async def is_connected() -> bool:
        return (await backend.status(product_id)).connected

    await until(is_connected)


async def test_what_is_not_configured_says_so(orchestrator: Orchestrator) -> None:
    product = await orchestrator.product()

    document = await orchestrator.backend.config(product.id)

    assert document.product_id == product.id
    assert document.message == "MQTT not configured for this product"
    assert document.mqtt_config is None
    assert document.subscriptions is None
    assert document.status is None
    assert await orchestrator.backend.subscriptions(product.id) == []
    assert not (await orchestrator.backend.status(product.id)).connected


OPERATIONS: dict[str, Callable[[Backend, Broker], Awaitable[object]]] = {
    "config": lambda backend, _: backend.config(77),
    "save_config": lambda backend, broker: backend.save_config(77, draft(broker)),
    "test_connection": lambda backend, broker: backend.test_connection(
        77, ConnectionTest(host=broker.host, port=broker.port)
    ),
    "subscriptions": lambda backend, _: backend.subscriptions(77),
    "update_subscription": lambda backend, _: backend.update_subscription(
        77, 1, SubscriptionChange(enabled=False)
    ),
    "reconnect": lambda backend, _: backend.reconnect(77),
    "status": lambda backend, _: backend.status(77),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_product_that_does_not_exist(
    orchestrator: Orchestrator, broker: Broker, operation: str
) -> None:
    with pytest.raises(NotFound, match=r"^Product not found$"):
        await OPERATIONS[operation](orchestrator.backend, broker)


async def test_a_subscription_that_does_not_exist(orchestrator: Orchestrator) -> None:
    product = await orchestrator.product()

    with pytest.raises(NotFound, match=r"^Subscription not found$"):
        await orchestrator.backend.update_subscription(
            product.id, 77, SubscriptionChange(enabled=False)
        )


async def test_a_saved_configuration_is_read_back_without_its_password(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await orchestrator.product()
    asked = draft(
        broker,
        username="bre",
        password=SecretStr("s3cret-password"),
        client_id="chosen",
        keep_alive=30,
        clean_session=False,
        topics=TopicsConfig(prefix="/v4", pattern="{application_id}/events", use_shared=False),
    )

    saved = await orchestrator.backend.save_config(product.id, asked)
    document = await orchestrator.backend.config(product.id)

    assert saved.status == "success"
    assert saved.mqtt_config == document.mqtt_config
    stored = saved.mqtt_config
    assert stored.product_id == product.id
    assert stored.topics == asked.topics
    assert stored.broker.password is not None
    assert stored.broker.password.get_secret_value() == MASK
    without = {"password"}
    assert stored.broker.model_dump(exclude=without) == asked.broker.model_dump(exclude=without)
    assert "s3cret" not in document.model_dump_json()


async def test_a_password_is_kept_until_another_comes_or_the_user_goes(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    backend = orchestrator.backend
    guarded = start_mosquitto(*users(tmp_path, {"bre": "s3cret"}))
    product = await orchestrator.product()
    await backend.save_config(
        product.id, draft(guarded, username="bre", password=SecretStr("s3cret"))
    )
    await connected(backend, product.id)

    kept = await backend.save_config(product.id, draft(guarded, username="bre", keep_alive=20))
    await backend.reconnect(product.id)
    await until(lambda: "k20" in guarded.log)  # the CONNECT with the new keep alive was accepted
    await connected(backend, product.id)

    removed = await backend.save_config(product.id, draft(guarded))

    assert kept.mqtt_config.broker.password is not None
    assert removed.mqtt_config.broker.username is None
    assert removed.mqtt_config.broker.password is None


async def test_a_running_connection_keeps_its_configuration_until_it_reconnects(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    backend = orchestrator.backend
    product = await orchestrator.product()

    first = await backend.save_config(product.id, draft(broker))
    await connected(backend, product.id)
    second = await backend.save_config(product.id, draft(broker, keep_alive=20))

    assert not first.requires_restart
    assert second.requires_restart


async def test_status_of_a_connection(orchestrator: Orchestrator, broker: Broker) -> None:
    product = await orchestrator.configured(broker)
    await connected(orchestrator.backend, product.id)

    status = await orchestrator.backend.status(product.id)

    assert status.product_id == product.id
    assert status.state is ConnectionState.CONNECTED
    assert status.last_connected_at is not None
    assert status.connection_error is None
    assert status.client_id
    assert status.broker_info is not None
    assert status.broker_info.version in ("5.0", "3.1.1")
    await until(lambda: _topics(orchestrator.backend, product.id, 1))


async def _topics(backend: Backend, product_id: int, count: int) -> bool:
    return (await backend.status(product_id)).subscribed_topics_count == count


async def test_messages_are_counted(orchestrator: Orchestrator, broker: Broker) -> None:
    backend = orchestrator.backend
    product = await orchestrator.configured(broker)
    await until(lambda: _topics(backend, product.id, 1))

    publish(broker, TOPIC, '{"event": "paid"}')
    publish(broker, TOPIC, '{"event": "paid"}')

    async def both() -> bool:
        return (await backend.subscriptions(product.id))[0].stats.messages_received == 2

    await until(both)
    assert (await backend.subscriptions(product.id))[0].stats.last_message_at is not None
    assert (await backend.status(product.id)).messages_received == 2
    document = await backend.config(product.id)
    assert document.status is not None
    assert document.status.messages_received == 2


async def test_toggling_leaves_all_else_and_unsubscribes(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    backend = orchestrator.backend
    product = await orchestrator.configured(broker)
    await until(lambda: _topics(backend, product.id, 1))
    (before,) = await backend.subscriptions(product.id)

    toggled = await backend.update_subscription(
        product.id, before.id, SubscriptionChange(enabled=False)
    )

    expected = before.model_copy(update={"enabled": False, "updated_at": toggled.updated_at})
    assert toggled == expected
    assert await backend.subscriptions(product.id) == [expected]
    await until(lambda: _topics(backend, product.id, 0))


async def test_a_full_update_replaces_what_it_names(orchestrator: Orchestrator) -> None:
    backend = orchestrator.backend
    product = await orchestrator.product()
    before = await orchestrator.subscription(product)
    action = Action.model_validate({"type": "activate_policy", "params": {"id": "{{event.id}}"}})

    updated = await backend.update_subscription(
        product.id,
        before.id,
        SubscriptionChange(enabled=False, description="New", actions=(action,)),
    )

    assert (updated.enabled, updated.description, updated.actions) == (False, "New", (action,))
    assert (updated.name, updated.topic, updated.stats) == (
        before.name,
        before.topic,
        before.stats,
    )


async def test_subscriptions_come_by_id(orchestrator: Orchestrator) -> None:
    product = await orchestrator.product()
    made = [await orchestrator.subscription(product, name) for name in ("b", "c", "a")]

    found = await orchestrator.backend.subscriptions(product.id)

    assert [each.id for each in found] == sorted(each.id for each in made)
    assert [each.name for each in found] == ["b", "c", "a"]


async def test_a_connection_test_that_succeeds_disturbs_nothing(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    backend = orchestrator.backend
    product = await orchestrator.configured(broker)
    await connected(backend, product.id)
    before = await backend.status(product.id)

    result = await backend.test_connection(
        product.id, ConnectionTest(host=broker.host, port=broker.port)
    )

    assert result.status == "success"
    assert result.connected
    assert result.latency_ms is not None
    assert result.error is None
    after = await backend.status(product.id)
    assert after.connected
    assert after.last_connected_at == before.last_connected_at


async def test_a_connection_test_with_wrong_credentials(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    guarded = start_mosquitto(*users(tmp_path, {"bre": "s3cret"}))
    product = await orchestrator.product()
    test = ConnectionTest(
        host=guarded.host, port=guarded.port, username="bre", password=SecretStr("wr0ng")
    )

    result = await orchestrator.backend.test_connection(product.id, test)

    assert result.status == "error"
    assert not result.connected
    assert result.latency_ms is None
    assert result.error in ("Connection failed with code 4", "Connection failed with code 5")
    assert "wr0ng" not in result.model_dump_json()


async def test_a_connection_test_uses_the_stored_password_for_the_stored_address(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    backend = orchestrator.backend
    guarded = start_mosquitto(*users(tmp_path, {"bre": "s3cret"}))
    product = await orchestrator.product()
    await backend.save_config(
        product.id, draft(guarded, username="bre", password=SecretStr("s3cret"))
    )

    stored = ConnectionTest(host=guarded.host, port=guarded.port, username="bre")
    other = ConnectionTest(host="localhost", port=guarded.port, username="bre")

    assert (await backend.test_connection(product.id, stored)).connected
    assert not (await backend.test_connection(product.id, other)).connected


async def test_reconnect_connects_anew(orchestrator: Orchestrator, broker: Broker) -> None:
    backend = orchestrator.backend
    product = await orchestrator.configured(broker)
    await connected(backend, product.id)
    before = (await backend.status(product.id)).last_connected_at

    await backend.reconnect(product.id)

    async def anew() -> bool:
        status = await backend.status(product.id)
        return status.connected and status.last_connected_at != before

    await until(anew)


async def test_watch_follows_a_connection(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto
) -> None:
    backend = orchestrator.backend
    broker = start_mosquitto("allow_anonymous true")
    product = await orchestrator.configured(broker)
    seen: dict[int, ProductState | None] = {}

    async def follow() -> None:
        async for beat in backend.watch():
            seen.update(beat)

    def in_state(state: ConnectionState) -> bool:
        last = seen.get(product.id)
        return last is not None and last.state is state

    following = asyncio.create_task(follow())
    await until(lambda: in_state(ConnectionState.CONNECTED))
    last = seen[product.id]
    assert last is not None
    assert last.broker == f"{broker.host}:{broker.port}"
    assert (last.subscriptions_enabled, last.subscriptions_total) == (1, 1)
    assert last.unknown_since is None

    broker.stop()
    await until(lambda: not in_state(ConnectionState.CONNECTED))

    following.cancel()
    await asyncio.wait({following})


async def test_closing_twice_is_no_mistake(orchestrator: Orchestrator) -> None:
    product = await orchestrator.product()
    await orchestrator.backend.status(product.id)

    await orchestrator.backend.aclose()
    await orchestrator.backend.aclose()
