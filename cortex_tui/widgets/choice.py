"""A choice between a few values, all of them in view: `(•) off  ( ) on`."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widget import Widget

from cortex_tui.widgets.cursor import cursor_style
from cortex_tui.widgets.text import MUTED

Options = Sequence[tuple[str, Any]]

ON_OFF: Options = (("on", True), ("off", False))

GAP = 3


class Choice(Widget, can_focus=True):
    """Space takes the next value, left and right move; the chosen one has a mark."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"choice--chosen"}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "move(1)", "Next value", show=False),
        Binding("right", "move(1)", "Next value", show=False),
        Binding("left", "move(-1)", "Previous value", show=False),
    ]

    class Changed(Message):
        """Another value was chosen."""

    index: var[int] = var(0)

    def __init__(self, options: Options, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._options = options

    @property
    def value(self) -> Any:
        """The chosen value."""
        return self._options[self.index][1]

    @value.setter
    def value(self, value: Any) -> None:
        values = [option for _, option in self._options]
        self.index = values.index(value) if value in values else 0

    def watch_index(self) -> None:
        self.refresh()
        self.post_message(self.Changed())

    def action_move(self, step: int) -> None:
        self.index = (self.index + step) % len(self._options)

    def on_click(self, event: events.Click) -> None:
        x = 0
        for index, (label, _) in enumerate(self._options):
            x += len(label) + 4 + GAP
            if event.x < x:
                self.index = index
                return

    def render(self) -> Content:
        parts: list[Content] = []
        marked = cursor_style(self, "choice--chosen") if self.has_focus else ""
        for index, (label, _) in enumerate(self._options):
            chosen = index == self.index
            text = f"(•) {label}" if chosen else f"( ) {label}"
            parts.append(Content.styled(text, marked if chosen else MUTED))
        return Content(" " * GAP).join(parts)
