"""The stages of a test as they are climbed: each is timed, explained and told at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from cortex_tui.backend import OnStage
from cortex_tui.diagnosis import Outcome, Stage, StageResult
from cortex_tui.local.causes import Cause, explain
from cortex_tui.local.probe.clock import Cancelled
from cortex_tui.models import BrokerAccess


class Failed(Exception):
    """The test ends here."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.message)
        self.cause = cause


class Ladder:
    """What became of each stage so far."""

    def __init__(self, broker: BrokerAccess, on_stage: OnStage | None) -> None:
        self._broker = broker
        self._on_stage = on_stage
        self._results: dict[Stage, StageResult] = {}

    @property
    def results(self) -> tuple[StageResult, ...]:
        """In their order; stages that were never reached are skipped."""
        return tuple(
            self._results.get(stage, StageResult(stage=stage, outcome=Outcome.SKIPPED))
            for stage in Stage
        )

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[list[str]]:
        """One stage, which fails when an exception leaves it. What is seen goes into the list."""
        seen: list[str] = []
        started = time.monotonic()

        def result(outcome: Outcome, cause: Cause | None = None) -> StageResult:
            return StageResult(
                stage=stage,
                outcome=outcome,
                ms=round((time.monotonic() - started) * 1000),
                seen=", ".join(seen),
                cause=cause.message if cause else None,
                advice=cause.advice if cause else None,
                field=cause.field if cause else None,
            )

        try:
            yield seen
        except Cancelled:
            raise
        except Exception as error:
            cause = error.cause if isinstance(error, Failed) else None
            cause = cause or explain(error, self._broker, stage)
            if cause.stage is stage or cause.stage not in self._results:
                self._put(result(Outcome.FAILED, cause))
            else:
                self._fail_earlier(cause)
            raise Failed(cause) from error
        self._put(result(Outcome.OK))

    def skip(self, stage: Stage, seen: str) -> None:
        """A stage that is not needed."""
        self._put(StageResult(stage=stage, outcome=Outcome.SKIPPED, seen=seen))

    def _fail_earlier(self, cause: Cause) -> None:
        """What looked well at the time turns out to be where it broke: in TLS 1.3 a broker
        refuses a client's certificate after the handshake."""
        earlier = self._results[cause.stage]
        failure = {"cause": cause.message, "advice": cause.advice, "field": cause.field}
        self._put(earlier.model_copy(update={"outcome": Outcome.FAILED, **failure}))

    def _put(self, result: StageResult) -> None:
        self._results[result.stage] = result
        if self._on_stage is not None:
            self._on_stage(result)
