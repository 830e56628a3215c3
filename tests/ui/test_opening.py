"""The first moments: rows of what is stored, and keys that do not wait for the person to know."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cortex_tui.backend import Backend, BackendError
from cortex_tui.local.backend import LocalBackend
from cortex_tui.local.lock import DatabaseBusy
from cortex_tui.local.store import Store
from cortex_tui.local.stored import stored_products
from cortex_tui.models import ProductDraft
from cortex_tui.settings import Context, Target
from cortex_tui.states import StoredProduct
from tests.ui.driving import Person, before
from tests.ui.test_product import in_field
from tests.waiting import until


class Opening:
    """An orchestrator that is open when it is told to be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.may_open = asyncio.Event()
        self.failure: BackendError | None = None
        self.backend: LocalBackend | None = None

    async def open(self, _: Target) -> Backend:
        await self.may_open.wait()
        if self.failure:
            raise self.failure
        self.backend = await LocalBackend.open(self.path)
        return self.backend

    async def stored(self, _: Target) -> Mapping[int, StoredProduct]:
        return stored_products(self.path)


@asynccontextmanager
async def opening(folder: Path, *names: str) -> AsyncIterator[tuple[Person, Opening]]:
    """A person before an application that is being opened, with these products stored."""
    held = Opening(folder / "cortex.db")
    backend = await LocalBackend.open(held.path)
    for name in names:
        await backend.create_product(ProductDraft(name=name))
    await backend.aclose()
    async with before(held.open, read_stored=held.stored) as person:
        yield person, held


async def test_the_rows_are_there_before_the_orchestrator(tmp_path: Path) -> None:
    async with opening(tmp_path, "Tyres", "Brakes") as (person, held):
        await person.sees("Tyres")
        await person.sees("Brakes")
        await person.sees("2 products")
        await person.sees("not configured")
        assert person.app.watched.backend is None
        held.may_open.set()
        await person.press("n")
        await person.sees("New product")


async def test_a_key_is_carried_out_as_soon_as_that_is_possible(tmp_path: Path) -> None:
    async with opening(tmp_path, "Tyres", "Brakes") as (person, held):
        await person.sees("Tyres")
        await person.press("down", "enter")
        await person.sees("2 products")
        held.may_open.set()
        await person.sees("cortex › Tyres")


async def test_a_key_means_the_row_it_was_pressed_on(tmp_path: Path) -> None:
    async with opening(tmp_path, "Tyres", "Brakes") as (person, held):
        await person.sees("▸", "Brakes")
        await person.press("space", "down")
        held.may_open.set()
        await person.sees("disabled", "Brakes")
        assert not person.line("disabled", "Tyres")


async def test_a_key_that_is_pressed_twice_opens_one_page(tmp_path: Path) -> None:
    async with opening(tmp_path, "Tyres") as (person, held):
        await person.sees("Tyres")
        person.at_once("enter", "enter")
        held.may_open.set()
        await person.sees("cortex › Tyres")
        await until(lambda: in_field(person) == "Host")
        await person.press("escape", "escape")
        await person.sees("1 product")


async def test_what_is_typed_behind_a_key_that_waits_goes_where_it_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_tui.typeahead.PATIENCE", 600.0)
    async with opening(tmp_path, "Tyres") as (person, held):
        await person.sees("Tyres")
        person.at_once("n", *"drive q", "enter", "f2")
        await person.pilot.pause()
        held.may_open.set()
        await person.sees("drive q", "not configured")


async def test_what_is_typed_behind_it_is_no_other_command_where_it_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_tui.typeahead.PATIENCE", 0.01)
    async with opening(tmp_path, "Tyres") as (person, held):
        await person.sees("Tyres")
        person.at_once("n", *"bread", "question_mark")
        await person.sees("Esc", "Close")
        await person.press("escape")
        held.may_open.set()
        await person.sees("New product")
        assert held.backend is not None
        assert all(each.enabled for each in await held.backend.products())


async def test_a_key_that_waits_holds_nothing_back_where_nothing_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_tui.typeahead.PATIENCE", 600.0)
    async with opening(tmp_path, "Tyres") as (person, held):
        await person.sees("Tyres")
        person.at_once("n", "question_mark")
        await person.pilot.pause()
        held.failure = BackendError("It is broken.")
        held.may_open.set()
        await person.sees("Try again to reach the orchestrator")
        await person.press("escape")
        await person.sees("Could not open")


