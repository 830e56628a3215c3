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
            event_id INTEGER,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            failures TEXT NOT NULL,
            created_at REAL NOT NULL,
            due_at REAL,
            finished_at REAL
        ) STRICT"""
    )
    db.execute("CREATE INDEX outbox_pending ON outbox(target, due_at) WHERE state = 'pending'")
    db.execute(
        """CREATE INDEX outbox_unfinished ON outbox(product_id, subscription_id, state)
        WHERE state IN ('pending', 'running', 'dead')"""
    )
    db.execute(
        """CREATE TRIGGER outbox_of_a_deleted_product AFTER DELETE ON products
        BEGIN DELETE FROM outbox WHERE product_id = OLD.id; END"""
    )


@migrations()
def client_keys(db: Database) -> None:
    """The private key of a client certificate, encrypted like the password."""
    db.execute("ALTER TABLE configs ADD COLUMN client_key BLOB")
    db.execute("ALTER TABLE config_history ADD COLUMN client_key BLOB")


@migrations()
def events(db: Database) -> None:
    """The newest events of each product and the keys of its latest messages, many to a row; see
    `history`. `upto` is the id of the last event in a row; for keys, which have none, it counts
    those of the product, the row's included."""
    db.execute(
        """CREATE TABLE events (
            product_id INTEGER NOT NULL,
            upto INTEGER NOT NULL,
            data BLOB NOT NULL,
            UNIQUE (product_id, upto)
        ) STRICT"""
    )
    db.execute(
        """CREATE TABLE seen (
            product_id INTEGER NOT NULL,
            upto INTEGER NOT NULL,
            keys BLOB NOT NULL,
            PRIMARY KEY (product_id, upto)
        ) STRICT, WITHOUT ROWID"""
    )
    db.execute(
        """CREATE TRIGGER events_of_a_deleted_product AFTER DELETE ON products BEGIN
            DELETE FROM events WHERE product_id = OLD.id;
            DELETE FROM seen WHERE product_id = OLD.id;
        END"""
    )
    for column in ("messages_unreadable", "messages_dropped"):
        db.execute(f"ALTER TABLE products ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    for column in ("matched", "condition_false", "evaluation_failed", "attempts_failed"):
        db.execute(f"ALTER TABLE subscriptions ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE subscriptions ADD COLUMN last_error TEXT")
    db.execute("ALTER TABLE subscriptions ADD COLUMN last_error_at TEXT")
    db.execute("ALTER TABLE subscriptions ADD COLUMN last_error_event_id INTEGER")


@migrations()
def authors(db: Database) -> None:
    """Who saved a version of a configuration; null is nobody knows any more."""
    db.execute("ALTER TABLE config_history ADD COLUMN saved_by TEXT")
