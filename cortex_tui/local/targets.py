"""Where jobs go: an SMTP server, an HTTP server, a product's broker. One attempt, one answer.

An attempt ends within its target's time limit. Reasons name what happened, never a secret: no URL
with its query, no header, no text of the other side that might repeat one.
"""

import asyncio
import base64
import hmac
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any, Protocol

import aiosmtplib
import httpx
import orjson

from cortex_tui import __version__, syntax
from cortex_tui.delivery_settings import (
    EmailSettings,
    HttpSettings,
    PublishSettings,
    mail_address,
    signing_key,
)
from cortex_tui.local.mail import MailError, MailTemplates, addresses, message
from cortex_tui.local.outbox import Claim

MAX_ANSWER = 65_536
"""Bytes of an HTTP answer that are read, so that its connection can be used again."""
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


class HttpTarget:
    """Sends each job as a JSON request. Signed, where there is a secret, as Standard Webhooks 1.0
    says: HMAC-SHA256 over the id, the time and the body."""

    def __init__(self, settings: HttpSettings) -> None:
        self.concurrency = settings.concurrency
        self._settings = settings

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        # Made by the first attempt: what is wrong with it (a proxy in the environment that cannot
        # be used) is then a failure of that attempt, and of no other target's.
        return httpx.AsyncClient(
            verify=ssl.create_default_context(),
            timeout=None,  # noqa: S113 - one limit spans the whole attempt
            limits=httpx.Limits(max_connections=self._settings.concurrency),
            # No proxy can reach this machine's own loopback.
            trust_env=not syntax.is_loopback(httpx.URL(self._settings.url).host),
        )

    async def send(self, claim: Claim) -> str | None:
        settings = self._settings
        body = _body(claim)
        headers = {
            "user-agent": f"cortex-tui/{__version__}",
            **{name.lower(): value.get_secret_value() for name, value in settings.headers.items()},
            "content-type": "application/json",
            "idempotency-key": claim.key,
        }
        if settings.secret is not None:
            headers |= signature(signing_key(settings.secret), claim.key, datetime.now(UTC), body)
        request = self._client.build_request(
            settings.method, settings.url, content=body, headers=headers
        )
        with _failures(settings.timeout):
            async with asyncio.timeout(settings.timeout):
                answer = await self._client.send(request, stream=True)
        await _read_away(answer)
        _judge(answer)
        return None

    async def aclose(self) -> None:
        if "_client" in self.__dict__:
            await self._client.aclose()


async def _read_away(answer: httpx.Response) -> None:
    """Read the rest of an answer, only so that its connection can be used again: its status has
    decided already."""
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(GOOD_BYE_TIMEOUT), aclosing(answer):
            size = 0
            async for part in answer.aiter_raw():
                size += len(part)
                if size > MAX_ANSWER:
                    break


def signature(key: bytes, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers that sign a request (Standard Webhooks 1.0, "Signature scheme")."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    digest = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{digest}",
    }


def _body(claim: Claim) -> bytes:
    """What a target is sent; the same for every attempt. The event goes along where the action
    picks nothing from it."""
    params = _content(claim).get("params")
    # As it came: what can be read may be nested deeper than what can be written.
    event = {} if params or claim.event is None else {"event": orjson.Fragment(claim.event)}
    return orjson.dumps(
        {
            "id": claim.key,
            "type": claim.target,
            "timestamp": datetime.fromtimestamp(claim.created_at, UTC).isoformat(),
            "product_id": claim.product_id,
            "subscription_id": claim.subscription_id,
            "params": params,
            **event,
        }
    )


def _content(claim: Claim) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(claim.content or b"{}")
    return content


def _judge(answer: httpx.Response) -> None:
    code = answer.status_code
    if 200 <= code < 300:
        return
    reason = f"answered {code} {_phrase(code)}".rstrip()
    if 400 <= code < 500 and code not in (401, 403, 408, 421, 425, 429):
        raise JobRefused(reason)
    raise TargetFailed(reason, _seconds(answer.headers.get("retry-after", "")))


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""


