"""One product's connection, without a network below it."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from cortex_tui.local.connection import Connection
from cortex_tui.local.link import Plan
from cortex_tui.local.network import Network, Timer
from cortex_tui.models import BrokerConfig


def test_what_is_to_start_next_listens_to_what_is_wanted_by_then() -> None:
    calls = list[Callable[[], None]]()
    network = SimpleNamespace(
        call=calls.append, later=lambda *_: Timer(lambda: None), dial=lambda _: None
    )
    connection = Connection(1, cast("Network", network), lambda _: None, lambda _: None)
    plan = Plan(BrokerConfig(host="127.0.0.1"), "c", 1, 1, frozenset({"old"}))
    connection.start(plan)
    connection._deadline = Timer(lambda: None)  # CONNECT is out, and its answer due
    connection.start(replace(plan, version=2))
    connection.subscribe(frozenset({"old", "new"}), 2)
    connection._deadline = None  # it came
    connection._make_way()
    assert connection.link.version == 2
    assert connection._running.filters == {"old", "new"}
    assert connection._running.qos == 2
