"""The tables, as migrations: each runs once, in its own transaction, in this order.

A migration that was released is never changed; a new one is added below it.
"""

from sqlite_utils import Database, Migrations

migrations = Migrations("cortex")


@migrations()
def products_configs_and_subscriptions(db: Database) -> None:
    """`broker` and `topics` hold the models as JSON, since `models.py` is the one definition of
    their fields; the password stands beside them, encrypted."""
    db.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT")
    db.execute(
        """CREATE TABLE products (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE COLLATE NOCASE,
            description TEXT NOT NULL,
            enabled INTEGER NOT NULL,
            messages_received INTEGER NOT NULL DEFAULT 0,
            last_message_at TEXT,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL
        ) STRICT"""
    )
    db.execute(
        """CREATE TABLE configs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            product_id INTEGER NOT NULL UNIQUE REFERENCES products(id) ON DELETE CASCADE,
            version INTEGER NOT NULL,
            broker TEXT NOT NULL,
            topics TEXT NOT NULL,
            password BLOB,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL
        ) STRICT"""
    )
    db.execute(
        """CREATE TABLE config_history (
            config_id INTEGER NOT NULL REFERENCES configs(id) ON DELETE CASCADE,
            version INTEGER NOT NULL,
            broker TEXT NOT NULL,
            topics TEXT NOT NULL,
            password BLOB,
            saved_at TEXT NOT NULL,
            PRIMARY KEY (config_id, version)
        ) STRICT, WITHOUT ROWID"""
    )
    db.execute(
        """CREATE TABLE subscriptions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            product_id INTEGER NOT NULL REFERENCES products(id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            topic TEXT,
            application_id TEXT,
            event TEXT,
            enabled INTEGER NOT NULL,
            description TEXT NOT NULL,
            actions TEXT NOT NULL,
            messages_received INTEGER NOT NULL DEFAULT 0,
            last_message_at TEXT,
            actions_executed INTEGER NOT NULL DEFAULT 0,
            actions_failed INTEGER NOT NULL DEFAULT 0,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL,
            UNIQUE (product_id, name)
        ) STRICT"""
    )


@migrations()
def outbox(db: Database) -> None:
    """Times are seconds since 1970, since they are compared and added to. Nothing refers to other
    tables, so that a late job of a deleted subscription cannot make a whole batch fail."""
    db.execute(
        """CREATE TABLE outbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL,
            product_id INTEGER NOT NULL,
            subscription_id INTEGER NOT NULL,
            target TEXT NOT NULL,
            action BLOB NOT NULL,
            content BLOB,
            event BLOB,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            failures TEXT NOT NULL,
            created_at REAL NOT NULL,
            due_at REAL,
            finished_at REAL
        ) STRICT"""
    )
    db.execute("CREATE INDEX outbox_pending ON outbox(target, due_at) WHERE state = 'pending'")
    db.execute("CREATE INDEX outbox_dead ON outbox(product_id) WHERE state = 'dead'")
    db.execute(
        """CREATE TRIGGER outbox_of_a_deleted_product AFTER DELETE ON products
        BEGIN DELETE FROM outbox WHERE product_id = OLD.id; END"""
    )


@migrations()
def client_keys(db: Database) -> None:
    """The private key of a client certificate, encrypted like the password."""
    db.execute("ALTER TABLE configs ADD COLUMN client_key BLOB")
    db.execute("ALTER TABLE config_history ADD COLUMN client_key BLOB")
