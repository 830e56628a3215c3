"""Requests made up from the OpenAPI document: no 5xx, no undocumented answer, no hang."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import negative_data_rejection, positive_data_acceptance

from cortex_tui.backend import Backend
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft, SubscriptionDraft
from cortex_tui.server import create_app, serving

EXAMPLES = 25
HANG = 20.0
"""Seconds; a connection test, which is the slowest, ends within ten."""
ENDLESS = "GET /api/v1/products/status/stream"
THERE = {"product_id": 1, "subscription_id": 1}

Schema = schemathesis.BaseSchema


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Schema]:
    """The document as a server gives it, whose loop runs in a thread of its own."""
    path = tmp_path_factory.mktemp("openapi") / "cortex.db"
    ready, urls = threading.Event(), list[str]()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        backend = await LocalBackend.open(path, durability="normal")
        product = await backend.create_product(ProductDraft(name="Tyres"))
        await backend.create_subscription(product.id, SubscriptionDraft(name="paid"))
        async with serving(create_app(backend), port=0) as url:
            urls.append(url)
            ready.set()
            await stop.wait()
        await backend.aclose()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(HANG)
        yield schemathesis.openapi.from_url(f"{urls[0]}/openapi.json")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture
def nothing_beyond(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """No host that is made up is ever asked for, nor another server of this machine."""
    real = socket.getaddrinfo
    ours = int(schema.get_base_url().split(":")[2].split("/")[0])

    def getaddrinfo(host: Any, port: Any, *rest: Any, **named: Any) -> list[Any]:
        if (host, port) == ("127.0.0.1", ours):
            return real(host, port, *rest, **named)
        raise socket.gaierror(socket.EAI_NONAME, "made up")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def operations() -> Iterator[tuple[str, bool]]:
    """Every operation that ends by itself, with valid requests and, where there is something that
    could be invalid, with others."""
    for path, methods in create_app(cast("Backend", None)).openapi()["paths"].items():
        for method, operation in methods.items():
            if (label := f"{method.upper()} {path}") != ENDLESS:
                yield label, True
                if "requestBody" in operation or "{" in path:
                    yield label, False


@pytest.mark.parametrize(("label", "valid"), operations())
@pytest.mark.usefixtures("nothing_beyond")
def test_whatever_is_sent_the_answer_is_documented(schema: Schema, label: str, valid: bool) -> None:
    operation = schema.find_operation_by_label(label)
    assert operation is not None
    mode = schemathesis.GenerationMode.POSITIVE if valid else schemathesis.GenerationMode.NEGATIVE
    cases = operation.as_strategy(generation_mode=mode)
    if valid and "{" in label:
        cases |= operation.as_strategy(generation_mode=mode, path_parameters=THERE)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def answered(case: schemathesis.Case[Any]) -> None:
        response = case.call(timeout=HANG)
        # Our rules go beyond what a schema can say, and a limit of size comes before any of them.
        beyond = [positive_data_acceptance]
        if response.status_code == 413:
            beyond.append(negative_data_rejection)
        case.validate_response(response, excluded_checks=beyond)

    answered()
