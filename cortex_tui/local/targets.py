"""What it is to be somewhere to send jobs: one attempt, one answer, within a time limit.

Reasons name what happened, and where: host and port, or the topic; never a secret: no URL, no
header, no text of an HTTP server, which might repeat one. What an SMTP server says is told, since
only it knows why; its password is taken out. Where jobs go over HTTP and SMTP is in
rooms of their own, whose libraries are imported with the first job.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import orjson

from cortex_tui import syntax
from cortex_tui.delivery_settings import PublishSettings
from cortex_tui.diagnosis import printable
from cortex_tui.local.jobs import Claim

MAX_TOPIC = 120
"""Characters of a topic that a reason names."""
GOOD_BYE_TIMEOUT = 1.0
"""Seconds for the end of a conversation in which everything is said."""

Publish = Callable[[int, str, bytes, int, bool], Awaitable[None]]
"""Publish through a product's own connection: product, topic, payload, QoS, retain. Returns when
the broker has acknowledged it, and raises `TargetFailed` where there is no connection."""


class TargetFailed(Exception):
    """The target cannot serve now; `retry_after` is the seconds it asks to be left alone."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class PartlyTaken(TargetFailed):
    """The target is there, is done with a part of the job, and wants the rest later; `content` is
    that of the job from now on."""

    def __init__(self, reason: str, content: bytes) -> None:
        super().__init__(reason)
        self.content = content


class JobRefused(Exception):
    """The target is there and will never take this job."""


class Unsendable(JobRefused):
    """What was rendered cannot be sent to anybody; the target was not asked."""


class Target(Protocol):
    """Somewhere to send jobs."""

    @property
    def concurrency(self) -> int: ...

    async def send(self, claim: Claim) -> str | None:
        """Deliver a job; returns what should be known of it all the same.

        Raises `TargetFailed` or `JobRefused`.
        """
        ...

    async def aclose(self) -> None: ...


def fields(claim: Claim) -> dict[str, Any]:
    """The fields of the action, rendered."""
    content: dict[str, Any] = orjson.loads(claim.content or b"{}")
    return content


@asynccontextmanager
async def limited(seconds: float, where: str) -> AsyncIterator[None]:
    """Raise `TargetFailed` where the time runs out. `where` is what does not answer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TargetFailed(f"did not end within {seconds:g} s ({where})") from None


def broken_off(error: BaseException, where: str) -> str:
    """Why a conversation with `where` did not come to its end, by what led to `error`."""
    return f"{_why(error)} ({where})"


def _why(error: BaseException) -> str:
    for each in _chain(error):
        match each:
            case ssl.SSLCertVerificationError():
                return f"certificate not trusted: {each.verify_message}"
            case ssl.SSLError():
                reason = each.reason or "handshake broken off"
                return f"TLS failed: {reason.replace('_', ' ').lower()}"
            case socket.gaierror():
                return "its name is not found"
            case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
                break
            case OSError() if each.errno:
                return os.strerror(each.errno).lower()
    return "the connection broke off"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what led to it; of several attempts at several addresses, the first."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__


class PublishTarget:
    """Publishes each job to the broker of its product."""

    def __init__(self, settings: PublishSettings, publish: Publish) -> None:
        self.concurrency = settings.concurrency
        self._timeout = settings.timeout
        self._publish = publish

    async def send(self, claim: Claim) -> str | None:
        content = fields(claim)
        try:
            topic = syntax.topic_name(str(content["topic"]))
        except ValueError as error:
            raise Unsendable(str(error)) from None
        payload = content.get("payload", claim.event)
        if not isinstance(payload, bytes):
            payload = payload.encode() if isinstance(payload, str) else orjson.dumps(payload)
        where = f"on {printable(topic, MAX_TOPIC)}"
        qos, retain = content["qos"], content["retain"]
        async with limited(self._timeout, where):
            try:
                await self._publish(claim.product_id, topic, payload, qos, retain)
            except TargetFailed as error:
                raise TargetFailed(f"{error} ({where})", error.retry_after) from None
        return None

    async def aclose(self) -> None:
        """The connection is the product's."""
