"""One product: its status always in view, its configuration and subscriptions in tabs."""

from collections.abc import Collection, Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.dom import DOMNode
from textual.reactive import var

from cortex_tui.backend import NotFound
from cortex_tui.commands import Scope, bindings
from cortex_tui.models import ConnectionState, ProductState
from cortex_tui.screens.base import Page
from cortex_tui.screens.config import ConfigPane
from cortex_tui.screens.copying import Copies, of_product
from cortex_tui.screens.dialogs import Option, Question
from cortex_tui.screens.subscriptions import SubscriptionsPane
from cortex_tui.widgets.bars import Bar, KeyBar
from cortex_tui.widgets.notice import Notice
from cortex_tui.widgets.status import TREND, StatusPanel
from cortex_tui.widgets.tabs import TabLine
from cortex_tui.widgets.text import ACCENT

BROKER, TOPICS, SUBSCRIPTIONS = range(3)

RELOAD = 1.0
"""Seconds between two looks at the counters of the subscriptions, at least."""


class ProductScreen(Page):
    """A product's page."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.PRODUCT, Scope.CONFIG, Scope.SUBSCRIPTIONS)
    ]
    AUTO_FOCUS = "TabLine"

    loaded: var[bool] = var(False)
    """Whether the configuration was read."""

    def __init__(self, product_id: int) -> None:
        super().__init__()
        self.product_id = product_id
        self._config = ConfigPane(product_id)
        self._subscriptions = SubscriptionsPane(product_id)
        self._received: int | None = None
        """The count of messages that the subscriptions were read at."""
        self._next_read = 0.0

    def compose(self) -> ComposeResult:
        yield Bar(id="top")
        with Container(id="body"):
            yield StatusPanel(id="status")
            with Vertical(id="main"):
                yield TabLine(["Broker", "Topics", "Subscriptions"])
                yield Notice()
                yield self._config
                yield self._subscriptions
        yield KeyBar(self.key_line)

    def on_mount(self) -> None:
        self.query_one(Notice).say("Reading the configuration…")
        self.cortex.remember("product", self.product_id)
        self._show_tab()
        self.begin(self._load())

    async def _load(self) -> None:
        try:
            document = await self.backend.config(self.product_id)
            rows = document.subscriptions
            if rows is None:  # not configured; subscriptions there may be all the same
                rows = tuple(await self.backend.subscriptions(self.product_id))
        except NotFound:
            self._gone()
            return
        self._config.load(document)
        self._subscriptions.topics = self._config.topics_stored
        self._subscriptions.show(rows)
        self.loaded = True
        self._show_tab()
        if self._tabs.active == SUBSCRIPTIONS and self._tabs.has_focus:
            self._enter_tab()

    @property
    def _state(self) -> ProductState | None:
        return self.cortex.states.get(self.product_id)

    @property
    def _tabs(self) -> TabLine:
        return self.query_one(TabLine)

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        if self._tabs.active == SUBSCRIPTIONS:
            return {Scope.SUBSCRIPTIONS: self._subscriptions, Scope.PRODUCT: self}
        return {Scope.CONFIG: self._config, Scope.PRODUCT: self}

    # -- showing ------------------------------------------------------------------------------

    def products_in_view(self) -> Collection[int]:
        return (self.product_id,)

    def show_states(self, changed: frozenset[int] | None) -> None:
        state = self._state
        if state is None:
            if self.cortex.backend is not None:
                self._gone()
            return
        self.query_one("#top", Bar).set(*self.cortex.title_line(state.product.name))
        panel = self.query_one(StatusPanel)
        app, product_id = self.cortex, self.product_id
        panel.show_state(state, app.rate(product_id), app.rates(product_id, TREND), app.now())
        self._subscriptions.touch()
        self._read_counters(state)

    def _gone(self) -> None:
        self.cortex.notify("This product does not exist any more.", severity="warning")
        self.dismiss()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_states, None)

    def _read_counters(self, state: ProductState) -> None:
        """Read the subscriptions anew when messages came: once a second, while they are in view."""
        received = state.status.messages_received if state.status else 0
        at = self.cortex.now().timestamp()
        if not self.loaded or self._tabs.active != SUBSCRIPTIONS:
            return
        if received != self._received and at >= self._next_read:
            self._received, self._next_read = received, at + RELOAD
            self.run_worker(
                self._told(self._subscriptions.load()), group="counters", exclusive=True
            )

    @on(TabLine.Changed)
    def _show_tab(self) -> None:
        active = self._tabs.active
        self.query_one(Notice).display = not self.loaded
        self._config.display = self.loaded and active != SUBSCRIPTIONS
        self._subscriptions.display = self.loaded and active == SUBSCRIPTIONS
        if active != SUBSCRIPTIONS:
            self._config.choose("broker-tab" if active == BROKER else "topics-tab")
        self.refresh_bindings()
        if state := self._state:
            self._read_counters(state)

    @on(TabLine.Entered)
    def _enter_tab(self) -> None:
        if not self.loaded:
            return
        if self._tabs.active == SUBSCRIPTIONS:
            self._subscriptions.listing.table.focus()
        else:
            self._config.enter()

    @on(ConfigPane.Edited)
    @on(SubscriptionsPane.Loaded)
    def _label_tabs(self) -> None:
        rows, config = self._subscriptions.rows, self._config
        enabled = sum(row.enabled for row in rows)
        self._tabs.label(BROKER, _marked("Broker", bool(config.broker.changed)))
        self._tabs.label(TOPICS, _marked("Topics", bool(config.topics.changed)))
        self._tabs.label(SUBSCRIPTIONS, Content(f"Subscriptions {enabled}/{len(rows)}"))
        self._subscriptions.topics = config.topics_stored
        config.show_subscriptions(rows)

    # -- commands -----------------------------------------------------------------------------

    def refusal(self, command: str) -> str | None:
        """Why a command cannot be carried out in the state the product is in."""
        state = self._state
        if command == "reconnect" and state:
            if state.state is ConnectionState.NOT_CONFIGURED:
                return "There is nothing to connect to yet: save a broker first."
            if state.state is ConnectionState.DISABLED:
                return "The product is disabled: enable it first (d)."
        return None

    async def do_back(self) -> None:
        """One step back: out of a field, out of a filter, out of the product."""
        if self._subscriptions.listing.filtering:
            self._subscriptions.listing.clear_filter()
        elif self.focused is not None and self._config in self.focused.ancestors:
            self._tabs.focus()
        elif await self.may_leave():
            self.dismiss()

    async def may_leave(self) -> bool:
        if not self._config.dirty:
            return True
        answer = await self.app.push_screen_wait(
            Question(
                "Leave with unsaved changes?",
                ["Broker or topics were changed and not saved."],
                (
                    Option("Save", "s", "save"),
                    Option("Discard", "d", "discard", danger=True),
                    Option("Stay", "y", "stay"),
                ),
            )
        )
        return answer == "discard" or (answer == "save" and await self._config.save())

    def do_broker(self) -> None:
        self._go(BROKER)

    def do_topics(self) -> None:
        self._go(TOPICS)

    def do_subscriptions(self) -> None:
        self._go(SUBSCRIPTIONS)

    def do_next_tab(self) -> None:
        self._go((self._tabs.active + 1) % 3)

    def _go(self, tab: int) -> None:
        self._tabs.active = tab
        self._show_tab()
        if tab == SUBSCRIPTIONS:
            self._enter_tab()
        else:
            self._tabs.focus()

    async def do_reconnect(self) -> None:
        await self.backend.reconnect(self.product_id)

    async def do_toggle_product(self) -> None:
        if state := self._state:
            await self.cortex.enable(state.product, not state.product.enabled)

    def copies(self) -> Copies:
        """What can be copied of the product."""
        return of_product(self._state) if self._state else []


def _marked(label: str, dirty: bool) -> Content:
    return Content.assemble(label, (" •", ACCENT)) if dirty else Content(label)
