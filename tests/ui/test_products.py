"""The table of products, as a person works with it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from cortex_tui.backend import Backend
from cortex_tui.demo.broker import Broker
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import (
    ConnectionStatus,
    Product,
    ProductChange,
    ProductDraft,
    ProductState,
    SubscriptionDraft,
)
from cortex_tui.rates import POINT
from cortex_tui.screens.products import ProductsScreen
from cortex_tui.settings import Context, Target
from cortex_tui.states import ConnectionState
from tests.brokers import publish
from tests.orchestrators import TOPIC, configured, draft, reaches
from tests.ui.conftest import Orchestrator
from tests.ui.driving import WIDE, Person, before
from tests.waiting import until

EVERY = SubscriptionDraft(name="audit", topic=TOPIC, event="*")


async def make(backend: LocalBackend, *names: str) -> None:
    for name in names:
        await backend.create_product(ProductDraft(name=name))


class Fleet(LocalBackend):
    """An orchestrator with a product in each state, two of which have actions that failed."""

    async def watch(self) -> AsyncGenerator[Mapping[int, ProductState | None]]:
        now = datetime.now(UTC)
        yield {
            number: ProductState(
                product=Product(id=number, name=f"Product {number}"),
                status=ConnectionStatus(product_id=number, updated_at=now, state=state),
                actions_dead=6 if number in (1, 4) else 0,
            )
            for number, state in enumerate(ConnectionState)
        }


def order(person: Person, *names: str) -> list[str]:
    """`names` in the order of their lines."""
    return sorted(names, key=person.screen.find)


async def test_an_empty_database_greets_and_the_first_product_is_made(
    orchestrator: Orchestrator,
) -> None:
    async with before(orchestrator.open) as person:
        await person.sees("No products yet")
        await person.press("n")
        await person.sees("New product")
        await person.type("Tyres")
        await person.press("tab")
        await person.type("Insures tyres")
        await person.press("f2")
        await person.sees("▸ ○ not configured", "Tyres", "0/0")
        await person.sees("Insures tyres")
        [product] = await orchestrator.inside.products()
    assert (product.name, product.description) == ("Tyres", "Insures tyres")


async def test_a_name_is_needed(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.press("n", "f2")
        await person.sees("✗ name is empty: give it at least one character")
        await person.type("Pets")
        await person.sees_no("✗ name is empty")


async def test_a_new_product_is_under_the_cursor(embedded: Orchestrator) -> None:
    await make(embedded.inside, "Alpha", "Zulu")
    async with before(embedded.open) as person:
        await person.sees("▸", "Alpha")
        await person.press("n")
        await person.type("Mike")
        await person.press("f2")
        await person.sees("▸", "Mike")


async def test_edit(orchestrator: Orchestrator) -> None:
    await make(orchestrator.inside, "Tyres")
    async with before(orchestrator.open) as person:
        await person.sees("Tyres")
        await person.press("e")
        await person.sees("Edit product Tyres")
        await person.fill("Wheels")
        await person.press("f2")
        await person.sees("▸", "Wheels")
        [product] = await orchestrator.inside.products()
    assert product.name == "Wheels"


async def test_enter_in_the_last_field_saves(orchestrator: Orchestrator) -> None:
    await make(orchestrator.inside, "Tyres")
    async with before(orchestrator.open) as person:
        await person.sees("Tyres")
        await person.press("e")
        await person.fill("Wheels")
        await person.press("enter", "enter", "enter")
        await person.sees("▸", "Wheels")
        [product] = await orchestrator.inside.products()
    assert product.name == "Wheels"


async def test_what_is_said_of_a_product_follows_the_filter(embedded: Orchestrator) -> None:
    for name in ("Boats", "Tyres"):
        await embedded.inside.create_product(
            ProductDraft(name=name, description=f"all about {name}")
        )
    async with before(embedded.open) as person:
        await person.sees("all about Boats")
        await person.press("slash", "t", "y")
        await person.sees("▸", "Tyres")
        await person.sees("all about Tyres")


async def test_leaving_an_edited_form_asks(embedded: Orchestrator) -> None:
    await make(embedded.inside, "Tyres")
    async with before(embedded.open) as person:
        await person.sees("Tyres")
        await person.press("e")
        await person.type("!")
        await person.press("escape")
        await person.sees("Discard what you typed?")
        await person.press("n")
        await person.sees("Edit product", "Tyres")
        await person.press("escape")
        await person.sees("Discard what you typed?")
        await person.press("d")
        await person.sees("▸", "Tyres")
        [product] = await embedded.inside.products()
    assert product.name == "Tyres"


async def test_disable_and_enable(orchestrator: Orchestrator, broker: Broker) -> None:
    product = await configured(orchestrator.inside, draft(broker), EVERY)
    await reaches(orchestrator.inside, product.id, ConnectionState.CONNECTED)
    async with before(orchestrator.open) as person:
        await person.sees("● connected", "Tyres", "1/1")
        await person.press("d")
        await person.sees("– disabled", "Tyres")
        await person.press("r")
        await person.sees("There is nothing to reconnect")
        await person.press("space")
        await person.sees("● connected", "Tyres")


async def test_delete_names_what_goes_and_can_be_refused(orchestrator: Orchestrator) -> None:
    await make(orchestrator.inside, "Pets", "Tyres")
    async with before(orchestrator.open) as person:
        await person.sees("▸", "Pets")
        await person.press("delete")
        await person.sees("Delete product Pets?")
        await person.sees("This cannot be undone.")
        await person.press("enter")  # the button that keeps it has the focus
        await person.sees("▸", "Pets")
        await person.press("x")
        await person.sees("(n)")
        await person.press("y")
        await person.sees("▸", "Tyres")
        await person.sees_no("Pets")
        assert [each.name for each in await orchestrator.inside.products()] == ["Tyres"]


async def test_messages_rate_and_age_follow_the_broker(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await configured(orchestrator.inside, draft(broker), EVERY)
    await reaches(orchestrator.inside, product.id, ConnectionState.CONNECTED)
    async with before(orchestrator.open) as person:
        await person.sees("● connected", "Tyres", "0/s", "–")
        for _ in range(3):
            publish(broker, TOPIC, '{"event": "paid"}')
        await person.sees("● connected", "Tyres", " 3 ", "now")
        await person.sees("1 product ", "/s")
        await person.sees_no("0/s")


async def test_a_broken_product_says_why_and_what_to_do(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await configured(orchestrator.inside, draft(broker), EVERY)
    await reaches(orchestrator.inside, product.id, ConnectionState.CONNECTED)
    broker.stop()
    await reaches(orchestrator.inside, product.id, ConnectionState.RETRYING)
    async with before(orchestrator.open) as person:
        await person.sees("1 product ", "↻ 1 retrying")
        await person.sees("▸ ↻ retrying", "Tyres")
        await person.sees("Tyres  ↻ retrying", "attempt", f"{broker.host}:{broker.port}")
        error = (await orchestrator.inside.status(product.id)).connection_error
        await person.sees(str(error).split(":")[0])


async def test_the_filter_narrows_as_it_is_typed_and_esc_clears_it(embedded: Orchestrator) -> None:
    await make(embedded.inside, "Home contents", "Home building", "Tyres")
    async with before(embedded.open) as person:
        await person.sees("Tyres")
        await person.press("slash")
        await person.sees("Enter To the rows   Esc Clear   F1 Help")
        await person.type("HOME b")
        await person.sees("▸", "Home building")
        assert not person.line("Home contents")
        await person.sees("1 of 3")
        await person.type("x")
        await person.sees("Nothing matches")
        await person.press("backspace", "enter")
        await person.press("escape")
        await person.sees("Home contents")
        await person.sees_no("1 of 3")


async def test_what_is_sorted_by_is_always_in_view(embedded: Orchestrator) -> None:
    await make(embedded.inside, "Alpha", "Zulu")
    async with before(embedded.open) as person:
        await person.sees("NAME▴")
        for _ in range(8):
            await person.press("s")
            heading = person.line("STATE", "NAME")
            assert "▴" in heading or "▾" in heading
        assert "BROKER" not in person.screen


async def test_of_several_lines_that_are_pasted_none_is_lost(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await person.press("n")
        await person.paste("  Car \n\n tyres\r\n")
        await person.press("tab")
        await person.paste("of Zurich \n")
        await person.press("f2")
        await person.sees("▸", "Car tyres")
        [product] = await embedded.inside.products()
        assert (product.name, product.description) == ("Car tyres", "of Zurich ")


async def test_sorting(embedded: Orchestrator, broker: Broker) -> None:
    product = await configured(embedded.inside, draft(broker), EVERY)  # Tyres
    await make(embedded.inside, "Alpha", "Zulu")
    await reaches(embedded.inside, product.id, ConnectionState.CONNECTED)
    names = ("Alpha", "Tyres", "Zulu")
    async with before(embedded.open) as person:
        await person.sees("NAME▴")
        await person.sees("● connected", "Tyres")
        assert order(person, *names) == ["Alpha", "Tyres", "Zulu"]
        await person.press("S")
        await person.sees("NAME▾")
        assert order(person, *names) == ["Zulu", "Tyres", "Alpha"]
        await person.press("s")
        await person.sees("▴ID")
        assert order(person, *names) == ["Tyres", "Alpha", "Zulu"]
        await person.click("STATE")
        await person.sees("STATE▴")
        assert order(person, *names) == ["Tyres", "Alpha", "Zulu"]
        await person.click("STATE")
        await person.sees("STATE▾")
        assert order(person, *names) == ["Zulu", "Alpha", "Tyres"]
        await person.click("MESSAGES")
        await person.sees("▾MESSAGES")  # the most first
        await person.click("MESSAGES")
        await person.sees("▴MESSAGES")


async def test_trouble_comes_first_when_asked_and_opens_with_one_key(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await configured(orchestrator.inside, draft(broker), EVERY)  # Tyres
    await make(orchestrator.inside, "Alpha", "Bravo")
    broker.stop()
    await reaches(orchestrator.inside, product.id, ConnectionState.RETRYING)
    async with before(orchestrator.open) as person:
        await person.sees("t Trouble")
        await person.sees("▸ ○ not configured", "Alpha")
        await person.press("t")
        await person.sees("STATE▴")
        await person.sees("▸ ↻ retrying", "Tyres")
        await person.press("enter")
        await person.sees("cortex › Tyres")
        await person.press("escape", "t")
        await person.sees("NAME▴")
        await person.sees("▸ ○ not configured", "Alpha")


async def test_a_refused_filter_shows_in_the_state_of_its_product(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    long = SubscriptionDraft(name="long", topic="x" * 65_535)
    product = await configured(orchestrator.inside, draft(broker), EVERY, long)
    await reaches(orchestrator.inside, product.id, ConnectionState.CONNECTED)
    async with before(orchestrator.open) as person:
        await person.sees("▸ ⚠ degraded", "Tyres")
        await person.sees("1 product ", "⚠ 1 degraded")
        await person.sees_each("✗ Longer than MQTT allows:", "bre/xxx")
        await person.press("enter")
        await person.sees("⚠ degraded", "since")


async def test_the_summary_tells_what_matters_least_together_where_it_is_narrow(
    tmp_path: Path,
) -> None:
    async def fleet(_: Target) -> Backend:
        return await Fleet.open(tmp_path / "fleet.db")

    async with before(fleet) as person:
        await person.sees("✗ 1 latched  ✗ 12 actions failed  7 others")
    async with before(fleet, size=(200, 40)) as person:
        await person.sees("8 products", *(f"1 {state.value}" for state in ConnectionState))
        await person.sees("✗ 12 actions failed")


async def test_failed_actions_are_trouble_of_their_product(tmp_path: Path) -> None:
    async def fleet(_: Target) -> Backend:
        return await Fleet.open(tmp_path / "fleet.db")

    async with before(fleet, size=(200, 40)) as person:
        await person.sees("STATE", "ERROR")
        for name in ("Product 1", "Product 4"):
            await person.sees(name, "✗ 6 actions failed")
        await person.press("t")
        await person.sees("STATE▴")
        # Below what is wrong with connections, above the connection that is being made.
        names = ("Product 7", "Product 1", "Product 4", "Product 0")
        assert order(person, *names) == list(names)
    async with before(fleet) as person:
        await person.sees("NAME▴")
        await person.press("down")
        await person.sees("✗ 6 actions failed: 5 in the product shows why")


async def test_the_rate_is_pictured_where_there_is_room(
    embedded: Orchestrator, broker: Broker
) -> None:
    product = await configured(embedded.inside, draft(broker), EVERY)
    await reaches(embedded.inside, product.id, ConnectionState.CONNECTED)
    now = [datetime.now(UTC)]
    async with before(embedded.open, size=(100, 30), now=lambda: now[0]) as person:
        await person.sees("STATE", "LAST MINUTE")
        now[0] += timedelta(seconds=POINT)
        await person.sees("Tyres", "0/s")
        publish(broker, TOPIC, '{"event": "paid"}')
        await person.sees("● connected", "Tyres", "0.2/s")
        now[0] += timedelta(seconds=POINT)
        await person.sees("● connected", "Tyres", "▇")
        await person.press("enter")
        await person.sees("▇")


async def test_the_cursor_stays_on_its_product_when_others_come_and_go(
    embedded: Orchestrator,
) -> None:
    await make(embedded.inside, "Alpha", "Mike", "Zulu")
    async with before(embedded.open) as person:
        await person.sees("Zulu")
        await person.press("down")
        await person.sees("▸", "Mike")
        await make(embedded.inside, "Bravo")
        await person.sees("Bravo")
        assert person.line("▸", "Mike")
        await embedded.inside.delete_product(1)
        await person.sees_no("Alpha")
        assert person.line("▸", "Mike")


async def test_moving_and_scrolling(embedded: Orchestrator) -> None:
    await make(embedded.inside, *(f"Product {number:02}" for number in range(40)))
    async with before(embedded.open) as person:
        await person.sees("▸", "Product 00")
        await person.press("end")
        await person.sees("▸", "Product 39")
        await person.sees_no("Product 00")
        await person.press("up", "k")
        await person.sees("▸", "Product 37")
        await person.press("home")
        await person.sees("▸", "Product 00")
        await person.press("pagedown")
        await person.sees_no("▸", "Product 00")
        await person.click("Product 05")
        await person.sees("▸", "Product 05")


async def test_wide_screens_show_broker_and_error_in_the_table(
    embedded: Orchestrator, broker: Broker
) -> None:
    product = await configured(embedded.inside, draft(broker), EVERY)
    await reaches(embedded.inside, product.id, ConnectionState.CONNECTED)
    async with before(embedded.open, size=(160, 40)) as person:
        await person.sees("STATE", "BROKER", "ERROR")
        await person.sees("● connected", "Tyres", f"{broker.host}:{broker.port}")
        await person.pilot.resize_terminal(*WIDE)
        await person.sees("STATE", "BROKER")
        await person.sees_no("ERROR")


async def test_a_database_in_use_is_explained_and_can_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "cortex.db"
    other = await LocalBackend.open(path)

    async def open_it(_: Target) -> Backend:
        return await LocalBackend.open(path)

    async with before(open_it) as person:
        await person.sees("Could not open")
        await person.sees("r  try again")
        await other.aclose()
        await person.press("r")
        await person.sees("No products yet")


async def test_what_is_gone_already_is_no_command_for_the_next(embedded: Orchestrator) -> None:
    await make(embedded.inside, "Pets", "Tyres")
    async with before(embedded.open) as person:
        await person.sees("▸", "Pets")
        [pets, tyres] = await embedded.inside.products()
        page = cast("ProductsScreen", person.app.screen)
        # It is deleted elsewhere, and a key comes before the table hears of that.
        person.app.watched._take({pets.id: None})
        page.action_command("products.toggle")
        page.action_command("products.open")
        await person.sees("▸", "Tyres")
        await person.sees("Open: No product is selected.")
        assert (await embedded.inside.products()) == [pets, tyres]


async def test_what_ends_after_its_orchestrator_was_left_is_not_undone_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_tui.watched.CLOSING", 0.1)
    backends = {name: await LocalBackend.open(tmp_path / name) for name in ("test", "other")}
    for name, backend in backends.items():
        await make(backend, f"{name} product")
    update = backends["test"].update_product
    switched, answer = asyncio.Event(), asyncio.Event()

    async def late(product_id: int, change: ProductChange) -> Product:
        product = await update(product_id, change)
        switched.set()
        await answer.wait()
        return product

    monkeypatch.setattr(backends["test"], "update_product", late)

    async def open_it(target: Target) -> Backend:
        return backends[target.name]

    other = Target("other", Context())
    async with before(open_it, others=[other]) as person:
        await person.sees("▸", "test product")
        await person.press("space")
        await switched.wait()
        await person.app.run_worker(person.app.switch(other)).wait()
        await person.sees("▸", "other product")
        answer.set()
        await until(lambda: all(each.group != "commands" for each in person.app.workers))
        assert person.app.refusal("undo") == "Nothing was switched on or off."
