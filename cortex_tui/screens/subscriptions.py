"""The Subscriptions tab: what a product reacts to, and how often it happened."""

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message

from cortex_tui.backend import BackendError, Capability
from cortex_tui.events import Event
from cortex_tui.models import Subscription, SubscriptionChange, SubscriptionDraft, TopicsConfig
from cortex_tui.screens.base import TablePane
from cortex_tui.screens.copying import Copies, of_subscription
from cortex_tui.screens.counters import LINES, counters
from cortex_tui.screens.dialogs import deletion
from cortex_tui.screens.editors import SubscriptionEditor, draft_of
from cortex_tui.screens.event import EventDialog, Next
from cortex_tui.screens.publish import PublishDialog, anew, publishable, values_for
from cortex_tui.screens.trial import TrialDialog, Tried, came
from cortex_tui.widgets.lines import Lines
from cortex_tui.widgets.listing import Listing
from cortex_tui.widgets.status import at_most
from cortex_tui.widgets.table import Column, Table
from cortex_tui.widgets.text import BAD, MUTED, OK, age, number, per_second, said
from cortex_tui.widgets.topic_cut import TopicCut


class SubscriptionsPane(TablePane):
    """The table of a product's subscriptions."""

    class Loaded(Message):
        """The subscriptions were read anew, or one was changed."""

    def __init__(self, product_id: int) -> None:
        super().__init__(id="subscriptions")
        self._product_id = product_id
        self._cut = TopicCut()
        self._wanted: dict[int, bool] = {}
        """Switched, and not yet confirmed by the backend."""
        self._changes = 0
        """How often a row was changed from here."""
        self._counters = Lines(id="counters")
        self.topics = TopicsConfig()
        """What derived topics are derived from."""
        self.listing: Listing[Subscription] = Listing(
            Table(
                self._columns(),
                key=lambda row: row.id,
                text=lambda row: f"{row.name} {row.topic} {row.event or ''} {row.description}",
                sort="name",
            ),
            clear_key=lambda: self.cortex.key_of("product.back"),
        )

    def compose(self) -> ComposeResult:
        yield self.listing
        yield self._counters

    def on_mount(self) -> None:
        self.listing.table.order_by(*self.cortex.recall_order("subscriptions order"))
        self.listing.filter_by(self.cortex.recall(self._filter_name))

    @property
    def _filter_name(self) -> str:
        return f"subscriptions filter {self._product_id}"

    @on(Table.Ordered)
    @on(Listing.Filtered)
    def _remember(self) -> None:
        self.cortex.remember("subscriptions order", list(self.listing.table.order))
        self.cortex.remember(self._filter_name, self.listing.table.filter)

    @property
    def rows(self) -> list[Subscription]:
        """Every subscription that was read."""
        return list(self.listing.table.rows.values())

    @property
    def fading(self) -> bool:
        """Whether a rate falls with time alone."""
        known = Capability.EVENTS in self.backend.capabilities
        return known and any(row.stats.rate_1m or row.stats.rate_5m for row in self.rows)

    async def load(self) -> None:
        """Read the subscriptions anew, and once more where that was overtaken by a change; a row
        that is being switched keeps what was asked for."""
        read_at = None
        while read_at != self._changes:
            read_at = self._changes
            rows = await self.backend.subscriptions(self._product_id)
        self.show(rows)

    def show(self, subscriptions: Sequence[Subscription]) -> None:
        """Show these subscriptions."""
        self.listing.replace(
            row.model_copy(update={"enabled": self._wanted[row.id]})
            if row.id in self._wanted
            else row
            for row in subscriptions
        )
        if self._cut.compare(row.topic for row in subscriptions):
            self.listing.table.refresh()
        self._say()

    def touch(self) -> None:
        """Time has passed: bring the ages up."""
        self.listing.table.touch()
        self._count()

    def _count(self) -> None:
        """Bring up what is known of the subscription under the cursor."""
        row = self.listing.table.selected
        beyond = Capability.EVENTS in self.backend.capabilities
        lines: list[Content] = []
        if row is not None:
            key = self.cortex.key_of("subscriptions.error")
            lines = counters(row, self.cortex.now(), beyond=beyond, error_key=key)
        self._counters.show(at_most(LINES, lines))
        self._counters.display = row is not None

    def _put(self, *rows: Subscription, gone: Sequence[int] = ()) -> None:
        self._changes += 1
        self.listing.put(rows, gone=gone)
        self._say()

    @on(Table.Moved)
    def _say(self) -> None:
        self.listing.explain(*self._why_empty())
        self._count()
        self.page.refresh_bindings()
        self.post_message(self.Loaded())

    def _why_empty(self) -> tuple[str, ...]:
        table = self.listing.table
        if table.shown:
            return ()
        if table.rows:
            return self.listing.unmatched("No subscription")
        return (
            "No subscriptions yet",
            "A subscription listens to a topic for one event,",
            "and says what to do when it comes.",
            "",
            self.page.offer("subscriptions.new", "create the first one"),
        )

    def _columns(self) -> list[Column[Subscription]]:
        return [
            Column("on", "ON", _on, 5, sort=lambda row: (not row.enabled, row.name.casefold())),
            Column("name", "NAME", _name, 37, snug=True, sort=lambda row: row.name.casefold()),
            Column("topic", "TOPIC", _topic, 24, grow=3, fit=True, rank=4, cut=self._cut),
            Column("event", "EVENT", _event, 9, grow=1, fit=True, rank=3),
            Column("actions", "ACTIONS", _actions, 11, grow=2, fit=True, rank=2),
            Column(
                "received", "RECEIVED", lambda row: _count(row.stats.messages_received), 9,
                right=True, sort=lambda row: row.stats.messages_received, falling=True,
            ),
            Column(
                "rate", "RATE", self._rate, 6,
                right=True, sort=lambda row: row.stats.rate_1m, falling=True, rank=1,
            ),
            Column("failed", "FAILED", _failed, 6, right=True, rank=5),
            Column("last", "LAST", self._last, 5, right=True, sort=_last_at, falling=True),
        ]  # fmt: skip

    def _rate(self, row: Subscription) -> Content:
        rate, known = row.stats.rate_1m, Capability.EVENTS in self.backend.capabilities
        return Content.styled(per_second(rate) if known else "–", "" if rate else MUTED)

    def _last(self, row: Subscription) -> Content:
        last = row.stats.last_message_at
        return Content.styled(age(last, self.cortex.now()), "" if last else MUTED)

    # -- commands -----------------------------------------------------------------------------

    def refusal(self, command: str) -> str | None:
        """Why a command has nothing to work on."""
        if command in ("toggle", "edit", "delete") and self.listing.table.selected is None:
            return "No subscription is selected."
        if command == "toggle_all" and not self.listing.table.shown:
            return "No subscription is shown."
        if command == "error":
            row = self.listing.table.selected
            if row is None or row.stats.last_error_event_id is None:
                return "Nothing went wrong with its events."
        if command == "publish":
            return publishable(self.cortex, self._product_id)
        return None

    @property
    def _selected(self) -> Subscription:
        row = self.listing.table.selected
        assert row is not None
        return row

    async def do_toggle(self) -> None:
        row = self._selected
        if await self._switch(row, not row.enabled):
            self._can_undo(row.name, [row])

    async def do_toggle_all(self) -> None:
        shown = self.listing.table.shown
        enabled = not all(row.enabled for row in shown)
        others = [row for row in shown if row.enabled is not enabled]
        switched = [row for row in others if await self._switch(row, enabled)]
        if switched:
            several = len(switched) > 1
            self._can_undo(
                f"{len(switched)} subscriptions" if several else switched[0].name, switched
            )

    def _can_undo(self, what: str, rows: Sequence[Subscription]) -> None:
        """`what` are the `rows`, all on or all off, as they were before they were switched."""
        backend, enabled = self.backend, rows[0].enabled

        async def undo() -> bool:
            done = True
            for row in rows:
                if self.is_attached and (now := self.listing.table.rows.get(row.id)):
                    done = await self._switch(now, row.enabled) and done
                else:
                    change = SubscriptionChange(enabled=row.enabled)
                    await backend.update_subscription(self._product_id, row.id, change)
            return done

        verb = "are" if len(rows) > 1 else "is"
        self.cortex.can_undo(
            f"{what} switched {_word(not enabled)}",
            undo,
            undone=f"{what} {verb} {_word(enabled)} again",
        )

    def copies(self) -> Copies:
        """What can be copied of the subscription under the cursor."""
        row = self.listing.table.selected
        return of_subscription(row) if row else []

    async def _switch(self, row: Subscription, enabled: bool) -> bool:
        """Show the row switched at once, then ask the backend; roll back if it refuses. Whether it
        is switched now by this."""
        under_way = row.id in self._wanted
        self._wanted[row.id] = enabled
        self._put(row.model_copy(update={"enabled": enabled}))
        if under_way:
            return False  # whoever asks the backend goes on until it is as wanted
        stored = row
        try:
            while stored.enabled is not self._wanted[row.id]:
                change = SubscriptionChange(enabled=self._wanted[row.id])
                stored = await self.backend.update_subscription(self._product_id, row.id, change)
        except BackendError as error:
            self.cortex.notify(
                f"{row.name} stays {_word(stored.enabled)}: {error.text}",
                severity="error",
            )
        finally:
            del self._wanted[row.id]
            if row.id in self.listing.table.rows:  # it may have been deleted meanwhile
                self._put(stored)
        return stored.enabled is enabled

    @on(Table.Chosen)
    def do_edit(self) -> None:
        self._edit(self._selected)

    def try_with(self, row: Subscription, event: Event) -> None:
        """Try a subscription with an event that came, and come back to where this was asked for;
        unless the subscription is to be edited."""

        async def try_it() -> None:
            dialog = TrialDialog(self._product_id, draft_of(row), row.topic, came(event))
            problems = await self.app.push_screen_wait(dialog)
            if problems is not None:
                self._edit(row, dialog.tried, refused=bool(problems))

        self.page.begin(try_it())

    def _edit(self, row: Subscription, tried: Tried | None = None, refused: bool = False) -> None:
        async def save(draft: SubscriptionDraft, changed: set[str]) -> None:
            change = SubscriptionChange.model_validate(draft.model_dump(include=changed))
            if changed:
                self._put(await self.backend.update_subscription(self._product_id, row.id, change))

        self.app.push_screen(
            SubscriptionEditor(
                row, self._product_id, self.topics, save, tried=tried, refused=refused
            )
        )

    def do_new(self) -> None:
        async def save(draft: SubscriptionDraft, changed: set[str]) -> None:
            row = await self.backend.create_subscription(self._product_id, draft)
            self._put(row)
            self.listing.table.select(row.id)

        self.app.push_screen(SubscriptionEditor(None, self._product_id, self.topics, save))

    async def do_error(self) -> None:
        """Show the event that met the last error; it may be tried at once."""
        row = self._selected
        wanted = row.stats.last_error_event_id
        assert wanted is not None
        found = await self.backend.events(
            self._product_id, after=wanted - 1, before=wanted + 1, limit=1
        )
        if not found:
            self.cortex.notify("The history has this event no more.", severity="warning")
            return
        match await self.app.push_screen_wait(EventDialog(found[0], self.rows)):
            case Next.TRY:
                self.try_with(row, found[0])
            case Next.PUBLISH:
                self.app.push_screen(PublishDialog(self._product_id, anew(found[0])))

    async def do_publish(self) -> None:
        values = await values_for(self.backend, self._product_id, self.listing.table.selected)
        self.app.push_screen(PublishDialog(self._product_id, values))

    async def do_delete(self) -> None:
        row = self._selected
        counted = (
            f"It has received {number(row.stats.messages_received)} messages; its counters go too."
        )
        if await self.app.push_screen_wait(deletion(f"subscription {row.name}", counted)):
            await self.backend.delete_subscription(self._product_id, row.id)
            self._put(gone=[row.id])

    def do_sort(self) -> None:
        self.listing.table.sort_next()

    def do_reverse(self) -> None:
        self.listing.table.sort_reverse()


def _word(enabled: bool) -> str:
    return "on" if enabled else "off"


def _on(row: Subscription) -> Content:
    return Content.styled("● on", OK) if row.enabled else Content.styled("○ off", MUTED)


def _topic(row: Subscription) -> Content:
    return said(row.topic, MUTED)


def _name(row: Subscription) -> Content:
    return said(row.name, "" if row.enabled else MUTED)


def _event(row: Subscription) -> Content:
    if row.event is None:
        return Content.styled("as named", MUTED)
    return Content("every one") if row.event == "*" else said(row.event)


def _actions(row: Subscription) -> Content:
    if not row.actions:
        return Content.styled("none", MUTED)
    return said(", ".join(action.type for action in row.actions), MUTED)


def _count(value: int) -> Content:
    return Content.styled(number(value), "" if value else MUTED)


def _failed(row: Subscription) -> Content:
    failed = row.stats.actions_failed
    return Content.styled(number(failed), BAD if failed else MUTED)


def _last_at(row: Subscription) -> float:
    last = row.stats.last_message_at
    return last.timestamp() if last else 0.0
