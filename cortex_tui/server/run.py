"""Serve an app with uvicorn, inside the caller's asyncio loop."""

import asyncio
import json
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from cortex_tui.server.security import CannotServe, Misused
from cortex_tui.syntax import is_loopback

MAX_CONNECTIONS = 1_000
BACKLOG = 1_024
HEAD_TIMEOUT = 30.0
"""Seconds from a connection, or the answer before, to the end of the head of a request."""
GRACE = 5
"""Seconds that requests under way have to finish when the server stops."""

logger = logging.getLogger(__name__)

LogFormat = Literal["text", "json"]


class _Listener(socket.socket):
    """Turns connections away before files run out: the database and the brokers need some too, and
    asyncio, where there is none, tries and logs without a pause."""

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # A new file has the lowest number that is free.
        if most != resource.RLIM_INFINITY and connection.fileno() >= most * 3 // 4:
            connection.close()
            raise ConnectionAbortedError
        return connection, address


class _Connection(H11Protocol):
    """Ends where nothing is asked in time: whoever has no token is not waited for."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def on_response_complete(self) -> None:
        self._expect_request()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self.loop.call_later(HEAD_TIMEOUT, self._end_unless_asked, self.cycle)

    def _end_unless_asked(self, last: object) -> None:
        if self.cycle is last:
            self.transport.abort()


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the loop, and ends the endless streams before it waits."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.live.close()
        await super().shutdown(sockets)


@asynccontextmanager
async def serving(
    app: FastAPI,
    *,
    host: str = "127.0.0.1",
    port: int = 8004,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
) -> AsyncIterator[str]:
    """Serve `app` while the context lasts; gives the URL. Port 0 is any free one.

    Raises `CannotServe` where it cannot listen there, or cannot read the certificate.
    """
    config = uvicorn.Config(
        app,
        http=_Connection,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )
    _check_tls(tls_cert, tls_key)
    config.load()
    listener = _listen(host, port)
    server = _Server(config, app)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    ready = asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
            raise CannotServe("The server stopped while it started", "The log says why.")
        name = f"[{host}]" if ":" in host else host
        scheme = "https" if tls_cert else "http"
        yield f"{scheme}://{name}:{listener.getsockname()[1]}"
    finally:
        ready.cancel()
        server.should_exit = True
        await running


def _check_tls(cert: Path | None, key: Path | None) -> None:
    """Raise `Misused` where TLS is wanted and would fail, or would ask at the terminal."""

    def no_password() -> str:
        raise Misused("The TLS key is encrypted", "Give one without a password.")

    if key is not None and cert is None:
        raise Misused("--tls-key is given without --tls-cert", "Give both.")
    if cert is None:
        return
    try:
        for path in (cert, key or cert):
            path.open().close()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise Misused(
                f"--tls-key {key} is not the key of --tls-cert {cert}", "Give the two together."
            ) from error
        files = f"--tls-cert {cert}" + (f" or --tls-key {key}" if key else ", without --tls-key,")
        raise Misused(
            f"{files} is not what it has to be",
            "--tls-cert takes a PEM file with the certificate chain, --tls-key its private key.",
        ) from error
    except OSError as error:
        raise Misused(
            f"{error.filename} cannot be read: {error.strerror}",
            "--tls-cert and --tls-key take the paths of PEM files.",
        ) from error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named.
    listener = _Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotServe(
            f"Cannot listen on {host} port {port}: {error.strerror or error}",
            "Another program may have the port: choose one with --port.",
        ) from error
    return listener


async def serve(
    app: FastAPI,
    *,
    host: str = "127.0.0.1",
    port: int = 8004,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    log_format: LogFormat = "text",
    on_ready: Callable[[str], None],
) -> None:
    """Serve `app` until SIGTERM or SIGINT, then finish what is under way and return.

    Logs to stderr; `on_ready` gets the URL once the server answers.
    """
    log_to_stderr(log_format)
    if tls_cert is None and not is_loopback(host):
        logger.warning(
            "%s is served without TLS: the token and the passwords go over the network in clear "
            "text, unless a proxy in front of it speaks TLS; see --tls-cert",
            host,
        )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        async with serving(app, host=host, port=port, tls_cert=tls_cert, tls_key=tls_key) as url:
            on_ready(url)
            await stop.wait()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


class _JsonLines(logging.Formatter):
    """An object a line; of a request it has method, path, status and milliseconds too."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "request", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(log_format: LogFormat) -> None:
    """Log this program at info and uvicorn at warning, a line a record."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(_JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    for name, level in (("cortex_tui", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
