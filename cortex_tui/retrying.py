"""Dead letters that are attempted anew, and what comes of them: for the screens and for scripts."""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from cortex_tui.backend import Backend
from cortex_tui.events import Job, JobChoice, JobState

OUTCOMES = {
    "done": (JobState.DONE,),
    "recorded": (JobState.RECORDED,),
    "dead": (JobState.DEAD,),
    "waiting": (JobState.PENDING, JobState.RUNNING),
}
"""What a retry can come to."""
MOST = 500
"""Actions that are asked for at once."""
LOOK = 0.3
"""Seconds between two looks at actions that are attempted."""

Reasons = dict[int, str]
"""Why each action failed last, by its id."""


def under_way(job: Job) -> bool:
    """Whether the attempt that a retry is for is still to come, or being made."""
    return job.state is JobState.RUNNING or (job.state is JobState.PENDING and not job.attempts)


def waits(job: Job) -> bool:
    """Whether it has no end yet."""
    return job.state in OUTCOMES["waiting"]


async def dead_letters(backend: Backend, product_id: int, choice: JobChoice) -> Reasons:
    """Those that are meant."""
    return await _reasons(backend, product_id, choice, JobState.DEAD)


async def came_to(
    backend: Backend,
    product_id: int,
    choice: JobChoice,
    chosen: Collection[int],
    *,
    seconds: float,
    while_any: Callable[[Job], bool],
) -> dict[str, Reasons]:
    """What became of the `chosen` that were retried, by `OUTCOMES`, once none of them is any more
    as `while_any` says, or after so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            waiting = OUTCOMES["waiting"]
            while True:
                if not await _reasons(
                    backend, product_id, choice, *waiting, among=chosen, such=while_any
                ):
                    break
                await asyncio.sleep(LOOK)
    return {
        what: await _reasons(backend, product_id, choice, *states, among=chosen)
        for what, states in OUTCOMES.items()
    }


async def _reasons(
    backend: Backend,
    product_id: int,
    choice: JobChoice,
    *states: JobState,
    among: Collection[int] | None = None,
    such: Callable[[Job], bool] = lambda _: True,
) -> Reasons:
    """Of each that is chosen and in one of the states; of those `among` them where that is
    given."""
    found: Reasons = {}
    if among is not None and not among:
        return found
    before = None if choice.job_id is None else choice.job_id + 1
    oldest = choice.job_id or min(among or (0,))
    while rows := await backend.jobs(
        product_id,
        states=states,
        subscription_id=choice.subscription_id,
        before=before,
        limit=MOST if choice.job_id is None else 1,
    ):
        found |= {
            row.id: row.failures[-1].reason if row.failures else ""
            for row in rows
            if row.id >= oldest and (among is None or row.id in among) and such(row)
        }
        before = rows[-1].id
        if before <= oldest:
            break
    return found
