"""Why a request failed, in words: an exception of httpx or an answer → a `BackendError`. Pure.

What the other side says is quoted only as inert, short text.
"""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from cortex_tui.backend import (
    BackendError,
    Conflict,
    Denied,
    FieldProblem,
    Invalid,
    NotFound,
    Stale,
    Unreachable,
    Unsupported,
)

MAX_TEXT = 500
MAX_PROBLEMS = 100

_NOUNS = ("Product not found", "Subscription not found")
"""The reference's own 404 answers."""
_NO_PATH = (None, "Not Found", "Method Not Allowed")
"""The details of a 404 or 405 to a path that is not known: none, or a framework's own."""

_CHECK_URL = "Check the URL: it is where the API's /api/v1 begins, such as http://localhost:8004."

_NAME_THE_AUTHORITY = (
    "Name the file of its certificate authority as ca_file of a context in config.toml, "
    "or in SSL_CERT_FILE."
)
_OTHER_NAME = "Write a name or address that it was issued for into the URL."
_UNTRUSTED = {
    9: "Check the clock of both machines.",  # not valid yet
    10: "Renew it, or check the clock of this machine.",  # expired
    62: _OTHER_NAME,
    64: _OTHER_NAME,  # as 62, of an IP address
}
"""By OpenSSL's code of a verification that failed."""


_NO_ISSUER = (18, 19, 20, 21)
"""OpenSSL's codes of a certificate that nobody issued but itself, or nobody who is trusted."""


class NoAnswer(Unreachable):
    """Nothing came back, or no HTTP."""


class WrongToken(Denied):
    """The token is missing or wrong: whatever is asked for (401)."""


class NoSuchPath(Unreachable):
    """A path of the reference is not known there: the URL leads to something else."""


def unreachable(error: Exception, url: httpx.URL, ca_file: Path | None) -> NoAnswer:
    """What to say where no answer came; `ca_file` is trusted there, if it is given."""
    where = address(url)
    if isinstance(error, httpx.ConnectTimeout):
        return NoAnswer(
            f"{where} accepts no connection: nothing came back",
            "Check the address, the network, and whether a firewall is between.",
        )
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return NoAnswer(
            f"{where} did not answer in time", "It may be overloaded or stuck: its log says more."
        )
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError() if ca_file and cause.verify_code in _NO_ISSUER:
                return NoAnswer(
                    f"The certificate of {where} was not issued by the authority in ca_file",
                    f"Name another file than {ca_file} as ca_file of the context, in config.toml; "
                    "with none, the authorities that this machine knows are trusted.",
                )
            case ssl.SSLCertVerificationError():
                return NoAnswer(
                    f"The certificate of {where} is not trusted: {cause.verify_message}",
                    _UNTRUSTED.get(cause.verify_code, _NAME_THE_AUTHORITY),
                )
            case ssl.SSLError():
                return NoAnswer(
                    f"{where} does not speak TLS as expected: {cause.reason or 'handshake failed'}",
                    "Check the port, and whether the URL should start with http://.",
                )
            case socket.gaierror():
                return NoAnswer(
                    f"The name {url.host} is not known", "Check the host name in the URL."
                )
            case ConnectionRefusedError():
                return NoAnswer(
                    f"{where} refuses connections",
                    "Check the port, and that the orchestrator runs there: cortex serve.",
                )
            case ConnectionResetError():
                return NoAnswer(
                    f"{where} broke the connection off", "Check the port; its log may say more."
                )
    if isinstance(error, httpx.ProxyError):
        return NoAnswer(
            f"The proxy before {where} refuses", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
        )
    if isinstance(error, httpx.RemoteProtocolError):
        return NoAnswer(
            f"{where} does not speak HTTP as expected, or broke off in the middle",
            "Check the port, and whether the URL should start with https://.",
        )
    return NoAnswer(f"{where} cannot be reached", "Check the address and the network.")


