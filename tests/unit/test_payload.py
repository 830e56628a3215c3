"""Payloads as a person reads them: every JSON keeps its meaning, and everything else its text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_tui.widgets.payload import MAX_LINES, laid_out, readable
from cortex_tui.widgets.text import LITERAL, NAME, QUOTED

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def text_of(payload: str) -> str:
    return "\n".join(line.plain for line in readable(payload))


@given(JSON, st.sampled_from([None, 2]))
def test_what_is_laid_out_means_the_same(value: object, indent: int | None) -> None:
    written = json.dumps(value, ensure_ascii=False, indent=indent)
    assert json.loads(laid_out(written)) == value


@given(JSON.filter(lambda value: isinstance(value, dict | list)))
def test_it_is_laid_out_as_everybody_does(value: object) -> None:
    assert laid_out(json.dumps(value)) == json.dumps(value, indent=2)


def test_nothing_is_altered_on_the_way() -> None:
    assert text_of('{"n":1.10,"n":1e999,"big":12345678901234567890}') == (
        '{\n  "n": 1.10,\n  "n": 1e999,\n  "big": 12345678901234567890\n}'
    )


@given(st.text(), st.integers(0, 40))
def test_anything_can_be_read(text: str, cut: int) -> None:
    for payload in (text, "{" + text, '{"a": [1, {"b": "c\\"d"}]}'[:cut]):
        for line in readable(payload):
            assert line.plain.isprintable()


def test_names_strings_and_the_rest_differ() -> None:
    [_, line, _] = readable('{"a": ["x", true]}'.replace('["x", true]', '"x"'))
    assert [span.style for span in line.spans] == [NAME, QUOTED]
    [_, line, _] = readable('{"a": true}')
    assert [span.style for span in line.spans] == [NAME, LITERAL]


@pytest.mark.parametrize(
    "payload",
    [
        "[" * 1_000_000,
        '{"a":' * 200_000,
        '"' + "x" * 1_000_000,
        "[" + "1," * 500_000,
        "x\n" * 500_000,
        "[" + '"' * 500_000,
        "[" + "\\" * 1_000_000,
    ],
    ids=range(7),
)
def test_what_is_huge_ends(payload: str) -> None:
    count = sum(1 for _ in readable(payload))
    assert count <= MAX_LINES + 1
