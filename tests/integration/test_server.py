"""The server over real HTTP: failures on the wire, who may ask, and what an operator sees."""

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from cortex_tui.backend import BackendError, Capability, Unreachable, Unsupported
from cortex_tui.demo.broker import Broker
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import (
    ConfigDraft,
    ConnectionTest,
    Model,
    ProductChange,
    ProductDraft,
    SubscriptionChange,
    SubscriptionDraft,
)
from cortex_tui.server import (
    CannotServe,
    check_binding,
    create_app,
    examples,
    hosts_of,
    limits,
    live,
    run,
    serving,
)
from tests.certificates import Authority, Identity
from tests.orchestrators import draft
from tests.rejections import BROKER, REJECTIONS, location
from tests.waiting import until

API = "/api/v1"
CONFIG = f"{API}/products/1/mqtt-config"
TOKEN = SecretStr("a-long-random-text")
JSON = {"Content-Type": "application/json"}
PATHS: dict[type[Model], tuple[str, str]] = {
    ConfigDraft: ("PUT", CONFIG),
    ConnectionTest: ("POST", f"{CONFIG}/test"),
    SubscriptionChange: ("PUT", f"{CONFIG}/subscriptions/1"),
    SubscriptionDraft: ("POST", f"{CONFIG}/subscriptions"),
    ProductDraft: ("POST", f"{API}/products"),
    ProductChange: ("PATCH", f"{API}/products/1"),
}


@dataclass
class Served:
    """A server with one product that has one subscription, and a client of it."""

    url: str
    inside: LocalBackend
    client: httpx.AsyncClient


async def prepared(local: LocalBackend) -> LocalBackend:
    product = await local.create_product(ProductDraft(name="Tyres"))
    await local.create_subscription(product.id, SubscriptionDraft(name="paid"))
    return local


@pytest.fixture
async def served(local: LocalBackend) -> AsyncIterator[Served]:
    app = create_app(await prepared(local))
    async with serving(app, port=0) as url, httpx.AsyncClient(base_url=url) as client:
        yield Served(url, local, client)


# -- failures on the wire ---------------------------------------------------------------------


async def test_every_constraint_is_rejected_in_the_words_of_the_reference(served: Served) -> None:
    for kind, body, where, message, word in REJECTIONS:
        method, path = PATHS[kind]
        if "Infinity" in json.dumps(body):
            continue  # no JSON: see below
        response = await served.client.request(method, path, json=body)
        rejection = {"loc": location(where), "msg": message, "type": word}
        assert (response.status_code, response.json()) == (422, {"detail": [rejection]})


@pytest.mark.parametrize(
    "body", [b"{", b'{"broker": NaN}', b'"\\ud800"', b"[" * 5_000, b"\xff"], ids=range(5)
)
async def test_what_is_no_json_is_rejected(served: Served, body: bytes) -> None:
    response = await served.client.put(CONFIG, content=body, headers=JSON)

    assert response.status_code == 422
    (rejection,) = response.json()["detail"]
    assert set(rejection) == {"loc", "msg", "type"}
    assert rejection["msg"] == "the body is not valid JSON"
    assert rejection["type"] == "value_error.jsondecode"


async def test_a_missing_body_is_a_missing_field(served: Served) -> None:
    response = await served.client.put(CONFIG)

    missing = {"loc": ["body"], "msg": "field required", "type": "value_error.missing"}
    assert (response.status_code, response.json()) == (422, {"detail": [missing]})


async def test_a_body_that_is_not_called_json(served: Served) -> None:
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
        response = await served.client.put(CONFIG, content=b'{"broker": {}}', headers=headers)

        assert response.status_code == 422
        (rejection,) = response.json()["detail"]
        assert "say Content-Type: application/json" in rejection["msg"]


