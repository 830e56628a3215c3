"""Finding by typing: commands and products, themes, whatever is a list of things to do."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Input

from cortex_tui.commands import Scope
from cortex_tui.models import ProductState
from cortex_tui.screens.base import Commanded, Dialog
from cortex_tui.settings import Context, Target
from cortex_tui.widgets.line_input import LineInput
from cortex_tui.widgets.state import state_mark
from cortex_tui.widgets.table import Column, Table
from cortex_tui.widgets.text import DISABLED, KEY, MUTED, WARN, said


@dataclass(frozen=True)
class Entry:
    """Something that can be found, and what happens when it is chosen."""

    order: int
    title: str
    about: Content
    keys: str
    run: Callable[[], object]
    greyed: bool = False


class FindDialog(Dialog[None]):
    """A field and the entries that have every word of it; Enter chooses."""

    def __init__(self, placeholder: str, entries: Iterable[Entry]) -> None:
        super().__init__()
        self._placeholder = placeholder
        self._entries = list(entries)
        self._table: Table[Entry] = Table(
            [
                Column("title", "", _title, 24, grow=1, sort=lambda entry: entry.order),
                Column("about", "", _about, 40, grow=2),
                Column("keys", "", lambda entry: Content.styled(entry.keys, KEY), 8, rank=1),
            ],
            key=lambda entry: entry.order,
            text=lambda entry: f"{entry.title} {entry.about.plain}",
            sort="title",
            header=False,
        )

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -find"):
            yield LineInput(placeholder=self._placeholder)
            yield self._table

    def on_mount(self) -> None:
        self._table.can_focus = False
        self._table.replace(self._entries)

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.DIALOG: self}

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._table.filter = event.value
        self._table.action_end(False)

    def on_key(self, event: events.Key) -> None:
        """Up and down move in the list while the field has the focus."""
        steps = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10}
        if event.key in steps:
            event.stop()
            self._table.action_cursor(steps[event.key])

    @on(Input.Submitted)
    @on(Table.Chosen)
    def _choose(self) -> None:
        if entry := self._table.selected:
            self.dismiss()
            self.app.call_later(entry.run)

    def do_close(self) -> None:
        self.dismiss()


def commands_and_products(page: Commanded[object]) -> list[Entry]:
    """Every command that `page` has, then every product."""
    keys = page.keys_of_commands()
    entries = [
        Entry(
            order,
            f"{command.label} · {command.scope.value}",
            Content.styled(command.help, MUTED),
            keys.get(command.id, ""),
            partial(page.action_command, command.id),
            greyed=page.why_not(command) is not None,
        )
        for order, command in enumerate(page.available())
        if command.name != "find"
    ]
    states = sorted(page.cortex.states.values(), key=lambda state: state.product.name.casefold())
    return entries + [
        _product(page, state, order) for order, state in enumerate(states, len(entries) + 1)
    ]


def _product(page: Commanded[object], state: ProductState, order: int) -> Entry:
    app, product = page.cortex, state.product
    return Entry(
        order,
        f"{product.name} · {product.id}",
        state_mark(state),
        "",
        lambda: app.run_worker(app.show_product(product.id)),
    )


def theme_entries(names: Iterable[str], choose: Callable[[str], None]) -> list[Entry]:
    """Every theme."""
    return [
        Entry(order, name, Content(), "", partial(choose, name)) for order, name in enumerate(names)
    ]


def target_entries(targets: Iterable[Target], choose: Callable[[Target], object]) -> list[Entry]:
    """Every context, with where it is."""
    return [
        Entry(order, target.name, _whereabouts(target.context), "", partial(choose, target))
        for order, target in enumerate(targets)
    ]


def _whereabouts(context: Context) -> Content:
    where = said(context.url or context.db or "this machine", MUTED)
    return Content.assemble(where, ("  read-only", WARN)) if context.read_only else where


def _title(entry: Entry) -> Content:
    return said(entry.title, DISABLED if entry.greyed else "")


def _about(entry: Entry) -> Content:
    return entry.about.stylize(DISABLED) if entry.greyed else entry.about
