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
        if scope is Scope.APP and page.query(Table):
            lines += _in_table()
        if commands:
            lines += _heading(scope.value)
        for command in commands:
            shown = f"  {keys.get(command.id, '').ljust(KEYS)}"
            if reason := page.why_not(command):
                lines.append(line(shown, f"{command.help}. {reason}", DISABLED))
            else:
                lines.append((Content.styled(shown, KEY), Content(command.help)))
    if in_dialog:
        lines += [line("", ""), line("", OUTSIDE, MUTED)]
    return lines[1:]


def _in_table() -> Iterator[Line]:
    yield from _heading("In a table")
    for binding in Table.BINDINGS:
        shown = f"  {binding.key.replace(',', ' ').ljust(KEYS)}"
        yield Content.styled(shown, KEY), Content(binding.description)


def _heading(text: str) -> list[Line]:
    return [line("", ""), line("", text, STRONG)]
