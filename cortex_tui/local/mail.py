"""E-mails from a folder of templates: `NAME.subject.txt`, `NAME.txt` and, if wanted, `NAME.html`.

They are Jinja2, in its sandbox. A template knows the payload's top-level keys, `event` (as
conditions do) and the action's `params`; HTML is escaped. A name the event does not have is an
error, as it is in `{{path}}`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_tui.delivery_settings import mail_address
from cortex_tui.local.actions import MAX_RECIPIENTS

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_MAIL = 1_048_576
"""Characters in a rendered part."""


class MailError(Exception):
    """An e-mail that cannot be written, and why."""


@dataclass(frozen=True)
class Mail:
    """What an e-mail says."""

    subject: str
    text: str
    html: str | None = None


class MailTemplates:
    """The templates in a folder; a change to a file counts from the next e-mail on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _environment(self) -> "ImmutableSandboxedEnvironment":
        # Here, and not above: a start need not wait for what the first e-mail needs.
        from jinja2 import FileSystemLoader, StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        return ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(self._folder),
            autoescape=lambda name: name is not None and name.endswith(".html"),
            undefined=StrictUndefined,
        )

    def render(self, name: str, payload: Any, params: dict[str, Any]) -> Mail:
        """The e-mail of that name for an event. Raises `MailError`."""
        own = payload if isinstance(payload, dict) else {}
        event = own["event"] if isinstance(own.get("event"), dict) else payload
        names = {**own, "params": params, "event": event}
        html = f"{name}.html"
        return Mail(
            # A subject is one line, whatever the event puts into it.
            subject=" ".join(self._render(f"{name}.subject.txt", names).split()),
            text=self._render(f"{name}.txt", names),
            html=self._render(html, names) if (self._folder / html).is_file() else None,
        )

    def _render(self, file: str, names: dict[str, Any]) -> str:
        from jinja2 import TemplateNotFound

        try:
            rendered = self._environment.get_template(file).render(names)
        except TemplateNotFound as error:
            raise MailError(f"there is no {error.name} in {self._folder}") from None
        except Exception as error:  # a template is a program: anything may go wrong in it
            raise MailError(f"{file}: {error}") from None
        if len(rendered) > MAX_MAIL:
            raise MailError(f"{file}: the e-mail is longer than {MAX_MAIL:,} characters")
        return rendered


def addresses(given: Iterable[Any]) -> list[Address]:
    """Recipients, out of texts and of lists of texts, since a `{{path}}` may lead to a list. Raises
    `MailError`."""
    texts = [text for each in given for text in (each if isinstance(each, list) else [each])]
    if not texts:
        raise MailError("nobody to send it to: give the action recipients")
    if len(texts) > MAX_RECIPIENTS:
        raise MailError(f"more than {MAX_RECIPIENTS} recipients")
    try:
        return [mail_address(text if isinstance(text, str) else "") for text in texts]
    except ValueError as error:
        raise MailError(f"one of the recipients {error}") from None


def message(
    mail: Mail, *, sender: Address, recipients: list[Address], key: str, created_at: float
) -> EmailMessage:
    """`mail` as it is sent. An e-mail that goes out twice has the same Message-ID both times, which
    is made of its idempotency key (RFC 5322 §3.6.4). Raises `MailError`."""
    made = EmailMessage(policy=SMTP)
    try:
        made["From"] = sender
        made["To"] = recipients
        made["Subject"] = mail.subject
        made["Date"] = format_datetime(datetime.fromtimestamp(created_at, UTC))
        made["Message-ID"] = f"<{key}@{sender.domain}>"
        made["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no answer from a robot
        made.set_content(mail.text)
        if mail.html is not None:
            made.add_alternative(mail.html, subtype="html")
    except ValueError as error:
        raise MailError(f"the e-mail cannot be written: {error}") from None
    return made
