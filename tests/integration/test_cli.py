"""The command as a person types it: a process, its output and its exit code."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cortex_tui import __version__
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft, SubscriptionDraft
from tests.brokers import ANONYMOUS, StartMosquitto, users
from tests.orchestrators import configured, draft

CORTEX = [sys.executable, "-m", "cortex_tui"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CORTEX_")}
    return {**kept, "HOME": str(tmp_path), "CORTEX_DB": str(tmp_path / "cortex.db")}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CORTEX, *arguments],
        env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip


def test_version_and_help(environment: dict[str, str]) -> None:
    assert run(environment, "--version").stdout == f"cortex {__version__}\n"
    assert "cortex demo" in run(environment, "--help").stdout
    for command in ("demo", "serve", "status", "products", "subscriptions", "reconnect"):
        assert run(environment, command, "--help").returncode == 0


def test_without_a_terminal_the_application_says_so(environment: dict[str, str]) -> None:
    finished = run(environment)
    assert finished.returncode == 2
    assert "needs a terminal" in finished.stderr


def test_a_dumb_terminal_is_refused(environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    finished = subprocess.run(
        CORTEX, env={**environment, "TERM": "dumb"}, stdin=theirs, stdout=theirs,
        stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert finished.returncode == 2
    assert "TERM=xterm-256color" in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--db", "a", "--context", "b"], "both given"),
        (["--context", "nowhere"], "there is no context 'nowhere'"),
        (["--db", "/proc/nowhere/cortex.db", "products"], "cannot be used as a database"),
        (["status", "nowhere"], "there is no product 'nowhere'"),
        (["serve", "--host", "0.0.0.0"], "Without a token"),
        (["serve", "--token-file", "/nowhere"], "--token-file /nowhere cannot be read"),
        (["serve", "--port", "99999"], "--port"),
    ],
)
def test_bad_input_is_one_clear_message(
    environment: dict[str, str], arguments: list[str], says: str
) -> None:
    finished = run(environment, *arguments)
    assert finished.returncode in (2, 3)
    assert says in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_broken_configuration_file_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("theme = ")
    finished = run({**environment, "CORTEX_CONFIG": str(tmp_path / "config.toml")}, "products")
    assert finished.returncode == 2
    assert "config.toml is not valid TOML" in finished.stderr


def prepare(database: Path, config: object) -> None:
    async def make() -> None:
        backend = await LocalBackend.open(database)
        await configured(backend, config, SubscriptionDraft(name="paid"))  # type: ignore[arg-type]
        await backend.create_product(ProductDraft(name="Not configured"))
        await backend.aclose()

    asyncio.run(make())


def test_status_says_connected(
    environment: dict[str, str], tmp_path: Path, start_mosquitto: StartMosquitto
) -> None:
    prepare(tmp_path / "cortex.db", draft(start_mosquitto(*ANONYMOUS)))
    finished = run(environment, "status")
    assert finished.returncode == 0, finished.stderr
    assert "Tyres; connected" in finished.stdout
    state = json.loads(run(environment, "status", "tyres", "--json").stdout)
    assert state["status"]["connected"] is True
    assert run(environment, "reconnect", "1").returncode == 0


def test_status_says_what_is_wrong(
    environment: dict[str, str], tmp_path: Path, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "secret"}))
    prepare(tmp_path / "cortex.db", draft(broker, username="alice", password="wrong"))
    finished = run(environment, "status", "Tyres")
    assert finished.returncode == 1
    assert "Tyres; latched" in finished.stdout
    assert "Not authorized (code 5)" in finished.stdout


def test_products_and_subscriptions(
    environment: dict[str, str], tmp_path: Path, start_mosquitto: StartMosquitto
) -> None:
    prepare(tmp_path / "cortex.db", draft(start_mosquitto(*ANONYMOUS)))
    listed = json.loads(run(environment, "products", "--json").stdout)
    assert [product["name"] for product in listed] == ["Tyres", "Not configured"]
    assert "Not configured" in run(environment, "products").stdout
    assert "on  " in run(environment, "subscriptions", "tyres").stdout
    off = json.loads(run(environment, "subscriptions", "1", "--disable", "paid", "--json").stdout)
    assert [row["enabled"] for row in off] == [False]
    finished = run(environment, "subscriptions", "1", "--enable", "unknown")
    assert (finished.returncode, "there is no subscription" in finished.stderr) == (2, True)


def test_serve_answers_tells_where_it_is_and_ends_in_order(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [*CORTEX, "serve", "--port", "0"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        url = server.stdout.readline().removeprefix("Cortex listens on ").strip()
        busy = run(environment, "products")
        assert busy.returncode == 3
        assert f"process {server.pid}" in busy.stderr
        assert f"cortex --url {url}" in busy.stderr
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) == 0
    assert run(environment, "products").returncode == 0
