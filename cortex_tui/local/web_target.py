"""An HTTP server as a target."""

import asyncio
import base64
import hmac
import ssl
import time
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
import orjson

from cortex_tui import __version__, syntax
from cortex_tui.delivery_settings import HttpSettings, signing_key
from cortex_tui.local.jobs import Claim
from cortex_tui.local.targets import (
    GOOD_BYE_TIMEOUT,
    JobRefused,
    TargetFailed,
    broken_off,
    fields,
    limited,
)

MAX_ANSWER = 65_536
"""Bytes of an answer that are read, so that its connection can be used again."""


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
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # takes none
            # No proxy can reach this machine's own loopback.
            trust_env=not syntax.is_loopback(httpx.URL(self._settings.url).host),
        )

    @property
    def _where(self) -> str:
        url = httpx.URL(self._settings.url)
        return syntax.address(url.host, url.port or (443 if url.scheme == "https" else 80))

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
        try:
            async with limited(settings.timeout, self._where):
                answer = await self._client.send(request, stream=True)
        except httpx.RemoteProtocolError:
            raise TargetFailed(f"its answer broke off, or is no HTTP ({self._where})") from None
        except (httpx.HTTPError, OSError) as error:
            raise TargetFailed(broken_off(error, self._where)) from None
        await _read_away(answer)
        _judge(answer, self._where)
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
    params = fields(claim).get("params")
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


def _judge(answer: httpx.Response, where: str) -> None:
    code = answer.status_code
    if 200 <= code < 300:
        return
    reason = f"{f'answered {code} {_phrase(code)}'.rstrip()} ({where})"
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
    except (ValueError, OverflowError):
        return 0.0
