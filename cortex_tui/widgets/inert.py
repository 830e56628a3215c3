"""The last word before the terminal: nothing it would obey, and only what it can draw."""

import os

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
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


def to_ascii(text: str) -> str:
    """`text` in ASCII, as wide as it was."""
    return "".join(
        character if character.isascii() else "?" * cell_len(character)
        for character in text.translate(_ASCII)
    )


def speaks_utf8() -> bool:
    """Whether the locale of the environment is a UTF-8 one (POSIX: LC_ALL, LC_CTYPE, LANG)."""
    for variable in ("LC_ALL", "LC_CTYPE", "LANG"):
        if value := os.environ.get(variable):
            return "utf8" in value.lower().replace("-", "")
    return False


def _inert(text: str) -> str:
    return set_cell_size(plain(text, limit=len(text)), cell_len(text))
