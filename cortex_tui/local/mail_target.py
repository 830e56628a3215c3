"""An SMTP server as a target."""

import asyncio
import base64
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from email.message import EmailMessage
from functools import partial

import aiosmtplib
import orjson

from cortex_tui import syntax
from cortex_tui.daemon import in_daemon_thread
from cortex_tui.delivery_settings import EmailSettings, mail_address
from cortex_tui.diagnosis import printable
from cortex_tui.local.jobs import Claim
from cortex_tui.local.mail import MailError, MailTemplates, addresses, message
from cortex_tui.local.targets import (
    GOOD_BYE_TIMEOUT,
    JobRefused,
    PartlyTaken,
    TargetFailed,
    Unsendable,
    broken_off,
    fields,
    limited,
)
from cortex_tui.values import MASK

TOO_LARGE = 552
"""What a server that was told the size answers before it is sent the e-mail (RFC 1870 §6)."""
REMAINING = "remaining"
"""The field of the content that lists who is still to get the e-mail, once somebody has it and
somebody else was refused for now."""
MAX_WORDS = 600
"""Characters that the answers to all recipients of an e-mail take in a reason, in shares."""
MIN_SHARE = 20
MIN_MASKED = 8
"""Characters of a password that is masked in what a server says. A shorter one may be a part of the
server's own words, and the mask would tell it: then they are not repeated."""

Refused = Mapping[str, aiosmtplib.SMTPResponse]
"""What the server answered, by the address that it refused."""


class EmailTarget:
    """Sends each job as an e-mail, over a connection of its own."""

    def __init__(self, settings: EmailSettings, templates: MailTemplates) -> None:
        self.concurrency = settings.concurrency
        self._settings = settings
        self._templates = templates
        self._tls = ssl.create_default_context()
        self._without_password = _without_password(settings)

    async def send(self, claim: Claim) -> str | None:
        settings, content = self._settings, fields(claim)
        where = syntax.address(settings.host, settings.port)
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
            remaining = content.get(REMAINING)
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
        try:
            async with limited(settings.timeout, where):
                # The library would ask for our own name in a thread that quitting waits for.
                name = await in_daemon_thread("cortex-names", socket.getfqdn)
                await client.connect(local_hostname=name)
                refused = await _hand_over(
                    client,
                    made,
                    remaining or [each.addr_spec for each in recipients],
                    others_have_it=remaining is not None,
                )
            # It is accepted; whatever comes now must not send it again.
            with suppress(aiosmtplib.SMTPException, OSError):
                async with asyncio.timeout(GOOD_BYE_TIMEOUT):
                    await client.quit()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._failure(error, where) from None
        finally:
            client.close()
        later = [each for each, answer in refused.items() if not _for_good(answer.code)]
        if later:
            rest = orjson.dumps({**content, REMAINING: later})
            raise PartlyTaken(self._whom(refused), rest)
        return self._whom(refused) or None

    async def aclose(self) -> None:
        """Nothing is kept open."""

    # -- what a server says -------------------------------------------------------------------

    def _whom(self, refused: Refused) -> str:
        """Who was refused, and with what words."""
        share = max(MIN_SHARE, MAX_WORDS // max(1, len(refused)))

        def told(address: str) -> str:
            code, words = refused[address]
            return f"{address} ({f'{code} {self._words(words, share)}'.rstrip()})"

        gone = sorted(each for each, answer in refused.items() if _for_good(answer.code))
        later = sorted(refused.keys() - gone)
        parts = (("refused for", gone), ("refused for now for", later))
        return ", ".join(f"{verb} {', '.join(map(told, whom))}" for verb, whom in parts if whom)

    def _words(self, text: str, limit: int = MAX_WORDS) -> str:
        """What a server said, without the password: one may repeat what it was sent."""
        return printable(self._without_password(text), limit)

    def _failure(self, error: Exception, where: str) -> Exception:
        """What the library raised, talking to `where`, as `TargetFailed` or `JobRefused`."""
        match error:
            case aiosmtplib.SMTPAuthenticationError():
                return TargetFailed(f"refused user name and password ({error.code})")
            case aiosmtplib.SMTPRecipientsRefused():
                refused = _refused(error)
                return _refusal((code for code, _ in refused.values()), self._whom(refused))
            case aiosmtplib.SMTPDataError():
                return _refusal([error.code], self._answered(error, " to the e-mail"))
            case aiosmtplib.SMTPSenderRefused() if error.code == TOO_LARGE:
                return JobRefused(self._answered(error, " to the e-mail"))
            case aiosmtplib.SMTPSenderRefused():
                return TargetFailed(self._answered(error, " to the sender"))
            case aiosmtplib.SMTPResponseException() if 200 <= error.code < 600:
                return TargetFailed(self._answered(error))
            case aiosmtplib.SMTPResponseException():
                return TargetFailed("does not speak SMTP")
        if type(error) is aiosmtplib.SMTPException:
            # What the server does not offer, in the library's own words.
            return TargetFailed(str(error).rstrip("."))
        return TargetFailed(broken_off(error, where))

    def _answered(self, error: aiosmtplib.SMTPResponseException, to: str = "") -> str:
        return f"answered {error.code}{to}: {self._words(error.message)}".rstrip(": ")


async def _hand_over(
    client: aiosmtplib.SMTP, made: EmailMessage, asked: list[str], *, others_have_it: bool
) -> Refused:
    """Send to those `asked`; returns who of them was refused. Raises where nobody has it then."""
    try:
        refused, _ = await client.send_message(made, recipients=asked)
    except aiosmtplib.SMTPRecipientsRefused as error:
        if others_have_it:
            return _refused(error)
        raise
    return refused


def _refused(error: aiosmtplib.SMTPRecipientsRefused) -> Refused:
    return {
        each.recipient: aiosmtplib.SMTPResponse(each.code, each.message)
        for each in error.recipients
    }


def _refusal(codes: Iterable[int], reason: str) -> Exception:
    """A refusal by SMTP, for good or, where that is so of one of the `codes`, for now."""
    return (JobRefused if all(map(_for_good, codes)) else TargetFailed)(reason)


def _for_good(code: int) -> bool:
    """Whether asking again would change nothing (RFC 5321 §4.2.1)."""
    return 500 <= code < 600


def _without_password(settings: EmailSettings) -> Callable[[str], str]:
    """Takes out of a text any way in which the password, where there is one, is sent: alone, or
    with the user name (RFC 4616), in base64; that may be cut."""
    password = settings.password.get_secret_value() if settings.password else ""
    if len(password) < MIN_MASKED:
        return lambda text: "" if password else text
    sent = (password, f"\0{settings.username}\0{password}")
    begins = (re.escape(base64.b64encode(each.encode()).decode()[:8]) for each in sent)
    found = "|".join((*(f"{each}[A-Za-z0-9+/=]*" for each in begins), re.escape(password)))
    return partial(re.compile(found).sub, MASK)
