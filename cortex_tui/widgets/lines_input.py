"""A field of several lines."""

from textual import events
from textual.widgets import TextArea

from cortex_tui.widgets.own_keys import act_at_once


class LinesInput(TextArea):
    """A `TextArea` whose cursor does not blink, which Tab leaves, and which does not keep F6: that
    opens the editor."""

    def __init__(self) -> None:
        super().__init__(compact=True, tab_behavior="focus", show_line_numbers=True)
        self.cursor_blink = False

    async def _on_key(self, event: events.Key) -> None:
        await act_at_once(self, event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "select_line" and super().check_action(action, parameters)
