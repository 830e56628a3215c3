"""The first frame needs no backend library: what a start imports, seen in a process of its own."""

import subprocess
import sys

BACKEND_LIBRARIES = (
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


def test_the_first_frame_needs_no_backend_library() -> None:
    loaded = imported_by(
        "import asyncio, cortex_tui.cli\n"
        "from cortex_tui.app import CortexApp\n"
        "from cortex_tui.settings import Context, Target\n"
        "async def never(_): await asyncio.Event().wait()\n"
        "async def first_frame():\n"
        "    app = CortexApp(never, Target('a', Context()))\n"
        "    async with app.run_test() as pilot: await pilot.pause()\n"
        "asyncio.run(first_frame())"
    )
    assert "textual" in loaded
    assert loaded.isdisjoint(BACKEND_LIBRARIES)


def test_the_embedded_orchestrator_needs_no_terminal_and_no_server() -> None:
    loaded = imported_by("import cortex_tui.local.backend")
    assert "paho" in loaded
    assert loaded.isdisjoint({"textual", "rich", "fastapi", "httpx"})
