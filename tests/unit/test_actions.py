"""Actions: what is compiled, what is refused and where, and what an event makes of them."""

from typing import Any

import orjson
import pytest

from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.events import JobState
from cortex_tui.local.actions import (
    ActionError,
    compile_action,
    compile_stored,
    idempotency_key,
    target_name,
)
from cortex_tui.models import Action

NOWHERE = DeliverySettings()
EVERYWHERE = DeliverySettings.model_validate(
    {
        "email": {"host": "localhost", "sender": "cortex@example.com"},
        "activate_policy": {"url": "http://localhost/policies"},
        "webhook": {"url": "http://localhost/hook"},
        "publish": {},
    }
)
EVENT = {"event": "policy_created", "policy_id": "POL-1", "to": ["a@example.com"], "paid": True}


def action(**fields: Any) -> Action:
    return Action.model_validate(fields)


def content(**fields: Any) -> Any:
    rendered = compile_action(action(**fields), EVERYWHERE).prepare(EVENT).content
    assert rendered is not None
    return orjson.loads(rendered)


def test_the_actions_of_the_reference() -> None:
    activate = action(type="activate_policy", params={"policy_id": "{{event.policy_id}}"})
    email = action(
        type="conditional_email", condition="event.sendEmail == true", template="policy_activated"
    )
    prepared = compile_action(activate, EVERYWHERE).prepare(EVENT)
    assert prepared.state is JobState.PENDING
    assert orjson.loads(prepared.content or b"") == {"params": {"policy_id": "POL-1"}}
    compiled = compile_action(email, EVERYWHERE)
    assert compiled.condition is not None
    assert compiled.condition.holds({"sendEmail": True}) is True
    assert orjson.loads(compiled.source) == email.model_dump()
    assert orjson.loads(compiled.prepare(EVENT).content or b"") == {
        "template": "policy_activated",
        "recipients": [],
        "params": {},
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "activate_policy"},
        {"type": "conditional_email", "template": "x"},
        {"type": "webhook"},
        {"type": "publish", "topic": "a"},
    ],
)
def test_what_is_not_configured_is_recorded_and_not_sent(fields: dict[str, Any]) -> None:
    compiled = action(**fields)
    assert compile_action(compiled, NOWHERE).prepare(EVENT).state is JobState.RECORDED
    assert compile_action(compiled, EVERYWHERE).prepare(EVENT).state is JobState.PENDING


def test_record_is_always_recorded() -> None:
    prepared = compile_action(action(type="record"), EVERYWHERE).prepare(EVENT)
    assert prepared.state is JobState.RECORDED


def test_a_publish_action_has_a_topic_and_what_goes_there() -> None:
    assert content(type="publish", topic="out/{{policy_id}}", payload={"paid": "{{paid}}"}) == {
        "topic": "out/POL-1",
        "payload": {"paid": True},
        "qos": 1,
        "retain": False,
    }
    assert "payload" not in content(type="publish", topic="out", qos=2, retain=True)


def test_recipients_may_be_one_text_or_lead_to_a_list() -> None:
    email = {"type": "conditional_email", "template": "x"}
    assert content(**email, recipients="a@b.example")["recipients"] == ["a@b.example"]
    assert content(**email, recipients=["{{to}}"])["recipients"] == [["a@example.com"]]


def test_a_missing_path_fails_the_action_and_names_it() -> None:
    compiled = compile_action(action(type="webhook", params={"id": "{{nothing.id}}"}), EVERYWHERE)
    prepared = compiled.prepare(EVENT)
    assert (prepared.state, prepared.content) == (JobState.DEAD, None)
    assert prepared.problem == "nothing.id is missing from the event"


