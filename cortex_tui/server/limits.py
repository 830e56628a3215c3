"""A body is at most so large, and takes at most so long to arrive."""

import asyncio

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT = 1024 * 1024
DRAIN_LIMIT = 16 * BODY_LIMIT
"""So much of a body that is too large is read and thrown away: a connection that is closed on a
sender loses the answer on its way."""
BODY_TIMEOUT = 30.0
"""Seconds."""


class _TooLarge(Exception):
    pass


class BodyLimit:
    """ASGI middleware: reads a body to its end before anything else looks at it.

    It counts what arrives, so that a body without a Content-Length is bounded too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if not ("content-length" in headers or "transfer-encoding" in headers):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                whole = await _read(receive)
        except _TooLarge:
            await _refuse(413, "The body is over 1 MiB")(scope, receive, send)
        except TimeoutError:
            await _refuse(408, "The body did not arrive in time")(scope, receive, send)
        else:
            await self._app(scope, _then(whole, receive), send)


def _refuse(status: int, detail: str) -> JSONResponse:
    # Some of the body may be left unread: the connection cannot be used again.
    return JSONResponse({"detail": detail}, status, headers={"Connection": "close"})


async def _read(receive: Receive) -> Message:
    body = bytearray()
    received = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        received += len(message.get("body", b""))
        if received <= BODY_LIMIT:
            body += message.get("body", b"")
        if received > DRAIN_LIMIT:
            raise _TooLarge
        if not message.get("more_body", False):
            if received > BODY_LIMIT:
                raise _TooLarge
            return {"type": "http.request", "body": bytes(body), "more_body": False}


def _then(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
