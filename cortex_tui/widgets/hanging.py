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
        folded: list[Content] = []
        for left, text in self._lines:
            room = max(_NARROWEST, self.size.width - left.cell_length)
            first, *rest = text.wrap(room) or [Content()]
            folded.append(left + first)
            folded += [Content(" " * left.cell_length) + more for more in rest]
        self.update(Content("\n").join(folded))


def line(left: str, text: str, style: str = "") -> Line:
    """A line of plain text, both ends inert and of one style."""
    return said(left, style), said(text, style)