def _seconds(retry_after: str) -> float:
    """Seconds from now, given as such or as a date (RFC 9110 §10.2.3)."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    except ValueError:
        return 0.0


class EmailTarget:
    """Sends each job as an e-mail, over a connection of its own."""

    def __init__(self, settings: EmailSettings, templates: MailTemplates) -> None:
        self.concurrency = settings.concurrency
        self._settings = settings
        self._templates = templates
        self._tls = ssl.create_default_context()

    async def send(self, claim: Claim) -> str | None:
        settings, content = self._settings, _content(claim)
        try:
            recipients = addresses(content["recipients"] or settings.recipients)
            mail = self._templates.render(
                content["template"], orjson.loads(claim.event or b"null"), content["params"]
            )
            made = message(
                mail,
                sender=mail_address(settings.sender),
                recipients=recipients,
                key=claim.key,
                created_at=claim.created_at,
            )
        except MailError as error:
            raise Unsendable(str(error)) from None
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=None if settings.security == "none" else self._tls,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            timeout=None,
        )
        with _failures(settings.timeout):
            try:
                async with asyncio.timeout(settings.timeout):
                    await client.connect()
                    refused, _ = await client.send_message(made)
                # It is accepted; whatever comes now must not send it again.
                with suppress(aiosmtplib.SMTPException, OSError):
                    async with asyncio.timeout(GOOD_BYE_TIMEOUT):
                        await client.quit()
            finally:
                client.close()
        if refused:
            return f"refused for {', '.join(sorted(refused))}"
        return None

    async def aclose(self) -> None:
        """Nothing is kept open."""


class PublishTarget:
    """Publishes each job to the broker of its product."""

    def __init__(self, settings: PublishSettings, publish: Publish) -> None:
        self.concurrency = settings.concurrency
        self._timeout = settings.timeout
        self._publish = publish

    async def send(self, claim: Claim) -> str | None:
        content = _content(claim)
        try:
            topic = syntax.topic_name(str(content["topic"]))
        except ValueError as error:
            raise Unsendable(str(error)) from None
        payload = content.get("payload", claim.event)
        if not isinstance(payload, bytes):
            payload = payload.encode() if isinstance(payload, str) else orjson.dumps(payload)
        with _failures(self._timeout):
            async with asyncio.timeout(self._timeout):
                await self._publish(
                    claim.product_id, topic, payload, content["qos"], content["retain"]
                )
        return None

    async def aclose(self) -> None:
        """The connection is the product's."""


@contextmanager
def _failures(timeout: float) -> Iterator[None]:
    """Turn what libraries raise into `TargetFailed` and `JobRefused`."""
    try:
        yield
    except TimeoutError:
        raise TargetFailed(f"did not end within {timeout:g} s") from None
    except aiosmtplib.SMTPAuthenticationError as error:
        raise TargetFailed(f"refused user name and password ({error.code})") from None
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _refused(min(each.code for each in error.recipients), "the recipients") from None
    except aiosmtplib.SMTPDataError as error:
        raise _refused(error.code, "the e-mail") from None
    except aiosmtplib.SMTPResponseException as error:
        known = 200 <= error.code < 600
        raise TargetFailed(f"answered {error.code}" if known else "does not speak SMTP") from None
    except (httpx.HTTPError, aiosmtplib.SMTPException, OSError) as error:
        raise TargetFailed(_reason(error)) from None


def _refused(code: int, what: str) -> Exception:
    """A refusal by SMTP, for good or for now (RFC 5321 §4.2.1)."""
    return (JobRefused if 500 <= code < 600 else TargetFailed)(f"answered {code} to {what}")


def _reason(error: BaseException) -> str:
    if type(error) is aiosmtplib.SMTPException:
        return str(error).rstrip(".")  # what the server does not offer, in the library's own words
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
            case httpx.RemoteProtocolError():
                return "its answer broke off, or is no HTTP"
    return "the connection broke off"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what led to it; of several attempts at several addresses, the first."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__
