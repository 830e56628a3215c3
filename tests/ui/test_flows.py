"""What a person does, with keys, over the embedded orchestrator and over one behind HTTP."""

from contextlib import AsyncExitStack
from pathlib import Path

from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft, SubscriptionDraft, TopicsConfig
from cortex_tui.remote import RemoteBackend
from cortex_tui.server import create_app, serving
from tests.brokers import ANONYMOUS, StartMosquitto, publish, users
from tests.orchestrators import TOPIC, configured, draft
from tests.ui.conftest import Orchestrator
from tests.ui.driving import WIDE, Person, before
from tests.waiting import until

PRODUCT = ProductDraft(name="Tyres")
PENDING = SubscriptionDraft(name="payment_marked_as_pending", application_id="ABC123")


async def test_from_nothing_to_counted_events(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees_each("No products yet", "create the first one")
        await person.press("n")
        await person.sees_each("New product")
        await person.fill_in("name", "Tyre insurance")
        await person.press("f2")
        await person.sees_each("Tyre insurance", "not configured")
        await person.press("enter")
        await person.sees_each("Host", "Clean session")
        await person.fill_in("host", "127.0.0.1")
        await person.fill_in("port", str(broker.port))
        await person.press("f4")
        await person.sees_each("Connected in")
        await person.press("escape")
        await person.press("f3")
        await person.sees_each("● connected")
        await person.press("f6", "f6")
        await person.sees_each("No subscriptions yet")
        await person.press("n")
        await person.sees_each("New subscription")
        await person.fill_in("name", "paid")
        await person.fill_in("application_id", "ABC123")
        await person.fill_in("actions", '[{"type": "record"}]')
        await person.sees_each(f"listens to  {TOPIC}")
        await person.press("f2")
        await person.sees_each("● on   paid", "RECEIVED")
        await until(lambda: f"$share/bre/{TOPIC}" in broker.log)
        for _ in range(3):
            publish(broker, TOPIC, '{"event": "paid"}')
        await person.sees_each("Messages   3")


async def test_a_subscription_is_switched_off_and_on_at_the_broker(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    await configured(orchestrator.inside, draft(broker), PENDING)
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees_each("● connected")
        await person.press("enter", "3")
        await person.sees_each("● on   payment_marked_as_pending")
        await person.press("space")
        await person.sees_each("○ off  payment_marked_as_pending")
        await until(lambda: "Received UNSUBSCRIBE" in broker.log)
        await person.press("a")
        await person.sees_each("● on   payment_marked_as_pending")
        await until(lambda: broker.log.count("Received SUBSCRIBE") == 2)


async def test_a_refused_password_is_said_and_corrected(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "secret"}))
    await configured(
        orchestrator.inside, draft(broker, username="alice", password="wrong"), PENDING
    )
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees_each("✗ latched", "Not authorized (code 5)")
        await person.press("enter")
        await person.sees_each("✗ Not authorized (code 5)")
        await person.fill_in("password", "secret")
        await person.sees_each("new")
        assert "secret" not in person.screen
        await person.press("f3")
        await person.sees_each("● connected")


