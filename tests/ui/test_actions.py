"""The Actions tab: what events set off, and the dead letters, over a real HTTP server."""

import http.server
import json
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from cortex_tui.delivery_settings import DeliverySettings, EmailSettings, HttpSettings
from cortex_tui.demo.broker import Broker
from cortex_tui.events import DISCARDABLE, Job, JobChoice, JobState
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import Action, Product, SubscriptionDraft
from cortex_tui.screens import actions as tab
from cortex_tui.screens.actions import ActionsPane
from cortex_tui.screens.base import Commanded
from cortex_tui.widgets.text import DISABLED
from tests.brokers import publish
from tests.mailservers import PostOffice, StartPostOffice
from tests.orchestrators import TOPIC, connected, draft, listens
from tests.ui.conftest import Orchestrator
from tests.ui.driving import WIDE, Late, Person, before
from tests.waiting import until

HOOK = SubscriptionDraft(
    name="hook",
    topic=TOPIC,
    actions=(Action(type="webhook", params={"policy": "{{policy}}"}),),
)
OTHER = HOOK.model_copy(update={"name": "other", "event": "hook"})
KEEP = SubscriptionDraft(name="keep", topic=TOPIC, event="*", actions=(Action(type="record"),))


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which nobody listens, until somebody does."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        yield cast("int", taken.getsockname()[1])


@pytest.fixture
async def office(post_office: StartPostOffice) -> PostOffice:
    return await post_office()


@pytest.fixture
async def local(tmp_path: Path, port: int, office: PostOffice) -> AsyncIterator[LocalBackend]:
    """An orchestrator that gives up at the first failure."""
    target = HttpSettings(url=f"http://127.0.0.1:{port}/hook")
    email = EmailSettings(
        host=office.host,
        port=office.port,
        security="none",
        sender="cortex@example.com",
        recipients=("ops@example.com",),
    )
    delivery = DeliverySettings(webhook=target, email=email, max_attempts=1)
    templates = tmp_path / "templates"
    templates.mkdir()
    for name in ("paid.subject.txt", "paid.txt"):
        (templates / name).write_text("Paid")
    backend = await LocalBackend.open(tmp_path / "cortex.db", delivery=delivery)
    yield backend
    await backend.aclose()


