"""Retries and circuit breakers, in a time of their own."""

import math

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cortex_tui.local.retries import (
    FAILURES_TO_OPEN,
    FIRST_DELAY,
    FIRST_PAUSE,
    LONGEST_DELAY,
    LONGEST_PAUSE,
    Breaker,
    retry_delay,
)

CHANCE = st.floats(0, 1)


@given(st.integers(0, 10_000), CHANCE, st.floats(0, 1e9))
def test_a_delay_grows_keeps_its_limits_and_honours_what_is_asked(
    attempts: int, chance: float, asked: float
) -> None:
    delay = retry_delay(attempts, chance)
    assert FIRST_DELAY <= delay <= LONGEST_DELAY
    assert retry_delay(attempts + 1, chance) >= delay
    assert retry_delay(attempts, 1.0) <= 2 * max(FIRST_DELAY, retry_delay(attempts, 0.0))
    assert retry_delay(attempts, chance, asked) == max(delay, min(asked, LONGEST_DELAY))


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        assert breaker.permits(at, 4) == 4
        breaker.started()
        breaker.failed(at)
    return breaker


def test_a_breaker_opens_tries_once_and_closes() -> None:
    breaker = opened(at=100.0)
    assert breaker.permits(100.0 + FIRST_PAUSE - 0.01, 4) == 0
    assert breaker.opens_at == 100.0 + FIRST_PAUSE
    assert breaker.permits(100.0 + FIRST_PAUSE, 4) == 1
    breaker.started()
    assert breaker.permits(100.0 + FIRST_PAUSE, 4) == 0
    assert breaker.opens_at == math.inf
    breaker.succeeded()
    assert breaker.permits(100.0 + FIRST_PAUSE, 4) == 4


def test_each_trial_that_fails_doubles_the_pause_up_to_a_limit() -> None:
    breaker, now, pauses = opened(), 0.0, list[float]()
    for _ in range(10):
        pauses.append(breaker.opens_at - now)
        now = breaker.opens_at
        breaker.started()
        breaker.failed(now)
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE


def test_an_attempt_that_never_reached_the_target_says_nothing_about_it() -> None:
    breaker = opened()
    breaker.started()
    breaker.abandoned()
    assert breaker.is_open
    assert breaker.permits(FIRST_PAUSE, 4) == 1


def test_a_person_need_not_wait_for_the_trial() -> None:
    breaker = opened()
    breaker.hurry(1.0)
    assert breaker.permits(1.0, 4) == 1
    breaker.started()
    breaker.hurry(1.0)
    assert breaker.permits(1.0, 4) == 0
    breaker.failed(2.0)
    assert breaker.opens_at == 2.0 + 2 * FIRST_PAUSE
    closed = Breaker()
    closed.hurry(1.0)
    assert closed.permits(1.0, 4) == 4


def test_an_answer_between_failures_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            breaker.started()
            breaker.failed(0.0)
        breaker.started()
        breaker.succeeded()
    assert not breaker.is_open


class BreakerMachine(RuleBasedStateMachine):
    """Attempts start only when permitted; in whatever order they end, the target is never given
    up for good, and never tried by two at once while it is left alone."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker, self.now, self.running = Breaker(), 0.0, 0

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.breaker.permits(self.now, 1) > 0)
    @rule()
    def start(self) -> None:
        self.breaker.started()
        self.running += 1

    @precondition(lambda self: self.running > 0)
    @rule(end=st.sampled_from(["succeeded", "failed", "abandoned"]))
    def end(self, end: str) -> None:
        self.running -= 1
        if end == "failed":
            self.breaker.failed(self.now)
        elif end == "succeeded":
            self.breaker.succeeded()
            assert self.breaker.permits(self.now, 4) == 4
        else:
            self.breaker.abandoned()

    @invariant()
    def it_is_tried_again_in_time(self) -> None:
        if self.running == 0:
            assert self.breaker.permits(self.now + LONGEST_PAUSE, 4) >= 1
        assert self.breaker.permits(self.now, 0) == 0


TestBreaker = BreakerMachine.TestCase
