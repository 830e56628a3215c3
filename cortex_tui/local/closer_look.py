"""What a live connection cannot tell of its own failure, the connection test finds out.

paho says "the connection was lost" to a port that speaks TLS, HTTP or nothing, to a broker that
wants a client certificate, and to many things more. So the first failure of a kind is tried once
more as a test, beside the retries, and what that finds is what a person reads from then on.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from cortex_tui.diagnosis import Stage
from cortex_tui.local.causes import Cause
from cortex_tui.local.network import Network
from cortex_tui.models import BrokerConfig


class CloserLook:
    """Looks for the causes of failures to connect to one broker; lives on the network thread."""

    def __init__(
        self, network: Network, broker: BrokerConfig, found: Callable[[Cause, Cause], None]
    ) -> None:
        """`found` is told a cause that was shown, and the better one."""
        self._network = network
        self._broker = broker
        self._found = found
        self._causes: dict[str, Cause] = {}
        """By the message of the cause that it is better than."""

    def at(self, first: Cause) -> Cause:
        """The best cause known by now; a look at the first failure of a kind has begun then."""
        if first.code is None and first.stage is not Stage.DNS:
            if first.message not in self._causes:
                self._causes[first.message] = first
                self._network.dial(partial(self._look, first))
            return self._causes[first.message]
        return first

    def _look(self, first: Cause) -> None:
        from cortex_tui.local.probe import find_cause

        better = find_cause(self._broker)
        # What does not get as far was passing: the network, or a broker that just starts.
        if better is not None and better.stage not in (Stage.DNS, Stage.TCP):
            latch = better.latch or first.latch
            self._network.call(partial(self._tell, first, replace(better, latch=latch)))

    def _tell(self, first: Cause, better: Cause) -> None:
        self._causes[first.message] = better
        self._found(first, better)
