"""What an orchestrator keeps: SQLite through sqlite-utils, in WAL mode.

One connection writes and one reads, each behind its own lock, so that readers never wait for a
commit. Every method blocks and may be called from any thread but the UI's. Every write is one
`BEGIN IMMEDIATE` transaction: a deferred one that reads first fails at once against another writer,
whatever the time-out.
"""

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import SecretStr
from sqlite_utils import Database

from cortex_tui.backend import BackendError, Conflict, FieldProblem, Invalid, NotFound, Stale
from cortex_tui.differences import differences
from cortex_tui.local.schema import migrations
from cortex_tui.local.vault import Vault
from cortex_tui.models import (
    MASK,
    STORED,
    BrokerConfig,
    ConfigDraft,
    ConfigVersion,
    MqttConfig,
    Product,
    ProductChange,
    ProductDraft,
    Subscription,
    SubscriptionChange,
    SubscriptionDraft,
    SubscriptionStats,
    TopicsConfig,
    wire_time,
)
from cortex_tui.topics import effective_topic

Durability = Literal["full", "normal"]
Row = dict[str, Any]

PAGE_BYTES = 1_048_576
"""Bytes of a page of rows, but for its last: written as JSON they may become six times as many, and
an answer over HTTP is to stay below ten."""
CONFIG_HISTORY_LIMIT = 100
"""Versions of a configuration that are kept."""


@dataclass(frozen=True)
class Overview:
    """A product with what a list shows of it."""

    product: Product
    config: MqttConfig | None
    messages_received: int
    last_message_at: datetime | None
    messages_unreadable: int
    messages_dropped: int
    subscriptions_total: int
    subscriptions_enabled: int


class _Listed(NamedTuple):
    """A subscription as it was read."""

    row: Row
    subscription: Subscription


