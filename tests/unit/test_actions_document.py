"""docs/actions.md: what it shows is true."""

import hmac
import json
import re
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from cortex_tui.action_types import FIELDS, slips
from cortex_tui.delivery_settings import (
    DeliverySettings,
    EmailSettings,
    HttpSettings,
    PublishSettings,
    Section,
    signing_key,
)
from cortex_tui.local import jobs, outbox, retries
from cortex_tui.local.actions import MAX_RECIPIENTS, compile_action
from cortex_tui.local.mail import MailError, MailTemplates
from cortex_tui.local.web_target import signature
from cortex_tui.models import MAX_ACTIONS, SubscriptionDraft

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "actions.md").read_text(encoding="utf-8")
CONDITIONS = (DOCS / "conditions.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_configuration_is_taken() -> None:
    [shown] = blocks("toml")
    delivery = DeliverySettings.model_validate(tomllib.loads(shown)["delivery"])
    assert None not in (delivery.email, delivery.activate_policy, delivery.webhook)
    assert delivery.publish is not None


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("`[delivery]`", DeliverySettings),
        ("`[delivery.email]`", EmailSettings),
        ("`[delivery.activate_policy]` and `[delivery.webhook]`", HttpSettings),
        ("`[delivery.publish]`", PublishSettings),
    ],
)
def test_every_key_is_there_with_its_default(heading: str, section: type[Section]) -> None:
    table = TEXT.split(f"\n{heading}\n", 1)[1].strip().split("\n\n", 1)[0]
    rows = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    shown = {key: default.strip() for keys, default in rows for key in re.findall(r"`(\w+)`", keys)}
    tables = {"email", "activate_policy", "webhook", "publish"}
    fields = {
        name: field
        for name, field in section.model_fields.items()
        if section is not DeliverySettings or name not in tables
    }
    assert shown.keys() == fields.keys()
    for name, field in fields.items():
        if name != "templates":
            assert shown[name].strip("`") == _default(field.get_default())


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    return "none" if value in (None, (), {}) else str(value).removesuffix(".0")


def test_every_type_is_there_with_its_fields() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`.*?`) \|", TEXT.partition("## Where they go")[0], re.M)
    assert {kind: tuple(re.findall(r"`(\w+)`", fields)) for kind, fields in rows} == FIELDS


@pytest.mark.parametrize("shown", [*blocks("json"), *blocks("json", CONDITIONS)])
def test_every_example_can_be_copied_into_the_field_and_saved(shown: str) -> None:
    draft = SubscriptionDraft.model_validate({"name": "copied", "actions": json.loads(shown)})
    for action in draft.actions:
        compile_action(action, DeliverySettings())
    assert not list(slips(draft.actions))


@pytest.mark.parametrize(
    ("payload", "written"),
    [
        ({"customer": {"name": "Ann"}}, ["Ann", "Ann"]),
        ({"customer": {}}, ["customer", "customer"]),
        ({}, [None, "customer"]),
    ],
)
def test_a_template_allows_for_what_is_missing_as_it_says(
    tmp_path: Path, payload: dict[str, Any], written: list[str | None]
) -> None:
    shown = re.findall(r"`({{ [^`]*default[^`]* }})`", TEXT)
    (tmp_path / "shown.subject.txt").touch()
    for template, expected in zip(shown, written, strict=True):
        (tmp_path / "shown.txt").write_text(template)
        if expected is not None:
            assert MailTemplates(tmp_path).render("shown", payload, {}).text == expected
        else:
            with pytest.raises(MailError, match="'customer' is undefined"):
                MailTemplates(tmp_path).render("shown", payload, {})


@pytest.mark.parametrize("secret", ["a text", "whsec_YSBrZXk="])
def test_a_receiver_can_check_a_request_as_it_says(secret: str) -> None:
    [shown] = blocks("python")
    room: dict[str, Any] = {}
    exec(shown, room)
    is_genuine, body, now = room["is_genuine"], b'{"id": 1}', datetime.now(UTC)
    headers = signature(signing_key(SecretStr(secret)), "key", now, body)
    assert is_genuine(headers, body, secret)
    assert not is_genuine(headers, body + b" ", secret)
    assert not is_genuine(headers, body, f"{secret[:-1]}a")
    assert not is_genuine({**headers, "webhook-id": "other"}, body, secret)
    old = datetime.fromtimestamp(time.time() - 400, UTC)
    assert not is_genuine(signature(signing_key(SecretStr(secret)), "key", old, body), body, secret)
    assert hmac.compare_digest(headers["webhook-id"], "key")


def test_the_numbers_are_those_of_the_program() -> None:
    mib = 1_048_576
    for told in (
        f"up to {MAX_ACTIONS} actions",
        f"at most {MAX_RECIPIENTS} addresses",
        f"after {retries.FIRST_DELAY:g} s, then 2, 4, 8 … up to {retries.LONGEST_DELAY:g}",
        f"After {retries.FAILURES_TO_OPEN} failures in a row",
        f"left alone for {retries.FIRST_PAUSE:g} s",
        f"up to {retries.LONGEST_PAUSE:g} s",
        f"the last {jobs.MAX_FAILURES}",
        f"newest {outbox.MAX_KEPT:,} actions",
        f"at most {outbox.MAX_KEPT_BYTES // mib} MiB",
        f"newest {outbox.MAX_DEAD:,} dead letters ({outbox.MAX_DEAD_BYTES // mib} MiB)",
        f"than {outbox.MAX_PENDING:,} actions ({outbox.MAX_PENDING_BYTES // mib // 1024} GiB",
    ):
        assert told in " ".join(TEXT.split())