def test_a_value_beyond_what_json_can_hold_fails_the_action() -> None:
    deep: list[Any] = []
    for _ in range(252):
        deep = [deep]
    prepared = compile_action(
        action(type="webhook", params={"a": {"b": ["{{deep}}"]}}), EVERYWHERE
    ).prepare({"deep": deep})
    assert (prepared.state, prepared.content) == (JobState.DEAD, None)
    assert prepared.problem == "a value is nested too deep to be written as JSON"


def test_an_unknown_type_is_kept_and_fails() -> None:
    compiled = compile_action(action(type="launch_rocket", fuel={"tons": 3}), EVERYWHERE)
    assert orjson.loads(compiled.source) == {"type": "launch_rocket", "fuel": {"tons": 3}}
    prepared = compiled.prepare(EVENT)
    assert (prepared.state, prepared.problem) == (
        JobState.DEAD,
        "unknown action type 'launch_rocket'",
    )


@pytest.mark.parametrize(
    ("fields", "location", "message"),
    [
        (
            {"type": "webhook", "condition": "a = 1"},
            ("condition",),
            "character 3: found '=': use == to compare",
        ),
        ({"type": "unknown", "condition": ""}, ("condition",), "the condition is empty"),
        (
            {"type": "webhook", "params": {"a": ["{{b"]}},
            ("params", "a", 0),
            "the {{ is not closed",
        ),
        ({"type": "conditional_email"}, ("template",), "needs the name of an e-mail template"),
        ({"type": "conditional_email", "template": "../x"}, ("template",), "needs the name"),
        ({"type": "conditional_email", "template": "{{x}}"}, ("template",), "needs the name"),
        (
            {"type": "conditional_email", "template": "x", "recipients": ["a@b", "nobody"]},
            ("recipients", 1),
            "is no e-mail address",
        ),
        (
            {"type": "conditional_email", "template": "x", "recipients": ["{{to}", "a@b"]},
            ("recipients", 0),
            "the {{ is not closed",
        ),
        (
            {"type": "conditional_email", "template": "x", "recipients": {"to": 1}},
            ("recipients",),
            "is no list of addresses",
        ),
        (
            {"type": "conditional_email", "template": "x", "recipients": ["a@b"] * 51},
            ("recipients",),
            "has more than 50 addresses",
        ),
        ({"type": "publish"}, ("topic",), "needs the topic"),
        ({"type": "publish", "topic": "a/#"}, ("topic",), "topic contains a wildcard"),
        ({"type": "publish", "topic": "a", "qos": 3}, ("qos",), "give 0, 1 or 2"),
        ({"type": "publish", "topic": "a", "qos": True}, ("qos",), "give 0, 1 or 2"),
        ({"type": "publish", "topic": "a", "retain": 1}, ("retain",), "neither true nor false"),
    ],
)
def test_what_can_never_work_is_refused_with_its_place(
    fields: dict[str, Any], location: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(ActionError) as caught:
        compile_action(action(**fields), NOWHERE)
    assert caught.value.location == location
    assert message in str(caught.value)


def test_what_is_stored_and_can_never_work_fails_for_every_event() -> None:
    compiled = compile_stored(action(type="publish", topic="a/#"), EVERYWHERE)
    prepared = compiled.prepare(EVENT)
    assert prepared.state is JobState.DEAD
    assert prepared.problem is not None
    assert prepared.problem.startswith("topic: topic contains a wildcard")


def test_only_publishing_has_a_target_for_each_product() -> None:
    assert target_name("publish", 7) == "publish/7"
    assert target_name("webhook", 7) == "webhook"


def test_idempotency_keys_differ_by_event_product_subscription_and_position() -> None:
    keys = {
        idempotency_key(event, product, subscription, position)
        for event in ("a", "b", "1/1/a")
        for product in (1, 11)
        for subscription in (1, 11)
        for position in (0, 1)
    }
    assert len(keys) == 24
    assert idempotency_key("a", 1, 1, 0) == idempotency_key("a", 1, 1, 0)
    assert all(key.isalnum() and len(key) == 32 for key in keys)
