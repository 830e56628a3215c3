"""When to try again, and when to leave a target alone for a while. Pure: time is given.

pending ─► running ─► done
   ▲          │
   └─ retry ──┴─────► dead, after the last attempt, or at once where a retry cannot help
"""

import math

FIRST_DELAY, LONGEST_DELAY = 1.0, 900.0
"""Seconds between two attempts, of one action unless a caller knows a longest of its own."""
FAILURES_TO_OPEN = 5
"""Failures in a row after which a target is left alone."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds for which it is, before one attempt is made to see whether it is back."""


def retry_delay(
    attempts: int, chance: float, asked: float = 0.0, *, longest: float = LONGEST_DELAY
) -> float:
    """Seconds before the next attempt after `attempts` that failed.

    It doubles from `FIRST_DELAY` to `longest`; half of it is by `chance` (0 to 1), so that
    what failed together does not come back together. `asked` is what the target asked for, and is
    kept to within the same limit.
    """
    doubled = min(longest, FIRST_DELAY * 2.0 ** min(attempts, 30))
    wanted = max(FIRST_DELAY, doubled / 2 + doubled / 2 * chance)
    return max(wanted, min(asked, longest))


class Breaker:
    """Whether a target may be tried: closed (yes), open (not before a time), or half open (once).

    What fails is the target, not the single action: an answer of any kind closes the breaker.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._open_until: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether the target is being left alone, or tried for the first time since."""
        return self._open_until is not None

    def permits(self, now: float, wanted: int) -> int:
        """How many of `wanted` attempts may start now."""
        if self._open_until is None:
            return wanted
        if self._trying or now < self._open_until:
            return 0
        return min(1, wanted)

    @property
    def opens_at(self) -> float:
        """When an attempt is next permitted; `inf` while one is being made."""
        if self._open_until is None:
            return -math.inf
        return math.inf if self._trying else self._open_until

    def hurry(self, now: float) -> None:
        """A person wants to know whether the target is back."""
        if self._open_until is not None:
            self._open_until = min(self._open_until, now)

    def started(self) -> None:
        """An attempt that was permitted has started."""
        self._trying = self.is_open

    def abandoned(self) -> None:
        """The attempt ended without asking the target."""
        self._trying = False

    def succeeded(self) -> None:
        """The target answered."""
        self._failures, self._pause = 0, FIRST_PAUSE
        self._open_until, self._trying = None, False

    def failed(self, now: float) -> None:
        """The target could not be reached, or said that it cannot serve."""
        self._failures += 1
        if self._trying:
            self._pause = min(LONGEST_PAUSE, self._pause * 2)
            self._open_until, self._trying = now + self._pause, False
        elif self._open_until is None and self._failures >= FAILURES_TO_OPEN:
            self._open_until = now + self._pause
