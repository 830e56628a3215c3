"""Live states of an orchestrator elsewhere: from its stream, or polled where it has none."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cortex_tui.backend import (
    WATCH_INTERVAL,
    Capability,
    Denied,
    NotFound,
    Unreachable,
    Unsupported,
)
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft, ProductState, SubscriptionChange, SubscriptionDraft
from cortex_tui.opening import open_backend
from cortex_tui.remote import RemoteBackend, http, watch
from cortex_tui.server import create_app, examples, serving
from cortex_tui.settings import Context, Remembered, Settings, Target
from cortex_tui.states import ConnectionState
from tests.counterparts import StartCounterpart, closes_at_once
from tests.waiting import until
from tests.webservers import (
    NO_PRODUCT,
    NOT_FOUND,
    Answer,
    Answering,
    Request,
    StartWeb,
    Web,
    documented,
)

STREAM = "/products/status/stream"
CONNECTED, UNKNOWN = ConnectionState.CONNECTED, ConnectionState.UNKNOWN


class Seen:
    """What a watch has told so far."""

    def __init__(self, backend: RemoteBackend) -> None:
        self.backend = backend
        self.last: dict[int, ProductState] = {}
        self.beats: list[dict[int, ProductState | None]] = []

    async def follow(self) -> None:
        async for beat in self.backend.watch():
            self.beats.append(dict(beat))
            for number, state in beat.items():
                if state is None:
                    self.last.pop(number, None)
                else:
                    self.last[number] = state

    def states(self) -> dict[int, ConnectionState]:
        return {number: state.state for number, state in self.last.items()}


@asynccontextmanager
async def watching(backend: RemoteBackend) -> AsyncIterator[Seen]:
    seen = Seen(backend)
    following = asyncio.create_task(seen.follow())
    try:
        yield seen
    finally:
        following.cancel()
        await asyncio.wait({following})
        await backend.aclose()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for seconds; what they are is tested by themselves."""
    monkeypatch.setattr(watch, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.1)


# -- polling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 405])
async def test_where_there_is_no_stream_it_polls(web: StartWeb, status: int) -> None:
    def answer(request: Request) -> Answer:
        if request.path.endswith(STREAM):
            return Answer(status, {"detail": "?"})
        return documented(2, 3)(request)

    server = web(answer)
    backend = await RemoteBackend.open(server.url, product_ids=(2, 3))
    async with watching(backend) as seen:
        await until(lambda: seen.states() == {2: CONNECTED, 3: CONNECTED})
        asked = server.asked("GET", "/products/2/mqtt-config")
        await until(lambda: server.asked("GET", "/products/2/mqtt-config") > asked + 3)
        assert server.asked("GET", STREAM) == 1
        assert len(seen.beats) == 1, "what is the same as before is not told again"
    state = seen.last[2]
    assert state.broker == "api.platform.integrations.habit.io:8889"
    assert (state.subscriptions_enabled, state.subscriptions_total) == (1, 1)


async def test_only_what_is_on_screen_is_polled(web: StartWeb) -> None:
    server = web(documented(*range(1, 21)))
    backend = await RemoteBackend.open(server.url, product_ids=range(1, 21))
    async with watching(backend) as seen:
        await until(lambda: len(seen.last) == 20)
        backend.focus({5})
        await until(lambda: server.requests[-1].path.endswith("/5/mqtt-config"))
        await until(
            lambda: (
                {request.path for request in server.requests[-3:]}
                == {"/api/v1/products/5/mqtt-config"}
            )
        )
        backend.focus({6, 7})
        await until(
            lambda: (
                {request.path for request in server.requests[-4:]}
                == {"/api/v1/products/6/mqtt-config", "/api/v1/products/7/mqtt-config"}
            )
        )


async def test_few_are_polled_at_once(web: StartWeb) -> None:
    full = asyncio.Event()
    loop = asyncio.get_running_loop()
    server: Web

    def answer(request: Request) -> Answer:
        # Of the round, nobody is answered before as many have come as ever will.
        if server.at_once >= watch.CONCURRENCY:
            loop.call_soon_threadsafe(full.set)
        elif server.asked("GET", "/mqtt-config") > 1:  # the first is whether the URL is right
            asyncio.run_coroutine_threadsafe(full.wait(), loop).result(20)
        return documented(*range(1, 31))(request)

    server = web(answer)
    backend = await RemoteBackend.open(server.url, product_ids=range(1, 31))
    async with watching(backend) as seen:
        await until(lambda: len(seen.last) == 30)
    assert server.most_at_once == watch.CONCURRENCY


