"""Actions on their way: a real event over a real broker, to a real SMTP, HTTP or MQTT server.

The servers also refuse, stall, break off in the middle, and are not there.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import queue
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.demo.broker import Broker
from cortex_tui.events import Job, JobChoice, JobState
from cortex_tui.local import retries
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import Action, Product, SubscriptionDraft
from cortex_tui.server import create_app, serving
from tests.brokers import publish
from tests.certificates import Authority
from tests.counterparts import (
    Behaviour,
    StartCounterpart,
    answers,
    closes_after_hearing,
    closes_at_once,
    resets,
    says,
    silent,
)
from tests.mailservers import PostOffice, StartPostOffice
from tests.orchestrators import TOPIC, configured, draft, listens
from tests.waiting import DEADLINE, until
from tests.webservers import Answer, Request, StartWeb, Web

EVENT = {
    "event": "payment_marked_as_pending",
    "event_id": "E-1",
    "customer": {"name": "Ann <Ö>", "email": "ann@example.com"},
    "payment": {"amount": 120.5, "status": "pending"},
}
SENDER = "Cortex <cortex@example.com>"
EMAIL = {
    "type": "conditional_email",
    "template": "payment",
    "recipients": ["{{customer.email}}"],
    "params": {"amount": "{{payment.amount}}"},
}
WEBHOOK = {"type": "webhook", "params": {"amount": "{{payment.amount}}"}}
POLICY = {"type": "activate_policy", "params": {"policy_id": "POL-1"}}
TAKEN = Answer(204, b"")


@dataclass
class Scene:
    """An orchestrator with one product that listens, and ways to look at it."""

    backend: LocalBackend
    product: Product
    broker: Broker

    def happens(self, **event: Any) -> None:
        """An event comes over the broker."""
        publish(self.broker, TOPIC, json.dumps({**EVENT, **event}))

    async def jobs(self, *states: JobState, action: str | None = None) -> list[Job]:
        """Oldest first."""
        found = await self.backend.jobs(self.product.id, states=states or tuple(JobState))
        return [each for each in reversed(found) if action in (None, each.action.type)]

    async def job(self, *states: JobState, action: str | None = None) -> Job:
        """The only one, once it is in one of these states."""
        await until(lambda: self._is_there(1, states, action))
        [job] = await self.jobs(action=action)
        return job

    async def have(self, count: int, *states: JobState, action: str | None = None) -> list[Job]:
        """Exactly so many, once there are."""
        await until(lambda: self._is_there(count, states, action))
        return await self.jobs(*states, action=action)

    async def _is_there(self, count: int, states: tuple[JobState, ...], action: str | None) -> bool:
        return len(await self.jobs(*states, action=action)) == count


Begin = Callable[..., Awaitable[Scene]]


@pytest.fixture
async def begin(tmp_path: Path, broker: Broker) -> AsyncIterator[Begin]:
    """`await begin(action, …, webhook={…})`: with one subscription that has these actions, and
    these tables of `[delivery]`. Called again, it opens the same database again."""
    opened: list[LocalBackend] = []
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "payment.subject.txt").write_text("Payment of {{ params.amount }}\n")
    (folder / "payment.txt").write_text("Dear {{ customer.name }},\n\n{{ payment.status }}.\n")
    (folder / "payment.html").write_text("<p>Dear {{ customer.name }}</p>")

    async def start(*actions: dict[str, Any], **tables: Any) -> Scene:
        delivery = DeliverySettings.model_validate(tables)
        backend = await LocalBackend.open(tmp_path / "cortex.db", delivery=delivery)
        opened.append(backend)
        if products := await backend.products():
            product = products[0]
        else:
            subscription = SubscriptionDraft(
                name="payment",
                topic=TOPIC,
                event="*",
                actions=tuple(Action.model_validate(each) for each in actions),
            )
            product = await configured(backend, draft(broker), subscription)
        await listens(backend, product.id)
        return Scene(backend, product, broker)

    yield start
    for backend in opened:
        await backend.aclose()


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries within moments, and nobody is ever left alone."""
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(retries, "FAILURES_TO_OPEN", 1_000)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The authority of the tests, as one that this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
    return authority


def mail_to(office: PostOffice, **more: Any) -> dict[str, Any]:
    to = {"host": office.host, "port": office.port, "sender": SENDER, "security": "none"}
    return {**to, **more}


def in_turn(*answering: Answer) -> Callable[[Request], Answer]:
    """These answers, one after another; the last one for ever."""
    left = list(answering)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


# -- what arrives -----------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
async def test_an_e_mail_arrives_as_its_templates_say(
    begin: Begin,
    post_office: StartPostOffice,
    trusted: Authority,
    security: str,
) -> None:
    identity = trusted.server(f"mail-{security}")
    office = await post_office(
        users={"cortex": "hunter2"},
        starttls=identity if security == "starttls" else None,
        tls=identity if security == "tls" else None,
    )
    scene = await begin(
        EMAIL, email=mail_to(office, security=security, username="cortex", password="hunter2")
    )

    scene.happens()

    job = await scene.job(JobState.DONE)
    [mail] = office.mails
    assert (mail.encrypted, mail.user) == (security != "none", "cortex")
    assert mail.recipients == ("ann@example.com",)
    assert mail.message["Subject"] == "Payment of 120.5"
    assert mail.message["From"] == SENDER
    assert mail.message["To"] == "ann@example.com"
    assert mail.message["Message-ID"] == f"<{job.key}@example.com>"
    text, html = mail.message.get_body(("plain",)), mail.message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == ["Dear Ann <Ö>,", "", "pending."]
    assert html.get_content().strip() == "<p>Dear Ann &lt;Ö&gt;</p>"
    assert job.attempts == 1
    assert job.failures == ()


