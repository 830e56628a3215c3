"""A dry run: what a subscription would make of an event, term by term, and nothing is sent."""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import BeforeValidator
from pydantic import Field as Limits
from textual.binding import BindingType
from textual.content import Content
from textual.dom import DOMNode

from cortex_tui.backend import BackendError, Capability, FieldProblem, Invalid
from cortex_tui.commands import Scope, bindings
from cortex_tui.events import (
    MAX_PAYLOAD,
    ActionTrial,
    ConditionTrial,
    Event,
    ExactTopic,
    Explanation,
    MailTrial,
    SeenValue,
    TermTrial,
    Trial,
)
from cortex_tui.models import Model, SubscriptionDraft
from cortex_tui.routing import EVERY_EVENT, mismatch
from cortex_tui.screens.dialogs import FormDialog, ReadingDialog
from cortex_tui.screens.find import Entry, FindDialog
from cortex_tui.values import blank_is_none
from cortex_tui.widgets.field import Field
from cortex_tui.widgets.payload import indented, laid_out, readable, readable_value
from cortex_tui.widgets.text import BAD, MUTED, OK, STRONG, WARN, number, said, time_of

CHOICES = 100
"""Events that came and can be chosen."""

MARKS = {True: ("✓", OK), False: ("○", MUTED), None: ("✗", BAD)}
"""How a condition or one of its terms came out."""


class Sample(Model):
    """An event to try something with, or to publish."""

    topic: Annotated[ExactTopic | None, BeforeValidator(blank_is_none)] = None
    payload: Annotated[str, Limits(max_length=MAX_PAYLOAD)] = ""


@dataclass(frozen=True)
class Tried:
    """What is tried: a sample, and where it is from."""

    sample: Sample
    source: str


SAMPLE_FIELDS = (
    Field("topic", "Topic", "empty: one it listens to"),
    Field("payload", "Payload", lines=True),
)


def sample_of(event: Event) -> Sample:
    """An event that came, as a sample."""
    return Sample(topic=event.topic, payload=event.payload)


def came(event: Event) -> Tried:
    """An event that came."""
    return Tried(sample_of(event), f"event {number(event.id)}")


def last_for(topic_filter: str, wanted: str, events: Iterable[Event]) -> Event | None:
    """The first of `events` that is whole, and that who listens to `topic_filter` for events named
    `wanted` takes."""
    for event in events:
        if not event.truncated and not mismatch(topic_filter, wanted, event.topic, event.name):
            return event
    return None


def example(wanted: str) -> Sample:
    """A sample for where no event has come yet."""
    name = "example" if wanted == EVERY_EVENT else wanted
    return Sample(payload=json.dumps({"event": name}, ensure_ascii=False))


