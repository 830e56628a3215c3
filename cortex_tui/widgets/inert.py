"""The last word before the terminal: nothing it would obey, and only what it can draw."""

import os
from functools import cache, lru_cache
from math import dist
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color, rgb_to_lab
from textual.filter import LineFilter

from cortex_tui.widgets.text import UNSHOWN, plain

_ASCII = str.maketrans(
    {
        "●": "*", "•": "*", "○": "o", "◐": "+", "◌": ".", "↻": "~", "✗": "x", "✓": "v", "–": "-",
        "—": "-", "▸": ">", "▴": "^", "▾": "v", "›": ">", "…": "~", "·": ".", "≤": "<", "⚠": "!",
        "─": "-", "━": "-", "╸": "-", "╺": "-", "│": "|", "┃": "|", "▌": "|", "▐": "|", "▎": "|",
        "▊": "|", "▔": "-", "‖": "|",
        "▁": "_", "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#",
        "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+",
        "┤": "+", "┬": "+", "┴": "+", "┼": "+", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "“": '"',
        "”": '"', "‘": "'", "’": "'", UNSHOWN: "?", "\u00a0": " ", "▼": "v", "▲": "^", "→": ">",
    }
)  # fmt: skip

_BY_PYTHON = ("C.UTF-8", "C.utf8", "UTF-8")
"""What Python may put in the place of the C locale."""


class Inert(LineFilter):
    """Shows no control character, whichever widget drew it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isprintable() else Segment(_inert(segment.text), segment.style)
            for segment in segments
        ]


class Ascii(LineFilter):
    """Draws in ASCII, for terminals of another encoding than UTF-8; every cell keeps its place."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(to_ascii(segment.text), segment.style)
            for segment in segments
        ]


class EightBit(LineFilter):
    """Draws in 256 colours, as over most SSH lines. Rich, left to itself, makes a strong teal of a
    dark grey that is a little blue, and orange of a red."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(segment.text, segment.style and _in_eight_bit(segment.style))
            for segment in segments
        ]


@lru_cache(maxsize=4_096)
def _in_eight_bit(style: Style) -> Style:
    return style + Style(color=_nearest(style.color), bgcolor=_nearest(style.bgcolor))


def _nearest(colour: RichColor | None) -> RichColor | None:
    """The one of the 256 that looks most like `colour`."""
    if colour is None or colour.triplet is None:
        return colour
    wanted = _lab(colour)
    return min(_fixed(), key=lambda each: dist(wanted, each[1]))[0]


@cache
def _fixed() -> list[tuple[RichColor, tuple[float, float, float]]]:
    """The colours that no terminal gives another look."""
    return [(each, _lab(each)) for each in map(RichColor.from_ansi, range(16, 256))]


def _lab(colour: RichColor) -> tuple[float, float, float]:
    """Where a colour is in a space in which what looks alike is near (CIELAB)."""
    lab = rgb_to_lab(Color(*colour.get_truecolor()))
    return lab.L, lab.a, lab.b


def to_ascii(text: str) -> str:
    """`text` in ASCII, as wide as it was."""
    return "".join(
        character if character.isascii() else "?" * cell_len(character)
        for character in text.translate(_ASCII)
    )


def speaks_utf8() -> bool:
    """Whether the locale of the environment is a UTF-8 one (POSIX: LC_ALL, LC_CTYPE, LANG).

    In the C locale Python writes another into LC_CTYPE before anything else (PEP 538): that one
    counts only where nothing is set at all.
    """
    overall, characters, language = map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))
    by_python = None
    if characters in _BY_PYTHON:
        characters, by_python = _given_at_start("LC_CTYPE"), characters
    locale = overall or characters or language or by_python or ""
    return "utf8" in locale.lower().replace("-", "")


def _given_at_start(variable: str) -> str | None:
    """A variable as the process was given it; none, too, where the system does not tell."""
    try:
        given = Path("/proc/self/environ").read_bytes().decode(errors="replace")
    except OSError:
        return None
    pairs = (pair.partition("=") for pair in given.split("\0"))
    return next((value for name, _, value in pairs if name == variable), None)


def _inert(text: str) -> str:
    return set_cell_size(plain(text, limit=len(text)), cell_len(text))
