"""What more than one test of a whole process needs."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CORTEX_")}
    folders = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    return {**kept, **folders, "TERM": "xterm-256color", "CORTEX_DB": str(tmp_path / "c.db")}
