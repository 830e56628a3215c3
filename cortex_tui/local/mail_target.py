"""An SMTP server as a target."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from email.message import EmailMessage

import aiosmtplib
import orjson

from cortex_tui import syntax
from cortex_tui.daemon import in_daemon_thread
from cortex_tui.delivery_settings import EmailSettings, mail_address
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

TOO_LARGE = 552
"""What a server that was told the size answers before it is sent the e-mail (RFC 1870 §6)."""
REMAINING = "remaining"
"""The field of the content that lists who is still to get the e-mail, once somebody has it and
somebody else was refused for now."""


class EmailTarget:
    """Sends each job as an e-mail, over a connection of its own."""

    def __init__(self, settings: EmailSettings, templates: MailTemplates) -> None:
        self.concurrency = settings.concurrency
        self._settings = settings
        self._templates = templates
        self._tls = ssl.create_default_context()

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
            raise _failure(error, where) from None
        finally:
            client.close()
        later = [each for each, code in refused.items() if not _for_good(code)]
        if later:
            rest = orjson.dumps({**content, REMAINING: later})
            raise PartlyTaken(_whom(refused), rest)
        return _whom(refused) or None

    async def aclose(self) -> None:
        """Nothing is kept open."""


async def _hand_over(
    client: aiosmtplib.SMTP, made: EmailMessage, asked: list[str], *, others_have_it: bool
) -> dict[str, int]:
    """Send to those `asked`; returns who of them was refused, with the code. Raises where nobody
    has it then."""
    try:
        refused, _ = await client.send_message(made, recipients=asked)
    except aiosmtplib.SMTPRecipientsRefused as error:
        codes = {each.recipient: each.code for each in error.recipients}
        if others_have_it:
            return codes
        if len({_for_good(code) for code in codes.values()}) > 1:
            raise TargetFailed(_whom(codes)) from None
        raise
    return {address: answer.code for address, answer in refused.items()}


def _whom(refused: Mapping[str, int]) -> str:
    """Who was refused, in words."""
    gone = sorted(each for each, code in refused.items() if _for_good(code))
    later = sorted(refused.keys() - gone)
    parts = (("refused for", gone), ("refused for now for", later))
    return ", ".join(f"{verb} {', '.join(whom)}" for verb, whom in parts if whom)


def _failure(error: Exception, where: str) -> Exception:
    """What the library raised, talking to `where`, as `TargetFailed` or `JobRefused`."""
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return TargetFailed(f"refused user name and password ({error.code})")
        case aiosmtplib.SMTPRecipientsRefused():
            return _refusal(min(each.code for each in error.recipients), "the recipients")
        case aiosmtplib.SMTPDataError():
            return _refusal(error.code, "the e-mail")
        case aiosmtplib.SMTPSenderRefused() if error.code == TOO_LARGE:
            return JobRefused(f"answered {error.code} to the e-mail")
        case aiosmtplib.SMTPResponseException():
            known = 200 <= error.code < 600
            return TargetFailed(f"answered {error.code}" if known else "does not speak SMTP")
    if type(error) is aiosmtplib.SMTPException:
        # What the server does not offer, in the library's own words.
        return TargetFailed(str(error).rstrip("."))
    return TargetFailed(broken_off(error, where))


def _refusal(code: int, what: str) -> Exception:
    """A refusal by SMTP, for good or for now."""
    return (JobRefused if _for_good(code) else TargetFailed)(f"answered {code} to {what}")


def _for_good(code: int) -> bool:
    """Whether asking again would change nothing (RFC 5321 §4.2.1)."""
    return 500 <= code < 600
