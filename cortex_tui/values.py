"""The kinds of values that stand in the fields of the models: how each is checked and written.

A secret is a `SecretStr` and is dumped as `***`; in a draft, `***`, an empty string or none at all
means "keep the stored one". Times are UTC: aware in memory, and on the wire as the reference
writes them (`2026-01-23T14:03:25.590525`).

What is already stored, here or in another orchestrator, is read with `context=STORED`, which skips
the checks: a value that cannot be shown cannot be mended.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationInfo,
)

from cortex_tui import syntax

MASK = "***"
"""What stands for a secret that is set (API reference, note 1)."""

STORED = {"stored": True}
"""Validation context for values that are already stored somewhere; they are not checked."""

MAX_NAME = 200
MAX_DESCRIPTION = 2_000
MAX_PEM = 262_144
"""Characters; the authorities a whole operating system trusts are about 220,000."""


def checked(rule: Callable[[str], str]) -> AfterValidator:
    """A rule of `syntax` for values that are not stored yet."""

    def check(value: str, info: ValidationInfo) -> str:
        return value if info.context == STORED else rule(value)

    return AfterValidator(check)


def _utc(value: object) -> object:
    parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(parsed, datetime) and parsed.tzinfo is not None:
        try:
            return parsed.astimezone(UTC)
        except OverflowError:
            raise ValueError("the time is outside the years 1 to 9999 in UTC") from None
    return parsed.replace(tzinfo=UTC) if isinstance(parsed, datetime) else parsed


def wire_time(moment: datetime) -> str:
    """`moment` as the reference writes times: UTC, microseconds, no offset."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def wire_seconds(moment: float) -> str:
    """The same of seconds since 1970."""
    return wire_time(datetime.fromtimestamp(moment, UTC))


def blank_is_none(value: object) -> object:
    """A field that was left empty."""
    return None if value == "" else value


def _password(secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    if secret is not None and info.context != STORED:
        syntax.mqtt_string(secret.get_secret_value(), "password")
    return secret


def _private_key(secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    if secret is None or info.context == STORED or secret.get_secret_value() == MASK:
        return secret
    return SecretStr(syntax.private_key(secret.get_secret_value(), "client_key"))


def brought(secret: SecretStr | None) -> SecretStr | None:
    """A secret that a draft brings along; none where the stored one is meant."""
    return None if not secret or secret.get_secret_value() == MASK else secret


def _certificates(text: str, info: ValidationInfo) -> str:
    return text if info.context == STORED else syntax.certificates(text, str(info.field_name))


def _masked(secret: SecretStr | None) -> str | None:
    return MASK if secret else None


def _name(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("name is empty: give it at least one character")
    if any(not character.isprintable() for character in text):
        raise ValueError("name contains a control character: remove it")
    return text


Timestamp = Annotated[
    datetime,
    BeforeValidator(_utc),
    PlainSerializer(wire_time, return_type=str, when_used="json"),
]
Secret = Annotated[
    SecretStr | None,
    BeforeValidator(blank_is_none),
    PlainSerializer(_masked, return_type=str | None),
]
Password = Annotated[Secret, AfterValidator(_password)]
CertificatePem = Annotated[
    Annotated[str, Field(max_length=MAX_PEM), AfterValidator(_certificates)] | None,
    BeforeValidator(blank_is_none),
]
"""One or more certificates as PEM text, so that they mean the same on any machine. What else is
in the text is dropped, so that a private key never comes along."""
PrivateKey = Annotated[Secret, AfterValidator(_private_key)]
Name = Annotated[str, Field(max_length=MAX_NAME), checked(_name)]
Description = Annotated[
    str,
    Field(max_length=MAX_DESCRIPTION),
    checked(partial(syntax.mqtt_string, noun="description")),
]
Topic = Annotated[str, checked(syntax.topic_filter)]
TopicName = Annotated[str, checked(partial(syntax.topic_name, noun="topic"))]
ApplicationId = Annotated[
    Annotated[str, checked(syntax.application_id)] | None, BeforeValidator(blank_is_none)
]
