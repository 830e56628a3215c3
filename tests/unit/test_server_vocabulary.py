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
    SubscriptionDraft,
)
from cortex_tui.server import examples
from cortex_tui.server.vocabulary import rejection, request_problems
from tests.rejections import REJECTIONS, broker, location, topics


def rejections(kind: type[Model], body: object) -> list[dict[str, Any]]:
    """What the server answers to `body`, as FastAPI reports its errors."""
    try:
        kind.model_validate(body)
    except ValidationError as error:
        found = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        return [rejection(problem) for problem in request_problems(found)]
    return []


@pytest.mark.parametrize(("kind", "body", "where", "message", "word"), REJECTIONS)
def test_each_constraint_has_its_word(
    kind: type[Model], body: object, where: str, message: str, word: str
) -> None:
    expected = {"loc": location(where), "msg": message, "type": word}

    assert rejections(kind, body) == [expected]


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
