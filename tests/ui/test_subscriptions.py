"""Subscriptions of one product: switched, edited, made and deleted."""

import asyncio
import json
import math
from contextlib import AsyncExitStack

import pytest

from cortex_tui.backend import Unreachable
from cortex_tui.demo.broker import Broker
from cortex_tui.local.backend import LocalBackend
from cortex_tui.local.recent import Recent
from cortex_tui.models import Action, Product, Subscription, SubscriptionDraft
from cortex_tui.remote import RemoteBackend
from cortex_tui.screens.product import ProductScreen
from cortex_tui.screens.subscriptions import SubscriptionsPane
from cortex_tui.server import create_app, serving
from cortex_tui.widgets.table import Table
from tests.brokers import ANONYMOUS, StartMosquitto, publish
from tests.orchestrators import TOPIC, configured, connected, draft
from tests.ui.conftest import Orchestrator
from tests.ui.driving import WIDE, Person, before, held
from tests.waiting import until

PAID = SubscriptionDraft(
    name="paid",
    application_id="ABC123",
    description="Pays",
    actions=(Action(type="record"),),
)
AUDIT = SubscriptionDraft(name="audit", topic="audit/#", event="*")


async def product_of(orchestrator: Orchestrator, broker: Broker) -> Product:
    """A connected product with two subscriptions."""
    return await connected(orchestrator.inside, draft(broker), PAID, AUDIT)


async def enter(person: Person) -> None:
    """Open the only product, and go to its subscriptions."""
    await person.sees("▸")
    await person.press("enter")
    await person.sees("Clean session")
    await person.press("3")
    await person.sees("RECEIVED")


