"""A field of one line."""

from collections.abc import Sequence
from typing import Any

from textual import events
from textual.strip import Strip
from textual.widgets import Input


class LineInput(Input):
    """An `Input` in one row, whose cursor does not blink: an idle screen sends nothing. While it
    has no focus it shows the start of its value, with an ellipsis where that is not all. Of several
    lines that are pasted it takes all, as one."""

    def __init__(self, *, hints: Sequence[tuple[str, str]] = (), **options: Any) -> None:
        """`hints` are keys of its own, and what the key line says of each."""
        super().__init__(compact=True, **options)
        self.hints = hints
        self.cursor_blink = False

    def _on_paste(self, event: events.Paste) -> None:
        lines = [line for line in event.text.splitlines() if line.strip()]
        event.text = lines[0] if len(lines) == 1 else " ".join(line.strip() for line in lines)

    def render_line(self, y: int) -> Strip:
        text, width = self._value, self.scrollable_content_region.width
        if y or self.has_focus or text.cell_len <= width:
            return super().render_line(y)
        text.truncate(width, overflow="ellipsis")
        strip = Strip(self.app.console.render(text)).extend_cell_length(width + 1)
        return strip.apply_style(self.rich_style)
