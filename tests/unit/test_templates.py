"""Templates: what `{{path}}` becomes, what cannot be filled in, and what cannot be read."""

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_tui.local.paths import EvaluationError, ExpressionError
from cortex_tui.local.templates import MAX_DEPTH, MAX_RENDERED, compile_template

PAYLOAD: dict[str, Any] = {
    "event": "policy_created",
    "policy_id": "POL-1",
    "premium": 120.5,
    "parts": [{"sku": "A"}, {"sku": "Ü"}],
    "paid": False,
    "note": None,
    "order-id": 7,
}


def render(template: Any, payload: Any = PAYLOAD) -> Any:
    return compile_template(template).render(payload)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{event.policy_id}}", "POL-1"),
        ("{{premium}}", 120.5),
        ("{{ paid }}", False),
        ("{{note}}", None),
        ("{{parts}}", [{"sku": "A"}, {"sku": "Ü"}]),
        ("{{parts[1].sku}}", "Ü"),
        ("{{ event['order-id'] }}", 7),
        (" {{paid}}", " false"),
        ("{{policy_id}}/{{premium}}", "POL-1/120.5"),
        ("{{paid}}{{note}}", "falsenull"),
        ("parts: {{parts}}", 'parts: [{"sku":"A"},{"sku":"Ü"}]'),
        ("no braces", "no braces"),
        ("{ {policy_id} } }}", "{ {policy_id} } }}"),
        ("", ""),
        (5, 5),
        (None, None),
        (
            {"{{policy_id}}": ["{{policy_id}}", 1, {"x": "{{paid}}"}]},
            {"{{policy_id}}": ["POL-1", 1, {"x": False}]},
        ),
    ],
)
def test_a_template_is_filled_in(template: Any, expected: Any) -> None:
    result = render(template)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize("template", ["{{event.refund.id}}", "to {{event.refund.id}}"])
def test_a_missing_path_is_an_error_that_names_it(template: str) -> None:
    with pytest.raises(EvaluationError, match=r"^event\.refund\.id is missing from the event$"):
        render({"id": [template]})


@pytest.mark.parametrize(
    ("template", "position", "message"),
    [
        ("{{", 0, "the {{ is not closed: add }}"),
        ("ab {{policy_id} c", 3, "the {{ is not closed"),
        ("{{a}} {{b", 6, "the {{ is not closed"),
        ("{{}}", 2, "expected a path such as event.policy_id after {{"),
        ("{{ 'a' }}", 3, "expected a path"),
        ("{{{a}}}", 2, "expected a path"),
        ("{{a|upper}}", 3, "expected }} after a"),
        ("{{a b}}", 4, "expected }} after a"),
        ("{{a.}}", 4, "expected a name after '.'"),
        ("{{a['b}}", 4, "the string is not closed"),
    ],
)
def test_an_error_says_where(template: str, position: int, message: str) -> None:
    with pytest.raises(ExpressionError, match=r"^character") as caught:
        compile_template({"fields": ["fine", template]})
    assert message in caught.value.message
    assert caught.value.position == position
    assert caught.value.location == ("fields", 1)


def test_depth_is_bounded() -> None:
    template: Any = "{{paid}}"
    for _ in range(MAX_DEPTH):
        template = [template]
    assert compile_template(template)
    with pytest.raises(ExpressionError, match="more than 50 levels deep"):
        compile_template([template])


@pytest.mark.parametrize("template", [["{{a}}"] * 3, "{{a}}{{a}}{{a}}", ["{{event}}"] * 3])
def test_an_event_cannot_grow_without_bound(template: Any) -> None:
    payload = {"a": "x" * (MAX_RENDERED // 2 - 20)}
    with pytest.raises(EvaluationError, match="longer than 1,048,576 characters"):
        render(template, payload)
    render(template[:2] if isinstance(template, list) else template[:10], payload)


@pytest.mark.parametrize("template", ["{{a}}", "a: {{a}}"])
def test_what_json_cannot_nest_is_an_error(template: str) -> None:
    deep: list[Any] = []
    for _ in range(1_000):
        deep = [deep]
    with pytest.raises(EvaluationError, match="a is nested too deep"):
        render(template, {"a": deep})


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="{"))
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT | st.floats(-9, 9)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=10
)


@given(JSON)
def test_a_lone_path_keeps_the_value_and_its_type(value: Any) -> None:
    assert orjson.dumps(render("{{a}}", {"a": value})) == orjson.dumps(value)


@given(TEXT, JSON, TEXT)
def test_within_text_everything_but_a_string_is_json(before: str, value: Any, after: str) -> None:
    rendered = render(f"{before}.{{{{a}}}}{after}", {"a": value})
    written = rendered[len(before) + 1 : len(rendered) - len(after)]
    assert rendered == f"{before}.{written}{after}"
    assert written == value if isinstance(value, str) else json.loads(written) == value


@given(JSON, JSON)
def test_rendering_changes_nothing_it_was_given(template: Any, payload: Any) -> None:
    compiled = compile_template(["{{event}}", template])
    before = copy.deepcopy(payload)
    assert compiled.render(payload) == [payload, template]
    assert payload == before


@given(st.text(st.sampled_from("{}ab.[0]'| "), max_size=30))
def test_any_text_compiles_or_is_refused_with_its_position(text: str) -> None:
    try:
        compile_template(text)
    except ExpressionError as refused:
        error: ExpressionError | None = refused
    else:
        error = None
    assert error is None or (0 <= error.position <= len(text) and error.location == ())
