"""Where the web hooks of the demo go: a claims desk on a port of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from threading import Thread

REFUSED_AT_FIRST = 3
"""Claims that it refuses the first time, so that there are dead letters to see; a retry helps."""

_POLL = 0.05
"""Seconds within which it notices that it is to end."""


@contextmanager
def claims_desk() -> Iterator[str]:
    """While the `with` lasts, it takes claims at the URL that is given."""
    with _Desk() as desk:
        Thread(
            target=desk.serve_forever, args=(_POLL,), name="cortex-claims-desk", daemon=True
        ).start()
        try:
            yield f"http://127.0.0.1:{desk.server_address[1]}/claims"
        finally:
            desk.shutdown()


class _Desk(TCPServer):  # an HTTPServer would ask a name service what this machine is called
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.refused: set[str] = set()

    def takes(self, key: str) -> bool:
        if key in self.refused or len(self.refused) == REFUSED_AT_FIRST:
            return True
        self.refused.add(key)
        return False

    def handle_error(self, *_: object) -> None:
        """The terminal belongs to the screens."""


class _Request(BaseHTTPRequestHandler):
    server: _Desk
    timeout = 5

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        taken = self.server.takes(self.headers["Idempotency-Key"])
        self.send_response(HTTPStatus.NO_CONTENT if taken else HTTPStatus.CONFLICT)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The terminal belongs to the screens."""
