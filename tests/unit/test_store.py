"""What the embedded orchestrator keeps: products, configurations, subscriptions, counters."""

import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from cortex_tui.backend import BackendError, Conflict, Invalid, NotFound, Stale
from cortex_tui.local import store as room
from cortex_tui.local.counters import ProductCount, SubscriptionCount, count
from cortex_tui.local.store import Store
from cortex_tui.local.vault import Vault, VaultError
from cortex_tui.models import (
    BrokerConfig,
    ConfigDraft,
    ProductChange,
    ProductDraft,
    SubscriptionChange,
    SubscriptionDraft,
    TopicsConfig,
)

NOW = datetime(2026, 1, 23, 14, 3, 25, 590525, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def open_store(folder: Path) -> Store:
    return Store(folder / "cortex.db", Vault.open(folder / "cortex.db.key"))


def add(
    store: Store, products: dict[int, ProductCount], subscriptions: dict[int, SubscriptionCount]
) -> None:
    with store.writing() as db:
        count(db, products, subscriptions)


def taken(events: int) -> SubscriptionCount:
    return SubscriptionCount(events, NOW.timestamp(), matched=events)


def config(**broker: object) -> ConfigDraft:
    return ConfigDraft.model_validate({"broker": {"host": "localhost", **broker}, "topics": {}})


def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    product = store.create_product(ProductDraft(name="Tyres", description="All of them"))
    store.save_config(product.id, config(username="u", password="secret"))
    store.create_subscription(product.id, SubscriptionDraft(name="paid"))
    add(store, {product.id: ProductCount(3, NOW.timestamp())}, {1: taken(2)})
    before = store.overviews(), store.subscriptions(product.id), store.instance_id
    store.close()
    again = open_store(tmp_path)
    assert (again.overviews(), again.subscriptions(product.id), again.instance_id) == before
    assert again.password(product.id) == SecretStr("secret")


def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    open_store(tmp_path)
    for name in ("cortex.db", "cortex.db.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_the_password_is_nowhere_in_the_files(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    product = store.create_product(ProductDraft(name="Tyres"))
    store.save_config(product.id, config(username="u", password="hunter2-hunter2"))
    store.close()
    for file in tmp_path.iterdir():
        assert b"hunter2-hunter2" not in file.read_bytes(), file.name


@pytest.mark.parametrize("kept", [None, "", "***"])
def test_a_password_that_is_not_given_is_kept(store: Store, kept: str | None) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    store.save_config(product.id, config(username="u", password="secret"))
    saved = store.save_config(product.id, config(username="other", password=kept))
    assert store.password(product.id) == SecretStr("secret")
    assert saved.broker.password == SecretStr("***")


def test_without_a_user_name_there_is_no_password(store: Store) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    store.save_config(product.id, config(username="u", password="secret"))
    saved = store.save_config(product.id, config(username=None))
    assert saved.broker.password is None
    assert store.password(product.id) is None


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nhunter2hunter2\n-----END PRIVATE KEY-----\n"
IDENTITY = {"client_cert": CERTIFICATE, "client_key": KEY}


def test_a_private_key_is_nowhere_in_the_files(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    product = store.create_product(ProductDraft(name="Tyres"))
    saved = store.save_config(product.id, config(**IDENTITY))
    assert store.client_key(product.id) == SecretStr(KEY)
    assert (saved.broker.client_cert, saved.broker.client_key) == (CERTIFICATE, SecretStr("***"))
    store.close()
    for file in tmp_path.iterdir():
        assert b"hunter2hunter2" not in file.read_bytes(), file.name


@pytest.mark.parametrize("kept", [None, "", "***"])
def test_a_key_that_is_not_given_is_kept(store: Store, kept: str | None) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    store.save_config(product.id, config(**IDENTITY))
    saved = store.save_config(product.id, config(**{**IDENTITY, "client_key": kept}))
    assert store.client_key(product.id) == SecretStr(KEY)
    assert saved.broker.client_key == SecretStr("***")


def test_with_its_certificate_goes_the_key(store: Store) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    store.save_config(product.id, config(**IDENTITY))
    saved = store.save_config(product.id, config(client_cert=None))
    assert (saved.broker.client_cert, saved.broker.client_key) == (None, None)
    assert store.client_key(product.id) is None


def test_certificates_that_a_draft_does_not_name_are_kept(store: Store) -> None:
    """Whoever knows only the reference changes a port, and loses nothing."""
    product = store.create_product(ProductDraft(name="Tyres"))
    store.save_config(product.id, config(ca_cert=CERTIFICATE, **IDENTITY))
    saved = store.save_config(product.id, config(port=8883))
    assert (saved.broker.ca_cert, saved.broker.client_cert) == (CERTIFICATE, CERTIFICATE)
    assert store.client_key(product.id) == SecretStr(KEY)
    removed = store.save_config(product.id, config(ca_cert=None))
    assert (removed.broker.ca_cert, removed.broker.client_cert) == (None, CERTIFICATE)


def test_a_password_cannot_be_read_with_another_key(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    product = store.create_product(ProductDraft(name="Tyres"))
    store.save_config(product.id, config(username="u", password="secret"))
    store.close()
    (tmp_path / "cortex.db.key").unlink()
    with pytest.raises(VaultError, match=r"cortex\.db\.key") as error:
        open_store(tmp_path).password(product.id)
    assert "save the secret again" in error.value.hint


@pytest.mark.parametrize("key", ["not-a-key", "\udcff"])
def test_a_malformed_key_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(VaultError, match="CORTEX_KEY holds no usable key"):
        Vault.open(tmp_path / "key", SecretStr(key))


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for nowhere in (tmp_path, tmp_path / "none" / "key"):
        with pytest.raises(VaultError, match="cannot be used for the key of stored secrets: "):
            Vault.open(nowhere)


def test_versions_count_and_a_stale_one_is_refused(store: Store) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    first = store.save_config(product.id, config(), if_version=0)
    second = store.save_config(product.id, config(port=1884), if_version=first.version)
    assert (first.version, second.version) == (1, 2)
    assert first.id == second.id
    assert first.created_at == second.created_at < second.updated_at
    with pytest.raises(Stale):
        store.save_config(product.id, config(port=1885), if_version=1)
    current = store.config(product.id)
    assert current is not None
    assert current.broker.port == 1884


def test_the_history_of_a_configuration_is_bounded(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CONFIG_HISTORY_LIMIT", 3)
    product = store.create_product(ProductDraft(name="Tyres"))
    for port in range(1, 6):
        store.save_config(product.id, config(port=port))
    with sqlite3.connect(tmp_path / "cortex.db") as reader:
        kept = [row[0] for row in reader.execute("SELECT version FROM config_history")]
    assert kept == [3, 4, 5]


def test_names_are_unique(store: Store) -> None:
    tyres = store.create_product(ProductDraft(name="Tyres"))
    other = store.create_product(ProductDraft(name="Other"))
    with pytest.raises(Conflict):
        store.create_product(ProductDraft(name="tyres"))
    with pytest.raises(Conflict):
        store.update_product(other.id, ProductChange(name="Tyres"))
    store.create_subscription(tyres.id, SubscriptionDraft(name="paid"))
    store.create_subscription(other.id, SubscriptionDraft(name="paid"))
    with pytest.raises(Conflict):
        store.create_subscription(tyres.id, SubscriptionDraft(name="paid"))


def test_a_partial_update_leaves_all_else(store: Store) -> None:
    product = store.create_product(ProductDraft(name="Tyres", description="All of them"))
    assert store.update_product(product.id, ProductChange(enabled=False)).description
    draft = SubscriptionDraft.model_validate(
        {"name": "paid", "application_id": "A", "actions": [{"type": "record", "note": 1}]}
    )
    before = store.create_subscription(product.id, draft)
    after = store.update_subscription(product.id, before.id, SubscriptionChange(enabled=False))
    changed = {"enabled": False, "updated_at": after.updated_at}
    assert after == before.model_copy(update=changed)


def test_a_derived_topic_follows_the_pattern(store: Store) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    store.create_subscription(product.id, SubscriptionDraft(name="derived", application_id="A"))
    store.create_subscription(product.id, SubscriptionDraft(name="given", topic="x/y"))
    topics = TopicsConfig(prefix="base", pattern="{application_id}/events")
    draft = ConfigDraft(broker=BrokerConfig(host="localhost"), topics=topics)
    store.save_config(product.id, draft)
    assert [each.topic for each in store.subscriptions(product.id)] == ["base/A/events", "x/y"]


def test_a_change_cannot_leave_two_ways_to_a_topic(store: Store) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    made = store.create_subscription(product.id, SubscriptionDraft(name="a", application_id="A"))
    with pytest.raises(Invalid) as refusal:
        store.update_subscription(product.id, made.id, SubscriptionChange(topic="x/y"))
    assert refusal.value.problems[0].loc == ("topic",)
    both = SubscriptionChange(topic="x/y", application_id=None)
    assert store.update_subscription(product.id, made.id, both).topic == "x/y"


def test_what_is_not_there(store: Store) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    for ask in (
        lambda: store.product(9),
        lambda: store.overview(9),
        lambda: store.subscriptions(9),
        lambda: store.update_product(9, ProductChange(enabled=False)),
        lambda: store.delete_product(9),
        lambda: store.save_config(9, config()),
        lambda: store.create_subscription(9, SubscriptionDraft(name="a")),
        lambda: store.delete_subscription(9, 1),
    ):
        with pytest.raises(NotFound, match=r"^Product not found$"):
            ask()
    for ask_for_subscription in (
        lambda: store.subscription(product.id, 9),
        lambda: store.update_subscription(product.id, 9, SubscriptionChange(enabled=False)),
        lambda: store.delete_subscription(product.id, 9),
    ):
        with pytest.raises(NotFound, match=r"^Subscription not found$"):
            ask_for_subscription()


def test_a_product_goes_with_all_that_is_its(store: Store, tmp_path: Path) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    store.save_config(product.id, config())
    store.create_subscription(product.id, SubscriptionDraft(name="paid"))
    store.delete_product(product.id)
    with sqlite3.connect(tmp_path / "cortex.db") as reader:
        for table in ("products", "configs", "config_history", "subscriptions"):
            assert reader.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,), table


def test_counts_add_up(store: Store) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    made = store.create_subscription(product.id, SubscriptionDraft(name="paid"))
    at = NOW.timestamp()
    failed = SubscriptionCount(1, at, evaluation_failed=1, error="why", error_event_id=7)
    add(store, {product.id: ProductCount(3, at, unreadable=1)}, {made.id: taken(2)})
    add(store, {product.id: ProductCount(1, at, dropped=2)}, {made.id: failed})
    add(store, {}, {made.id: SubscriptionCount(1, at, condition_false=1)})
    overview = store.overview(product.id)
    assert (overview.messages_received, overview.last_message_at) == (4, NOW)
    assert (overview.messages_unreadable, overview.messages_dropped) == (1, 2)
    stats = store.subscription(product.id, made.id).stats
    assert (stats.messages_received, stats.last_message_at) == (4, NOW)
    assert (stats.matched, stats.condition_false, stats.evaluation_failed) == (2, 1, 1)
    assert (stats.last_error, stats.last_error_at, stats.last_error_event_id) == ("why", NOW, 7)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cortex.db").write_text("this is no database, it is a text of some length" * 30)
    with pytest.raises(BackendError, match="cannot be used as a database"):
        open_store(tmp_path)


def test_an_overview_is_at_hand_until_something_is_written(store: Store) -> None:
    product = store.create_product(ProductDraft(name="Tyres"))
    assert store.overview_at_hand(product.id) is None
    read = store.overview(product.id)
    assert store.overview_at_hand(product.id) is read
    with store.writing() as db:
        # Whoever reads now may see what was before: it is not kept.
        store.overview(product.id)
        count(db, {product.id: ProductCount(3, NOW.timestamp())}, {})
        assert store.overview_at_hand(product.id) is None
    assert store.overview_at_hand(product.id) is None
    assert store.overview(product.id).messages_received == 3
    with pytest.raises(Conflict):
        store.create_product(ProductDraft(name="Tyres"))
    store.overview(product.id)
    assert store.overview_at_hand(product.id) is not None
    store.delete_product(product.id)
    with pytest.raises(NotFound):
        store.overview(product.id)
    assert store.overview_at_hand(product.id) is None


def test_a_full_disk_is_called_one(store: Store) -> None:
    [pages] = store._writer.conn.execute("PRAGMA page_count").fetchone()
    store._writer.conn.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(sqlite3.OperationalError, match="full"), store.writing() as db:
        db.conn.execute("INSERT INTO settings VALUES ('big', ?)", ("x" * 100_000,))
    assert store.create_product(ProductDraft(name="Tyres")).name == "Tyres"


def test_a_commit_that_fails_leaves_no_transaction_open(store: Store) -> None:
    def refuse(_: int, operation: str | None, *__: object) -> int:
        return sqlite3.SQLITE_DENY if operation == "COMMIT" else sqlite3.SQLITE_OK

    store._writer.conn.set_authorizer(refuse)
    with pytest.raises(sqlite3.DatabaseError):
        store.create_product(ProductDraft(name="Tyres"))
    store._writer.conn.set_authorizer(None)
    assert store.create_product(ProductDraft(name="Tyres")).name == "Tyres"


def test_subscriptions_that_did_not_change_are_not_read_into_models_again(store: Store) -> None:
    product = store.create_product(ProductDraft(name="p"))
    first, second = (
        store.create_subscription(product.id, SubscriptionDraft(name=name)) for name in "ab"
    )
    before = store.subscriptions(product.id)
    assert before == [first, second]
    with store.writing() as db:
        count(db, {}, {second.id: SubscriptionCount(received=3, last_at=1_769_000_000.0)})
    after = store.subscriptions(product.id)
    assert after[0] is before[0]
    assert after[1].stats.messages_received == 3
    elsewhere = store.subscriptions(product.id, TopicsConfig(prefix="other"))
    assert [each.topic for each in elsewhere] == ["other/+/business-events"] * 2
    assert store.subscriptions(product.id) == after
    store.delete_subscription(product.id, first.id)
    assert store.subscriptions(product.id) == after[1:]
    store.delete_product(product.id)
    with pytest.raises(NotFound):
        store.subscriptions(product.id)
