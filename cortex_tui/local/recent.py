"""How many events subscriptions took in the last minutes; in memory only, gone with the process."""

from collections import deque
from collections.abc import Hashable

BUCKET = 5.0
"""Seconds that are counted together."""
WINDOW = 300.0
"""Seconds that are remembered."""


class Recent:
    """Counts by key. `add` is for one thread, `per_second` for any."""

    def __init__(self) -> None:
        self._buckets: dict[Hashable, deque[tuple[int, int]]] = {}

    def add(self, key: Hashable, events: int, at: float) -> None:
        """`events` came at the time `at`, in seconds."""
        bucket = int(at // BUCKET)
        buckets = self._buckets.get(key)
        if buckets is None:
            buckets = self._buckets[key] = deque(maxlen=int(WINDOW // BUCKET) + 1)
        if buckets and buckets[-1][0] == bucket:
            buckets[-1] = (bucket, buckets[-1][1] + events)
        else:
            buckets.append((bucket, events))

    def per_second(self, key: Hashable, seconds: float, now: float) -> float:
        """Events a second over the last `seconds` before `now`."""
        oldest = now - seconds
        events = sum(
            count
            for bucket, count in tuple(self._buckets.get(key, ()))
            if bucket * BUCKET >= oldest
        )
        return events / seconds

    def forget(self, key: Hashable) -> None:
        """The key is gone."""
        self._buckets.pop(key, None)