@pytest.mark.parametrize(
    ("product_id", "status", "detail"),
    [
        ("0", 404, "Product not found"),
        ("-1", 404, "Product not found"),
        (str(2**63 - 1), 404, "Product not found"),
        (str(-(2**63)), 422, "ensure this value is greater than or equal to -9223372036854775807"),
        (str(2**63), 422, "ensure this value is less than or equal to 9223372036854775807"),
        ("9" * 5_000, 422, "value is not a valid integer"),
        ("tyres", 422, "value is not a valid integer"),
        ("1.5", 422, "value is not a valid integer"),
    ],
)
async def test_ids_of_products(served: Served, product_id: str, status: int, detail: str) -> None:
    response = await served.client.get(f"{API}/products/{product_id}/mqtt-config")

    assert response.status_code == status
    said = response.json()["detail"]
    assert (said if status == 404 else said[0]["msg"]) == detail
    if status == 422:
        assert said[0]["loc"] == ["path", "product_id"]


@pytest.mark.parametrize(
    "query", ["events?before=-1", f"events?after={2**63}", f"actions?subscription_id=-{10**20}"]
)
async def test_ids_in_a_query_that_no_database_could_hold(served: Served, query: str) -> None:
    response = await served.client.get(f"{API}/products/1/{query}")

    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "query"


async def test_a_rule_of_the_store_is_rejected_in_the_body(served: Served) -> None:
    change = {"topic": "a/b", "application_id": "ABC123"}

    response = await served.client.put(f"{CONFIG}/subscriptions/1", json=change)

    assert response.status_code == 422
    (rejection,) = response.json()["detail"]
    assert set(rejection) == {"loc", "msg", "type"}
    assert rejection["loc"][0] == "body"


async def test_paths_and_methods_that_do_not_exist(served: Served) -> None:
    nowhere = await served.client.get(f"{API}/nowhere")
    method = await served.client.delete(CONFIG)
    slash = await served.client.get(f"{CONFIG}/")

    assert (nowhere.status_code, nowhere.json()) == (404, {"detail": "Not Found"})
    assert (method.status_code, method.json()) == (405, {"detail": "Method Not Allowed"})
    assert slash.status_code == 404


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", CONFIG, {"broker": {**BROKER, "password": [SECRET]}, "topics": {}}),
        ("PUT", CONFIG, {"broker": {**BROKER, "password": SECRET}, "topics": {}}),
        ("PUT", CONFIG, {"broker": {**BROKER, "password": SECRET + "\x00"}, "topics": {}}),
        ("PUT", CONFIG, {"broker": {**BROKER, "host": f"mqtt://u:{SECRET}@h"}, "topics": {}}),
        ("PUT", CONFIG, {"broker": {**BROKER, "port": SECRET}, "topics": SECRET}),
        ("PUT", CONFIG, SECRET),
        ("PUT", CONFIG, {SECRET: SECRET}),
        ("POST", f"{CONFIG}/test", {**BROKER, "password": {"is": SECRET}, "username": "a"}),
        ("POST", f"{CONFIG}/test", {**BROKER, "username": SECRET + "\x00"}),
        ("PUT", f"{CONFIG}/subscriptions/1", {"actions": [{"type": [SECRET]}]}),
        ("PUT", f"{CONFIG}/subscriptions/1", {"topic": f"a/#/{SECRET}"}),
        ("POST", f"{API}/products", {"name": {"x": SECRET}}),
        ("GET", f"{API}/products/{SECRET}/mqtt-config", None),
        ("GET", f"{API}/{SECRET}", None),
        ("PUT", f"{CONFIG}?password={SECRET}", None),
    ],
)
async def test_no_refusal_echoes_its_input(
    served: Served, caplog: pytest.LogCaptureFixture, method: str, path: str, body: Any
) -> None:
    caplog.set_level(logging.DEBUG, "cortex_tui")

    response = await served.client.request(method, path, json=body)

    assert 400 <= response.status_code < 500
    assert SECRET not in response.text
    if SECRET not in path.partition("?")[0]:
        assert SECRET not in caplog.text


