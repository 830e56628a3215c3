"""A field of several lines."""

from textual.widgets import TextArea


class LinesInput(TextArea):
    """A `TextArea` whose cursor does not blink, which Tab leaves, and which does not keep F6: that
    opens the editor."""

    hints = (("F7", "Select all"),)
    """A key of its own, and what the key line says of it."""

    def __init__(self) -> None:
        super().__init__(compact=True, tab_behavior="focus", show_line_numbers=True)
        self.cursor_blink = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "select_line" and super().check_action(action, parameters)
