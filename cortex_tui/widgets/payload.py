"""A payload for a person to read: JSON laid out a value a line, and coloured; inert and bounded."""

import json
import re
from collections.abc import Callable, Iterable, Iterator

from textual.content import Content

from cortex_tui.widgets.text import LITERAL, MUTED, NAME, QUOTED, number, plain

MAX_LINES = 1_000
"""Lines of one payload that are shown."""

_INDENT, _MAX_DEPTH = "  ", 20
_MAX_PIECES = 10
"""Of a line; JSON has at most six."""
_PIECE = re.compile(r'\s*("(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s{}\[\],:"]+)', re.DOTALL)
_CLOSING = {"{": "}", "[": "]"}


def readable(text: str) -> Iterator[Content]:
    """The lines of a payload. What is JSON, or begins like it, is laid out.

    Nothing is parsed: numbers, repeated names and what is cut off show as they came.
    """
    lines = (
        _laid_out(text, _coloured)
        if text.lstrip()[:1] in tuple(_CLOSING)
        else (Content(plain(line)) for line in text.split("\n"))
    )
    for count, line in enumerate(lines):
        if count == MAX_LINES:
            yield Content.styled(f"… and more: {number(len(text))} characters in all", MUTED)
            return
        yield line


def readable_value(value: object) -> Iterator[Content]:
    """The lines of a JSON value."""
    return readable(json.dumps(value, ensure_ascii=False))


def laid_out(text: str) -> str:
    """`text` as `readable` lays it out, with every character that counts: for a person to edit."""
    if text.lstrip()[:1] not in tuple(_CLOSING):
        return text
    return "\n".join(line.plain for line in _laid_out(text, lambda piece, _: Content(piece)))


def _laid_out(text: str, draw: Callable[[str, bool], Content]) -> Iterator[Content]:
    depth, line, opened = 0, list[Content](), ""

    def taken() -> Content:
        """The line so far; the next one begins."""
        done = Content("").join(line)
        line[:] = [Content(_INDENT * min(depth, _MAX_DEPTH))]
        return done

    for piece, is_name in _pieces(text):
        if piece in _CLOSING.values():
            if opened:  # nothing is in it
                line.append(Content(opened))
                opened = ""
            else:
                depth = max(0, depth - 1)
                yield taken()
            line.append(Content(piece))
            continue
        if opened:
            line.append(Content(opened))
            depth, opened = depth + 1, ""
            yield taken()
        if piece in _CLOSING:
            opened = piece
        elif piece == ":":
            line.append(Content(": "))
        else:
            line.append(Content(piece) if piece == "," else draw(piece, is_name))
            if piece == "," or len(line) > _MAX_PIECES:
                yield taken()
    line.append(Content(opened))
    yield taken()


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The pieces of JSON, each with whether it is a name: a string before a colon."""
    before: str | None = None
    for found in _PIECE.finditer(text):
        piece = found[1]
        if before is not None:
            yield before, before[0] == '"' and piece == ":"
        before = piece
    if before is not None:
        yield before, False


def _coloured(piece: str, is_name: bool) -> Content:
    style = NAME if is_name else QUOTED if piece[0] == '"' else LITERAL
    return Content.styled(plain(piece), style)


def indented(lines: Iterable[Content], by: int = 2) -> Iterator[Content]:
    """The lines, further to the right."""
    return (Content(" " * by) + line for line in lines)