async def test_the_broker_goes_and_comes_back(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    await configured(orchestrator.inside, draft(broker), PENDING)
    async with before(orchestrator.open) as person:
        await person.sees_each("● connected")
        await person.press("enter")
        broker.stop()
        await person.sees_each("↻ retrying")
        broker.start()
        await person.sees_each("● connected")


async def test_a_wrong_value_is_said_at_its_field_and_nothing_is_lost(
    orchestrator: Orchestrator,
) -> None:
    await orchestrator.inside.create_product(PRODUCT)
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees_each("Tyres")
        await person.press("enter")
        await person.sees_each("Host")
        await person.fill_in("host", "mqtt://localhost")
        await person.sees_each("host contains a scheme")
        await person.fill_in("port", "70000")
        await person.sees_each("give at most 65,535")
        await person.press("f2")
        await person.sees_each("need")
        assert "mqtt://localhost" in person.screen
        await person.press("escape", "escape")
        await person.sees_each("Leave with unsaved changes?")
        await person.press("escape")
        await person.sees_no("Leave with unsaved changes?")
        await person.sees_each("mqtt://localhost")


async def test_the_exact_filters_are_previewed(orchestrator: Orchestrator) -> None:
    product = await orchestrator.inside.create_product(PRODUCT)
    await orchestrator.inside.create_subscription(product.id, PENDING)
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees_each("Tyres")
        await person.press("enter", "f6")
        await person.sees_each(f"$share/bre/{TOPIC}")
        await person.fill_in("prefix", "elsewhere")
        await person.sees_each("$share/bre/elsewhere/ABC123/business-events")
        await person.fill_in("pattern", "{customer}/x")
        await person.sees_each("unknown variable")


async def test_a_product_is_disabled_and_deleted(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto
) -> None:
    await configured(orchestrator.inside, draft(start_mosquitto(*ANONYMOUS)), PENDING)
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees_each("● connected")
        await person.press("space")
        await person.sees_each("– disabled")
        await person.press("delete")
        await person.sees_each("Delete product Tyres?", "1 subscription")
        await person.press("n")
        await person.sees_each("– disabled")
        await person.press("delete")
        await person.sees_each("Delete product Tyres?")
        await person.press("y")
        await person.sees_each("No products yet")


async def test_a_name_that_is_taken_is_said_in_the_form(orchestrator: Orchestrator) -> None:
    await orchestrator.inside.create_product(PRODUCT)
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees_each("Tyres")
        await person.press("n")
        await person.fill_in("name", "Tyres")
        await person.press("f2")
        await person.sees_each("exists already", "New product")


async def test_somebody_elses_change_is_shown_before_it_is_overwritten(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    product = await configured(orchestrator.inside, draft(broker), PENDING)
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees_each("● connected")
        await person.press("enter")
        await person.sees_each("Keep alive")
        await person.fill_in("keep_alive", "30")
        theirs = draft(broker, topics=TopicsConfig(shared_group="theirs"))
        await orchestrator.inside.save_config(product.id, theirs)
        await person.press("f2")
        await person.sees_each("Keep alive: 30 (yours), 60 (theirs)", "Group: bre (yours)")
        await person.press("l")
        await person.sees_no("(yours)")
        saved = await orchestrator.inside.config(product.id)
        assert saved.mqtt_config is not None
        assert saved.mqtt_config.topics.shared_group == "theirs"


async def test_a_read_only_context_refuses_every_change(orchestrator: Orchestrator) -> None:
    await orchestrator.inside.create_product(PRODUCT)
    async with before(orchestrator.open, size=WIDE, read_only=True) as person:
        await person.sees_each("Tyres", "read-only")
        for key in ("n", "space", "delete"):
            await person.press(key)
            await person.sees_each("This context is read-only")
        assert len(await orchestrator.inside.products()) == 1


async def test_rows_are_filtered_while_typing(orchestrator: Orchestrator) -> None:
    for name in ("Tyres", "Travel", "Phones"):
        await orchestrator.inside.create_product(ProductDraft(name=name))
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees_each("Tyres", "Travel", "Phones")
        await person.press("slash")
        await person.type("tra")
        await person.sees_no("Phones")
        await person.press("escape")
        await person.sees_each("Tyres", "Travel", "Phones")


async def test_help_tells_the_keys_and_find_finds_a_product(orchestrator: Orchestrator) -> None:
    await orchestrator.inside.create_product(PRODUCT)
    async with before(orchestrator.open, size=WIDE) as person:
        await person.sees_each("Tyres")
        await person.press("question_mark")
        await person.sees_each("Create a product", "In a table")
        await person.press("escape", "ctrl+p")
        await person.type("tyres")
        await person.sees_each("not configured")
        await person.press("enter")
        await person.sees_each("cortex › Tyres")


async def test_keys_answer_while_the_server_is_away_and_it_recovers_by_itself(
    local: LocalBackend,
) -> None:
    await local.create_product(PRODUCT)
    async with AsyncExitStack() as stack:
        running = AsyncExitStack()
        url = await running.enter_async_context(serving(create_app(local), port=0))
        port = int(url.rsplit(":", 1)[1])
        person: Person = await stack.enter_async_context(
            before(lambda _: RemoteBackend.open(url), size=WIDE)
        )
        await person.sees_each("Tyres", "not configured")
        await running.aclose()
        await person.sees_each("? unknown", "refuses connections")
        await person.press("question_mark")
        await person.sees_each("In a table")
        await person.press("escape", "enter")
        await person.sees_each("The configuration cannot be read")
        await stack.enter_async_context(serving(create_app(local), port=port))
        await person.sees_each("○ not configured", "Clean session")
        await person.sees_no("refuses connections")
