"""Dry runs in the subscription editor: nothing is saved, and nothing is sent."""

import json

import pytest

from cortex_tui.backend import FieldProblem, Invalid
from cortex_tui.demo.broker import Broker
from cortex_tui.events import JobState
from cortex_tui.models import Action, Product, SubscriptionDraft
from tests.brokers import publish
from tests.orchestrators import TOPIC, configured, connected, draft
from tests.ui.conftest import Orchestrator
from tests.ui.driving import WIDE, Person, before
from tests.ui.test_events import claim, kept

MAIL = {
    "type": "conditional_email",
    "condition": "claim.estimate > 300 && has(claim.id)",
    "template": "claim_opened",
    "recipients": ["desk@example.com"],
}
RECORD = {"type": "record", "params": {"estimate": "{{claim.estimate}}"}}
CLAIM = SubscriptionDraft(
    name="claim",
    topic=TOPIC,
    actions=(Action.model_validate(MAIL), Action.model_validate(RECORD)),
)
AUDIT = SubscriptionDraft(name="audit", topic="audit/#", event="*")


def write_templates(orchestrator: Orchestrator) -> None:
    """An e-mail template where the orchestrator looks for it."""
    folder = orchestrator.templates
    folder.mkdir()
    (folder / "claim_opened.subject.txt").write_text("Claim {{ claim.id }}")
    (folder / "claim_opened.txt").write_text("It may cost {{ claim.estimate }} EUR.")


async def product_of(orchestrator: Orchestrator, broker: Broker) -> Product:
    write_templates(orchestrator)
    return await connected(orchestrator.inside, draft(broker), CLAIM, AUDIT)


async def edit(person: Person, name: str) -> None:
    """Open the only product, and one of its subscriptions."""
    await person.sees("▸", "Tyres")
    await person.press("enter")
    await person.sees("Clean session")
    await person.press("3")
    await person.sees("RECEIVED")
    await person.press("slash")
    await person.type(name)
    await person.press("enter", "enter")
    await person.sees(f"Subscription {name}")


