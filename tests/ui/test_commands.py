"""Keys, the help, finding by typing, what is refused and why, and leaving."""

from collections import Counter

import pytest
from textual.pilot import Pilot

from cortex_tui.app import CortexApp
from cortex_tui.commands import COMMANDS, TOGETHER, Scope, of
from cortex_tui.demo.broker import Broker
from cortex_tui.keymap import keymap
from cortex_tui.models import ProductDraft, SubscriptionDraft
from cortex_tui.screens.action import ActionDialog
from cortex_tui.screens.actions import ActionsPane
from cortex_tui.screens.config import ConfigPane
from cortex_tui.screens.dialogs import FormDialog
from cortex_tui.screens.editors import SubscriptionEditor
from cortex_tui.screens.event import EventDialog
from cortex_tui.screens.events import EventsPane
from cortex_tui.screens.history import HistoryDialog
from cortex_tui.screens.product import ProductScreen
from cortex_tui.screens.products import ProductsScreen
from cortex_tui.screens.subscriptions import SubscriptionsPane
from cortex_tui.screens.test import TestDialog
from cortex_tui.screens.trial import TrialDialog
from cortex_tui.states import ConnectionState
from tests.orchestrators import TOPIC, configured, draft, reaches
from tests.ui.conftest import Orchestrator
from tests.ui.driving import before
from tests.waiting import until

EATEN = {f"ctrl+{key}" for key in "himjsb"} | {"ctrl+left_square_bracket"}
"""Keys that terminals and multiplexers keep or turn into others."""


@pytest.mark.parametrize(
    ("scope", "nodes"),
    [
        (Scope.OPENING, [ProductsScreen]),
        (Scope.PRODUCTS, [ProductsScreen]),
        (Scope.PRODUCT, [ProductScreen]),
        (Scope.CONFIG, [ConfigPane]),
        (Scope.SUBSCRIPTIONS, [SubscriptionsPane]),
        (Scope.TEST, [TestDialog]),
        (Scope.EVENTS, [EventsPane]),
        (Scope.EVENT, [EventDialog]),
        (Scope.ACTIONS, [ActionsPane]),
        (Scope.ACTION, [ActionDialog]),
        (Scope.TRIAL, [TrialDialog]),
        (Scope.DIALOG, [FormDialog, SubscriptionEditor, HistoryDialog]),
        (Scope.APP, [CortexApp]),
    ],
)
def test_every_command_is_carried_out_by_somebody(scope: Scope, nodes: list[type]) -> None:
    for command in of(scope):
        assert any(callable(getattr(node, f"do_{command.name}", None)) for node in nodes), command


@pytest.mark.parametrize("scopes", [*TOGETHER, {Scope.TEST, Scope.DIALOG, Scope.APP}])
def test_no_key_means_two_things_at_once(scopes: set[Scope]) -> None:
    keys = Counter(key for command in of(*scopes) for key in command.keys.split(",") if key)
    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize("scopes", TOGETHER)
def test_no_alias_means_two_things_at_once(scopes: set[Scope]) -> None:
    aliases = Counter(alias for command in of(*scopes) for alias in command.aliases)
    assert [alias for alias, count in aliases.items() if count > 1] == []


@pytest.mark.parametrize("scopes", TOGETHER)
def test_the_key_line_has_at_most_six(scopes: set[Scope]) -> None:
    page = [command for command in of(*scopes) if command.footer and command.scope != Scope.APP]
    assert len(page) <= 5, "and one more for the help"


def test_no_command_depends_on_a_key_that_never_arrives() -> None:
    for command in COMMANDS.values():
        assert set(command.keys.split(",")) - EATEN, command


