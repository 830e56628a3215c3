"""One product: its status always in view, its configuration and subscriptions in tabs."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.dom import DOMNode
from textual.reactive import var
from textual.worker import Worker

from cortex_tui.backend import BackendError, NotFound, Unreachable
from cortex_tui.commands import Scope, bindings
from cortex_tui.models import ProductState
from cortex_tui.screens.actions import ActionsPane
from cortex_tui.screens.base import Page, Pane, TablePane
from cortex_tui.screens.config import ConfigPane
from cortex_tui.screens.copying import Copies, of_product
from cortex_tui.screens.dialogs import Option, Question
from cortex_tui.screens.event import takers_first
from cortex_tui.screens.events import EventsPane
from cortex_tui.screens.find import FindDialog
from cortex_tui.screens.publish import PublishDialog, anew
from cortex_tui.screens.subscriptions import SubscriptionsPane
from cortex_tui.states import ConnectionState
from cortex_tui.topics import effective_topic, example_topic
from cortex_tui.typeahead import Settled
from cortex_tui.widgets.bars import Bar, KeyBar
from cortex_tui.widgets.notice import Notice
from cortex_tui.widgets.status import TREND, StatusPanel
from cortex_tui.widgets.tabs import TabLine
from cortex_tui.widgets.text import ACCENT, BAD, number

BROKER, TOPICS, SUBSCRIPTIONS, EVENTS, ACTIONS = range(5)

RELOAD = 1.0
"""Seconds between two looks at the counters of the subscriptions, at least."""
FADING = 4.0
"""Seconds more between them where nothing comes, and only rates fall."""


class ProductScreen(Page):
    """A product's page."""

    # The panel beside the page leaves room for the line of the tabs.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.PRODUCT, Scope.CONFIG, Scope.SUBSCRIPTIONS, Scope.EVENTS, Scope.ACTIONS)
    ]
    AUTO_FOCUS = "TabLine"

    loaded: var[bool] = var(False)
    """Whether the configuration was read."""

    def __init__(self, product_id: int) -> None:
        super().__init__()
        self.product_id = product_id
        self._config = ConfigPane(product_id)
        self._subscriptions = SubscriptionsPane(product_id)
        self._events = EventsPane(product_id)
        self._actions = ActionsPane(product_id)
        self._tables: Mapping[int, tuple[Scope, TablePane]] = {
            SUBSCRIPTIONS: (Scope.SUBSCRIPTIONS, self._subscriptions),
            EVENTS: (Scope.EVENTS, self._events),
            ACTIONS: (Scope.ACTIONS, self._actions),
        }
        """The tabs that are tables, and what is done in each."""
        self.settled = False
        """What its keys are about was read, or cannot be."""
        self._received: int | None = None
        """The count of messages that the subscriptions were read at."""
        self._next_read = 0.0
        self._counting: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        yield Bar(id="top")
        with Container(id="body"):
            yield StatusPanel(id="status")
            with Vertical(id="main"):
                yield TabLine(["Broker", "Topics", "Subscriptions", "Events", "Actions"])
                yield Notice()
                yield self._config
                for _, pane in self._tables.values():
                    yield pane
        yield KeyBar(self.key_line)

    def on_mount(self) -> None:
        self.query_one(Notice).say("Reading the configuration…")
        self.cortex.remember("product", self.product_id)
        self._show_tab()
        self._begin_to_load()

    def _begin_to_load(self) -> None:
        self.settled = False
        self.begin(self._load())

    async def _load(self) -> None:
        try:
            await self._read()
        except BackendError as error:
            self.query_one(Notice).say("The configuration cannot be read", error.text)
        finally:
            self.settled = True
            self.post_message(Settled())

    async def _read(self) -> None:
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
        if self._table and self._tabs.has_focus:
            self._enter_tab()

    @property
    def _state(self) -> ProductState | None:
        return self.cortex.watched.states.get(self.product_id)

    @property
    def _tabs(self) -> TabLine:
        return self.query_one(TabLine)

    @property
    def _table(self) -> TablePane | None:
        """The pane of the tab in view, where that is a table."""
        _, pane = self._tables.get(self._tabs.active, (None, None))
        return pane

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        scope, pane = self._tables.get(self._tabs.active, (Scope.CONFIG, self._config))
        return {scope: pane, Scope.PRODUCT: self}

    # -- showing ------------------------------------------------------------------------------

    def products_in_view(self) -> Collection[int]:
        return (self.product_id,)

    def show_states(self, changed: frozenset[int] | None) -> None:
        state = self._state
        if state is None:
            if self.cortex.watched.backend is not None:
                self._gone()
            return
        self.query_one("#top", Bar).set(*self.cortex.title_line(state.product.name))
        panel = self.query_one(StatusPanel)
        app, product_id = self.cortex, self.product_id
        rate, rates = app.watched.rate(product_id), app.watched.rates(product_id, TREND)
        panel.show_state(state, rate, rates, app.now())
        self._config.follow(state)
        self._subscriptions.touch()
        self._label_actions(state)
        news = changed is None or product_id in changed
        if news and self.settled and not self.loaded and not state.unknown_since:
            self._begin_to_load()
        self._follow_tab(state, news)

    def _gone(self) -> None:
        self.cortex.notify("This product does not exist any more.", severity="warning")
        self.dismiss()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_states, None)

    def _follow_tab(self, state: ProductState, changed: bool) -> None:
        """Let the tab in view read what is new."""
        if not self.loaded:
            return
        if self._table is self._subscriptions:
            self._read_counters(state)
        elif self._table is self._events:
            self._events.follow(state)
        elif self._table is self._actions:
            self._actions.follow(state, changed)

    def _read_counters(self, state: ProductState) -> None:
        """Read the subscriptions anew when messages came, once a second at most, and now and then
        while a rate fades; only while they are in view."""
        received = state.status.messages_received if state.status else 0
        at = self.cortex.now().timestamp()
        came = received != self._received
        due = self._next_read if came else self._next_read + FADING
        under_way = self._counting is not None and not self._counting.is_finished
        if (came or self._subscriptions.fading) and at >= due and not under_way:
            self._received, self._next_read = received, at + RELOAD
            self._counting = self.run_worker(self._told(self._reload()))

    async def _reload(self) -> None:
        with suppress(Unreachable):  # the status says so
            await self._subscriptions.load()

    @on(TabLine.Changed)
    def _show_tab(self) -> None:
        active: Pane = self._table or self._config
        self.query_one(Notice).display = not self.loaded
        for pane in (self._config, *(pane for _, pane in self._tables.values())):
            pane.display = self.loaded and pane is active
        if active is self._config:
            self._config.choose("broker-tab" if self._tabs.active == BROKER else "topics-tab")
        self.refresh_bindings()
        if state := self._state:
            self._follow_tab(state, changed=True)

    @on(TabLine.Entered)
    def _enter_tab(self) -> None:
        if not self.loaded:
            return
        if table := self._table:
            table.listing.table.focus()
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
        self._events.subscriptions = self._actions.subscriptions = rows
        config.show_subscriptions(rows)

    def _label_actions(self, state: ProductState) -> None:
        dead = state.actions_dead
        badge = (f" ✗ {number(dead)}", BAD) if dead else ""
        self._tabs.label(ACTIONS, Content.assemble("Actions", badge))

    # -- what the Events tab asks for ---------------------------------------------------------

    @on(EventsPane.Trying)
    def _choose_whom_to_try(self, message: EventsPane.Trying) -> None:
        rows = self._subscriptions.rows
        if not rows:
            self.cortex.notify("There is no subscription to try.", severity="warning")
            return
        entries = takers_first(
            message.event, rows, lambda row: self._subscriptions.try_with(row, message.event)
        )
        self.app.push_screen(FindDialog("a subscription", entries))

    @on(EventsPane.Publishing)
    def _publish(self, message: EventsPane.Publishing) -> None:
        event = message.event
        values = (
            anew(event)
            if event
            else {"topic": example_topic(effective_topic(self._config.topics_stored))}
        )
        self.app.push_screen(PublishDialog(self.product_id, values))

    # -- commands -----------------------------------------------------------------------------

    def refusal(self, command: str) -> str | None:
        """Why a command cannot be carried out in the state the product is in."""
        state = self._state
        if command == "reconnect" and state:
            if state.state is ConnectionState.NOT_CONFIGURED:
                return "There is nothing to connect to yet: save a broker first."
            if state.state is ConnectionState.DISABLED:
                key = self.cortex.key_of("product.toggle_product")
                return f"The product is disabled: enable it first ({key})."
        return None

    async def do_back(self) -> None:
        """One step back: out of a field, out of a filter, out of the product."""
        if self._table and self._table.listing.filtering:
            self._table.listing.clear_filter()
        elif self.focused is not None and self._config in self.focused.ancestors:
            self._tabs.focus()
        elif await self.may_leave():
            self.dismiss()

    async def may_leave(self) -> bool:
        if not self._config.dirty:
            return True
        saves = (Option("Save", "s", "save"),) if not self.cortex.read_only else ()
        answer = await self.app.push_screen_wait(
            Question(
                "Leave with unsaved changes?",
                ["Broker or topics were changed and not saved."],
                (
                    *saves,
                    Option("Discard", "d", "discard", danger=True),
                    Option("Stay", "n", "stay"),
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

    def do_events(self) -> None:
        self._go(EVENTS)

    def do_actions(self) -> None:
        self._go(ACTIONS)

    def do_next_tab(self) -> None:
        self._go((self._tabs.active + 1) % self._tabs.count)

    def _go(self, tab: int) -> None:
        self._tabs.active = tab
        self._show_tab()
        if self._table:
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
