"""Who may ask: a bearer token, or nobody but this machine.

Without a token the server listens on loopback only, and a web page must not reach it through a
person's browser: neither under a name of its own that resolves to 127.0.0.1 (DNS rebinding, seen
in the Host header), nor by sending a form across sites (seen in the Origin header).
"""

import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from cortex_tui.backend import BackendError
from cortex_tui.syntax import is_loopback

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What may be asked without a token: it says nothing but whether the server lives."""


def hosts_of(host: str, token: SecretStr | None) -> Collection[str] | None:
    """The names that a server which listens on `host` answers to; none is every name."""
    return None if token else LOOPBACK_HOSTS | {host.lower()}


class CannotServe(BackendError):
    """The server cannot start as it was asked to."""


class Misused(CannotServe):
    """What was asked for cannot be anywhere, or is not safe."""


def check_binding(host: str, token: SecretStr | None) -> None:
    """Raise `Misused` where `host` is reachable from other machines and there is no token."""
    if not host.strip():
        raise Misused("--host is empty", "Give an address of this machine, as 127.0.0.1.")
    if token is None and not is_loopback(host):
        raise Misused(
            f"Without a token the server listens on this machine only, not on {host}",
            "Give one with --token-file FILE or CORTEX_TOKEN, or use --host 127.0.0.1.",
        )


def check_token(token: SecretStr | None) -> None:
    """Raise `Misused` where there is a token and it is empty, which anybody could give, or nobody
    could: a header is one line of text."""
    text = "x" if token is None else token.get_secret_value().strip()
    if not text:
        raise Misused("The token is empty", "Put a long random text into it.")
    if not text.isprintable():
        raise Misused("The token is not one line of text", "Put a long random text into it.")


class Guard:
    """ASGI middleware: refuses whoever may not ask, before anything else is looked at."""

    def __init__(
        self, app: ASGIApp, *, token: SecretStr | None, allowed_hosts: Collection[str] | None
    ) -> None:
        self._app = app
        self._token = None if token is None else token.get_secret_value().strip().encode()
        self._hosts = allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        if not self._allowed(f"//{headers.get('host', '')}"):
            return JSONResponse({"detail": "This server does not answer to that host name"}, 421)
        if "origin" in headers and not self._allowed(headers["origin"]):
            return JSONResponse({"detail": "This server does not answer to other web pages"}, 403)
        if self._token is None or scope["path"] in OPEN_PATHS:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Headers are decoded as Latin-1; this is the way back to what was sent.
        if scheme.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode("latin-1"), self._token
        ):
            return None
        return JSONResponse(
            {"detail": "Not authenticated"}, 401, headers={"WWW-Authenticate": "Bearer"}
        )

    def _allowed(self, url: str) -> bool:
        if self._hosts is None:
            return True
        try:
            name = urlsplit(url).hostname
        except ValueError:
            return False
        return name is not None and name in self._hosts