async def test_help_shows_every_command_of_the_place(
    embedded: Orchestrator, broker: Broker
) -> None:
    await configured(embedded.inside, draft(broker))
    async with before(embedded.open, size=(100, 60)) as person:
        await person.sees("▸")
        await person.press("question_mark")
        for command in of(Scope.PRODUCTS, Scope.APP):
            await person.sees(command.help)
        await person.sees(":prod", "Go to a product")
        await person.press("escape", "enter")
        await person.sees("Clean session")
        await person.press("enter", "f1")  # from within a field
        await person.sees("Help")
        shown = person.screen
        # Where one is comes first, then what is further around.
        headings = [Scope.CONFIG, Scope.PRODUCT, Scope.APP]
        places = [shown.index(f" {each.value} ") for each in headings]
        assert places == sorted(places)
        for command in of(Scope.PRODUCT, Scope.CONFIG):
            await person.sees(command.help)
        assert not person.line("Switch the subscription on or off")


async def test_the_help_of_a_dialog_shows_what_is_to_be_had_there(embedded: Orchestrator) -> None:
    async with before(embedded.open, size=(100, 60)) as person:
        await person.press("n")
        await person.sees("New product")
        await person.press("f1")
        await person.sees("Esc", "Close without a change")
        await person.sees("^c ^q", "Quit at once")
        await person.sees("needs the dialog closed first")
        for other in ("Choose the colours", "Quit; asks", "nothing to copy"):
            assert not person.line(other)


