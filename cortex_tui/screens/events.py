"""The Events tab: what arrives, as it arrives, and what came of it."""

from collections import Counter
from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message

from cortex_tui.backend import BackendError
from cortex_tui.events import Event, Outcome
from cortex_tui.models import ProductState, Subscription
from cortex_tui.screens.copying import Copies, of_event
from cortex_tui.screens.event import MARKS, EventDialog, Next, cut_off
from cortex_tui.screens.live import LivePane
from cortex_tui.screens.publish import publishable
from cortex_tui.states import ConnectionState
from cortex_tui.widgets.bars import Bar
from cortex_tui.widgets.listing import Listing
from cortex_tui.widgets.table import Column, Table
from cortex_tui.widgets.text import (
    BAD,
    MUTED,
    OK,
    WARN,
    number,
    said,
    size,
    time_of,
)
from cortex_tui.widgets.topic_cut import TopicCut

READ_INTERVAL = 0.5
"""Seconds between two looks for new events, at least."""
PAGE = 100
"""Events that are asked for at once."""
MAX_EVENTS, MAX_CHARACTERS = 2_000, 16 * 1_048_576
"""Events that are held, and characters of their payloads; the oldest go first."""
SEARCHED = 4_096
"""Characters of a payload that the filter looks into."""

_WORDS = {
    Outcome.EVALUATION_FAILED: "failed",
    Outcome.MATCHED: "matched",
    Outcome.CONDITION_FALSE: "false",
}


