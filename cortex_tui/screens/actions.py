"""The Actions tab: what events set off, what came of it, and the dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.content import Content

from cortex_tui.backend import BackendError
from cortex_tui.events import DISCARDABLE, Job, JobChoice, JobState
from cortex_tui.models import ProductState, Subscription
from cortex_tui.retrying import OUTCOMES, came_to, dead_letters, under_way, waits, word_of
from cortex_tui.screens.action import (
    FOLLOWED,
    NOT_DEAD,
    ActionDialog,
    followed,
    job_mark,
    retried,
    tell_outcome,
    tell_outcomes,
)
from cortex_tui.screens.copying import Copies, of_action
from cortex_tui.screens.dialogs import Option, Question
from cortex_tui.screens.live import LivePane
from cortex_tui.widgets.bars import Bar
from cortex_tui.widgets.listing import Listing
from cortex_tui.widgets.table import Column, Table
from cortex_tui.widgets.text import (
    ACCENT,
    BAD,
    MUTED,
    WARN,
    age,
    countdown,
    number,
    said,
)

READ_INTERVAL = 1.0
"""Seconds between two looks, at least."""
PAGE, MAX_JOBS = 100, 500
"""Actions that are asked for at first, and at most."""


@dataclass(frozen=True)
class View:
    """Some of the states, under a name."""

    name: str
    states: tuple[JobState, ...]
    empty: str
    """What is said where no action is in these states."""

    @property
    def discardable(self) -> tuple[JobState, ...]:
        """Those in which an action can be discarded."""
        return tuple(state for state in DISCARDABLE if state in self.states)


def _view(word: str, empty: str) -> View:
    return View(word, OUTCOMES[word], empty)


DEAD = _view("dead", "Nothing was given up.")
WAITING = _view("waiting", "No action waits for an attempt.")
VIEWS = (
    DEAD,
    WAITING,
    _view("done", "No action is done yet."),
    _view("recorded", "No action was recorded instead of sent."),
    View("all", tuple(JobState), "Actions that events set off show here."),
)
KEPT = {JobState.DEAD: "Dead letters are kept. ", JobState.PENDING: "What waits is kept. "}
"""What is said where those in a state are not discarded."""


class ActionsPane(LivePane):
    """The outbox of a product: dead letters first, where there are any."""

    def __init__(self, product_id: int) -> None:
        super().__init__(product_id, id="actions")
        self.subscriptions: Sequence[Subscription] = ()
        """Of the product: whose actions these are."""
        self._view: View | None = None
        """None until the first look."""
        self._limit = PAGE
        self._loaded = False
        self._stale = True
        self._line = Bar(id="actions-line")
        self.listing: Listing[Job] = Listing(
            Table(
                self._columns(),
                key=lambda job: job.id,
                text=self._searched,
                sort="age",
            ),
            clear_key=lambda: self.cortex.key_of("product.back"),
        )

    def compose(self) -> ComposeResult:
        yield self._line
        yield self.listing

    def on_mount(self) -> None:
        self.listing.table.order_by("age", reverse=True)

    # -- showing ------------------------------------------------------------------------------

    def follow(self, state: ProductState, changed: bool) -> None:
        """The product may have changed, or time has passed, while this is in view."""
        self._state = state
        if self._view is None:
            self._view = DEAD if state.actions_dead else VIEWS[-1]
        behind = not self.listing.table.rows and self._known(self._view)
        self._stale = self._stale or (not self.paused and (changed or bool(behind)))
        at = self.cortex.now().timestamp()
        if self._stale and at >= self._next_read and not self._reading and self.offered:
            self._stale, self._next_read = False, at + READ_INTERVAL
            self.page.begin(self._read())
        self.listing.table.touch()
        self._say()

    async def _read(self) -> None:
        view, followed = self._view or DEAD, not self.paused
        self._reading = True
        try:
            jobs = await self.backend.jobs(self._product_id, states=view.states, limit=self._limit)
        except BackendError as error:
            self._failure, self._stale = error, True
        else:
            self._failure = None
            stopped = self.paused and followed and self._loaded  # meanwhile
            if view is self._view and not stopped:
                self._loaded = True
                self.listing.replace(jobs)
        finally:
            self._reading = False
        self._say()

    def _read_soon(self) -> None:
        self._stale, self._next_read = True, 0.0
        if self._state:
            self.follow(self._state, changed=True)

    def _look_further(self) -> None:
        table = self.listing.table
        wanted = len(table.shown) < PAGE if table.filter else table.at_end
        if wanted and len(table.rows) >= self._limit < MAX_JOBS:
            self._limit = MAX_JOBS if table.filter else min(MAX_JOBS, self._limit + PAGE)
            self._read_soon()

    def _say(self) -> None:
        self.listing.explain(*self._why_empty())
        shown = len(self.listing.table.rows)
        more = "+" if shown >= self._limit else ""
        right = Content.styled(f"{number(shown)}{more}" if shown else "", MUTED)
        if self.paused:
            right = self._standing_still(f"   {right}" if shown else "")
        if self._failure:
            right = said(f"⚠ {self._failure.text}", WARN)
        self._line.set(self._views(), right)
        self.page.refresh_bindings()

    def _views(self) -> Content:
        parts = []
        for view in VIEWS:
            count = self._known(view)
            text = f"{view.name} {number(count)}" if count else view.name
            chosen = view is self._view
            style = BAD if view is DEAD and count else ACCENT if chosen else MUTED
            parts.append(Content.styled(f"(•) {text}" if chosen else f"( ) {text}", style))
        return Content("  ").join(parts)

    def _known(self, view: View) -> int:
        """How many there are in a view, as far as that is told without looking."""
        state = self._state
        counts = {"dead": state.actions_dead, "waiting": state.actions_pending} if state else {}
        return counts.get(view.name, 0)

    def _why_empty(self) -> tuple[str, ...]:
        table = self.listing.table
        if not self.offered:
            return "No actions here", self._not_offered()
        if table.shown:
            return ()
        if table.rows:
            held = len(table.rows)
            some = f"None of the {number(held)} newest actions here"
            return self.listing.unmatched("No action here" if held < self._limit else some)
        if self._failure:
            return "The actions could not be read", self._failure.message, self._failure.hint
        if self.paused and self._loaded:
            return self._why_nothing("actions.pause")
        if not self._loaded or self._view is None or self._known(self._view):
            return "Reading the actions…", ""
        title = "No actions yet" if self._view is VIEWS[-1] else f"None {self._view.name}"
        return title, self._view.empty, "", self.page.offer("actions.view", "another view")

    def _columns(self) -> list[Column[Job]]:
        return [
            Column(
                "state", "STATE", job_mark, 10, sort=lambda job: list(JobState).index(job.state)
            ),
            Column("type", "ACTION", lambda job: said(job.action.type), 17, grow=1),
            Column("subscription", "SUBSCRIPTION", lambda job: said(self._owner(job)), 13, grow=1),
            Column("tries", "TRIES", _tries, 5, right=True, rank=3),
            Column("age", "WHEN", self._when, 7, right=True, sort=lambda job: job.id),
            Column("failure", "LAST FAILURE", _failure, 18, grow=4, rank=2),
        ]

    def _owner(self, job: Job) -> str:
        for each in self.subscriptions:
            if each.id == job.subscription_id:
                return each.name
        return f"subscription {job.subscription_id} (deleted)"

    def _searched(self, job: Job) -> str:
        told = f"{word_of(job)} {job.action.type} {self._owner(job)} {job.key} {job.reason}"
        return f"{told} {job.content}"

    def _when(self, job: Job) -> Content:
        """When it is due, or when it came to its end."""
        now = self.cortex.now()
        if waits(job) and job.due_at:
            return Content.styled(countdown(job.due_at, now), ACCENT)
        return Content.styled(age(job.finished_at or job.created_at, now), MUTED)

    # -- commands -----------------------------------------------------------------------------

    def refusal(self, command: str) -> str | None:
        """Why a command has nothing to work on."""
        if not self.offered:
            return self._not_offered()
        job, state = self.listing.table.selected, self._state
        if command in ("open", "retry", "retry_like", "discard") and job is None:
            return "No action is selected."
        if command == "retry" and job and job.state is not JobState.DEAD:
            return NOT_DEAD
        if command == "discard" and job and job.state is JobState.RUNNING:
            return "It is being attempted: wait for what comes of that."
        if command == "discard" and job and job.state not in DISCARDABLE:
            return "Only what waits or was given up can be discarded."
        if command in ("retry_like", "retry_all") and not (state and state.actions_dead):
            return "There are no dead letters."
        return None

    @property
    def _selected(self) -> Job:
        job = self.listing.table.selected
        assert job is not None
        return job

    @on(Table.Chosen)
    def _chosen(self) -> None:
        self.page.action_command("actions.open")

    async def do_open(self) -> None:
        job = self._selected
        await self.app.push_screen_wait(ActionDialog(job, self._owner(job)))
        if not self.paused:
            self._read_soon()

    def do_view(self) -> None:
        self._look_at(VIEWS[(VIEWS.index(self._view or DEAD) + 1) % len(VIEWS)])

    def _look_at(self, view: View) -> None:
        self._view, self._limit, self._loaded = view, PAGE, False
        self.listing.replace([])
        self._read_soon()

    def do_pause(self) -> None:
        super().do_pause()
        if self.paused and self._loaded:
            self._stale = False  # what has changed by now waits, too

    async def do_retry(self) -> None:
        job = self._selected
        if not await self._begin_retry(JobChoice(job_id=job.id)):
            return
        async for now in followed(self.backend, job):
            job = now
        tell_outcome(self.cortex, job)
        self._read_soon()

    async def do_retry_like(self) -> None:
        await self._retry(JobChoice(subscription_id=self._selected.subscription_id))

    async def do_retry_all(self) -> None:
        await self._retry(JobChoice())

    async def _retry(self, choice: JobChoice) -> None:
        backend, product_id = self.backend, self._product_id
        chosen = await dead_letters(backend, product_id, choice)
        if not (count := await self._begin_retry(choice)):
            return
        outcomes = await came_to(
            backend, product_id, choice, chosen, seconds=FOLLOWED, while_any=under_way
        )
        tell_outcomes(self.cortex, count, outcomes)
        self._read_soon()

    async def _begin_retry(self, choice: JobChoice) -> int:
        count = await self.backend.retry_jobs(self._product_id, choice)
        self.cortex.notify(retried(count))
        self._read_soon()
        return count

    async def do_discard(self) -> None:
        assert self._view is not None
        job, states = self._selected, self._view.discardable
        like_it = JobChoice(subscription_id=job.subscription_id, states=states)
        choice = await self.app.push_screen_wait(self._discarding(job, like_it))
        if choice is not None:
            count = await self.backend.discard_jobs(self._product_id, choice)
            self.cortex.notify(f"Discarded: {number(count)}.")
            self._read_soon()

    def _discarding(self, job: Job, like_it: JobChoice) -> Question[JobChoice | None]:
        """Asks which to discard: of what the view shows, no more."""
        states, owner = like_it.states, self._owner(job)
        known = {JobState.DEAD: self._known(DEAD), JobState.PENDING: self._known(WAITING)}
        mine, every = list[str](), [_so_many(state, known[state]) for state in states]
        for state in states:
            loaded = [each for each in self.listing.table.rows.values() if each.state is state]
            of_it = sum(each.subscription_id == job.subscription_id for each in loaded)
            mine.append(_so_many(state, of_it, "+" if len(loaded) < known[state] else ""))
        kept = "".join(KEPT[state] for state in DISCARDABLE if state not in states)
        lines = [
            f"{job.action.type} of {owner}, {word_of(job)}.",
            f"Subscription {owner}: {' and '.join(mine)}.",
            f"Product: {' and '.join(every)}.",
            f"{kept}This cannot be undone.",
        ]
        if self.listing.table.filter:
            lines.insert(-1, "Subscription, Product: also what the filter hides.")
        options: tuple[Option[JobChoice | None], ...] = (
            Option("This", "y", JobChoice(job_id=job.id), danger=True),
            Option("Subscription", "s", like_it, danger=True),
            Option("Product", "p", JobChoice(states=states), danger=True),
            Option("Keep", "n", None),
        )
        return Question("Discard this action?", lines, options)

    def copies(self) -> Copies:
        """What can be copied of the action under the cursor."""
        job = self.listing.table.selected
        return of_action(job) if job else []


def _so_many(state: JobState, count: int, more: str = "") -> str:
    """How many actions can be discarded that are in a state."""
    some = f"{number(count)}{more}"
    if state is JobState.DEAD:
        return f"{some} dead letter{'' if count == 1 else 's'}"
    return f"{some} that {'waits' if count == 1 else 'wait'}"


def _tries(job: Job) -> Content:
    return Content.styled(number(job.attempts), "" if job.attempts > 1 else MUTED)


def _failure(job: Job) -> Content:
    """What tells most first: that it is an answer shows in its number."""
    return said(job.reason.removeprefix("answered "), BAD)
