"""Lines that go on below their own text, not at the left edge, where they are too long."""

from collections.abc import Iterable

from textual.content import Content
from textual.widgets import Static

from cortex_tui.widgets.text import said

Line = tuple[Content, Content]
"""What stands at the left, and the text beside it."""

_NARROWEST = 16


class Hanging(Static):
    """Shows lines, each folded beside what stands at its left."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []

    def show(self, lines: Iterable[Line]) -> None:
        """Replace the lines."""
        self._lines = list(lines)
        self._fold()

    def on_resize(self) -> None:
        self._fold()

    def _fold(self) -> None:
        folded = [part for each in self._lines for part in hung(*each, self.size.width)]
        self.update(Content("\n").join(folded))


def hung(left: Content, text: Content, width: int) -> list[Content]:
    """`text` beside `left`, folded so that both fit into `width`."""
    room = max(_NARROWEST, width - left.cell_length)
    first, *rest = text.wrap(room) or [Content()]
    return [left + first, *(Content(" " * left.cell_length) + more for more in rest)]


def line(left: str, text: str, style: str = "") -> Line:
    """A line of plain text, both ends inert and of one style."""
    return said(left, style), said(text, style)
