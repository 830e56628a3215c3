"""What may listen on a port instead of a healthy broker: counterparts for the connection test.

`counterpart` is a fixture: `counterpart(behaviour)` listens on a free loopback port, hands every
connection to the behaviour in a thread of its own, and returns the port. A behaviour is a function
of one connected socket; those below are the ones the tests need. What is real elsewhere
(mosquitto, amqtt) is in `tests.brokers`.
"""

import http.server
import logging
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType

import pytest
import websockets.sync.server
from websockets.sync.server import ServerConnection
from websockets.typing import Subprotocol

from tests.certificates import Identity

Behaviour = Callable[[socket.socket], None]
StartCounterpart = Callable[..., int]

LOOPBACK = "127.0.0.1"


class Counterpart:
    """Listens until its `with` is left, and then ends every connection it has."""

    def __init__(self, behaviour: Behaviour, host: str = LOOPBACK) -> None:
        self._behaviour = behaviour
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> "Counterpart":
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for opened in (self._listener, *self._connections):
            opened.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            self._behaviour(connection)


@pytest.fixture
def counterpart() -> Iterator[StartCounterpart]:
    with ExitStack() as running:

        def start(behaviour: Behaviour, host: str = LOOPBACK) -> int:
            return running.enter_context(Counterpart(behaviour, host)).port

        yield start


@pytest.fixture
def unused() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


# -- behaviours without MQTT ------------------------------------------------------------------


def silent(connection: socket.socket) -> None:
    """Takes everything and says nothing."""
    while connection.recv(4_096):
        pass


def closes_at_once(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def closes_after_hearing(connection: socket.socket) -> None:
    connection.recv(4_096)
    connection.shutdown(socket.SHUT_RDWR)


def resets(connection: socket.socket) -> None:
    """Hears something and answers with RST."""
    connection.recv(4_096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def says(data: bytes) -> Behaviour:
    """Greets with `data`, and then takes everything in silence."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(data)
        silent(connection)

    return behave


def answers(data: bytes) -> Behaviour:
    """Answers whatever it hears first with `data`."""

    def behave(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(data)
        silent(connection)

    return behave


def within_tls(identity: Identity, behaviour: Behaviour) -> Behaviour:
    """`behaviour` behind a TLS handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    return _secured(context, behaviour)


def only_tls_1_0(identity: Identity) -> Behaviour:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):  # old versions are the point here
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    return _secured(context, silent)


def only_alerts_in_tls(connection: socket.socket) -> None:
    """Closes at a handshake, and answers anything else with an alert of TLS."""
    if connection.recv(4_096)[:1] == b"\x16":
        connection.shutdown(socket.SHUT_RDWR)
    else:
        connection.sendall(bytes.fromhex("15030100020246"))
        silent(connection)


def only_cipher(identity: Identity, cipher: str) -> Behaviour:
    """Speaks TLS 1.2 with one cipher."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(identity.cert, identity.key)
    context.set_ciphers(cipher)
    return _secured(context, silent)


def drips(connection: socket.socket) -> None:
    """Begins an answer, and never ends it: a byte now and then."""
    connection.sendall(b"\x20\x7f")
    while True:
        connection.sendall(b"\x00")
        threading.Event().wait(0.2)


def _secured(context: ssl.SSLContext, behaviour: Behaviour) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection.dup(), server_side=True) as secured:
            behaviour(secured)

    return behave


def http_server(status: int, headers: Mapping[str, str] | None = None) -> Behaviour:
    """A real HTTP server that answers every GET with `status`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the output of a test run is for its failures."""

    def behave(connection: socket.socket) -> None:
        Handler(connection, (LOOPBACK, 0), None)  # type: ignore[arg-type]

    return behave


# -- brokers that follow a script -------------------------------------------------------------

CONNACK_V3 = b"\x20\x02\x00"
"""A CONNACK of MQTT 3.1.1, up to its return code."""


def connack(reason: int, properties: bytes = b"") -> bytes:
    """A CONNACK of MQTT 5."""
    rest = bytes([0, reason, len(properties)]) + properties
    return bytes([0x20, len(rest)]) + rest


def text_property(identifier: int, text: str) -> bytes:
    return bytes([identifier]) + struct.pack("!H", len(text.encode())) + text.encode()


def scripted(*replies: bytes) -> Behaviour:
    """Answers each packet it hears with the next reply, and is silent after the last."""

    def behave(connection: socket.socket) -> None:
        for reply in replies:
            if not connection.recv(4_096):
                return
            connection.sendall(reply)
        silent(connection)

    return behave


def only_version(level: int, accepts: bytes, refuses: bytes) -> Behaviour:
    """Answers a CONNECT of that protocol level with `accepts`; any other with `refuses`, or with
    the end of the connection where that is empty."""

    def behave(connection: socket.socket) -> None:
        packet = connection.recv(4_096)
        spoken = packet[packet.index(b"MQTT") + 4] if b"MQTT" in packet else None
        if reply := accepts if spoken == level else refuses:
            connection.sendall(reply)
            silent(connection)
        else:
            connection.shutdown(socket.SHUT_RDWR)

    return behave


def slowly(delay: float, behaviour: Behaviour) -> Behaviour:
    """`behaviour`, after `delay` seconds of silence."""

    def behave(connection: socket.socket) -> None:
        threading.Event().wait(delay)
        behaviour(connection)

    return behave


@contextmanager
def websocket_listener() -> Iterator[int]:
    """A real WebSocket server that offers MQTT, as far as the handshake goes; its port."""
    quiet = logging.getLogger("tests.websocket")
    quiet.disabled = True  # it reports clients that are none of its kind, which is the point here
    with websockets.sync.server.serve(
        _until_closed,
        LOOPBACK,
        0,
        subprotocols=[Subprotocol("mqtt")],
        logger=quiet,
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


def _until_closed(connection: ServerConnection) -> None:
    for _ in connection:
        pass


class Crowded:
    """A port whose queue of connections is full: the system drops every further attempt, as a
    firewall does."""

    def __enter__(self) -> int:
        self._opened = [socket.socket()]
        listener = self._opened[0]
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        while True:
            attempt = socket.socket()
            attempt.settimeout(0.2)
            self._opened.append(attempt)
            try:
                attempt.connect((LOOPBACK, port))
            except TimeoutError:
                return port

    def __exit__(self, *_: object) -> None:
        for opened in self._opened:
            opened.close()
