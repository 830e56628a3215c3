"""The first rows need no library that takes long to import: seen in a process of its own."""

import subprocess
import sys
from pathlib import Path

from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft

SLOW_LIBRARIES = (
    "pydantic",
    "httpx",
    "paho",
    "sqlite_utils",
    "fastapi",
    "uvicorn",
    "cryptography",
    "jinja2",
)


def imported_by(code: str) -> set[str]:
    listing = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    finished = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True, timeout=60
    )
    return set(finished.stdout.split())


async def test_the_first_rows_need_no_slow_library(tmp_path: Path) -> None:
    backend = await LocalBackend.open(tmp_path / "cortex.db")
    await backend.create_product(ProductDraft(name="Tyres"))
    await backend.aclose()
    loaded = imported_by(
        "import asyncio, cortex_tui.cli, cortex_tui.keymap, cortex_tui.invocation\n"
        "from pathlib import Path\n"
        "from cortex_tui.app import CortexApp\n"
        "from cortex_tui.opening import read_stored\n"
        "from cortex_tui.screens.products import Table\n"
        "from cortex_tui.settings import Context, Target\n"
        "async def never(_): await asyncio.Event().wait()\n"
        "async def first_rows():\n"
        f"    target = Target('a', Context(db=Path({str(tmp_path / 'cortex.db')!r})))\n"
        "    app = CortexApp(never, target, read_stored=read_stored)\n"
        "    async with app.run_test() as pilot:\n"
        "        await pilot.pause()\n"
        "        [row] = app.screen.query_one(Table).shown\n"
        "        assert row.product.name == 'Tyres'\n"
        "asyncio.run(first_rows())"
    )
    assert "textual" in loaded
    assert loaded.isdisjoint(SLOW_LIBRARIES)


def test_the_command_line_is_read_before_anything_is_set_up() -> None:
    loaded = imported_by("import cortex_tui.cli")
    assert "click" in loaded
    assert loaded.isdisjoint({"textual", "rich", "platformdirs", "tempfile", *SLOW_LIBRARIES})


def test_the_embedded_orchestrator_needs_no_terminal_and_no_server() -> None:
    loaded = imported_by("import cortex_tui.local.backend")
    assert "paho" in loaded
    assert loaded.isdisjoint({"textual", "rich", "fastapi", "httpx"})
