"""What is typed ahead, as over a slow line that sends many keys at once, is taken key by key."""

import asyncio
import time

import pytest

from cortex_tui import typeahead
from cortex_tui.models import ProductDraft, SubscriptionDraft
from cortex_tui.widgets.field import FieldRow
from tests.ui.conftest import Orchestrator
from tests.ui.driving import before, held


async def test_what_follows_a_key_that_opens_a_dialog_is_typed_into_it(
    embedded: Orchestrator,
) -> None:
    for name in ("Pets", "Tyres"):
        await embedded.inside.create_product(ProductDraft(name=name))
    async with before(embedded.open) as person:
        await person.sees("▸", "Pets")
        person.at_once(":", *"prod tyres", "enter", "3", "n", *"paid xd", "enter", *"a/b", "f2")
        await person.sees("cortex › Tyres")
        await person.sees("● on", "paid xd")
        assert all(each.enabled for each in await embedded.inside.products())


async def test_what_closes_a_dialog_is_followed_by_keys_of_the_page(embedded: Orchestrator) -> None:
    product = await embedded.inside.create_product(ProductDraft(name="Tyres"))
    await embedded.inside.create_subscription(product.id, SubscriptionDraft(name="paid"))
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        person.at_once("?", "escape", "enter", "enter", *"localhost", "escape", "2", "3")
        await person.sees("● on", "paid")
        await person.sees("1 Broker •")


async def test_what_closes_a_form_is_followed_by_keys_of_the_page(embedded: Orchestrator) -> None:
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        person.at_once("enter", "3", "n", "escape", "2")
        await person.sees("Prefix")
        await person.press("3", "n")
        await person.sees("New subscription")
        person.at_once("x", "escape")
        await person.sees("Discard what you typed?")
        person.at_once("d", "2")
        await person.sees("Prefix")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key goes on only because it has waited for long."""
    monkeypatch.setattr(typeahead, "PATIENCE", 600.0)


@pytest.fixture
def answer(embedded: Orchestrator, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Lets the orchestrator answer what a configuration is, as if from far away."""
    return held(monkeypatch, embedded.inside, "config")


async def test_keys_wait_for_what_a_page_has_to_read(
    embedded: Orchestrator, answer: asyncio.Event
) -> None:
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter")
        await person.sees("Reading the configuration")
        person.at_once("enter", *"localhost")
        await person.pilot.pause()
        answer.set()
        await person.sees("Host", "localhost")


async def test_keys_do_not_wait_for_ever(
    embedded: Orchestrator, answer: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typeahead, "PATIENCE", 0.1)
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        person.at_once("enter", "2", "escape")
        await person.sees("Reading the configuration")
        await person.sees("▸", "Tyres")


async def test_no_key_overtakes_another_on_a_machine_that_is_slow(
    embedded: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause of the whole program is none of the key that was under way."""

    def stop(_: FieldRow) -> None:
        time.sleep(2 * typeahead.PATIENCE)

    monkeypatch.setattr(typeahead, "PATIENCE", 0.1)
    monkeypatch.setattr(FieldRow, "on_key", stop, raising=False)
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter", "enter")
        await person.type("broker")
        person.at_once("ctrl+u", *"localhost", "f6")
        await person.sees("Prefix")
        await person.press("1")
        await person.sees("Host", " localhost ")


async def test_nothing_is_deleted_by_what_was_typed_before_the_question_was_there(
    embedded: Orchestrator,
) -> None:
    product = await embedded.inside.create_product(ProductDraft(name="Tyres"))
    await embedded.inside.create_subscription(product.id, SubscriptionDraft(name="paid"))
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        person.at_once("enter", "3", "x", "y")
        await person.sees("Delete subscription paid?")
        await person.press("y")
        await person.sees("No subscriptions yet")


@pytest.mark.parametrize("step", ["tab", "shift+tab", "right", "left"])
async def test_what_was_typed_before_the_question_was_there_gives_the_safe_answer(
    embedded: Orchestrator, step: str
) -> None:
    product = await embedded.inside.create_product(ProductDraft(name="Tyres"))
    await embedded.inside.create_subscription(product.id, SubscriptionDraft(name="paid"))
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        person.at_once("enter", "3", "x", step, "enter", "2")
        await person.sees("Prefix")
        await person.sees("Subscriptions 1/1")


async def test_tab_completes_what_was_typed_before_it(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await person.press("colon")
        await person.sees("Complete")
        person.at_once(*"them", "tab", *"nord", "enter")
        await person._until(lambda: person.app.theme == "nord", "never was nord")


async def test_leaving_waits_for_nothing(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        person.at_once("n", *"Tyres", "ctrl+c")
        await person._until(lambda: not person.app.is_running, "never left")