class Store:
    """The database of one orchestrator."""

    def __init__(self, path: Path, vault: Vault, durability: Durability = "full") -> None:
        """Open `path`, made where it is missing, and migrate it.

        With `durability` "normal" a power cut may undo the last commits; the death of the process
        alone never does. Raises `BackendError` where the file is no database of ours.
        """
        self._vault = vault
        self._writer_lock = threading.Lock()
        self._reader_lock = threading.Lock()
        self._version = 0
        """Counts the transactions, at both ends: odd while one is under way."""
        self._read: dict[int, tuple[int, Overview]] = {}
        """The overviews that were read last, and the version that was current then."""
        self._listed: tuple[tuple[int, TopicsConfig] | None, dict[int, _Listed]] = None, {}
        """The product whose subscriptions were read last, by which topics, and what they were."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._writer = _connect(path)
            self._writer.conn.execute("PRAGMA journal_mode = WAL")
            self._writer.conn.execute(f"PRAGMA synchronous = {durability.upper()}")
            migrations.apply(self._writer)
            self._reader = _connect(path)
            self.instance_id = self._keep_setting("instance_id", secrets.token_hex(3))
        except (sqlite3.DatabaseError, OSError) as error:
            raise BackendError(
                f"{path} cannot be used as a database: {error}",
                "Check the path and its permissions, or choose another file with --db.",
            ) from error

    def close(self) -> None:
        """Close both connections; the file needs no other care."""
        with self._writer_lock, self._reader_lock:
            self._writer.close()
            self._reader.close()

    # -- products -----------------------------------------------------------------------------

    def products(self) -> list[Product]:
        """Every product, by id."""
        return [_product(row) for row in self.rows("SELECT * FROM products ORDER BY id")]

    def product(self, product_id: int) -> Product:
        """Raises `NotFound`."""
        for row in self.rows("SELECT * FROM products WHERE id = ?", product_id):
            return _product(row)
        raise NotFound("Product not found")

    def overviews(self, product_ids: Iterable[int] | None = None) -> list[Overview]:
        """Products as a list shows them: those asked for that exist, or all."""
        chosen = "1" if product_ids is None else "p.id IN (SELECT value FROM json_each(?))"
        arguments = () if product_ids is None else (json.dumps(list(product_ids)),)
        rows = self.rows(
            f"""SELECT p.*, c.id AS config_id, c.version, c.broker, c.topics, c.created_at AS
                config_created_at, c.updated_at AS config_updated_at, c.password IS NOT NULL AS
                has_password, c.client_key IS NOT NULL AS has_client_key,
                COUNT(s.id) AS total, COALESCE(SUM(s.enabled), 0) AS on_count
            FROM products p LEFT JOIN configs c ON c.product_id = p.id
                LEFT JOIN subscriptions s ON s.product_id = p.id
            WHERE {chosen} GROUP BY p.id ORDER BY p.id""",  # noqa: S608 - no outside text in it
            *arguments,
        )
        return [
            Overview(
                product=_product(row),
                config=None if row["config_id"] is None else _config(row),
                messages_received=row["messages_received"],
                last_message_at=_time(row["last_message_at"]),
                messages_unreadable=row["messages_unreadable"],
                messages_dropped=row["messages_dropped"],
                subscriptions_total=row["total"],
                subscriptions_enabled=row["on_count"],
            )
            for row in rows
        ]

    def overview(self, product_id: int) -> Overview:
        """Raises `NotFound`."""
        version = self._version
        for found in self.overviews([product_id]):
            if version % 2 == 0:
                self._read[product_id] = version, found
            return found
        self._read.pop(product_id, None)
        raise NotFound("Product not found")

    def overview_at_hand(self, product_id: int) -> Overview | None:
        """The same without a wait for the disk; none where something was written since it was
        read. From any thread."""
        version, found = self._read.get(product_id, (-1, None))
        return found if version == self._version else None

    def create_product(self, draft: ProductDraft) -> Product:
        """Raises `Conflict` where the name is taken."""
        now = _now()
        with self.writing("a product of that name exists already") as db:
            product_id = _insert(
                db, "products", {**draft.model_dump(), "created_at": now, "updated_at": now}
            )
        return self.product(product_id)

    def update_product(self, product_id: int, change: ProductChange) -> Product:
        """Raises `NotFound`, and `Conflict` where the name is taken."""
        with self.writing("a product of that name exists already") as db:
            _product_must_exist(db, product_id)
            values = change.model_dump(exclude_unset=True)
            db.table("products").update(product_id, {**values, "updated_at": _now()})
        return self.product(product_id)

    def delete_product(self, product_id: int) -> None:
        """Raises `NotFound`."""
        with self.writing() as db:
            _product_must_exist(db, product_id)
            db.table("products").delete(product_id)

    # -- configurations -----------------------------------------------------------------------

    def config(self, product_id: int) -> MqttConfig | None:
        """None where the product is not configured. Raises `NotFound` where there is none."""
        return self.overview(product_id).config

    def password(self, product_id: int) -> SecretStr | None:
        """The stored password, decrypted. Raises `VaultError` where the key does not fit."""
        return self._secret(product_id, "password")

    def client_key(self, product_id: int) -> SecretStr | None:
        """The stored private key, decrypted. Raises `VaultError` where the key does not fit."""
        return self._secret(product_id, "client_key")

    def _secret(self, product_id: int, column: str) -> SecretStr | None:
        for row in self.rows(f"SELECT {column} FROM configs WHERE product_id = ?", product_id):  # noqa: S608
            return None if row[column] is None else self._vault.decrypt(row[column])
        return None

    def topics(self, product_id: int) -> TopicsConfig:
        """The stored topics, or the defaults where the product is not configured. Raises
        `NotFound`."""
        for row in self.rows(
            """SELECT c.topics FROM products p LEFT JOIN configs c ON c.product_id = p.id
            WHERE p.id = ?""",
            product_id,
        ):
            return TopicsConfig() if row["topics"] is None else _topics(row["topics"])
        raise NotFound("Product not found")

    def save_config(
        self,
        product_id: int,
        draft: ConfigDraft,
        if_version: int | None = None,
        by: str | None = None,
    ) -> MqttConfig:
        """Keep `draft` as the next version, saved by `by`, and the versions before it as history.

        Raises `NotFound`, and `Stale` where `if_version` is not the stored version.
        """
        now = _now()
        values: Row = {
            "topics": draft.topics.model_dump_json(),
            "updated_at": now,
        }
        with self.writing() as db:
            _product_must_exist(db, product_id)
            configs = db.table("configs")
            known = list(configs.rows_where("product_id = ?", (product_id,)))
            version = known[0]["version"] if known else 0
            if if_version is not None and if_version != version:
                raise Stale(
                    "the configuration was changed by somebody else meanwhile",
                    "Load it again, and apply your change to the newer one.",
                )
            stored = json.loads(known[0]["broker"]) if known else {}
            values |= {**self._broker(draft.broker, stored), "version": version + 1}
            if known:
                config_id = known[0]["id"]
                configs.update(config_id, values)
            else:
                fixed = {"product_id": product_id, "created_at": now}
                config_id = _insert(db, "configs", {**fixed, **values})
            db.execute(
                """INSERT INTO config_history (config_id, version, broker, topics, password,
                    client_key, saved_at, saved_by)
                SELECT id, version, broker, topics, password, client_key, updated_at, ?
                FROM configs WHERE id = ?""",
                (by, config_id),
            )
            db.table("config_history").delete_where(
                "config_id = ? AND version <= ?", (config_id, version + 1 - CONFIG_HISTORY_LIMIT)
            )
        saved = self.config(product_id)
        assert saved is not None
        return saved

    def _broker(self, broker: BrokerConfig, stored: Row) -> Row:
        """The columns of a broker; a secret that is to be kept is not among them."""
        values = broker.model_dump(mode="json", exclude={"password", "client_key"})
        values |= {
            name: stored.get(name)
            for name in ("ca_cert", "client_cert")
            if name not in broker.model_fields_set
        }
        columns: Row = {"broker": json.dumps(values)}
        for column, owner, secret in (
            ("password", "username", broker.new_password),
            ("client_key", "client_cert", broker.new_key),
        ):
            if values[owner] is None:
                columns[column] = None
            elif secret is not None:
                columns[column] = self._vault.encrypt(secret)
        return columns

    def config_history(self, product_id: int) -> list[ConfigVersion]:
        """The versions of a configuration that are kept, newest first. Raises `NotFound`."""
        self.overview(product_id)
        rows = self.rows(
            """SELECT h.* FROM config_history h JOIN configs c ON c.id = h.config_id
            WHERE c.product_id = ? ORDER BY h.version""",
            product_id,
        )
        return [
            _config_version(row, before) for before, row in zip([None, *rows], rows, strict=False)
        ][::-1]

    # -- subscriptions ------------------------------------------------------------------------

    def subscriptions(
        self, product_id: int, topics: TopicsConfig | None = None
    ) -> list[Subscription]:
        """A product's subscriptions, by id, with their topics by `topics`, or by the stored
        configuration. Raises `NotFound`."""
        topics = topics or self.topics(product_id)
        rows = self.rows("SELECT * FROM subscriptions WHERE product_id = ? ORDER BY id", product_id)
        # Whoever looks at a product reads its subscriptions every second; few of them change.
        of_whom, known = self._listed
        if of_whom != (product_id, topics):
            known = {}
        listed = {row["id"]: _listed(row, topics, known.get(row["id"])) for row in rows}
        self._listed = (product_id, topics), listed
        return [each.subscription for each in listed.values()]

    def subscription(self, product_id: int, subscription_id: int) -> Subscription:
        """Raises `NotFound`."""
        topics = self.topics(product_id)
        for row in self.rows(
            "SELECT * FROM subscriptions WHERE product_id = ? AND id = ?",
            product_id,
            subscription_id,
        ):
            return _subscription(row, topics)
        raise NotFound("Subscription not found")

    def create_subscription(self, product_id: int, draft: SubscriptionDraft) -> Subscription:
        """Raises `NotFound`, and `Conflict` where the product has one of that name."""
        now = _now()
        with self.writing("a subscription of that name exists already") as db:
            _product_must_exist(db, product_id)
            subscription_id = _insert(
                db,
                "subscriptions",
                {
                    **_subscription_values(draft.model_dump(mode="json")),
                    "product_id": product_id,
                    "created_at": now,
                    "updated_at": now,
                },
            )
        return self.subscription(product_id, subscription_id)

    def update_subscription(
        self, product_id: int, subscription_id: int, change: SubscriptionChange
    ) -> Subscription:
        """Raises `NotFound`, `Conflict` where the name is taken, and `Invalid` where the change
        leaves both a topic and an application id."""
        values = change.model_dump(mode="json", exclude_unset=True)
        with self.writing("a subscription of that name exists already") as db:
            _subscription_must_exist(db, product_id, subscription_id)
            table = db.table("subscriptions")
            after = {**table.get(subscription_id), **values}
            if after["topic"] is not None and after["application_id"] is not None:
                raise Invalid([_two_topics("topic" if "topic" in values else "application_id")])
            table.update(subscription_id, {**_subscription_values(values), "updated_at": _now()})
        return self.subscription(product_id, subscription_id)

    def delete_subscription(self, product_id: int, subscription_id: int) -> None:
        """Raises `NotFound`."""
        with self.writing() as db:
            _subscription_must_exist(db, product_id, subscription_id)
            db.table("subscriptions").delete(subscription_id)

    # -- below --------------------------------------------------------------------------------

    @contextmanager
    def writing(self, taken: str = "the name is taken") -> Iterator[Database]:
        """The writer's connection in a transaction; `taken` is the message of a `Conflict`."""
        with self._writer_lock:
            self._version += 1
            try:
                self._writer.conn.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                except sqlite3.IntegrityError as error:
                    self._roll_back()
                    raise Conflict(taken, "Choose another name.") from error
                except BaseException:
                    self._roll_back()
                    raise
                self._writer.conn.execute("COMMIT")
            finally:
                self._version += 1

    def _roll_back(self) -> None:
        # Where the disk is full SQLite has done so already.
        if self._writer.conn.in_transaction:
            self._writer.conn.execute("ROLLBACK")

    def rows(self, sql: str, *arguments: object) -> list[Row]:
        """What a query finds, over the reader's connection."""
        with self._reader_lock:
            return list(self._reader.query(sql, arguments))

    def page(self, sql: str, *arguments: object) -> list[Row]:
        """The first rows that a query finds: at least one if there are any, and no more after
        `PAGE_BYTES`."""
        found: list[Row] = []
        size = 0
        with self._reader_lock, closing(self._reader.query(sql, arguments)) as rows:
            for row in rows:
                found.append(row)
                size += sum(len(value) for value in row.values() if isinstance(value, bytes | str))
                if size > PAGE_BYTES:
                    break
        return found

    def _keep_setting(self, name: str, default: str) -> str:
        with self.writing() as db:
            table = db.table("settings")
            table.insert({"name": name, "value": default}, ignore=True)
            return str(table.get(name)["value"])


