"""One action that an event set off: what it says, what came of it, and every failure."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.dom import DOMNode

from cortex_tui.backend import Backend
from cortex_tui.commands import Scope, bindings
from cortex_tui.events import Job, JobChoice, JobState
from cortex_tui.retrying import LOOK, under_way, word_of
from cortex_tui.screens.copying import Copies, of_action
from cortex_tui.screens.dialogs import ReadingDialog
from cortex_tui.widgets.payload import readable, readable_value
from cortex_tui.widgets.text import (
    ACCENT,
    BAD,
    MUTED,
    OK,
    STRONG,
    ago,
    clock,
    countdown,
    number,
    said,
)

if TYPE_CHECKING:
    from cortex_tui.app import CortexApp

LOOKS = {
    "waiting": ("↻", ACCENT),
    "done": ("✓", OK),
    "recorded": ("○", MUTED),
    "dead": ("✗", BAD),
}

LABEL = 14

FOLLOWED = 30.0
"""Seconds for which a retry is followed."""


class ActionDialog(ReadingDialog[None]):
    """Shows an action; retries it, where it is a dead letter, and shows what comes of that."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.ACTION)]
    ALSO_SHOWN = frozenset({"app.copy"})

    def __init__(self, job: Job, subscription: str) -> None:
        """`subscription` is the name of the one it belongs to."""
        super().__init__(job.action.type)
        self._job = job
        self._subscription = subscription

    def on_mount(self) -> None:
        self.reader.show(self._lines())

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.ACTION: self, Scope.DIALOG: self}

    def _lines(self) -> Iterator[Content]:
        job, now = self._job, self.cortex.now()
        yield Content.assemble(job_mark(job), "  ", said(self._stands(), MUTED))
        yield _fact("Subscription", said(self._subscription))
        came = f"{clock(job.created_at, now)} ({ago(job.created_at, now)})"
        of = f", event {number(job.event_id)}" if job.event_id is not None else ""
        yield _fact("Set off", Content(came + of))
        yield _fact("Key", said(job.key, MUTED))
        content = dict(job.content) if job.content is not None else None
        if content is not None and content.get("recipients") == []:
            # An empty list beside an e-mail that somebody got would be a riddle.
            del content["recipients"]
            yield _fact("Recipients", Content("those of config.toml: the action names nobody"))
        if job.failures:
            yield Content()
            yield Content.styled("Failures", STRONG)
        for failure in reversed(job.failures):
            at = clock(failure.at, now)
            yield Content.assemble((f"  {at}  ", MUTED), said(failure.reason, BAD))
        yield Content()
        yield Content.styled("What it says", STRONG)
        if content is None:
            yield Content.styled("  It could not be filled in from the event.", MUTED)
        else:
            yield from readable_value(content)
        yield Content()
        yield Content.styled("As the subscription gives it", STRONG)
        yield from readable_value(job.action.model_dump(mode="json"))
        if job.event is not None:
            yield Content()
            yield Content.styled("The event", STRONG)
            yield from readable(job.event)

    def _stands(self) -> str:
        job, now = self._job, self.cortex.now()
        tries = "1 attempt" if job.attempts == 1 else f"{number(job.attempts)} attempts"
        match job.state:
            case JobState.RECORDED:
                return _why_recorded(job.action.type)
            case JobState.PENDING if job.due_at:
                return f"{tries} so far, next {countdown(job.due_at, now)}"
            case JobState.RUNNING:
                return f"attempt {number(job.attempts)} is under way"
            case JobState.DEAD if not job.attempts:
                return "given up, never attempted"
            case JobState.DEAD:
                return f"given up after {tries}"
        return tries

    # -- commands -----------------------------------------------------------------------------

    def refusal(self, command: str) -> str | None:
        """Why it cannot be retried."""
        if command == "retry" and self._job.state is not JobState.DEAD:
            return NOT_DEAD
        return None

    async def do_retry(self) -> None:
        choice = JobChoice(job_id=self._job.id)
        count = await self.backend.retry_jobs(self._job.product_id, choice)
        if not count:
            self.cortex.notify(retried(count))
            self.dismiss()
            return
        async for job in followed(self.backend, self._job):
            self._job = job
            self.reader.show(self._lines())
            self.refresh_bindings()
        tell_outcome(self.cortex, self._job)

    def copies(self) -> Copies:
        """What can be copied of the action."""
        return of_action(self._job)

    def do_close(self) -> None:
        self.dismiss()


async def followed(backend: Backend, job: Job) -> AsyncIterator[Job]:
    """A job that was just retried, again and again, until its attempt is over or takes too long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FOLLOWED):
            while True:
                found = await backend.jobs(job.product_id, before=job.id + 1, limit=1)
                if not found or found[0].id != job.id:
                    return  # discarded meanwhile
                yield found[0]
                if not under_way(found[0]):
                    return
                await asyncio.sleep(LOOK)


def tell_outcome(app: "CortexApp", job: Job) -> None:
    """Say what came of an attempt."""
    what, why = job.action.type, job.reason
    if job.state is JobState.DONE:
        app.notify(f"{what}: done.")
    elif job.state is JobState.DEAD:
        app.notify(f"{what}: given up again. {why}", severity="error")
    elif job.attempts and job.state is JobState.PENDING:
        app.notify(f"{what}: failed again, and is repeated. {why}", severity="warning")
    else:
        app.notify(f"{what}: still waits for its attempt.")


def tell_outcomes(app: "CortexApp", count: int, outcomes: Mapping[str, Sequence[Job]]) -> None:
    """Say what came of the attempts of several."""
    dead, waiting = outcomes["dead"], outcomes["waiting"]
    failed = [job for job in waiting if not under_way(job)]
    told = {
        "done": outcomes["done"],
        "recorded": outcomes["recorded"],
        "given up again": dead,
        "failed again, repeated": failed,
        "still waiting": [job for job in waiting if under_way(job)],
    }
    parts = [f"{number(len(jobs))} {what}" for what, jobs in told.items() if jobs]
    why = next((job.reason for job in (*dead, *failed) if job.reason), "")
    app.notify(
        f"Attempted anew: {number(count)}; {', '.join(parts) or 'gone meanwhile'}. {why}".rstrip(),
        severity="error" if dead else "warning" if failed else "information",
    )


NOT_DEAD = "Only what was given up can be retried."


def job_mark(job: Job) -> Content:
    """`✗ dead`."""
    word = word_of(job)
    glyph, style = LOOKS[word]
    return Content.styled(f"{glyph} {word}", style)


def retried(count: int) -> str:
    """What to say after dead letters were retried."""
    return "It is gone already." if not count else f"Attempted anew: {number(count)}."


def _fact(label: str, value: Content) -> Content:
    return Content.assemble((f"{label:<{LABEL}}", MUTED), value)


def _why_recorded(action_type: str) -> str:
    if action_type == "record":
        return "kept, which is all that a record does"
    table = "email" if action_type == "conditional_email" else action_type
    return (
        f"kept and not sent: where it goes is not configured. Add [delivery.{table}] to the "
        "config.toml of the orchestrator; see docs/actions.md"
    )
