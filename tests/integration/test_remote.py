"""The remote backend before servers that misbehave: every failure is one a person can act on."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from cortex_tui.backend import (
    BackendError,
    Conflict,
    Denied,
    FieldProblem,
    Invalid,
    NotFound,
    Stale,
    Unreachable,
    Unsupported,
)
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import (
    BrokerConfig,
    ConfigDraft,
    ProductDraft,
    SubscriptionChange,
    TopicsConfig,
)
from cortex_tui.remote import RemoteBackend, http
from cortex_tui.remote import backend as backend_room
from cortex_tui.server import create_app, examples, serving
from cortex_tui.states import ConnectionState
from tests.certificates import Authority
from tests.counterparts import (
    Crowded,
    StartCounterpart,
    answers,
    closes_after_hearing,
    resets,
    silent,
    within_tls,
)
from tests.webservers import Answer, Request, StartWeb, documented

TOKEN = SecretStr("a-long-random-text")
DRAFT = ConfigDraft(
    broker=BrokerConfig(host="localhost", username="u", password=SecretStr("hunter2")),
    topics=TopicsConfig(),
)


@asynccontextmanager
async def remote(url: str, **options: Any) -> AsyncIterator[RemoteBackend]:
    backend = await RemoteBackend.open(url, **options)
    try:
        yield backend
    finally:
        await backend.aclose()


async def failure(
    url: str,
    ask: Callable[[RemoteBackend], Awaitable[object]] = lambda backend: backend.status(2),
    **options: Any,
) -> BackendError:
    """How asking fails."""
    async with remote(url, token=TOKEN, **options) as backend:
        with pytest.raises(BackendError) as failed:
            await ask(backend)
    error = failed.value
    assert error.message
    for secret in (TOKEN.get_secret_value(), "hunter2"):
        assert secret not in error.text
    return error


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a fraction of a second where a person would wait for many."""
    monkeypatch.setattr(http, "_timeout", lambda _: httpx.Timeout(0.2))


# -- no answer --------------------------------------------------------------------------------


async def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("NO_PROXY", "*")

    error = await failure("http://orchestrator.invalid:8004")

    assert isinstance(error, Unreachable)
    assert error.message == "The name orchestrator.invalid is not known"
    assert error.hint == "Check the host name in the URL."


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    error = await failure(f"http://127.0.0.1:{port}")

    assert isinstance(error, Unreachable)
    assert error.message == f"127.0.0.1:{port} refuses connections"
    assert "cortex serve" in error.hint


async def test_nothing_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    with Crowded() as port:
        error = await failure(f"http://127.0.0.1:{port}")
    assert isinstance(error, Unreachable)
    assert "accepts no connection" in error.message
    assert "firewall" in error.hint


