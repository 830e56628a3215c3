"""Delivers what is in the outbox: a thread with a loop of its own, beside network and UI.

Each turn is one transaction: attempts that ended are settled, jobs that are due are claimed. Every
target has its own slots and its own circuit breaker, so that one that is dead holds back no other.
A job is attempted at least once, and more often only after a failure or a crash; its idempotency
key is the same every time.
"""

import asyncio
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import orjson

from cortex_tui.daemon import Loop
from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.events import JobState
from cortex_tui.local.actions import compile_stored
from cortex_tui.local.jobs import Claim, Verdict
from cortex_tui.local.mail import MailTemplates
from cortex_tui.local.outbox import Outbox
from cortex_tui.local.retries import Breaker, retry_delay
from cortex_tui.local.targets import (
    JobRefused,
    PartlyTaken,
    Publish,
    PublishTarget,
    Target,
    TargetFailed,
    Unsendable,
)
from cortex_tui.models import Action
from cortex_tui.values import STORED

log = logging.getLogger(__name__)

PRUNE_INTERVAL = 1.0
"""Seconds between two looks at the limits of the outbox."""
TROUBLE_PAUSE = 1.0
"""Seconds to wait after the database could not be written."""


@dataclass
class _Line:
    """The jobs for one target, and what is known of it."""

    target: Target | None
    """None where the settings name none: then jobs are recorded after all."""
    breaker: Breaker = field(default_factory=Breaker)
    running: int = 0

    def wanted(self, now: float) -> int:
        free = (self.target.concurrency if self.target else 100) - self.running
        return self.breaker.permits(now, free)


