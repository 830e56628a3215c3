"""Dialogs and the application are closed at odd moments: nothing else closes with them."""

import asyncio

import pytest

from cortex_tui.app import CortexApp
from cortex_tui.backend import FieldProblem, Invalid, Unreachable
from cortex_tui.models import ProductDraft, SubscriptionDraft
from cortex_tui.settings import Context, Target
from tests.ui.conftest import Orchestrator
from tests.ui.driving import before, held
from tests.waiting import until


async def test_a_form_that_is_told_twice_to_save_saves_once(orchestrator: Orchestrator) -> None:
    await orchestrator.inside.create_product(ProductDraft(name="Tyres"))
    async with before(orchestrator.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("e")
        await person.type("Pets")
        person.at_once("f2", "f2", "enter")
        await person.sees("cortex › Pets")
        person.at_once("3", "n", *"paid", "f2", "f2", "2")
        await person.sees("Prefix")


async def test_a_form_is_not_left_while_it_is_being_saved(
    embedded: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = held(monkeypatch, embedded.inside, "create_product")
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await person.press("n")
        await person.type("Pets")
        await person.press("f2")
        await person.press("escape")
        await person.sees("Close: It is being saved.")
        answer.set()
        await person.sees("▸", "Pets")
        await person.sees_no("New product")


async def test_a_dry_run_that_is_refused_closes_what_stands_above_it(
    embedded: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await embedded.inside.create_product(ProductDraft(name="Tyres"))
    await embedded.inside.create_subscription(product.id, SubscriptionDraft(name="paid"))

    async def refuse(*_: object) -> object:
        raise Invalid([FieldProblem(("draft", "name"), "it is not liked")])

    monkeypatch.setattr(embedded.inside, "try_event", refuse)
    answer = held(monkeypatch, embedded.inside, "try_event")
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter", "3", "enter")
        await person.press("f4")
        await person.sees("Dry run of paid")
        await person.press("e")
        await person.sees("An event to try")
        answer.set()
        await person.sees("✗ it is not liked")
        await person.press("escape")
        await person.sees("● on", "paid")


async def test_a_page_that_could_not_be_read_is_left_at_once(
    embedded: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    await embedded.inside.create_product(ProductDraft(name="Tyres"))

    async def fail(_: int) -> object:
        raise Unreachable("the orchestrator cannot be reached")

    monkeypatch.setattr(embedded.inside, "config", fail)
    monkeypatch.setattr("cortex_tui.typeahead.PATIENCE", 600.0)
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter")
        await person.sees("The configuration cannot be read")
        await person.sees("cannot be reached")
        assert not person.line("Broker •")
        await person.press("escape")
        await person.sees("▸", "Tyres")


@pytest.mark.parametrize("steps", range(0, 16, 2))
async def test_the_application_can_be_left_while_it_opens(
    embedded: Orchestrator, steps: int
) -> None:
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    app = CortexApp(embedded.open, Target("test", Context()))
    running = asyncio.create_task(app.run_async(headless=True, size=(80, 24)))
    await until(lambda: app.is_running)
    for _ in range(steps):
        await asyncio.sleep(0)
    app.do_leave()
    await running
    assert not app.return_code
