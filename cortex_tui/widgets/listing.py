"""A table with its filter: `/` opens a field above the rows, Esc clears it."""

from collections.abc import Callable, Iterable
from typing import ClassVar, Generic, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input

from cortex_tui.widgets.line_input import LineInput
from cortex_tui.widgets.lines import Lines
from cortex_tui.widgets.notice import Notice
from cortex_tui.widgets.table import Table
from cortex_tui.widgets.text import MUTED, number, plain

Row = TypeVar("Row")


class FilterInput(LineInput):
    """The field of the filter; Enter and Down go on to the rows. What is typed refines it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "Clear the filter", show=False),
        Binding("down,enter", "done", "On to the rows", show=False),
    ]

    class Done(Message):
        """The person goes on to the rows, or gives the filter up."""

    def __init__(self) -> None:
        hints = ("Enter", "To the rows"), ("Esc", "Clear")
        super().__init__(id="filter-input", hints=hints, select_on_focus=False)

    def action_clear(self) -> None:
        self.value = ""
        self.post_message(self.Done())

    def action_done(self) -> None:
        self.post_message(self.Done())


class Listing(Vertical, Generic[Row]):
    """A `Table` under a filter that is hidden while nothing is filtered."""

    class Filtered(Message):
        """The filter is as the person wants it."""

    class Narrowed(Message):
        """Something was typed into the filter."""

    def __init__(self, table: Table[Row], *, clear_key: Callable[[], str]) -> None:
        """`clear_key` names the key that clears the filter while the rows have the focus."""
        super().__init__()
        self.table = table
        self._clear_key = clear_key
        # Held, not queried: rows may come before this is composed, and after it is taken down.
        self._filter = Horizontal(id="filter")
        self._filter.display = False
        self._label = Lines(id="filter-label")
        self._field = FilterInput()
        self._counted = Lines(id="filter-count")
        self._notice = Notice()

    def compose(self) -> ComposeResult:
        with self._filter:
            yield self._label
            yield self._field
            yield self._counted
        yield self._notice
        yield self.table

    def explain(self, *lines: str) -> None:
        """Say these lines instead of an empty table; none shows the table again."""
        if lines:
            self._notice.say(*lines)
        else:
            self._notice.hide()
        self.table.display = not lines

    def unmatched(self, what: str) -> tuple[str, ...]:
        """The lines for where the filter leaves nothing; `what` is it that does not match."""
        quoted = plain(self.table.filter, 60)
        way = f"{self._key_that_clears}  clear the filter"
        return "Nothing matches", f"{what} contains “{quoted}”.", "", way

    @property
    def _key_that_clears(self) -> str:
        return "Esc" if self._field.has_focus else self._clear_key()

    def on_mount(self) -> None:
        self._label.show([Content.styled("filter", MUTED)])

    @property
    def filtering(self) -> bool:
        """Whether the filter is open or holds rows back."""
        return self._filter.display

    def open_filter(self) -> None:
        """Let the person type a filter."""
        self._filter.display = True
        self.screen.set_focus(self._field)

    def clear_filter(self) -> None:
        """Show every row again."""
        self._field.value = self.table.filter = ""
        self._done()

    def filter_by(self, text: object) -> None:
        """Filter by `text` without going to the field; by nothing where it is no text."""
        text = text if isinstance(text, str) else ""
        self._field.value = self.table.filter = text
        self._filter.display = bool(text)
        self._count()

    def put(self, rows: Iterable[Row], gone: Iterable[object] = ()) -> None:
        """As `Table.put`."""
        self.table.put(rows, gone)
        self._count()

    def replace(self, rows: Iterable[Row]) -> None:
        """As `Table.replace`."""
        self.table.replace(rows)
        self._count()

    @on(Input.Changed, "#filter-input")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.table.filter = event.value
        self._count()
        self.post_message(self.Narrowed())

    @on(FilterInput.Done)
    def _done(self) -> None:
        if not self.table.filter and not self._field.value:
            self._filter.display = False
        self.screen.set_focus(self.table)
        self.post_message(self.Filtered())

    @on(events.DescendantFocus)
    def _count(self) -> None:
        shown, total = len(self.table.shown), len(self.table.rows)
        text = f"{number(shown)} of {number(total)}   {self._key_that_clears} clears"
        self._counted.show([Content.styled(text, MUTED)])
