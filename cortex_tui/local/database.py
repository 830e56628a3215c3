"""The file that everything is kept in: SQLite through sqlite-utils, in WAL mode.

One connection writes and one reads, each behind its own lock, so that readers never wait for a
commit. Every method blocks and may be called from any thread but the UI's. Every write is one
`BEGIN IMMEDIATE` transaction: a deferred one that reads first fails at once against another writer,
whatever the time-out.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from sqlite_utils import Database

from cortex_tui.backend import BackendError, Conflict
from cortex_tui.local.rows import Row
from cortex_tui.local.schema import migrations

Durability = Literal["full", "normal"]

PAGE_BYTES = 1_048_576
"""Bytes of a page of rows, but for its last: written as JSON they may become six times as many, and
an answer over HTTP is to stay below ten."""


class DatabaseFile:
    """The database of one orchestrator."""

    def __init__(self, path: Path, durability: Durability = "full") -> None:
        """Open `path`, made where it is missing, and migrate it.

        With `durability` "normal" a power cut may undo the last commits; the death of the process
        alone never does. Raises `BackendError` where the file is no database of ours.
        """
        self._writer_lock = threading.Lock()
        self._reader_lock = threading.Lock()
        self.version = 0
        """Counts the transactions, at both ends: odd while one is under way."""
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

    @contextmanager
    def writing(self, taken: str = "the name is taken") -> Iterator[Database]:
        """The writer's connection in a transaction; `taken` is the message of a `Conflict`."""
        with self._writer_lock:
            self.version += 1
            try:
                self._writer.conn.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                    self._writer.conn.execute("COMMIT")
                except sqlite3.IntegrityError as error:
                    self._roll_back()
                    raise Conflict(taken, "Choose another name.") from error
                except BaseException:
                    self._roll_back()
                    raise
            finally:
                self.version += 1

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
