"""Which topic filters a broker has from one client, which of them it granted, and how to make them
those that are wanted."""

from collections.abc import Collection, Iterable, Sequence

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from cortex_tui import syntax
from cortex_tui.local.causes import refused_field
from cortex_tui.local.reasons import reason_name
from cortex_tui.models import RefusedFilter

FILTERS_A_PACKET = 8
"""The least that a known broker takes in one SUBSCRIBE."""

TOO_LONG = "Longer than MQTT allows"

_IF_NEW = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
"""Retained messages come once, not after every reconnect (MQTT 5 §3.8.3.1)."""


class Listening:
    """The filters of one client; `granted` and `refused` are of the present connection."""

    def __init__(self) -> None:
        self.granted: frozenset[str] = frozenset()
        self.refused: tuple[RefusedFilter, ...] = ()
        self._at_broker: set[str] = set()
        """What its session has, for all we know."""
        self._asked: dict[int, list[str]] = {}
        """Filters whose SUBACK is due, by packet."""

    def connected(self, *, session_present: bool) -> None:
        """A connection begins: nothing is granted yet, and without a session nothing is there."""
        self.disconnected()
        if not session_present:
            self._at_broker.clear()

    def disconnected(self) -> None:
        """The connection ended."""
        self.granted, self.refused = frozenset(), ()
        self._asked.clear()

    def want(
        self, client: Client, filters: Collection[str], qos: int, *, anew: bool = False
    ) -> None:
        """Have `client` ask for `filters` and no others: for the difference, or `anew` for all,
        also for those its session has, since only a SUBACK says what is granted."""
        wanted = set(filters)
        refused = {each.filter for each in self.refused}
        known = refused if anew else self._at_broker | refused
        missing = sorted(wanted - known)
        too_long = [each for each in missing if len(each.encode()) > syntax.MAX_STRING_BYTES]
        missing = [each for each in missing if each not in too_long]
        for some in _packets(sorted(self._at_broker - wanted)):
            client.unsubscribe(some)
        for some in _packets(missing):
            _, mid = client.subscribe(
                [(each, SubscribeOptions(qos, retainHandling=_IF_NEW)) for each in some]
                if client.protocol is MQTTProtocolVersion.MQTTv5
                else [(each, qos) for each in some]
            )
            if mid is not None:
                self._asked[mid] = some
        self._at_broker = (self._at_broker & wanted) | set(missing)
        self.granted &= wanted
        self.refused = (
            *(each for each in self.refused if each.filter in wanted),
            *(RefusedFilter(filter=each, reason=TOO_LONG, field="pattern") for each in too_long),
        )

    def answered(self, mid: int, reasons: Sequence[ReasonCode], wanted: Collection[str]) -> None:
        """A SUBACK came; `wanted` is what is still to be listened to."""
        granted: set[str] = set()
        for each, reason in zip(self._asked.pop(mid, []), reasons, strict=False):
            if each not in wanted:
                continue
            if reason.is_failure:
                name, field = reason_name(reason.value), refused_field(reason.value)
                self.refused += (RefusedFilter(filter=each, reason=name, field=field),)
                self._at_broker.discard(each)
            else:
                granted.add(each)
        self.granted |= granted


def _packets(filters: list[str]) -> Iterable[list[str]]:
    return (
        filters[start : start + FILTERS_A_PACKET]
        for start in range(0, len(filters), FILTERS_A_PACKET)
    )
