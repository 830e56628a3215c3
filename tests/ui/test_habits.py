"""What hands remember: saying a command, copying, taking back, finding things as they were left."""

import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.events import Key

from cortex_tui.backend import Backend
from cortex_tui.demo.broker import Broker
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft, SubscriptionDraft
from cortex_tui.screens.base import Commanded
from cortex_tui.settings import Context, Remembered, Target
from cortex_tui.states import ConnectionState
from tests.orchestrators import TOPIC, configured, draft, reaches
from tests.ui.conftest import Orchestrator
from tests.ui.driving import Person, before
from tests.waiting import until

AUDIT = SubscriptionDraft(name="audit", topic=TOPIC, event="*")


async def make(orchestrator: Orchestrator, *names: str) -> None:
    for name in names:
        await orchestrator.inside.create_product(ProductDraft(name=name))


def each_its_own(first: Orchestrator, folder: Path) -> Callable[[Target], Awaitable[Backend]]:
    """The context "test" is `first`, each other one a database of its own."""

    async def open_it(target: Target) -> Backend:
        if target.name == "test":
            return first.inside
        backend = await LocalBackend.open(folder / f"{target.name}.db")
        await backend.create_product(ProductDraft(name=f"Of {target.name}"))
        return backend

    return open_it


async def say(person: Person, text: str) -> None:
    await person.press("colon")
    await person.type(text)
    # Not through the pilot, which waits for every widget of a screen, also of one that this closes.
    person.app.post_message(Key("enter", "\r"))


# -- saying a command -------------------------------------------------------------------------


async def test_a_product_is_gone_to_by_saying_it(orchestrator: Orchestrator) -> None:
    await make(orchestrator, "Tyres", "Winter tyres", "Pets")
    async with before(orchestrator.open) as person:
        await person.sees("Pets")
        await say(person, "prod tyres")
        await person.sees("cortex › Tyres")
        await person.sees("Clean session")
        await say(person, "prod winter")
        await person.sees("cortex › Winter tyres")
        await say(person, "products")
        await person.sees("3 products")


async def test_a_command_is_said_by_each_of_its_names(embedded: Orchestrator) -> None:
    await make(embedded, "Tyres")
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        await say(person, "new")
        await person.sees("New product")
        await person.press("escape", "enter")
        await person.sees("Clean session")
        await say(person, "subs")
        await person.sees("No subscriptions yet")
        await say(person, "theme nord")
        await until(lambda: person.app.theme == "nord")
        await say(person, "q")
        await until(lambda: person.app._exit)


async def test_what_can_be_said_is_listed_and_completed(embedded: Orchestrator) -> None:
    await make(embedded, "Tyres", "Pets")
    async with before(embedded.open) as person:
        await person.sees("Pets")
        await person.press("colon")
        await person.sees("trouble", "What is wrong first")
        await person.type("pro")
        await person.sees("▸ prod  product  p …")
        await person.press("tab")
        await person.sees("Tyres · 1", "not configured")
        await person.type("ty")
        await person.press("tab")
        await person.sees("prod Tyres · 1")
        await person.press("enter")
        await person.sees("cortex › Tyres")


