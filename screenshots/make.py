"""Make every picture in this folder from the running demo: `make screenshots`."""

import asyncio
from pathlib import Path

import resvg_py

from cortex_tui import demo
from cortex_tui.app import CortexApp
from cortex_tui.backend import Backend
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ConnectionState
from cortex_tui.settings import Context, Target

FOLDER = Path(__file__).parent
SIZES = {"": (120, 36), "-80x24": (80, 24)}
SETTLE = 12.0
"""Seconds of events before the first picture."""

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("products", ("t", "t")),
    ("broker", ("enter",)),
    ("topics", ("2",)),
    ("subscriptions", ("3",)),
    ("subscription", ("enter",)),
    ("events", ("escape", "4")),
    ("event", ("enter",)),
    ("dry-run", ("escape", "space", "slash", *"claim", "enter", "f4", "enter")),
    ("actions", ("escape", "escape", "escape", "5")),
    ("action", ("enter",)),
    ("test", ("escape", "1", "f4")),
    ("help", ("escape", "question_mark")),
)
"""Each picture, and the keys that lead there from the one before."""


async def main() -> None:
    for suffix, size in SIZES.items():
        async with demo.running(LocalBackend.open) as running:
            await _settled(running.backend)
            await _picture(running.backend, size, suffix)


async def _picture(backend: Backend, size: tuple[int, int], suffix: str) -> None:
    async def opened(_: Target) -> Backend:
        return backend

    app = CortexApp(opened, Target("demo", Context()))
    async with app.run_test(size=size) as pilot:
        await asyncio.sleep(SETTLE)
        for name, keys in STEPS:
            for key in keys:
                await pilot.press(key)
                await asyncio.sleep(0.6)
            _save(app, f"{name}{suffix}")


async def _settled(backend: Backend) -> None:
    waiting = (ConnectionState.CONNECTING, ConnectionState.RETRYING)
    for product in await backend.products():
        while (await backend.status(product.id)).state in waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def _save(app: CortexApp, name: str) -> None:
    svg = app.export_screenshot(title="cortex")
    (FOLDER / f"{name}.svg").write_text(svg)
    picture = resvg_py.svg_to_bytes(
        svg_string=svg, font_family="DejaVu Sans Mono", monospace_family="DejaVu Sans Mono"
    )
    (FOLDER / f"{name}.png").write_bytes(bytes(picture))
    print(f"screenshots/{name}")


asyncio.run(main())
