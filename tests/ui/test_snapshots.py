"""Every screen as a picture, at 80×24 and 120×36: `pytest tests/ui/test_snapshots.py
--snapshot-update` takes them anew. Look at what changed before you commit it.

One Python and one Textual version own the pictures: those of `constraints.txt`.
"""

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from textual.pilot import Pilot

from cortex_tui.app import CortexApp
from cortex_tui.backend import Backend, BackendError, Unreachable
from cortex_tui.models import ProductState
from cortex_tui.settings import Context, Target
from tests.stillness import still_screen
from tests.ui.driving import NARROW, WIDE, Person
from tests.ui.still import NOW, REFUSED, STATES, Clock, StillBackend
from tests.waiting import until

Steps = Callable[[Person], Awaitable[None]]
SIZES = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x36"])


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    with still_screen():
        yield


def picture(
    snap_compare: Any,
    size: tuple[int, int],
    steps: Steps | None = None,
    *,
    states: dict[int, ProductState] = STATES,
    error: BackendError | None = None,
    read_only: bool = False,
    **options: Any,
) -> bool:
    """Whether the application, after a person's `steps`, looks as it was last accepted."""
    clock = Clock()
    backend: Backend = StillBackend(clock, states, diagnosis=options.pop("diagnosis", None))

    async def opened(_: Target) -> Backend:
        if error is not None:
            raise error
        return backend

    context = Context(read_only=read_only, colour="red" if read_only else None)
    app = CortexApp(opened, Target("prod", context), now=clock, **options)

    async def run(pilot: Pilot[None]) -> None:
        person = Person(app, pilot)
        await until(lambda: clock.at == NOW or error is not None)
        if error is None and states:
            await person.sees("NAME")
        if steps is not None:
            await steps(person)
        await pilot.pause()

    return bool(snap_compare(app, terminal_size=size, run_before=run))


def pressing(*keys: str, sees: str = "") -> Steps:
    """Press keys, then wait to see a text."""

    async def steps(person: Person) -> None:
        await person.press(*keys)
        if sees:
            await person.sees(sees)

    return steps


def product(*keys: str, row: int = 4, sees: str = "") -> Steps:
    """Open the product in a row of the table, then press keys."""

    async def steps(person: Person) -> None:
        await person.press("home", *["down"] * row, "enter")
        await person.sees("1 Broker")
        await person.sees_no("Reading the configuration")
        await pressing(*keys, sees=sees)(person)

    return steps


TYRES, DRONES, TRAVEL = 4, 0, 3
"""Rows of the table, by name."""
UNKNOWN = {
    number: state.model_copy(
        update={"unknown_since": NOW - timedelta(minutes=3), "problem": "Connection refused"}
    )
    for number, state in STATES.items()
}
AWAY = Unreachable("The orchestrator is not there", "Start it, then try again.")

SCREENS: dict[str, tuple[Steps | None, dict[str, Any]]] = {
    "products": (None, {}),
    "products-trouble-first": (pressing("t"), {}),
    "products-filtered": (pressing("slash", "t", "y"), {}),
    "products-nothing-matches": (pressing("slash", "q", "q", sees="Nothing matches"), {}),
    "products-unknown": (None, {"states": UNKNOWN}),
    "no-products-yet": (pressing(sees="No products yet"), {"states": {}}),
    "not-opened": (pressing(sees="Could not open"), {"error": AWAY}),
    "read-only": (pressing("n", sees="read-only"), {"read_only": True}),
    "new-product": (pressing("n", "x", "backspace", sees="name is empty"), {}),
    "delete-product": (pressing("end", "x", sees="cannot be undone"), {}),
    "help": (pressing("question_mark"), {}),
    "find": (pressing("ctrl+p"), {}),
    "command-line": (pressing("colon", "p", "r", "o"), {}),
    "themes": (pressing("f9"), {}),
    "broker": (product(), {}),
    "broker-wrong-values": (product("enter", "end", "slash", "tab", *"99999", sees="at most"), {}),
    "broker-not-configured": (product(row=DRONES), {}),
    "broker-latched": (product(row=TRAVEL), {}),
    "leaving-unsaved": (product("enter", "end", "x", "escape", "escape", sees="unsaved"), {}),
    "configuration-history": (product("h", sees="History"), {}),
    "test-passed": (product("f4", sees="Connected"), {}),
    "test-failed": (product("f4", sees="Bad username or password"), {"diagnosis": REFUSED}),
    "topics": (product("2", sees="Pattern"), {}),
    "subscriptions": (product("3", "down", sees="matched"), {}),
    "subscriptions-none": (product("3", row=DRONES, sees="No subscriptions yet"), {}),
    "subscription": (product("3", "down", "enter", sees="Application id"), {}),
    "events": (product("4", sees="unreadable"), {}),
    "events-none": (product("4", row=DRONES), {}),
    "event": (product("4", "enter", sees="event_id"), {}),
    "actions-dead": (product("5", sees="503"), {}),
    "actions-all": (product("5", "v", "v", "v", "v", sees="○ recorded"), {}),
    "action": (product("5", "enter", sees="broke off"), {}),
    "dry-run": (product("4", "f4", "enter"), {}),
    "publish": (product("3", "down", "p"), {}),
}


@SIZES
@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen(snap_compare: Any, screen: str, size: tuple[int, int]) -> None:
    steps, options = SCREENS[screen]
    assert picture(snap_compare, size, steps, **options)


@pytest.mark.parametrize("screen", ["products", "broker", "events"])
def test_in_ascii(snap_compare: Any, screen: str) -> None:
    steps, options = SCREENS[screen]
    assert picture(snap_compare, NARROW, steps, ascii_only=True, **options)


@pytest.mark.parametrize("screen", ["products", "broker", "subscriptions"])
def test_without_colour(snap_compare: Any, screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    steps, options = SCREENS[screen]
    assert picture(snap_compare, NARROW, steps, **options)


@pytest.mark.parametrize("theme", ["cortex-light", "ansi-dark", "textual-dark"])
def test_in_another_theme(snap_compare: Any, theme: str) -> None:
    assert picture(snap_compare, WIDE, product(), theme=theme)