async def test_what_is_not_known_is_said_and_stays_typed(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await say(person, "frobnicate")
        await person.sees("There is nothing called “frobnicate” here")
        assert person.line(":  frobnicate", "│")


async def test_what_can_be_chosen_is_named_where_something_else_is_said(
    embedded: Orchestrator,
) -> None:
    for name in ("Pets", "Tyres"):
        await embedded.inside.create_product(ProductDraft(name=name))
    async with before(embedded.open) as person:
        await person.sees("▸", "Pets")
        await say(person, "prod brakes")
        await person.sees("There is no product “brakes”")
        await person.sees("Known: Pets", "Tyres")
        await person.press("escape")
        await say(person, "theme zzz")
        await person.sees("There is no theme “zzz”")
        await person.sees("and", "more.")


async def test_another_context_is_gone_to_by_saying_it(
    embedded: Orchestrator, tmp_path: Path
) -> None:
    others = [Target("staging", Context(read_only=True)), Target("prod", Context())]
    async with before(each_its_own(embedded, tmp_path), others=others) as person:
        await person.sees("No products yet")
        await say(person, "ctx staging")
        await person.sees("cortex", "staging", "read-only")


async def test_what_was_asked_for_at_the_start_is_gone_back_to(tmp_path: Path) -> None:
    async def open_it(target: Target) -> Backend:
        return await LocalBackend.open(tmp_path / f"{target.name}.db")

    others = [Target("test", Context(read_only=True)), Target("prod", Context())]
    async with before(open_it, others=others) as person:
        await person.sees("No products yet")
        await say(person, "ctx prod")
        await person.sees("cortex", "prod")
        await say(person, "ctx test")
        await person.sees("cortex", "test")
        await person.sees("No products yet")
        await person.sees_no("read-only")


async def test_one_context_alone_cannot_be_left(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await say(person, "ctx")
        await person.sees("There is no other context")


async def test_every_theme_can_be_worn(embedded: Orchestrator) -> None:
    await make(embedded, "Tyres")
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        assert len(person.app.available_themes) > 10
        for theme in person.app.available_themes:
            person.app.theme = theme
            await person.pilot.pause()
            marked, other = (_look(person, text) for text in ("Tyres", "NAME"))
            assert marked != other, theme


def _look(person: Person, text: str) -> object:
    """The style in which the first line with `text` is drawn there."""
    strip = next(s for s in person.app.screen._compositor.render_strips() if text in s.text)
    return next(segment.style for segment in strip if text in segment.text)


# -- copying ----------------------------------------------------------------------------------


def sent(person: Person) -> str:
    """What was put on the clipboard last."""
    return person.app.clipboard


async def test_what_the_cursor_is_on_is_copied(orchestrator: Orchestrator, broker: Broker) -> None:
    product = await configured(orchestrator.inside, draft(broker), AUDIT)
    await reaches(orchestrator.inside, product.id, ConnectionState.CONNECTED)
    async with before(orchestrator.open) as person:
        await person.sees("● connected", "Tyres")
        await person.press("y", "enter")
        await person.sees("Sent to the terminal")
        assert sent(person) == "Tyres"
        await person.press("y")
        await person.type("whole")
        await person.press("enter")
        await until(lambda: json.loads(sent(person))["product"]["name"] == "Tyres")
        await person.press("enter", "3")
        await person.sees("▸ ● on", "audit")
        await person.press("y")
        await person.sees("topic", TOPIC)
        await person.type("topic")
        await person.sees("▸ topic", TOPIC)
        await person.press("enter")
        await until(lambda: sent(person) == TOPIC)


async def test_the_terminal_is_sent_what_is_copied(
    embedded: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(embedded, "Tyres")
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        written: list[str] = []
        assert person.app._driver is not None
        monkeypatch.setattr(person.app._driver, "write", written.append)
        await person.press("y", "enter")
        encoded = base64.b64encode(b"Tyres").decode()
        await until(lambda: f"\x1b]52;c;{encoded}\a" in written)


async def test_a_field_is_copied_and_a_password_is_not(
    embedded: Orchestrator, broker: Broker
) -> None:
    await configured(embedded.inside, draft(broker))
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter")
        await person.sees("Clean session")
        await person.fill_in("host", "broker.example.com")
        await person.press("f12")
        await until(lambda: sent(person) == "broker.example.com")
        await person.fill_in("password", "hunter2-hunter2")
        await person.press("f12")
        await person.sees("There is nothing to copy under the cursor.")
        assert sent(person) == "broker.example.com"


async def test_nothing_to_copy_is_said(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await person.press("y")
        await person.sees("There is nothing to copy under the cursor.")


async def test_what_is_too_long_for_a_terminal_is_refused(
    embedded: Orchestrator, broker: Broker
) -> None:
    long = SubscriptionDraft(name="long", topic=TOPIC, actions=(_long_action(),))
    await configured(embedded.inside, draft(broker), long)
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter", "3")
        await person.sees("▸ ● on", "long")
        await person.press("y")
        await person.type("actions")
        await person.press("enter")
        await person.sees("more than 100,000")
        assert sent(person) == ""


def _long_action() -> dict[str, object]:
    return {"type": "record", "params": {"text": "x" * 200_000}}


# -- taking back ------------------------------------------------------------------------------


async def test_switching_a_product_is_taken_back(orchestrator: Orchestrator) -> None:
    await make(orchestrator, "Tyres")
    async with before(orchestrator.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("u")
        await person.sees("Nothing was switched on or off.")
        await person.press("d")
        await person.sees("Tyres disabled. u takes it back.")
        await person.press("u")
        await person.sees("Tyres is enabled again.")
        [product] = await orchestrator.inside.products()
    assert product.enabled


async def test_switching_subscriptions_is_taken_back_in_turn(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    other = SubscriptionDraft(name="paid", topic=TOPIC, enabled=False)
    product = await configured(orchestrator.inside, draft(broker), AUDIT, other)

    async def enabled() -> list[bool]:
        return [row.enabled for row in await orchestrator.inside.subscriptions(product.id)]

    async with before(orchestrator.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter", "3")
        await person.sees("▸ ● on", "audit")
        await person.press("space")
        await person.sees("audit switched off. u takes it back.")
        await person.press("a")
        await person.sees("2 subscriptions switched on.")
        await person.press("u")
        await person.sees("2 subscriptions are off again.")
        assert await enabled() == [False, False]
        await person.press("escape", "u")  # from another place, too
        await person.sees("audit is on again.")
        assert await enabled() == [True, False]


async def test_switching_there_and_back_in_a_hurry_leaves_nothing_to_take_back(
    embedded: Orchestrator, broker: Broker
) -> None:
    product = await configured(embedded.inside, draft(broker), AUDIT)
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter", "3")
        await person.sees("▸ ● on", "audit")
        pane = person.app.screen.query_one("SubscriptionsPane")
        first = person.app.run_worker(pane.do_toggle())  # type: ignore[attr-defined]
        second = person.app.run_worker(pane.do_toggle())  # type: ignore[attr-defined]
        await first.wait()
        await second.wait()
        [row] = await embedded.inside.subscriptions(product.id)
        taken = len(person.app._undo)
        for _ in range(taken):
            await person.app.do_undo()
        assert (await embedded.inside.subscriptions(product.id))[0].enabled
    assert taken == (0 if row.enabled else 1)


# -- as they were left ------------------------------------------------------------------------


async def test_things_are_found_as_they_were_left(tmp_path: Path) -> None:
    async def open_it(_: Target) -> Backend:
        return await LocalBackend.open(tmp_path / "cortex.db")

    inside = await LocalBackend.open(tmp_path / "cortex.db")
    await make(Orchestrator(inside), "Tyres", "Winter tyres", "Pets")
    await inside.aclose()
    kept = tmp_path / "remembered.json"
    async with before(open_it, remembered=Remembered(kept)) as person:
        await person.sees("Pets")
        await person.press("S", "slash")
        await person.type("tyres")
        await person.press("enter")
        await person.press("down", "enter")
        await person.sees("cortex › Tyres")
        await say(person, "theme nord")
        await until(lambda: person.app.theme == "nord")
    async with before(open_it, remembered=Remembered(kept)) as person:
        await person.sees("2 of 3")
        await person.sees("NAME▾")
        await person.sees("▸", "  Tyres")
        assert person.app.theme == "nord"
    async with before(open_it, remembered=Remembered(kept), theme="cortex-light") as person:
        assert person.app.theme == "cortex-light", "what is given counts more"


@pytest.mark.parametrize("kept", ["", "[]", '{"products order test": 7, "product test": "x"}'])
async def test_what_is_remembered_may_be_anything(
    embedded: Orchestrator, tmp_path: Path, kept: str
) -> None:
    path = tmp_path / "remembered.json"
    path.write_text(kept)
    await make(embedded, "Tyres")
    async with before(embedded.open, remembered=Remembered(path)) as person:
        await person.sees("▸", "Tyres")
        await person.sees("NAME▴")


async def test_each_context_remembers_for_itself(embedded: Orchestrator, tmp_path: Path) -> None:
    await make(embedded, "Tyres", "Pets")
    others = [Target("staging", Context())]
    async with before(each_its_own(embedded, tmp_path), others=others) as person:
        await person.sees("NAME▴")
        await person.press("S")
        await person.sees("NAME▾")
        await say(person, "ctx staging")
        await person.sees("Of staging")
        await person.sees("NAME▴")


# -- what will change, and what was changed ---------------------------------------------------


async def test_what_touches_a_running_connection_is_shown_before(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await configured(orchestrator.inside, draft(broker), AUDIT)
    await reaches(orchestrator.inside, product.id, ConnectionState.CONNECTED)

    async def keep_alive() -> int:
        config = (await orchestrator.inside.config(product.id)).mqtt_config
        assert config is not None
        return config.broker.keep_alive

    async with before(orchestrator.open) as person:
        await person.sees("● connected", "Tyres")
        await person.press("enter")
        await person.sees("Clean session")
        await person.fill_in("keep_alive", "30")
        await person.press("f3")
        await person.sees("Save, and connect anew with this?")
        await person.sees("Keep alive  60 → 30")
        await person.press("n")
        await person.sees("• Keep alive", "30")
        assert await keep_alive() == 60
        await person.press("f3")
        await person.sees("Keep alive  60 → 30")
        await person.press("y")
        await person.sees("Connecting with the saved values.")
        assert await keep_alive() == 30


async def test_an_older_configuration_is_found_and_brought_back(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await configured(orchestrator.inside, draft(broker), AUDIT)
    await orchestrator.inside.save_config(product.id, draft(broker, keep_alive=7), by="anna@laptop")
    async with before(orchestrator.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter")
        await person.sees("Clean session")
        await person.press("h")
        await person.sees("History of Tyres")
        await person.sees("VERSION▾")  # the newest first
        await person.sees("▸ 2 now", "anna@laptop", "Keep alive")
        await person.press("enter")
        await person.sees("This is what is saved now.")
        await person.press("down")
        await person.sees("▸ 1", "first")
        await person.sees("Keep alive  7 → 60")
        await person.press("enter")
        await person.sees("• Keep alive", "60")
        await person.sees("Version 1 is in the form")
        config = (await orchestrator.inside.config(product.id)).mqtt_config
        assert config is not None
        assert config.broker.keep_alive == 7, "nothing is saved by looking"
        await person.press("f2")
        await person.sees_no("• Keep alive")
        config = (await orchestrator.inside.config(product.id)).mqtt_config
        assert config is not None
        assert (config.broker.keep_alive, config.version) == (60, 3)


async def test_a_product_without_a_configuration_has_no_history(embedded: Orchestrator) -> None:
    await make(embedded, "Tyres")
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter")
        await person.sees("Clean session")
        await person.press("h")
        await person.sees("Nothing was saved yet.")


async def test_what_can_be_copied_has_no_name_twice(embedded: Orchestrator, broker: Broker) -> None:
    product = await configured(embedded.inside, draft(broker), AUDIT)
    await reaches(embedded.inside, product.id, ConnectionState.CONNECTED)
    async with before(embedded.open) as person:
        await person.sees("● connected", "Tyres")
        await person.press("enter", "3")
        await person.sees("▸ ● on", "audit")
        screen = person.app.screen
        assert isinstance(screen, Commanded)
        names = [name for name, _ in screen.copyable()]
        assert {"subscription name", "product name"} < set(names)
        assert len(names) == len(set(names))


# -- toasts -----------------------------------------------------------------------------------


async def test_a_toast_hides_nothing_that_one_works_at(embedded: Orchestrator) -> None:
    await make(embedded, *(f"Product {number:02}" for number in range(40)))
    async with before(embedded.open) as person:
        await person.sees("▸", "Product 00")
        await person.press("end")
        await person.sees("▸", "Product 39")
        lines = person.screen.splitlines()
        await person.press("r")
        await person.sees("There is nothing to reconnect")
        now = person.screen.splitlines()
        assert "There is nothing to reconnect" in now[1]
        assert [now[0], *now[2:]] == [lines[0], *lines[2:]]


async def test_a_toast_takes_the_place_of_the_one_before_but_not_of_an_error(
    embedded: Orchestrator,
) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        app = person.app
        app.notify("First.")
        await person.sees("First.")
        app.notify("It failed.", severity="error")
        await person.sees("It failed.")
        app.notify("Third.", severity="warning")
        app.notify("Third.", severity="warning")
        await person.sees("Third.")
        await person.sees_no("First.")
        assert "It failed." in person.screen
        assert person.screen.count("Third.") == 1
        await until(lambda: len(app.screen.query("ToastHolder")) == 2)
