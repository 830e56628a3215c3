"""Dead letters that are attempted anew, and what comes of them: for the screens and for scripts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection

from cortex_tui.backend import Backend
from cortex_tui.events import Job, JobChoice, JobState

OUTCOMES = {
    "done": (JobState.DONE,),
    "recorded": (JobState.RECORDED,),
    "dead": (JobState.DEAD,),
    "waiting": (JobState.PENDING, JobState.RUNNING),
}
"""What a retry can come to: the words of the screens for the states of the API. Whether what waits
is being attempted is over before one has read it, and is no word of its own."""
MOST = 500
"""Actions that are asked for at once."""
LOOK = 0.3
"""Seconds between two looks at actions that are attempted."""


def under_way(job: Job) -> bool:
    """Whether the attempt that a retry is for is still to come, or being made."""
    return job.state is JobState.RUNNING or (job.state is JobState.PENDING and not job.attempts)


def word_of(job: Job) -> str:
    """The word for how an action stands."""
    return next(word for word, states in OUTCOMES.items() if job.state in states)


def waits(job: Job) -> bool:
    """Whether it has no end yet."""
    return job.state in OUTCOMES["waiting"]


async def dead_letters(backend: Backend, product_id: int, choice: JobChoice) -> set[int]:
    """The ids of those that are meant."""
    meant = None if choice.job_id is None else {choice.job_id}
    return {job.id async for job in _jobs(backend, product_id, choice, [JobState.DEAD], meant)}


async def came_to(
    backend: Backend,
    product_id: int,
    choice: JobChoice,
    chosen: Collection[int],
    *,
    seconds: float,
    while_any: Callable[[Job], bool],
) -> dict[str, list[Job]]:
    """What became of the `chosen` that were retried, by `OUTCOMES`, once none of them is any more
    as `while_any` says, or after so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                async for job in _jobs(backend, product_id, choice, OUTCOMES["waiting"], chosen):
                    if while_any(job):
                        break  # one is enough to look again
                else:
                    break
                await asyncio.sleep(LOOK)
    # All states at once: between two questions one could pass from the second to the first.
    jobs = [job async for job in _jobs(backend, product_id, choice, tuple(JobState), chosen)]
    return {what: [job for job in jobs if job.state in states] for what, states in OUTCOMES.items()}


async def _jobs(
    backend: Backend,
    product_id: int,
    choice: JobChoice,
    states: Collection[JobState],
    among: Collection[int] | None,
) -> AsyncIterator[Job]:
    """Those in one of the states, the newest first; of those `among` them where that is given."""
    if among is not None and not among:
        return
    oldest = min(among) if among else 1
    before = max(among) + 1 if among else None
    while rows := await backend.jobs(
        product_id,
        states=states,
        subscription_id=choice.subscription_id,
        before=before,
        limit=MOST if before is None else min(MOST, before - oldest),
    ):
        for row in rows:
            if row.id >= oldest and (among is None or row.id in among):
                yield row
        before = rows[-1].id
        if before <= oldest:
            break
