"""A real HTTP server whose answers a test decides: an orchestrator that misbehaves, or knows less.

`web` is a fixture: `web(answer)` starts one on a free loopback port, asks `answer` for the answer
to every request, in a thread for each connection, and stops when the test is over.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cortex_tui.server import examples

JSON = "application/json"


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answer:
    """What is answered: `body` as JSON, unless it is bytes already."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Answering = Callable[[Request], Answer]

NOT_FOUND = Answer(404, {"detail": "Not Found"})
NO_PRODUCT = Answer(404, examples.PRODUCT_NOT_FOUND)


class Web:
    """A server that runs: its URL, and what it was asked so far."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.at_once = 0
        """Requests under way."""
        self.most_at_once = 0
        self._lock = threading.Lock()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self) -> None:
                web._handle(self)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_request

            def log_message(self, *_: object) -> None:
                """Nothing: the output of a test run is for its failures."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length", 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, handler.path, headers, handler.rfile.read(length))
        with self._lock:
            self.requests.append(request)
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            answer = self.answer(request)
        finally:
            with self._lock:
                self.at_once -= 1
        handler.send_response(answer.status)
        sent = {"Content-Type": JSON, "Content-Length": str(len(answer.content)), **answer.headers}
        for name, value in sent.items():
            handler.send_header(name, value)
        with suppress(ConnectionError):  # who asked may have lost patience
            handler.end_headers()
            handler.wfile.write(answer.content)

    def asked(self, method: str, path: str) -> int:
        """How often this was asked for; the path may be the end of one."""
        return sum(
            request.method == method and request.path.endswith(path) for request in self.requests
        )

    @contextmanager
    def running(self) -> Iterator["Web"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


StartWeb = Callable[[Answering], Web]


@pytest.fixture
def web() -> Iterator[StartWeb]:
    with ExitStack() as running:

        def start(answer: Answering) -> Web:
            return running.enter_context(Web(answer).running())

        yield start


def documented(*product_ids: int) -> Answering:
    """An orchestrator that has these products and the documented endpoints for reading."""

    def answer(request: Request) -> Answer:
        parts = request.path.removeprefix("/api/v1/products/").split("/")
        if request.method != "GET" or not parts[0].isdigit() or len(parts) < 2:
            return NOT_FOUND
        number = int(parts[0])
        if number not in product_ids:
            return NO_PRODUCT
        match parts[2:]:
            case []:
                return Answer(body=of_product(number, examples.CONFIG_DOCUMENT))
            case ["subscriptions"]:
                return Answer(body=examples.SUBSCRIPTIONS)
            case ["status"]:
                return Answer(body=of_product(number, examples.CONNECTED))
        return NOT_FOUND

    return answer


def of_product(product_id: int, example: dict[str, Any]) -> Any:
    """An example of the reference, told of another product."""
    text = json.dumps(example)
    return json.loads(text.replace('"product_id": 2', f'"product_id": {product_id}'))
