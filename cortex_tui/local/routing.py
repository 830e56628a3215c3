"""Which subscriptions take an event: by its topic, then by its name. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from cortex_tui.models import Subscription
from cortex_tui.topics import FilterTrie

NAME_KEYS = ("event", "event_name", "eventName", "event_type", "eventType", "type", "name")
"""Where an event's name is looked for in its payload: the first of these that holds a string."""
EVERY_EVENT = "*"
MAX_PAYLOAD_BYTES = 1_048_576
"""A payload beyond this is not decoded, so it has no name."""
TOPICS_REMEMBERED = 1_024


def event_name(payload: bytes | bytearray) -> str | None:
    """The name of an event, or none where its payload carries none."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return None
    try:
        decoded = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(decoded, dict):
        return None
    return next((decoded[key] for key in NAME_KEYS if isinstance(decoded.get(key), str)), None)


@dataclass
class _Takers:
    """The subscriptions that one topic reaches, by the event name they take."""

    everything: list[int] = field(default_factory=list)
    by_name: dict[str, list[int]] = field(default_factory=dict)
    all: list[int] = field(default_factory=list)


class Router:
    """The enabled subscriptions of one product, compiled. The cost of a look-up does not depend on
    how many there are."""

    def __init__(self, subscriptions: Iterable[Subscription]) -> None:
        self._trie: FilterTrie[tuple[int, str]] = FilterTrie(
            (each.topic, (each.id, each.event or each.name))
            for each in subscriptions
            if each.enabled
        )
        self._by_topic: dict[str, _Takers] = {}

    def takers(self, topic: str, name: str | None) -> list[int]:
        """The ids of the subscriptions that take an event of this name on this topic; one without
        a name goes to all whose topic matches."""
        takers = self._by_topic.get(topic)
        if takers is None:
            if len(self._by_topic) >= TOPICS_REMEMBERED:
                self._by_topic.clear()
            takers = self._by_topic[topic] = self._compile(topic)
        if name is None:
            return takers.all
        return takers.everything + takers.by_name.get(name, [])

    def _compile(self, topic: str) -> _Takers:
        takers = _Takers()
        for subscription_id, name in self._trie.matching(topic):
            takers.all.append(subscription_id)
            if name == EVERY_EVENT:
                takers.everything.append(subscription_id)
            else:
                takers.by_name.setdefault(name, []).append(subscription_id)
        return takers
