"""Conditions of actions: `payment.status == 'pending'` → a compiled predicate.

The language is a subset of CEL, the Common Expression Language; docs/conditions.md lists it and
every difference. A condition is compiled once, into closures over the payload, and then either
holds, does not hold, or cannot be evaluated: that last case is an `EvaluationError`, never "no".
"""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cortex_tui.local.condition_syntax import (
    Comparison,
    Has,
    Junction,
    ListOf,
    Literal,
    Node,
    Not,
    parse,
)
from cortex_tui.local.paths import (
    MISSING,
    EvaluationError,
    ExpressionError,
    Getter,
    Path,
    getter,
)

Predicate = Callable[[Any], bool]

MAX_COMPARED = 10_000
"""Parts of lists and objects that one comparison looks at, so that no event takes long."""

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}
_ORDERED = {"a boolean", "a number", "a string"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a path led to in an event; `missing` where it led to nothing, which counts as null."""

    path: str
    value: Any
    missing: bool


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison of a condition, what it saw, and how it came out; none is `error`."""

    text: str
    seen: tuple[Seen, ...]
    result: bool | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a whole condition came out for an event, and each of its terms; none is `error`."""

    result: bool | None
    error: str | None
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    text: str
    holds: Predicate
    """From a decoded payload to true or false. Raises `EvaluationError`."""
    node: Node

    def explain(self, payload: Any) -> Explanation:
        """Every term with the values it saw, also those that need not have been looked at."""
        terms = tuple(
            Term(leaf.text, _seen(leaf, payload), *_outcome(_truth(leaf), payload))
            for leaf in _leaves(self.node)
        )
        return Explanation(*_outcome(self.holds, payload), terms)


def compile_condition(text: str) -> Condition:
    """Compile a condition. Raises `ExpressionError` with the position and what was expected."""
    node = parse(text)
    return Condition(text, _truth(node), node)


def _outcome(holds: Predicate, payload: Any) -> tuple[bool | None, str | None]:
    try:
        return holds(payload), None
    except EvaluationError as error:
        return None, str(error)


def _leaves(node: Node) -> Iterator[Node]:
    match node:
        case Junction():
            for operand in node.operands:
                yield from _leaves(operand)
        case Not():
            yield from _leaves(node.operand)
        case _:
            yield node


def _paths(node: Node) -> Iterator[Path]:
    match node:
        case Path():
            yield node
        case Has():
            yield node.path
        case Not():
            yield from _paths(node.operand)
        case Comparison():
            yield from _paths(node.left)
            yield from _paths(node.right)
        case ListOf(items=nodes) | Junction(operands=nodes):
            for inner in nodes:
                yield from _paths(inner)


def _seen(node: Node, payload: Any) -> tuple[Seen, ...]:
    values = {path.text: getter(path, MISSING)(payload) for path in _paths(node)}
    return tuple(
        Seen(path, None if value is MISSING else value, value is MISSING)
        for path, value in values.items()
    )


# -- nodes to closures ------------------------------------------------------------------------


def _value(node: Node) -> Getter:
    """A function from a payload to the value of `node`."""
    match node:
        case Literal(value=constant):
            return lambda _: constant
        case Path():
            return getter(node, None)
        case ListOf():
            items = [_value(item) for item in node.items]
            return lambda payload: [item(payload) for item in items]
        case _:
            return _truth(node)


def _truth(node: Node) -> Predicate:
    """A function from a payload to whether `node` holds."""
    match node:
        case Literal(value=bool(constant)):
            return lambda _: constant
        case Literal() | ListOf():
            kind = _KINDS[type(node.value) if isinstance(node, Literal) else list]
            raise ExpressionError(
                f"{node.text} is {kind}, not true or false: "
                f"compare it, as in payment.status == {node.text}",
                node.start,
            )
        case Path():
            return _flag(node)
        case Has(path=path):
            get = getter(path, MISSING)
            return lambda payload: get(payload) is not MISSING
        case Not(operand=operand):
            holds = _truth(operand)
            return lambda payload: not holds(payload)
        case Junction(operator=symbol, operands=operands):
            return _junction([_truth(operand) for operand in operands], decisive=symbol == "||")
        case Comparison(operator="=="):
            return _equality(node.left, node.right)
        case Comparison(operator="!="):
            equal = _equality(node.left, node.right)
            return lambda payload: not equal(payload)
        case Comparison(operator="in"):
            return _membership(node)
        case Comparison():
            return _ordering(node)


def _flag(path: Path) -> Predicate:
    get = getter(path, None)

    def flag(payload: Any) -> bool:
        value = get(payload)
        if isinstance(value, bool):
            return value
        raise EvaluationError(f"{path.text} is {_KINDS[type(value)]}, not true or false")

    return flag


def _junction(operands: list[Predicate], *, decisive: bool) -> Predicate:
    """`&&` or `||`. As in CEL an operand that decides (false, or true) outweighs one that cannot
    be evaluated, whichever comes first."""

    def junction(payload: Any) -> bool:
        problem: EvaluationError | None = None
        for holds in operands:
            try:
                if holds(payload) is decisive:
                    return decisive
            except EvaluationError as error:
                problem = problem or error
        if problem is not None:
            raise problem
        return not decisive

    return junction


def _equality(left: Node, right: Node) -> Predicate:
    if isinstance(left, Literal):
        left, right = right, left
    get = _value(left)
    match right:
        case Literal(value=(None | True | False) as constant):
            return lambda payload: get(payload) is constant
        case Literal(value=str(text)):
            return lambda payload: get(payload) == text
    other = _value(right)
    return lambda payload: _equal(get(payload), other(payload))


def _membership(node: Comparison) -> Predicate:
    left, right = node.left, node.right
    if not isinstance(right, ListOf | Path):
        raise ExpressionError(
            f"{right.text} is no list: in looks for a value in a list, as in ['a', 'b'], "
            "or for a key in an object",
            right.start,
        )
    get, container = _value(left), _value(right)
    if isinstance(right, ListOf):
        constants = [item.value for item in right.items if isinstance(item, Literal)]
        if len(constants) == len(right.items) and all(type(item) is str for item in constants):
            strings = frozenset(constants)

            def among(payload: Any) -> bool:
                value = get(payload)
                return type(value) is str and value in strings

            return among

    def member(payload: Any) -> bool:
        value, within = get(payload), container(payload)
        if type(within) is dict:
            return _is_key(value, within, node)
        if type(within) is not list:
            raise EvaluationError(
                f"{right.text} is {_KINDS[type(within)]}: in looks in a list or an object"
            )
        allowance = _Allowance()
        allowance.spend(len(within))
        return any(_equal(value, item, allowance) for item in within)

    return member


def _is_key(value: Any, within: dict[str, Any], node: Comparison) -> bool:
    if isinstance(value, float | list | dict | None):
        raise EvaluationError(
            f"{node.left.text} is {_KINDS[type(value)]}: "
            f"{node.right.text} is an object, and its keys are strings"
        )
    return value in within


def _ordering(node: Comparison) -> Predicate:
    get, other, order = _value(node.left), _value(node.right), _ORDERS[node.operator]
    for side in (node.left, node.right):
        kind = _KINDS[type(side.value)] if isinstance(side, Literal) else "a list"
        if isinstance(side, Literal | ListOf) and kind not in _ORDERED:
            raise ExpressionError(f"{side.text} has no order: use == or !=", side.start)

    def ordering(payload: Any) -> bool:
        a, b = get(payload), other(payload)
        kind, other_kind = _KINDS[type(a)], _KINDS[type(b)]
        if kind == other_kind and kind in _ORDERED:
            return order(a, b)
        raise EvaluationError(
            f"{node.left.text} is {kind} and {node.right.text} is {other_kind}: "
            f"{node.operator} compares two numbers or two strings"
        )

    return ordering


class _Allowance:
    """How many parts of lists and objects one comparison may still look at."""

    def __init__(self) -> None:
        self._left = MAX_COMPARED

    def spend(self, parts: int) -> None:
        self._left -= parts
        if self._left < 0:
            raise EvaluationError(f"a comparison looks at {MAX_COMPARED:,} values at most")


def _equal(a: Any, b: Any, allowance: _Allowance | None = None) -> bool:
    """CEL's equality: by value, across all types; 1 equals 1.0, and true equals no number.

    Without recursion, since an event may be nested deeper than Python's stack.
    """
    kind = type(a)
    if kind is not type(b) or (kind is not list and kind is not dict):
        return bool(a == b) and (kind is bool) is (type(b) is bool)
    allowance = allowance or _Allowance()
    pairs = [(a, b)]
    while pairs:
        a, b = pairs.pop()
        kind = type(a)
        if kind is not type(b) or (kind is not list and kind is not dict):
            if a != b or (kind is bool) is not (type(b) is bool):
                return False
        elif len(a) != len(b):
            return False
        else:
            allowance.spend(len(a))
            if kind is list:
                pairs += zip(a, b, strict=True)
            elif a.keys() != b.keys():
                return False
            else:
                pairs += [(value, b[key]) for key, value in a.items()]
    return True
