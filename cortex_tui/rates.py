"""Events per second, now and over the last minutes, told from counters that only grow. Pure."""

from collections import deque

WINDOW = 10.0
"""Seconds over which a rate is averaged; after as long without an event it is zero."""
POINT = 5.0
"""Seconds of one point of a history."""
POINTS = 60
"""Points of a history that are kept."""


class Rate:
    """The rate of one counter, from its successive totals."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self._total = 0
        self._first: int | None = None
        """The point in which the counter was seen first; nothing is known of those before."""
        self._points: deque[tuple[int, int]] = deque()
        """Points in which something came, and how much; a quiet counter costs nothing."""

    def observe(self, total: int, at: float) -> None:
        """The counter read `total` at the time `at`, in seconds; it may have been reset."""
        samples, point = self._samples, int(at // POINT)
        if samples and (total < samples[-1][1] or at < samples[-1][0]):
            samples.clear()
            self._points.clear()
            self._first = None
        if self._first is None:
            self._first, self._total = point, total
        if samples and total == samples[-1][1]:
            return
        self._keep(point, total - self._total)
        self._total = total
        samples.append((at, total))
        while len(samples) > 1 and samples[1][0] <= at - WINDOW:
            samples.popleft()

    def _keep(self, point: int, came: int) -> None:
        points = self._points
        if points and points[-1][0] == point:
            points[-1] = (point, points[-1][1] + came)
        elif came:
            points.append((point, came))
        while points and points[0][0] < point - POINTS:
            points.popleft()

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

    def history(self, at: float, points: int) -> list[float | None]:
        """Events per second in the last `points` whole points before `at`, at most `POINTS`, the
        oldest first; none where the counter was not watched yet."""
        now = int(at // POINT)
        came = dict(self._points)
        known = now if self._first is None else self._first + 1
        return [
            came.get(point, 0) / POINT if point >= known else None
            for point in range(now - points, now)
        ]