async def test_what_nobody_foresaw_is_in_the_log_only(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the cause")

    for name in ("save_config", "products"):
        monkeypatch.setattr(served.inside, name, broken)

    config = {"broker": {**BROKER, "username": "u", "password": SECRET}, "topics": {}}
    saved = await served.client.put(CONFIG, json=config)
    listed = await served.client.get(f"{API}/products")

    for response in (saved, listed):
        assert (response.status_code, response.json()) == (500, examples.INTERNAL_ERROR)
    assert "the cause" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unreachable("It is away", "Wait."), 503),
        (Unsupported("It cannot", "Do without."), 501),
        (BackendError("It is odd"), 500),
    ],
)
async def test_failures_of_the_backend_have_their_status(
    served: Served, monkeypatch: pytest.MonkeyPatch, error: BackendError, status: int
) -> None:
    async def failing(_: int) -> None:
        raise error

    monkeypatch.setattr(served.inside, "status", failing)

    response = await served.client.get(f"{CONFIG}/status")

    assert response.status_code == status
    if status == 500:
        assert response.json() == examples.INTERNAL_ERROR
    else:
        assert response.json() == {"detail": error.message, "hint": error.hint}


async def test_what_is_not_configured_or_disabled_cannot_be_reconnected(
    served: Served, broker: Broker
) -> None:
    not_configured = await served.client.post(f"{CONFIG}/reconnect")
    await served.inside.save_config(1, draft(broker))
    await served.inside.update_product(1, ProductChange(enabled=False))
    disabled = await served.client.post(f"{CONFIG}/reconnect")

    assert (not_configured.status_code, disabled.status_code) == (409, 409)
    assert not_configured.json()["detail"] == "MQTT not configured for this product"
    assert disabled.json() == {
        "detail": "The product is disabled",
        "hint": "Enable the product first.",
    }


# -- optimistic concurrency -------------------------------------------------------------------


async def test_a_configuration_has_a_tag_that_an_update_may_name(
    served: Served, broker: Broker
) -> None:
    def body(keep_alive: int) -> dict[str, Any]:
        return draft(broker, keep_alive=keep_alive).model_dump(mode="json")

    async def put(keep_alive: int, **headers: str) -> httpx.Response:
        return await served.client.put(CONFIG, json=body(keep_alive), headers=headers)

    assert "etag" not in (await served.client.get(CONFIG)).headers
    assert (await put(10, **{"If-Match": "*"})).status_code == 412
    first = await put(10)
    read = await served.client.get(CONFIG)
    assert first.headers["etag"] == read.headers["etag"]

    second = await put(20, **{"If-Match": first.headers["etag"]})
    stale = await put(30, **{"If-Match": first.headers["etag"]})
    one_of = await put(40, **{"If-Match": f'"x", {second.headers["etag"]}'})
    whichever = await put(50, **{"If-Match": "*"})
    without = await put(60)

    assert [each.status_code for each in (second, stale, one_of, whichever, without)] == [
        200, 412, 200, 200, 200,
    ]  # fmt: skip
    assert set(stale.json()) == {"detail", "hint"}
    assert len({each.headers["etag"] for each in (first, second, one_of, whichever, without)}) == 5


async def test_only_what_is_documented(local: LocalBackend, broker: Broker) -> None:
    await prepared(local)
    await local.save_config(1, draft(broker))
    app = create_app(local, extensions=False)
    async with serving(app, port=0) as url, httpx.AsyncClient(base_url=url) as client:
        config = await client.get(CONFIG)
        assert "etag" not in config.headers
        assert list(config.json()["mqtt_config"]) == list(examples.CONFIG_DOCUMENT["mqtt_config"])
        body = draft(broker, keep_alive=20).model_dump(mode="json")
        ignored = await client.put(CONFIG, json=body, headers={"If-Match": '"x"'})
        assert ignored.status_code == 200
        for method, path in (
            ("GET", "/products"),
            ("POST", "/products"),
            ("GET", "/capabilities"),
            ("GET", "/products/status/stream"),
            ("DELETE", "/products/1"),
        ):
            assert (await client.request(method, API + path)).status_code in (404, 405, 422)
        renamed = await client.put(f"{CONFIG}/subscriptions/1", json={"name": "other"})
        assert renamed.json()["subscription"]["name"] == "paid"
        paths = (await client.get("/openapi.json")).json()["paths"]
        assert sum(len(each) for each in paths.values()) == 7


