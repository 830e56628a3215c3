"""A person before an orchestrator elsewhere: one that fails, is slow, rejects or knows less; and
contexts to switch between."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cortex_tui.backend import Backend
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft
from cortex_tui.remote import RemoteBackend, http, watch
from cortex_tui.screens.base import Commanded
from cortex_tui.server import create_app, examples, serving
from cortex_tui.settings import Context, Target
from cortex_tui.widgets.text import DISABLED
from tests.ui.conftest import Orchestrator
from tests.ui.driving import NARROW, WIDE, Person, before
from tests.waiting import until
from tests.webservers import NOT_FOUND, Answer, Request, StartWeb, documented

HOST = examples.CONFIG_DRAFT["broker"]["host"]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again sooner than a person would want it."""
    monkeypatch.setattr(watch, "POLL_INTERVAL", 0.1)
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.2)


@asynccontextmanager
async def person_before(url: str, *product_ids: int, **options: Any) -> Any:
    async def opened(_: Target) -> Backend:
        return await RemoteBackend.open(url, product_ids=product_ids)

    async with before(opened, **{"size": WIDE, **options}) as person:
        yield person


async def assert_keys_answer(person: Person) -> None:
    await person.press("question_mark")
    await person.sees("Everywhere")
    await person.press("escape")
    await person.sees_no("Everywhere")


# -- it fails, and recovers -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("garbage", "says"),
    [
        (Answer(200, b"<html>\x1b[2J"), "a web page, not with JSON"),
        (Answer(200, b'{"product_id": 2, "mqtt'), "broken JSON"),
        (Answer(200, {"product_id": "[red]two"}), "something else than the reference says"),
        (Answer(500, {"detail": "[/red]\x1b[31m"}), "failed: 500 [/red]"),
        (Answer(302, b"", {"Location": "/login"}), "sends elsewhere"),
    ],
    ids=["html", "truncated", "types", "500", "login"],
)
async def test_garbage_reads_unknown_and_keys_answer(
    web: StartWeb, garbage: Answer, says: str
) -> None:
    well = True
    server = web(lambda request: documented(2)(request) if well else garbage)
    async with person_before(server.url, 2) as person:
        await person.sees("Product 2", "● connected")
        well = False
        await person.sees("Product 2", "? unknown")
        await person.sees(says)
        await assert_keys_answer(person)
        well = True
        await person.sees("Product 2", "● connected")
        await person.sees_no(says)


NOWHERE = "http://127.0.0.1:1"
"""A port of the privileged ones that nobody has: whoever asks is refused at once."""


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_what_cannot_be_asked_says_why_instead_of_having_no_products(
    size: tuple[int, int],
) -> None:
    others = [Target("other", Context())]
    async with person_before(NOWHERE, size=size, others=others) as person:
        await person.sees("The orchestrator cannot be asked")
        await person.sees("127.0.0.1:1 refuses connections")
        await person.sees("Check the port, and that the orchestrator runs there: cortex serve.")
        await person.sees("It is tried again by itself")
        await person.sees("r  try again", "F7  another context", "q  quit")
        await person.sees_no("product")
        await assert_keys_answer(person)


@pytest.mark.parametrize("answer", [NOT_FOUND, Answer(404, b"<html>")])
async def test_a_url_where_there_is_something_else_says_so(web: StartWeb, answer: Answer) -> None:
    async with person_before(f"{web(lambda _: answer).url}/foo", size=NARROW) as person:
        await person.sees("has no such path: /foo/api/v1/products/1/mqtt-config")
        await person.sees("Check the URL")
        await person.sees_no("does not list")


