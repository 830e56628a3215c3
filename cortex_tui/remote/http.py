"""One shared HTTP client for one orchestrator: what is sent, and what is believed of an answer."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr, ValidationError

from cortex_tui import __version__
from cortex_tui.backend import BackendError, Unsupported, field_problems
from cortex_tui.files import reason
from cortex_tui.models import Model
from cortex_tui.remote.events import EventReader, EventTooLarge
from cortex_tui.remote.failures import address, nonsense, refusal, unreachable
from cortex_tui.syntax import is_loopback, orchestrator_url
from cortex_tui.values import STORED

BASE_PATH = "/api/v1"
ANSWER_LIMIT = 10 * 1024 * 1024
SILENCE = 10.0
"""Seconds without a byte of an answer that is due."""
PATIENCE = 30.0
"""Seconds for a whole answer, however steadily it drips."""
LIMITS = httpx.Limits(max_connections=20, keepalive_expiry=4)
"""Idle connections are given up before a server does (uvicorn: after 5 s), since a request on one
that is just being closed fails."""

_FAILURES = (
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    OSError,
    RuntimeError,  # the client is closed
    UnicodeError,
)

M = TypeVar("M", bound=Model)


def base_url(text: str) -> httpx.URL:
    """Where the API of the orchestrator at `text` begins; `/api/v1` may be left out.

    Raises `BackendError` where that is no HTTP address.
    """
    try:
        text = orchestrator_url(text.strip())
    except ValueError as error:
        raise BackendError("The URL cannot be used", str(error)) from error
    try:
        url = httpx.URL(text)
        _ = url.host  # decoded only when it is read, and then it may be none
    except (httpx.InvalidURL, UnicodeError):
        raise BackendError(
            "The URL cannot be used", "url cannot be read: check its host name"
        ) from None
    path = url.path.rstrip("/")
    path = path if path.endswith(BASE_PATH) else path + BASE_PATH
    return url.copy_with(path=path, query=None, fragment=None)


class Http:
    """Asks one orchestrator. Every failure is a `BackendError`."""

    def __init__(
        self, client: httpx.AsyncClient, base: httpx.URL, ca_file: Path | None = None
    ) -> None:
        self._client = client
        self.base = base
        self._ca_file = ca_file

    @classmethod
    async def open(
        cls, url: str, *, token: SecretStr | None, verify: bool, ca_file: Path | None
    ) -> "Http":
        """Raises `BackendError` where URL, token, CA file or proxy cannot be used."""
        base = base_url(url)
        headers = {
            "User-Agent": f"cortex-tui/{__version__}",
            # An answer that grows when unpacked would have to be bounded twice.
            "Accept-Encoding": "identity",
        }
        if token is not None:
            headers["Authorization"] = f"Bearer {_usable(token)}"
        # Reading the certificate authorities takes 30 ms and more.
        client = await asyncio.to_thread(_client, base, headers, verify, ca_file)
        return cls(client, base, ca_file)

    @property
    def label(self) -> str:
        """Where the orchestrator is, for a person."""
        return f"{self.base.scheme}://{address(self.base)}"

    async def aclose(self) -> None:
        await self._client.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        kind: type[M],
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        condition: Mapping[str, str] | None = None,
        by: str | None = None,
        extension: bool = False,
        silence: float = SILENCE,
    ) -> M:
        """Send a request and read its answer as `kind`."""
        headers = dict(condition or {})
        if by:  # RFC 9110 §10.1.2: who is behind the request, by their own word
            headers["From"] = by.encode("ascii", "replace").decode()
        request = self._client.build_request(
            method,
            self.base.copy_with(path=self.base.path + path),
            json=body,
            params=params,
            headers=headers,
            timeout=_timeout(silence),
        )
        response, answer = await self._exchange(request, max(PATIENCE, silence))
        if not response.is_success:
            raise refusal(response, answer, extension=extension)
        return self.parsed(kind, answer)

    async def _exchange(
        self, request: httpx.Request, patience: float
    ) -> tuple[httpx.Response, bytes]:
        """One exchange, repeated once where that is safe: nothing was sent, or it only reads."""
        try:
            async with asyncio.timeout(patience):
                try:
                    return await self._once(request)
                except httpx.ConnectError:
                    return await self._once(request)
                except (httpx.NetworkError, httpx.RemoteProtocolError):
                    if request.method != "GET":
                        raise
                    return await self._once(request)
        except _FAILURES as error:
            raise unreachable(error, request.url, self._ca_file) from error

    async def _once(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        response = await self._client.send(request, stream=True)
        try:
            return response, await _bounded(response)
        finally:
            await response.aclose()

    async def events(self, path: str, *, silence: float) -> AsyncGenerator[bytes]:
        """The data of each event of a stream, which may be silent for `silence` seconds. One that
        breaks off has ended: what is the matter, whoever asks for another one is told.

        Raises `Unsupported` where the orchestrator has no such stream.
        """
        request = self._client.build_request(
            "GET",
            self.base.copy_with(path=self.base.path + path),
            headers={"Accept": "text/event-stream"},
            timeout=_timeout(silence),
        )
        reader = EventReader(ANSWER_LIMIT)
        try:
            response = await self._client.send(request, stream=True)
            try:
                if not response.is_success:
                    raise refusal(response, await _bounded(response), extension=True)
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    raise Unsupported("This orchestrator has no stream of states")
                with suppress(httpx.NetworkError, httpx.RemoteProtocolError):
                    async for piece in response.aiter_raw():
                        for data in reader.feed(piece):
                            yield data
            finally:
                await response.aclose()
        except EventTooLarge:
            raise nonsense(request.url, b"", "an event of more than 10 MiB") from None
        except _FAILURES as error:
            raise unreachable(error, request.url, self._ca_file) from error

    def parsed(self, kind: type[M], body: bytes) -> M:
        """`body` as `kind`; unknown fields are ignored. Raises `Unreachable` where it is none."""
        try:
            return kind.model_validate_json(body, context=STORED)
        except ValidationError as error:
            first = field_problems(error)[0]
            where = ".".join(str(part)[:50] for part in first.loc)
            broken = first.kind == "json_invalid"
            problem = "broken JSON" if broken else f"{where}: {first.message}"
            raise nonsense(self.base, body, problem) from None


def _timeout(silence: float) -> httpx.Timeout:
    return httpx.Timeout(connect=5, read=silence, write=10, pool=5)


async def _bounded(response: httpx.Response) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise nonsense(response.url, b"", "it is compressed, which was not asked for")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > ANSWER_LIMIT:
            raise nonsense(response.url, b"", "more than 10 MiB")
    return bytes(body)


def _usable(token: SecretStr) -> str:
    text = token.get_secret_value().strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise BackendError(
            "The token cannot be sent: it is empty or has spaces or unusual characters",
            "Check CORTEX_TOKEN or the token file.",
        )
    return text


def _client(
    base: httpx.URL, headers: dict[str, str], verify: bool, ca_file: Path | None
) -> httpx.AsyncClient:
    try:
        context = ssl.create_default_context(cafile=ca_file and ca_file.expanduser())
    except (OSError, RuntimeError, ValueError) as error:
        raise BackendError(
            f"The CA file {ca_file} cannot be used: {reason(error)}",
            "It is a PEM file with one or more certificates.",
        ) from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        return httpx.AsyncClient(
            headers=headers,
            verify=context,
            limits=LIMITS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # takes none
            follow_redirects=False,
            # No proxy can reach this machine's own loopback.
            trust_env=not is_loopback(base.host),
        )
    except (httpx.InvalidURL, ImportError, ValueError):  # ImportError: SOCKS needs one more library
        raise BackendError(
            "The proxy that the environment names cannot be used",
            "Give HTTP_PROXY, HTTPS_PROXY and ALL_PROXY as http://HOST:PORT, or the orchestrator's "
            "host in NO_PROXY.",
        ) from None