# -- who may ----------------------------------------------------------------------------------


def test_without_a_token_only_this_machine_is_served() -> None:
    for host in ("0.0.0.0", "::", "192.168.7.7", "cortex.example"):
        with pytest.raises(CannotServe) as refused:
            check_binding(host, None)
        assert "CORTEX_TOKEN" in refused.value.hint
        check_binding(host, TOKEN)
    for host in ("127.0.0.1", "::1", "localhost", "127.8.9.1"):
        check_binding(host, None)


async def test_a_token_is_wanted_for_everything_but_health(local: LocalBackend) -> None:
    app = create_app(await prepared(local), token=TOKEN, allowed_hosts=None)
    async with serving(app, port=0) as url, httpx.AsyncClient(base_url=url) as client:

        async def status(path: str, authorization: str | None = None) -> int:
            headers = {} if authorization is None else {"Authorization": authorization}
            return (await client.get(path, headers=headers)).status_code

        refused = await client.get(CONFIG)
        assert (refused.status_code, refused.json()) == (401, {"detail": "Not authenticated"})
        assert refused.headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer", "Bearer x", "Basic YTpi", TOKEN.get_secret_value()):
            assert await status(CONFIG, wrong) == 401
        for path in (f"{API}/nowhere", "/openapi.json", "/metrics", f"{API}/products"):
            assert await status(path) == 401
        for path in (CONFIG, "/openapi.json", "/metrics"):
            assert await status(path, f"bearer {TOKEN.get_secret_value()}") == 200
        assert await status("/healthz") == 200
        await until(lambda: _is(client, "/readyz", 200))


async def _is(client: httpx.AsyncClient, path: str, status: int) -> bool:
    return (await client.get(path)).status_code == status


def test_an_empty_token_is_refused(local: LocalBackend) -> None:
    with pytest.raises(CannotServe, match="token is empty"):
        create_app(local, token=SecretStr(" "))


@pytest.mark.parametrize("token", ["two\nlines", "\udcff"])
def test_a_token_that_no_header_can_bring_is_refused(local: LocalBackend, token: str) -> None:
    with pytest.raises(CannotServe, match="not one line of text"):
        create_app(local, token=SecretStr(token))


async def test_a_page_of_another_site_cannot_ask(served: Served) -> None:
    async def status(**headers: str) -> int:
        return (await served.client.get(CONFIG, headers=headers)).status_code

    port = served.url.rsplit(":", 1)[1]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "", "[", "@"):
        assert await status(Host=host) == 421
    for host in (f"localhost:{port}", f"LOCALHOST:{port}", "127.0.0.1", f"[::1]:{port}"):
        assert await status(Host=host) == 200
    for origin in ("https://evil.example", "null", "http://[", "file://"):
        assert await status(Origin=origin) == 403
    assert await status(Origin=f"http://localhost:{port}") == 200


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "localhost"])
async def test_it_answers_under_the_address_it_listens_on(local: LocalBackend, host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    app = create_app(await prepared(local), allowed_hosts=hosts_of(host, None))
    async with serving(app, host=host, port=0) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get(CONFIG)).status_code == 200


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


# -- limits -----------------------------------------------------------------------------------


async def test_a_body_has_a_limit(served: Served) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 500_000

    largest = b" " * (limits.BODY_LIMIT - 2) + b"{}"
    assert (await served.client.put(CONFIG, content=largest)).status_code == 422
    announced = await served.client.put(CONFIG, content=b" " + largest)
    in_pieces = await served.client.put(CONFIG, content=pieces())

    for response in (announced, in_pieces):
        assert (response.status_code, response.json()) == (
            413,
            {"detail": "The body is over 1 MiB"},
        )
    assert (await served.client.get(CONFIG)).status_code == 200