async def test_one_that_fails_does_not_hide_the_others(web: StartWeb) -> None:
    def answer(request: Request) -> Answer:
        if "/products/3/" in request.path:
            return Answer(500, {"detail": "Internal server error"})
        return documented(2)(request)

    backend = await RemoteBackend.open(web(answer).url, product_ids=(2, 3, 4))
    async with watching(backend) as seen:
        await until(lambda: len(seen.last) == 3)
        assert seen.states() == {2: CONNECTED, 3: UNKNOWN, 4: UNKNOWN}
        assert "failed: 500" in (seen.last[3].problem or "")
        assert seen.last[4].problem == "Product not found"
        assert backend.problem is None


def documented_now(product_ids: set[int]) -> Answering:
    """Like `documented`, for a set that changes."""

    def answer(request: Request) -> Answer:
        return documented(*product_ids)(request)

    return answer


async def test_a_product_that_comes_back_is_known_again(web: StartWeb) -> None:
    present = {2}
    server = web(documented_now(present))
    backend = await RemoteBackend.open(server.url, product_ids=(2,))
    async with watching(backend) as seen:
        await until(lambda: seen.states() == {2: CONNECTED})
        present.clear()
        await until(lambda: seen.states() == {2: UNKNOWN})
        since = seen.last[2].unknown_since
        assert seen.last[2].status is not None, "what was last seen stays"
        present.add(2)
        await until(lambda: seen.states() == {2: CONNECTED})
    assert since is not None
    assert seen.last[2].unknown_since is None


