"""The Events tab: what arrives, what came of it, and what can be done with it."""

import asyncio
import json

import pytest

from cortex_tui.backend import Unreachable
from cortex_tui.demo.broker import Broker
from cortex_tui.events import Event
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import Action, Product, ProductChange, SubscriptionDraft
from cortex_tui.remote import RemoteBackend
from cortex_tui.screens import events as tab
from cortex_tui.server import create_app, serving
from tests.brokers import publish
from tests.orchestrators import TOPIC, connected, draft
from tests.ui.conftest import Orchestrator
from tests.ui.driving import WIDE, Late, Person, before
from tests.waiting import until

CLAIM = SubscriptionDraft(
    name="claim",
    topic=TOPIC,
    actions=(
        Action(type="conditional_email", condition="claim.estimate > 300", template="claim_opened"),
    ),
)
AUDIT = SubscriptionDraft(name="audit", topic="audit/#", event="*")
OFF = SubscriptionDraft(name="asleep", topic=TOPIC, event="*", enabled=False)


def claim(estimate: object, **more: object) -> str:
    return json.dumps({"event": "claim", "claim": {"estimate": estimate}, **more})


async def product_of(orchestrator: Orchestrator, broker: Broker) -> Product:
    return await connected(orchestrator.inside, draft(broker), CLAIM, AUDIT, OFF)


async def enter(person: Person) -> None:
    """Open the only product, and go to its events."""
    await person.sees("▸", "Tyres")
    await person.press("enter")
    await person.sees("Clean session")
    await person.press("4")


async def kept(orchestrator: Orchestrator, product: Product, count: int) -> list[Event]:
    """Wait until the history holds so many events."""
    events = orchestrator.inside.events

    async def there() -> bool:
        return len(await events(product.id, limit=500)) == count

    await until(there)
    return await events(product.id, limit=500)