async def test_a_body_that_never_comes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_TIMEOUT", 0.1)
    host, port = served.url.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"PUT {CONFIG} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{".encode()
    )

    answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"The body did not arrive in time" in answer
    writer.close()


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET /healthz HTTP/1.1\r\nX: ", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nG"],
)
async def test_a_request_that_never_comes(
    served: Served, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    async with served.client.stream("GET", f"{API}/products/status/stream") as response:
        states = (line async for line in response.aiter_lines() if line.startswith("data: "))
        await anext(states)
        monkeypatch.setattr(run, "HEAD_TIMEOUT", 0.1)
        host, port = served.url.removeprefix("http://").rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(begun)
        with suppress(ConnectionResetError):
            await reader.read()
        writer.close()

        await served.inside.create_product(ProductDraft(name="Wheels"))
        assert await anext(line async for line in states if "Wheels" in line)


# -- TLS --------------------------------------------------------------------------------------


async def test_tls(local: LocalBackend, authority: Authority) -> None:
    identity = authority.server("orchestrator")
    app = create_app(await prepared(local))
    context = ssl.create_default_context(cafile=authority.cert)
    async with (
        serving(app, port=0, tls_cert=identity.cert, tls_key=identity.key) as url,
        httpx.AsyncClient(base_url=url, verify=context) as client,
    ):
        assert url.startswith("https://")
        assert (await client.get(CONFIG)).status_code == 200


@pytest.mark.parametrize(
    ("cert", "key", "says"),
    [
        (None, "key", "--tls-key is given without --tls-cert"),
        ("missing", "key", "missing cannot be read: No such file"),
        ("cert", "missing", "missing cannot be read: No such file"),
        ("key", "key", "is not what it has to be"),
        ("cert", "other", "is not the key of --tls-cert"),
        ("cert", None, "without --tls-key, is not what it has to be"),
        ("cert", "encrypted", "The TLS key is encrypted"),
    ],
)
async def test_tls_that_cannot_work_is_refused(
    local: LocalBackend,
    authority: Authority,
    tmp_path: Path,
    cert: str | None,
    key: str | None,
    says: str,
) -> None:
    identity = authority.server("orchestrator")
    paths = {
        "cert": identity.cert,
        "key": identity.key,
        "missing": tmp_path / "missing",
        "other": authority.server("other").key,
        "encrypted": _encrypted(identity, tmp_path),
    }
    with pytest.raises(CannotServe, match=says) as refused:
        async with serving(
            create_app(local), port=0,
            tls_cert=cert and paths[cert], tls_key=key and paths[key],  # type: ignore[arg-type]
        ):  # fmt: skip
            pass
    assert refused.value.hint


def _encrypted(identity: Identity, folder: Path) -> Path:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(identity.key.read_bytes(), None)
    path = folder / "encrypted.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return path


async def test_a_port_that_is_taken(served: Served) -> None:
    port = int(served.url.rsplit(":", 1)[1])
    with pytest.raises(CannotServe, match=f"Cannot listen on 127.0.0.1 port {port}") as refused:
        async with serving(create_app(served.inside), port=port):
            pass
    assert "--port" in refused.value.hint


# -- the stream -------------------------------------------------------------------------------


async def test_the_stream_tells_all_and_then_what_changed(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.05)
    async with served.client.stream("GET", f"{API}/products/status/stream") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        lines = response.aiter_lines()

        async def data(number: str) -> Any:
            """The next states of which one is that of product `number`; those of the first beat of
            the server's own watch may come once more at any time."""
            async for line in lines:
                if line.startswith("data: "):
                    states = json.loads(line.removeprefix("data: "))["states"]
                    if number in states and states != first:
                        return states
            raise AssertionError("the stream ended")

        first: Any = None
        first = await data("1")
        assert {number: state["product"]["name"] for number, state in first.items()} == {
            "1": "Tyres"
        }
        assert first["1"]["subscriptions_total"] == 1
        async for line in lines:
            if line == ": alive":
                break
        await served.inside.create_product(ProductDraft(name="Wheels"))
        assert (await data("2"))["2"]["product"]["name"] == "Wheels"
        await served.inside.delete_product(1)
        assert await data("1") == {"1": None}


async def test_streams_end_when_the_server_stops(local: LocalBackend) -> None:
    await prepared(local)
    async with httpx.AsyncClient() as client:
        async with serving(create_app(local), port=0) as url:
            request = client.build_request("GET", f"{url}{API}/products/status/stream")
            response = await client.send(request, stream=True)
            lines = response.aiter_lines()
            assert (await anext(lines)).startswith("data: ")
        # It ends; at most the first beat of the server's own watch came before that.
        assert all([line.startswith("data: ") async for line in lines if line])


# -- what an operator sees --------------------------------------------------------------------


async def test_health(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = await served.client.get("/healthz")
    assert (healthy.status_code, healthy.json()) == (200, {"status": "ok"})
    await until(lambda: _is(served.client, "/readyz", 200))

    monkeypatch.setattr(served.inside, "problem", Unreachable("It is away"))

    assert await _is(served.client, "/readyz", 503)
    assert await _is(served.client, "/healthz", 200)


async def test_metrics(served: Served) -> None:
    await until(lambda: _is(served.client, "/readyz", 200))
    await served.client.get(f"{API}/products/99/mqtt-config/status")
    await served.client.get(f"{API}/nowhere/at/all")

    lines = (await served.client.get("/metrics")).text.splitlines()

    route = f"{API}/products/{{product_id}}/mqtt-config/status"
    counted = 'cortex_http_request_seconds_count{{method="GET",route="{}",status="404"}} 1.0'
    assert counted.format(route) in lines
    assert counted.format("none") in lines, "a path that does not exist makes no metric of its own"
    assert 'cortex_products{state="not configured"} 1.0' in lines
    assert 'cortex_products{state="connected"} 0.0' in lines
    assert "cortex_streams 0.0" in lines


async def test_every_request_is_a_line_of_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cortex_tui.server.access")

    await served.client.get(f"{CONFIG}/status?token=s3cret", headers={"X-Secret": "s3cret"})
    await served.client.request("GET", f"{API}/a%0Ab")

    first, second = [record for record in caplog.records if ".access" in record.name]
    assert first.getMessage().startswith(f"127.0.0.1 GET {CONFIG}/status 200 ")
    assert f"{API}/a%0Ab 404" in second.getMessage()
    assert "s3cret" not in caplog.text


async def test_the_log_file_of_the_application_has_changes_and_failures_alone(
    served: Served, log_file: Path
) -> None:
    await served.client.get(f"{CONFIG}/status")
    await served.client.get(f"{API}/nowhere")
    await served.client.post(f"{API}/products", json={"name": "Logged"})

    failed, changed = (await asyncio.to_thread(log_file.read_text)).splitlines()
    assert f"GET {API}/nowhere 404 " in failed
    assert f"POST {API}/products 201 " in changed


async def test_the_openapi_document_has_the_examples_of_the_reference(served: Served) -> None:
    document = (await served.client.get("/openapi.json")).json()

    text = json.dumps(document)
    for name, example in vars(examples).items():
        if name.isupper():
            assert json.dumps(example) in text, name
    product = f"{API}/products/{{product_id}}"
    for path, methods in {
        f"{product}/mqtt-config": {"get", "put"},
        f"{product}/mqtt-config/test": {"post"},
        f"{product}/mqtt-config/subscriptions": {"get", "post"},
        f"{product}/mqtt-config/subscriptions/{{subscription_id}}": {"put", "delete"},
        f"{product}/mqtt-config/reconnect": {"post"},
        f"{product}/mqtt-config/status": {"get"},
        product: {"patch", "delete"},
        f"{API}/products": {"get", "post"},
        f"{API}/products/status/stream": {"get"},
        f"{API}/capabilities": {"get"},
    }.items():
        assert methods <= set(document["paths"][path])


async def test_capabilities(served: Served) -> None:
    answer = (await served.client.get(f"{API}/capabilities")).json()

    assert answer == {"capabilities": sorted(each.name.lower() for each in Capability)}
