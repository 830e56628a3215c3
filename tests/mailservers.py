"""A real SMTP server for tests, on the loop of the test: aiosmtpd on a free loopback port.

`post_office` is a fixture: `await post_office()` starts one that takes everything, and keeps it in
`mails`. It offers STARTTLS with `starttls=identity`, is all TLS with `tls=identity`, and lets
`users` log in. What it answers to a recipient or to an e-mail, a test decides by
`answer_recipient` and `answer_mail`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.certificates import Identity

TAKEN = "250 Taken"


@dataclass(frozen=True)
class Mail:
    """An e-mail as it was handed over."""

    recipients: tuple[str, ...]
    message: EmailMessage
    encrypted: bool
    user: str | None
    """Who handed it over."""


class PostOffice:
    """The server: where it is, what it got, and what it answers."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self.host, self.port = "127.0.0.1", 0
        self.mails: list[Mail] = []
        self.answer_recipient: Callable[[str], str] = lambda _: TAKEN
        self.answer_mail: Callable[[], str] = lambda: TAKEN
        self._users = users

    async def start(
        self, *, tls: Identity | None, starttls: Identity | None, max_size: int
    ) -> asyncio.Server:
        loop = asyncio.get_running_loop()

        def protocol() -> SMTP:
            return SMTP(
                self,
                loop=loop,
                data_size_limit=max_size,
                tls_context=_context(starttls),
                require_starttls=starttls is not None,
                authenticator=self._authenticate,
                auth_require_tls=starttls is not None,
            )

        server = await loop.create_server(protocol, self.host, 0, ssl=_context(tls))
        self.port = server.sockets[0].getsockname()[1]
        return server

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        name, password = data.login.decode(), data.password.decode()
        right = self._users.get(name) == password
        return AuthResult(success=right, handled=False, auth_data=name if right else None)

    async def handle_RCPT(
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        answer = self.answer_recipient(address)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.answer_mail()
        if answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            assert server.transport is not None
            self.mails.append(
                Mail(
                    tuple(envelope.rcpt_tos),
                    message,
                    server.transport.get_extra_info("sslcontext") is not None,
                    session.auth_data,
                )
            )
        return answer


StartPostOffice = Callable[..., Awaitable[PostOffice]]


@pytest.fixture
async def post_office() -> AsyncIterator[StartPostOffice]:
    async with AsyncExitStack() as running:

        async def start(
            *,
            tls: Identity | None = None,
            starttls: Identity | None = None,
            users: Mapping[str, str] | None = None,
            max_size: int = 1_048_576,
        ) -> PostOffice:
            made = PostOffice(users or {})
            server = await made.start(tls=tls, starttls=starttls, max_size=max_size)
            running.callback(server.close)
            return made

        yield start


def _context(identity: Identity | None) -> ssl.SSLContext | None:
    if identity is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    return context
