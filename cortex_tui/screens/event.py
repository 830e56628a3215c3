"""One event: its payload, which subscriptions took it, and why the others did not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.dom import DOMNode

from cortex_tui.commands import Scope, bindings
from cortex_tui.events import Decision, Event, Outcome
from cortex_tui.models import Subscription
from cortex_tui.routing import refusal
from cortex_tui.screens.copying import Copies, of_event
from cortex_tui.screens.dialogs import ReadingDialog
from cortex_tui.screens.find import Entry
from cortex_tui.widgets.payload import readable
from cortex_tui.widgets.text import BAD, MUTED, OK, STRONG, WARN, age, clock, number, said, size

MARKS = {
    Outcome.MATCHED: ("✓", OK),
    Outcome.CONDITION_FALSE: ("○", MUTED),
    Outcome.EVALUATION_FAILED: ("✗", BAD),
}

MAX_OTHERS = 50
"""Subscriptions that did not take the event and are named."""


class Next(StrEnum):
    """What a person wants to do with the event."""

    TRY = "try"
    PUBLISH = "publish"


class EventDialog(ReadingDialog[Next | None]):
    """Shows an event; what is to be done with it is left to whoever opened this."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.EVENT)]
    ALSO_SHOWN = frozenset({"app.copy"})

    def __init__(self, event: Event, subscriptions: Sequence[Subscription]) -> None:
        super().__init__(event.name or event.topic)
        self._event = event
        self._subscriptions = subscriptions

    def on_mount(self) -> None:
        self.reader.show(self._lines())

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.EVENT: self, Scope.DIALOG: self}

    def _lines(self) -> Iterator[Content]:
        event, now = self._event, self.cortex.now()
        yield Content(f"{clock(event.at, now)} ({age(event.at, now)})  ") + said(event.topic, MUTED)
        facts = f"QoS {event.qos}, {number(event.size)} bytes, event {number(event.id)}"
        yield said(facts, MUTED)
        if event.problem:
            yield said(f"✗ It cannot be read, and sets nothing off: {event.problem}", BAD)
        yield Content()
        yield from went_to(event, self._subscriptions)
        others = list(did_not_go_to(event, self._subscriptions))
        if not event.decisions:  # why, is what one wants to know
            yield from others
        yield Content()
        if event.truncated:
            yield said(f"⚠ Only the first {size(len(event.payload))} were kept.", WARN)
        yield from readable(event.payload)
        if event.decisions and others:
            yield Content()
            yield Content.styled("It did not go to", STRONG)
            yield from others

    # -- commands -----------------------------------------------------------------------------

    def refusal(self, command: str) -> str | None:
        """Why the event cannot be used."""
        return cut_off(self._event) if command in ("try", "publish") else None

    def do_try(self) -> None:
        self.dismiss(Next.TRY)

    def do_publish(self) -> None:
        self.dismiss(Next.PUBLISH)

    def copies(self) -> Copies:
        """What can be copied of the event."""
        return of_event(self._event)

    def do_close(self) -> None:
        self.dismiss(None)


def cut_off(event: Event) -> str | None:
    """Why an event cannot be tried or published anew, where that is so."""
    return "Only the start of this event was kept." if event.truncated else None


def went_to(event: Event, subscriptions: Sequence[Subscription]) -> Iterator[Content]:
    """Which subscriptions took an event, and what they made of it."""
    if not event.decisions:
        yield Content.styled("It went to no subscription", STRONG)
        return
    yield Content.styled("It went to", STRONG)
    names = {each.id: each.name for each in subscriptions}
    for decision in event.decisions:
        mark, style = MARKS[decision.outcome]
        known = decision.subscription_id in names
        name = names.get(decision.subscription_id, f"subscription {decision.subscription_id}")
        yield Content.assemble(
            (f"  {mark} ", style),
            said(name),
            "" if known else (" (deleted)", MUTED),
            "  ",
            said(_told(decision), style),
        )


def did_not_go_to(event: Event, subscriptions: Sequence[Subscription]) -> Iterator[Content]:
    """Why each of the other subscriptions did not take an event, as they are now."""
    takers = {decision.subscription_id for decision in event.decisions}
    others = [each for each in subscriptions if each.id not in takers]
    for each in others[:MAX_OTHERS]:
        why = refusal(each, event.topic, event.name) or "it would take it as it is now"
        yield Content.assemble(("  – ", MUTED), said(each.name), "  ", said(why, MUTED))
    if len(others) > MAX_OTHERS:
        yield Content.styled(f"  and {number(len(others) - MAX_OTHERS)} more", MUTED)


def takers_first(
    event: Event, subscriptions: Sequence[Subscription], choose: Callable[[Subscription], object]
) -> list[Entry]:
    """Every subscription, those that took the event first; what became of it beside each."""
    made = {decision.subscription_id: decision for decision in event.decisions}

    def about(row: Subscription) -> Content:
        if decision := made.get(row.id):
            mark, style = MARKS[decision.outcome]
            return said(f"{mark} {_told(decision)}", style)
        return said(f"– {refusal(row, event.topic, event.name) or ''}", MUTED)

    rows = sorted(subscriptions, key=lambda row: (row.id not in made, row.name.casefold()))
    return [Entry(row.name, about(row), "", partial(choose, row)) for row in rows]


def _told(decision: Decision) -> str:
    if decision.outcome is Outcome.CONDITION_FALSE:
        return f"{decision.outcome}: nothing was set off"
    return f"{decision.outcome}: {decision.error}" if decision.error else str(decision.outcome)
