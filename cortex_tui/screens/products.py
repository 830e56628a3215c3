"""Every product at a glance, and what is wrong with the one under the cursor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.dom import DOMNode

from cortex_tui.backend import BackendError, Capability, ProductIdKeeper
from cortex_tui.commands import COMMANDS, Scope, bindings
from cortex_tui.screens.base import Page
from cortex_tui.screens.columns import product_columns
from cortex_tui.states import ConnectionState
from cortex_tui.typeahead import Settled
from cortex_tui.widgets.bars import Bar, KeyBar
from cortex_tui.widgets.lines import Lines
from cortex_tui.widgets.listing import Listing
from cortex_tui.widgets.state import LOOKS, Look, look_of, state_mark
from cortex_tui.widgets.status import at_most, failed_actions, folded, since, trouble
from cortex_tui.widgets.table import Table
from cortex_tui.widgets.text import BAD, MUTED, OK, STRONG, WARN, number, per_second, said

if TYPE_CHECKING:
    from cortex_tui.models import Product, ProductDraft
    from cortex_tui.screens.copying import Copies
    from cortex_tui.screens.editors import ProductId
    from cortex_tui.states import Listed

DETAIL_LINES = 4
RATE_ROOM = 8
"""Columns of the summary that the rate of all takes."""
OF_TABLE = ("filter", "clear", "sort", "reverse", "trouble")
"""Commands that need nothing but the rows."""
NO_CONNECTION = (ConnectionState.NOT_CONFIGURED, ConnectionState.DISABLED)


class ProductsScreen(Page):
    """The table of products."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.OPENING, Scope.PRODUCTS)]
    AUTO_FOCUS = "Table"

    settled = True
    """Whether no key waits for the orchestrator."""

    def compose(self) -> ComposeResult:
        app = self.cortex
        self._awaited: int | None = None
        """A product that was just made; the cursor goes there when its state comes."""
        self._listing = Listing(
            Table(
                product_columns(app),
                key=lambda row: row.product.id,
                text=lambda row: (
                    f"{row.product.name} {row.product.id} {row.broker or ''} "
                    f"{row.state.value} {row.product.description}"
                ),
                sort="name",
            ),
            clear_key=lambda: app.key_of("products.clear"),
        )
        yield Bar(id="top")
        yield Bar(id="summary")
        yield self._listing
        yield Lines(id="detail")
        yield KeyBar(self.key_line)

    def on_mount(self) -> None:
        self.recall()

    def recall(self) -> None:
        """Take up the order, the filter and the product where they were left."""
        app, last = self.cortex, self.cortex.recall("product")
        self._settle()  # what waited was for what is open no longer
        order = app.recall_order("products order")
        self._table.order_by(*order)
        self._listing.filter_by(app.recall("products filter"))
        # With what is wrong first, the top is the place to begin.
        self._awaited = last if order[0] != "state" and isinstance(last, int) else None

    @on(Table.Ordered)
    @on(Listing.Filtered)
    def _remember(self) -> None:
        self.cortex.remember("products order", list(self._table.order))
        self.cortex.remember("products filter", self._table.filter)

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        watched = self.cortex.watched
        is_open = (watched.backend and not self._unanswered) or watched.stored
        return {Scope.PRODUCTS if is_open else Scope.OPENING: self}

    @property
    def _unanswered(self) -> BackendError | None:
        """Why there is no row: the orchestrator cannot be asked, and nothing is known of it."""
        watched = self.cortex.watched
        return watched.backend.problem if watched.backend and not watched.listed else None

    @property
    def _table(self) -> Table[Listed]:
        return self._listing.table

    # -- showing ------------------------------------------------------------------------------

    def products_in_view(self) -> Collection[int]:
        return [row.product.id for row in self._table.in_view]

    def show_states(self, changed: frozenset[int] | None) -> None:
        watched, table = self.cortex.watched, self._table
        if changed is None:
            self._listing.replace(watched.listed)
        elif changed:
            present = [watched.states[key] for key in changed if key in watched.states]
            self._listing.put(present, gone=[key for key in changed if key not in watched.states])
        else:
            table.touch()
        if self._awaited in table.rows:
            table.select(self._awaited)
            self._awaited = None
        self._show_summary()
        self._show_detail()
        self._show_notice()
        if watched.failure and not self.settled:
            self._settle()

    def _show_summary(self) -> None:
        watched, summary = self.cortex.watched, self.query_one("#summary", Bar)
        self.query_one("#top", Bar).set(*self.cortex.title_line())
        if not watched.listed:
            summary.set(Content())
            return
        if problem := watched.backend.problem if watched.backend else None:
            summary.set(said(f"⚠ {problem.text}", WARN))
            return
        rate = sum(map(watched.rate, watched.states))
        summary.set(
            self._counted(summary.size.width - RATE_ROOM),
            Content.styled(per_second(rate), STRONG if rate else MUTED),
        )

    def _counted(self, width: int) -> Content:
        """How many products there are, and how they are. Where `width` is too small, those in the
        states that matter least are told together; the rows below have them."""
        states = self.cortex.watched.listed
        counts = Counter(look_of(state).word for state in states)
        looks = [look for look in LOOKS.values() if counts[look.word]]
        failed = sum(state.actions_dead for state in states)
        noun = " product" if len(states) == 1 else " products"
        head = Content.assemble((number(len(states)), STRONG), noun)
        # That something works is known as long as there is room.
        by_weight = sorted(looks, key=lambda look: 0.5 if look.style == OK else look.urgency)
        for kept in range(len(looks), -1, -1):
            told, rest = by_weight[:kept], by_weight[kept:]
            wrong = [look for look in told if look.style in (BAD, WARN)]
            parts = [head, *(_state(look, counts) for look in looks if look in wrong)]
            if failed:
                parts.append(failed_actions(failed))
            parts += [_state(look, counts) for look in looks if look in told and look not in wrong]
            if others := sum(counts[look.word] for look in rest):
                style = WARN if any(look.style in (BAD, WARN) for look in rest) else MUTED
                what = "other" if others == 1 else "others"
                parts.append(said(f"{number(others)} {what}", style))
            line = Content("  ").join(parts)
            if line.cell_length <= width:
                break
        return line

    @on(Table.Moved)
    def _show_detail(self) -> None:
        detail, state = self.query_one("#detail", Lines), self._table.selected
        self.refresh_bindings()
        lines: list[Content] = []
        if state is not None:
            head = [said(state.product.name, STRONG), state_mark(state)]
            head += [part for part in (since(state, self.cortex.now()),) if part]
            head += [said(state.broker, MUTED)] if state.broker else []
            wrong = [*trouble(state), *self._failed(state), *self._advice(state)]
            lines = [Content("  ").join(head), *folded(wrong, detail.size.width)]
            if len(lines) < DETAIL_LINES:
                lines += [said(state.product.description, MUTED)]
        detail.show(at_most(DETAIL_LINES, lines))

    def _failed(self, state: Listed) -> list[Content]:
        """How many of its actions failed, and where they are."""
        if not state.actions_dead:
            return []
        way = f": {self.cortex.key_of('product.actions')} in the product shows why"
        return [failed_actions(state.actions_dead) + said(way, MUTED)]

    def _advice(self, state: Listed) -> list[Content]:
        """What to do about an orchestrator that cannot be asked, where that is what is wrong."""
        backend = self.cortex.watched.backend
        problem = backend.problem if backend and state.unknown_since else None
        return [said(problem.hint)] if problem and problem.hint else []

    def _show_notice(self) -> None:
        """Instead of an empty table: why it is empty, and what to do."""
        shown = bool(self._table.shown)
        self._listing.explain(*(() if shown else self._why_empty()))
        self.query_one("#detail").display = shown

    def _why_empty(self) -> tuple[str, ...]:
        watched = self.cortex.watched
        if failure := watched.failure:
            return "Could not open", failure.message, "", failure.hint, "", self._ways_out
        if watched.backend is None or not watched.seen:
            return "Opening…", self.cortex.target.name
        if problem := self._unanswered:
            again = "It is tried again by itself, ever more slowly, up to twice a minute."
            title = "The orchestrator cannot be asked"
            return title, problem.message, "", problem.hint, "", again, "", self._ways_out
        if watched.states:
            return self._listing.unmatched("No product")
        helps = self.offer("app.help", "help")
        if Capability.EDIT_PRODUCTS in watched.backend.capabilities:
            return (
                "No products yet",
                "A product is one event-driven application:",
                "a broker, its topics, and what happens with the events.",
                "",
                _beside(self.offer("products.new", "create the first one"), helps),
            )
        if Capability.LIST_PRODUCTS in watched.backend.capabilities:
            return "No products yet", "This orchestrator has none."
        return (
            "No products yet",
            "This orchestrator does not list its products:",
            "say which ones you work with.",
            "",
            _beside(self.offer("products.add", "add a product by its id"), helps),
        )

    @property
    def _ways_out(self) -> str:
        return _beside(
            self.offer("opening.retry", "try again"),
            self.offer("app.context", "another context"),
            self.offer("app.quit", "quit"),
        )

    # -- commands -----------------------------------------------------------------------------

    def action_command(self, command_id: str) -> None:
        """As everywhere; what needs an orchestrator waits until one is open. The first does: what
        was typed behind it, to go to where it leads, is no other command if that takes long."""
        command, watched = COMMANDS[command_id], self.cortex.watched
        waits = watched.stored and command.scope is Scope.PRODUCTS and command.name not in OF_TABLE
        if not waits:
            super().action_command(command_id)
        elif self.settled:
            row = self._table.selected
            meant = row.product.id if row else None
            watched.when_seen(partial(self.call_next, self._carry_out, command_id, meant))
            self.settled = False

    def _carry_out(self, command_id: str, product_id: int | None) -> None:
        """A command that waited, on the product that the cursor was on at the time."""
        if self.app.screen is self and (product_id is None or product_id in self._table.rows):
            if product_id is not None:
                self._table.select(product_id)
            super().action_command(command_id)
        self._settle()

    def _settle(self) -> None:
        self.settled = True
        self.post_message(Settled())

    def refusal(self, command: str) -> str | None:
        """Why a command has nothing to work on."""
        if command == "retry":
            asked = self.cortex.watched.failure or self._unanswered
            return None if asked else "It is being opened."
        state, watched = self._table.selected, self.cortex.watched
        if state and watched.seen and state.product.id not in watched.states:
            state = None  # it is gone; the table hears of that later
        if command in ("open", "edit", "toggle", "delete", "reconnect", "forget") and not state:
            return "No product is selected."
        if command in ("add", "forget") and not self._keeps_ids:
            return "This orchestrator lists its products by itself."
        if command == "reconnect" and state and state.state in NO_CONNECTION:
            return f"There is nothing to reconnect: the product is {state.state.value}."
        return None

    def copies(self) -> Copies:
        """What can be copied of the product under the cursor."""
        from cortex_tui.screens.copying import of_product

        row = self._table.selected
        state = self.cortex.watched.states.get(row.product.id) if row else None
        return of_product(state) if state else []

    @property
    def _keeps_ids(self) -> bool:
        backend = self.cortex.watched.backend
        return isinstance(backend, ProductIdKeeper) and (
            Capability.LIST_PRODUCTS not in backend.capabilities
        )

    @property
    def _selected(self) -> Product:
        row = self._table.selected
        assert row is not None
        return cast("Product", row.product)

    def do_retry(self) -> None:
        self.cortex.retry()
        self.show_states(None)

    @on(Table.Chosen)
    def _chosen(self) -> None:
        self.action_command("products.open")

    def do_open(self) -> None:
        from cortex_tui.screens.product import ProductScreen

        self.app.push_screen(ProductScreen(self._selected.id))

    def do_new(self) -> None:
        from cortex_tui.screens.editors import product_editor

        async def save(draft: ProductDraft, _: set[str]) -> None:
            self._awaited = (await self.backend.create_product(draft)).id

        self.app.push_screen(product_editor(None, save))

    def do_edit(self) -> None:
        from cortex_tui.screens.editors import product_editor

        product = self._selected

        async def save(draft: ProductDraft, changed: set[str]) -> None:
            from cortex_tui.models import ProductChange

            change = ProductChange.model_validate(draft.model_dump(include=changed))
            await self.backend.update_product(product.id, change)

        self.app.push_screen(product_editor(product, save))

    async def do_toggle(self) -> None:
        product = self._selected
        await self.cortex.enable(product, not product.enabled)

    async def do_delete(self) -> None:
        from cortex_tui.screens.dialogs import deletion

        product = self._selected
        state = self.cortex.watched.states.get(product.id)
        count = state.subscriptions_total if state else 0
        noun = "subscription" if count == 1 else "subscriptions"
        what = f"Its configuration, {count} {noun} and all counters go with it."
        if await self.app.push_screen_wait(deletion(f"product {product.name}", what)):
            await self.backend.delete_product(product.id)

    async def do_reconnect(self) -> None:
        await self.backend.reconnect(self._selected.id)

    def do_add(self) -> None:
        from cortex_tui.screens.editors import product_id_dialog

        async def save(draft: ProductId, _: set[str]) -> None:
            backend = self.backend
            if isinstance(backend, ProductIdKeeper):
                self._awaited = (await backend.add_product_id(draft.id)).id

        self.app.push_screen(product_id_dialog(save))

    def do_forget(self) -> None:
        backend = self.backend
        if isinstance(backend, ProductIdKeeper):
            backend.remove_product_id(self._selected.id)

    def do_filter(self) -> None:
        self._listing.open_filter()

    def do_clear(self) -> None:
        self._listing.clear_filter()

    def do_trouble(self) -> None:
        """What is wrong first, with the cursor on the worst; once more: by name again."""
        table = self._table
        table.order_by("name" if table.order == ("state", False) else "state")
        table.action_end(False)

    def do_sort(self) -> None:
        self._table.sort_next()

    def do_reverse(self) -> None:
        self._table.sort_reverse()


def _state(look: Look, counts: Counter[str]) -> Content:
    return said(f"{look.glyph} {number(counts[look.word])} {look.word}", look.style)


def _beside(*ways: str) -> str:
    """What can be done, on one line."""
    return "      ".join(filter(None, ways))
