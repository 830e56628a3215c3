"""Rejections in the reference's words: every constraint of the models, and never the input."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cortex_tui.backend import FieldProblem
from cortex_tui.models import (
    ConfigDraft,
    ConnectionTest,
    Model,
    ProductChange,
    ProductDraft,
    SubscriptionChange,
    SubscriptionDraft,
)
from cortex_tui.server import examples
from cortex_tui.server.vocabulary import rejection, request_problems

BROKER = {"host": "localhost", "port": 1883}


def rejections(kind: type[Model], body: object) -> list[dict[str, Any]]:
    """What the server answers to `body`, as FastAPI reports its errors."""
    try:
        kind.model_validate(body)
    except ValidationError as error:
        found = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        return [rejection(problem) for problem in request_problems(found)]
    return []


def broker(**values: object) -> dict[str, Any]:
    return {"broker": {**BROKER, **values}, "topics": {}}


def topics(**values: object) -> dict[str, Any]:
    return {"broker": BROKER, "topics": values}


CASES: list[tuple[type[Model], object, str, str, str]] = [
    (ConfigDraft, {"broker": {}, "topics": {}}, "broker.host", "field required", "missing"),
    (ConfigDraft, {"broker": BROKER}, "topics", "field required", "missing"),
    (
        ConfigDraft,
        broker(port=70_000),
        "broker.port",
        "ensure this value is less than or equal to 65535",
        "number.not_le",
    ),
    (
        ConfigDraft,
        broker(port=0),
        "broker.port",
        "ensure this value is greater than or equal to 1",
        "number.not_ge",
    ),
    (
        ConfigDraft,
        broker(keep_alive=65_536),
        "broker.keep_alive",
        "ensure this value is less than or equal to 65535",
        "number.not_le",
    ),
    (
        ConfigDraft,
        broker(keep_alive=-1),
        "broker.keep_alive",
        "ensure this value is greater than or equal to 0",
        "number.not_ge",
    ),
    (
        ConfigDraft,
        topics(qos=3),
        "topics.qos",
        "ensure this value is less than or equal to 2",
        "number.not_le",
    ),
    (
        ProductDraft,
        {"name": "x" * 201},
        "name",
        "ensure this value has at most 200 characters",
        "any_str.max_length",
    ),
    (
        SubscriptionChange,
        {"description": "x" * 2_001},
        "description",
        "ensure this value has at most 2000 characters",
        "any_str.max_length",
    ),
    (
        SubscriptionChange,
        {"actions": [{"type": ""}]},
        "actions.0.type",
        "ensure this value has at least 1 characters",
        "any_str.min_length",
    ),
    (
        SubscriptionChange,
        {"actions": [{"type": "record"}] * 51},
        "actions",
        "ensure this value has at most 50 items",
        "list.max_items",
    ),
]

NULLS: list[tuple[type[Model], object, str]] = [
    (ConfigDraft, broker(host=None), "broker.host"),
    (ConfigDraft, broker(port=None), "broker.port"),
    (ConfigDraft, broker(verify_cert=None), "broker.verify_cert"),
    (ConfigDraft, {"broker": None, "topics": {}}, "broker"),
    (ConfigDraft, topics(shared_group=None), "topics.shared_group"),
    (SubscriptionChange, {"enabled": None}, "enabled"),
    (SubscriptionChange, {"actions": None}, "actions"),
]

TYPES: list[tuple[type[Model], object, str, str, str]] = [
    (ConfigDraft, broker(port="x"), "broker.port", "value is not a valid integer", "integer"),
    (ConfigDraft, broker(port=1.5), "broker.port", "value is not a valid integer", "integer"),
    (ConfigDraft, broker(port=[]), "broker.port", "value is not a valid integer", "integer"),
    (
        ConfigDraft,
        broker(port=float("inf")),
        "broker.port",
        "value is not a valid integer",
        "integer",
    ),
    (
        ConfigDraft,
        broker(use_tls="perhaps"),
        "broker.use_tls",
        "value could not be parsed to a boolean",
        "bool",
    ),
    (
        ConfigDraft,
        broker(clean_session={}),
        "broker.clean_session",
        "value could not be parsed to a boolean",
        "bool",
    ),
    (ConfigDraft, broker(host=5), "broker.host", "str type expected", "str"),
    (ConfigDraft, broker(password=5), "broker.password", "str type expected", "str"),
    (ConfigDraft, {"broker": 5, "topics": {}}, "broker", "value is not a valid dict", "dict"),
    (ConfigDraft, [], "", "value is not a valid dict", "dict"),
    (
        SubscriptionChange,
        {"actions": [{"type": "x", "params": 5}]},
        "actions.0.params",
        "value is not a valid dict",
        "dict",
    ),
    (SubscriptionChange, {"actions": 5}, "actions", "value is not a valid tuple", "tuple"),
    *(
        (kind, body, where, "none is not an allowed value", "none.not_allowed")
        for kind, body, where in NULLS
    ),
]


@pytest.mark.parametrize(
    ("kind", "body", "where", "message", "word"),
    [(*case[:4], f"value_error.{case[4]}") for case in CASES]
    + [(*case[:4], f"type_error.{case[4]}") for case in TYPES],
)
def test_each_constraint_has_its_word(
    kind: type[Model], body: object, where: str, message: str, word: str
) -> None:
    loc = ["body", *(int(part) if part.isdigit() else part for part in where.split(".") if part)]

    assert rejections(kind, body) == [{"loc": loc, "msg": message, "type": word}]


def test_the_examples_of_the_reference() -> None:
    too_large = rejections(ConfigDraft, broker(port=70_000))
    without_host = rejections(ConfigDraft, {"broker": {"port": 1883}, "topics": {}})

    assert {"detail": too_large} == examples.PORT_TOO_LARGE
    assert {"detail": without_host} == examples.HOST_MISSING


def test_our_own_rules_keep_their_message() -> None:
    (found,) = rejections(ConfigDraft, topics(shared_group="a/b"))

    assert found["type"] == "value_error"
    assert found["msg"].startswith("shared_group contains '/'")


def test_what_another_orchestrator_said_passes_through() -> None:
    said = FieldProblem(("broker", "port"), "ensure it is odd", "value_error.number.not_odd")

    assert rejection(said) == {
        "loc": ["broker", "port"],
        "msg": "ensure it is odd",
        "type": "value_error.number.not_odd",
    }


SECRET = "hunter2-äöü"
ANYTHING = st.recursive(
    st.sampled_from([SECRET, f"mqtt://u:{SECRET}@h", f"{SECRET}:1883", f"a/{SECRET}", 7.5, -1, {}]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)


def bodies(kind: type[Model]) -> st.SearchStrategy[dict[str, Any]]:
    broker_fields = st.sampled_from(["host", "port", "username", "password"])
    topics_fields = st.sampled_from(["prefix", "pattern", "shared_group"])
    parts = {
        "broker": st.dictionaries(broker_fields, ANYTHING),
        "topics": st.dictionaries(topics_fields, ANYTHING),
    }
    return st.fixed_dictionaries(
        {}, optional={name: parts.get(name, ANYTHING) | ANYTHING for name in kind.model_fields}
    )


@pytest.mark.parametrize(
    "kind", [ConfigDraft, ConnectionTest, ProductDraft, ProductChange, SubscriptionDraft]
)
@given(data=st.data())
def test_no_rejection_echoes_its_input(kind: type[Model], data: st.DataObject) -> None:
    found = rejections(kind, data.draw(bodies(kind)))

    assert SECRET not in json.dumps(found, ensure_ascii=False)
    for each in found:
        assert set(each) == {"loc", "msg", "type"}
        assert re.match(r"(value|type)_error(\.|$)", each["type"])
