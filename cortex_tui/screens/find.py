"""Finding by typing: commands and products, themes, whatever is a list of things to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Input, Label

from cortex_tui.commands import Command, Scope
from cortex_tui.screens.base import Commanded, Dialog
from cortex_tui.settings import Context, Target
from cortex_tui.widgets.bars import KeyBar
from cortex_tui.widgets.line_input import LineInput
from cortex_tui.widgets.notice import Notice
from cortex_tui.widgets.state import state_mark
from cortex_tui.widgets.table import Column, Table
from cortex_tui.widgets.text import DISABLED, KEY, MUTED, WARN, number, plain, said

if TYPE_CHECKING:
    from cortex_tui.models import ProductState


@dataclass(frozen=True)
class Entry:
    """Something that can be found, and what happens when it is chosen."""

    title: str
    about: Content
    keys: str
    run: Callable[[], object]
    greyed: bool = False


Numbered = tuple[int, Entry]

KNOWN = 5
"""Of what can be chosen, so many are named where something else was said."""
TYPED = ("app.find", "app.jump")
"""Ways to say what to do; where one of them is open, they are not to be found."""


class FindDialog(Dialog[None]):
    """A field and the entries that have every word of it; Enter chooses."""

    prompt = "/"
    hints: tuple[tuple[str, str], ...] = (("Enter", "Choose"),)
    """Keys that work in the field."""

    def __init__(self, placeholder: str, entries: Iterable[Entry], *, at: int = 0) -> None:
        """The cursor stands on the entry `at` first."""
        super().__init__()
        self._at = at
        self._placeholder = placeholder
        self._entries = list(entries)
        self._notice = Notice()
        self._table: Table[Numbered] = Table(
            [
                Column("title", "", _title, 24, grow=1, sort=lambda row: row[0]),
                Column("about", "", _about, 40, grow=2),
                Column("keys", "", lambda row: Content.styled(row[1].keys, KEY), 8, rank=1),
            ],
            key=lambda row: row[0],
            text=lambda row: row[1].title,
            sort="title",
            header=False,
        )

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -find"):
            with Horizontal(classes="prompt"):
                yield Label(Content.styled(f"{self.prompt} ", KEY))
                yield LineInput(placeholder=self._placeholder, hints=self.hints)
            yield self._notice
            yield self._table
            yield KeyBar(self.key_line)

    def on_mount(self) -> None:
        self._table.can_focus = False
        self._show("")
        self._table.select(self._at)

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.DIALOG: self}

    def found(self, text: str) -> Sequence[Entry]:
        """The entries that have every word of `text`."""
        words = text.casefold().split()
        return [
            entry
            for entry in self._entries
            if all(word in f"{entry.title} {entry.about.plain}".casefold() for word in words)
        ]

    def unmatched(self, text: str) -> tuple[str, ...]:
        """What is said where nothing is found."""
        return ("Nothing matches",)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._show(event.value)

    def _show(self, text: str) -> None:
        found = self.found(text)
        self._table.replace(enumerate(found))
        self._table.display = bool(found)
        if found:
            self._notice.hide()
        else:
            self._notice.say(*self.unmatched(text))
        self._table.action_end(False)
        self._table.refresh()

    def on_key(self, event: events.Key) -> None:
        """Up and down move in the list while the field has the focus."""
        steps = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10}
        if event.key in steps:
            event.stop()
            self._table.action_cursor(steps[event.key])

    @on(Input.Submitted)
    @on(Table.Chosen)
    def _chosen(self) -> None:
        self.choose()

    def choose(self) -> None:
        """Close, and do what is under the cursor."""
        if row := self._table.selected:
            self.dismiss()
            self.app.call_later(row[1].run)

    def do_close(self) -> None:
        self.dismiss()


class JumpDialog(FindDialog):
    """What is said after `:`, a command by its name, some with what they are to take."""

    prompt = ":"
    hints = (*FindDialog.hints, ("Tab", "Complete"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "complete", "Complete", show=False)]

    def __init__(self, page: Commanded[object]) -> None:
        self._commands = {
            alias: command
            for command in page.available()
            if command.id not in TYPED
            for alias in command.aliases
        }
        self._page = page
        super().__init__("prod tyres, ctx staging, theme nord, …", self._verbs())

    def _verbs(self) -> list[Entry]:
        keys = self._page.keys_of_commands()
        entries = []
        for command in dict.fromkeys(self._commands.values()):
            shown = keys.get(command.id, "")
            greyed = self._page.why_not(command) is not None
            names = "  ".join(command.aliases) + (" …" if command.takes else "")
            about = Content.styled(command.help, MUTED)
            run = partial(self._page.action_command, command.id)
            entries.append(Entry(names, about, shown, run, greyed))
        return entries

    def _taking(self, text: str) -> tuple[Command | None, str]:
        """The command that is told what to take, and that; no command where none is."""
        verb, space, rest = text.lstrip(" :").partition(" ")
        command = self._commands.get(verb)
        return (command if command and command.takes and space else None), rest.strip()

    def found(self, text: str) -> Sequence[Entry]:
        command, rest = self._taking(text)
        if command:
            return ranked(self._page.choices(command), rest)
        verb, _, _ = text.lstrip(" :").partition(" ")
        return sorted(
            (entry for entry in self._entries if _begins(entry, verb.strip())),
            key=lambda entry: verb not in entry.title.split(),
        )

    def unmatched(self, text: str) -> tuple[str, ...]:
        command, rest = self._taking(text)
        if command is None:
            text = plain(text.strip(" :"), 40)
            return f"There is nothing called “{text}” here", "The empty line lists all there is."
        known = [entry.title for entry in self._page.choices(command)]
        if not known:
            return (f"There is no {command.label.lower()} to choose from",)
        some = ", ".join(plain(title, 40) for title in known[:KNOWN])
        more = f", and {number(len(known) - KNOWN)} more" if len(known) > KNOWN else ""
        return f"There is no {command.label.lower()} “{plain(rest, 40)}”", f"Known: {some}{more}."

    def action_complete(self) -> None:
        """Write out what is under the cursor."""
        field, row = self.query_one(Input), self._table.selected
        if row is None:
            return
        verb, space, _ = field.value.partition(" ")
        name = row[1].title.split("  ")[0]
        field.value = f"{verb} {name}" if space else f"{name.removesuffix(' …')} "
        field.action_end()


def ranked(entries: Iterable[Entry], text: str) -> list[Entry]:
    """The entries with every word of `text` in their titles: those that are it, then those that
    begin with it, then the others."""
    text = text.casefold()

    def rank(title: str) -> int:
        return 0 if title == text else 1 if title.startswith(text) else 2

    found = [e for e in entries if all(word in e.title.casefold() for word in text.split())]
    return sorted(found, key=lambda entry: rank(entry.title.casefold()))


def commands_and_products(page: Commanded[object]) -> list[Entry]:
    """Every command that `page` has, then every product."""
    return [
        *(_command(page, command) for command in page.available() if command.id not in TYPED),
        *product_entries(page),
    ]


def _command(page: Commanded[object], command: Command) -> Entry:
    return Entry(
        f"{command.label} · {command.scope.value}",
        Content.styled(command.help, MUTED),
        page.keys_of_commands().get(command.id, ""),
        partial(page.action_command, command.id),
        greyed=page.why_not(command) is not None,
    )


def product_entries(page: Commanded[object]) -> list[Entry]:
    """Every product, by name."""
    states = page.cortex.watched.states.values()
    by_name = sorted(states, key=lambda state: state.product.name.casefold())
    return [_product(page, state) for state in by_name]


def _product(page: Commanded[object], state: ProductState) -> Entry:
    app, product = page.cortex, state.product
    return Entry(
        f"{product.name} · {product.id}",
        state_mark(state),
        "",
        lambda: app.run_worker(app.show_product(product.id)),
    )


class ThemeDialog(FindDialog):
    """The themes, with the present one marked; the one under the cursor is shown at once, and Esc
    brings back the one that was."""

    def __init__(self, entries: Sequence[Entry], present: str) -> None:
        names = [entry.title for entry in entries]
        super().__init__("a theme", entries, at=names.index(present))
        self._present = present

    @on(Table.Moved)
    def _try_on(self) -> None:
        row = self._table.selected
        self.app.theme = row[1].title if row else self._present

    def do_close(self) -> None:
        self.app.theme = self._present
        super().do_close()


def theme_entries(names: Iterable[str], present: str, choose: Callable[[str], None]) -> list[Entry]:
    """Every theme, with a word beside the present one."""
    now = Content.styled("as it is now", MUTED)
    return [
        Entry(name, now if name == present else Content(), "", partial(choose, name))
        for name in names
    ]


def copy_entries(
    texts: Iterable[tuple[str, str]], copy: Callable[[str, str], object]
) -> list[Entry]:
    """Every text that can be copied, by what it is."""
    return [Entry(what, said(text, MUTED), "", partial(copy, what, text)) for what, text in texts]


def target_entries(targets: Iterable[Target], choose: Callable[[Target], object]) -> list[Entry]:
    """Every context, with where it is."""
    return [
        Entry(target.name, _whereabouts(target.context), "", partial(choose, target))
        for target in targets
    ]


def _whereabouts(context: Context) -> Content:
    where = said(context.url or context.db or "this machine", MUTED)
    return Content.assemble(where, ("  read-only", WARN)) if context.read_only else where


def _begins(entry: Entry, text: str) -> bool:
    return any(name.startswith(text) for name in entry.title.split("  "))


def _title(row: Numbered) -> Content:
    return said(row[1].title, DISABLED if row[1].greyed else "")


def _about(row: Numbered) -> Content:
    return row[1].about.stylize(DISABLED) if row[1].greyed else row[1].about
