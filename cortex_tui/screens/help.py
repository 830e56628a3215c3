"""What can be done on the screen below, made from its bindings."""

from collections.abc import Iterator, Mapping

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Static

from cortex_tui.commands import Scope
from cortex_tui.screens.base import Commanded, Dialog
from cortex_tui.widgets.bars import KeyBar
from cortex_tui.widgets.hanging import Hanging, Line, line
from cortex_tui.widgets.table import Table
from cortex_tui.widgets.text import DISABLED, KEY, MUTED, STRONG

KEYS = 14
IN_FORM = (
    ("Enter ↓", "Next field; the last saves in a dialog. In several lines Tab goes on"),
    ("^u ^k", "Delete what is before the cursor, or behind it"),
    ("^w", "Delete the word before the cursor"),
)
IN_LINES = (
    ("F7", "Select all: what is typed or pasted then replaces it"),
    ("^z ^y", "Take the last edit back, or make it again"),
)
"""Where a field has several lines."""
OUTSIDE = "All else, such as quitting, needs the dialog closed first."


class HelpDialog(Dialog[None]):
    """The commands of a screen with their keys, those of where one is first; what is refused now is
    greyed, with the reason."""

    def __init__(self, page: Commanded[object]) -> None:
        super().__init__()
        self._lines = _told(page)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.styled("Help", STRONG), classes="dialog-title")
            with VerticalScroll(classes="dialog-body"):
                yield Hanging(id="help")
            yield KeyBar(self.key_line)

    def on_mount(self) -> None:
        self.query_one(Hanging).show(self._lines)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return parameters != ("app.help",) and super().check_action(action, parameters)

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.DIALOG: self}

    def do_close(self) -> None:
        self.dismiss()


def _told(page: Commanded[object]) -> list[Line]:
    lines, keys = list[Line](), page.keys_of_commands()
    in_dialog = isinstance(page, Dialog)  # only what has a key is to be had there
    for scope in (*page.scopes, Scope.APP):
        commands = [
            command
            for command in page.available()
            if command.scope is scope and not (in_dialog and command.id not in keys)
        ]
        if scope is Scope.APP:
            lines += _in_table_or_form(page)
        if commands:
            lines += _heading(scope.value)
        for command in commands:
            how = keys.get(command.id, "")
            if not how and "app.jump" in keys:
                how = f":{command.aliases[0]}"  # what has no key is said
            if reason := page.why_not(command):
                lines.append(line(f"  {how.ljust(KEYS)}", f"{command.help}. {reason}", DISABLED))
            else:
                lines.append(_key(how, command.help))
    if in_dialog:
        lines += [line("", ""), line("", OUTSIDE, MUTED)]
    return lines[1:]


def _in_table_or_form(page: Commanded[object]) -> Iterator[Line]:
    """Keys of the widgets that are in view; forms by their name only, since they are heavy."""
    if any(table.is_on_screen for table in page.query(Table)):
        yield from _heading("In a table")
        yield from (_key(each.key.replace(",", " "), each.description) for each in Table.BINDINGS)
    if any(form.is_on_screen for form in page.query("Form")):
        yield from _heading("In a form")
        yield from (_key(*each) for each in IN_FORM)
        if page.query("LinesInput"):
            yield from (_key(*each) for each in IN_LINES)


def _key(keys: str, what: str) -> Line:
    return Content.styled(f"  {keys.ljust(KEYS)}", KEY), Content(what)


def _heading(text: str) -> list[Line]:
    return [line("", ""), line("", text, STRONG)]
