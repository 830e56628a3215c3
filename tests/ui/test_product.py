"""One product: configuring its broker and topics, and following its connection."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cortex_tui.backend import Unreachable
from cortex_tui.demo.broker import Broker
from cortex_tui.models import (
    BrokerConfig,
    ConfigDraft,
    Product,
    ProductDraft,
    SubscriptionDraft,
    TopicsConfig,
)
from cortex_tui.states import ConnectionState
from cortex_tui.widgets.field import FieldRow
from tests.brokers import ANONYMOUS, StartMosquitto, publish, tls, users
from tests.certificates import Authority
from tests.counterparts import Behaviour, StartCounterpart, connack, scripted
from tests.orchestrators import TOPIC, configured, connected, draft, reaches
from tests.ui.conftest import Orchestrator
from tests.ui.driving import WIDE, Person, before, held
from tests.waiting import until

EVERY = SubscriptionDraft(name="audit", topic=TOPIC, event="*")


async def product_of(orchestrator: Orchestrator, broker: Broker, **options: Any) -> Product:
    """A connected product."""
    return await connected(orchestrator.inside, draft(broker, **options), EVERY)


async def enter(person: Person) -> None:
    """Open the only product, and go to the first field of its Broker tab."""
    await person.sees("▸")
    await person.press("enter")
    await person.sees("Verify")
    await person.press("enter")


def in_field(person: Person) -> str:
    """The label of the field that has the focus; empty where none has."""
    focused = person.app.focused
    row = focused.parent.parent if focused and focused.parent else None
    return row.field.label if isinstance(row, FieldRow) else ""


async def to(person: Person, field: str) -> None:
    """Go to a field by its label."""
    for _ in range(20):
        if in_field(person) == field:
            return
        await person.press("tab")
    raise AssertionError(f"no way to {field}\n{person.screen}")


async def test_configure_connect_and_see_the_counts(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await orchestrator.inside.create_product(ProductDraft(name="Tyres"))
    await orchestrator.inside.create_subscription(product.id, EVERY)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("○ not configured")
        await person.type(broker.host)
        await to(person, "Port")
        await person.fill(str(broker.port))
        await person.sees("1 Broker •")
        if not broker.sharing:
            await person.press("f6", "enter")
            await to(person, "Shared")
            await person.press("space")
        await person.press("f3")
        await person.sees("● connected", "since")
        await person.sees_no("Broker •")
        publish(broker, TOPIC, '{"event": "paid"}')
        await person.sees("1 message ")
        await person.press("escape")
        await person.press("escape")
        await person.sees("▸ ● connected", "Tyres", " 1 ")


@pytest.mark.parametrize("key", ["f2", "f3"])
async def test_the_first_configuration_connects_once_and_nothing_is_lost(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    product = await embedded.inside.create_product(ProductDraft(name="Tyres"))
    reconnect = embedded.inside.reconnect

    async def late(product_id: int) -> None:
        """The connection that the saving began is there before the word comes."""
        await reaches(embedded.inside, product_id, ConnectionState.CONNECTED)
        await reconnect(product_id)

    monkeypatch.setattr(embedded.inside, "reconnect", late)
    async with before(embedded.open, size=WIDE) as person:
        await enter(person)
        await person.type(broker.host)
        await to(person, "Port")
        await person.fill(str(broker.port))
        await person.press(key)
        await person.sees("Saved, and connecting.")
        await person.sees("● connected")
        status = await embedded.inside.status(product.id)
        assert status.last_disconnected_at is None
        assert not person.line("Last ended")


async def test_what_was_saved_is_told_so_where_its_connection_cannot_be_asked(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: int) -> None:
        raise Unreachable("It is away.")

    product = await embedded.inside.create_product(ProductDraft(name="Tyres"))
    monkeypatch.setattr(embedded.inside, "status", away)
    async with before(embedded.open) as person:
        await enter(person)
        await person.type(broker.host)
        await person.press("f2")
        await person.sees("Saved.")
        assert (await embedded.inside.config(product.id)).mqtt_config
        assert not person.line("It is away.")


async def test_a_long_value_shows_its_start_until_its_field_is_entered(
    embedded: Orchestrator, broker: Broker
) -> None:
    await configured(embedded.inside, draft(broker))
    async with before(embedded.open) as person:
        await enter(person)
        await person.fill(f"broker-of-the-{'very-' * 8}long-name.example")
        await person.sees("Host", "long-name.example")
        await person.press("tab")
        await person.sees("Host", "broker-of-the-very-", "…")
        await person.press("shift+tab")
        await person.sees("Host", "long-name.example")


async def test_problems_are_said_while_typing_and_nothing_wrong_is_saved(
    orchestrator: Orchestrator,
) -> None:
    await orchestrator.inside.create_product(ProductDraft(name="Tyres"))
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.type("mqtt://broker")
        await person.sees("✗ host contains a scheme")
        await person.fill("broker")
        await person.sees_no("✗")
        await to(person, "Port")
        await person.fill("70000")
        await person.sees("✗ give at most 65,535")
        await person.fill("x")
        await person.sees("✗ give a whole number")
        await person.press("f2")
        await person.sees("One value needs correcting")
        await person.fill("1883")
        await to(person, "Password")
        await person.type("secret")
        await person.sees("✗ password is set without a user name")
        await person.press("f2")
        await person.sees("One value needs correcting")
        await person.sees_below("Password", "✗ password is set without a user name")
        assert in_field(person) == "Password"
        assert "secret" not in person.screen
        assert (await orchestrator.inside.config(1)).mqtt_config is None


async def test_problems_on_the_other_tab_are_gone_to(
    embedded: Orchestrator, broker: Broker
) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await person.press("f6", "enter")
        await to(person, "Group")
        await person.fill("a/b")
        await person.sees("✗ Group contains '/'")
        await person.press("f6", "f6", "f6", "f6")
        await person.sees("Clean session")
        await person.press("f2")
        await person.sees("✗ Group contains '/'")
        await person.sees("One value needs correcting")


async def test_what_is_wrong_is_gone_to_and_in_view_from_the_other_tab_too(
    embedded: Orchestrator, broker: Broker
) -> None:
    await configured(embedded.inside, draft(broker, use_tls=True, verify_cert=False), EVERY)
    async with before(embedded.open) as person:
        await enter(person)
        await to(person, "Host")
        await person.fill("a/")
        await to(person, "Clean session")
        await person.sees_no("a name or an IP address")  # the form is longer than the screen
        await person.press("f6")
        await person.sees("Pattern")
        await person.press("f2")
        await person.sees_below("Host", "✗ host contains")
        assert in_field(person) == "Host"
        # What is typed replaces it, as wherever one comes to a field; where one is, it goes on.
        await person.type("b/")
        await person.sees("Host", " b/")
        await person.press("f2", "backspace")
        await person.type("c")
        await person.sees("Host", " bc")


async def test_what_is_typed_while_it_is_saved_stays(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await product_of(embedded, broker)
    answer = held(monkeypatch, embedded.inside, "save_config")
    async with before(embedded.open) as person:
        await enter(person)
        await to(person, "Keep alive")
        await person.fill("61")
        await person.press("f2")
        await to(person, "Client id")
        await person.type("tyres-7")
        answer.set()
        await person.sees("Saved.")
        await person.sees("• Client id", "tyres-7")
        await person.type("8")
        await person.sees("• Client id", "tyres-78")
        await person.sees("  Keep alive", "61")
        assert not person.line("• Keep alive")


async def test_the_password_says_what_becomes_of_it_and_is_never_shown(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "right"}))
    product = await product_of(orchestrator, broker, username="alice", password=SecretStr("right"))
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("Password", "set, unchanged")
        await to(person, "Password")
        await person.type("wrong")
        await person.sees("Password", "•••••", "new")
        await person.press("f3")
        await person.sees("Password  kept → new")
        await person.press("y")
        await person.sees("✗ latched")
        await person.sees_below("Password", "✗ Not authorized (code 5)")
        await to(person, "Password")
        await person.type("right")
        await person.press("f3")
        await person.sees("● connected")
        await to(person, "User name")
        await person.fill("")
        await person.sees("Password", "will be removed: no user name")
        await person.press("f2")
        await person.sees("Password", "not set")
        await person.sees("Saved changes wait for a reconnect: User name, Password")
        assert (await stored(orchestrator, product)).broker.password is None


async def test_wrong_password_is_corrected_in_a_few_keys(
    embedded: Orchestrator, start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "right"}))
    config = draft(broker, username="alice", password=SecretStr("last-year"))
    product = await configured(embedded.inside, config, EVERY)
    await reaches(embedded.inside, product.id, ConnectionState.LATCHED)
    async with before(embedded.open, size=WIDE) as person:
        await person.sees("✗ latched", "Tyres")
        await enter(person)
        await person.sees("stopped: it needs you")
        await to(person, "Password")
        await person.type("right")
        await person.press("f3")
        await person.sees("● connected")


async def test_the_whole_advice_has_room_while_there_is_something_to_mend(
    embedded: Orchestrator, start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "right"}))
    config = draft(broker, username="alice", password=SecretStr("last-year"))
    product = await configured(embedded.inside, config, EVERY)
    await reaches(embedded.inside, product.id, ConnectionState.LATCHED)
    async with before(embedded.open) as person:

        def row_of(text: str) -> int:
            lines = person.screen.splitlines()
            return next(y for y, line in enumerate(lines) if text in line)

        await enter(person)
        await person.sees("Check username and password first")
        await person.sees("Otherwise this user or client id may not connect")
        await person.sees("Clean session")
        broken = row_of("1 Broker")
        await to(person, "Password")
        await person.type("right")
        await person.press("f3")
        await person.sees("● connected")
        await until(lambda: row_of("1 Broker") < broken)


async def test_unverified_tls_is_warned_of(
    embedded: Orchestrator, start_mosquitto: StartMosquitto, authority: Authority
) -> None:
    broker = start_mosquitto(*ANONYMOUS, *tls(authority.server("localhost", names=("localhost",))))
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    async with before(embedded.open) as person:
        await enter(person)
        await person.type("localhost")
        await to(person, "Port")
        await person.fill(str(broker.port))
        await to(person, "TLS")
        await person.press("space")
        await person.sees_no("anyone may be")
        await person.press("f3")
        await person.sees("✗ latched")
        await to(person, "Verify")
        await person.press("right")
        await person.sees("⚠ anyone may be the broker")
        await person.press("f3")
        await person.sees("● connected")


async def test_values_are_tested_unsaved_beside_the_running_connection(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "right"}))
    product = await product_of(orchestrator, broker, username="alice", password=SecretStr("right"))
    since = (await orchestrator.inside.status(product.id)).last_connected_at
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.press("f4")
        await person.sees("✓ Connected in", "ms")
        await person.press("escape")
        await to(person, "Password")
        await person.type("wrong")
        await person.press("f4")
        await person.sees(f"Test of {broker.host}:{broker.port}")
        await person.sees("  ✗ CONNECT: Not authorized", "│")
        await person.press("r")
        await person.sees("  ✗ CONNECT: Not authorized", "│")
        assert not person.line("failed with code")
        await person.press("escape")
        await person.sees("● connected")
        await person.sees("1 Broker •")
        await person.sees_below("Password", "✗ Not authorized")  # and there one is, to type another
        await person.type("right")
        await person.sees_no("✗ Not authorized")
        await person.press("f4")
        await person.sees("✓ Connected in", "ms")
        await person.press("escape")
        status = await orchestrator.inside.status(product.id)
        assert status.last_connected_at == since


REFUSES_SHARING = scripted(connack(0), b"\x90\x04\x00\x01\x00\x9e")
REFUSES_THE_TOPIC = scripted(connack(0), b"\x90\x04\x00\x01\x00\x87")


def at(port: int, topics: TopicsConfig) -> ConfigDraft:
    """A configuration for what listens there."""
    return ConfigDraft(broker=BrokerConfig(host="127.0.0.1", port=port), topics=topics)


@pytest.mark.parametrize(
    ("refuses", "field", "why"),
    [
        (REFUSES_SHARING, "Shared", "✗ Shared subscriptions not"),
        (REFUSES_THE_TOPIC, "Pattern", "✗ Not authorized"),
    ],
)
async def test_a_filter_that_is_refused_is_said_beside_what_it_comes_from(
    orchestrator: Orchestrator,
    counterpart: StartCounterpart,
    refuses: Behaviour,
    field: str,
    why: str,
) -> None:
    config = at(counterpart(refuses), TopicsConfig(use_shared=True))
    derived = SubscriptionDraft(name="one", application_id="ABC123")
    await configured(orchestrator.inside, config, derived)
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees("⚠ degraded", "Tyres")
        await enter(person)
        await person.press("escape", "2")
        await person.sees_below(field, why)


async def test_a_topic_that_a_subscription_gives_in_full_is_not_the_patterns_fault(
    embedded: Orchestrator, counterpart: StartCounterpart
) -> None:
    config = at(counterpart(REFUSES_THE_TOPIC), TopicsConfig(use_shared=False))
    given = SubscriptionDraft(name="one", topic="other/#")
    await configured(embedded.inside, config, given)
    async with before(embedded.open, size=WIDE) as person:
        await person.sees("⚠ degraded", "Tyres")
        await enter(person)
        await person.press("escape", "2")
        await person.sees("Pattern")
        await person.sees("✗ Not authorized: ")  # as the status has it
        await person.sees("Pattern", "may name {application_id}")  # nothing is said there


async def test_a_test_that_fails_for_a_topic_leads_to_the_topics(
    embedded: Orchestrator, counterpart: StartCounterpart, broker: Broker
) -> None:
    await configured(embedded.inside, draft(broker, topics=TopicsConfig(use_shared=True)))
    async with before(embedded.open) as person:
        await enter(person)
        await to(person, "Port")
        await person.fill(str(counterpart(REFUSES_SHARING)))
        await person.press("f4")
        await person.sees("✗ SUBSCRIBE: ", "was")
        await person.press("escape")
        await person.sees("Shared", "(•) on")
        await person.sees("Shared", "✗ Shared subscriptions no")
        await person.press("space")  # it is the field that one is in
        await person.sees("Shared", "(•) off")
        await person.sees_no("✗ Shared")


async def test_a_test_that_is_closed_is_given_up(embedded: Orchestrator, broker: Broker) -> None:
    await product_of(embedded, broker)
    left = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # what the test sends; then, nothing until it is gone
        while await reader.read():
            pass
        left.set()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with silent, before(embedded.open) as person:
        await enter(person)
        await to(person, "Port")
        await person.fill(str(silent.sockets[0].getsockname()[1]))
        await person.press("f4")
        await person.sees("✓ TCP")
        await person.sees("… CONNECT")
        await person.press("escape")
        await person.sees_no("✓ TCP")
        await until(left.is_set)


@pytest.mark.parametrize("size", [(80, 24), WIDE])
async def test_the_preview_shows_the_exact_filters(
    embedded: Orchestrator, broker: Broker, size: tuple[int, int]
) -> None:
    derived = SubscriptionDraft(name="one", application_id="ABC123")
    given = SubscriptionDraft(name="two", topic="other/#")
    covered = SubscriptionDraft(name="three", topic="other/place")
    config = draft(broker, topics=TopicsConfig(use_shared=True))
    await configured(embedded.inside, config, derived, given, covered)
    async with before(embedded.open, size=size) as person:
        await enter(person)
        await person.press("f6")
        await person.sees("$share/bre//v3/applications/ABC123/business-events")
        await person.sees("$share/bre/other/#")
        assert not person.line("other/place")
        await person.press("enter")
        await person.fill("v4")
        await person.sees("$share/bre/v4/ABC123/business-events")
        await to(person, "Shared")
        await person.press("space")
        await person.sees_no("$share")
        await person.sees("v4/ABC123/business-events")
        await to(person, "Pattern")
        await person.fill("{application}/x")
        await person.sees("✗ pattern names an unknown variable")
        await person.sees("The filters show when the values above are right.")


async def test_without_subscriptions_the_preview_shows_an_example(embedded: Orchestrator) -> None:
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    async with before(embedded.open) as person:
        await enter(person)
        await person.press("f6")
        await person.sees("No subscription is enabled")
        await person.sees("$share/bre//v3/applications/+/business-events")


async def test_leaving_with_unsaved_changes_asks(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await to(person, "Client id")
        await person.type("mine")
        await person.press("escape", "escape")
        await person.sees("Leave with unsaved changes?")
        await person.press("y")
        await person.sees("Client id", "mine")
        await person.press("q")
        await person.sees("Leave with unsaved changes?")
        await person.press("escape")
        await person.press("escape")
        await person.sees("Leave with unsaved changes?")
        await person.press("d")
        await person.sees("▸ ● connected")
        assert (await stored(orchestrator, product)).broker.client_id is None

        await enter(person)
        await to(person, "Client id")
        await person.type("mine")
        await person.press("escape", "escape")
        await person.sees("Leave with unsaved changes?")
        await person.press("s")
        await person.sees("▸ ● connected")
        assert (await stored(orchestrator, product)).broker.client_id == "mine"


async def test_revert(embedded: Orchestrator, broker: Broker) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await person.fill("elsewhere")
        await person.sees("• Host", "elsewhere")
        await person.press("f8", "n")
        await person.sees("• Host", "elsewhere")
        await person.press("f8")
        await person.sees("(n)")
        await person.press("y")
        await person.sees("Host", broker.host)
        await person.sees_no("• Host")
        await person.sees_no("1 Broker •")


async def test_the_connection_is_followed_through_an_outage(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    await product_of(orchestrator, broker)
    async with before(orchestrator.open, size=WIDE) as person:
        await enter(person)
        await person.sees("● connected")
        broker.stop()
        await person.sees("↻ retrying")
        await person.sees("attempt", "next in")
        broker.start()
        await person.press("f5")
        await person.sees("● connected")
        publish(broker, TOPIC, "{}")
        await person.sees("Messages", "1")


async def test_somebody_elses_first_configuration_is_not_overwritten_silently(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await orchestrator.inside.create_product(ProductDraft(name="Tyres"))
    async with before(orchestrator.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter", "enter")
        await person.type("mine.example")
        await orchestrator.inside.save_config(product.id, draft(broker, client_id="theirs"))
        await person.press("f2")
        await person.sees("Somebody else changed this configuration meanwhile")
        await person.press("l")
        await person.sees("Client id", "theirs")


async def test_somebody_elses_change_is_not_overwritten_silently(
    embedded: Orchestrator, broker: Broker
) -> None:
    product = await product_of(embedded, broker)
    async with before(embedded.open, size=WIDE) as person:
        await enter(person)
        await to(person, "Client id")
        await person.type("mine")
        await embedded.inside.save_config(product.id, draft(broker, client_id="theirs"))
        await person.press("f2")
        await person.sees("Somebody else changed this configuration meanwhile")
        await person.sees("mine", "theirs")
        await person.press("l")
        await person.sees("Client id", "theirs")
        await to(person, "Client id")
        await person.fill("mine")
        await embedded.inside.save_config(product.id, draft(broker, client_id="again"))
        await person.press("f2")
        await person.sees("Somebody else changed this configuration meanwhile")
        await person.press("o")
        await person.sees_no("Somebody else")

        async def overwritten() -> bool:
            return (await stored(embedded, product)).broker.client_id == "mine"

        await until(overwritten)


async def test_only_the_change_that_was_shown_is_overwritten(
    embedded: Orchestrator, broker: Broker
) -> None:
    product = await product_of(embedded, broker)
    async with before(embedded.open, size=WIDE) as person:
        await enter(person)
        await to(person, "Client id")
        await person.type("mine")
        await embedded.inside.save_config(product.id, draft(broker, client_id="theirs"))
        await person.press("f2")
        await person.sees("mine", "theirs")
        await embedded.inside.save_config(product.id, draft(broker, client_id="third"))
        await person.press("o")
        await person.sees("mine", "third")
        assert (await stored(embedded, product)).broker.client_id == "third"
        await person.press("o")
        await person.sees("Saved.")
        assert (await stored(embedded, product)).broker.client_id == "mine"


async def test_a_product_deleted_elsewhere_is_left(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await orchestrator.inside.delete_product(product.id)
        await person.sees("This product does not exist any more.")
        await person.sees("No products yet")


async def test_disable_and_enable_from_its_page(orchestrator: Orchestrator, broker: Broker) -> None:
    await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.press("escape", "d")
        await person.sees("– disabled")
        await person.press("r")
        await person.sees("The product is disabled")
        await person.press("d")
        await person.sees("● connected")


async def test_the_status_moves_beside_the_page_where_there_is_room(
    embedded: Orchestrator, broker: Broker
) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open, size=(99, 30)) as person:
        await enter(person)
        strip = person.line("● connected")
        assert strip.startswith("  ●")
        await person.pilot.resize_terminal(112, 30)
        await person.sees("1 Broker", "● connected")
        await person.sees("Port", "Messages")


async def stored(orchestrator: Orchestrator, product: Product) -> ConfigDraft:
    """The stored configuration."""
    config = (await orchestrator.inside.config(product.id)).mqtt_config
    assert config is not None
    return ConfigDraft.model_construct(broker=config.broker, topics=config.topics)


async def test_what_is_typed_in_one_burst_goes_where_it_is_meant(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.sees("No products yet")
        await person.press("n")
        await person.sees("New product")
        person.at_once(
            *"abc", "tab", *"def", "shift+tab", "end", "g", "enter", "h", "up", "home", "i"
        )
        await person.sees("Name", "iabcg")
        await person.sees_no("Description", "def")  # selected, so that typing replaces it
        await person.sees("Description", " h ")


async def test_keys_of_a_field_are_taken_in_the_order_they_come(
    embedded: Orchestrator, broker: Broker
) -> None:
    await configured(embedded.inside, draft(broker))
    async with before(embedded.open) as person:
        await enter(person)
        person.at_once("tab", "end", "ctrl+u", *"8883", "tab", "space", "tab", "space", "tab", "u")
        await person.sees("• Port", "8883")
        await person.sees("• TLS", "(•) on")
        await person.sees("• Verify", "(•) off")
        await person.sees("• User name", "u")


async def test_enter_and_the_arrows_go_from_field_to_field(
    embedded: Orchestrator, broker: Broker
) -> None:
    await configured(embedded.inside, draft(broker))
    async with before(embedded.open) as person:
        await enter(person)
        await person.press("enter")
        await person.fill("1000")
        await person.press("down", "down", "enter")
        await person.type("alice")
        await person.press("up", "space", "up", "up")
        await person.fill("1001")
        await person.sees("Port", "1001")
        await person.sees("• Verify", "(•) off")
        await person.sees("User name", "alice")
        assert not person.line("• TLS")
        await person.press("escape", "2", "enter", *["enter"] * 5)
        await person.sees("That was the last field: F4 tests, F2 saves, F3 saves and connects")


async def test_keys_are_commands_again_once_it_connects(
    embedded: Orchestrator, broker: Broker
) -> None:
    await configured(embedded.inside, draft(broker))
    async with before(embedded.open) as person:
        await enter(person)
        await person.press("f3")
        await person.sees("Connecting with the saved values")
        await person.press("2")
        await person.sees("Prefix")


async def test_an_untouched_form_says_what_it_lacks_to_connect(embedded: Orchestrator) -> None:
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    async with before(embedded.open) as person:
        await enter(person)
        await person.press("f3")
        await person.sees("✗ host is empty")


async def test_a_field_that_goes_leaves_the_focus_in_the_form(
    embedded: Orchestrator, broker: Broker
) -> None:
    await configured(embedded.inside, draft(broker))
    async with before(embedded.open, size=WIDE) as person:
        await enter(person)
        await person.press("tab", "tab", "space")
        await person.fill_in("client_cert", "x")
        await person.press("f8")
        await person.sees("(n)")
        await person.press("y")
        await person.sees_no("Client cert")
        await person.type("mosquitto")
        await person.sees("Host", "mosquitto")


async def test_of_a_product_without_a_broker_it_is_said_how_to_give_one(
    embedded: Orchestrator,
) -> None:
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    async with before(embedded.open) as person:
        await person.sees("▸")
        await person.press("enter")
        await person.sees("Not configured yet: Enter leads to its broker.")
        await person.press("enter")
        await person.type("localhost")
        await person.sees("• Host", "localhost")
