"""A table of live rows: filtered, sorted, and repainted cell by cell.

Only what is in view is ever drawn, so a thousand rows cost what twenty do; and of that only the
cells whose text changed are sent to the terminal.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from cortex_tui.widgets.cursor import cursor_style, under_cursor
from cortex_tui.widgets.text import MUTED, start_of

Row = TypeVar("Row")
GAP = 2
MARGIN = 2


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column: how it is called, drawn and sorted, and how much room it takes."""

    key: str
    title: str
    cell: Callable[[Row], Content]
    width: int
    grow: int = 0
    """Its share of the room that is left over."""
    right: bool = False
    cut: Callable[[Content, int], Content] = start_of
    """What is left of a cell that does not fit into so many columns."""
    sort: Callable[[Row], Any] | None = None
    falling: bool = False
    """Sorted with what is most, or newest, first; the other way round when that is asked for."""
    fit: bool = False
    """It grows to its longest cell before others grow, and no wider while those lack room."""
    snug: bool = False
    """It is as narrow as its longest cell, `width` at most."""
    rank: int = 0
    """Columns of the highest rank go first where there is no room; rank 0 always stays."""


@dataclass(frozen=True)
class _Place(Generic[Row]):
    column: Column[Row]
    x: int
    width: int


class Table(ScrollView, Generic[Row], can_focus=True):
    """Rows by key. `put` brings rows, `touch` repaints what time has changed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--header", "table--sorted", "table--cursor"}

    BINDINGS: ClassVar[list[Binding]] = [  # type: ignore[assignment]
        Binding("up,k", "cursor(-1)", "Row up", show=False),
        Binding("down,j", "cursor(1)", "Row down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "end(False)", "First row", show=False),
        Binding("end,G", "end(True)", "Last row", show=False),
    ]

    class Moved(Message):
        """Another row is under the cursor, or the row under it is another."""

    class Ordered(Message):
        """The rows are sorted in another way."""

    class Chosen(Message):
        """The row under the cursor was clicked twice."""

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        *,
        key: Callable[[Row], Hashable],
        text: Callable[[Row], str],
        sort: str,
        header: bool = True,
    ) -> None:
        """`key` identifies a row, `text` is what the filter looks into, `sort` a column's key."""
        super().__init__()
        self._top = 1 if header else 0
        self._columns = columns
        self._key = key
        self._text = text
        self._sort = sort
        self._reverse = False
        self._filter: list[str] = []
        self._rows: dict[Hashable, Row] = {}
        self._shown: list[Hashable] = []
        self._cursor: Hashable | None = None
        self._places: list[_Place[Row]] = []
        self._drawn: dict[int, list[Content]] = {}
        self._longest: dict[str, int] = {}
        """Of each column that asks for it, the longest cell there ever was: one that goes does not
        make the columns jump."""

    # -- rows ---------------------------------------------------------------------------------

    @property
    def rows(self) -> Mapping[Hashable, Row]:
        """Every row by its key, shown or not."""
        return self._rows

    @property
    def shown(self) -> list[Row]:
        """The rows that pass the filter, in order."""
        return [self._rows[key] for key in self._shown]

    @property
    def selected(self) -> Row | None:
        """The row under the cursor."""
        return self._rows.get(self._cursor) if self._shown else None

    @property
    def at_end(self) -> bool:
        """Whether the cursor is on the last row that is shown."""
        return bool(self._shown) and self._cursor == self._shown[-1]

    @property
    def in_view(self) -> list[Row]:
        """The rows that are on screen now."""
        top = self.scroll_offset.y
        return self.shown[top : top + max(0, self.size.height - self._top)]

    def replace(self, rows: Iterable[Row]) -> None:
        """Show these rows and no others."""
        fresh = {self._key(row): row for row in rows}
        self.put(fresh.values(), gone=[key for key in self._rows if key not in fresh])

    def put(self, rows: Iterable[Row], gone: Iterable[Hashable] = ()) -> None:
        """Add or change rows, and drop those `gone`."""
        for key in gone:
            self._rows.pop(key, None)
        before = dict(self._longest)
        for row in rows:
            self._rows[self._key(row)] = row
            self._measure(row)
        if self._places and self._longest != before:
            self._places = self._lay_out(self.scrollable_content_region.width)
            self.refresh()
        self._arrange()
        self.touch()

    def touch(self) -> None:
        """Repaint the cells in view whose content is no longer what was drawn."""
        for y, before in list(self._drawn.items()):
            row = self._row_at(y)
            after = [] if row is None else self._cells(row)
            if row is None or len(after) != len(before):
                self.refresh(Region(0, y, self.size.width, 1))
                continue
            for place, old, new in zip(self._places, before, after, strict=True):
                if not old.is_same(new):
                    self.refresh(Region(place.x, y, place.width, 1))

    # -- order --------------------------------------------------------------------------------

    @property
    def filter(self) -> str:
        """Only rows that contain each of its words, whatever the case, are shown."""
        return " ".join(self._filter)

    @filter.setter
    def filter(self, query: str) -> None:
        self._filter = query.casefold().split()
        self._arrange()

    @property
    def order(self) -> tuple[str, bool]:
        """The column the rows are sorted by, and whether the other way round."""
        return self._sort, self._reverse

    def order_by(self, key: str, reverse: bool = False) -> None:
        """Sort by a column; one that cannot be sorted by, or is none of ours, changes nothing."""
        if any(column.key == key and column.sort for column in self._columns):
            self._sort, self._reverse = key, reverse
            self._arrange()
            self.refresh()
            self._tell(self.Ordered())

    def sort_by(self, key: str) -> None:
        """Sort by a column; the other way round where it was sorted by that already."""
        self.order_by(key, not self._reverse if key == self._sort else False)

    def sort_next(self) -> None:
        """Sort by the next column that is in view."""
        in_view = {self._sort, *(place.column.key for place in self._places)}
        sortable = [column for column in self._columns if column.sort and column.key in in_view]
        at = next(i for i, column in enumerate(sortable) if column.key == self._sort)
        self.sort_by(sortable[(at + 1) % len(sortable)].key)

    def sort_reverse(self) -> None:
        """Turn the order round."""
        self.sort_by(self._sort)

    def _arrange(self) -> None:
        column = next(column for column in self._columns if column.key == self._sort)
        by = column.sort
        assert by is not None
        rows = self._rows
        keys = list(rows)
        if self._filter:
            keys = [key for key in keys if self._passes(rows[key])]
        keys.sort(key=lambda key: by(rows[key]), reverse=self._falls(column))
        before, self._shown = self._shown, keys
        moved = False
        if self._cursor not in rows or self._cursor not in keys:
            at = before.index(self._cursor) if self._cursor in before else 0
            self._cursor = keys[min(at, len(keys) - 1)] if keys else None
            moved = True
        if before != keys:
            self.virtual_size = Size(self.size.width, len(keys) + self._top)
            self._keep_in_view()
            self.refresh()
        if moved:
            self._tell(self.Moved())

    def _tell(self, message: Message) -> None:
        """As if it came of itself: Textual lets no message go past a parent that caused it."""
        self.post_message(message.set_sender(self))

    def _falls(self, column: Column[Row]) -> bool:
        return self._reverse is not column.falling

    def _passes(self, row: Row) -> bool:
        text = self._text(row).casefold()
        return all(word in text for word in self._filter)

    # -- cursor -------------------------------------------------------------------------------

    def select(self, key: Hashable) -> None:
        """Put the cursor on a row, if it is shown."""
        if key in self._shown:
            self._move_to(self._shown.index(key))

    def _move_to(self, index: int) -> None:
        if not self._shown:
            return
        key = self._shown[max(0, min(index, len(self._shown) - 1))]
        if key == self._cursor:
            return
        self._refresh_cursor()
        self._cursor = key
        self._refresh_cursor()
        self._keep_in_view()
        self._tell(self.Moved())

    @property
    def _cursor_index(self) -> int:
        return self._shown.index(self._cursor) if self._cursor in self._shown else 0

    def _refresh_cursor(self) -> None:
        self.refresh_line(self._cursor_index + self._top)

    def _keep_in_view(self) -> None:
        height = max(1, self.size.height - self._top)
        index, top = self._cursor_index, self.scroll_offset.y
        wanted = min(max(top, index - height + 1), index)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, immediate=True, force=True)

    def action_cursor(self, step: int) -> None:
        self._move_to(self._cursor_index + step)

    def action_page(self, step: int) -> None:
        self._move_to(self._cursor_index + step * max(1, self.size.height - self._top - 1))

    def action_end(self, last: bool) -> None:
        self._move_to(len(self._shown) if last else 0)

    def on_hide(self, event: events.Hide) -> None:
        # A notice stands in its place while there is no row; the focus waits here for the rows.
        event.prevent_default()

    def on_click(self, event: events.Click) -> None:
        if event.y < self._top:
            for place in self._places:
                if place.x <= event.x < place.x + place.width + GAP and place.column.sort:
                    self.sort_by(place.column.key)
        elif self._row_at(event.y) is not None:
            self._move_to(event.y - self._top + self.scroll_offset.y)
            if event.chain == 2:
                self.post_message(self.Chosen())

    # -- drawing ------------------------------------------------------------------------------

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._shown) + self._top)
        self._places = self._lay_out(self.scrollable_content_region.width)
        self._keep_in_view()
        self.refresh()

    def _lay_out(self, width: int) -> list[_Place[Row]]:
        columns = list(self._columns)
        room = width - 2 * MARGIN

        def needed() -> int:
            return sum(self._width(column) + GAP for column in columns) - GAP

        while needed() > room and (spare := [c for c in columns if c.rank]):
            columns.remove(max(spare, key=lambda column: column.rank))
        widths = {column.key: self._width(column) for column in columns}
        left = max(0, room - sum(widths.values()) - GAP * (len(columns) - 1))
        growing = [column for column in columns if column.grow]
        # First to those whose cells do not fit, the lowest rank before; then to all.
        while left and (cramped := [c for c in growing if self._lack(c, widths[c.key])]):
            rank = min(column.rank for column in cramped)
            for column, share in _shares(left, [c for c in cramped if c.rank == rank]):
                taken = min(share, self._lack(column, widths[column.key]))
                widths[column.key] += taken
                left -= taken
        for column, share in _shares(left, growing):
            widths[column.key] += share
        places, x = [], MARGIN
        for column in columns:
            places.append(_Place(column, x, widths[column.key]))
            x += widths[column.key] + GAP
        return places

    def _measure(self, row: Row) -> None:
        for column in self._columns:
            if column.fit or column.snug:
                length = column.cell(row).cell_length
                self._longest[column.key] = max(length, self._longest.get(column.key, 0))

    def _width(self, column: Column[Row]) -> int:
        """What it takes at least."""
        if not column.snug:
            return column.width
        return min(column.width, max(len(column.title) + 1, self._longest.get(column.key, 0)))

    def _lack(self, column: Column[Row], width: int) -> int:
        """How many columns of text of its longest cell do not fit into `width`."""
        return max(0, self._longest.get(column.key, 0) - width) if column.fit else 0

    def _row_at(self, y: int) -> Row | None:
        index = y - self._top + self.scroll_offset.y
        if y < self._top or index >= len(self._shown):
            return None
        return self._rows[self._shown[index]]

    def _cells(self, row: Row) -> list[Content]:
        return [place.column.cell(row) for place in self._places]

    def _line(self, cells: Sequence[Content], mark: str) -> Content:
        line, x = Content(mark), len(mark)
        for place, cell in zip(self._places, cells, strict=True):
            fitted = place.column.cut(cell, place.width)
            room = place.width - fitted.cell_length
            before, after = (room, 0) if place.column.right else (0, room)
            gap = place.x - x + before
            line = line + Content(" " * gap) + fitted + Content(" " * after)
            x = place.x + place.width
        return line.truncate(self.size.width, pad=True)

    def _header(self) -> Content:
        cells = []
        for place in self._places:
            title = place.column.title
            if place.column.key == self._sort:
                arrow = "▾" if self._falls(place.column) else "▴"
                title = f"{arrow}{title}" if place.column.right else f"{title}{arrow}"
                cells.append(Content.styled(title, ".table--sorted"))
            else:
                cells.append(Content.styled(title, MUTED))
            cells[-1] = start_of(cells[-1], place.width)
        return self._line(cells, " " * MARGIN)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        style = self.visual_style
        if y < self._top:
            style = self.get_visual_style("table--header")
            return Visual.to_strips(self, self._header(), width, 1, style)[0]
        row = self._row_at(y)
        if row is None:
            self._drawn.pop(y, None)
            return Strip.blank(width, style.rich_style)
        cells = self._drawn[y] = self._cells(row)
        if self._shown[y - self._top + self.scroll_offset.y] == self._cursor:
            style = cursor_style(self, "table--cursor")
            line = under_cursor(self, self._line(cells, "▸ "))
        else:
            line = self._line(cells, "  ")
        return Visual.to_strips(self, line, width, 1, style)[0]


def _shares(left: int, columns: Sequence[Column[Row]]) -> Iterator[tuple[Column[Row], int]]:
    """What each gets of the room that is left."""
    shares = sum(column.grow for column in columns)
    for column in columns:
        share = left * column.grow // shares
        yield column, share
        left, shares = left - share, shares - column.grow
