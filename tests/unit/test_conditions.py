"""Conditions: the grammar and its errors, the meaning, and CEL itself as the judge of it."""

import copy
import json
from typing import Any

import cel
import pytest
from hypothesis import assume, event, example, given
from hypothesis import strategies as st

from cortex_tui.local.condition_syntax import MAX_DEPTH, MAX_LENGTH
from cortex_tui.local.conditions import MAX_COMPARED, Seen, Term, compile_condition
from cortex_tui.local.paths import EvaluationError, ExpressionError

PAYLOAD: dict[str, Any] = {
    "event": "payment_marked_as_pending",
    "payment": {"status": "pending", "amount": 120.5, "lines": [{"sku": "A"}, {"sku": "B"}]},
    "sendEmail": True,
    "count": 3,
    "note": None,
    "order-id": "X-1",
    "tags": ["new", 1, True, None],
}


def holds(text: str, payload: Any = PAYLOAD) -> bool:
    return compile_condition(text).holds(payload)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("payment.status == 'pending'", True),
        ("event.sendEmail == true", True),
        ("event.sendEmail", True),
        ("not event.sendEmail", False),
        ("event.event == 'payment_marked_as_pending'", True),
        ("payment.amount > 100", True),
        ("payment.amount >= 120.5 and payment.amount < 121", True),
        ("count == 3.0", True),
        ("count == '3'", False),
        ("count != '3'", True),
        ("sendEmail == 1", False),
        ("sendEmail != 1", True),
        ("payment.lines[1].sku == 'B'", True),
        ("payment['status'] == \"pending\"", True),
        ("event['order-id'] == 'X-1'", True),
        ("payment == event.payment", True),
        ("payment.lines == [payment.lines[0], payment.lines[1]]", True),
        ("payment.status in ['paid', 'pending']", True),
        ("payment.status in ['paid', count]", False),
        ("note in ['paid', 'pending']", False),
        ("'new' in tags", True),
        ("1.0 in tags", True),
        ("false in tags", False),
        ("null in tags", True),
        ("'status' in payment", True),
        ("'pending' in payment", False),
        ("1 in payment", False),
        ("has(payment.status)", True),
        ("has(note)", True),
        ("has(payment.refund)", False),
        ("has(refund.amount.currency)", False),
        ("!has(payment.lines[2])", True),
        ("note == null", True),
        ("refund == null", True),
        ("refund.amount.currency == null", True),
        ("payment.status.length == null", True),
        ("payment.status[0] == null", True),
        ("payment.lines[2] == null", True),
        ("payment.lines.sku == null", True),
        ("tags['0'] == null", True),
        ("not count == 4", True),
        ("!sendEmail == false", True),
        ("false && true || true", True),
        ("true || true && false", True),
        ("(true || true) && false", False),
        ("'a' < 'b' and 'Z' < 'a'", True),
        ("(count == 3) == sendEmail", True),
        ("-1 < 0 && 1e3 == 1000", True),
        (" \n payment.status\t==\r\n'pending' ", True),
        (r"'\u0041\x42\103\t\'' == " + '"ABC\\t\'"', True),
        ("[1, 2,] == [1.0, 2.0] && [] == []", True),
    ],
)
def test_a_condition_holds_or_not(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("refund.amount > 100", "refund.amount is null and 100 is a number"),
        ("note < 'a'", "note is null"),
        ("payment.status > 100", "payment.status is a string and 100 is a number"),
        ("tags < tags", "tags is a list"),
        ("sendEmail > 0", "sendEmail is a boolean"),
        ("payment.status", "payment.status is a string, not true or false"),
        ("!refund.open", "refund.open is null, not true or false"),
        ("'p' in payment.status", "payment.status is a string: in looks in a list or an object"),
        ("'p' in refund", "refund is null"),
        ("note in payment", "note is null: payment is an object"),
        ("sendEmail && count", "count is a number, not true or false"),
        ("count || note", "count is a number"),
    ],
)
def test_what_cannot_be_evaluated_is_not_false(text: str, message: str) -> None:
    with pytest.raises(EvaluationError, match="^" + message.replace("(", r"\(")):
        holds(text)