@contextmanager
def listening(port: int) -> Iterator[list[dict[str, object]]]:
    """An HTTP server that takes everything; what it got."""
    got: list[dict[str, object]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the output of a test run is for its failures."""

    class Server(http.server.ThreadingHTTPServer):
        allow_reuse_port = True

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield got
        server.shutdown()
        thread.join()


@contextmanager
def taking_its_time(port: int) -> Iterator[None]:
    """Somebody who is called there, and does not answer."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield


async def product_of(orchestrator: Orchestrator, broker: Broker) -> Product:
    product = await connected(orchestrator.inside, draft(broker), HOOK, OTHER, KEEP)
    await listens(orchestrator.inside, product.id)
    return product


def set_off(broker: Broker, policy: str) -> None:
    """An event that two webhooks and a record come of."""
    publish(broker, TOPIC, json.dumps({"event": "hook", "policy": policy}))


async def dead(orchestrator: Orchestrator, product: Product, count: int) -> list[Job]:
    """Wait until there are so many dead letters."""

    async def there() -> bool:
        found = await orchestrator.inside.jobs(product.id, states=[JobState.DEAD])
        return len(found) == count

    await until(there)
    return await orchestrator.inside.jobs(product.id, states=[JobState.DEAD])


async def given_up(
    orchestrator: Orchestrator, broker: Broker, *policies: str
) -> tuple[Product, list[Job]]:
    """A product, and its dead letters: two for each of the `policies`, or for one."""
    product = await product_of(orchestrator, broker)
    policies = policies or ("POL-1",)
    for policy in policies:
        set_off(broker, policy)
    return product, await dead(orchestrator, product, 2 * len(policies))


async def enter(person: Person) -> None:
    """Open the only product, go to its actions, and wait until they are read."""
    await person.sees("▸", "Tyres")
    await person.press("enter")
    await person.sees("Clean session")
    await person.press("5")
    await until(lambda: person.app.screen.query_one(ActionsPane)._loaded)


async def test_dead_letters_come_first_and_the_other_states_are_a_key_away(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    await given_up(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("5 Actions ✗ 2")
        await person.sees("(•) dead 2", "( ) waiting", "( ) all")
        await person.sees("▸ ✗ dead", "webhook", "other")
        await person.sees("✗ dead", "webhook", " hook ")
        assert not person.line("○ recorded")
        await person.press("v")
        await person.sees("No action waits for an attempt.")
        await person.press("v")
        await person.sees("No action is done yet.")
        await person.press("v")
        await person.sees("▸ ○ recorded", "record", "keep")
        await person.press("v")
        await person.sees("(•) all", "3")
        await person.press("v")
        await person.sees("(•) dead 2")


async def test_without_dead_letters_everything_is_shown_as_it_comes(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("No actions yet")
        publish(broker, TOPIC, '{"event": "other"}')
        await person.sees("▸ ○ recorded", "record", "keep")
        assert "✗" not in person.line("5 Actions")
        set_off(broker, "POL-1")
        await person.sees("5 Actions ✗ 2")


async def test_one_action_says_what_it_says_and_every_failure(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    _, [job, _] = await given_up(orchestrator, broker)
    async with before(orchestrator.open, size=(120, 50)) as person:
        await enter(person)
        await person.sees("▸ ✗ dead", "other")
        await person.press("enter")
        await person.sees("given up after 1 attempt")
        await person.sees("Subscription", "other")
        await person.sees("Key", job.key)
        await person.sees("Failures")
        await person.sees(job.failures[0].reason)
        await person.sees("What it says")
        await person.sees('"policy": "POL-1"')
        await person.sees('"policy": "{{policy}}"')
        await person.sees('"event": "hook"')
        await person.press("y")
        await person.sees("▸ content")
        await person.press("enter")
        await person.sees("Sent to the terminal")
        assert json.loads(person.app.clipboard) == {"params": {"policy": "POL-1"}}


async def test_retry_one_then_all_of_its_subscription_then_all(
    orchestrator: Orchestrator, broker: Broker, port: int
) -> None:
    product, jobs = await given_up(orchestrator, broker, "POL-1", "POL-2", "POL-3")
    async with before(orchestrator.open, size=WIDE) as person:
        await enter(person)
        await person.sees("5 Actions ✗ 6")
        await person.press("t")  # nobody listens yet
        await person.sees("webhook: given up again.")
        await until(lambda: retried(orchestrator, product, jobs[0].id))
        with listening(port) as got:
            await person.press("t")
            await person.sees("5 Actions ✗ 5")
            await until(lambda: got)
            assert got[0]["id"] in {job.key for job in jobs}  # the same key as before
            await person.press("T")
            await person.sees("Attempted anew: ", " done.")
            await until(lambda: len(got) >= 3)
            await person.press("a")
            await person.sees_no("5 Actions ✗")
            await person.sees("Attempted anew: ", " done.")
            await person.sees("Nothing was given up.")
            assert {str(each["id"]) for each in got} == {job.key for job in jobs}
        await person.press("a")
        await person.sees("There are no dead letters.")


async def test_retrying_several_says_what_came_of_it(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    await given_up(orchestrator, broker)
    async with before(orchestrator.open, size=WIDE) as person:
        await enter(person)
        await person.sees("(•) dead 2")
        await person.press("a")  # nobody listens
        await person.sees("Attempted anew: 2; 2 given up again.")
        await person.sees("connection refused (127.0.0.1:")


async def test_what_was_not_attempted_yet_is_not_said_to_have_failed_again(
    orchestrator: Orchestrator, broker: Broker, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await given_up(orchestrator, broker)
    monkeypatch.setattr("cortex_tui.screens.actions.FOLLOWED", 0.0)
    with taking_its_time(port):
        async with before(orchestrator.open, size=WIDE) as person:
            await enter(person)
            await person.sees("(•) dead 2")
            await person.press("a")
            await person.sees("Attempted anew: 2; 2 still waiting.")
            assert not person.line("Attempted anew: 2;", "connection refused")


async def test_what_waits_is_called_so_while_it_is_attempted_too(
    orchestrator: Orchestrator, broker: Broker, port: int
) -> None:
    await product_of(orchestrator, broker)
    with taking_its_time(port):
        async with before(orchestrator.open) as person:
            await enter(person)
            await person.sees("No actions yet")
            set_off(broker, "POL-1")
            await person.sees("( ) waiting 2", "(•) all")
            await person.press("v", "v")
            await person.sees("▸ ↻ waiting", "webhook", "other", "now")
            await person.sees("↻ waiting", "webhook", " hook ", "now")
            await person.press("slash")
            await person.type("waiting other")
            await person.sees("1 of 2")
            await person.press("enter", "x")
            await person.sees("It is being attempted")
            await person.press("enter")
            await person.sees("↻ waiting  attempt 1 is under way")


async def test_a_paused_list_of_actions_stands_still_and_catches_up(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    product = await product_of(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("No actions yet")
        await person.press("space")
        await person.sees("(•) all", "‖ paused")
        await person.sees("There was nothing yet.")
        set_off(broker, "POL-1")
        await dead(orchestrator, product, 2)
        await person.sees("( ) dead 2")
        await person.sees("Space  follow again")
        await person.press("space")
        await person.sees("▸ ✗ dead", "other")
        await person.press("space")
        await person.sees("‖ paused   3")
        set_off(broker, "POL-2")
        await person.sees("( ) dead 4")
        await person.press("enter")
        await person.sees("given up")
        await person.press("escape")
        set_off(broker, "POL-3")
        await person.sees("( ) dead 6")
        assert person.line("‖ paused   3")
        await person.press("v")  # another view is what was asked for
        await person.sees("(•) dead 6", "‖ paused   6")
        await person.press("x")
        await person.sees("(n)")
        await person.press("p")
        await person.sees("There was nothing yet.")
        await person.press("space")
        await person.sees("Nothing was given up.")
        await person.sees_no("‖ paused")


async def test_what_is_read_while_the_list_is_paused_waits_too(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await product_of(embedded, broker)
    set_off(broker, "POL-1")
    await dead(embedded, product, 2)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("(•) dead 2")
        jobs = Late(monkeypatch, embedded.inside, "jobs")
        set_off(broker, "POL-2")
        await until(jobs.asked.is_set)
        await person.press("space")
        await person.sees("‖ paused   2")
        jobs.answer.set()
        await person.sees("(•) dead 4", "‖ paused   2")
        await until(lambda: not person.app.screen.query_one(ActionsPane)._reading)
        assert person.line("(•) dead 4", "‖ paused   2")
        await person.press("space")
        await person.sees("(•) dead 4", " 4 ")


async def test_an_empty_list_never_contradicts_the_number_above_it(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await given_up(embedded, broker)
    jobs, behind = embedded.inside.jobs, True

    async def read(product_id: int, **choice: Any) -> list[Job]:
        return [] if behind else await jobs(product_id, **choice)

    monkeypatch.setattr(embedded.inside, "jobs", read)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("(•) dead 2")
        await person.sees("Reading the actions…")
        assert not person.line("None dead")
        behind = False
        await person.sees("▸ ✗ dead", "webhook", "other")


async def test_what_was_discarded_meanwhile_is_not_given_up_again(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await given_up(embedded, broker)
    retry = embedded.inside.retry_jobs

    async def late(product_id: int, choice: JobChoice) -> int:
        await embedded.inside.discard_jobs(product_id, JobChoice())
        return await retry(product_id, choice)

    monkeypatch.setattr(embedded.inside, "retry_jobs", late)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("▸ ✗ dead")
        told = list[str]()
        monkeypatch.setattr(person.app, "notify", lambda message, **_: told.append(message))
        await person.press("t")
        await until(lambda: told)
        await until(lambda: all(each.group != "commands" for each in person.app.workers))
        assert told == ["It is gone already."]


async def retried(orchestrator: Orchestrator, product: Product, job_id: int) -> bool:
    """Whether the first retry has failed too."""
    jobs = await orchestrator.inside.jobs(product.id, states=[JobState.DEAD])
    return any(job.id == job_id and len(job.failures) == 2 for job in jobs)


async def test_retry_where_it_is_read(
    orchestrator: Orchestrator, broker: Broker, port: int
) -> None:
    await given_up(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("▸ ✗ dead", "other")
        with listening(port) as got:
            await person.press("enter")
            await person.sees("given up")
            await person.sees("t Retry", "y Copy")
            await person.press("t")
            await person.sees("webhook: done.")
            await person.sees("✓ done  1 attempt")
            await person.press("t")
            await person.sees("Only what was given up can be retried.")
            await until(lambda: got)
            await person.press("escape")
            await person.sees("5 Actions ✗ 1")
        await person.press("t")  # nobody listens any more
        await person.sees("webhook: given up again. ")
        await person.press("v", "v")
        await person.sees("✓ done", "webhook", "other")
        await person.press("home")
        await person.press("t")
        await person.sees("Only what was given up can be retried.")


async def test_an_action_that_cannot_be_made_was_never_attempted(
    embedded: Orchestrator, broker: Broker
) -> None:
    action = Action(type="webhook", params={"id": "{{nope}}"})
    nothing = SubscriptionDraft(name="nothing", topic=TOPIC, event="*", actions=(action,))
    product = await connected(embedded.inside, draft(broker), nothing)
    set_off(broker, "POL-1")
    await dead(embedded, product, 1)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("▸ ✗ dead", "nothing")
        await person.press("enter")
        await person.sees("✗ dead", "given up, never attempted")


async def test_an_e_mail_that_is_refused_says_who_what_and_whom_it_was_for(
    orchestrator: Orchestrator, broker: Broker, office: PostOffice
) -> None:
    office.answer_recipient = lambda address: f"550 5.1.1 <{address}>: no such mailbox here"
    mail = Action(type="conditional_email", template="paid")
    product = await connected(
        orchestrator.inside,
        draft(broker),
        SubscriptionDraft(name="mail", topic=TOPIC, event="*", actions=(mail,)),
    )
    set_off(broker, "POL-1")
    await dead(orchestrator, product, 1)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("▸ ✗ dead", "mail")
        await person.press("enter")
        await person.sees("Recipients", "those of config.toml: the action names nobody")
        await person.sees("refused for ops@example.com (550 5.1.1")
        await person.sees("<ops@example.com>: no such mailbox here)")
        assert not person.line('"recipients"')


async def test_discard_asks_which(orchestrator: Orchestrator, broker: Broker) -> None:
    await given_up(orchestrator, broker, "POL-1", "POL-2")
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("▸ ✗ dead", "other")
        await person.press("x")
        await person.sees("Discard this action?")
        await person.sees("webhook of other, dead.")
        await person.sees("Subscription other: 2 dead letters.")
        await person.sees("Product: 4 dead letters.")
        await person.sees("This (y)", "Subscription (s)", "Product (p)", "Keep (n)")
        await person.press("n")
        await person.sees("5 Actions ✗ 4")
        await person.press("delete")
        await person.sees("Discard this action?")
        await person.press("y")
        await person.sees("Discarded: 1.")
        await person.sees("5 Actions ✗ 3")
        await person.sees("▸ ✗ dead", " hook ")
        await person.press("x")
        await person.sees("(n)")
        await person.press("s")
        await person.sees("5 Actions ✗ 1")
        await person.press("x")
        await person.sees("(n)")
        await person.press("p")
        await person.sees_no("5 Actions ✗")


async def test_a_command_whose_action_goes_before_it_begins_says_so(
    embedded: Orchestrator, broker: Broker
) -> None:
    await given_up(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("▸ ✗ dead")
        pane = person.app.screen.query_one(ActionsPane)
        pane.page.action_command("actions.open")
        pane.listing.replace([])
        await person.sees("Open: No action is selected.")


async def test_discard_takes_only_what_the_view_shows(
    orchestrator: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_tui.local.retries.FAILURES_TO_OPEN", 1)
    monkeypatch.setattr("cortex_tui.local.retries.FIRST_PAUSE", 3_600.0)
    fax = Action(type="send_fax")  # dead at once, as nobody knows it
    both = HOOK.model_copy(update={"actions": (fax, *HOOK.actions)})
    product = await connected(orchestrator.inside, draft(broker), both)
    await listens(orchestrator.inside, product.id)

    def there_are(dead: int, pending: int) -> Callable[[], Awaitable[bool]]:
        async def are() -> bool:
            found = await orchestrator.inside.jobs(product.id, states=DISCARDABLE)
            return Counter(job.state for job in found) == Counter(dead=dead, pending=pending)

        return are

    set_off(broker, "POL-1")
    await until(there_are(dead=2, pending=0))
    for policy in ("POL-2", "POL-3"):  # their web hooks wait: nobody listens there
        set_off(broker, policy)
    await until(there_are(dead=4, pending=2))
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("(•) dead 4", "( ) waiting 2")
        await person.sees("▸ ✗ dead")
        await person.press("x")
        await person.sees("Subscription hook: 4 dead letters.")
        await person.sees("Product: 4 dead letters.")
        await person.sees("What waits is kept. This cannot be undone.")
        await person.press("p")
        await person.sees("Discarded: 4.")
        assert await there_are(dead=0, pending=2)()

        set_off(broker, "POL-4")
        await person.sees("5 Actions ✗ 1")
        await person.press("v")
        await person.sees("(•) waiting 3")
        await person.sees("▸ ↻ waiting")
        await person.press("x")
        await person.sees("Subscription hook: 3 that wait.")
        await person.sees("Product: 3 that wait.")
        await person.sees("Dead letters are kept. This cannot be undone.")
        await person.press("s")
        await person.sees("Discarded: 3.")
        assert await there_are(dead=1, pending=0)()

        set_off(broker, "POL-5")
        await person.sees("5 Actions ✗ 2")
        await person.press("v", "v", "v")
        await person.sees("(•) all", "3")
        await person.press("slash")
        await person.type("dead")
        await person.sees("2 of 3")
        await person.press("enter", "x")
        await person.sees("Subscription hook: 2 dead letters and 1 that waits.")
        await person.sees("Product: 2 dead letters and 1 that waits.")
        await person.sees("Subscription, Product: also what the filter hides.")
        await person.press("p")
        await person.sees("Discarded: 3.")
        assert await there_are(dead=0, pending=0)()


async def test_the_filter_and_what_can_only_be_looked_at(
    embedded: Orchestrator, broker: Broker
) -> None:
    product, _ = await given_up(embedded, broker, "POL-1", "POL-2")
    async with before(embedded.open, read_only=True) as person:
        await enter(person)
        await person.sees("(•) dead 4")
        await person.press("slash")
        await person.type("pol-2 hook")
        await person.sees("2 of 4")
        await person.press("enter")
        for key in ("t", "T", "a", "x"):
            await person.press(key)
            await person.sees("This context is read-only.")
        assert len(await embedded.inside.jobs(product.id, states=[JobState.DEAD])) == 4


async def test_the_filter_looks_into_older_actions_too(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab, "PAGE", 2)
    await given_up(embedded, broker, "POL-1", "POL-2", "POL-3")
    async with before(embedded.open) as person:
        await enter(person)
        await person.sees("(•) dead 6", "2+")
        await person.press("slash")
        await person.type("pol-1")
        await person.sees("2 of 6")


async def test_a_list_keeps_the_focus_while_another_view_is_read(
    orchestrator: Orchestrator, broker: Broker
) -> None:
    await given_up(orchestrator, broker)
    async with before(orchestrator.open) as person:
        await enter(person)
        await person.sees("(•) dead 2")
        await person.press("v", "v", "v")
        await person.sees("▸ ○ recorded", "keep")
        for _ in range(2):
            await person.sees("Enter Open")
            await person.press("enter")
            await person.sees("kept, which is all that a record does")
            await person.press("escape")
            await person.sees_no("kept, which is all that a record does")


async def test_the_views_have_room_and_a_refused_retry_is_grey(
    embedded: Orchestrator, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab, "PAGE", 2)
    await given_up(embedded, broker)
    async with before(embedded.open) as person:

        def retry_is_grey() -> bool:
            page = person.app.screen
            assert isinstance(page, Commanded)
            spans = page.key_line().spans
            refused = [page.key_line().plain[s.start : s.end] for s in spans if s.style == DISABLED]
            return "t Retry" in refused

        await enter(person)
        await person.sees("(•) dead 2", "( ) all", "2+")
        assert not retry_is_grey()
        await person.press("v", "v", "v")
        await person.sees("▸ ○ recorded", "keep")
        assert retry_is_grey()
        await person.press("enter")
        await person.sees("kept, which is all that a record does")
        assert retry_is_grey()
