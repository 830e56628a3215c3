"""`{{path}}` in the parameters of actions: `{"policy_id": "{{event.policy_id}}"}` → values.

A string that is one `{{path}}` and nothing else becomes the value itself, with its JSON type.
Within other text a value is written as text: a string as it is, everything else as JSON. Strings
anywhere in lists and objects are templates; the keys of objects are not.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from cortex_tui.local.paths import (
    MISSING,
    EvaluationError,
    ExpressionError,
    Path,
    getter,
    scan_path,
)

MAX_RENDERED = 1_048_576
"""Characters that one event may fill into one template, however often its values are named."""
MAX_DEPTH = 50
"""Lists and objects within one another."""

_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template."""

    render: Callable[[Any], Any]
    """From a decoded payload to the value with every path filled in.

    Raises `EvaluationError` for a path that leads to nothing, naming it, and for a result over
    `MAX_RENDERED` characters.
    """


def compile_template(value: Any) -> Template:
    """Compile the strings in a JSON value. Raises `ExpressionError`; its `location` says which
    string, its `position` where in it."""
    fill = _compile(value, ())
    if fill is None:
        return Template(lambda _: value)
    filler = fill
    return Template(lambda payload: filler(payload, [0]))


_Filler = Callable[[Any, list[int]], Any]
"""From a payload to a value; the list holds how many characters have been filled in so far."""


def _spend(size: int, filled: list[int]) -> None:
    filled[0] += size
    if filled[0] > MAX_RENDERED:
        raise EvaluationError(f"the values filled in are longer than {MAX_RENDERED:,} characters")


def _compile(value: Any, location: tuple[str | int, ...]) -> _Filler | None:
    """How to fill `value`, or none where it has nothing to fill in."""
    if len(location) > MAX_DEPTH:
        raise ExpressionError(f"more than {MAX_DEPTH} levels deep", 0, location)
    match value:
        case str():
            return _string(value, location)
        case list():
            items = [(item, _compile(item, (*location, at))) for at, item in enumerate(value)]
            if not any(fill for _, fill in items):
                return None
            return lambda payload, filled: [
                fill(payload, filled) if fill else item for item, fill in items
            ]
        case dict():
            fields = [(key, item, _compile(item, (*location, key))) for key, item in value.items()]
            if not any(fill for *_, fill in fields):
                return None
            return lambda payload, filled: {
                key: fill(payload, filled) if fill else item for key, item, fill in fields
            }
    return None


def _string(text: str, location: tuple[str | int, ...]) -> _Filler | None:
    parts: list[str | Path] = []
    end = 0
    while (opening := text.find("{{", end)) >= 0:
        if opening > end:
            parts.append(text[end:opening])
        path, end = _placeholder(text, opening, location)
        parts.append(path)
    if not parts:
        return None
    if end < len(text):
        parts.append(text[end:])
    if isinstance(parts[0], Path) and len(parts) == 1:
        return _value(parts[0])
    pieces = [part if isinstance(part, str) else _text(part) for part in parts]
    return lambda payload, filled: "".join(
        [piece if isinstance(piece, str) else piece(payload, filled) for piece in pieces]
    )


def _placeholder(text: str, opening: int, location: tuple[str | int, ...]) -> tuple[Path, int]:
    """The path in the braces that open at `opening`, and where they end."""
    if text.find("}}", opening) < 0:
        raise ExpressionError("the {{ is not closed: add }} after the path", opening, location)
    start = _end_of_space(text, opening + 2)
    try:
        path = scan_path(text, start)
    except ExpressionError as error:
        raise ExpressionError(error.message, error.position, location) from None
    if path is None:
        raise ExpressionError("expected a path such as event.policy_id after {{", start, location)
    end = _end_of_space(text, start + len(path.text))
    if not text.startswith("}}", end):
        raise ExpressionError(f"expected }}}} after {path.text}", end, location)
    return path, end + 2


def _end_of_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position


def _value(path: Path) -> _Filler:
    get = getter(path, MISSING)

    def fill(payload: Any, filled: list[int]) -> Any:
        value = get(payload)
        if type(value) is str:
            _spend(len(value), filled)
        elif type(value) is list or type(value) is dict:
            _spend(len(_json(value, path)), filled)
        elif value is MISSING:
            raise EvaluationError(f"{path.text} is missing from the event")
        return value

    return fill


def _text(path: Path) -> _Filler:
    get = getter(path, MISSING)

    def fill(payload: Any, filled: list[int]) -> str:
        value = get(payload)
        if value is MISSING:
            raise EvaluationError(f"{path.text} is missing from the event")
        text = value if type(value) is str else _json(value, path)
        _spend(len(text), filled)
        return text

    return fill


def _json(value: Any, path: Path) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        raise EvaluationError(f"{path.text} is nested too deep to be written as JSON") from None
