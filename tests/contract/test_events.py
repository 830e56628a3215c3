"""Events and what comes of them, the same for both backends."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cortex_tui.backend import Backend, Conflict, Invalid, NotFound
from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.demo.broker import Broker
from cortex_tui.events import (
    Event,
    Job,
    JobChoice,
    JobState,
    Outcome,
    Publication,
    Trial,
)
from cortex_tui.local import retries
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import (
    Action,
    Product,
    ProductChange,
    SubscriptionChange,
    SubscriptionDraft,
    SubscriptionStats,
)
from cortex_tui.states import ConnectionState
from tests.brokers import publish
from tests.contract.conftest import Orchestrator
from tests.orchestrators import TOPIC, draft, listens, reaches
from tests.waiting import until

SECRET = "hunter2"
PENDING = {"type": "webhook", "params": {"amount": "{{payment.amount}}"}}
DEAD = {"type": "send_fax"}
RECORDED = {"type": "record", "params": {"amount": "{{payment.amount}}"}}
EVENT: dict[str, Any] = {"event": "paid", "event_id": 1, "payment": {"amount": 120.5}}
NOBODY = 77
MIB = 1_048_576


@pytest.fixture
async def local(
    tmp_path: Path, unused: int, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LocalBackend]:
    """Web hooks go to where nobody listens, and wait for ever for another attempt."""
    monkeypatch.setattr(retries, "FIRST_DELAY", 800.0)
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "paid.subject.txt").write_text("Paid: {{ params.amount }}")
    (templates / "paid.txt").write_text("{{ payment.amount }} is paid")
    delivery = {
        "webhook": {
            "url": f"http://127.0.0.1:{unused}/?key={SECRET}-url",
            "headers": {"Authorization": f"Bearer {SECRET}-header"},
            "secret": f"{SECRET}-secret",
        },
        "max_attempts": 100,
    }
    backend = await LocalBackend.open(
        tmp_path / "cortex.db", delivery=DeliverySettings.model_validate(delivery)
    )
    yield backend
    await backend.aclose()


def subscription(name: str, *actions: dict[str, Any], **fields: Any) -> SubscriptionDraft:
    made = tuple(Action.model_validate(each) for each in actions)
    return SubscriptionDraft(**{"name": name, "topic": TOPIC, "event": "*", **fields}, actions=made)


async def listening(
    extended: Orchestrator, broker: Broker, *subscriptions: SubscriptionDraft
) -> Product:
    """A product with these subscriptions, once the broker has heard of them."""
    product = await extended.product()
    for each in subscriptions:
        await extended.inside.create_subscription(product.id, each)
    await extended.inside.save_config(product.id, draft(broker))
    await listens(extended.inside, product.id)
    return product


async def events(extended: Orchestrator, product: Product, count: int) -> list[Event]:
    """All, newest first, once there are so many."""

    async def there() -> bool:
        return len(await extended.inside.events(product.id, limit=500)) == count

    await until(there)
    return await extended.backend.events(product.id)


async def jobs(
    extended: Orchestrator, product: Product, count: int, *states: JobState
) -> list[Job]:
    """Those in these states, newest first, once there are so many."""

    async def there() -> bool:
        return len(await extended.inside.jobs(product.id, states=states, limit=500)) == count

    await until(there)
    return await extended.backend.jobs(product.id, states=states)


async def stats(extended: Orchestrator, product: Product) -> list[SubscriptionStats]:
    return [each.stats for each in await extended.backend.subscriptions(product.id)]


# -- events -----------------------------------------------------------------------------------


async def test_events_come_newest_first_and_page_by_page(
    extended: Orchestrator, broker: Broker
) -> None:
    product = await listening(extended, broker, subscription("all"))
    for number in range(1, 6):
        publish(broker, TOPIC, json.dumps({"event": "paid", "number": number}))

    found = await events(extended, product, 5)

    assert [each.id for each in found] == [5, 4, 3, 2, 1]
    newest = found[0]
    assert (newest.product_id, newest.topic, newest.name, newest.qos) == (
        product.id,
        TOPIC,
        "paid",
        1,
    )
    assert json.loads(newest.payload) == {"event": "paid", "number": 5}
    assert (newest.size, newest.truncated, newest.problem) == (len(newest.payload), False, None)
    assert found == await extended.inside.events(product.id)

    async def ids(**page: int) -> list[int]:
        return [each.id for each in await extended.backend.events(product.id, **page)]

    assert await ids(limit=2) == [5, 4]
    assert await ids(limit=2, before=4) == [3, 2]
    assert await ids(after=3) == [5, 4]
    assert await ids(after=1, before=4, limit=1) == [3]
    assert await ids(after=5) == await ids(before=1) == []


async def test_an_event_says_what_each_subscription_made_of_it(
    extended: Orchestrator, broker: Broker
) -> None:
    product = await listening(
        extended,
        broker,
        subscription("matches", RECORDED),
        subscription("is false", {**RECORDED, "condition": "payment.amount > 1000"}),
        subscription("fails", {**RECORDED, "condition": "payment.refund > 1000"}),
        subscription("another", RECORDED, event="cancelled"),
        subscription("off", RECORDED, enabled=False),
    )
    publish(broker, TOPIC, json.dumps(EVENT))

    [event] = await events(extended, product, 1)

    outcomes = [(each.subscription_id, each.outcome) for each in event.decisions]
    assert outcomes == [
        (1, Outcome.MATCHED),
        (2, Outcome.CONDITION_FALSE),
        (3, Outcome.EVALUATION_FAILED),
    ]
    assert event.decisions[2].error == (
        "payment.refund is null and 1000 is a number: > compares two numbers or two strings"
    )
    matches, false, fails, another, off = await stats(extended, product)
    assert (matches.messages_received, matches.matched, matches.actions_executed) == (1, 1, 1)
    assert (false.messages_received, false.condition_false, false.actions_executed) == (1, 1, 0)
    assert (fails.messages_received, fails.evaluation_failed, fails.matched) == (1, 1, 0)
    assert (fails.last_error, fails.last_error_event_id) == (event.decisions[2].error, event.id)
    assert fails.last_error_at == event.at
    assert matches.last_message_at == event.at
    assert matches.rate_1m > 0
    assert another == off == SubscriptionStats()


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "empty"),
        (b'{"event": ', "not JSON: line 1, column 11"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 2_000 + b"]" * 2_000, "nested too deep"),
        (b'"' + b"a" * MIB + b'"', "larger than 1,048,576 bytes"),
    ],
    ids=["empty", "no JSON", "no text", "deep", "large"],
)
async def test_what_cannot_be_read_is_kept_with_the_reason(
    extended: Orchestrator, broker: Broker, payload: bytes, problem: str
) -> None:
    product = await listening(extended, broker, subscription("all", RECORDED))
    publish(broker, TOPIC, payload)

    [event] = await events(extended, product, 1)

    assert (event.problem, event.name, event.size) == (problem, None, len(payload))
    assert event.truncated == (len(payload) > 65_536)
    assert event.payload == payload[:65_536].decode(errors="replace")
    assert [each.outcome for each in event.decisions] == [Outcome.EVALUATION_FAILED]
    [counted] = await stats(extended, product)
    assert (counted.evaluation_failed, counted.matched, counted.actions_executed) == (1, 0, 0)
    assert counted.last_error == problem
    status = await extended.backend.status(product.id)
    assert (status.messages_received, status.messages_unreadable) == (1, 1)


async def test_a_page_of_large_events_is_shorter_and_the_next_goes_on(
    extended: Orchestrator, broker: Broker
) -> None:
    product = await listening(extended, broker, subscription("all"))
    for _ in range(40):
        publish(broker, TOPIC, b"\x01" * 65_536)  # six times as long in JSON

    await until(lambda: received(extended, product, 40))

    found, before = list[int](), None
    while page := await extended.backend.events(product.id, before=before, limit=500):
        found += [each.id for each in page]
        before = found[-1]
    assert found == list(range(40, 0, -1))


async def received(extended: Orchestrator, product: Product, count: int) -> bool:
    return (await extended.inside.status(product.id)).messages_received == count


# -- jobs -------------------------------------------------------------------------------------


async def test_jobs_are_found_by_state_and_subscription_and_page_by_page(
    extended: Orchestrator, broker: Broker
) -> None:
    product = await listening(
        extended, broker, subscription("some", RECORDED, DEAD), subscription("waits", PENDING)
    )
    for number in range(3):
        publish(broker, TOPIC, json.dumps({**EVENT, "event_id": number}))
    everything = (JobState.PENDING, JobState.DEAD, JobState.RECORDED)
    await jobs(extended, product, 9, *everything)
    await until(lambda: all_attempted(extended, product))

    backend = extended.backend
    found = await backend.jobs(product.id)
    assert [each.id for each in found] == sorted((each.id for each in found), reverse=True)
    assert found == await extended.inside.jobs(product.id)
    dead = await backend.jobs(product.id, states=[JobState.DEAD])
    assert [(each.state, each.subscription_id) for each in dead] == [(JobState.DEAD, 1)] * 3
    waiting = await backend.jobs(product.id, subscription_id=2)
    assert [each.state for each in waiting] == [JobState.PENDING] * 3
    assert await backend.jobs(product.id, states=[JobState.DEAD], subscription_id=2) == []
    assert await backend.jobs(product.id, states=[]) == []
    page = await backend.jobs(product.id, limit=4)
    assert page == found[:4]
    assert await backend.jobs(product.id, before=page[-1].id) == found[4:]

    job = waiting[0]
    assert job.event is not None
    assert json.loads(job.event) == {**EVENT, "event_id": 2}
    assert job.event_id == (await backend.events(product.id))[0].id
    assert job.content == {"params": {"amount": 120.5}}
    assert job.action.model_dump() == PENDING
    assert job.due_at is not None
    [failure] = job.failures
    assert failure.reason.startswith("connection refused (127.0.0.1:")


async def all_attempted(extended: Orchestrator, product: Product) -> bool:
    """Whether every action of the second subscription waits for another attempt."""
    found = await extended.inside.jobs(product.id, subscription_id=2)
    return all(each.state is JobState.PENDING and each.failures for each in found)


async def test_a_page_of_large_jobs_is_shorter_and_the_next_goes_on(
    extended: Orchestrator, broker: Broker
) -> None:
    product = await listening(extended, broker, subscription("dead", DEAD))
    for number in range(15):
        publish(broker, TOPIC, json.dumps({"event_id": number, "text": '"' * 500_000}))

    await until(lambda: received(extended, product, 15))

    found, before = list[int](), None
    while page := await extended.backend.jobs(product.id, before=before, limit=500):
        found += [each.id for each in page]
        before = found[-1]
    assert found == list(range(15, 0, -1))


async def test_dead_letters_are_retried_and_discarded(
    extended: Orchestrator, broker: Broker
) -> None:
    product = await listening(
        extended, broker, subscription("one", DEAD), subscription("two", DEAD, RECORDED)
    )
    for number in range(2):
        publish(broker, TOPIC, json.dumps({**EVENT, "event_id": number}))
    of_two, of_one = (await jobs(extended, product, 4, JobState.DEAD))[:2]
    backend = extended.backend

    assert await backend.retry_jobs(product.id, JobChoice(job_id=of_one.id)) == 1
    await until(lambda: failed(extended, product, of_one.id, 2))
    assert await backend.retry_jobs(product.id, JobChoice(subscription_id=2)) == 2
    await until(lambda: failed(extended, product, of_two.id, 2))
    assert await backend.retry_jobs(product.id, JobChoice()) == 4
    await until(lambda: failed(extended, product, of_one.id, 3))
    again = await jobs(extended, product, 4, JobState.DEAD)
    assert {each.reason for job in again for each in job.failures} == {
        "unknown action type 'send_fax'"
    }
    assert [each.dead for each in await stats(extended, product)] == [2, 2]

    assert await backend.discard_jobs(product.id, JobChoice(job_id=of_one.id)) == 1
    assert await backend.discard_jobs(product.id, JobChoice(job_id=of_one.id)) == 0
    assert await backend.discard_jobs(product.id, JobChoice(subscription_id=2)) == 2
    assert await backend.discard_jobs(product.id, JobChoice()) == 1
    left = await backend.jobs(product.id)
    assert [each.state for each in left] == [JobState.RECORDED] * 2
    assert [each.dead for each in await stats(extended, product)] == [0, 0]


async def test_only_actions_in_the_states_of_the_choice_are_retried_and_discarded(
    extended: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_tui.local.retries.FIRST_DELAY", 600.0)  # what waits goes on waiting
    product = await listening(
        extended, broker, subscription("dead", DEAD), subscription("waits", PENDING)
    )
    for number in range(2):
        publish(broker, TOPIC, json.dumps({**EVENT, "event_id": number}))
    await jobs(extended, product, 2, JobState.DEAD)
    await jobs(extended, product, 4, *JobState)
    await until(lambda: all_attempted(extended, product))
    backend = extended.backend
    dead, waits = (JobState.DEAD,), (JobState.PENDING,)

    assert await backend.retry_jobs(product.id, JobChoice(states=waits)) == 0
    assert await backend.discard_jobs(product.id, JobChoice(states=())) == 0
    assert await backend.discard_jobs(product.id, JobChoice(subscription_id=2, states=dead)) == 0
    assert await backend.discard_jobs(product.id, JobChoice(states=dead)) == 2
    left = await backend.jobs(product.id)
    assert [(each.state, each.subscription_id) for each in left] == [(JobState.PENDING, 2)] * 2
    one = JobChoice(job_id=left[0].id, states=waits)
    assert await backend.discard_jobs(product.id, one) == 1
    assert await backend.discard_jobs(product.id, JobChoice(states=(*dead, *waits))) == 1
    assert await backend.jobs(product.id) == []


async def failed(extended: Orchestrator, product: Product, job_id: int, times: int) -> bool:
    found = await extended.inside.jobs(product.id, states=[JobState.DEAD])
    return any(each.id == job_id and len(each.failures) == times for each in found)


def test_a_choice_that_is_mistyped_is_not_all_of_them() -> None:
    with pytest.raises(ValidationError):
        JobChoice.model_validate({"jobid": 7})
    with pytest.raises(ValidationError, match="only dead and pending can be chosen here"):
        JobChoice.model_validate({"states": ["dead", "done"]})


# -- trying an event out ----------------------------------------------------------------------

EMAIL = {
    "type": "conditional_email",
    "template": "paid",
    "recipients": ["{{customer.emails}}", "ops@example.com"],
    "params": {"amount": "{{payment.amount}}"},
}
CUSTOMER = {"emails": ["ann@example.com", "Bob <bob@example.com>"]}


async def tried(
    extended: Orchestrator, draft: SubscriptionDraft, payload: Any, topic: str | None = None
) -> Any:
    """What both ways say: of a draft, and of the same one once it is stored."""
    product = await extended.product()
    text = payload if isinstance(payload, str) else json.dumps(payload)
    said = await extended.backend.try_event(
        product.id, Trial(draft=draft, payload=text, topic=topic)
    )
    stored = await extended.inside.create_subscription(product.id, draft)
    again = await extended.backend.try_event(
        product.id, Trial(subscription_id=stored.id, payload=text, topic=topic)
    )
    assert said == again
    assert await extended.inside.jobs(product.id) == []
    assert await extended.inside.events(product.id) == []
    [after] = await extended.inside.subscriptions(product.id)
    assert after.stats == SubscriptionStats()
    return said


async def test_a_trial_shows_every_term_with_what_it_saw(extended: Orchestrator) -> None:
    condition = "payment.amount >= 100 && payment.refund == null && tags[0] in ['new']"
    said = await tried(extended, subscription("s", {**RECORDED, "condition": condition}), EVENT)

    assert (said.takes, said.name, said.problem, said.topic) == (True, "paid", None, TOPIC)
    [action] = said.actions
    assert (action.type, action.runs, action.sent) == ("record", False, False)
    assert action.condition.text == condition
    assert action.condition.result is False
    assert [
        (term.text, term.result, [(seen.path, seen.value, seen.missing) for seen in term.seen])
        for term in action.condition.terms
    ] == [
        ("payment.amount >= 100", True, [("payment.amount", 120.5, False)]),
        ("payment.refund == null", True, [("payment.refund", None, True)]),
        ("tags[0] in ['new']", False, [("tags[0]", None, True)]),
    ]


async def test_a_trial_shows_what_would_go_out(extended: Orchestrator) -> None:
    said = await tried(
        extended, subscription("s", EMAIL, PENDING, DEAD), {**EVENT, "customer": CUSTOMER}
    )

    email, webhook, fax = said.actions
    assert (email.runs, email.sent, email.problem) == (True, False, None)
    assert email.mail.recipients == ("ann@example.com", "Bob <bob@example.com>", "ops@example.com")
    assert email.mail.subject == "Paid: 120.5"
    assert email.mail.text == "120.5 is paid"
    assert email.mail.html is None
    assert (webhook.runs, webhook.sent, webhook.content) == (
        True,
        True,
        {"params": {"amount": 120.5}},
    )
    assert (fax.runs, fax.sent, fax.problem) == (True, False, "unknown action type 'send_fax'")


@pytest.mark.parametrize(
    ("action", "problem"),
    [
        ({**EMAIL, "template": "unpaid"}, "there is no unpaid.subject.txt in "),
        ({**EMAIL, "recipients": ["{{payment.amount}}"]}, "one of the recipients is no e-mail"),
        ({**EMAIL, "params": {"amount": "{{price}}"}}, "price is missing from the event"),
        ({**EMAIL, "params": {"amount": 1}, "template": "broken"}, "broken.txt: "),
        ({**PENDING, "params": {"amount": "{{a.b}}"}}, "a.b is missing from the event"),
    ],
    ids=["template", "recipient", "param", "broken", "webhook"],
)
async def test_a_trial_says_why_an_action_would_fail(
    extended: Orchestrator, tmp_path: Path, action: dict[str, Any], problem: str
) -> None:
    (tmp_path / "templates" / "broken.subject.txt").write_text("-")
    (tmp_path / "templates" / "broken.txt").write_text("{{ payment.amount|dictsort }}")

    said = await tried(extended, subscription("s", action), {**EVENT, "customer": CUSTOMER})

    assert said.actions[0].problem.startswith(problem)


@pytest.mark.parametrize(
    ("payload", "topic", "takes", "reason"),
    [
        ({"event": "cancelled"}, None, False, "it takes events named paid"),
        ({"event": "paid"}, "a/b", False, f"it listens to {TOPIC}"),
        ({"id": 7}, None, True, "topic and event fit: it has no name"),
        ("nonsense", None, False, "the payload cannot be read"),
    ],
    ids=["name", "topic", "no name", "nonsense"],
)
async def test_a_trial_says_whether_the_event_gets_there(
    extended: Orchestrator, payload: Any, topic: str | None, takes: bool, reason: str
) -> None:
    said = await tried(extended, subscription("s", RECORDED, event="paid"), payload, topic)

    assert (said.takes, said.reason) == (takes, reason)
    assert (said.problem is None) == (payload != "nonsense")


async def test_a_trial_without_a_topic_uses_one_that_fits(extended: Orchestrator) -> None:
    said = await tried(extended, subscription("s", topic="a/+/c/#"), EVENT)

    assert (said.topic, said.takes) == ("a/example/c/example", True)


async def test_a_trial_shows_large_values_cut(extended: Orchestrator) -> None:
    conditions = " || ".join(["event == null"] * 100)
    event = {"event": {"text": "x" * 200_000}, "word": "y" * 200_000}
    action = {**RECORDED, "params": {}, "condition": f"{conditions} || word == ''"}

    said = await tried(extended, subscription("s", action), event)

    seen = [each for term in said.actions[0].condition.terms for each in term.seen]
    assert len(seen) == 101
    assert seen[0].value.startswith('{"text":"xxx')
    assert seen[-1].value.startswith("yyy")
    assert all(each.value.endswith("…") and len(each.value) <= 1_001 for each in seen)


async def test_what_cannot_be_tried_is_refused(extended: Orchestrator) -> None:
    product = await extended.product()
    backend = extended.backend
    with pytest.raises(NotFound, match="Subscription not found"):
        await backend.try_event(product.id, Trial(subscription_id=NOBODY, payload="{}"))
    bad = subscription("s", {**RECORDED, "condition": "a = 1"})
    with pytest.raises(Invalid) as refused:
        await backend.try_event(product.id, Trial(draft=bad, payload="{}"))
    assert refused.value.problems[0].loc[-3:] == ("actions", 0, "condition")
    for values in ({}, {"subscription_id": 1, "draft": bad}):
        with pytest.raises(ValidationError, match="one subscription is tried"):
            Trial(payload="{}", **values)
    for topic in ("a/+", "a/\0"):
        with pytest.raises(ValidationError) as invalid:
            Trial(subscription_id=1, payload="{}", topic=topic)
        assert invalid.value.errors()[0]["loc"] == ("topic",)


# -- publishing -------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_what_a_person_publishes_arrives(
    extended: Orchestrator, broker: Broker, qos: int
) -> None:
    product = await listening(extended, broker, subscription("all"))
    payload = json.dumps({"event": "paid", "name": "Ö"})

    await extended.backend.publish(product.id, Publication(topic=TOPIC, payload=payload, qos=qos))

    [event] = await events(extended, product, 1)
    assert (event.payload, event.topic) == (payload, TOPIC)


async def test_nothing_is_published_without_a_connection(
    extended: Orchestrator, broker: Broker
) -> None:
    backend, publication = extended.backend, Publication(topic=TOPIC)
    product = await extended.product()
    with pytest.raises(Conflict, match="there is no connection to the broker") as refused:
        await backend.publish(product.id, publication)
    assert refused.value.hint

    await extended.inside.save_config(product.id, draft(broker))
    await reaches(extended.inside, product.id, ConnectionState.CONNECTED)
    await extended.inside.update_product(product.id, ProductChange(enabled=False))
    await reaches(extended.inside, product.id, ConnectionState.DISABLED)
    with pytest.raises(Conflict, match="there is no connection to the broker"):
        await backend.publish(product.id, publication)


def test_only_an_exact_topic_can_be_published_to() -> None:
    for topic in ("", "a/#", "a\0"):
        with pytest.raises(ValidationError) as refused:
            Publication(topic=topic)
        assert refused.value.errors()[0]["loc"] == ("topic",)


# -- what is saved ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "location", "words"),
    [
        ({"condition": "payment.status = 'x'"}, ("condition",), ["character 16", "use =="]),
        ({"params": {"a": ["{{b"]}}, ("params", "a", 0), ["add }}"]),
        ({"type": "conditional_email"}, ("template",), ["needs the name of an e-mail template"]),
        ({"type": "publish"}, ("topic",), ["needs the topic"]),
        ({"type": "publish", "topic": "a", "qos": 3}, ("qos",), ["give 0, 1 or 2"]),
        ({"type": "send_fax", "condition": "a ="}, ("condition",), ["use =="]),
    ],
    ids=["condition", "template", "email", "publish", "qos", "unknown"],
)
async def test_an_action_that_can_never_work_is_not_saved(
    extended: Orchestrator,
    action: dict[str, Any],
    location: tuple[str | int, ...],
    words: list[str],
) -> None:
    product = await extended.product()
    bad = subscription("new", RECORDED, {"type": "record", **action})
    stored = await extended.inside.create_subscription(product.id, subscription("old"))
    change = SubscriptionChange(actions=bad.actions)

    with pytest.raises(Invalid) as created:
        await extended.backend.create_subscription(product.id, bad)
    with pytest.raises(Invalid) as changed:
        await extended.backend.update_subscription(product.id, stored.id, change)

    for refused in (created, changed):
        [problem] = refused.value.problems
        assert problem.loc == ("actions", 1, *location)
        assert all(word in problem.message for word in words)
    assert await extended.backend.subscriptions(product.id) == [stored]


async def test_an_unknown_type_is_kept_for_who_may_know_it(extended: Orchestrator) -> None:
    product = await extended.product()
    fax = {"type": "send_fax", "number": 7, "params": {"a": "{{b"}}

    made = await extended.backend.create_subscription(product.id, subscription("s", fax))

    assert [each.model_dump() for each in made.actions] == [fax]


# -- what is not there, and what is not said --------------------------------------------------

Ask = Callable[[Backend, int], Awaitable[object]]


@pytest.mark.parametrize(
    "ask",
    [
        lambda backend, product_id: backend.events(product_id),
        lambda backend, product_id: backend.jobs(product_id),
        lambda backend, product_id: backend.retry_jobs(product_id, JobChoice()),
        lambda backend, product_id: backend.discard_jobs(product_id, JobChoice()),
        lambda backend, product_id: backend.try_event(
            product_id, Trial(draft=subscription("s"), payload="{}")
        ),
        lambda backend, product_id: backend.publish(product_id, Publication(topic="a")),
    ],
    ids=["events", "jobs", "retry", "discard", "try", "publish"],
)
async def test_an_unknown_product_is_not_found(extended: Orchestrator, ask: Ask) -> None:
    with pytest.raises(NotFound, match="Product not found"):
        await ask(extended.backend, NOBODY)


async def test_the_state_of_a_product_tells_what_waits(
    extended: Orchestrator, broker: Broker
) -> None:
    product = await listening(
        extended, broker, subscription("dead", DEAD), subscription("waits", PENDING, PENDING)
    )
    publish(broker, TOPIC, json.dumps(EVENT))
    await jobs(extended, product, 1, JobState.DEAD)
    await until(lambda: all_attempted(extended, product))
    seen: list[tuple[int, int]] = []

    async def follow() -> None:
        async for beat in extended.backend.watch():
            state = beat.get(product.id)
            if state is not None:
                seen.append((state.actions_pending, state.actions_dead))

    following = asyncio.create_task(follow())
    await until(lambda: (2, 1) in seen)
    await extended.backend.discard_jobs(product.id, JobChoice())
    await until(lambda: seen[-1] == (0, 0))
    following.cancel()
    await asyncio.wait({following})


async def test_no_secret_is_in_any_answer(extended: Orchestrator, broker: Broker) -> None:
    product = await listening(extended, broker, subscription("a"), subscription("b", PENDING))
    publish(broker, TOPIC, json.dumps(EVENT))
    await events(extended, product, 1)
    await until(lambda: all_attempted(extended, product))
    backend = extended.backend
    trial = Trial(subscription_id=2, payload=json.dumps(EVENT))

    said = [
        *await backend.jobs(product.id),
        *await backend.events(product.id),
        *await backend.subscriptions(product.id),
        await backend.config(product.id),
        await backend.try_event(product.id, trial),
    ]

    assert SECRET not in "".join(each.model_dump_json() for each in said)
