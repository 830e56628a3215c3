"""The embedded orchestrator against real brokers: connect, listen, lose the broker, come back."""

import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cortex_tui.demo.broker import Amqtt, Broker
from cortex_tui.local import connections as connections_room
from cortex_tui.local.backend import LocalBackend
from cortex_tui.local.connection import Connection
from cortex_tui.local.link import Link
from cortex_tui.models import (
    ConfigDraft,
    ProductChange,
    ProductDraft,
    SubscriptionChange,
    SubscriptionDraft,
    TopicsConfig,
)
from cortex_tui.states import ConnectionState
from tests.brokers import ANONYMOUS, StartMosquitto, acl, publish, tls, users
from tests.certificates import Authority
from tests.orchestrators import TOPIC, configured, connected, draft, reaches, received
from tests.waiting import DEADLINE, until

PENDING = SubscriptionDraft(name="payment_marked_as_pending", application_id="ABC123")
EVERYTHING = SubscriptionDraft(name="everything", application_id="ABC123", event="*")

CONNECTED, RETRYING = ConnectionState.CONNECTED, ConnectionState.RETRYING
LATCHED, DISABLED = ConnectionState.LATCHED, ConnectionState.DISABLED


def logged(broker: Broker, text: str, times: int = 1) -> partial[bool]:
    return partial(lambda: broker.log.count(text) >= times)


async def test_messages_are_counted_by_product_and_subscription(
    local: LocalBackend, broker: Broker
) -> None:
    product = await connected(local, draft(broker), PENDING, EVERYTHING)
    await until(logged(broker, "Sending SUBACK") if broker.sharing else lambda: True)
    publish(broker, TOPIC, '{"event": "payment_marked_as_pending"}')
    publish(broker, TOPIC, '{"eventType": "payment_marked_as_pending"}')
    publish(broker, TOPIC, '{"event": "something_else"}')
    publish(broker, TOPIC, "no name at all")
    await received(local, product.id, 3, 4)
    status = await local.status(product.id)
    assert status.messages_received == 4
    assert status.last_message_at is not None
    assert status.subscribed_topics_count == 1