@pytest.mark.parametrize("action", [WEBHOOK, POLICY], ids=lambda action: str(action["type"]))
async def test_a_request_arrives_signed(
    begin: Begin, web: StartWeb, action: dict[str, Any]
) -> None:
    target = web(lambda _: TAKEN)
    secret = base64.b64encode(b"a signing key of some length").decode()
    table = {
        "url": f"{target.url}/policies?source=cortex",
        "method": "PUT",
        "headers": {"X-Team": "tyres", "User-Agent": "tyres/1"},
        "secret": f"whsec_{secret}",
    }
    scene = await begin(action, **{action["type"]: table})

    scene.happens()

    job = await scene.job(JobState.DONE)
    [request] = target.requests
    headers = request.headers
    assert (request.method, request.path) == ("PUT", "/policies?source=cortex")
    assert json.loads(request.body) == {
        "id": job.key,
        "type": action["type"],
        "timestamp": job.created_at.isoformat(),
        "product_id": scene.product.id,
        "subscription_id": job.subscription_id,
        "params": {"amount": 120.5} if action is WEBHOOK else {"policy_id": "POL-1"},
    }
    assert headers["content-type"] == "application/json"
    assert headers["idempotency-key"] == headers["webhook-id"] == job.key
    assert headers["x-team"] == "tyres"
    assert headers["user-agent"] == "tyres/1"
    # As docs/actions.md tells a receiver to check it.
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    digest = hmac.new(base64.b64decode(secret), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert abs(int(headers["webhook-timestamp"]) - job.created_at.timestamp()) < 60


async def test_an_action_that_picks_nothing_sends_the_event_along(
    begin: Begin, web: StartWeb
) -> None:
    target = web(lambda _: TAKEN)
    scene = await begin({"type": "webhook"}, webhook={"url": target.url})

    scene.happens()

    await scene.job(JobState.DONE)
    assert json.loads(target.requests[0].body)["event"] == EVENT
    assert "webhook-signature" not in target.requests[0].headers


async def test_a_publish_action_arrives_at_the_broker(begin: Begin, broker: Broker) -> None:
    action = {
        "type": "publish",
        "topic": "outcomes/{{payment.status}}",
        "payload": {"amount": "{{payment.amount}}"},
        "qos": 2,
    }
    whole = {"type": "publish", "topic": "outcomes/whole", "retain": True}
    scene = await begin(action, whole, publish={})

    with listening(broker, "outcomes/#") as messages:
        scene.happens()
        await scene.have(2, JobState.DONE)
        await until(lambda: messages.qsize() == 2)
    found = {message.topic: json.loads(message.payload) for message in messages.queue}
    assert found == {"outcomes/pending": {"amount": 120.5}, "outcomes/whole": EVENT}
    with listening(broker, "outcomes/#") as later:
        kept = await asyncio.to_thread(later.get, timeout=20)
    assert (kept.topic, kept.retain) == ("outcomes/whole", True)


@contextmanager
def listening(broker: Broker, pattern: str) -> Iterator["queue.Queue[MQTTMessage]"]:
    messages: queue.Queue[MQTTMessage] = queue.Queue()
    subscribed = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: messages.put(message)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect(broker.host, broker.port)
    client.subscribe(pattern, 2)
    client.loop_start()
    try:
        assert subscribed.wait(20)
        yield messages
    finally:
        client.disconnect()
        client.loop_stop()


async def test_what_is_not_configured_is_recorded_and_not_sent(
    begin: Begin, post_office: StartPostOffice, web: StartWeb
) -> None:
    office, target = await post_office(), web(lambda _: TAKEN)
    record = {"type": "record", "params": {"amount": "{{payment.amount}}"}}
    scene = await begin(EMAIL, WEBHOOK, POLICY, {"type": "publish", "topic": "a"}, record)

    scene.happens()

    jobs = await scene.have(5, JobState.RECORDED)
    assert [job.attempts for job in jobs] == [0] * 5
    assert jobs[0].content == {
        "template": "payment",
        "recipients": ["ann@example.com"],
        "params": {"amount": 120.5},
    }
    assert jobs[1].content == jobs[4].content == {"params": {"amount": 120.5}}
    assert json.loads(jobs[0].event or "") == EVENT
    [subscription] = await scene.backend.subscriptions(scene.product.id)
    assert subscription.stats.actions_executed == 5
    assert office.mails == []
    assert target.requests == []


async def test_an_action_whose_condition_is_false_leaves_nothing(
    begin: Begin, web: StartWeb
) -> None:
    target = web(lambda _: TAKEN)
    scene = await begin(
        {**WEBHOOK, "condition": "payment.status == 'paid'"},
        {**WEBHOOK, "condition": "payment.status == 'pending'", "params": {"which": "second"}},
        webhook={"url": target.url},
    )

    scene.happens()

    job = await scene.job(JobState.DONE)
    assert job.content == {"params": {"which": "second"}}
    assert len(target.requests) == 1


async def test_an_unknown_type_is_a_dead_letter(begin: Begin) -> None:
    scene = await begin({"type": "send_fax", "number": "{{customer.fax}}"})

    scene.happens()

    job = await scene.job(JobState.DEAD)
    assert [failure.reason for failure in job.failures] == ["unknown action type 'send_fax'"]
    assert job.action.model_dump() == {"type": "send_fax", "number": "{{customer.fax}}"}


# -- targets that refuse ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 410, 422])
async def test_a_request_that_is_refused_for_good_is_dead_at_once(
    begin: Begin, web: StartWeb, status: int
) -> None:
    target = web(lambda _: Answer(status, {"detail": "hunter2 says the other side"}))
    scene = await begin(WEBHOOK, webhook={"url": f"{target.url}/?token=hunter2"})

    scene.happens()

    job = await scene.job(JobState.DEAD)
    assert job.attempts == 1
    assert job.failures[0].reason.startswith(f"answered {status} ")
    assert job.failures[0].reason.endswith(f" ({target.url.removeprefix('http://')})")
    assert "hunter2" not in job.model_dump_json()
    assert len(target.requests) == 1


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("status", [302, 401, 429, 500, 503])
async def test_what_is_refused_for_now_is_tried_again_with_the_same_key(
    begin: Begin, web: StartWeb, status: int
) -> None:
    target = web(in_turn(Answer(status), Answer(status), TAKEN))
    scene = await begin(WEBHOOK, webhook={"url": target.url, "secret": "key"})

    scene.happens()

    job = await scene.job(JobState.DONE)
    assert job.attempts == len(target.requests) == 3
    assert [each.reason.split()[:2] for each in job.failures] == [["answered", str(status)]] * 2
    assert job.failures[0].at <= job.failures[1].at
    assert {each.headers["idempotency-key"] for each in target.requests} == {job.key}
    assert len({each.body for each in target.requests}) == 1
    [subscription] = await scene.backend.subscriptions(scene.product.id)
    stats = subscription.stats
    assert (stats.actions_executed, stats.actions_failed, stats.attempts_failed) == (1, 0, 2)
    assert stats.last_error == job.failures[1].reason


@pytest.mark.parametrize(
    "retry_after", ["600", "Fri, 31 Dec 2100 23:59:59 GMT"], ids=["seconds", "date"]
)
async def test_a_target_that_asks_for_time_gets_it(
    begin: Begin, web: StartWeb, retry_after: str
) -> None:
    target = web(lambda _: Answer(429, headers={"Retry-After": retry_after}))
    scene = await begin(WEBHOOK, webhook={"url": target.url})

    scene.happens()

    await until(lambda: target.requests)
    await until(lambda: failed_once(scene))
    [job] = await scene.jobs(JobState.PENDING)
    assert job.due_at is not None
    assert (job.due_at - job.failures[0].at).total_seconds() >= 599


async def test_no_cookie_of_one_event_goes_along_with_another(begin: Begin, web: StartWeb) -> None:
    target = web(lambda _: Answer(headers={"Set-Cookie": "session=1"}))
    scene = await begin(WEBHOOK, webhook={"url": target.url})

    for count in (1, 2):
        scene.happens()
        await scene.have(count, JobState.DONE)

    assert not any("cookie" in request.headers for request in target.requests)


async def test_a_date_that_is_none_asks_for_no_time(begin: Begin, web: StartWeb) -> None:
    never = {"Retry-After": "Mon, 01 Jan 99999999999 00:00:00 GMT"}
    target = web(lambda _: Answer(503, headers=never))
    scene = await begin(WEBHOOK, webhook={"url": target.url})

    scene.happens()

    await until(lambda: failed_once(scene))
    [job] = await scene.jobs(JobState.PENDING)
    assert job.reason is not None
    assert job.reason.startswith("answered 503 ")


async def failed_once(scene: Scene) -> bool:
    return any(each.failures for each in await scene.jobs(JobState.PENDING))


async def test_a_mail_that_is_refused_for_good_is_dead_at_once(
    begin: Begin, post_office: StartPostOffice
) -> None:
    office = await post_office()
    office.answer_recipient = lambda address: f"550 no such mailbox: {address}"
    scene = await begin(EMAIL, email=mail_to(office))

    scene.happens()

    job = await scene.job(JobState.DEAD)
    assert [each.reason for each in job.failures] == [
        "refused for ann@example.com (550 no such mailbox: ann@example.com)"
    ]


async def test_what_a_mail_server_says_is_short_and_inert_and_not_the_password(
    begin: Begin, post_office: StartPostOffice, trusted: Authority
) -> None:
    office = await post_office(starttls=trusted.server("mail-says"), users={"cortex": "hunter22"})
    sent = base64.b64encode(b"\0cortex\0hunter22").decode()
    login = base64.b64encode(b"hunter22").decode()
    office.answer_recipient = lambda _: (
        f"550 hunter22 {login} {sent} {sent[:13]}... \x1b[31m" + "no " * 200
    )
    recipients = [f"user{position}@example.com" for position in range(50)]
    email = mail_to(office, security="starttls", username="cortex", password="hunter22")
    scene = await begin({**EMAIL, "recipients": recipients}, email=email)

    scene.happens()

    [failure] = (await scene.job(JobState.DEAD)).failures
    for secret in ("hunter22", login[:6], sent[:6], "\x1b"):
        assert secret not in failure.reason
    assert all(address in failure.reason for address in recipients)
    assert "(550 *** *** *** ***..." in failure.reason
    assert len(failure.reason) < 50 * 60


async def test_an_empty_password_masks_nothing_of_what_a_mail_server_says(
    begin: Begin, post_office: StartPostOffice, trusted: Authority
) -> None:
    office = await post_office(starttls=trusted.server("mail-empty"), users={"cortex": ""})
    office.answer_recipient = lambda _: "550 no such mailbox"
    email = mail_to(office, security="starttls", username="cortex", password="")
    scene = await begin(EMAIL, email=email)

    scene.happens()

    [failure] = (await scene.job(JobState.DEAD)).failures
    assert failure.reason == "refused for ann@example.com (550 no such mailbox)"


@pytest.mark.parametrize("password", ["o", "mailbox"])
async def test_what_a_mail_server_says_is_not_told_where_the_password_may_be_a_word_of_it(
    begin: Begin, post_office: StartPostOffice, trusted: Authority, password: str
) -> None:
    office = await post_office(starttls=trusted.server("mail-short"), users={"cortex": password})
    office.answer_recipient = lambda _: "550 no such mailbox"
    login = {"security": "starttls", "username": "cortex", "password": password}
    scene = await begin(EMAIL, email=mail_to(office, **login))

    scene.happens()

    [failure] = (await scene.job(JobState.DEAD)).failures
    assert failure.reason == "refused for ann@example.com (550)"


@pytest.mark.usefixtures("fast")
async def test_a_mail_that_is_refused_for_now_goes_out_later_under_the_same_id(
    begin: Begin, post_office: StartPostOffice
) -> None:
    office = await post_office()
    answers_left = ["451 Greylisted", "452 Full", "250 Taken"]
    office.answer_mail = lambda: answers_left.pop(0)
    scene = await begin(EMAIL, email=mail_to(office))

    scene.happens()

    job = await scene.job(JobState.DONE)
    assert [each.reason for each in job.failures] == [
        "answered 451 to the e-mail: Greylisted",
        "answered 452 to the e-mail: Full",
    ]
    assert [each.message["Message-ID"] for each in office.mails] == [f"<{job.key}@example.com>"]


async def test_a_mail_that_is_too_large_says_nothing_of_its_server(
    begin: Begin, post_office: StartPostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FAILURES_TO_OPEN", 1)
    office = await post_office(max_size=2_000)
    scene = await begin(EMAIL, email=mail_to(office))

    scene.happens(event_id=1, customer={"name": "A" * 2_000, "email": "ann@example.com"})
    scene.happens(event_id=2)

    [dead] = await scene.have(1, JobState.DEAD)
    [failure] = dead.failures
    assert failure.reason.startswith("answered 552 to the e-mail: ")
    await scene.have(1, JobState.DONE)


async def test_a_mail_that_some_get_is_done_and_says_who_did_not(
    begin: Begin, post_office: StartPostOffice
) -> None:
    office = await post_office()
    office.answer_recipient = lambda each: "550 no" if each.startswith("bob") else "250 Taken"
    recipients = ["{{customer.email}}", "Bob <bob@example.com>"]
    scene = await begin({**EMAIL, "recipients": recipients}, email=mail_to(office))

    scene.happens()

    job = await scene.job(JobState.DONE)
    assert [each.reason for each in job.failures] == ["refused for bob@example.com (550 no)"]
    assert office.mails[0].recipients == ("ann@example.com",)


@pytest.mark.usefixtures("fast")
async def test_a_mail_goes_again_to_those_alone_who_were_refused_for_now(
    begin: Begin, post_office: StartPostOffice
) -> None:
    """Nobody gets it twice, and who is refused for good is told and asked no more."""
    office = await post_office()
    asked: list[str] = []

    def answer(address: str) -> str:
        asked.append(address)
        if address.startswith("carl"):
            return "550 no"
        return "451 later" if address.startswith("bob") and asked.count(address) < 3 else "250 ok"

    office.answer_recipient = answer
    recipients = ["{{customer.email}}", "Bob <bob@example.com>", "carl@example.com"]
    scene = await begin({**EMAIL, "recipients": recipients}, email=mail_to(office))

    scene.happens()

    job = await scene.job(JobState.DONE)
    assert [each.recipients for each in office.mails] == [
        ("ann@example.com",),
        ("bob@example.com",),
    ]
    assert {each.message["To"] for each in office.mails} == {
        "ann@example.com, Bob <bob@example.com>, carl@example.com"
    }
    assert {each.message["Message-ID"] for each in office.mails} == {f"<{job.key}@example.com>"}
    assert asked == [
        "ann@example.com", "bob@example.com", "carl@example.com", "bob@example.com",
        "bob@example.com",
    ]  # fmt: skip
    assert job.attempts == 3
    assert [each.reason for each in job.failures] == [
        "refused for carl@example.com (550 no), refused for now for bob@example.com (451 later)",
        "refused for now for bob@example.com (451 later)",
    ]
    assert job.content is not None
    assert job.content["recipients"] == ["ann@example.com", *recipients[1:]]


@pytest.mark.usefixtures("fast")
async def test_a_mail_that_some_never_get_is_dead_and_retried_for_them_alone(
    begin: Begin, post_office: StartPostOffice
) -> None:
    office = await post_office()
    office.answer_recipient = lambda each: "452 full" if each.startswith("bob") else "250 Taken"
    recipients = ["{{customer.email}}", "bob@example.com"]
    scene = await begin({**EMAIL, "recipients": recipients}, email=mail_to(office), max_attempts=2)

    scene.happens()

    dead = await scene.job(JobState.DEAD)
    assert [each.reason for each in dead.failures] == [
        "refused for now for bob@example.com (452 full)",
        "refused for now for bob@example.com (452 full)",
    ]
    office.answer_recipient = lambda _: "250 Taken"
    await scene.backend.retry_jobs(scene.product.id, JobChoice(job_id=dead.id))
    await scene.job(JobState.DONE)
    assert [each.recipients for each in office.mails] == [
        ("ann@example.com",),
        ("bob@example.com",),
    ]


async def test_an_action_that_can_no_longer_be_prepared_fails_like_any_other(
    begin: Begin, web: StartWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await begin(WEBHOOK, webhook={"url": web(lambda _: TAKEN).url})
    scene.happens(payment=None)
    dead = await scene.job(JobState.DEAD)

    def unknown(*_: Any) -> None:
        raise ValueError

    monkeypatch.setattr("cortex_tui.local.delivery.compile_stored", unknown)
    await scene.backend.retry_jobs(scene.product.id, JobChoice(job_id=dead.id))

    async def failed_again() -> bool:
        reasons = [each.reason for job in await scene.jobs() for each in job.failures]
        return reasons[-1:] == ["failed on our side: ValueError"]

    await until(failed_again)
    assert (await scene.job(JobState.PENDING)).attempts == 1


@pytest.mark.usefixtures("fast")
async def test_a_mail_that_some_get_and_others_never_is_done_in_the_end(
    begin: Begin, post_office: StartPostOffice
) -> None:
    office = await post_office()
    to_bob = ["451 later", "550 no"]
    office.answer_recipient = lambda each: to_bob.pop(0) if each.startswith("bob") else "250 Taken"
    recipients = ["{{customer.email}}", "bob@example.com"]
    scene = await begin({**EMAIL, "recipients": recipients}, email=mail_to(office))

    scene.happens()

    job = await scene.job(JobState.DONE)
    assert [each.reason for each in job.failures] == [
        "refused for now for bob@example.com (451 later)",
        "refused for bob@example.com (550 no)",
    ]
    assert [each.recipients for each in office.mails] == [("ann@example.com",)]


@pytest.mark.usefixtures("fast")
async def test_a_mail_that_nobody_gets_for_now_is_tried_again(
    begin: Begin, post_office: StartPostOffice
) -> None:
    office = await post_office()
    to_ann = ["451 later", "250 Taken"]
    office.answer_recipient = lambda each: "550 no" if each.startswith("bob") else to_ann.pop(0)
    recipients = ["{{customer.email}}", "bob@example.com"]
    scene = await begin({**EMAIL, "recipients": recipients}, email=mail_to(office))

    scene.happens()

    job = await scene.job(JobState.DONE)
    assert [each.reason for each in job.failures] == [
        "refused for bob@example.com (550 no), refused for now for ann@example.com (451 later)",
        "refused for bob@example.com (550 no)",
    ]


async def test_a_server_that_takes_mails_in_part_is_no_dead_target(
    begin: Begin, post_office: StartPostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FAILURES_TO_OPEN", 1)
    office = await post_office()
    office.answer_recipient = lambda each: "451 later" if each.startswith("bob") else "250 Taken"
    scene = await begin(
        {**EMAIL, "recipients": ["{{customer.email}}", "{{second}}"]}, email=mail_to(office)
    )

    scene.happens(event_id=1, second="bob@example.com")
    await until(lambda: failed_once(scene))
    scene.happens(event_id=2, second="dora@example.com")

    await scene.have(1, JobState.DONE)


# -- targets that stall, break off, are wrong, or are not there -------------------------------


def begins_an_answer(data: bytes) -> Behaviour:
    """Says a part of its answer and breaks off."""

    def behave(connection: Any) -> None:
        connection.recv(65_536)
        connection.sendall(data)
        closes_at_once(connection)

    return behave


NO_HTTP = "its answer broke off, or is no HTTP"
STALLED = "did not end within 0.2 s"


def patience(reason: str) -> dict[str, float]:
    """The setting of a target that is to fail for `reason`: time only runs out where it stalls."""
    return {"timeout": 0.2 if reason == STALLED else DEADLINE}


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (silent, STALLED),
        (answers(b"HTTP/1.1 200"), STALLED),
        (resets, "the connection broke off"),
        (closes_after_hearing, NO_HTTP),
        (begins_an_answer(b"HTTP/1.1 200 OK\r\nContent-Le"), NO_HTTP),
        (answers(b"220 smtp.example.com ESMTP\r\n\r\n"), NO_HTTP),
    ],
    ids=["stalls", "stalls in the middle", "resets", "closes", "breaks off", "nonsense"],
)
async def test_a_web_target_that_misbehaves_is_tried_again(
    begin: Begin, counterpart: StartCounterpart, behaviour: Behaviour, reason: str
) -> None:
    port = counterpart(behaviour)
    scene = await begin(WEBHOOK, webhook={"url": f"http://127.0.0.1:{port}/", **patience(reason)})

    scene.happens()

    await until(lambda: failed_once(scene))
    [job] = await scene.jobs(JobState.PENDING)
    assert job.failures[0].reason.removesuffix(f" (127.0.0.1:{port})") == reason


@pytest.mark.parametrize("body", [b"", b"fourteen bytes"], ids=["no body", "half a body"])
async def test_an_answer_counts_once_its_status_is_there(
    begin: Begin, counterpart: StartCounterpart, body: bytes
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + body
    port = counterpart(begins_an_answer(answer))
    scene = await begin(WEBHOOK, webhook={"url": f"http://127.0.0.1:{port}/"})

    scene.happens()

    assert (await scene.job(JobState.DONE)).failures == ()


def half_a_greeting(connection: Any) -> None:
    connection.sendall(b"220 mail ES")
    closes_at_once(connection)


def speaks(*replies: bytes) -> Behaviour:
    """An SMTP server that greets, has these answers in this order, and breaks off."""

    def behave(connection: Any) -> None:
        connection.sendall(b"220 mail ESMTP\r\n")
        for reply in replies:
            connection.recv(65_536)
            connection.sendall(reply)
        connection.recv(65_536)
        closes_at_once(connection)

    return behave


OK = b"250 OK\r\n"


@pytest.mark.parametrize(
    ("behaviour", "security", "reason"),
    [
        (silent, "none", STALLED),
        (says(b"220 mail ESMTP\r\n"), "none", STALLED),
        (closes_at_once, "none", "the connection broke off"),
        (half_a_greeting, "none", "the connection broke off"),
        (speaks(OK, OK, OK, b"354 Go on\r\n"), "none", "the connection broke off"),
        (says(b"554 No service\r\n"), "none", "answered 554: No service"),
        (says(b"\xff\xfe\x00\r\n" * 3), "none", "does not speak SMTP"),
        (answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "tls", "TLS failed: wrong version number"),
    ],
    ids=["stalls", "greets", "closes", "half", "no answer", "refuses", "nonsense", "no TLS"],
)
async def test_a_mail_server_that_misbehaves_is_tried_again(
    begin: Begin,
    counterpart: StartCounterpart,
    behaviour: Behaviour,
    security: str,
    reason: str,
) -> None:
    port = counterpart(behaviour)
    table = {"host": "127.0.0.1", "port": port, "sender": SENDER, "security": security}
    scene = await begin(EMAIL, email={**table, **patience(reason)})

    scene.happens()

    await until(lambda: failed_once(scene))
    [job] = await scene.jobs(JobState.PENDING)
    assert job.failures[0].reason.removesuffix(f" (127.0.0.1:{port})") == reason


@pytest.mark.parametrize(
    ("server", "table", "reason"),
    [
        ({}, {"security": "starttls"}, "SMTP STARTTLS extension not supported by server"),
        (
            {"users": {"cortex": "hunter2"}},
            {"username": "cortex", "password": "hunter3"},
            "refused user name and password (535)",
        ),
    ],
    ids=["no STARTTLS", "wrong password"],
)
async def test_a_mail_server_that_is_configured_wrongly_is_named(
    begin: Begin,
    post_office: StartPostOffice,
    server: dict[str, Any],
    table: dict[str, Any],
    reason: str,
) -> None:
    office = await post_office(**server)
    scene = await begin(EMAIL, email=mail_to(office, **table))

    scene.happens()

    await until(lambda: failed_once(scene))
    [job] = await scene.jobs(JobState.PENDING)
    assert job.failures[0].reason == reason
    assert office.mails == []


async def test_a_mail_server_that_wants_no_password_gets_none(
    begin: Begin, counterpart: StartCounterpart
) -> None:
    port = counterpart(speaks(OK))
    login = {"security": "none", "username": "cortex", "password": "hunter2"}
    table = {"host": "127.0.0.1", "port": port, "sender": SENDER, **login}
    scene = await begin(EMAIL, email=table)

    scene.happens()

    await until(lambda: failed_once(scene))
    [job] = await scene.jobs(JobState.PENDING)
    assert "AUTH extension is not supported" in job.failures[0].reason


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_server_that_nobody_vouches_for_gets_no_password(
    begin: Begin, post_office: StartPostOffice, authority: Authority, security: str
) -> None:
    identity = authority.server("untrusted-mail")
    office = await post_office(users={"cortex": "hunter2"}, **{security: identity})
    table = mail_to(office, security=security, username="cortex", password="hunter2")
    scene = await begin(EMAIL, email=table)

    scene.happens()

    await until(lambda: failed_once(scene))
    [job] = await scene.jobs(JobState.PENDING)
    assert job.failures[0].reason.startswith("certificate not trusted: ")
    assert office.mails == []


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("action", [EMAIL, WEBHOOK], ids=["email", "webhook"])
async def test_a_target_that_is_not_there_is_given_up_after_the_last_attempt(
    begin: Begin, unused: int, action: dict[str, Any]
) -> None:
    scene = await begin(
        action,
        email={"host": "127.0.0.1", "port": unused, "sender": SENDER, "security": "none"},
        webhook={"url": f"http://127.0.0.1:{unused}/"},
        max_attempts=3,
    )

    scene.happens()

    job = await scene.job(JobState.DEAD)
    assert job.attempts == 3
    assert [each.reason for each in job.failures] == [
        f"connection refused (127.0.0.1:{unused})"
    ] * 3
    [subscription] = await scene.backend.subscriptions(scene.product.id)
    stats = subscription.stats
    assert (stats.actions_executed, stats.actions_failed) == (0, 1)
    assert (stats.attempts_failed, stats.dead) == (3, 1)


# -- one target and the others ----------------------------------------------------------------


async def test_a_dead_target_is_left_alone_and_holds_back_no_other(
    begin: Begin, web: StartWeb, post_office: StartPostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 1_000.0)
    dead, healthy, office = web(lambda _: Answer(503)), web(lambda _: TAKEN), await post_office()
    scene = await begin(
        WEBHOOK,
        POLICY,
        EMAIL,
        webhook={"url": dead.url, "concurrency": 4},
        activate_policy={"url": healthy.url},
        email=mail_to(office),
    )

    for number in range(20):
        scene.happens(event_id=number)

    await scene.have(20, JobState.DONE, action="activate_policy")
    await scene.have(20, JobState.DONE, action="conditional_email")
    assert len(healthy.requests) == len(office.mails) == 20
    await until(lambda: len(dead.requests) >= retries.FAILURES_TO_OPEN)
    await scene.have(20, JobState.PENDING, action="webhook")
    assert len(dead.requests) < retries.FAILURES_TO_OPEN + 4


async def test_a_target_that_stalls_holds_back_no_other(
    begin: Begin, web: StartWeb, counterpart: StartCounterpart
) -> None:
    healthy, stalled = web(lambda _: TAKEN), counterpart(silent)
    scene = await begin(
        WEBHOOK,
        POLICY,
        webhook={"url": f"http://127.0.0.1:{stalled}/", "timeout": 300, "concurrency": 1},
        activate_policy={"url": healthy.url},
    )

    for number in range(5):
        scene.happens(event_id=number)

    await scene.have(5, JobState.DONE, action="activate_policy")
    assert len(await scene.jobs(JobState.RUNNING, action="webhook")) == 1
    assert len(await scene.jobs(JobState.PENDING, action="webhook")) == 4


async def test_a_target_that_is_back_gets_everything(
    begin: Begin, web: StartWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)
    back = threading.Event()
    target = web(lambda _: TAKEN if back.is_set() else Answer(503))
    scene = await begin(WEBHOOK, webhook={"url": target.url}, max_attempts=100)

    for number in range(10):
        scene.happens(event_id=number)
    await until(lambda: len(target.requests) > 2 * retries.FAILURES_TO_OPEN)
    back.set()

    jobs = await scene.have(10, JobState.DONE)
    assert len({job.key for job in jobs}) == 10


async def test_a_job_that_cannot_be_sent_says_nothing_of_its_target(
    begin: Begin, post_office: StartPostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FAILURES_TO_OPEN", 1)
    office = await post_office()
    scene = await begin(EMAIL, email=mail_to(office))

    scene.happens(event_id=1, customer={"name": "Ann", "email": "nobody"})
    scene.happens(event_id=2, customer={"name": "Ann", "email": ["ann@example.com"]})

    [dead] = await scene.have(1, JobState.DEAD)
    assert dead.failures[0].reason.startswith("one of the recipients is no e-mail address")
    await scene.have(1, JobState.DONE)
    assert office.mails[0].recipients == ("ann@example.com",)


# -- hostile events ---------------------------------------------------------------------------


async def test_an_event_that_is_nested_deep_goes_along_and_harms_no_other(
    begin: Begin, web: StartWeb, broker: Broker
) -> None:
    target = web(lambda _: TAKEN)
    scene = await begin({"type": "webhook"}, webhook={"url": target.url})
    deep = '{"id": 1, "a": ' + "[" * 900 + "]" * 900 + "}"

    publish(broker, TOPIC, deep)

    job = await scene.job(JobState.DONE, JobState.PENDING, JobState.DEAD)
    await until(lambda: target.requests)
    assert deep.encode() in target.requests[0].body
    assert job.failures == ()


async def test_an_event_cannot_end_its_mail_and_begin_another(
    begin: Begin, post_office: StartPostOffice
) -> None:
    office = await post_office()
    scene = await begin(EMAIL, email=mail_to(office))
    name = "Ann\r\n.\r\nMAIL FROM:<x@example.com>\r\n.\n.\rFrom: x\x00"

    scene.happens(customer={"name": name, "email": "ann@example.com"})

    await scene.job(JobState.DONE)
    [mail] = office.mails
    text = mail.message.get_body(("plain",))
    assert text is not None
    assert "MAIL FROM:<x@example.com>" in text.get_content()
    assert mail.message["From"] == SENDER


# -- dead letters -----------------------------------------------------------------------------


async def dead_letters(scene: Scene, target: Web, count: int) -> list[Job]:
    target.answer = lambda _: Answer(400)
    for number in range(count):
        scene.happens(event_id=number)
    return await scene.have(count, JobState.DEAD)


async def test_a_dead_letter_keeps_everything_and_can_be_tried_again(
    begin: Begin, web: StartWeb
) -> None:
    target = web(lambda _: TAKEN)
    scene = await begin(WEBHOOK, webhook={"url": target.url})
    first, second, third = await dead_letters(scene, target, 3)
    assert json.loads(first.event or "") == {**EVENT, "event_id": 0}
    assert first.action.model_dump() == WEBHOOK
    assert first.content == {"params": {"amount": 120.5}}
    where = target.url.removeprefix("http://")
    assert [each.reason for each in first.failures] == [f"answered 400 Bad Request ({where})"]
    assert first.finished_at == first.failures[0].at
    retry, discard = scene.backend.retry_jobs, scene.backend.discard_jobs

    target.answer = lambda _: TAKEN
    assert await retry(scene.product.id, JobChoice(job_id=second.id)) == 1
    [done] = await scene.have(1, JobState.DONE)
    assert (done.id, done.key, done.failures) == (second.id, second.key, second.failures)
    assert target.requests[-1].headers["idempotency-key"] == second.key
    assert await retry(scene.product.id, JobChoice(job_id=second.id)) == 0

    assert await discard(scene.product.id, JobChoice(job_id=third.id)) == 1
    of_subscription = JobChoice(subscription_id=first.subscription_id)
    assert await retry(scene.product.id, of_subscription) == 1
    assert {job.id for job in await scene.have(2, JobState.DONE)} == {first.id, second.id}
    assert await scene.jobs(JobState.DEAD) == []


async def test_what_is_tried_again_does_not_wait_for_a_target_that_was_left_alone(
    begin: Begin, web: StartWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 1_000.0)
    monkeypatch.setattr(retries, "FAILURES_TO_OPEN", 1)
    target = web(in_turn(Answer(503), TAKEN))
    scene = await begin(WEBHOOK, webhook={"url": target.url}, max_attempts=1)
    scene.happens()
    job = await scene.job(JobState.DEAD)

    assert await scene.backend.retry_jobs(scene.product.id, JobChoice(job_id=job.id)) == 1

    assert (await scene.job(JobState.DONE)).id == job.id


async def test_a_dead_letter_of_an_event_that_did_not_fit_is_rendered_anew(
    begin: Begin, web: StartWeb
) -> None:
    target = web(lambda _: TAKEN)
    scene = await begin(
        {"type": "webhook", "params": {"fax": "{{customer.fax}}"}}, webhook={"url": target.url}
    )
    scene.happens()
    job = await scene.job(JobState.DEAD)
    assert job.failures[0].reason == "customer.fax is missing from the event"

    await scene.backend.retry_jobs(scene.product.id, JobChoice())

    await until(lambda: failures_are(scene, 2))
    assert target.requests == []


async def failures_are(scene: Scene, count: int) -> bool:
    return any(len(each.failures) == count for each in await scene.jobs(JobState.DEAD))


# -- restarts ---------------------------------------------------------------------------------


async def test_what_is_under_way_survives_the_end_of_the_process(
    begin: Begin, web: StartWeb
) -> None:
    hold = threading.Event()

    def holding(_: Request) -> Answer:
        hold.wait(20)
        return TAKEN

    target = web(holding)
    scene = await begin(WEBHOOK, webhook={"url": target.url, "concurrency": 1})
    scene.happens(event_id=1)
    scene.happens(event_id=2)
    await scene.have(1, JobState.RUNNING)
    await scene.have(1, JobState.PENDING)
    await until(lambda: target.requests)

    await scene.backend.aclose()
    again = await begin(webhook={"url": target.url})
    hold.set()

    jobs = await again.have(2, JobState.DONE)
    assert sorted(job.attempts for job in jobs) == [1, 2]
    keys = [request.headers["idempotency-key"] for request in target.requests]
    assert sorted(keys) == sorted(job.key for job in jobs for _ in range(job.attempts))


async def test_what_waits_for_a_target_that_is_configured_no_more_is_recorded(
    begin: Begin, web: StartWeb
) -> None:
    target = web(lambda _: Answer(503))
    scene = await begin(WEBHOOK, webhook={"url": target.url})
    scene.happens()
    await until(lambda: failed_once(scene))
    await scene.backend.aclose()

    again = await begin()

    job = await again.job(JobState.RECORDED)
    where = target.url.removeprefix("http://")
    assert [each.reason for each in job.failures] == [f"answered 503 Service Unavailable ({where})"]


LOOKS_UP_FOR_EVER = """
import asyncio, json, pathlib, socket, sys, threading

from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.local.backend import LocalBackend

asked, real = threading.Event(), socket.getaddrinfo

def for_ever(*_):
    asked.set()
    threading.Event().wait()

def getaddrinfo(host, *arguments, **options):
    if host in ("slow.example", b"slow.example"):
        for_ever()
    return real(host, *arguments, **options)

async def main():
    delivery = DeliverySettings.model_validate_json(sys.argv[2])
    backend = await LocalBackend.open(pathlib.Path(sys.argv[1]), delivery=delivery)
    await asyncio.to_thread(asked.wait)
    await backend.aclose()

socket.getaddrinfo = getaddrinfo
socket.getfqdn = for_ever
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("action", "tables"),
    [
        (WEBHOOK, {"webhook": {"url": "http://slow.example/"}}),
        (EMAIL, {"email": {"host": "127.0.0.1", "sender": SENDER}}),
    ],
    ids=["web hook", "own name"],
)
async def test_a_name_service_that_does_not_answer_holds_up_no_quitting(
    begin: Begin, unused: int, tmp_path: Path, action: dict[str, Any], tables: dict[str, Any]
) -> None:
    scene = await begin(
        action,
        webhook={"url": f"http://127.0.0.1:{unused}/"},
        email={"host": "127.0.0.1", "port": unused, "sender": SENDER},
    )
    scene.happens()
    await until(lambda: failed_once(scene))
    await scene.backend.aclose()

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOOKS_UP_FOR_EVER, str(tmp_path / "cortex.db"), json.dumps(tables)
    )

    try:
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# -- secrets, and what is wrong on this side --------------------------------------------------


@pytest.mark.usefixtures("fast")
async def test_no_secret_is_logged_or_kept(
    begin: Begin, web: StartWeb, post_office: StartPostOffice, log_file: Path
) -> None:
    office = await post_office(users={"cortex": "hunter2-mail"})
    target = web(in_turn(Answer(500), Answer(400), TAKEN))
    hook = {
        "url": f"{target.url}/hunter2-path?key=hunter2-query",
        "headers": {"Authorization": "Bearer hunter2-header"},
        "secret": "hunter2-secret",
    }
    scene = await begin(
        EMAIL,
        WEBHOOK,
        POLICY,
        email=mail_to(office, username="cortex", password="hunter2-wrong"),
        webhook=hook,
        activate_policy={**hook, "url": "http://127.0.0.1:1/hunter2-path"},
        max_attempts=2,
    )

    scene.happens()
    await scene.have(3, JobState.DEAD)
    await scene.backend.retry_jobs(scene.product.id, JobChoice())
    await scene.have(1, JobState.DONE)
    await scene.have(2, JobState.DEAD)

    assert target.requests[0].headers["authorization"] == "Bearer hunter2-header"
    log = await asyncio.to_thread(log_file.read_text)
    assert "given up at attempt 2" in log
    kept = "".join(each.model_dump_json() for each in await scene.jobs())
    subscriptions = await scene.backend.subscriptions(scene.product.id)
    kept += "".join(each.model_dump_json() for each in subscriptions)
    assert "hunter2" not in log + kept


@pytest.mark.usefixtures("fast")
async def test_a_target_that_cannot_be_set_up_holds_back_no_other(
    begin: Begin, post_office: StartPostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://hunter2@proxy")
    office = await post_office()
    tables = {"email": mail_to(office), "webhook": {"url": "https://example.invalid/"}}
    scene = await begin(WEBHOOK, EMAIL, max_attempts=2, **tables)

    scene.happens()

    [dead] = await scene.have(1, JobState.DEAD)
    assert [each.reason for each in dead.failures] == ["failed on our side: ValueError"] * 2
    await scene.have(1, JobState.DONE)
    assert len(office.mails) == 1


async def test_metrics_tell_what_waits_and_what_is_dead(begin: Begin, web: StartWeb) -> None:
    target = web(lambda _: Answer(503))
    scene = await begin(WEBHOOK, {"type": "send_fax"}, webhook={"url": target.url})
    scene.happens()
    publish(scene.broker, TOPIC, "no JSON")
    await until(lambda: failed_once(scene))

    async with serving(create_app(scene.backend), port=0) as url, httpx.AsyncClient() as client:

        async def lines() -> set[str]:
            return set((await client.get(f"{url}/metrics")).text.splitlines())

        expected = {
            'cortex_actions{product="1",state="pending"} 1.0',
            'cortex_actions{product="1",state="dead"} 1.0',
            'cortex_messages_received_total{product="1"} 2.0',
            'cortex_messages_unreadable_total{product="1"} 1.0',
            'cortex_messages_dropped_total{product="1"} 0.0',
        }

        async def told() -> bool:
            return expected <= await lines()

        await until(told)