def refusal(response: httpx.Response, body: bytes, *, extension: bool) -> BackendError:
    """What to say to an answer that is not a success.

    `extension` tells a path that an orchestrator may not have from one that each must have.
    """
    where = address(response.url)
    said = _said(body)
    detail = _text(said.get("detail"))
    hint = _text(said.get("hint"))
    status = response.status_code
    match status:
        case 401:
            return WrongToken(
                f"{where} wants a token" if _anonymous(response) else f"{where} refuses the token",
                "Set CORTEX_TOKEN, or the token of the context.",
            )
        case 403:
            return Denied(
                detail or f"{where} does not allow that", "Ask whoever runs it for permission."
            )
        case 404 if detail in _NOUNS:
            return NotFound(detail, hint)
        case 404 | 405 if extension:
            return Unsupported("this orchestrator does not offer that", "It is an extension.")
        case 404 | 405 if said.get("detail") in _NO_PATH:
            return NoSuchPath(f"{where} has no such path: {response.url.path}", _CHECK_URL)
        case 404:
            return NotFound(detail or f"{where} does not have that", hint)
        case 409:
            return Conflict(detail or "It is there already", hint)
        case 412:
            return Stale(detail or "The configuration was changed meanwhile", hint)
        case 413:
            return BackendError("That is more than the orchestrator accepts", "Make it shorter.")
        case 422:
            return Invalid(_problems(said.get("detail")))
        case 429:
            wait = _text(response.headers.get("retry-after"))
            again = f"Try again in {wait} s." if wait.isdigit() else "Try again later."
            return Unreachable(f"{where} gets too many requests", again)
        case 421:
            return Denied(
                detail or f"{where} does not answer to that name",
                "Use the name or address that it was started with.",
            )
        case 501:
            return Unsupported(detail or "this orchestrator does not offer that", hint)
        case _ if 300 <= status < 400:
            return _redirected(response)
        case _ if status >= 500:
            return Unreachable(
                f"{where} failed: {status} {detail}".rstrip(), hint or "Its log says why."
            )
    return BackendError(f"{where} refuses: {status} {detail}".rstrip(), hint)


def nonsense(url: httpx.URL, body: bytes, problem: str) -> Unreachable:
    """What to say to a success that cannot be read."""
    where = address(url)
    if body.lstrip()[:1] == b"<":
        return Unreachable(f"{where} answers with a web page, not with JSON", _CHECK_URL)
    return Unreachable(
        f"{where} answers with something else than the reference says: {problem}",
        "It may be another program, or of another version.",
    )


def _redirected(response: httpx.Response) -> Unreachable:
    where = address(response.url)
    try:
        target = response.url.join(response.headers.get("location", ""))
    except httpx.InvalidURL:
        target = response.url
    if target.host == response.url.host and target.scheme != response.url.scheme:
        return Unreachable(
            f"{where} wants {target.scheme}://", f"Start the URL with {target.scheme}://."
        )
    return Unreachable(
        f"{where} sends elsewhere: {_text(address(target) + target.path)}",
        "A login page or a proxy stands before it: give the address of the API itself.",
    )


def _problems(detail: Any) -> list[FieldProblem]:
    """The rejected fields, whether in the vocabulary of the reference or of pydantic 2."""
    items = detail if isinstance(detail, list) else []
    problems = [
        FieldProblem(
            loc=_location(item.get("loc")),
            message=_text(item.get("msg")).removeprefix("Value error, ") or "is not accepted",
            kind=_text(item.get("type")) or "value_error",
        )
        for item in items[:MAX_PROBLEMS]
        if isinstance(item, dict)
    ]
    return problems or [FieldProblem((), _text(detail) or "The orchestrator rejects the values")]


def _location(loc: Any) -> tuple[str | int, ...]:
    parts = loc[:10] if isinstance(loc, list) else []
    clean = tuple(part if isinstance(part, int) else _text(part) for part in parts)
    return clean[1:] if clean[:1] == ("body",) else clean


def _said(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(each if each.isprintable() else " " for each in value[:MAX_TEXT]).strip()


def _anonymous(response: httpx.Response) -> bool:
    return "authorization" not in response.request.headers


def address(url: httpx.URL) -> str:
    """`host:port` without anything that might be secret."""
    port = url.port or (443 if url.scheme == "https" else 80)
    return f"[{url.host}]:{port}" if ":" in url.host else f"{url.host}:{port}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what led to it: the library wraps the socket's own exception."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting.extend(each.exceptions)
        waiting += [each.__context__, each.__cause__]