@pytest.mark.parametrize(
    "text", ["count > 'a' || sendEmail", "sendEmail || count > 'a'", "!(count > 'a' && !sendEmail)"]
)
def test_an_operand_that_decides_outweighs_one_that_fails(text: str) -> None:
    assert holds(text) is True


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"event": {"paid": True}, "paid": False}, True),
        ({"event": "paid", "paid": True}, True),
        ({"event": ["paid"], "paid": True}, True),
        ({"paid": True}, True),
        ({"event": {}, "paid": True}, False),
    ],
)
def test_event_is_the_payload_or_its_event_object(payload: Any, expected: bool) -> None:
    assert holds("event.paid == true", payload) is expected


@pytest.mark.parametrize("payload", [[1], "text", 7, None, True])
def test_a_payload_that_is_no_object_has_no_names(payload: Any) -> None:
    assert holds("status == null and not has(event.status)", payload) is True
    assert holds("has(event[0])", payload) is isinstance(payload, list)


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("payment.status = 'x'", 15, "found '=': use == to compare"),
        ("a === 1", 2, "found '===': use == to compare"),
        ("a !== 1", 2, "use != to compare"),
        ("a <> 1", 2, "use != to compare"),
        ("a & b", 2, "use && or and"),
        ("a | b", 2, "use || or or"),
        ("a AND b", 2, "found AND: write and"),
        ("a == True", 5, "found True: write true"),
        ("a == None", 5, "found None: write null"),
        ("status == 'a' || 'b'", 17, "'b' is a string, not true or false: compare it"),
        ("'pending'", 0, "'pending' is a string"),
        ("![1]", 1, r"[1] is a list"),
        ("x in 'abc'", 5, "'abc' is no list"),
        ("amount > null", 9, "null has no order"),
        ("amount > [1]", 9, "[1] has no order"),
        ("1 < 2 < 3", 6, "found a second <: join two comparisons with &&"),
        ("a not in b", 2, "found not: write !(a in b)"),
        ("size(a) > 1", 0, "size is called: the only function is has(path)"),
        ("a.startsWith('x')", 0, "a.startsWith is called"),
        ("a + 1 == 2", 2, "a condition compares and does not calculate"),
        ("order-id == 1", 5, "a key such as order-id is written ['order-id']"),
        ("a ? b : c", 2, "a condition has no ? :"),
        ("a == {}", 5, "objects cannot be written"),
        ("a == ‘x’", 5, "use straight quotes"),
        ("a == 'x", 5, "the string is not closed: add ' at its end"),
        ('a == "x\n"', 5, "the string is not closed"),
        (r"a == 'x\q'", 7, r"the escape \q is unknown"),
        (r"a == '\ud800'", 6, r"\ud800 is no character"),
        ("a == 0x10", 5, "0x is no number"),
        ("a == 1u", 5, "1u is no number"),
        ("a == 1.", 5, "1. is no number"),
        ("a == .5", 5, "a number with a digit"),
        ("a == 18446744073709551616", 5, "is too large: whole numbers have 64 bits"),
        ("a == 1e999", 5, "1e999 is too large"),
        ("a ==", 4, "expected a value such as"),
        ("== a", 0, "expected a value such as"),
        ("a b", 2, "expected an operator such as == or && or the end, but found b"),
        ("(a", 2, "expected ) to close what was opened, but it ends here"),
        ("[1, 2", 5, "expected ] to close"),
        ("a)", 1, "expected an operator"),
        ("a[", 2, "expected a position, counted from 0, or a key in quotes"),
        ("a[-1] == 1", 2, "expected a position, counted from 0"),
        ("a['x' == 1", 5, "expected ']' after the key"),
        ("a. == 1", 2, "expected a name after '.'"),
        ("has a", 4, "expected ( after has"),
        ("has('a')", 4, "expected a path"),
        ("has(a == 1)", 6, "expected ) after the path"),
        ("a == \x1b[0m", 5, "found the character U+001B"),
        ("", 0, "the condition is empty"),
        (" \n", 0, "the condition is empty"),
        ("a" * (MAX_LENGTH + 1), MAX_LENGTH, "a condition has at most 2,000 characters"),
        ("(" * 51 + "a" + ")" * 51, 51, "more than 50 levels deep"),
        ("!" * 51 + "a", 51, "more than 50 levels deep"),
        ("not " * 51 + "a", 204, "more than 50 levels deep"),
        ("a in " + "[" * 51, 56, "more than 50 levels deep"),
    ],
)
def test_an_error_says_where_and_what_was_expected(text: str, position: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_condition(text)
    assert message in caught.value.message
    assert caught.value.position == position
    assert str(caught.value) == f"character {position + 1}: {caught.value.message}"


def test_the_limits_are_allowed() -> None:
    assert holds("(" * MAX_DEPTH + "true" + ")" * MAX_DEPTH)
    assert holds("true" + " " * (MAX_LENGTH - 4))
    assert holds(" && ".join(["count == 3"] * 142))


def test_work_is_bounded_and_python_s_stack_is_not_needed() -> None:
    wide = {"a": list(range(MAX_COMPARED + 1)), "b": list(range(MAX_COMPARED + 1))}
    for text in ("a == b", "-1 in a", "a in [b, b]"):
        with pytest.raises(EvaluationError, match="looks at 10,000 values at most"):
            holds(text, wide)
    assert holds("a != [1]", wide)
    assert holds("a == b", {name: items[:-1] for name, items in wide.items()})
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert holds("a == b", {"a": deep, "b": copy.copy(deep)})


def test_an_explanation_shows_every_term_and_what_it_saw() -> None:
    condition = compile_condition(
        "payment.status == 'paid' && (refund.amount > 10 || !has(note)) && sendEmail"
    )
    explanation = condition.explain(PAYLOAD)
    assert explanation.result is False
    assert explanation.error is None
    assert explanation.terms == (
        Term("payment.status == 'paid'", (Seen("payment.status", "pending", False),), False),
        Term(
            "refund.amount > 10",
            (Seen("refund.amount", None, True),),
            None,
            "refund.amount is null and 10 is a number: > compares two numbers or two strings",
        ),
        Term("has(note)", (Seen("note", None, False),), True),
        Term("sendEmail", (Seen("sendEmail", True, False),), True),
    )


def test_an_explanation_names_the_error_of_the_whole() -> None:
    explanation = compile_condition("refund.amount > count").explain(PAYLOAD)
    assert explanation.result is None
    assert explanation.error == explanation.terms[0].error
    assert [seen.path for seen in explanation.terms[0].seen] == ["refund.amount", "count"]


# -- against CEL ------------------------------------------------------------------------------
#
# What is left out of the comparison is what docs/conditions.md lists as different: paths that lead
# nowhere, whole numbers that a double cannot hold, and our own spellings.

KEYS = st.sampled_from(["a", "b", "status", "event"])
EXACT = 2**53
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers(-EXACT, EXACT)
    | st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "a", "status", "é", "\U0001f600", "￿"])
    | st.text(st.characters(codec="utf-8"), max_size=5)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=6
)
PAYLOADS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)


