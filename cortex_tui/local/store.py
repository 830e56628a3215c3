"""What an orchestrator keeps: products, configurations with their history, and subscriptions.

Every method blocks and may be called from any thread but the UI's.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr
from sqlite_utils import Database

from cortex_tui.backend import FieldProblem, Invalid, NotFound, Stale
from cortex_tui.local.database import DatabaseFile, Durability
from cortex_tui.local.rows import (
    Overview,
    Row,
    config_version_of,
    overview_of,
    product_of,
    subscription_of,
    subscription_values,
    topics_of,
)
from cortex_tui.local.vault import Vault
from cortex_tui.models import (
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
    TopicsConfig,
)
from cortex_tui.values import wire_time

CONFIG_HISTORY_LIMIT = 100
"""Versions of a configuration that are kept."""


class _Listed(NamedTuple):
    """A subscription as it was read."""

    row: Row
    subscription: Subscription


class Store(DatabaseFile):
    """The database of one orchestrator."""

    def __init__(self, path: Path, vault: Vault, durability: Durability = "full") -> None:
        """Open `path`, as a `DatabaseFile` does; `vault` is for the secrets in it."""
        super().__init__(path, durability)
        self._vault = vault
        self._read: dict[int, tuple[int, Overview]] = {}
        """The overviews that were read last, and the version that was current then."""
        self._listed: tuple[tuple[int, TopicsConfig] | None, dict[int, _Listed]] = None, {}
        """The product whose subscriptions were read last, by which topics, and what they were."""

    # -- products -----------------------------------------------------------------------------

    def products(self) -> list[Product]:
        """Every product, by id."""
        return [product_of(row) for row in self.rows("SELECT * FROM products ORDER BY id")]

    def product(self, product_id: int) -> Product:
        """Raises `NotFound`."""
        for row in self.rows("SELECT * FROM products WHERE id = ?", product_id):
            return product_of(row)
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
        return [overview_of(row) for row in rows]

    def overview(self, product_id: int) -> Overview:
        """Raises `NotFound`."""
        version = self.version
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
        return found if version == self.version else None

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
            return TopicsConfig() if row["topics"] is None else topics_of(row["topics"])
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
            config_version_of(row, before) for before, row in zip([None, *rows], rows, strict=False)
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
            return subscription_of(row, topics)
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
                    **subscription_values(draft.model_dump(mode="json")),
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
            table.update(subscription_id, {**subscription_values(values), "updated_at": _now()})
        return self.subscription(product_id, subscription_id)

    def delete_subscription(self, product_id: int, subscription_id: int) -> None:
        """Raises `NotFound`."""
        with self.writing() as db:
            _subscription_must_exist(db, product_id, subscription_id)
            db.table("subscriptions").delete(subscription_id)


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


def _listed(row: Row, topics: TopicsConfig, known: _Listed | None) -> _Listed:
    """`known` where the row is the same, so that what did not change stays the same object."""
    if known is not None and known.row == row:
        return known
    return _Listed(row, subscription_of(row, topics))


def _two_topics(field: str) -> FieldProblem:
    return FieldProblem(
        (field,), "topic and application_id are both set: a topic given in full needs none"
    )
