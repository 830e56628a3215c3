"""A few words in the middle of an empty place."""

from textual.content import Content
from textual.widgets import Static

from cortex_tui.widgets.text import MUTED, STRONG, said


class Notice(Static):
    """Says why there is nothing to see, and what to do; hidden until it has something to say."""

    def __init__(self) -> None:
        super().__init__()
        self.display = False

    def say(self, title: str, *lines: str) -> None:
        """Show a title and some lines."""
        body = [said(title, STRONG), Content(), *(said(line, MUTED) for line in lines)]
        self.update(Content("\n").join(body))
        self.display = True

    def hide(self) -> None:
        self.display = False