@pytest.mark.parametrize("key", ["question_mark", "colon", "ctrl+p"])
async def test_it_opens_behind_whatever_is_asked_for_first(tmp_path: Path, key: str) -> None:
    async with opening(tmp_path, "Tyres") as (person, held):
        await person.press(key)
        held.may_open.set()
        await until(lambda: person.app.watched.seen)


async def test_what_waits_is_dropped_where_something_else_is_open_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_tui.typeahead.PATIENCE", 0.01)
    async with opening(tmp_path, "Tyres") as (person, held):
        await person.sees("Tyres")
        person.at_once("enter", "question_mark")
        await person.sees("Esc", "Close")
        held.may_open.set()
        await until(lambda: person.app.watched.seen)
        await person.press("escape")
        await person.sees_no("Close")
        assert len(person.app.screen_stack) == 1


async def test_what_waited_is_forgotten_with_its_orchestrator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_tui.typeahead.PATIENCE", 600.0)
    never, others = asyncio.Event(), [Target("other", Context())]
    backend = await LocalBackend.open(tmp_path / "cortex.db")
    await backend.create_product(ProductDraft(name="Tyres"))
    await backend.aclose()

    async def open_it(target: Target) -> Backend:
        if target.name != "other":
            await never.wait()
        return await LocalBackend.open(tmp_path / f"{target.name}.db")

    async def stored(target: Target) -> Mapping[int, StoredProduct]:
        return {} if target.name == "other" else stored_products(tmp_path / "cortex.db")

    async with before(open_it, read_stored=stored, others=others) as person:
        await person.sees("▸", "Tyres")
        person.at_once("enter")
        await person.pilot.pause()
        person.app.run_worker(person.app.switch(others[0]))
        await person.sees("No products yet")
        person.at_once("n", *"Pets", "f2")
        await person.sees("▸", "Pets")


async def test_an_orchestrator_that_was_left_while_it_opened_frees_its_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def held(*arguments: Any) -> Store:
        begun.set()
        may_go_on.wait(20)
        return Store(*arguments)

    monkeypatch.setattr("cortex_tui.local.backend.Store", held)
    leaving = asyncio.create_task(LocalBackend.open(tmp_path / "cortex.db"))
    await until(begun.is_set)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    may_go_on.set()

    async def opens_again() -> bool:
        try:
            backend = await LocalBackend.open(tmp_path / "cortex.db")
        except DatabaseBusy:
            return False
        await backend.aclose()
        return True

    await until(opens_again)


async def test_what_needs_only_the_rows_works_at_once(tmp_path: Path) -> None:
    async with opening(tmp_path, "Tyres", "Brakes") as (person, held):
        await person.sees("Tyres")
        await person.press("slash")
        await person.type("delay")  # of these letters some are keys of commands
        await person.sees("0 of 2")
        await person.press("escape", "slash")
        await person.type("ty")
        await person.sees("1 of 2")
        held.may_open.set()
        await person.sees("1 of 2")
        await person.sees("Tyres")


async def test_what_cannot_be_opened_says_so_and_forgets_the_keys(tmp_path: Path) -> None:
    async with opening(tmp_path, "Tyres") as (person, held):
        held.failure = BackendError("the disk is gone", "Look for it.")
        await person.sees("Tyres")
        await person.press("enter", "n")
        held.may_open.set()
        await person.sees("Could not open")
        await person.sees("the disk is gone")
        await person.sees("Look for it.")
        held.failure = None
        await person.press("r")
        await person.sees("Tyres")
        await person.sees("1 product")
        assert len(person.app.screen_stack) == 1


async def test_nothing_can_be_copied_yet(tmp_path: Path) -> None:
    async with opening(tmp_path, "Tyres") as (person, _):
        await person.sees("Tyres")
        await person.press("y")
        await person.sees("There is nothing to copy")


async def test_a_state_that_comes_as_the_application_ends_is_nobodys(tmp_path: Path) -> None:
    async with opening(tmp_path, "Tyres") as (person, held):
        held.may_open.set()
        await person.sees("1 product")
    assert not person.app.screen_stack
    person.app.watched._take({})