def _connect(path: Path) -> Database:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return Database(connection)


def _insert(db: Database, table: str, row: Row) -> int:
    row_id = db.table(table).insert(row).last_pk
    assert isinstance(row_id, int)
    return row_id


def _product_must_exist(db: Database, product_id: int) -> None:
    if not db.table("products").count_where("id = ?", (product_id,)):
        raise NotFound("Product not found")


def _subscription_must_exist(db: Database, product_id: int, subscription_id: int) -> None:
    _product_must_exist(db, product_id)
    where = "id = ? AND product_id = ?"
    if not db.table("subscriptions").count_where(where, (subscription_id, product_id)):
        raise NotFound("Subscription not found")


def _now() -> str:
    return wire_time(datetime.now(UTC))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _product(row: Row) -> Product:
    return Product.model_validate(row, context=STORED)


def _config(row: Row) -> MqttConfig:
    secrets_set = {
        "password": MASK if row["has_password"] else None,
        "client_key": MASK if row["has_client_key"] else None,
    }
    return MqttConfig.model_validate(
        {
            "id": row["config_id"],
            "product_id": row["id"],
            "version": row["version"],
            "broker": {**json.loads(row["broker"]), **secrets_set},
            "topics": json.loads(row["topics"]),
            "created_at": row["config_created_at"],
            "updated_at": row["config_updated_at"],
        },
        context=STORED,
    )