# -- an orchestrator that cannot be asked -----------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (Answer(500, {"detail": "?"}), "failed: 500"),
        (Answer(502, b"<html>"), "failed: 502"),
        (Answer(200, b"<html>"), "a web page, not with JSON"),
        (Answer(200, b"{"), "broken JSON"),
        (Answer(401, {"detail": "?"}), "wants a token"),
        (Answer(429, {"detail": "?"}), "too many requests"),
        (Answer(302, b"", {"Location": "/login"}), "sends elsewhere"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
async def test_it_reads_unknown_and_recovers_by_itself(
    web: StartWeb, broken: Answer, problem: str
) -> None:
    well = True
    server = web(lambda request: documented(2)(request) if well else broken)
    backend = await RemoteBackend.open(server.url, product_ids=(2,))
    async with watching(backend) as seen:
        await until(lambda: seen.states() == {2: CONNECTED})
        well = False
        await until(lambda: seen.states() == {2: UNKNOWN})
        lost = seen.last[2]
        assert backend.problem is not None
        assert problem in backend.problem.message
        assert problem in (lost.problem or "")
        assert lost.unknown_since is not None
        assert lost.status is not None
        well = True
        await until(lambda: seen.states() == {2: CONNECTED})
        assert backend.problem is None


async def test_one_that_never_answered_is_unknown_too(web: StartWeb) -> None:
    well = False
    server = web(lambda request: documented(2)(request) if well else Answer(503, b""))
    backend = await RemoteBackend.open(server.url, product_ids=(2,))
    async with watching(backend) as seen:
        await until(lambda: seen.states() == {2: UNKNOWN})
        assert seen.last[2].status is None
        well = True
        await until(lambda: seen.states() == {2: CONNECTED})


async def test_it_is_asked_ever_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    pauses: list[float] = []
    asked_enough = asyncio.Event()

    async def no_pause(_: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 10:
            asked_enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(watch, "_event", no_pause)
    assert (watch.POLL_INTERVAL, watch.FIRST_PAUSE, watch.LONGEST_PAUSE) == (2.0, 1.0, 30.0)
    # A port of the privileged ones that nobody has: whoever asks is refused at once.
    async with watching(await RemoteBackend.open("http://127.0.0.1:1", product_ids=(2,))):
        await asked_enough.wait()
    for pause, about in zip(pauses, [1, 2, 4, 8, 16, 30, 30, 30, 30, 30], strict=True):
        assert 0.8 * about <= pause <= 1.2 * about


# -- the stream -------------------------------------------------------------------------------


async def test_the_stream_is_used_where_there_is_one(local: LocalBackend) -> None:
    await local.create_product(ProductDraft(name="Tyres"))
    async with (
        serving(create_app(local), port=0) as url,
        watching(await RemoteBackend.open(url)) as seen,
    ):
        await until(lambda: 1 in seen.last)
        await local.create_product(ProductDraft(name="Wheels"))
        await until(lambda: 2 in seen.last)
        await local.delete_product(1)
        await until(lambda: 1 not in seen.last)


async def test_what_went_while_the_server_was_away_is_gone(local: LocalBackend) -> None:
    await local.create_product(ProductDraft(name="Tyres"))
    await local.create_product(ProductDraft(name="Wheels"))
    async with serving(create_app(local), port=0) as url:
        port = int(url.rsplit(":", 1)[1])
        backend = await RemoteBackend.open(url)
        seen = Seen(backend)
        following = asyncio.create_task(seen.follow())
        await until(lambda: len(seen.last) == 2)
    await until(lambda: set(seen.states().values()) == {UNKNOWN})
    await local.delete_product(1)
    async with serving(create_app(local), port=port):
        await until(lambda: seen.states() == {2: ConnectionState.NOT_CONFIGURED})
        following.cancel()
        await asyncio.wait({following})
        await backend.aclose()


def event(states: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps({"states": states}).encode() + b"\n\n"


PRODUCT = {"product": {"id": 1, "name": "Tyres", "enabled": True}}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
EVERYTHING = b'{"capabilities": ["list_products", "and_what_comes_later"]}'
CAPABLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
    len(EVERYTHING),
    EVERYTHING,
)


def streams(*pieces: bytes) -> Any:
    """An orchestrator whose stream says these pieces, and then nothing more."""

    def behave(connection: Any) -> None:
        if b"/capabilities" in connection.recv(65_536):
            connection.sendall(CAPABLE)
            return
        connection.sendall(HEAD)
        for piece in pieces:
            connection.sendall(piece)
        while connection.recv(4_096):
            pass

    return behave


@pytest.mark.parametrize(
    ("pieces", "problem"),
    [
        ([event({"1": PRODUCT})], "did not answer in time"),
        ([event({"1": PRODUCT}), b": alive\n\ndata: {\n\n"], "broken JSON"),
        ([event({"1": PRODUCT}), event({"x": None})], "states.x"),
        ([event({"1": PRODUCT}), event({"1": {"product": 7}})], "states.1.product"),
        ([event({"1": PRODUCT}), b"data: " + b"x" * 70_000], "more than 10 MiB"),
        ([event({"1": PRODUCT}), b"\x00\xff\n" * 20, event({"1": 3})], "states.1"),
    ],
)
async def test_a_stream_that_fails_reads_unknown(
    counterpart: StartCounterpart,
    monkeypatch: pytest.MonkeyPatch,
    pieces: list[bytes],
    problem: str,
) -> None:
    monkeypatch.setattr(http, "ANSWER_LIMIT", 65_536)
    monkeypatch.setattr(http, "_timeout", lambda _: httpx.Timeout(0.5))
    url = f"http://127.0.0.1:{counterpart(streams(*pieces))}"
    async with watching(await RemoteBackend.open(url)) as seen:
        await until(lambda: UNKNOWN in seen.states().values())
        assert problem in (seen.last[1].problem or "")
        assert seen.backend.capabilities == {Capability.LIST_PRODUCTS}


async def test_a_stream_that_breaks_off_is_begun_anew_before_anything_is_told(
    counterpart: StartCounterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "FIRST_PAUSE", 2 * WATCH_INTERVAL)  # what is told is seen
    whole = streams(event({"1": {"product": {**PRODUCT["product"], "name": "Wheels"}}}))
    broken = HEAD.replace(b"Connection: close", b"Content-Length: 1000000")
    streamed = list[bytes]()

    def behave(connection: Any) -> None:
        asked = connection.recv(65_536, socket.MSG_PEEK)
        if b"/stream" not in asked or streamed:
            whole(connection)
            return
        streamed.append(asked)
        connection.recv(65_536)
        connection.sendall(broken + event({"1": PRODUCT}))
        closes_at_once(connection)

    async with watching(
        await RemoteBackend.open(f"http://127.0.0.1:{counterpart(behave)}")
    ) as seen:
        await until(lambda: 1 in seen.last and seen.last[1].product.name == "Wheels")
        assert streamed
        assert not any(state and state.problem for beat in seen.beats for state in beat.values())


# -- what it can do ---------------------------------------------------------------------------


async def test_an_orchestrator_with_the_documented_endpoints_only(local: LocalBackend) -> None:
    await local.create_product(ProductDraft(name="Tyres"))
    await local.create_subscription(1, SubscriptionDraft(name="paid"))
    async with serving(create_app(local, extensions=False), port=0) as url:
        backend = await RemoteBackend.open(url)
        assert await backend.products() == []
        assert backend.capabilities == frozenset()
        for refused in (
            backend.create_product(ProductDraft(name="Wheels")),
            backend.delete_product(1),
            backend.create_subscription(1, SubscriptionDraft(name="b")),
            backend.delete_subscription(1, 1),
            backend.update_subscription(1, 1, SubscriptionChange(name="other")),
        ):
            with pytest.raises(Unsupported, match="This orchestrator does not"):
                await refused
        changed = await backend.update_subscription(1, 1, SubscriptionChange(enabled=False))
        assert not changed.enabled
        await backend.aclose()


async def test_one_that_lists_its_products_and_says_nothing_of_it(web: StartWeb) -> None:
    products = {"products": [{"id": 2, "name": "Tyres"}]}

    def answer(request: Request) -> Answer:
        if request.path == "/api/v1/products":
            return Answer(200, products)
        return documented(2)(request)

    async with watching(await RemoteBackend.open(web(answer).url)) as seen:
        await until(lambda: seen.states() == {2: CONNECTED})
        assert seen.last[2].product.name == "Tyres"
        assert seen.backend.capabilities == {Capability.LIST_PRODUCTS}


async def test_what_it_can_do_is_asked_again_where_it_could_not_be_asked(web: StartWeb) -> None:
    well = False
    server = web(lambda request: documented(2)(request) if well else Answer(503, b""))
    backend = await RemoteBackend.open(server.url)
    with pytest.raises(Unreachable):
        await backend.products()
    well = True
    assert await backend.products() == []
    await backend.aclose()


@pytest.mark.parametrize("product_ids", [(), (2, 3)])
async def test_a_url_where_there_is_no_orchestrator_is_not_one_that_lists_no_products(
    web: StartWeb, product_ids: tuple[int, ...]
) -> None:
    well = False
    server = web(lambda request: documented(2)(request) if well else NOT_FOUND)
    backend = await RemoteBackend.open(server.url, product_ids=product_ids)
    async with watching(backend) as seen:
        await until(lambda: backend.problem)
        assert backend.problem is not None
        assert "has no such path: /api/v1/products/" in backend.problem.message
        assert "Check the URL" in backend.problem.hint
        assert set(seen.states().values()) <= {UNKNOWN}
        well = True
        await until(lambda: backend.problem is None)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, examples.CONFIG_DOCUMENT),
        NO_PRODUCT,
        Answer(404, {"detail": "Product 1 not found"}),
        Answer(404, {"detail": {"code": 7}}),
        Answer(405, {"detail": "Not for this product"}),
        Answer(500),
        Answer(403),
    ],
)
async def test_one_that_lists_no_products_is_known_by_a_path_of_the_reference(
    web: StartWeb, answer: Answer
) -> None:
    def only_that(request: Request) -> Answer:
        return answer if request.path == "/api/v1/products/1/mqtt-config" else NOT_FOUND

    backend = await RemoteBackend.open(web(only_that).url)
    assert await backend.products() == []
    assert backend.capabilities == frozenset()
    await backend.aclose()


