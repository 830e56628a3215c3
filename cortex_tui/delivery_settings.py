"""Where actions go: the `[delivery]` tables of `config.toml`.

A type of action without a table here is recorded and not sent, so that a developer's machine
e-mails nobody. docs/actions.md shows each table.
"""

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from cortex_tui import syntax

if TYPE_CHECKING:
    from email.headerregistry import Address

BASE64_SECRET = "whsec_"  # noqa: S105 - how a secret starts, not one
"""The start of a signing secret written in base64 (Standard Webhooks)."""
MAX_ADDRESS = 500

_LOCAL = r"([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64})"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAILBOX = rf"{_LOCAL}@({_LABEL}(?:\.{_LABEL})*)"
_ADDRESS = re.compile(rf"([^<>]*)<{_MAILBOX}>|{_MAILBOX}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 §5.6.2
_OWN_HEADERS = {
    "content-type", "content-length", "transfer-encoding", "host", "idempotency-key",
}  # fmt: skip


class Section(BaseModel):
    """A table of `config.toml`; an unknown key is an error, since it is a typing mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def mail_address(text: str) -> "Address":
    """One address, `name@example.com` or `Name <name@example.com>`. Raises `ValueError`.

    The form is the one of web forms (WHATWG HTML §4.10.5.1.5): RFC 5322 has comments, groups and
    quoted names that no mailbox of today needs.
    """
    from email.headerregistry import Address  # slow to import, and seldom needed

    parts = _ADDRESS.fullmatch(text.strip()) if len(text) <= MAX_ADDRESS else None
    if parts is None or not text.isprintable():
        raise ValueError("is no e-mail address: write name@example.com or Name <name@example.com>")
    return Address((parts[1] or "").strip(), parts[2] or parts[4], parts[3] or parts[5])


def _mail_address(text: str) -> str:
    return str(mail_address(text))


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url is incomplete: write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url contains a user name or password: put an Authorization in headers")
    if parts.fragment or not text.isprintable() or " " in text:
        raise ValueError("url contains '#', a space or a control character: remove it")
    syntax.url_port(parts)
    try:
        syntax.host(parts.hostname)
    except ValueError as error:
        raise ValueError(f"url has no valid host: {error}") from None
    return text


def _headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"header {name!r} is no header name: use letters, digits and hyphens")
        if name.lower() in _OWN_HEADERS or name.lower().startswith("webhook-"):
            raise ValueError(f"header {name} is set by Cortex itself: leave it out")
        content = value.get_secret_value()
        if not content.isascii() or not content.isprintable():
            raise ValueError(f"header {name} has a value beyond printable ASCII: HTTP has no way")
    return headers


def _signing_secret(secret: SecretStr) -> SecretStr:
    if not signing_key(secret):
        raise ValueError("secret is empty: leave it out where nothing is to be signed")
    return secret


def signing_key(secret: SecretStr) -> bytes:
    """The bytes to sign with. Raises `ValueError` for a `whsec_` that is not base64."""
    text = secret.get_secret_value()
    if not text.startswith(BASE64_SECRET):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(BASE64_SECRET), validate=True)
    except ValueError:
        raise ValueError(f"secret starts with {BASE64_SECRET} but is not base64") from None


class _Target(Section):
    timeout: Annotated[float, Field(gt=0, le=300)] = 15.0
    """Seconds that one attempt may take, from looking up the name to the last answer."""
    concurrency: Annotated[int, Field(ge=1, le=100)] = 4
    """Attempts at the same time."""


class EmailSettings(_Target):
    """`[delivery.email]`: the SMTP server for actions of type `conditional_email`."""

    host: Annotated[str, AfterValidator(syntax.host)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls` upgrades or fails, `tls` encrypts from the start (port 465), `none` is plain."""
    username: str | None = None
    password: SecretStr | None = None
    sender: Annotated[str, AfterValidator(_mail_address)]
    recipients: tuple[Annotated[str, AfterValidator(_mail_address)], ...] = ()
    """Who gets the e-mails of actions that name nobody."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: give both or neither")
        return self


class HttpSettings(_Target):
    """`[delivery.activate_policy]` and `[delivery.webhook]`: one request an action."""

    url: Annotated[str, AfterValidator(_url)]
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: Annotated[dict[str, SecretStr], AfterValidator(_headers)] = {}
    secret: Annotated[SecretStr, AfterValidator(_signing_secret)] | None = None
    """Signs each request as Standard Webhooks 1.0 says; `whsec_…` is base64, else text."""


class PublishSettings(_Target):
    """`[delivery.publish]`: actions of type `publish` go to the broker of their product."""


class DeliverySettings(Section):
    """`[delivery]`."""

    email: EmailSettings | None = None
    activate_policy: HttpSettings | None = None
    webhook: HttpSettings | None = None
    publish: PublishSettings | None = None
    templates: Path | None = None
    """The folder of the e-mail templates; none is `templates` beside `config.toml`."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 12
    """Attempts before an action is given up; with the waits between, 12 take about 25 minutes."""
