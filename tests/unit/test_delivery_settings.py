"""The `[delivery]` tables: what they take, what they refuse, and that they keep secrets."""

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from cortex_tui.delivery_settings import DeliverySettings, mail_address, signing_key

FULL: dict[str, Any] = {
    "email": {
        "host": "smtp.example.com",
        "username": "cortex",
        "password": "hunter2-mail",
        "sender": "Cortex <cortex@example.com>",
        "recipients": ["ops@example.com"],
    },
    "activate_policy": {
        "url": "https://policies.example.com/activate",
        "headers": {"Authorization": "Bearer hunter2-header"},
        "secret": "whsec_aHVudGVyMg==",
    },
    "webhook": {"url": "http://127.0.0.1:9000/hook", "secret": "hunter2-text"},
    "publish": {"concurrency": 2},
    "max_attempts": 3,
}


def test_a_full_configuration_is_taken_and_shows_no_secret() -> None:
    settings = DeliverySettings.model_validate(FULL)
    assert settings.email is not None
    assert (settings.email.port, settings.email.security) == (587, "starttls")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump())
    assert "aHVudGVyMg" not in settings.model_dump_json()


def test_nothing_is_configured_by_itself() -> None:
    delivery = DeliverySettings()
    assert (delivery.email, delivery.activate_policy, delivery.webhook, delivery.publish) == (
        None,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("email", {"password": None}, "username and password belong together"),
        ("email", {"sender": "nobody"}, "is no e-mail address"),
        ("email", {"recipients": ["a@b", "a@b, c@d"]}, "is no e-mail address"),
        ("email", {"host": "smtp://x"}, "host contains a scheme"),
        ("email", {"security": "ssl"}, "'starttls', 'tls' or 'none'"),
        ("email", {"pasword": "x"}, "not permitted"),
        ("webhook", {"url": "example.com/hook"}, "write https://host/path"),
        ("webhook", {"url": "ftp://example.com"}, "write https://host/path"),
        ("webhook", {"url": "https://me:hunter2@example.com"}, "put an Authorization in headers"),
        ("webhook", {"url": "https://example.com:99999"}, "a port that cannot be"),
        ("webhook", {"url": "https://example.com:0"}, "a port that cannot be"),
        ("webhook", {"url": "https://a..b/"}, "no valid host"),
        ("webhook", {"url": "https://example.com/a b"}, "a space"),
        ("webhook", {"headers": {"A B": "x"}}, "is no header name"),
        ("webhook", {"headers": {"Webhook-Id": "x"}}, "is set by Cortex itself"),
        ("webhook", {"headers": {"Transfer-Encoding": "chunked"}}, "is set by Cortex itself"),
        ("webhook", {"headers": {"X": "a\r\nhunter2: b"}}, "beyond printable ASCII"),
        ("webhook", {"secret": ""}, "secret is empty"),
        ("webhook", {"secret": "whsec_hunter2!"}, "is not base64"),
        ("webhook", {"secret": "whsec_hünter2"}, "is not base64"),
        ("webhook", {"timeout": 0}, "greater than 0"),
    ],
)
def test_a_mistake_is_refused_without_repeating_it(
    table: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        DeliverySettings.model_validate({**FULL, table: {**FULL[table], **change}})
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "key"), [("plain text", b"plain text"), ("whsec_aHVudGVyMg==", b"hunter2")]
)
def test_a_signing_secret_is_text_or_base64(secret: str, key: bytes) -> None:
    assert signing_key(SecretStr(secret)) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a@",
        "@b",
        "a b@c",
        "a@b, c@d",
        "X <a@b> y",
        "a@b\nBcc: c@d",
        "a@b\x00",
        "ü@b",
        "a" * 600 + "@b",
        "undisclosed:;",
        "a@b..c",
        "a@-b",
        "<a@b",
        "a@" + "b" * 64,
    ],
)
def test_what_is_no_single_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no e-mail address"):
        mail_address(text)


def test_an_address_may_have_a_name() -> None:
    address = mail_address("Ann Ö <ann@example.com>")
    assert (address.display_name, address.addr_spec) == ("Ann Ö", "ann@example.com")