class EventsPane(LivePane):
    """A live tail of a product's events, newest first."""

    class Trying(Message):
        """The person wants to try a subscription with an event."""

        def __init__(self, event: Event) -> None:
            super().__init__()
            self.event = event

    class Publishing(Message):
        """The person wants to publish an event like this one, or any."""

        def __init__(self, event: Event | None) -> None:
            super().__init__()
            self.event = event

    def __init__(self, product_id: int) -> None:
        super().__init__(product_id, id="events")
        self.subscriptions: Sequence[Subscription] = ()
        """Of the product: who may have taken an event."""
        self._newest: int | None = None
        """The id of the newest event that was read; none before the first time."""
        self._complete = False
        """Whether there is nothing older than what is held."""
        self._read_at: int | None = None
        """The count of messages that the events were read at."""
        self._missed = 0
        """Events beyond the page that is read at once: older than what is shown, and not shown."""
        self._racing = False
        """More came between the last two looks than one looks at."""
        self._cut = TopicCut()
        self._line = Bar(id="events-line")
        self.listing: Listing[Event] = Listing(
            Table(
                self._columns(),
                key=lambda event: event.id,
                text=_searched,
                sort="time",
            ),
            clear_key=lambda: self.cortex.key_of("product.back"),
        )

    def compose(self) -> ComposeResult:
        yield self._line
        yield self.listing

    def on_mount(self) -> None:
        self.listing.table.order_by("time", reverse=True)

    # -- showing ------------------------------------------------------------------------------

    def follow(self, state: ProductState) -> None:
        """Something may have changed, or time has passed, while this is in view."""
        self._state = state
        at = self.cortex.now().timestamp()
        received = state.status.messages_received if state.status else 0
        wanted = received != self._read_at and not self.paused
        if wanted and at >= self._next_read and not self._reading and self.offered:
            shown_at, self._read_at = self._read_at, received
            self._next_read = at + READ_INTERVAL
            self.page.begin(self._read(shown_at))
        self.listing.table.touch()
        self._say()

    def _read_soon(self) -> None:
        if self._state:
            self.follow(self._state)

    async def _read(self, shown_at: int | None) -> None:
        """Read what is new; where it is more than a page, what lies between is passed over. What
        is shown was read at the count `shown_at`, and stays where it stands still by then."""
        self._reading = True
        try:
            fresh = await self.backend.events(self._product_id, after=self._newest or 0, limit=PAGE)
        except BackendError as error:
            # Asked again as soon as the next second has passed.
            self._failure, self._read_at = error, None
        else:
            self._failure = None
            if self.paused and self._newest is not None:
                self._read_at = shown_at
            else:
                self._take(fresh)
        finally:
            self._reading = False
        self._say()

    def _take(self, fresh: Sequence[Event]) -> None:
        table, first = self.listing.table, self._newest is None
        if first:
            self._complete = not fresh
            self._newest = 0
        if not fresh:
            return
        assert self._newest is not None
        passed = 0 if first else fresh[-1].id - self._newest - 1
        at_top = table.selected is None or table.selected is table.shown[0]
        self._racing = passed > 0
        if self._racing:
            self._next_read += READ_INTERVAL  # nobody reads so fast: spare the terminal's line
            self._missed, self._complete = self._missed + passed, False
            self.listing.replace(fresh)
        else:
            gone = self._surplus(fresh)
            self.listing.put((event for event in fresh if event.id not in gone), gone)
        self._newest = fresh[0].id
        self._compare_topics()
        if at_top:
            table.action_end(False)

    def _compare_topics(self) -> None:
        table = self.listing.table
        if self._cut.compare(event.topic for event in table.rows.values()):
            table.refresh()

    def _surplus(self, fresh: Sequence[Event]) -> set[int]:
        """The oldest events, where `fresh` makes them too many."""
        held = list(fresh) + sorted(self.listing.table.rows.values(), key=lambda each: -each.id)
        characters, gone = 0, set[int]()
        for count, event in enumerate(held, start=1):
            characters += len(event.payload)
            if count > MAX_EVENTS or characters > MAX_CHARACTERS:
                gone.add(event.id)
        self._complete = self._complete and not gone
        return gone

    def _look_further(self) -> None:
        table = self.listing.table
        full = self._complete or len(table.rows) >= MAX_EVENTS
        if self._reading or full or not table.rows:
            return
        if table.filter:
            wanted = len(table.shown) < PAGE and (self.paused or not self._racing)
        else:
            wanted = table.at_end
        if wanted:
            self._reading = True
            self.page.begin(self._read_older())

    async def _read_older(self) -> None:
        oldest = min(self.listing.table.rows.values(), key=lambda each: each.id)
        try:
            older = await self.backend.events(self._product_id, before=oldest.id, limit=PAGE)
        finally:
            self._reading = False
        self._complete = not older
        self._missed = max(0, self._missed - len(older))
        self.listing.put(older)
        self._compare_topics()
        self._say()
        if self.listing.table.filter:
            self._look_further()

    def _say(self) -> None:
        self.listing.explain(*self._why_empty())
        held = len(self.listing.table.rows)
        right = f"{number(held)} shown" if held else ""
        if self._missed:
            what = "older one is" if self._missed == 1 else "older ones are"
            right = f"{number(self._missed)} {what} not shown   {right}"
        self._line.set(self._pulse(), Content.styled(right, MUTED))
        self.page.refresh_bindings()

    def _pulse(self) -> Content:
        """Whether the list is live."""
        if self._failure:
            return said(f"⚠ {self._failure.text}", WARN)
        if self.paused:
            status = self._state.status if self._state else None
            behind = status.messages_received - (self._read_at or 0) if status else 0
            more = f", {number(behind)} newer wait" if behind > 0 else ""
            return self._standing_still(more)
        if self._state and self._state.state is ConnectionState.CONNECTED:
            return Content.styled("● live", OK)
        return Content.styled("○ the product is not connected", MUTED)

    def _why_empty(self) -> tuple[str, ...]:
        table = self.listing.table
        if not self.offered:
            return (
                "No events here",
                self._not_offered(),
                "The counters of the subscriptions say what arrived.",
            )
        if table.shown:
            return ()
        if table.rows:
            some = f"None of the {number(len(table.rows))} newest events"
            return self.listing.unmatched("No event" if self._complete else some)
        if self._failure:
            return "The events could not be read", self._failure.message, self._failure.hint
        if self._newest is None:
            return "Reading the events…", ""
        if self.paused:
            return self._why_nothing("events.pause")
        way = self.page.offer("events.publish", "publish a test event")
        wait = ("What arrives shows here at once.", "", way)
        if self._state and self._state.state is ConnectionState.CONNECTED:
            return ("No events yet", *wait)
        way = self.page.offer("product.reconnect", "connect anew")
        return "No events yet", "The product is not connected.", "", way

    def _columns(self) -> list[Column[Event]]:
        return [
            Column("time", "TIME", self._time, 8, sort=lambda event: event.id),
            Column("name", "EVENT", _name, 26, grow=4, fit=True, snug=True),
            Column("topic", "TOPIC", _topic, 14, grow=2, fit=True, rank=1, cut=self._cut),
            Column("size", "SIZE", _size, 6, right=True, rank=2),
            Column("outcome", "OUTCOME", _outcome, 16, grow=1, fit=True),
        ]

    def _time(self, event: Event) -> Content:
        return Content(time_of(event.at, self.cortex.now()))

    # -- commands -----------------------------------------------------------------------------

    def refusal(self, command: str) -> str | None:
        """Why a command has nothing to work on."""
        if not self.offered and command != "publish":
            return self._not_offered()
        event = self.listing.table.selected
        if command in ("open", "try") and event is None:
            return "No event is selected."
        if command == "try" and event:
            return cut_off(event)
        if command == "publish":
            return publishable(self.cortex, self._product_id)
        return None

    @property
    def _selected(self) -> Event:
        event = self.listing.table.selected
        assert event is not None
        return event

    @on(Table.Chosen)
    def _chosen(self) -> None:
        self.page.action_command("events.open")

    async def do_open(self) -> None:
        event = self._selected
        match await self.app.push_screen_wait(EventDialog(event, self.subscriptions)):
            case Next.TRY:
                self.post_message(self.Trying(event))
            case Next.PUBLISH:
                self.post_message(self.Publishing(event))

    def do_try(self) -> None:
        self.post_message(self.Trying(self._selected))

    def do_publish(self) -> None:
        event = self.listing.table.selected
        self.post_message(self.Publishing(None if event and event.truncated else event))

    def copies(self) -> Copies:
        """What can be copied of the event under the cursor."""
        event = self.listing.table.selected
        return of_event(event) if event else []


def _searched(event: Event) -> str:
    outcome = _outcome(event).plain
    return f"{event.name or ''} {event.topic} {outcome} {event.payload[:SEARCHED]}"


def _name(event: Event) -> Content:
    return said(event.name) if event.name else Content.styled("no name", MUTED)


def _topic(event: Event) -> Content:
    return said(event.topic, MUTED)


def _size(event: Event) -> Content:
    return Content.styled(size(event.size), MUTED)


def _outcome(event: Event) -> Content:
    """What came of it, the worst first."""
    if event.problem:
        return Content.styled("✗ unreadable", BAD)
    if not event.decisions:
        return Content.styled("– nobody took it", MUTED)
    counts = Counter(decision.outcome for decision in event.decisions)
    parts = [
        Content.styled(f"{MARKS[outcome][0]} {counts[outcome]} {word}", MARKS[outcome][1])
        for outcome, word in _WORDS.items()
        if counts[outcome]
    ]
    return Content("  ").join(parts)