async def test_a_key_asks_again_at_once(web: StartWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FIRST_PAUSE", 600.0)
    well = False
    server = web(lambda request: documented(2)(request) if well else Answer(401))
    async with person_before(server.url, size=NARROW) as person:
        await person.sees("wants a token")
        await person.sees("Set CORTEX_TOKEN")
        asked = len(server.requests)
        await person.press("r")
        await until(lambda: len(server.requests) > asked)
        await person.sees("wants a token")
        well = True
        await person.press("r")
        await person.sees("say which ones you work with")


async def test_keys_in_a_burst_ask_again_once() -> None:
    opened, may_open = [], asyncio.Event()

    async def open_backend(_: Target) -> Backend:
        opened.append(await RemoteBackend.open(NOWHERE))
        if len(opened) == 2:
            await may_open.wait()
        return opened[-1]

    async with before(open_backend) as person:
        await person.sees("The orchestrator cannot be asked")
        person.at_once(*"rrrr")
        await person.sees("It is being opened.")
        await until(lambda: not person.app._typed and person.app._awaited is None)
        may_open.set()
        await until(lambda: len(opened) == 2 and opened[0]._closed.is_set())
        await person.sees("The orchestrator cannot be asked")
        assert len(opened) == 2


async def test_the_advice_stands_below_the_rows_too() -> None:
    async with person_before(NOWHERE, 2, size=NARROW) as person:
        await person.sees("Product 2", "? unknown")
        await person.sees("Check the port, and that the orchestrator runs there: cortex serve.")


@contextmanager
def held() -> Iterator[threading.Event]:
    """Answers that wait for this event; it comes at the end, so that no thread waits for ever."""
    released = threading.Event()
    try:
        yield released
    finally:
        released.set()


async def test_an_orchestrator_that_takes_half_a_minute(
    web: StartWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held() as released:
        slow = False

        def answer(request: Request) -> Answer:
            if slow:
                released.wait(30)
            return documented(2)(request)

        server = web(answer)
        monkeypatch.setattr(http, "_timeout", lambda _: httpx.Timeout(0.5))
        async with person_before(server.url, 2) as person:
            await person.sees("Product 2", "● connected")
            slow = True
            await person.sees("Product 2", "? unknown")
            await person.sees("did not answer in time")
            await assert_keys_answer(person)
            slow = False
            released.set()
            await person.sees("Product 2", "● connected")


async def test_keys_answer_while_a_request_is_under_way(web: StartWeb) -> None:
    with held() as released:

        def answer(request: Request) -> Answer:
            if request.method == "POST":
                released.wait(30)
                return Answer(200, examples.RECONNECTING)
            return documented(2)(request)

        server = web(answer)
        async with person_before(server.url, 2) as person:
            await person.sees("Product 2", "● connected")
            await person.press("r")
            await until(lambda: server.asked("POST", "/reconnect"))
            await assert_keys_answer(person)
            await person.press("enter")
            await person.sees("cortex › Product 2")
            await person.sees(HOST)
            released.set()
            await until(lambda: server.at_once == 0)


async def test_it_can_be_left_while_nothing_answers(web: StartWeb) -> None:
    with held() as released:

        def answer(_: Request) -> Answer:
            released.wait(30)
            return Answer(503, b"")

        async with person_before(web(answer).url, 2) as person:
            await assert_keys_answer(person)
            await person.press("q")
            await until(lambda: not person.app.is_running)


# -- it rejects -------------------------------------------------------------------------------


def saving(answer: Answer) -> Any:
    """The reference's product 2, whose configuration is not taken."""
    return lambda request: answer if request.method == "PUT" else documented(2)(request)


async def edit(person: Person, field: str, value: str) -> None:
    await person.sees("Product 2", "● connected")
    await person.press("enter")
    await person.sees(HOST)
    await person.fill_in(field, value)
    await person.press("f2")


@pytest.mark.parametrize(
    "problem",
    [
        {"loc": ["body", "broker", "port"], "msg": "port is odd", "type": "value_error.odd"},
        {
            "type": "value_error",
            "loc": ["body", "broker", "port"],
            "msg": "Value error, port is odd",
            "input": 1885,
            "ctx": {"error": {}},
        },
    ],
    ids=["reference", "pydantic 2"],
)
async def test_a_rejected_value_is_shown_at_its_field(
    web: StartWeb, problem: dict[str, Any]
) -> None:
    async with person_before(web(saving(Answer(422, {"detail": [problem]}))).url, 2) as person:
        await edit(person, "port", "1885")
        await person.sees("✗ port is odd")
        lines = person.screen.splitlines()
        at = next(number for number, line in enumerate(lines) if "✗ port is odd" in line)
        assert any("1885" in line for line in lines[at - 2 : at + 1]), person.screen
        await person.sees("One value needs correcting")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(422, {"detail": "The broker is on holiday"}), "The broker is on holiday"),
        (Answer(422, {"detail": [{"loc": ["body"], "msg": "too odd"}]}), "too odd"),
        (Answer(422, {"detail": [{"loc": ["body", "x"], "msg": "odd x"}]}), "x: odd x"),
        (Answer(500, {"detail": "Internal server error"}), "failed: 500"),
        (Answer(403, {"detail": "Not for you"}), "Not for you"),
        (Answer(429, b""), "too many requests"),
        (Answer(200, b"<html>"), "a web page"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
async def test_a_failure_without_a_field_is_told_and_nothing_is_lost(
    web: StartWeb, answer: Answer, says: str
) -> None:
    async with person_before(web(saving(answer)).url, 2) as person:
        await edit(person, "username", "somebody-else")
        await person.sees(says)
        await person.sees("somebody-else")


# -- it knows less ----------------------------------------------------------------------------


def greyed(person: Person) -> set[str]:
    """What the key line shows as out of reach."""
    screen = person.app.screen
    assert isinstance(screen, Commanded)
    line = screen.key_line()
    return {line.plain[span.start : span.end] for span in line.spans if span.style == DISABLED}


async def test_products_of_an_orchestrator_that_does_not_list_them(local: LocalBackend) -> None:
    await local.create_product(ProductDraft(name="Tyres"))
    async with (
        serving(create_app(local, extensions=False), port=0) as url,
        person_before(url) as person,
    ):
        await person.sees("say which ones you work with")
        await person.press("n")
        await person.sees("This orchestrator does not create")
        assert any("On/off" in each for each in greyed(person))
        await person.press("a")
        await person.type("7")
        await person.press("f2")
        await person.sees("Product not found")
        await person.press("backspace")
        await person.type("1")
        await person.press("f2")
        await person.sees("Product 1", "not configured")
        await person.press("f")
        await person.sees_no("Product 1")


# -- contexts ---------------------------------------------------------------------------------


def style_of(person: Person, text: str) -> Any:
    """How a text on the terminal is drawn."""
    for strip in person.app.screen._compositor.render_strips():
        for segment in strip:
            if text in segment.text:
                return segment.style
    raise AssertionError(f"{text!r} is not on\n{person.screen}")


async def test_contexts_are_switched_and_the_one_at_hand_is_always_shown(
    orchestrator: Orchestrator, web: StartWeb
) -> None:
    await orchestrator.inside.create_product(ProductDraft(name="Tyres"))
    server = web(documented(2))
    bench = Target("bench", Context(colour="green"))
    prod = Target("prod", Context(url=server.url, colour="red", read_only=True))

    async def opened(target: Target) -> Backend:
        if target.name == "prod":
            return await RemoteBackend.open(server.url, product_ids=(2,))
        return await orchestrator.open(target)

    async with before(opened, size=WIDE, others=[bench, prod]) as person:
        await person.sees("Tyres")
        await person.sees("cortex", "test")
        await person.press("f7")
        await person.sees("prod", server.url, "read-only")
        await person.type("prod")
        await person.press("enter")
        await person.sees("cortex", "prod", "read-only")
        await person.sees("Product 2", "● connected")
        await person.sees_no("Tyres")
        red = style_of(person, " prod ").bgcolor.triplet
        assert red.red > 2 * max(red.green, red.blue), "its name is on red"
        tinted, plainly = (style_of(person, each).bgcolor.triplet for each in ("cortex", "RATE"))
        assert tinted.red > plainly.red, "and so, a little, is the line it is in"
        await person.press("enter")
        await person.sees("cortex › Product 2", "prod", "read-only")
        await person.sees(HOST)
        assert any("Save" in each for each in greyed(person))
        await person.press("r")
        await person.sees("This context is read-only.")
        assert {request.method for request in server.requests} == {"GET"}


async def test_a_context_that_cannot_be_opened_can_be_left_again(
    embedded: Orchestrator,
) -> None:
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    broken = Target("broken", Context(url="http://localhost", ca_file=Path("/nowhere")))

    async def opened(target: Target) -> Backend:
        if target.name == "broken":
            return await RemoteBackend.open("http://localhost", ca_file=target.context.ca_file)
        return embedded.inside

    here = Target("test", Context())
    async with before(opened, size=WIDE, others=[here, broken]) as person:
        await person.sees("Tyres")
        await person.press("f7")
        await person.type("broken")
        await person.press("enter")
        await person.sees("The CA file", "cannot be used")
        await person.sees("cortex", "broken")
