"""What an operator sees of the server: a log line a request, metrics, and health.

No query string, header or body is logged; the path is logged as it came, percent-encoded.
"""

import logging
import time
from collections.abc import Iterator
from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cortex_tui.backend import Backend
from cortex_tui.events import JobState
from cortex_tui.server import examples
from cortex_tui.server.live import Live
from cortex_tui.states import ConnectionState

logger = logging.getLogger("cortex_tui.server.access")
reads = logger.getChild("reads")
"""Those that changed nothing and went well: who attaches asks again and again."""

BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)

_METHODS = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class ProductMetrics(Collector):
    """The products, read from the live states when somebody asks."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def collect(self) -> Iterator[Metric]:
        states = self._live.states
        count = GaugeMetricFamily("cortex_products", "Products by state.", labels=["state"])
        for word in ConnectionState:
            count.add_metric([word], sum(state.state == word for state in states.values()))
        received = CounterMetricFamily(
            "cortex_messages_received", "Messages received.", labels=["product"]
        )
        unreadable = CounterMetricFamily(
            "cortex_messages_unreadable", "Of those, the ones that are no JSON.", labels=["product"]
        )
        dropped = CounterMetricFamily(
            "cortex_messages_dropped",
            "Messages of QoS 0 that came while too many actions waited.",
            labels=["product"],
        )
        actions = GaugeMetricFamily(
            "cortex_actions", "Actions that wait or are dead.", labels=["product", "state"]
        )
        filters = GaugeMetricFamily(
            "cortex_subscribed_topics", "Topic filters granted by the broker.", labels=["product"]
        )
        for product_id, state in states.items():
            product = str(product_id)
            actions.add_metric([product, JobState.PENDING], state.actions_pending)
            actions.add_metric([product, JobState.DEAD], state.actions_dead)
            if state.status is not None:
                received.add_metric([product], state.status.messages_received)
                unreadable.add_metric([product], state.status.messages_unreadable)
                dropped.add_metric([product], state.status.messages_dropped)
                filters.add_metric([product], state.status.subscribed_topics_count)
        streams = GaugeMetricFamily("cortex_streams", "Clients reading the status stream.")
        streams.add_metric([], self._live.readers)
        yield from (count, received, unreadable, dropped, actions, filters, streams)


class Observe:
    """ASGI middleware: logs and measures each request, and answers 500 where one fails."""

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry) -> None:
        self._app = app
        self._seconds = Histogram(
            "cortex_http_request_seconds",
            "Time to answer, in seconds.",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            logger.exception("%s %s failed", scope["method"], _path(scope))
            if status:
                raise  # half an answer is out already: the connection has to break
            answer = JSONResponse(examples.INTERNAL_ERROR, HTTPStatus.INTERNAL_SERVER_ERROR)
            await answer(scope, receive, sending)
        finally:
            self._note(scope, status, time.perf_counter() - begun)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "none")
        self._seconds.labels(method, route, status).observe(seconds)
        seen = {
            "client": scope["client"][0] if scope.get("client") else "-",
            "method": method,
            "path": _path(scope),
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        quiet = method in ("GET", "HEAD") and status < HTTPStatus.BAD_REQUEST
        (reads if quiet else logger).info(
            "%(client)s %(method)s %(path)s %(status)d %(ms).1f ms", seen, extra={"request": seen}
        )


def _path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("ascii", "backslashreplace")


def health_routes(backend: Backend, live: Live, registry: CollectorRegistry) -> APIRouter:
    """Whether the server lives, whether it can answer, and its metrics."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @router.get("/readyz")
    async def readyz() -> Response:
        if live.started and backend.problem is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "not ready"}, HTTPStatus.SERVICE_UNAVAILABLE)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
