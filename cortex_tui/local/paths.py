"""Paths into an event: `payment.status`, `items[0].sku`, `event['order-id']`.

Conditions and templates name values the same way. A path starts at a key of the payload, or at
`event`: the payload's own `event` object if it has one, else the whole payload.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Getter = Callable[[Any], Any]

MISSING: Final = object()
"""What a path leads to where the event has nothing there; null is something."""

_NAME = re.compile(r"[^\W\d]\w*")
_INDEX = re.compile(r"\[([0-9]{1,9})\]")
_STRING = re.compile(r"'(?:[^'\\\r\n]|\\.)*'|\"(?:[^\"\\\r\n]|\\.)*\"", re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"`?])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})"
    r"|([0-3][0-7]{2})|(.))",
    re.DOTALL,
)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class ExpressionError(ValueError):
    """A condition, path or template that cannot be read.

    `position` counts characters from 0 in the text; `location` leads to that text, where it is
    within lists and objects.
    """

    def __init__(self, message: str, position: int, location: tuple[str | int, ...] = ()) -> None:
        super().__init__(f"character {position + 1}: {message}")
        self.message = message
        self.position = position
        self.location = location


class EvaluationError(Exception):
    """An event that does not have, or has in the wrong type, what an expression needs of it."""


@dataclass(frozen=True, slots=True)
class Path:
    """The way to one value, as it was written and as keys and indexes."""

    text: str
    start: int
    steps: tuple[str | int, ...]


def scan_path(text: str, start: int) -> Path | None:
    """The longest path at `start`, or none where no name starts there.

    Raises `ExpressionError` for a path that breaks off.
    """
    name = _NAME.match(text, start)
    if name is None:
        return None
    steps: list[str | int] = [name[0]]
    end = name.end()
    while True:
        if text.startswith(".", end):
            name = _NAME.match(text, end + 1)
            if name is None:
                raise ExpressionError(
                    "expected a name after '.'; other keys are written ['like this'], "
                    "and positions in a list [0]",
                    end + 1,
                )
            steps.append(name[0])
            end = name.end()
        elif text.startswith("[", end):
            if index := _INDEX.match(text, end):
                steps.append(int(index[1]))
                end = index.end()
                continue
            if text[end + 1 : end + 2] not in ("'", '"'):
                raise ExpressionError(
                    "expected a position, counted from 0, or a key in quotes after '['", end + 1
                )
            key, end = scan_string(text, end + 1)
            if not text.startswith("]", end):
                raise ExpressionError("expected ']' after the key", end)
            steps.append(key)
            end += 1
        else:
            return Path(text[start:end], start, tuple(steps))


def scan_string(text: str, start: int) -> tuple[str, int]:
    """The string literal at `start`, which is a quote, and where it ends.

    Raises `ExpressionError` for one that is not closed, or has an escape CEL does not know.
    """
    literal = _STRING.match(text, start)
    if literal is None:
        raise ExpressionError(f"the string is not closed: add {text[start]} at its end", start)

    def unescape(escape: re.Match[str]) -> str:
        letter, *digits, unknown = escape.groups()
        if letter:
            return _LETTERS.get(letter, letter)
        if unknown:
            raise ExpressionError(
                f"the escape \\{unknown} is unknown: write \\\\ for a backslash",
                start + 1 + escape.start(),
            )
        *hexadecimal, octal = digits
        code = int(octal, 8) if octal else int(next(filter(None, hexadecimal)), 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ExpressionError(f"{escape[0]} is no character", start + 1 + escape.start())
        return chr(code)

    return _ESCAPE.sub(unescape, literal[0][1:-1]), literal.end()


def getter(path: Path, missing: Any) -> Getter:
    """A function from a payload to the value at `path`, or to `missing`."""
    if path.steps[0] != "event":
        return _walk(path.steps, missing)
    rest = _walk(path.steps[1:], missing)

    def from_event(payload: Any) -> Any:
        own = payload.get("event") if type(payload) is dict else None
        return rest(own if type(own) is dict else payload)

    return from_event


def _walk(steps: tuple[str | int, ...], missing: Any) -> Getter:
    if any(type(step) is int for step in steps):
        return _walk_lists(steps, missing)
    match steps:
        # Only an object takes a string for a key, so what is not one raises TypeError.
        case [key]:

            def one(value: Any) -> Any:
                try:
                    return value[key]
                except (KeyError, TypeError):
                    return missing

            return one
        case [first, second]:

            def two(value: Any) -> Any:
                try:
                    return value[first][second]
                except (KeyError, TypeError):
                    return missing

            return two

    def many(value: Any) -> Any:
        try:
            for key in steps:
                value = value[key]
        except (KeyError, TypeError):
            return missing
        return value

    return many


def _walk_lists(steps: tuple[str | int, ...], missing: Any) -> Getter:
    # A string takes an index too, but has no parts here: types are looked at first.
    kinds: list[tuple[Any, type[Any]]] = [
        (step, list if type(step) is int else dict) for step in steps
    ]

    def walk(value: Any) -> Any:
        for step, kind in kinds:
            if not isinstance(value, kind):
                return missing
            try:
                value = value[step]
            except (KeyError, IndexError):
                return missing
        return value

    return walk
