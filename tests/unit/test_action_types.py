"""What is said of an action that looks like a slip."""

from typing import Any

import orjson
import pytest

from cortex_tui.action_types import FIELDS, slips
from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.local.actions import compile_action
from cortex_tui.models import Action


def told(**action: Any) -> list[tuple[str, str | None]]:
    return list(slips([Action.model_validate(action)]))


@pytest.mark.parametrize(
    ("action", "unknown", "meant"),
    [
        ({"type": "webhok"}, "unknown type 'webhok'", "webhook"),
        ({"type": "conditional_emial"}, "unknown type 'conditional_emial'", "conditional_email"),
        ({"type": "send_fax", "to": "x"}, "unknown type 'send_fax'", None),
        ({"type": "record", "parms": {}}, "record takes no 'parms'", "params"),
        ({"type": "webhook", "conditon": "true"}, "webhook takes no 'conditon'", "condition"),
        ({"type": "webhook", "template": "x"}, "webhook takes no 'template'", None),
        ({"type": "record", "\x1b[2J": 1}, r"record takes no '\x1b[2J'", None),
    ],
)
def test_a_slip_is_told(action: dict[str, Any], unknown: str, meant: str | None) -> None:
    assert told(**action) == [(f"action 1: {unknown}", meant)]


def test_each_is_told_by_its_position() -> None:
    actions = [Action(type="record"), Action(type="x"), Action.model_validate({"type": "y"})]
    assert [slip.unknown.partition(":")[0] for slip in slips(actions)] == ["action 2", "action 3"]


@pytest.mark.parametrize("kind", FIELDS)
def test_what_is_known_is_what_the_orchestrator_takes(kind: str) -> None:
    mail = {"template": "t", "recipients": ["a@b.c"]}
    message = {"topic": "a/b", "payload": "x", "qos": 1, "retain": True}
    every: dict[str, Any] = {**mail, **message, "params": {"a": 1}}
    given = {key: every[key] for key in FIELDS[kind]}
    assert told(type=kind, condition="true", **given) == []
    content = compile_action(Action(type=kind, **given), DeliverySettings()).prepare({}).content
    assert content is not None
    assert orjson.loads(content).keys() == given.keys()