async def test_a_connection_that_is_yet_to_start_is_not_disabled(
    local: LocalBackend, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked before the network thread ran was told so, and `cortex status` believed it."""
    monkeypatch.setattr(Connection, "start", lambda *_: None)
    product = await configured(local, draft(broker), PENDING)
    assert (await local.status(product.id)).state is ConnectionState.CONNECTING


async def test_a_connection_that_begins_anew_is_never_latched_for_no_reason(
    local: LocalBackend,
    start_mosquitto: StartMosquitto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever asked at that moment was told so, and `cortex reconnect` believed it."""
    broker = start_mosquitto(*users(tmp_path, {"alice": "secret"}))
    product = await configured(local, draft(broker, username="alice", password="wrong"))
    await reaches(local, product.id, LATCHED)
    told: list[Link] = []
    real = Connection._set

    def noting(self: Connection, **changes: Any) -> None:
        real(self, **changes)
        told.append(self.link)

    monkeypatch.setattr(Connection, "_set", noting)
    await local.reconnect(product.id)
    await until(lambda: any(link.error for link in told))
    assert all(link.error for link in told if link.state is LATCHED)


async def test_after_a_reconnect_the_old_connection_is_told_no_longer(
    local: LocalBackend, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_room, "SETTLE_TIMEOUT", DEADLINE)
    product = await connected(local, draft(broker), PENDING)
    local._connections._network.call(partial(time.sleep, 0.2))  # it has much to do
    await local.reconnect(product.id)
    reason = (await local.status(product.id)).last_disconnect_reason
    assert reason is not None
    assert reason.startswith("It was closed from here")


async def test_it_speaks_mqtt_5_where_the_broker_does(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    product = await connected(local, draft(start_mosquitto(*ANONYMOUS)), PENDING)
    status = await local.status(product.id)
    assert status.connected
    assert status.broker_info is not None
    assert (status.broker_info.version, status.broker_info.max_qos) == ("5.0", 2)
    assert status.client_id == f"cortex-{product.id}-{local.instance_id}"


async def test_it_falls_back_to_mqtt_3(local: LocalBackend) -> None:
    with Amqtt() as broker:
        product = await configured(local, draft(broker), PENDING)
        await reaches(local, product.id, CONNECTED)
        status = await local.status(product.id)
        assert status.broker_info is not None
        assert status.broker_info.version == "3.1.1"
        await until(lambda: subscribed(local, product.id, 1))
        publish(broker, TOPIC, '{"event": "payment_marked_as_pending"}')
        await received(local, product.id, 1)


async def subscribed(local: LocalBackend, product_id: int, count: int) -> bool:
    return (await local.status(product_id)).subscribed_topics_count == count


async def test_a_toggle_reaches_the_broker_at_once_over_the_same_connection(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await configured(local, draft(broker), PENDING)
    await until(lambda: subscribed(local, product.id, 1))
    await local.update_subscription(product.id, 1, SubscriptionChange(enabled=False))
    await until(logged(broker, "Received UNSUBSCRIBE"))
    await until(lambda: subscribed(local, product.id, 0))
    await local.update_subscription(product.id, 1, SubscriptionChange(enabled=True))
    await until(logged(broker, "Received SUBSCRIBE", 2))
    assert f"$share/bre/{TOPIC}" in broker.log
    assert broker.log.count("New client connected") == 1


async def test_it_comes_back_and_listens_again_after_the_broker_was_away(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await configured(local, draft(broker), PENDING)
    await until(lambda: subscribed(local, product.id, 1))
    broker.stop()
    await reaches(local, product.id, RETRYING)
    status = await local.status(product.id)
    assert not status.connected
    assert status.connection_error is not None
    assert status.next_attempt_at is not None
    assert status.subscribed_topics_count == 0
    assert status.broker_info is None
    broker.start()
    await until(lambda: subscribed(local, product.id, 1))
    publish(broker, TOPIC, '{"event": "payment_marked_as_pending"}')
    await received(local, product.id, 1)


async def test_a_wrong_password_latches_until_it_is_corrected(
    local: LocalBackend, start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "secret"}))
    config = draft(broker, username="alice", password="wrong")
    product = await configured(local, config, PENDING)
    await reaches(local, product.id, LATCHED)
    status = await local.status(product.id)
    assert status.connection_error == "Not authorized (code 5)"
    assert status.hint is not None
    assert "password" in status.hint
    assert status.next_attempt_at is None
    saved = await local.save_config(product.id, draft(broker, username="alice", password="secret"))
    assert saved.requires_restart
    await local.reconnect(product.id)
    await reaches(local, product.id, CONNECTED)


async def test_what_is_saved_for_a_disabled_product_waits_for_nothing(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await connected(local, draft(broker), PENDING)
    await local.update_product(product.id, ProductChange(enabled=False))
    await reaches(local, product.id, DISABLED)
    saved = await local.save_config(product.id, draft(broker, keep_alive=30))
    assert not saved.requires_restart


async def test_a_saved_change_waits_for_the_reconnect(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await connected(local, draft(broker), PENDING)
    assert not (await local.status(product.id)).requires_restart
    elsewhere = TopicsConfig(prefix="elsewhere", use_shared=False)
    saved = await local.save_config(product.id, draft(broker, topics=elsewhere))
    assert saved.requires_restart
    assert (await local.status(product.id)).requires_restart
    await local.reconnect(product.id)
    await until(logged(broker, "elsewhere/ABC123/business-events"))
    assert not (await local.status(product.id)).requires_restart


async def test_a_toggle_does_not_apply_a_saved_change(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await configured(local, draft(broker), PENDING)
    await until(lambda: subscribed(local, product.id, 1))
    elsewhere = TopicsConfig(prefix="elsewhere")
    await local.save_config(product.id, draft(broker, topics=elsewhere))
    await local.create_subscription(product.id, SubscriptionDraft(name="b", application_id="B"))
    await until(lambda: subscribed(local, product.id, 2))
    assert "elsewhere" not in broker.log


async def test_a_password_that_cannot_be_read_latches_its_product_only(
    start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    local = await LocalBackend.open(tmp_path / "cortex.db")
    product = await configured(local, draft(broker, username="alice", password="secret"))
    other = await configured_as(local, "Other", draft(broker))
    await local.aclose()
    (tmp_path / "cortex.db.key").unlink()
    local = await LocalBackend.open(tmp_path / "cortex.db")
    await reaches(local, product.id, LATCHED)
    await reaches(local, other, CONNECTED)
    status = await local.status(product.id)
    assert status.hint is not None
    assert "save the secret again" in status.hint
    await local.save_config(product.id, draft(broker, username="alice", password="secret"))
    await local.reconnect(product.id)
    await reaches(local, product.id, CONNECTED)
    await local.aclose()


async def test_a_filter_that_is_too_long_is_refused_and_the_others_work(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    long = SubscriptionDraft(name="long", topic="x" * 65_535)
    product = await configured(local, draft(start_mosquitto(*ANONYMOUS)), PENDING, long)
    await until(lambda: subscribed(local, product.id, 1))
    refused = (await local.status(product.id)).refused_filters
    assert [each.reason for each in refused] == ["Longer than MQTT allows"]


async def test_the_last_ping_is_timed_and_the_last_loss_keeps_its_cause(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await configured(local, draft(broker, keep_alive=1), PENDING)

    async def pinged() -> bool:
        return (await local.status(product.id)).ping_ms is not None

    await until(pinged)
    ping = (await local.status(product.id)).ping_ms
    assert ping is not None
    assert 0 <= ping < 1_000
    broker.stop()
    await reaches(local, product.id, RETRYING)
    lost = await local.status(product.id)
    assert lost.ping_ms is None
    assert lost.last_disconnect_reason is not None
    assert lost.last_disconnect_reason.startswith("Connection lost")
    broker.start()
    await reaches(local, product.id, CONNECTED)
    assert (await local.status(product.id)).last_disconnect_reason == lost.last_disconnect_reason
    await local.reconnect(product.id)

    async def hung_up() -> bool:
        reason = (await local.status(product.id)).last_disconnect_reason
        return reason is not None and reason.startswith("It was closed from here")

    await until(hung_up)


async def test_what_waits_for_a_reconnect_is_named(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await configured(local, draft(broker), PENDING)
    await reaches(local, product.id, CONNECTED)
    topics = TopicsConfig(qos=2)
    await local.save_config(product.id, draft(broker, keep_alive=30, topics=topics))
    assert (await local.status(product.id)).waiting_changes == ("keep_alive", "qos")
    await local.reconnect(product.id)
    await reaches(local, product.id, CONNECTED)
    assert (await local.status(product.id)).waiting_changes == ()


async def test_what_is_put_back_waits_for_nothing(
    local: LocalBackend, start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "secret"}))
    config = draft(broker, username="alice", password="secret")
    product = await connected(local, config, PENDING)
    elsewhere = draft(broker, username="alice", password="other", keep_alive=30)
    assert (await local.save_config(product.id, elsewhere)).requires_restart
    assert (await local.status(product.id)).waiting_changes == ("keep_alive", "password")

    await local.save_config(product.id, config)

    status = await local.status(product.id)
    assert (status.requires_restart, status.waiting_changes) == (False, ())


async def test_reconnecting_in_a_hurry_does_not_take_over_ones_own_session(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await configured(local, draft(broker), PENDING)
    for _ in range(20):
        await local.reconnect(product.id)
    await until(lambda: subscribed(local, product.id, 1))
    assert "already connected" not in broker.log
    assert (await local.status(product.id)).connection_error is None


async def test_a_disabled_product_disconnects_and_an_enabled_one_connects(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await connected(local, draft(broker), PENDING)
    await local.update_product(product.id, ProductChange(enabled=False))
    await reaches(local, product.id, DISABLED)
    await until(logged(broker, "Received DISCONNECT"))
    await local.update_product(product.id, ProductChange(enabled=True))
    await reaches(local, product.id, CONNECTED)


async def test_a_deleted_product_disconnects(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await connected(local, draft(broker), PENDING)
    await local.delete_product(product.id)
    await until(logged(broker, "Received DISCONNECT"))


async def test_tls_is_verified(
    local: LocalBackend,
    start_mosquitto: StartMosquitto,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = start_mosquitto(*ANONYMOUS, *tls(authority.server("broker")))
    product = await configured(local, draft(broker, use_tls=True), PENDING)
    await reaches(local, product.id, LATCHED)
    status = await local.status(product.id)
    assert status.connection_error is not None
    assert "authority" in status.connection_error
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
    await local.reconnect(product.id)
    await reaches(local, product.id, CONNECTED)


async def test_tls_without_verification(
    local: LocalBackend, start_mosquitto: StartMosquitto, authority: Authority
) -> None:
    broker = start_mosquitto(*ANONYMOUS, *tls(authority.server("elsewhere", names=("far.away",))))
    product = await configured(local, draft(broker, use_tls=True, verify_cert=False), PENDING)
    await until(lambda: subscribed(local, product.id, 1))
    publish(broker, TOPIC, '{"event": "payment_marked_as_pending"}', tls_unverified=True)
    await received(local, product.id, 1)


async def test_users_an_acl_and_tls_together(
    local: LocalBackend, start_mosquitto: StartMosquitto, authority: Authority, tmp_path: Path
) -> None:
    broker = start_mosquitto(
        *users(tmp_path, {"alice": "secret"}),
        *acl(tmp_path, "user alice", "topic readwrite /v3/applications/ABC123/#"),
        *tls(authority.server("broker")),
    )
    config = draft(
        broker, use_tls=True, verify_cert=False, username="alice", password="secret",
        topics=TopicsConfig(use_shared=False),
    )  # fmt: skip
    product = await configured(local, config, PENDING)
    await until(lambda: subscribed(local, product.id, 1))
    publish(
        broker, TOPIC, '{"event": "payment_marked_as_pending"}',
        user=("alice", "secret"), tls_unverified=True,
    )  # fmt: skip
    await received(local, product.id, 1)


async def test_two_clients_with_one_id_are_told_apart_from_a_bad_network(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    config = draft(start_mosquitto(*ANONYMOUS), client_id="twin")
    product = await configured(local, config, PENDING)
    await configured_as(local, "Other", config)

    async def suspected() -> bool:
        status = await local.status(product.id)
        return status.hint is not None and "client id 'twin'" in status.hint

    await until(suspected)


async def configured_as(local: LocalBackend, name: str, config: ConfigDraft) -> int:
    product = await local.create_product(ProductDraft(name=name))
    await local.save_config(product.id, config)
    return product.id


async def test_what_was_sent_while_it_was_away_is_not_lost_with_a_kept_session(
    tmp_path: Path, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    local = await LocalBackend.open(tmp_path / "kept.db")
    topics = TopicsConfig(use_shared=False)
    product = await configured(local, draft(broker, clean_session=False, topics=topics), PENDING)
    await until(lambda: subscribed(local, product.id, 1))
    await local.aclose()
    for _ in range(3):
        publish(broker, TOPIC, '{"event": "payment_marked_as_pending"}')
    again = await LocalBackend.open(tmp_path / "kept.db")
    await received(again, product.id, 3)
    await again.aclose()


async def test_many_connections_share_one_thread(
    local: LocalBackend, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS, "max_connections -1")
    config = draft(broker)
    ids = [await configured_as(local, f"product {number}", config) for number in range(40)]
    for product_id in ids:
        await reaches(local, product_id, CONNECTED)
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("cortex-network") == 1