def written(value: Any) -> str:
    """A JSON value as a literal of both languages."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


def paths_of(value: Any, start: str) -> dict[str, Any]:
    """Every path that leads somewhere in `value`, and where it leads."""
    found = {start: value}
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths_of(inner, f"{start}.{key}")
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found |= paths_of(inner, f"{start}[{index}]")
    return found


def names_of(payload: dict[str, Any]) -> dict[str, Any]:
    own = payload.get("event")
    return {**payload, "event": own if isinstance(own, dict) else payload}


@st.composite
def expressions(draw: st.DrawFn, payload: dict[str, Any]) -> str:
    paths: dict[str, Any] = {}
    for key, value in names_of(payload).items():
        paths |= paths_of(value, key)
    objects = [path for path, value in paths.items() if isinstance(value, dict)]
    any_path = st.sampled_from(list(paths))
    fields = st.builds("{}.{}".format, st.sampled_from(objects), KEYS)
    literals = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
    constants = literals.map(written)
    operands = any_path | constants
    ordered = any_path | SCALARS.filter(lambda value: value is not None).map(written)
    containers = any_path | st.lists(operands, max_size=3).map(lambda of: f"[{', '.join(of)}]")

    terms = (
        st.builds("{} {} {}".format, operands, st.sampled_from(["==", "!="]), operands)
        | st.builds("{} {} {}".format, ordered, st.sampled_from(["<", "<=", ">", ">="]), ordered)
        | st.builds("{} in {}".format, operands, containers)
        | fields.map("has({})".format)
        | any_path
        | st.sampled_from(["true", "false"])
    )
    whole = st.recursive(
        terms,
        lambda inner: (
            inner.map("!({})".format)
            | st.builds("({}) {} ({})".format, inner, st.sampled_from(["==", "!="]), inner)
            | st.lists(inner, min_size=2, max_size=3).map(" && ".join)
            | st.lists(inner, min_size=2, max_size=3).map(lambda of: f"({' || '.join(of)})")
        ),
        max_leaves=5,
    )
    return draw(whole)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    payload = draw(PAYLOADS)
    return payload, draw(expressions(payload))


def judged(text: str, payload: dict[str, Any]) -> bool | None:
    """What CEL says; none is an error."""
    try:
        result = cel.evaluate(text, names_of(payload))
    except (TypeError, RuntimeError, KeyError, IndexError):
        return None
    return result if isinstance(result, bool) else None


def ours(text: str, payload: Any) -> bool | None:
    try:
        return holds(text, payload)
    except EvaluationError:
        return None


@given(cases())
@example(({"a": True}, "a == 1 || [a] == [1] || a in [1]"))
@example(({"a": [1, 1.0, {"b": None}]}, "a[0] == a[1] && a == [1.0, 1, a[2]]"))
@example(({"a": "￿"}, "a < '\U0001f600'"))
def test_cel_agrees(case: tuple[dict[str, Any], str]) -> None:
    payload, text = case
    expected = judged(text, payload)
    event(f"CEL says {expected}")
    assert ours(text, payload) is expected


# -- laws -------------------------------------------------------------------------------------

OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in"])
ANY_PATH = st.sampled_from(["a", "b.a", "a[0]", "event.status", "a['b'].status", "nothing"])


@given(PAYLOADS, ANY_PATH, ANY_PATH)
def test_equality_is_symmetric_and_its_negation_exact(payload: Any, a: str, b: str) -> None:
    assert holds(f"{a} == {a}", payload)
    assert ours(f"{a} == {b}", payload) is ours(f"{b} == {a}", payload)
    assert ours(f"{a} != {b}", payload) is not ours(f"{a} == {b}", payload)


NUMBERS = st.integers() | st.floats(allow_nan=False)


@given(st.tuples(NUMBERS, NUMBERS) | st.tuples(st.text(), st.text()))
def test_numbers_and_strings_are_totally_ordered(pair: tuple[Any, Any]) -> None:
    payload = {"a": pair[0], "b": pair[1]}
    assert sum(holds(f"a {sign} b", payload) for sign in ("<", "==", ">")) == 1
    assert holds("a <= b", payload) is not holds("a > b", payload)
    assert holds("a >= b", payload) is holds("b <= a", payload)


@given(PAYLOADS, st.lists(st.tuples(ANY_PATH, OPERATORS, ANY_PATH), min_size=2, max_size=4))
def test_operands_may_stand_in_any_order(payload: Any, terms: list[tuple[str, str, str]]) -> None:
    texts = [" ".join(term) for term in terms]
    for sign in (" && ", " || "):
        assert ours(sign.join(texts), payload) is ours(sign.join(reversed(texts)), payload)


@given(PAYLOADS, ANY_PATH, OPERATORS, ANY_PATH)
def test_de_morgan(payload: Any, a: str, sign: str, b: str) -> None:
    one, other = f"{a} {sign} {b}", f"{b} == {a}"
    expected = ours(f"!({one} && {other})", payload)
    assert ours(f"!({one}) || !({other})", payload) is expected
    assert ours(f"not ({one} and {other})", payload) is expected


@given(st.text(st.characters(codec="utf-8")), st.sampled_from("'\""))
def test_any_text_can_be_written_as_a_string(text: str, quote: str) -> None:
    literal = quote + "".join(f"\\U{ord(character):08x}" for character in text) + quote
    assume(len(literal) < MAX_LENGTH - 10)
    assert holds(f"a == {literal}", {"a": text})


@given(
    st.text(max_size=60) | st.text(st.sampled_from("ab.[]()'\"=!<>&|01-, \\hasintrue"), max_size=60)
)
def test_any_text_compiles_or_is_refused_with_its_position(text: str) -> None:
    try:
        compile_condition(text)
    except ExpressionError as refused:
        error: ExpressionError | None = refused
    else:
        error = None
    assert error is None or (0 <= error.position <= len(text) and error.message)


@given(VALUES, cases())
def test_any_payload_gets_an_answer_or_an_error(payload: Any, case: tuple[Any, str]) -> None:
    condition = compile_condition(case[1])
    before = copy.deepcopy(payload)
    explanation = condition.explain(payload)
    assert (explanation.result is None) is (explanation.error is not None)
    assert payload == before