class TrialDialog(ReadingDialog[list[FieldProblem] | None]):
    """Tries, and shows how that went; `tried` is the event it had last. Gives none where the person
    is done with it, and what is wrong with the subscription where that is to be edited: nothing
    where the person asks for it, something where it cannot be tried at all."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.TRIAL)]

    def __init__(self, product_id: int, draft: SubscriptionDraft, topic: str, tried: Tried | None):
        """Tries `draft`, which listens to `topic`; with the last event it takes, where there is no
        `tried`."""
        super().__init__(f"Dry run of {draft.name}")
        self.tried = tried
        self._product_id = product_id
        self._draft = draft
        self._topic = topic

    def on_mount(self) -> None:
        self.begin(self.do_rerun())

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.TRIAL: self, Scope.DIALOG: self}

    # -- trying -------------------------------------------------------------------------------

    async def do_rerun(self) -> None:
        """Try, with the last event that came where none was chosen."""
        if self.tried is None:
            self.tried = await self._last()
        tried = self.tried
        self.about.show([Content.styled(f"Nothing is sent. With {tried.source}", MUTED)])
        try:
            explanation = await self.backend.try_event(self._product_id, self._trial(tried.sample))
        except Invalid as error:
            self.dismiss(error.problems)
        except BackendError as error:
            self.reader.show([said(f"✗ {error.message}", BAD), said(error.hint)])
        else:
            self.reader.show(told(explanation, tried.sample))

    def _trial(self, sample: Sample) -> Trial:
        return Trial(payload=sample.payload, topic=sample.topic, draft=self._draft)

    async def _last(self) -> Tried:
        wanted = self._draft.event or self._draft.name
        found = last_for(self._topic, wanted, await self._events())
        if found is not None:
            return Tried(sample_of(found), "the last event that it takes")
        return Tried(example(wanted), "an example: none of the last events is for it")

    async def _events(self) -> Sequence[Event]:
        if Capability.EVENTS not in self.backend.capabilities:
            return ()
        return await self.backend.events(self._product_id, limit=CHOICES)

    # -- commands -----------------------------------------------------------------------------

    def refusal(self, command: str) -> str | None:
        """Why nothing can be chosen."""
        if command == "choose" and Capability.EVENTS not in self.backend.capabilities:
            return f"This orchestrator does not {Capability.EVENTS.value}."
        return None

    async def do_choose(self) -> None:
        events = await self._events()
        if not events:
            key = self.cortex.key_of("trial.edit")
            self.cortex.notify(f"No event has come yet: {key} edits one.", severity="warning")
            return

        async def use(event: Event) -> None:
            self.tried = came(event)
            await self.do_rerun()

        now = self.cortex.now()
        self.app.push_screen(
            FindDialog(
                "an event",
                [
                    Entry(
                        event.name or event.topic,
                        Content.assemble(
                            (f"{time_of(event.at, now)}  ", MUTED), said(event.payload)
                        ),
                        "",
                        partial(self._use, event, use),
                        greyed=event.truncated,
                    )
                    for event in events
                ],
            )
        )

    def _use(self, event: Event, use: Callable[[Event], Awaitable[None]]) -> None:
        if event.truncated:
            self.cortex.notify("Only the start of this event was kept.", severity="warning")
        else:
            self.run_worker(use(event), group="commands")

    def do_edit(self) -> None:
        sample = self.tried.sample if self.tried else Sample()

        async def use(edited: Sample, _: set[str]) -> None:
            self.tried = Tried(edited, "an event of your own")
            self.begin(self.do_rerun())

        values = {"topic": sample.topic, "payload": laid_out(sample.payload)}
        self.app.push_screen(
            FormDialog("An event to try", Sample, SAMPLE_FIELDS, values, use, accept="Try")
        )

    def do_subscription(self) -> None:
        self.dismiss([])

    def do_close(self) -> None:
        self.dismiss(None)


# -- how it went ------------------------------------------------------------------------------


def told(explanation: Explanation, sample: Sample) -> Iterator[Content]:
    """An explanation for a person, and the event below it."""
    if explanation.problem:
        yield said(f"✗ The payload cannot be read: {explanation.problem}", BAD)
    elif explanation.takes:
        yield said(f"✓ Takes it: {explanation.reason}", OK)
    else:
        yield said(f"○ Does not take it: {explanation.reason}", WARN)
    yield said(f"  on {explanation.topic}", MUTED)
    if not explanation.problem and not explanation.actions:
        yield Content()
        yield Content.styled("It has no actions: such an event is only counted.", MUTED)
    for position, action in enumerate(explanation.actions, start=1):
        yield Content()
        yield from _action(position, action, explanation.takes)
    yield Content()
    yield Content.styled("The event", STRONG)
    yield from readable(sample.payload)


def _action(position: int, action: ActionTrial, takes: bool) -> Iterator[Content]:
    yield Content.assemble(
        f"{position}  ", said(action.type, STRONG), "  ", _verdict(action, takes)
    )
    lines: list[Content] = []
    if action.condition:
        lines += _condition(action.condition)
    if action.problem:
        lines.append(said(f"✗ {action.problem}", BAD))
    if action.mail:
        lines += _mail(action.mail)
    elif action.content is not None:
        lines += readable_value(action.content)
    yield from indented(lines, 3)


def _verdict(action: ActionTrial, takes: bool) -> Content:
    if not action.runs:
        failed = action.condition is not None and action.condition.result is None
        text = "the condition cannot be evaluated" if failed else "the condition does not hold"
        return Content.styled(text, BAD if failed else MUTED)
    would = "would run" if takes else "would run, if it took the event"
    if action.problem:
        return Content.styled(f"{would}, and fail", BAD)
    where = "sent" if action.sent else "recorded, not sent"
    return Content.styled(f"{would}: {where}", OK if takes else MUTED)


def _condition(condition: ConditionTrial) -> Iterator[Content]:
    mark, style = MARKS[condition.result]
    yield Content.assemble((f"{mark} ", style), said(condition.text))
    terms = condition.terms
    if condition.error and not any(term.error for term in terms):
        yield said(f"  {condition.error}", BAD)
    whole = len(terms) == 1 and terms[0].text == condition.text
    for term in terms:
        yield from indented(_term(term, whole))


def _term(term: TermTrial, whole: bool) -> Iterator[Content]:
    mark, style = MARKS[term.result]
    if not whole:
        yield Content.assemble((f"{mark} ", style), said(term.text))
    for seen in term.seen:
        yield Content.assemble("  ", said(seen.path, MUTED), (" is ", MUTED), _seen(seen))
    if term.error:
        yield said(f"  {term.error}", BAD)


def _seen(seen: SeenValue) -> Content:
    if seen.missing:
        return Content.styled("missing, which counts as null", WARN)
    return said(json.dumps(seen.value, ensure_ascii=False))


def _mail(mail: MailTrial) -> Iterator[Content]:
    to = ", ".join(mail.recipients)
    yield Content.assemble(("To       ", MUTED), said(to) if to else ("nobody is named", WARN))
    yield Content.assemble(("Subject  ", MUTED), said(mail.subject))
    yield from (said(line) for line in mail.text.splitlines())
    if mail.html:
        yield Content.styled("and as HTML:", MUTED)
        yield from (said(line, MUTED) for line in mail.html.splitlines())