async def test_a_refused_token_is_not_an_orchestrator_without_products(web: StartWeb) -> None:
    def answer(request: Request) -> Answer:
        return Answer(401) if request.path.endswith("/mqtt-config") else NOT_FOUND

    backend = await RemoteBackend.open(web(answer).url)
    with pytest.raises(Denied, match="wants a token"):
        await backend.products()
    await backend.aclose()


async def test_one_that_breaks_off_is_not_one_without_products(
    counterpart: StartCounterpart,
) -> None:
    def behave(connection: Any) -> None:
        if b"/mqtt-config" not in connection.recv(65_536):
            connection.sendall(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        connection.shutdown(socket.SHUT_RDWR)

    backend = await RemoteBackend.open(f"http://127.0.0.1:{counterpart(behave)}")
    with pytest.raises(Unreachable, match="broke off in the middle"):
        await backend.products()
    await backend.aclose()


async def test_product_ids_are_kept_for_their_context(web: StartWeb, tmp_path: Path) -> None:
    server = web(documented(2, 3))
    path = tmp_path / "remembered.json"
    target = Target("prod", Context(url=server.url))

    async def opened(target: Target) -> RemoteBackend:
        backend = await open_backend(target, Settings(), Remembered(path))
        assert isinstance(backend, RemoteBackend)
        return backend

    backend = await opened(target)
    for number in (3, 2):
        assert (await backend.add_product_id(number)).name == f"Product {number}"
    with pytest.raises(NotFound):
        await backend.add_product_id(4)
    backend.remove_product_id(3)
    await backend.aclose()

    again = await opened(target)
    assert again.product_ids == (2,)
    assert [product.id for product in await again.products()] == [2]
    other = await opened(Target("other", Context(url=server.url)))
    assert other.product_ids == ()
    await again.aclose()
    await other.aclose()


async def test_an_id_that_cannot_be_asked_for_is_not_kept(web: StartWeb) -> None:
    backend = await RemoteBackend.open(web(lambda _: Answer(403, b"")).url)
    with pytest.raises(Denied):
        await backend.add_product_id(2)
    assert backend.product_ids == ()
    await backend.aclose()