async def test_a_switch_shows_at_once_and_reaches_the_broker(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("▸ ● on", "audit")
        await person.sees("3 Subscriptions 2/2")
        await person.press("space")
        await person.sees("▸ ○ off", "audit")
        await person.sees("3 Subscriptions 1/2")
        await until(lambda: "Received UNSUBSCRIBE" in broker.log)
        await person.press("space")
        await person.sees("▸ ● on", "audit")
        await until(lambda: broker.log.count("audit/# (QoS") >= 2)


async def test_no_topic_is_cut_beside_empty_room(embedded: Orchestrator, broker: Broker) -> None:
    topics = [f"/v3/applications/{name}/business-events" for name in ("FIRST-APP", "SECOND-APP")]
    drafts = [SubscriptionDraft(name=f"paid {n}", topic=each) for n, each in enumerate(topics)]
    await connected(embedded.inside, draft(broker), *drafts)
    async with before(embedded.open, size=(149, 40)) as person:
        await enter(person)
        await person.sees("…/FIRST-APP/business-events")
        await person.pilot.resize_terminal(160, 40)
        for topic in topics:
            await person.sees(topic)


async def test_one_esc_clears_a_filter_for_good(embedded: Orchestrator, broker: Broker) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        person.at_once("/", *"paid", "enter")
        await person.sees("1 of 2")
        await person.press("escape")
        await person.sees("audit")
        await person.sees_no("clears")
        await person.press("escape")
        await person.press("enter", "3")
        await person.sees("audit")


async def test_quick_presses_end_as_the_last_one_says(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.pilot.press("space", "space", "space")
        await person.sees("▸ ○ off", "audit")

        async def switched_off() -> bool:
            stored = await orchestrator.inside.subscriptions(product.id)
            return [each.enabled for each in stored] == [True, False]

        await until(switched_off)


async def test_a_refused_switch_is_rolled_back_with_a_message(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await orchestrator.inside.delete_subscription(product.id, 2)
        await person.press("space")
        await person.sees("audit stays on: Subscription not found")
        await person.sees("▸ ● on", "audit")


async def test_toggle_all_that_are_shown(orchestrator: Orchestrator, broker: Broker) -> None:
    product = await product_of(orchestrator, broker)
    third = SubscriptionDraft(name="paid late", topic="late")
    await orchestrator.inside.create_subscription(product.id, third)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.press("slash")
        await person.type("paid")
        await person.sees("2 of 3")
        await person.press("enter", "a")
        await person.sees("○ off", "paid late")
        await person.press("escape")
        await person.sees("● on", "audit")
        await person.sees("3 Subscriptions 1/3")
        await person.press("a")
        await person.sees("3 Subscriptions 3/3")


async def test_counters_follow_the_messages(orchestrator: Orchestrator, broker: Broker) -> None:
    await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("paid", "record", " 0 ")
        publish(broker, TOPIC, '{"event": "paid"}')
        publish(broker, "audit/trail", "{}")
        publish(broker, "audit/trail", "{}")
        await person.sees("paid", " 1 ", "now")
        await person.sees("audit", " 2 ", "now")


async def test_the_noisy_one_is_found_by_its_rate_which_fades(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("▸ ● on", "audit", " 0/s ")
        publish(broker, TOPIC, '{"event": "paid"}')
        await person.sees("  ● on", "paid", " 0.1/s ")
        await person.press("s", "s")
        await person.sees("▾RATE")
        await until(lambda: person.screen.index(" paid") < person.screen.index(" audit"))
        monkeypatch.setattr(Recent, "per_second", lambda *_: 0.0)  # minutes later
        await person.sees("paid", " 1 ", " 0/s ")


async def test_what_became_of_the_events_of_one_subscription(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    strict = Action(type="record", condition="amount > 10")
    paid = PAID.model_copy(update={"actions": (strict,)})
    await connected(orchestrator.inside, draft(broker), paid, AUDIT)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.press("down")
        await person.sees("▸ ● on", "paid")
        await person.sees("0 received", "0/s over 1 minute")
        await person.press("v")
        await person.sees("Nothing went wrong with its events.")
        for amount in ("20", "5", "null"):
            publish(broker, TOPIC, f'{{"event": "paid", "amount": {amount}}}')
        await person.sees("3 received")
        await person.sees("1 matched", "1 condition false", "1 evaluation failed")
        await person.sees("1 executed", "0 given up", "0 dead letters")
        await person.sees("✗ just now", "v shows its event", "amount is null")
        await person.press("v")
        await person.sees("It went to")
        await person.sees('"amount": null')
        await person.press("t")
        await person.sees("Dry run of paid")
        await person.sees("amount is null and 10 is a number")


async def test_an_orchestrator_of_the_reference_has_four_counters(
    local: LocalBackend, broker: Broker
) -> None:
    product = await connected(local, draft(broker), PAID)
    async with serving(create_app(local, extensions=False), port=0) as url:

        async def open_it(_: object) -> RemoteBackend:
            return await RemoteBackend.open(url, product_ids=[product.id])

        async with before(open_it) as person:
            await enter(person)
            await person.sees("0 received")
            await person.sees("0 actions executed", "0 failed")
            await person.sees("paid", " 0 ", " – ", " – ")
            assert not person.line("matched")


async def test_an_answer_that_was_overtaken_puts_nothing_back(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await product_of(embedded, broker)
    asked, answer, read = asyncio.Event(), asyncio.Event(), embedded.inside.subscriptions

    async def late(product_id: int) -> list[Subscription]:
        rows = await read(product_id)
        asked.set()
        await answer.wait()
        return rows

    async with before(embedded.open, size=WIDE) as person:
        await enter(person)
        monkeypatch.setattr(embedded.inside, "subscriptions", late)
        publish(broker, TOPIC, '{"event": "paid"}')
        await asked.wait()
        await person.press("space")
        await person.sees("▸ ○ off", "audit")

        async def switched() -> bool:
            return any(row.name == "audit" and not row.enabled for row in await read(product.id))

        await until(switched)
        await until(lambda: not person.app.screen.query_one(SubscriptionsPane)._wanted)
        answer.set()
        await person.sees("paid", " 1 ")
        assert person.line("▸ ○ off", "audit")


async def test_an_answer_that_comes_while_the_page_is_taken_down_harms_nothing(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await product_of(embedded, broker)
    asked, taken_down = asyncio.Event(), asyncio.Event()
    answer = LocalBackend.subscriptions

    async def late(self: LocalBackend, product_id: int) -> list[Subscription]:
        asked.set()
        await taken_down.wait()
        return await answer(self, product_id)

    async with before(embedded.open) as person:
        await enter(person)
        monkeypatch.setattr(LocalBackend, "subscriptions", late)
        monkeypatch.setattr(Table, "on_unmount", lambda _: taken_down.set(), raising=False)
        publish(broker, TOPIC, '{"event": "paid"}')
        await asked.wait()
        await person.press("escape")
        await person.sees("Tyres", "connected", " 1 ")


async def test_edit_what_a_subscription_listens_to_and_does(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open, size=WIDE) as person:
        await enter(person)
        await person.press("down", "enter")
        await person.sees("Subscription paid")
        await person.sees(f"listens to  {TOPIC}")
        await person.press("tab", "tab")
        await person.fill("XYZ")
        await person.sees("listens to  /v3/applications/XYZ/business-events")
        await person.press("shift+tab")
        await person.type("a/#/b")
        await person.sees("✗ topic has '#' before its end")
        await person.fill("")
        await person.sees_no("✗")
        await person.press("f2")
        await person.sees_no("Subscription paid")
        [paid, _] = await orchestrator.inside.subscriptions(product.id)
        assert paid.topic == "/v3/applications/XYZ/business-events"
        assert (paid.name, paid.description, paid.actions) == ("paid", "Pays", PAID.actions)


async def test_one_that_is_deleted_while_it_is_switched_does_not_come_back(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await person.press("down")
        await person.sees("▸ ● on", "paid")
        answer = held(monkeypatch, embedded.inside, "update_subscription")
        await person.press("space")
        await person.sees("▸ ○ off", "paid")
        await person.press("delete")
        await person.sees("(n)")
        await person.press("y")
        await person.sees_no("○ off", "paid")
        answer.set()
        await person.sees("paid stays on: Subscription not found")
        assert not person.line("on", "paid", "–")


async def test_what_is_no_json_hides_no_other_problem(
    embedded: Orchestrator, broker: Broker
) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open, size=WIDE) as person:
        await enter(person)
        await person.press("down", "e")
        await person.sees("Subscription paid")
        await person.fill_in("application_id", "")
        await person.fill_in("actions", "[")
        await person.fill_in("topic", "x/#/y")
        await person.press("f2")
        await person.sees_below("Topic", "✗ topic")
        await person.sees("✗ not valid JSON: line 1")
        await person.fill_in("topic", "x/#")
        await person.sees_no("✗ topic")
        await person.sees("✗ not valid JSON: line 1")


async def test_actions_are_checked_as_json_and_as_actions(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open, size=WIDE) as person:
        await enter(person)
        await person.press("down", "e")
        await person.sees("Subscription paid")
        await person.press("shift+tab")
        await person.press("pagedown", "end")
        await person.type(" x")
        await person.sees("✗ not valid JSON: line 5, column 3")
        await person.press("backspace", "backspace")
        await person.sees_no("✗")
        await person.press("f7")  # the whole text
        await person.paste('{"type": "record"}')
        await person.sees("✗ a list is expected: put [ ] around it")
        await person.press("f7")
        await person.paste('["record"]')
        await person.sees('✗ action 1: an action is an object, such as {"type": "record"}')
        await person.press("f7")
        await person.paste('[{"type": 5, "params": 5}]')
        await person.sees("✗ action 1, type: give a text, in quotes")
        await person.press("f7")
        await person.paste('[{"type": 5}, {"type": "record"}, {}]')
        await person.sees("✗ action 1, type: give a text, in quotes (and 1 more)")
        await person.press("f7")
        await person.paste('[{"type": "record"}, ]')
        await person.sees("✗ not valid JSON: line 1, column", "remove the comma before ]")
        await person.press("f7")
        await person.paste('[{"type": "record", }]')
        await person.sees("✗ not valid JSON: line 1, column", "remove the comma before }")
        await person.press("f7")
        await person.paste('[{"type": "record", "params": 5}]')
        await person.sees('✗ action 1, params: an object is expected, such as {"id": 7}')
        await person.press("f7")
        await person.paste('[{"condition": "true"}]')
        await person.sees("✗ action 1, type: is required")
        await person.press("f2")
        await person.sees("✗ action 1, type: is required")
        await person.press("f7")
        await person.paste('[{"type": "webhook"}]')
        await person.press("f2")
        await person.sees("paid", "webhook")
        [paid, _] = await orchestrator.inside.subscriptions(product.id)
        assert [action.model_dump() for action in paid.actions] == [{"type": "webhook"}]


async def test_a_slip_in_the_actions_is_told_and_can_be_saved(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.press("down", "e")
        await person.sees("Subscription paid")
        await person.press("shift+tab", "f7")
        await person.type('[{"type": "webhok"}]')
        await person.sees("⚠ action 1: unknown type 'webhok'")
        await person.sees("did you mean webhook?")
        await person.press("f7")
        await person.paste('[{"type": "webhook"}, {"type": "record", "parms": {}}]')
        await person.sees("⚠ action 2: record takes no 'parms'")
        await person.sees("did you mean params?")
        await person.sees_no("webhok")
        await person.press("f2")
        await person.sees_no("Subscription paid")
        [paid, _] = await orchestrator.inside.subscriptions(product.id)
        assert paid.actions[1].model_dump() == {"type": "record", "parms": {}}


async def test_a_refusal_is_in_view_on_a_small_screen(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await person.press("down", "enter")
        await person.sees("Subscription paid")
        await person.fill_in("name", "audit")
        await person.press("f2")
        await person.sees_below("Name", "✗ a subscription of that name exists already")
        await person.type(" late")  # the focus is there
        await person.sees("Name", "audit late")

        async def away(*_: object) -> None:
            raise Unreachable("It is away.", "Look there.")

        monkeypatch.setattr(embedded.inside, "update_subscription", away)
        await person.press("f2")
        await person.sees("✗ It is away. Look there.")
        await person.sees("F2 Save", "Esc Close")


async def test_create(orchestrator: Orchestrator, broker: Broker) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open, size=WIDE) as person:
        await enter(person)
        await person.press("n")
        await person.sees("New subscription")
        await person.sees("listens to", "–")
        await person.type("paid")
        await person.sees("listens to  /v3/applications/+/business-events")
        await person.press("f2")
        await person.sees("✗ a subscription of that name exists already")
        await person.type(" late")
        await person.press("f2")
        await person.sees("▸ ● on", "paid late")
        await person.sees("3 Subscriptions 3/3")
        stored = await orchestrator.inside.subscriptions(product.id)
        assert (stored[-1].name, stored[-1].derived) == ("paid late", True)


async def test_delete(orchestrator: Orchestrator, broker: Broker) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.press("x")
        await person.sees("Delete subscription audit?")
        await person.press("n")
        await person.sees("audit")
        await person.press("delete")
        await person.sees("(n)")
        await person.press("y")
        await person.sees_no("audit")
        await person.sees("▸", "paid")
        stored = await orchestrator.inside.subscriptions(product.id)
        assert [each.name for each in stored] == ["paid"]


async def test_none_yet(embedded: Orchestrator, broker: Broker) -> None:
    await configured(embedded.inside, draft(broker))
    async with before(embedded.open) as person:
        await person.sees("▸")
        await person.press("enter")
        await person.sees("Clean session")
        await person.press("3")
        await person.sees("No subscriptions yet")
        await person.press("a")
        await person.sees("No subscription is shown.")


async def test_what_cannot_be_typed_survives_an_edit_of_the_actions(
    embedded: Orchestrator, broker: Broker
) -> None:
    action = {"type": "record", "note": "tab\there, escape\x1b, ümlaut, \u202e"}
    odd = SubscriptionDraft(name="odd", actions=(Action.model_validate(action),))
    product = await configured(embedded.inside, draft(broker), odd)
    async with before(embedded.open, size=WIDE) as person:
        await enter(person)
        await person.press("enter")
        await person.sees("tab\\there, escape\\u001b, ümlaut, \\u202e")
        await person.press("shift+tab", "pagedown", "end")
        await person.type(" ")
        await person.press("f2")
        await person.sees_no("Subscription odd")
        [stored] = await embedded.inside.subscriptions(product.id)
        assert json.loads(json.dumps(stored.actions[0].model_dump())) == action


async def test_a_switch_that_fails_is_told_once(local: LocalBackend, broker: Broker) -> None:
    await product_of(Orchestrator(local), broker)
    server = AsyncExitStack()
    url = await server.enter_async_context(serving(create_app(local), port=0))
    async with server, before(Orchestrator(local, url).open) as person:
        await enter(person)
        page = person.app.screen
        assert isinstance(page, ProductScreen)
        page._next_read = math.inf  # as just after a look at the counters
        publish(broker, TOPIC, "{}")
        await person.sees("1 message ")
        await server.aclose()
        await person.sees("? unknown")
        page._next_read = 0
        await until(lambda: page._next_read)
        await until(lambda: not [each for each in page.workers if each.group == "counters"])
        await person.press("space")
        await person.sees("audit stays on: ")
        assert len(person.app._notifications) == 1
