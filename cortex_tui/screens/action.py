"""One action that an event set off: what it says, what came of it, and every failure."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Static

from cortex_tui.commands import Scope, bindings
from cortex_tui.events import Job, JobChoice, JobState
from cortex_tui.screens.base import Dialog
from cortex_tui.screens.copying import Copies, of_action
from cortex_tui.widgets.bars import KeyBar
from cortex_tui.widgets.payload import readable, readable_value
from cortex_tui.widgets.reader import Reader
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

LOOKS = {
    JobState.PENDING: ("↻", ACCENT),
    JobState.RUNNING: ("◐", ACCENT),
    JobState.DONE: ("✓", OK),
    JobState.RECORDED: ("○", MUTED),
    JobState.DEAD: ("✗", BAD),
}

LABEL = 14


class ActionDialog(Dialog[None]):
    """Shows an action; retries it, where it is a dead letter."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.ACTION)]

    def __init__(self, job: Job, subscription: str) -> None:
        """`subscription` is the name of the one it belongs to."""
        super().__init__()
        self._job = job
        self._subscription = subscription
        self._reader = Reader()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -reading"):
            yield Static(said(self._job.action.type, STRONG), classes="dialog-title")
            yield self._reader
            yield KeyBar(self.key_line)

    def on_mount(self) -> None:
        self._reader.show(self._lines())
        self._reader.focus()

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
        if job.failures:
            yield Content()
            yield Content.styled("Failures", STRONG)
        for failure in reversed(job.failures):
            at = clock(failure.at, now)
            yield Content.assemble((f"  {at}  ", MUTED), said(failure.reason, BAD))
        yield Content()
        yield Content.styled("What it says", STRONG)
        if job.content is None:
            yield Content.styled("  It could not be filled in from the event.", MUTED)
        else:
            yield from readable_value(job.content)
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
        self.cortex.notify(retried(count))
        self.dismiss()

    def copies(self) -> Copies:
        """What can be copied of the action."""
        return of_action(self._job)

    def do_close(self) -> None:
        self.dismiss()


NOT_DEAD = "Only what was given up can be retried."


def job_mark(job: Job) -> Content:
    """`✗ dead`."""
    glyph, style = LOOKS[job.state]
    return Content.styled(f"{glyph} {job.state}", style)


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
