"""How the place of the cursor looks, also where there are no backgrounds to tell it by."""

from textual.content import Content
from textual.style import Style
from textual.widget import Widget


def cursor_style(widget: Widget, component: str) -> Style:
    """The style of a component class; in reverse in the terminal's own palette, or without one."""
    if widget.app.native_ansi_color:
        return widget.visual_style + Style(reverse=True)
    return widget.get_visual_style(component)


def under_cursor(widget: Widget, line: Content) -> Content:
    """A line as it stands in that style: in reverse a colour would be a patch of background."""
    return Content(line.plain) if widget.app.native_ansi_color else line