async def test_a_server_that_says_nothing(
    counterpart: StartCounterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    error = await failure(f"http://127.0.0.1:{counterpart(silent)}")
    assert isinstance(error, Unreachable)
    assert "did not answer in time" in error.message


async def test_an_answer_that_drips(
    counterpart: StartCounterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drips(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            connection.settimeout(0.05)
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                pass

    monkeypatch.setattr(http, "PATIENCE", 0.5)
    monkeypatch.setattr(backend_room, "POLL_SILENCE", 0.4)
    error = await failure(f"http://127.0.0.1:{counterpart(drips)}", lambda backend: backend.poll(2))
    assert isinstance(error, Unreachable)
    assert "did not answer in time" in error.message


@pytest.mark.parametrize(
    ("behaviour", "says_so"),
    [
        (closes_after_hearing, "does not speak HTTP as expected, or broke off"),
        (resets, "broke the connection off"),
        (answers(b"220 mail.example ESMTP\r\n\r\n"), "does not speak HTTP as expected"),
        (answers(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "in time"),
        (answers(b"\x00" * 70_000), "does not speak HTTP as expected"),
    ],
)
async def test_what_is_no_http(
    counterpart: StartCounterpart, monkeypatch: pytest.MonkeyPatch, behaviour: Any, says_so: str
) -> None:
    impatient(monkeypatch)
    error = await failure(f"http://127.0.0.1:{counterpart(behaviour)}")
    assert isinstance(error, Unreachable)
    assert says_so in error.message
    assert error.hint


async def test_an_answer_that_breaks_off(counterpart: StartCounterpart) -> None:
    def breaks_off(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        connection.shutdown(socket.SHUT_RDWR)

    error = await failure(f"http://127.0.0.1:{counterpart(breaks_off)}")
    assert isinstance(error, Unreachable)
    assert "broke off in the middle" in error.message


# -- TLS --------------------------------------------------------------------------------------


async def test_tls(local: LocalBackend, authority: Authority, tmp_path: Path) -> None:
    await local.create_product(ProductDraft(name="Tyres"))
    identity = authority.server("orchestrator", names=("localhost",))
    app = create_app(local)
    async with serving(app, port=0, tls_cert=identity.cert, tls_key=identity.key) as url:
        by_name = url.replace("127.0.0.1", "localhost")
        for options in ({"ca_file": authority.cert}, {"verify": False}):
            async with remote(by_name, **options) as backend:
                assert (await backend.status(1)).product_id == 1
        untrusted = await failure(by_name)
        other_name = await failure(url, ca_file=authority.cert)
        another = Authority(tmp_path, "Another Authority").cert
        other_authority = await failure(by_name, ca_file=another)
        plain = await failure(by_name.replace("https", "http"))

    assert "is not trusted" in untrusted.message
    assert "ca_file of a context in config.toml" in untrusted.hint
    assert "SSL_CERT_FILE" in untrusted.hint
    assert "was not issued by the authority in ca_file" in other_authority.message
    assert f"another file than {another} as ca_file" in other_authority.hint
    assert "is not trusted" in other_name.message
    assert "127.0.0.1" in other_name.message
    assert "a name or address that it was issued for" in other_name.hint
    assert "https://" in plain.hint


async def test_a_certificate_that_has_expired(
    authority: Authority, counterpart: StartCounterpart
) -> None:
    expired = authority.server("old", days=(-30, -1))
    port = counterpart(within_tls(expired, silent))
    error = await failure(f"https://127.0.0.1:{port}", ca_file=authority.cert)
    assert isinstance(error, Unreachable)
    assert "certificate has expired" in error.message
    assert "Renew it" in error.hint


async def test_tls_where_there_is_none(counterpart: StartCounterpart) -> None:
    port = counterpart(answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    error = await failure(f"https://127.0.0.1:{port}")
    assert isinstance(error, Unreachable)
    assert "does not speak TLS as expected" in error.message
    assert "http://" in error.hint


@pytest.mark.parametrize("text", [None, "no certificate\n"])
async def test_a_ca_file_that_cannot_be_used(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BackendError, match=r"The CA file .*ca\.pem cannot be used") as failed:
        await RemoteBackend.open("https://localhost", ca_file=path)
    assert failed.value.hint


@pytest.mark.parametrize("path", ["~nobody-of-this-name/ca.pem", "ca\0.pem"])
async def test_a_ca_file_that_is_nowhere(path: str) -> None:
    with pytest.raises(BackendError, match="cannot be used: there is no such place"):
        await RemoteBackend.open("https://localhost", ca_file=Path(path))


# -- answers that are refusals ----------------------------------------------------------------

HTML = b"<!doctype html><title>Log in</title>"


@pytest.mark.parametrize(
    ("answer", "kind", "message", "hint"),
    [
        (Answer(401, {"detail": "?"}), Denied, "refuses the token", "CORTEX_TOKEN"),
        (Answer(401, HTML), Denied, "refuses the token", "CORTEX_TOKEN"),
        (Answer(403, {"detail": "Not yours"}), Denied, "Not yours", "permission"),
        (Answer(403, HTML), Denied, "does not allow that", "permission"),
        (Answer(404, {"detail": "Product not found"}), NotFound, "Product not found", ""),
        (Answer(404, {"detail": "Product 2 not found"}), NotFound, "Product 2 not found", ""),
        (Answer(404, {"detail": None}), Unreachable, "has no such path", "/api/v1"),
        (Answer(404, {"detail": "Not Found"}), Unreachable, "has no such path", "/api/v1"),
        (Answer(404, HTML), Unreachable, "has no such path", "/api/v1"),
        (Answer(405, {"detail": "Method Not Allowed"}), Unreachable, "no such path", "/api/v1"),
        (Answer(409, {"detail": "Taken", "hint": "Rename."}), Conflict, "Taken", "Rename."),
        (Answer(409, b""), Conflict, "It is there already", ""),
        (Answer(412, {"detail": "Old", "hint": "Read."}), Stale, "Old", "Read."),
        (Answer(412, b""), Stale, "was changed meanwhile", ""),
        (Answer(413, b""), BackendError, "more than the orchestrator accepts", "shorter"),
        (Answer(418, {"detail": "Teapot"}), BackendError, "refuses: 418 Teapot", ""),
        (Answer(421, {"detail": "Not me"}), Denied, "Not me", "name or address"),
        (Answer(429, b"", {"Retry-After": "7"}), Unreachable, "too many requests", "in 7 s"),
        (Answer(429, b"", {"Retry-After": "Fri"}), Unreachable, "too many requests", "later"),
        (Answer(500, {"detail": "Internal server error"}), Unreachable, "failed: 500", "log"),
        (Answer(501, {"detail": "Cannot"}), Unsupported, "Cannot", ""),
        (Answer(502, HTML), Unreachable, "failed: 502", "log"),
        (Answer(503, {"detail": "Away", "hint": "Wait."}), Unreachable, "503 Away", "Wait."),
        (Answer(302, b"", {"Location": "/login?next=x"}), Unreachable, "/login", "login page"),
        (
            Answer(302, b"", {"Location": "https://sso.example/login?t=s3cret"}),
            Unreachable, "sends elsewhere: sso.example:443/login", "login page",
        ),
        (Answer(307, b"", {"Location": "http://["}), Unreachable, "sends elsewhere", "login"),
        (Answer(301, b""), Unreachable, "sends elsewhere", "login page"),
        (
            Answer(301, b"", {"Location": "https://127.0.0.1/api"}),
            Unreachable, "wants https://", "Start the URL with https://",
        ),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)  # fmt: skip
async def test_refusals(
    web: StartWeb, answer: Answer, kind: type[BackendError], message: str, hint: str
) -> None:
    server = web(lambda _: answer)

    error = await failure(server.url)

    assert isinstance(error, kind)
    assert message in error.message
    assert hint in error.hint
    assert "s3cret" not in error.text
    if message not in error.text:
        assert error.hint


async def test_a_token_that_is_missing(web: StartWeb) -> None:
    server = web(lambda _: Answer(401, {"detail": "Not authenticated"}))
    async with remote(server.url) as backend:
        with pytest.raises(Denied, match="wants a token"):
            await backend.status(2)


REFERENCE_VOCABULARY = [
    {
        "loc": ["body", "broker", "port"],
        "msg": "ensure this value is less than or equal to 65535",
        "type": "value_error.number.not_le",
    },
    {"loc": ["body", "topics"], "msg": "field required", "type": "value_error.missing"},
]
PYDANTIC_2_VOCABULARY = [
    {
        "type": "less_than_equal",
        "loc": ["body", "broker", "port"],
        "msg": "Input should be less than or equal to 65535",
        "input": 70_000,
        "ctx": {"le": 65_535},
        "url": "https://errors.pydantic.dev/2/v/less_than_equal",
    },
    {
        "type": "value_error",
        "loc": ["body", "broker", "host"],
        "msg": "Value error, host is odd",
        "input": {"password": "hunter2"},
    },
]


@pytest.mark.parametrize(
    ("detail", "problems"),
    [
        (
            REFERENCE_VOCABULARY,
            [
                (("broker", "port"), "ensure this value is less than or equal to 65535"),
                (("topics",), "field required"),
            ],
        ),
        (
            PYDANTIC_2_VOCABULARY,
            [
                (("broker", "port"), "Input should be less than or equal to 65535"),
                (("broker", "host"), "host is odd"),
            ],
        ),
        ("port is odd", [((), "port is odd")]),
        ({"port": "odd"}, [((), "The orchestrator rejects the values")]),
        ([], [((), "The orchestrator rejects the values")]),
        ([7, {"loc": "port", "msg": None}], [((), "is not accepted")]),
        ([{"loc": ["body", "a\x1b[2J", 3], "msg": "\x1b[31mred"}], [(("a [2J", 3), "[31mred")]),
        ([{"loc": list(range(99)), "msg": "x" * 9_999}], [(tuple(range(10)), "x" * 500)]),
    ],
)
async def test_rejected_values(
    web: StartWeb, detail: Any, problems: list[tuple[tuple[str | int, ...], str]]
) -> None:
    server = web(lambda _: Answer(422, {"detail": detail}))

    error = await failure(server.url, lambda backend: backend.save_config(2, DRAFT))

    assert isinstance(error, Invalid)
    assert [(problem.loc, problem.message) for problem in error.problems] == problems
    assert all(isinstance(problem, FieldProblem) for problem in error.problems)


# -- answers that are nonsense ----------------------------------------------------------------


def _but(**values: Any) -> dict[str, Any]:
    return {**examples.CONNECTED, **values}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(200, HTML, {"Content-Type": "text/html"}), "a web page, not with JSON"),
        (Answer(200, b"\n <html>"), "a web page, not with JSON"),
        (Answer(200, b'{"product_id": 2, "conn'), "broken JSON"),
        (Answer(200, b""), "broken JSON"),
        (Answer(200, b"\xff\xfe\x00"), "broken JSON"),
        (Answer(200, b"[" * 200_000), "broken JSON"),
        (Answer(204, b""), "broken JSON"),
        (Answer(200, b"null"), "something else than the reference says"),
        (Answer(200, []), "something else than the reference says"),
        (Answer(200, {}), "product_id: Field required"),
        (Answer(200, _but(connected="perhaps")), "connected: Input should be a valid boolean"),
        (Answer(200, _but(product_id="two")), "product_id: Input should be a valid integer"),
        (Answer(200, _but(broker_info=[])), "broker_info"),
        (Answer(200, _but(updated_at="yesterday")), "updated_at"),
        (Answer(200, _but(messages_received=None)), "messages_received"),
        (Answer(200, b"x" * 100, {"Content-Encoding": "gzip"}), "compressed"),
    ],
)
async def test_nonsense(web: StartWeb, answer: Answer, message: str) -> None:
    server = web(lambda _: answer)

    error = await failure(server.url)

    assert isinstance(error, Unreachable)
    assert message in error.message
    assert error.hint


async def test_an_answer_over_the_limit_is_refused(
    web: StartWeb, counterpart: StartCounterpart
) -> None:
    padded = _but(padding="x" * http.ANSWER_LIMIT)
    announced = await failure(web(lambda _: Answer(200, padded)).url)

    def endless(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")

    in_pieces = await failure(f"http://127.0.0.1:{counterpart(endless)}")

    for error in (announced, in_pieces):
        assert isinstance(error, Unreachable)
        assert "more than 10 MiB" in error.message


async def test_unknown_fields_are_ignored(web: StartWeb) -> None:
    status = _but(added={"later": True}, broker_info={"version": "5.0", "max_qos": 2, "new": 1})
    async with remote(web(lambda _: Answer(200, status)).url) as backend:
        read = await backend.status(2)
    assert read.connected
    assert read.state is ConnectionState.CONNECTED


async def test_what_is_stored_elsewhere_is_read_although_we_would_not_take_it(
    web: StartWeb,
) -> None:
    document = {**examples.CONFIG_DOCUMENT}
    document["mqtt_config"] = {
        **document["mqtt_config"],
        "topics": {**document["mqtt_config"]["topics"], "shared_group": "a/b"},
    }
    async with remote(web(lambda _: Answer(200, document)).url) as backend:
        config = (await backend.config(2)).mqtt_config
    assert config is not None
    assert config.topics.shared_group == "a/b"


# -- what is sent -----------------------------------------------------------------------------


async def test_only_what_is_safe_is_asked_again(counterpart: StartCounterpart) -> None:
    heard: list[bytes] = []

    def breaks_off(connection: socket.socket) -> None:
        heard.append(connection.recv(65_536).split(b" ")[0])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    url = f"http://127.0.0.1:{counterpart(breaks_off)}"
    await failure(url)
    await failure(url, lambda backend: backend.save_config(2, DRAFT))
    await failure(url, lambda backend: backend.reconnect(2))
    await failure(
        url, lambda backend: backend.update_subscription(2, 1, SubscriptionChange(enabled=False))
    )

    assert heard == [b"GET", b"GET", b"PUT", b"POST", b"PUT"]


async def test_requests_are_those_of_the_reference(web: StartWeb) -> None:
    def answer(request: Request) -> Answer:
        if request.method == "PUT" and "subscriptions" in request.path:
            return Answer(200, examples.SUBSCRIPTION_UPDATED)
        if request.method == "PUT":
            return Answer(200, examples.CONFIG_SAVED)
        return documented(2)(request)

    server = web(answer)
    draft = ConfigDraft.model_validate(examples.CONFIG_DRAFT)
    kept = draft.model_copy(
        update={"broker": draft.broker.model_copy(update={"password": SecretStr("***")})}
    )
    async with remote(f"{server.url}/api/v1/", token=TOKEN) as backend:
        await backend.save_config(2, draft)
        await backend.save_config(2, kept, if_version=7)
        await backend.update_subscription(2, 1, SubscriptionChange(enabled=False))

    first, second, toggle = server.requests
    sent = json.loads(first.body)
    for part, values in examples.CONFIG_DRAFT.items():
        assert {key: sent[part][key] for key in values} == values
    assert "password" not in json.loads(second.body)["broker"], "kept, so not sent"
    assert "if-match" not in first.headers
    assert second.headers["if-match"] == '"7"'
    assert json.loads(toggle.body) == examples.TOGGLE
    assert {request.path for request in server.requests} == {
        "/api/v1/products/2/mqtt-config",
        "/api/v1/products/2/mqtt-config/subscriptions/1",
    }
    for request in server.requests:
        assert request.headers["authorization"] == f"Bearer {TOKEN.get_secret_value()}"
        assert request.headers["content-type"] == "application/json"


async def test_a_proxy_of_the_environment(web: StartWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = web(lambda _: Answer(200, examples.CONNECTED))
    direct = web(lambda _: Answer(200, examples.CONNECTED))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for url in ("http://orchestrator.example:8004", direct.url):
        async with remote(url) as backend:
            assert (await backend.status(2)).connected

    (request,) = proxy.requests
    assert request.path.startswith("http://orchestrator.example:8004/api/v1/products/2/")
    assert len(direct.requests) == 1, "this machine is asked without a proxy"


async def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    error = await failure("http://orchestrator.example:8004")
    assert isinstance(error, Unreachable)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "gopher://x", "http://x:no"])
async def test_a_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(BackendError, match="The proxy that the environment names") as failed:
        await RemoteBackend.open("http://orchestrator.example:8004")
    assert "NO_PROXY" in failed.value.hint


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:8004", "url has no scheme: start it with http:// or https://"),
        ("ftp://localhost", "url has a scheme that is not supported: start it with http://"),
        ("://localhost", "url has no scheme"),
        ("http://", "url has no host: write it like http://localhost:8004"),
        ("http://[::1", "url cannot be read: write it"),
        ("http://x:0", "url has a port that cannot be: it is a number"),
        ("http://xn--a", "url cannot be read: check its host name"),
        ("http://hunter2.\u2603\u0338-.de", "url cannot be read: check its host name"),
        ("HTTP://", "url has no host"),
        ("http://u:hunter2@localhost", "url has a user name or password: give a token"),
    ],
)
async def test_a_url_that_cannot_be_used(url: str, why: str) -> None:
    with pytest.raises(BackendError, match="The URL cannot be used") as failed:
        await RemoteBackend.open(url)
    assert failed.value.hint
    assert failed.value.hint.startswith(why)
    assert "hunter2" not in failed.value.text


@pytest.mark.parametrize("token", ["", "two words", "naïve", "a\nb"])
async def test_a_token_that_cannot_be_sent(token: str) -> None:
    with pytest.raises(BackendError, match="The token cannot be sent"):
        await RemoteBackend.open("http://localhost", token=SecretStr(token))


async def test_no_cookie_is_kept(web: StartWeb) -> None:
    cookie = {"Set-Cookie": "session=1"}
    server = web(lambda request: replace(documented(2)(request), headers=cookie))
    async with remote(server.url) as backend:
        for _ in range(2):
            await backend.status(2)
    assert not any("cookie" in request.headers for request in server.requests)


async def test_asking_after_it_is_closed(web: StartWeb) -> None:
    backend = await RemoteBackend.open(web(documented(2)).url)
    await backend.aclose()
    with pytest.raises(Unreachable):
        await backend.status(2)


async def test_many_at_once_share_the_connections(web: StartWeb) -> None:
    server = web(documented(2))
    async with remote(server.url) as backend:
        read = await asyncio.gather(*(backend.status(2) for _ in range(100)))
    assert len(read) == 100
    assert server.most_at_once <= http.LIMITS.max_connections  # type: ignore[operator]
