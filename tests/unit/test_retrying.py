"""What came of dead letters that were attempted anew."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import cast

import pytest

from cortex_tui import retrying
from cortex_tui.backend import Backend
from cortex_tui.events import Job, JobChoice, JobState
from cortex_tui.models import Action
from cortex_tui.retrying import came_to, dead_letters, under_way, waits

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALL = JobChoice()


def job(job_id: int, state: JobState, attempts: int = 0) -> Job:
    return Job(
        id=job_id,
        key=f"key-{job_id}",
        product_id=1,
        subscription_id=1,
        action=Action(type="webhook"),
        state=state,
        attempts=attempts,
        created_at=NOW,
    )


class Kept:
    """The actions that a backend keeps, in pages of two; `then` happens after each question."""

    def __init__(self, *jobs: Job, then: Callable[["Kept"], None] = lambda _: None) -> None:
        self.jobs_by_id = {each.id: each for each in jobs}
        self.then = then
        self.questions: list[tuple[Collection[JobState], int | None, int]] = []

    def turns(self, job_id: int, state: JobState) -> None:
        self.jobs_by_id[job_id] = job(job_id, state, attempts=1)

    async def jobs(
        self,
        product_id: int,
        *,
        states: Collection[JobState],
        subscription_id: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Job]:
        self.questions.append((tuple(states), before, limit))
        found = [
            self.jobs_by_id[each]
            for each in sorted(self.jobs_by_id, reverse=True)
            if (before is None or each < before) and self.jobs_by_id[each].state in states
        ]
        self.then(self)
        return found[: min(2, limit)]


async def outcomes(
    kept: Kept,
    chosen: Collection[int],
    while_any: Callable[[Job], bool] = waits,
    seconds: float = 60.0,
) -> dict[str, list[int]]:
    came = await came_to(
        cast("Backend", kept), 1, ALL, chosen, seconds=seconds, while_any=while_any
    )
    return {what: [each.id for each in jobs] for what, jobs in came.items() if jobs}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "LOOK", 0)


async def test_the_dead_letters_that_are_meant() -> None:
    kept = Kept(*(job(each, JobState.DEAD) for each in range(1, 6)), job(6, JobState.DONE))
    backend = cast("Backend", kept)
    assert await dead_letters(backend, 1, ALL) == {1, 2, 3, 4, 5}
    kept.questions.clear()
    assert await dead_letters(backend, 1, JobChoice(job_id=3)) == {3}
    assert await dead_letters(backend, 1, JobChoice(job_id=6)) == set()
    assert kept.questions == [((JobState.DEAD,), 4, 1), ((JobState.DEAD,), 7, 1)]


async def test_every_action_comes_to_one_thing_over_all_pages() -> None:
    states = [JobState.DONE, JobState.RECORDED, JobState.DEAD, JobState.DONE, JobState.DONE]
    kept = Kept(*(job(each, state, 1) for each, state in enumerate(states, 1)))
    assert await outcomes(kept, {1, 2, 3, 4}) == {"done": [4, 1], "recorded": [2], "dead": [3]}
    assert await outcomes(kept, set()) == {}


async def test_an_action_that_ends_between_two_questions_is_not_lost() -> None:
    def done_once_the_dead_were_asked_for(kept: Kept) -> None:
        if JobState.DEAD in kept.questions[-1][0]:
            kept.turns(1, JobState.DONE)

    kept = Kept(job(1, JobState.PENDING), then=done_once_the_dead_were_asked_for)
    assert await outcomes(kept, {1}, seconds=0) == {"waiting": [1]}


async def test_it_is_over_once_nothing_is_under_way_any_more() -> None:
    def ends(kept: Kept) -> None:
        if len(kept.questions) == 3:
            kept.turns(1, JobState.PENDING)  # to be repeated

    kept = Kept(job(1, JobState.RUNNING), then=ends)
    assert await outcomes(kept, {1}, under_way) == {"waiting": [1]}
    assert len(kept.questions) == 5


async def test_one_that_is_under_way_is_enough_to_look_again() -> None:
    def all_done(kept: Kept) -> None:
        if len(kept.questions) == 3:
            for each in range(1, 10):
                kept.turns(each, JobState.DONE)

    kept = Kept(*(job(each, JobState.PENDING) for each in range(1, 10)), then=all_done)
    assert len((await outcomes(kept, set(range(1, 10))))["done"]) == 9
    assert [before for _, before, _ in kept.questions[:3]] == [10, 10, 10]
