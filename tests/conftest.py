"""What every test may ask for; the fixtures for real brokers are described in `tests.brokers`."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex_tui import cli, settings

pytest_plugins = [
    "tests.brokers",
    "tests.counterparts",
    "tests.orchestrators",
    "tests.webservers",
    "tests.mailservers",
    "tests.processes",
]


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the application logs, and where."""
    path, root = tmp_path / "cortex.log", logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(settings, "log_file", lambda: path)
    cli._log_to_file()
    yield path
    for each in root.handlers:
        each.close()
    root.handlers = handlers
    root.setLevel(level)
    for name in ("cortex_tui", "cortex_tui.server.access.reads"):
        logging.getLogger(name).setLevel(logging.NOTSET)