async def test_help_greys_what_is_refused_and_says_why(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await person.press("f1")
        await person.sees("Open the product. No product is selected.")


async def test_refused_commands_say_why_when_pressed(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await person.press("enter")
        await person.sees("No product is selected.")


async def test_read_only_refuses_every_change(embedded: Orchestrator, broker: Broker) -> None:
    subscription = SubscriptionDraft(name="audit", topic=TOPIC)
    product = await configured(embedded.inside, draft(broker), subscription)
    await reaches(embedded.inside, product.id, ConnectionState.CONNECTED)
    async with before(embedded.open, read_only=True) as person:
        await person.sees("cortex", "read-only")
        await person.press("n")
        await person.sees("This context is read-only.")
        await person.press("delete", "e", "d", "r")
        assert isinstance(person.app.screen, ProductsScreen)
        await person.press("enter")
        await person.sees("Clean session")
        await person.press("enter")
        await person.type("x")
        await person.press("f2", "f3")
        await person.press("escape", "escape")
        await person.sees("Discard (d)", "Stay (n)")
        assert not person.line("Save (s)")
        await person.press("n", "f6", "f6", "space", "a", "n", "x")
        await person.sees("▸ ● on", "audit")
        config = await embedded.inside.config(product.id)
        assert config.mqtt_config is not None
        assert config.mqtt_config.broker.host == broker.host
        assert config.subscriptions is not None
        assert config.subscriptions[0].enabled


async def test_products_and_commands_are_found_by_typing(
    orchestrator: Orchestrator,
) -> None:
    for name in ("Tyres", "Travel", "Pets"):
        await orchestrator.inside.create_product(ProductDraft(name=name))
    async with before(orchestrator.open) as person:
        await person.sees("Travel")
        await person.press("ctrl+p")
        await person.type("trav")
        await person.sees("▸ Travel")
        await person.press("enter")
        await person.sees("cortex › Travel")
        await person.press("ctrl+p")
        await person.type("pets")
        await person.press("enter")
        await person.sees("cortex › Pets")
        await person.press("ctrl+p")
        await person.type("topics tab")
        await person.sees("▸ Topics")
        await person.press("enter")
        await person.sees("Pattern")
        await person.press("escape")
        await person.sees("▸", "Pets")


async def test_a_search_that_finds_nothing_says_so(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await person.press("ctrl+p")
        await person.sees("Enter Choose", "Esc Close")
        await person.type("zzz")
        await person.sees("Nothing matches")
        await person.press("enter", "backspace", "backspace", "backspace")
        await person.sees("▸")
        await person.sees_no("Nothing matches")
        await person.press("escape", "colon")
        await person.sees("Enter Choose", "Tab Complete", "Esc Close")


async def test_going_to_another_product_asks_for_what_is_unsaved(embedded: Orchestrator) -> None:
    for name in ("Tyres", "Pets"):
        await embedded.inside.create_product(ProductDraft(name=name))
    async with before(embedded.open) as person:
        await person.sees("▸", "Pets")
        await person.press("enter")
        await person.sees("Clean session")
        await person.press("enter")
        await person.type("broker")
        await person.press("ctrl+p")
        await person.type("tyres")
        await person.press("enter")
        await person.sees("Leave with unsaved changes?")
        await person.press("d")
        await person.sees("cortex › Tyres")


async def test_a_keymap_gives_a_command_another_key(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        person.app.set_keymap(keymap({"products.new": "c"}))
        await person.press("n")
        await person.sees("No products yet")
        await person.press("c")
        await person.sees("New product")


OTHER_KEYS = {
    "products.new": "c",
    "products.clear": "z",
    "product.back": "z",
    "product.reconnect": "w",
    "product.toggle_product": "i",
    "subscriptions.new": "c",
    "config.save": "f11",
    "actions.view": "o",
    "app.undo": "U",
}


async def test_texts_name_the_keys_that_commands_have(
    embedded: Orchestrator, broker: Broker
) -> None:
    async with before(embedded.open, keymap=keymap(OTHER_KEYS)) as person:
        await person.sees("c  create the first one      ?  help")
        await configured(embedded.inside, draft(broker))
        await person.sees("▸ ● connected", "Tyres")
        await person.press("slash", "q")
        await person.sees("0 of 1   Esc clears")  # the field's own key
        await person.sees("Esc  clear the filter")
        await person.press("enter")
        await person.sees("0 of 1   z clears")
        await person.press("z", "enter", "3")
        await person.sees("c  create the first one")
        await person.press("5")
        await person.sees("o  another view")
        await person.press("1", "i")
        await person.sees("Tyres disabled. U takes it back.")
        await person.sees("– disabled")
        await person.press("w")
        await person.sees("The product is disabled: enable it first (i).")
        await person.press("i")
        await person.sees("● connected")
        await person.press("enter", "end", "ctrl+u", *"localhost", "f11")
        await person.sees("It applies at the next reconnect (w).")


async def test_what_is_refused_is_not_offered_where_nothing_is_yet(embedded: Orchestrator) -> None:
    async with before(embedded.open, read_only=True) as person:
        await person.sees("No products yet")
        assert "create the first one" not in person.screen
        await person.sees("?  help")


async def test_the_theme_is_chosen_from_a_list(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.press("f9")
        await person.type("cortex-light")
        await person.press("enter")
        await until(lambda: person.app.theme == "cortex-light")


async def test_the_list_of_themes_begins_at_the_present_one_and_shows_each_at_once(
    embedded: Orchestrator,
) -> None:
    async with before(embedded.open, theme="nord") as person:
        await person.press("f9")
        await person.sees("▸ nord", "as it is now")
        await person.press("down")
        await until(lambda: person.app.theme == "rose-pine")
        await person.type("light")
        await until(lambda: "light" in person.app.theme)
        await person.press("escape")
        await until(lambda: person.app.theme == "nord")


async def test_a_theme_that_there_is_not_is_said_to_be_none(embedded: Orchestrator) -> None:
    async with before(embedded.open, theme="solarised") as person:
        await person.sees("There is no theme “solarised”")
        await person.sees("F9 shows all there are.")
        assert person.app.theme == "cortex-dark"


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_quitting(embedded: Orchestrator, key: str) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await _quits(person.pilot, key)


async def test_ctrl_c_quits_whatever_is_open_or_unsaved(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.press("n")
        await person.type("unsaved")
        await _quits(person.pilot, "ctrl+c")


async def _quits(pilot: Pilot[None], key: str) -> None:
    await pilot.press(key)
    await until(lambda: pilot.app._exit)
