"""A field of one line."""

from typing import Any

from textual.widgets import Input


class LineInput(Input):
    """An `Input` in one row, whose cursor does not blink: an idle screen sends nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(compact=True, select_on_focus=False, **options)
        self.cursor_blink = False