async def test_events_show_as_they_arrive_with_what_came_of_each(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("No events yet")
        publish(broker, TOPIC, claim(400))
        await person.sees("▸", "claim", "…/ABC123/", "✓ 1 matched")
        await person.sees("● live")
        publish(broker, TOPIC, claim(100))
        await person.sees("▸", "claim", "○ 1 false")  # the newest is on top, and the cursor too
        publish(broker, TOPIC, claim(None))
        await person.sees("▸", "claim", "✗ 1 failed")
        publish(broker, TOPIC, "no JSON")
        await person.sees("▸", "no name", "✗ unreadable")
        publish(broker, TOPIC, '{"event": "other"}')
        await person.sees("▸", "other", "nobody took it")
        await person.sees("5 shown")


async def test_topics_that_do_not_fit_show_what_they_differ_in(
    embedded: Orchestrator, broker: Broker
) -> None:
    every = SubscriptionDraft(name="every", topic="a/rather/long/way/#", event="*")
    await connected(embedded.inside, draft(broker), every)
    async with before(embedded.open) as person:
        await enter(person)
        for application in ("ABC", "DEF"):
            publish(broker, f"a/rather/long/way/{application}/business-events", claim(1))
        await person.sees("claim", "…/ABC/business-")
        await person.sees("claim", "…/DEF/business-")
        publish(
            broker, "a/rather/long/way/DEF/business-events", '{"event": "a_name_that_is_long_too"}'
        )
        await person.sees("a_name_that_is_long_too", "…/DEF/")
        await person.pilot.resize_terminal(220, 40)
        await person.sees("claim", "a/rather/long/way/ABC/business-events")


async def test_one_event_says_who_took_it_and_why_others_did_not(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    payload = claim(None, note="a [bold]word[/]")
    publish(broker, TOPIC, payload)
    await kept(orchestrator, product, 1)
    async with before(orchestrator.open, size=WIDE) as person:
        await enter(person)
        await person.sees("▸", "claim")
        await person.press("enter")
        await person.sees("It went to")
        await person.sees("✗ claim", "evaluation failed", "claim.estimate")
        await person.sees_each('"estimate": null', '"note": "a [bold]word[/]"')
        await person.sees("– audit", "it listens to audit/#")
        await person.sees("– asleep", "it is off")
        await person.sees("F4 Try", "p Publish", "y Copy")
        await person.press("y")
        await person.sees("▸ payload")
        await person.press("enter")
        await person.sees("Sent to the terminal")
        assert person.app.clipboard == payload
        await person.press("escape")
        await person.sees("▸", "claim")


async def test_a_paused_list_stands_still_and_catches_up(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("No events yet")
        publish(broker, TOPIC, claim(1))
        await person.sees("▸", "○ 1 false")
        await person.press("space")
        await person.sees("‖ paused")
        publish(broker, TOPIC, claim(400))
        publish(broker, TOPIC, claim(500))
        await person.sees("‖ paused, 2 newer wait")
        assert not person.line("✓ 1 matched")
        await person.press("space")
        await person.sees("3 shown")
        await person.sees("● live")


async def test_what_is_read_while_the_list_is_paused_waits_too(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("No events yet")
        publish(broker, TOPIC, claim(1))
        await person.sees("▸", "○ 1 false")
        events = Late(monkeypatch, embedded.inside, "events")
        publish(broker, TOPIC, claim(400))
        await until(events.asked.is_set)
        await person.press("space")
        await person.sees("‖ paused")
        events.answer.set()
        await person.sees("‖ paused, 1 newer wait")
        assert not person.line("✓ 1 matched")
        await person.press("space")
        await person.sees("✓ 1 matched")


async def test_the_cursor_stays_on_its_event_while_others_arrive(
    embedded: Orchestrator, broker: Broker
) -> None:
    product = await product_of(embedded, broker)
    for estimate in (1, 400):
        publish(broker, TOPIC, claim(estimate))
    await kept(embedded, product, 2)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("▸", "matched")
        await person.press("down")
        await person.sees("▸", "○ 1 false")
        publish(broker, TOPIC, claim(500))
        await person.sees("3 shown")
        await person.sees("▸", "○ 1 false")


async def test_the_filter_looks_into_payloads(orchestrator: Orchestrator, broker: Broker) -> None:
    product = await product_of(orchestrator, broker)
    publish(broker, TOPIC, claim(1, policy="POL-7"))
    publish(broker, TOPIC, claim(400, policy="POL-8"))
    await kept(orchestrator, product, 2)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("2 shown")
        await person.press("slash")
        await person.type("pol-7")
        await person.sees("1 of 2")
        await person.press("enter")
        await person.sees("▸", "○ 1 false")
        publish(broker, TOPIC, claim(2, policy="POL-7"))
        await person.sees("2 of 3")
        await person.press("slash")
        await person.type("x")
        await person.sees("No event contains “pol-7x”")
        await person.press("escape")
        await person.sees("▸", "claim")


async def test_older_ones_come_as_the_cursor_reaches_the_end(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab, "PAGE", 3)
    product = await product_of(embedded, broker)
    for estimate in range(7):
        publish(broker, TOPIC, claim(estimate))
    await kept(embedded, product, 7)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("3 shown")
        await person.press("end")
        await person.sees("6 shown")
        await person.press("end")
        await person.sees("7 shown")


async def test_a_page_of_large_events_is_not_taken_for_the_last(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_tui.local.history.PAGE_BYTES", 50)
    product = await product_of(embedded, broker)
    for estimate in range(5):
        publish(broker, TOPIC, claim(estimate))
    await kept_all(embedded, product, 5)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("2 shown")
        await person.press("end")
        await person.sees("4 shown")
        await person.press("end")
        await person.sees("5 shown")


async def kept_all(orchestrator: Orchestrator, product: Product, count: int) -> None:
    """Wait until so many events came, however few a page has."""

    async def there() -> bool:
        return (await orchestrator.inside.status(product.id)).messages_received == count

    await until(there)


async def test_the_filter_looks_into_older_events_too(
    orchestrator: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab, "PAGE", 3)
    product = await product_of(orchestrator, broker)
    publish(broker, TOPIC, claim(1, policy="POL-7"))
    for estimate in range(9):
        publish(broker, TOPIC, claim(estimate, policy="POL-8"))
    await kept(orchestrator, product, 10)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("3 shown")
        await person.press("slash")
        await person.type("pol-7")
        await person.sees("1 of 10")
        await person.press("x")
        await person.sees("No event contains “pol-7x”")


async def test_what_comes_too_fast_is_passed_over_and_said(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab, "PAGE", 3)
    product = await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("No events yet")
        await person.press("space")
        for estimate in range(8):
            publish(broker, TOPIC, claim(estimate))
        await kept(embedded, product, 8)
        await person.sees("8 newer wait")
        await person.press("space")
        await person.sees("5 older ones are not shown", "3 shown")
        await person.press("end")
        await person.sees("2 older ones are not shown", "6 shown")
        await person.press("end")
        await person.sees("8 shown")
        await person.sees_no("not shown")


async def test_an_event_says_what_was_so_at_a_glance(
    embedded: Orchestrator, broker: Broker
) -> None:
    product = await product_of(embedded, broker)
    publish(broker, TOPIC, claim(1))
    publish(broker, TOPIC, json.dumps({"event": "other", "lines": list(range(40))}))
    await kept(embedded, product, 2)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("▸", "nobody took it")
        await person.press("enter")
        await person.sees("It went to no subscription")
        await person.sees("– claim", "it takes events named claim")  # above the payload
        await person.press("escape", "down", "enter")
        await person.sees("○ claim", "condition false: nothing was set off")


async def test_the_list_is_bounded(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab, "MAX_EVENTS", 2)
    product = await product_of(embedded, broker)
    publish(broker, TOPIC, claim(1))
    await kept(embedded, product, 1)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("1 shown")
        for estimate in (2, 3, 4):
            publish(broker, TOPIC, claim(estimate, mark=f"number {estimate}"))
        await kept(embedded, product, 4)
        await person.press("slash")
        await person.type("number 4")
        await person.sees("1 of 2")


async def test_a_huge_payload_is_shown_in_part(embedded: Orchestrator, broker: Broker) -> None:
    product = await product_of(embedded, broker)
    publish(broker, TOPIC, claim(1, rows=[{"n": n} for n in range(20_000)]))
    await kept(embedded, product, 1)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("▸", "claim")
        await person.press("enter")
        await person.sees("⚠ Only the first", "were kept")
        await person.press("end")
        await person.sees("… and more")
        await person.sees("– asleep", "it is off")
        await person.press("f4")
        await person.sees("Only the start of this event was kept.")


async def test_an_orchestrator_that_keeps_no_events_says_so(
    local: LocalBackend, broker: Broker
) -> None:
    product = await connected(local, draft(broker), CLAIM)
    async with serving(create_app(local, extensions=False), port=0) as url:

        async def open_it(_: object) -> RemoteBackend:
            return await RemoteBackend.open(url, product_ids=[product.id])

        async with before(open_it) as person:
            await person.sees("▸", f"Product {product.id}")
            await person.press("enter")
            await person.sees("Clean session")
            await person.press("4")
            await person.sees("No events here")
            await person.sees("This orchestrator does not keep events and actions.")
            await person.press("f4")
            await person.sees("This orchestrator does not try events out.")
            await person.press("p")
            await person.sees("This orchestrator does not publish events.")
            await person.press("5")
            await person.sees("No actions here")


async def test_a_failure_to_read_is_said_and_tried_again(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await product_of(embedded, broker)
    publish(broker, TOPIC, claim(1))
    await kept(embedded, product, 1)
    answer, broken = LocalBackend.events, asyncio.Event()

    async def events(self: LocalBackend, *arguments: int, **options: int) -> list[Event]:
        if broken.is_set():
            raise Unreachable("there is no way to it", "Look at the network.")
        return await answer(self, *arguments, **options)

    monkeypatch.setattr(LocalBackend, "events", events)
    broken.set()
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("The events could not be read")
        await person.sees("Look at the network.")
        broken.clear()
        await person.sees("▸", "○ 1 false")
        broken.set()
        publish(broker, TOPIC, claim(400))
        await person.sees("⚠ there is no way to it")
        await person.sees("▸", "○ 1 false")
        broken.clear()
        await person.sees("▸", "✓ 1 matched")


# -- publishing -------------------------------------------------------------------------------


async def test_publish_a_test_event_for_a_subscription(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open, size=WIDE) as person:
        await enter(person)
        await person.press("3", "end", "p")
        await person.sees("Publish an event")
        await person.sees("Topic", TOPIC[:30])
        await person.sees('"event": "claim"')
        await person.fill_in("payload", "{claim")
        await person.press("f2")
        await person.sees("It sets nothing off, since it is not JSON: line 1,")
        await person.press("escape")
        await person.fill_in("payload", claim(777))
        await person.press("f2")
        await person.sees("Publish to", f"{broker.host}:{broker.port}?")
        await person.sees_each(TOPIC, "46 bytes, QoS 1")
        assert not person.line("It sets nothing off")
        await person.press("escape")
        await person.sees("Publish an event")  # nothing typed is lost
        await person.press("f2")
        await person.sees("Publish to")
        await person.press("p")
        await person.sees("Published: the broker has it.")
        [event] = await kept(orchestrator, product, 1)
        assert (event.topic, json.loads(event.payload)["claim"]) == (TOPIC, {"estimate": 777})
        # The next one is prefilled with that.
        await person.press("p")
        await person.sees('"estimate": 777')


async def test_publish_an_event_anew(orchestrator: Orchestrator, broker: Broker) -> None:
    product = await product_of(orchestrator, broker)
    payload = '{"by":"hand\u2028"\r\n }'  # it is shown laid out, and goes as it came
    publish(broker, "audit/trail", payload)
    await kept(orchestrator, product, 1)
    async with before(orchestrator.open, size=WIDE) as person:
        await enter(person)
        await person.sees("▸", "audit/trail")
        await person.press("enter")
        await person.sees("It went to")
        await person.press("p")
        await person.sees("Topic", "audit/trail")
        await person.fill_in("topic", "audit/#")
        await person.sees("✗ topic contains a wildcard")
        await person.press("f2")
        await person.sees("Publish an event")
        await person.fill_in("topic", "audit/again")
        await person.press("f2")
        await person.sees("Publish to")
        await person.sees("19 bytes, QoS 1")
        await person.press("p")
        await person.sees("▸", "audit/again")
        events = await kept(orchestrator, product, 2)
        assert [event.payload for event in events] == [payload] * 2


async def test_a_long_topic_is_not_cut_beside_empty_room(
    embedded: Orchestrator, broker: Broker
) -> None:
    await product_of(embedded, broker)
    topic = "/".join(["a-rather-long-level"] * 3)
    async with before(embedded.open, size=(140, 40)) as person:
        await enter(person)
        await person.sees("No events yet")
        await person.press("p")
        await person.sees("one exact topic, without + and #")
        await person.fill_in("topic", topic)
        await person.sees("Topic", topic)


async def test_publishing_is_a_change(embedded: Orchestrator, broker: Broker) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open, read_only=True) as person:
        await enter(person)
        await person.sees("No events yet")
        await person.press("p")
        await person.sees("This context is read-only.")


async def test_publishing_needs_a_connection(orchestrator: Orchestrator, broker: Broker) -> None:
    product = await product_of(orchestrator, broker)
    await orchestrator.inside.update_product(product.id, ProductChange(enabled=False))
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("The product is not connected")
        await person.press("p")
        await person.sees("There is no connection to the broker.")
