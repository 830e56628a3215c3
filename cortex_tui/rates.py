"""Events per second, told from counters that only grow. Pure."""

from collections import deque

WINDOW = 10.0
"""Seconds over which a rate is averaged; after as long without an event it is zero."""


class Rate:
    """The rate of one counter, from its successive totals."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def observe(self, total: int, at: float) -> None:
        """The counter read `total` at the time `at`, in seconds; it may have been reset."""
        samples = self._samples
        if samples and (total < samples[-1][1] or at < samples[-1][0]):
            samples.clear()
        if samples and total == samples[-1][1]:
            return
        samples.append((at, total))
        while len(samples) > 1 and samples[1][0] <= at - WINDOW:
            samples.popleft()

    def per_second(self, at: float) -> float:
        """Events per second over the last `WINDOW` seconds before `at`."""
        if not self._samples:
            return 0.0
        start, base = self._samples[0]
        for moment, total in self._samples:
            if moment > at - WINDOW:
                break
            start, base = at - WINDOW, total
        return (self._samples[-1][1] - base) / max(at - start, 1.0)
