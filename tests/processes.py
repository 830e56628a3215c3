"""The command as a process: run to its end, or serving.

`environment` is a fixture: a home of its own, with a database that nothing else uses.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ConfigDraft, ProductDraft, SubscriptionDraft
from tests.orchestrators import configured

CORTEX = [sys.executable, "-m", "cortex_tui"]


@dataclass
class Serving:
    """A server that runs: where it answers, and the file that has its stderr."""

    process: subprocess.Popen[str]
    url: str
    log: Path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CORTEX_")}
    folders = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    return {**kept, **folders, "TERM": "xterm-256color", "CORTEX_DB": str(tmp_path / "cortex.db")}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return subprocess.run(
        [*CORTEX, *arguments],
        env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip


@contextmanager
def serving(environment: dict[str, str], *arguments: str) -> Iterator[Serving]:
    """`cortex serve` on any free port; it ends in order."""
    log = Path(environment["HOME"]) / "serve.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*CORTEX, "serve", "--port", "0", *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        ready = process.stdout.readline()
        try:
            assert ready.startswith("Cortex listens on http"), log.read_text()
            yield Serving(process, ready.removeprefix("Cortex listens on ").strip(), log)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0


def prepare(
    database: Path, config: ConfigDraft, subscription: SubscriptionDraft | None = None
) -> None:
    """A database with two products: "Tyres", configured so, with one subscription, "paid" unless
    another is given; and one that is not configured."""

    async def make() -> None:
        backend = await LocalBackend.open(database)
        await configured(backend, config, subscription or SubscriptionDraft(name="paid"))
        await backend.create_product(ProductDraft(name="Not configured"))
        await backend.aclose()

    asyncio.run(make())
