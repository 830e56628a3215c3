"""What happens to the messages of one round: route, count in one transaction, then acknowledge.

Runs on the network thread. Nothing is acknowledged before it is committed, so what a crash undoes
the broker sends again.
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from cortex_tui.diagnosis import Stage
from cortex_tui.local.causes import Cause
from cortex_tui.local.connection import Arrival, Connection
from cortex_tui.local.routing import Router, event_name
from cortex_tui.local.store import Count, Store

log = logging.getLogger(__name__)


class Pipeline:
    """Takes the messages that the connections put into `arrivals`, a round at a time."""

    def __init__(self, store: Store, on_counted: Callable[[int], None]) -> None:
        """`on_counted` is told each product that got messages."""
        self.arrivals: list[Arrival] = []
        self._store = store
        self._on_counted = on_counted
        self._routers: dict[int, Router] = {}

    def route(self, product_id: int, router: Router | None) -> None:
        """Use `router` for a product from now on; none takes nothing."""
        if router is None:
            self._routers.pop(product_id, None)
        else:
            self._routers[product_id] = router

    def run(self) -> None:
        """Deal with what has arrived."""
        if not self.arrivals:
            return
        batch = self.arrivals[:]
        self.arrivals.clear()
        by_connection: dict[Connection, list[Arrival]] = defaultdict(list)
        for arrival in batch:
            by_connection[arrival.connection].append(arrival)
        try:
            self._commit(by_connection)
        except Exception as error:
            log.exception("%d messages could not be stored", len(batch))
            for connection in by_connection:
                connection.interrupt(_not_stored(error))
            return
        for connection, arrivals in by_connection.items():
            connection.acknowledge(arrivals)
            self._on_counted(connection.product_id)

    def _commit(self, by_connection: dict[Connection, list[Arrival]]) -> None:
        products: dict[int, Count] = {}
        subscriptions: dict[int, Count] = {}
        for connection, arrivals in by_connection.items():
            router = self._routers.get(connection.product_id)
            products[connection.product_id] = Count(len(arrivals), arrivals[-1].at)
            if router is None:
                continue
            for arrival in arrivals:
                name = event_name(arrival.message.payload)
                for subscription_id in router.takers(arrival.message.topic, name):
                    _add(subscriptions, subscription_id, arrival.at)
        self._store.count(products, subscriptions)


def _add(counts: dict[int, Count], key: int, at: datetime) -> None:
    before = counts.get(key)
    counts[key] = Count(1 + (before.messages if before else 0), at)


def _not_stored(error: Exception) -> Cause:
    return Cause(
        Stage.SUBSCRIBE,
        message=f"The messages could not be stored: {error}",
        advice="Free space on the disk of the database; the broker sends them again.",
    )
