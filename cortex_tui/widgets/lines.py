"""A few lines of text that repaint only where they changed."""

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget


class Lines(Widget):
    """Shows one `Content` a line, cut at the right; lines that are equal are left alone."""

    DEFAULT_CSS = "Lines { height: auto; width: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Content] = []

    def show(self, lines: Sequence[Content]) -> None:
        """Replace the lines."""
        before, self._lines = self._lines, list(lines)
        if len(before) != len(lines):
            self.refresh(layout=self.styles.height is not None and self.styles.height.is_auto)
            return
        for y, (old, new) in enumerate(zip(before, lines, strict=True)):
            if not old.is_same(new):
                self.refresh(Region(0, y, self.size.width, 1))

    @property
    def text(self) -> str:
        """What is shown, without its colours."""
        return "\n".join(line.plain for line in self._lines)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        style, width = self.visual_style, self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, style.rich_style)
        line = self._lines[y].truncate(width, ellipsis=True)
        return Visual.to_strips(self, line, width, 1, style)[0]