class Delivery:
    """Runs from `start` to `close`. `wake` may be called from any thread."""

    def __init__(
        self,
        outbox: Outbox,
        settings: DeliverySettings,
        *,
        templates: Path,
        publish: Publish,
        on_settled: Callable[[int], None],
        on_pruned: Callable[[], None] = lambda: None,
    ) -> None:
        """`templates` is the folder of e-mail templates; `on_settled` is told each product that had
        a job settled, and `on_pruned` that there may be room in the outbox again, both on the
        delivery thread."""
        self._outbox = outbox
        self._settings = settings
        self._templates = templates
        self._publish = publish
        self._on_settled = on_settled
        self._on_pruned = on_pruned
        self._lines: dict[str, _Line] = {}
        self._verdicts: list[Verdict] = []
        self._attempts: set[asyncio.Task[None]] = set()
        self._loop = Loop()
        self._woken = asyncio.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="cortex-delivery", daemon=True)

    def start(self) -> None:
        """Put back what a crash interrupted, and deliver from now on."""
        self._thread.start()

    def wake(self, targets: Iterable[str]) -> None:
        """Jobs for these targets were added."""
        self._call(partial(self._expect, frozenset(targets)))

    def try_again(self, targets: Iterable[str]) -> None:
        """A person wants jobs for these targets attempted now, also where one is left alone."""
        self._call(partial(self._expect, frozenset(targets), at_once=True))

    def close(self, timeout: float) -> None:
        """Stop within `timeout` seconds; what is under way is attempted again next time."""
        self._call(self._stop)
        self._thread.join(timeout)

    # -- on the delivery thread ---------------------------------------------------------------

    def _call(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            log.debug("the delivery loop is closed already")

    def _expect(self, targets: Iterable[str], *, at_once: bool = False) -> None:
        for name in targets:
            line = self._lines.get(name)
            if line is None:
                self._lines[name] = _Line(self._target(name))
            elif at_once:
                line.breaker.hurry(time.time())
        self._woken.set()

    def _stop(self) -> None:
        self._closing = True
        self._woken.set()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._deliver())

    async def _deliver(self) -> None:
        pruning = asyncio.create_task(self._prune())
        try:
            self._expect(await self._recovered())
            while not self._closing:
                self._woken.clear()
                pause = await self._turn()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
        finally:
            pruning.cancel()
            await self._end()

    async def _recovered(self) -> list[str]:
        while not self._closing:
            try:
                return await asyncio.to_thread(self._outbox.recover)
            except Exception:
                log.exception("the outbox cannot be read")
                await asyncio.sleep(TROUBLE_PAUSE)
        return []

    async def _turn(self) -> float | None:
        """Settle and claim; returns the seconds until there may be more to do, if that is known."""
        now = time.time()
        wanted = {name: line.wanted(now) for name, line in self._lines.items()}
        verdicts = self._verdicts[:]
        turn = partial(self._outbox.turn, verdicts, wanted, now)
        try:
            claims, next_due = await asyncio.to_thread(turn)
        except Exception:
            log.exception("the outbox cannot be written")
            return TROUBLE_PAUSE
        del self._verdicts[: len(verdicts)]
        for product_id in {verdict.claim.product_id for verdict in verdicts}:
            self._on_settled(product_id)
        for claim in claims:
            line = self._lines[claim.target]
            line.running += 1
            line.breaker.started()
            attempt = asyncio.create_task(self._attempt(line, claim))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)
        return self._pause(now, next_due)

    def _pause(self, asked_at: float, next_due: float | None) -> float | None:
        """Seconds until a job is due or a target may be tried that could not be at `asked_at`."""
        moments = [line.breaker.opens_at for line in self._lines.values()]
        moments = [moment for moment in moments if asked_at < moment < math.inf]
        if next_due is not None:
            moments.append(next_due)
        return max(0.0, min(moments) - time.time()) if moments else None

    async def _attempt(self, line: _Line, claim: Claim) -> None:
        verdict = await self._verdict(line, claim)
        if verdict.state is JobState.DEAD:
            told = claim.target, claim.attempts, verdict.reason
            log.warning("%s: given up at attempt %d: %s", *told)
        line.running -= 1
        self._verdicts.append(verdict)
        self._woken.set()

    async def _verdict(self, line: _Line, claim: Claim) -> Verdict:
        try:
            if claim.content is None:
                claim, problem = self._rendered(claim)
                if problem is not None:
                    line.breaker.abandoned()
                    return Verdict(claim, JobState.DEAD, problem)
            if line.target is None:
                return Verdict(claim, JobState.RECORDED, content=claim.content)
            note = await line.target.send(claim)
        except JobRefused as error:
            if isinstance(error, Unsendable):
                line.breaker.abandoned()
            else:
                line.breaker.succeeded()
            return Verdict(claim, JobState.DEAD, str(error), content=claim.content)
        except PartlyTaken as error:
            line.breaker.succeeded()
            return self._failed(replace(claim, content=error.content), str(error), 0.0)
        except TargetFailed as error:
            line.breaker.failed(time.time())
            return self._failed(claim, str(error), error.retry_after)
        except Exception as error:
            log.exception("%s: an attempt failed on our side", claim.target)
            line.breaker.abandoned()
            return self._failed(claim, f"failed on our side: {type(error).__name__}", 0.0)
        line.breaker.succeeded()
        return Verdict(claim, JobState.DONE, note, content=claim.content)

    def _failed(self, claim: Claim, reason: str, retry_after: float) -> Verdict:
        if claim.attempts >= self._settings.max_attempts:
            return Verdict(claim, JobState.DEAD, reason, content=claim.content)
        due_at = time.time() + retry_delay(claim.attempts - 1, random.random(), retry_after)  # noqa: S311
        return Verdict(claim, JobState.PENDING, reason, due_at, content=claim.content)

    def _rendered(self, claim: Claim) -> tuple[Claim, str | None]:
        """A claim whose fields could not be rendered before, and why they still cannot."""
        action = Action.model_validate(orjson.loads(claim.action), context=STORED)
        prepared = compile_stored(action, self._settings).prepare(
            orjson.loads(claim.event or b"null")
        )
        return replace(claim, content=prepared.content), prepared.problem

    def _target(self, name: str) -> Target | None:
        settings = self._settings
        match name.partition("/")[0]:
            case "conditional_email" if settings.email:
                from cortex_tui.local.mail_target import EmailTarget

                return EmailTarget(settings.email, MailTemplates(self._templates))
            case "activate_policy" | "webhook" as table if where := getattr(settings, table):
                from cortex_tui.local.web_target import HttpTarget

                return HttpTarget(where)
            case "publish" if settings.publish:
                return PublishTarget(settings.publish, self._publish)
        return None

    async def _prune(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._outbox.prune)
            except Exception:
                log.exception("the outbox cannot be kept to its limits")
            try:
                self._on_pruned()
            except Exception:
                log.exception("nobody could be told of the room in the outbox")
            await asyncio.sleep(PRUNE_INTERVAL)

    async def _end(self) -> None:
        for attempt in self._attempts:
            attempt.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)
        self._lines, lines = {}, self._lines
        await self._turn()
        for line in lines.values():
            if line.target is not None:
                await line.target.aclose()
