"""A text of many lines to scroll through; only what is in view is drawn."""

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from cortex_tui.widgets.hanging import hung

HANGING = 2
"""Columns that a line goes on further in: as wide as a mark."""


class Reader(ScrollView, can_focus=True):
    """Shows one `Content` a line; one that is too wide goes on in the next, a little further in
    than it begins: below the text, where a mark stands before it."""

    BINDINGS: ClassVar[list[Binding]] = [  # type: ignore[assignment]
        Binding("up,k", "scroll_up", "Line up", show=False),
        Binding("down,j", "scroll_down", "Line down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown,space", "page_down", "Page down", show=False),
        Binding("home,g", "scroll_home", "To the start", show=False),
        Binding("end,G", "scroll_end", "To the end", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Content] = []
        self._folded: list[Content] = []

    def show(self, lines: Iterable[Content]) -> None:
        """Replace the lines; the place that is in view stays."""
        self._lines = list(lines)
        self._fold()

    @property
    def text(self) -> str:
        """What is shown, without its colours."""
        return "\n".join(line.plain for line in self._lines)

    def on_resize(self) -> None:
        self._fold()

    def _fold(self) -> None:
        width = self.scrollable_content_region.width
        self._folded = [
            part
            for line in self._lines
            for part in (_folded(line, width) if 0 < width < line.cell_length else [line])
        ]
        self.virtual_size = Size(width, len(self._folded))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        style, width = self.visual_style, self.size.width
        at = y + self.scroll_offset.y
        if at >= len(self._folded):
            return Strip.blank(width, style.rich_style)
        return Visual.to_strips(self, self._folded[at].truncate(width), width, 1, style)[0]


def _folded(line: Content, width: int) -> list[Content]:
    indent = len(line.plain) - len(line.plain.lstrip(" ")) + HANGING
    return hung(line[:indent], line[indent:], width)