async def test_a_draft_is_tried_with_the_last_event_it_takes(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    broken = {"event": "claim", "claim": {"estimate": 412.5, "id": "CLM-1"}}
    publish(broker, TOPIC, json.dumps(broken))
    publish(broker, "audit/trail", '{"event": "claim"}')  # for somebody else
    await kept(orchestrator, product, 2)
    async with before(orchestrator.open, size=(120, 50)) as person:
        await edit(person, "claim")
        await person.press("f4")
        await person.sees("Dry run of claim")
        await person.sees("Nothing is sent. With the last event that it takes")
        await person.sees("✓ Takes it: topic and event fit")
        await person.sees("1  conditional_email", "would run: recorded, not sent")
        await person.sees("✓ claim.estimate > 300 && has(claim.id)")
        await person.sees("claim.estimate is 412.5")
        await person.sees("To", "desk@example.com")
        await person.sees("Subject", "Claim CLM-1")
        await person.sees("It may cost 412.5 EUR.")
        await person.sees("2  record", "would run: recorded, not sent")
        await person.sees('"estimate": 412.5')
        # Unsaved, and with the same event again.
        await person.press("escape")
        changed = {**MAIL, "condition": "claim.estimate > 500"}
        await person.fill_in("actions", json.dumps([changed]))
        await person.press("f4")
        await person.sees("1  conditional_email", "the condition does not hold")
        await person.sees("claim.estimate is 412.5")
        jobs = await orchestrator.inside.jobs(product.id)
        assert {job.state for job in jobs} == {JobState.RECORDED}
        assert len(jobs) == 2  # those of the event itself
        [stored, _] = await orchestrator.inside.subscriptions(product.id)
        assert stored.actions == CLAIM.actions


async def test_an_event_of_ones_own(orchestrator: Orchestrator, broker: Broker) -> None:
    await configured(orchestrator.inside, draft(broker), CLAIM)
    async with before(orchestrator.open, size=(120, 50)) as person:
        await edit(person, "claim")
        await person.press("f4")
        await person.sees("With an example: none of the last events is for it")
        await person.sees("1  conditional_email", "the condition does not hold")
        await person.sees("✗ claim.estimate > 300")
        await person.sees("claim.estimate is missing, which counts as null")
        await person.sees("compares two numbers or two strings")
        await person.sees("○ has(claim.id)")
        await person.sees("2  record", "would run, and fail")
        await person.sees("✗ claim.estimate is missing from the event")
        await person.press("e")
        await person.sees("An event to try")
        await person.sees('"event": "claim"')
        await person.press("tab", "f1")
        await person.sees("In a form")
        await person.sees("F7", "Select all: what is typed or pasted then replaces it")
        assert person.screen.count("In a form") == 1
        await person.press("escape")
        await person.sees("F7 Select all")
        await person.press("f7")
        await person.type(claim(1))
        await person.press("shift+tab")
        await person.type("elsewhere")
        await person.press("f2")
        await person.sees("With an event of your own")
        await person.sees("○ Does not take it", f"it listens to {TOPIC}")
        await person.sees("the condition does not hold")
        await person.sees("2  record", "would run, if it took the event")
        await person.press("e")
        await person.sees("Topic", "elsewhere")
        await person.fill_in("payload", "no JSON")
        await person.press("f2")
        await person.sees("✗ The payload cannot be read: not JSON: line 1, column 1")


async def test_a_chosen_event(orchestrator: Orchestrator, broker: Broker) -> None:
    product = await product_of(orchestrator, broker)
    publish(broker, TOPIC, claim(1, id="first"))
    publish(broker, TOPIC, claim(2, id="second"))
    await kept(orchestrator, product, 2)
    async with before(orchestrator.open, size=WIDE) as person:
        await edit(person, "claim")
        await person.press("f4")
        await person.sees("claim.estimate is 2")
        await person.press("c")
        await person.type("first")
        await person.press("enter")
        await person.sees("claim.estimate is 1")
        await person.sees("With event 1")


async def test_a_condition_that_is_none_is_said_at_its_field(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open, size=WIDE) as person:
        await edit(person, "claim")
        wrong = [RECORD, {**MAIL, "condition": "payment.status = 'x'"}]
        await person.fill_in("actions", json.dumps(wrong))
        for key in ("f4", "f2"):
            await person.press(key)
            await person.sees("✗ action 2, condition:", "use == to compare")
            await person.sees("Subscription claim")
            await person.fill_in("description", key)  # the complaint goes as it is edited
            await person.sees_no("use == to compare")
        await person.fill_in("actions", json.dumps([RECORD]))
        await person.press("f2")
        await person.sees_no("Subscription claim")
        [stored, _] = await orchestrator.inside.subscriptions(product.id)
        assert [action.type for action in stored.actions] == ["record"]


async def test_the_event_of_a_failed_run_is_tried_until_it_goes_well(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    publish(broker, TOPIC, json.dumps({"event": "claim", "claim": {"id": 1}}))
    await kept(orchestrator, product, 1)
    async with before(orchestrator.open, size=(120, 50)) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter")
        await person.sees("Clean session")
        await person.press("4")
        await person.sees("▸", "✗ 1 failed")
        await person.press("t")
        await person.sees("▸ claim", "evaluation failed")
        await person.sees("audit", "it listens to audit/#")
        await person.press("enter")
        await person.sees("Dry run of claim")
        await person.sees("Nothing is sent. With event 1")
        await person.sees("the condition cannot be evaluated")
        await person.press("escape")  # back to where it was asked for
        await person.sees_no("Dry run of claim")
        assert not person.line("Subscription claim")
        await person.sees("▸", "✗ 1 failed")
        await person.press("t", "enter")
        await person.sees("Dry run of claim")
        await person.press("s")
        await person.sees("Subscription claim")
        right = {**MAIL, "condition": "claim.estimate == null"}
        await person.fill_in("actions", json.dumps([right]))
        await person.press("f4")
        await person.sees("Nothing is sent. With event 1")
        await person.sees("✓ claim.estimate == null")
        await person.press("s", "f2")  # the form it is above of
        await person.sees_no("Subscription claim")
        await person.sees("▸", "✗ 1 failed")
        [stored, _] = await orchestrator.inside.subscriptions(product.id)
        assert [action.condition for action in stored.actions] == ["claim.estimate == null"]


async def test_what_cannot_be_tried_is_opened_where_it_is_wrong(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await product_of(embedded, broker)
    publish(broker, TOPIC, claim(1))
    await kept(embedded, product, 1)

    async def refuse(*_: object) -> None:
        raise Invalid([FieldProblem(("draft", "actions", 0, "condition"), "is of another time")])

    monkeypatch.setattr(embedded.inside, "try_event", refuse)
    async with before(embedded.open, size=WIDE) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter")
        await person.sees("Clean session")
        await person.press("4")
        await person.sees("▸", "claim")
        await person.press("t", "enter")
        await person.sees("Subscription claim")
        await person.sees("✗ action 1, condition:", "is of another time")
        assert not person.line("Dry run of")


async def test_who_may_only_look_can_try_and_not_save(
    embedded: Orchestrator, broker: Broker
) -> None:
    product = await configured(embedded.inside, draft(broker), CLAIM)
    async with before(embedded.open, size=WIDE, read_only=True) as person:
        await edit(person, "claim")
        await person.fill_in("actions", "[]")
        await person.press("f4")
        await person.sees("It has no actions: such an event is only counted.")
        await person.press("escape", "f2")
        await person.sees("This context is read-only.")
        [stored] = await embedded.inside.subscriptions(product.id)
        assert stored.actions == CLAIM.actions