def _config_version(row: Row, before: Row | None) -> ConfigVersion:
    def parts(row: Row) -> dict[str, Any]:
        return {name: json.loads(row[name]) for name in ("broker", "topics")}

    version = ConfigVersion.model_validate(
        {**{name: row[name] for name in ("version", "saved_at", "saved_by")}, **parts(row)},
        context=STORED,
    )
    if before is None:
        return version
    earlier = version.model_copy(update=_models(parts(before)))
    changed = [each.field for each in differences(version, earlier)]
    # A secret that was kept is the same bytes; one that was given again is encrypted anew.
    changed += [name for name in ("password", "client_key") if row[name] != before[name]]
    return version.model_copy(update={"changed": tuple(changed)})


def _models(parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "broker": BrokerConfig.model_validate(parts["broker"], context=STORED),
        "topics": TopicsConfig.model_validate(parts["topics"], context=STORED),
    }


def _topics(text: str) -> TopicsConfig:
    return TopicsConfig.model_validate_json(text, context=STORED)


def _listed(row: Row, topics: TopicsConfig, known: _Listed | None) -> _Listed:
    """`known` where the row is the same, so that what did not change stays the same object."""
    if known is not None and known.row == row:
        return known
    return _Listed(row, _subscription(row, topics))


def _subscription(row: Row, topics: TopicsConfig) -> Subscription:
    return Subscription.model_validate(
        {
            **row,
            "topic": effective_topic(
                topics, topic=row["topic"], application_id=row["application_id"]
            ),
            "derived": row["topic"] is None,
            "actions": json.loads(row["actions"]),
            "stats": {name: row[name] for name in SubscriptionStats.model_fields if name in row},
        },
        context=STORED,
    )


def _subscription_values(dumped: Row) -> Row:
    if "actions" in dumped:
        return {**dumped, "actions": json.dumps(dumped["actions"])}
    return dumped


def _two_topics(field: str) -> FieldProblem:
    return FieldProblem(
        (field,), "topic and application_id are both set: a topic given in full needs none"
    )
