"""A line of tabs with the keys that choose them."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widget import Widget

from cortex_tui.widgets.cursor import cursor_style
from cortex_tui.widgets.text import MUTED

GAP = 1


class TabLine(Widget, can_focus=True):
    """`1 Broker   2 Topics   3 Subscriptions 4/5`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"tab--active"}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Previous tab", show=False),
        Binding("right", "move(1)", "Next tab", show=False),
        Binding("down,enter", "enter", "Into the tab", show=False),
    ]

    class Changed(Message):
        """Another tab is active."""

    class Entered(Message):
        """The person goes on into the tab."""

    active: var[int] = var(0, init=False)

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self._labels = [Content(label) for label in labels]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._labels)

    def label(self, index: int, label: Content) -> None:
        """Give a tab another label."""
        if not label.is_same(self._labels[index]):
            self._labels[index] = label
            self.refresh()

    def watch_active(self) -> None:
        self.refresh()
        self.post_message(self.Changed())

    def action_move(self, step: int) -> None:
        self.active = (self.active + step) % len(self._labels)

    def action_enter(self) -> None:
        self.post_message(self.Entered())

    def on_click(self, event: events.Click) -> None:
        x = 0
        for index, tab in enumerate(self._tabs()):
            x += tab.cell_length + GAP
            if event.x < x:
                self.active = index
                return

    def _tabs(self) -> list[Content]:
        return [
            Content.assemble(f" {index + 1} ", label, " ")
            for index, label in enumerate(self._labels)
        ]

    def render(self) -> Content:
        tabs = self._tabs()
        marked = self.get_visual_style("tab--active")
        if self.has_focus:
            marked = cursor_style(self, "tab--active")
        for index, tab in enumerate(tabs):
            active = marked if index == self.active else MUTED
            tabs[index] = tab.stylize_before(active)
        return Content(" " * GAP).join(tabs)
