"""One process runs the connections of a database: whoever holds the lock file beside it."""

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cortex_tui.backend import BackendError
from cortex_tui.values import wire_time


class DatabaseBusy(BackendError):
    """Another process runs this database."""


class DatabaseLock:
    """An advisory lock that the operating system frees when the process ends, however it ends."""

    def __init__(self, database: Path) -> None:
        """Take the lock of `database`. Raises `DatabaseBusy`, which names the owner."""
        self._path = database.with_name(database.name + ".lock")
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = self._read()
            os.close(self._descriptor)
            raise _busy(database, owner) from None
        self._owner = {"pid": os.getpid(), "since": wire_time(datetime.now(UTC)), "url": None}
        self._write()

    def announce(self, url: str | None) -> None:
        """Tell later comers the URL at which the owner of this database serves its API."""
        self._owner["url"] = url
        self._write()

    def release(self) -> None:
        """Free the lock. The file stays: to remove it would race with the next owner."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def _write(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(self._owner).encode(), 0)

    def _read(self) -> dict[str, Any]:
        try:
            owner = json.loads(os.pread(self._descriptor, 4096, 0))
        except ValueError:
            return {}
        return owner if isinstance(owner, dict) else {}


def _busy(database: Path, owner: dict[str, Any]) -> DatabaseBusy:
    since = str(owner.get("since", "unknown"))[: len("2026-01-23T14:03:25")].replace("T", " ")
    who = f"process {owner.get('pid', 'unknown')}, since {since} UTC"
    if url := owner.get("url"):
        hint = f"Attach to it with: cortex --url {url}"
    else:
        hint = (
            "Quit that process, or choose another database with --db. To share one between "
            "several people, run it as `cortex serve` and attach with `cortex --url`."
        )
    return DatabaseBusy(f"{database} is in use by {who}", hint)
