"""Which subscriptions take an event: by its topic, then by its name. Pure."""

from collections.abc import Iterable
from itertools import chain
from typing import Any, Generic, TypeVar

import orjson

from cortex_tui.events import MAX_PAYLOAD
from cortex_tui.models import Subscription
from cortex_tui.topics import FilterTrie

T = TypeVar("T")

NAME_KEYS = ("event", "event_name", "eventName", "event_type", "eventType", "type", "name")
"""Where an event's name is looked for in its payload: the first of these that holds a string."""
EVERY_EVENT = "*"
TOPICS_REMEMBERED, MAX_REMEMBERED = 4_096, 1_024
"""Topics whose takers are remembered, and the characters one may have for that."""
FILTERS_REMEMBERED = 64
"""Sets of filters whose takers are remembered."""


class Unreadable(ValueError):
    """A payload that is no event; the message says why."""


def decode(payload: bytes | str) -> Any:
    """The JSON value in a payload. Raises `Unreadable`."""
    if len(payload) > MAX_PAYLOAD:
        raise Unreadable(f"larger than {MAX_PAYLOAD:,} bytes")
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Unreadable(_why_unreadable(payload, error)) from None


def _why_unreadable(payload: bytes | str, error: orjson.JSONDecodeError) -> str:
    if not payload:
        return "empty"
    if isinstance(payload, bytes):
        try:
            payload.decode()
        except UnicodeDecodeError:
            return "not UTF-8"
    if "depth limit" in error.msg:
        return "nested too deep"
    return f"not JSON: line {error.lineno}, column {error.colno}"


def event_name(decoded: Any) -> str | None:
    """The name of an event, or none where it carries none."""
    if type(decoded) is not dict:
        return None
    for key in NAME_KEYS:
        value = decoded.get(key)
        if type(value) is str:
            return value
    return None


def refusal(subscription: Subscription, topic: str, name: str | None) -> str | None:
    """Why a subscription does not take an event of this name on this topic, or none where it
    does: the reasons of a `Router`, in words."""
    if not subscription.enabled:
        return "it is off"
    return mismatch(subscription.topic, subscription.event or subscription.name, topic, name)


def mismatch(topic_filter: str, wanted: str, topic: str, name: str | None) -> str | None:
    """Why what listens to `topic_filter` for events named `wanted` does not take an event, or none
    where it does."""
    if not FilterTrie([(topic_filter, True)]).matching(topic):
        return f"it listens to {topic_filter}"
    if name is None or wanted in (EVERY_EVENT, name):
        return None
    return f"it takes events named {wanted}"


class _Takers(Generic[T]):
    """Who one topic reaches, by the event name they take."""

    def __init__(self, matching: Iterable[tuple[str, T]]) -> None:
        self.all: list[T] = []
        self._everything: list[T] = []
        self._by_name: dict[str, list[T]] = {}
        for name, value in matching:
            self.all.append(value)
            if name == EVERY_EVENT:
                self._everything.append(value)
            else:
                self._by_name.setdefault(name, []).append(value)
        if self._everything:
            self._by_name = {
                name: self._everything + values for name, values in self._by_name.items()
            }

    def of(self, name: str | None) -> list[T]:
        if name is None:
            return self.all
        return self._by_name.get(name, self._everything)


class Router(Generic[T]):
    """The enabled subscriptions of one product, each with a value for whoever asks. The cost of a
    look-up does not depend on how many there are."""

    def __init__(self, subscriptions: Iterable[tuple[Subscription, T]]) -> None:
        by_filter: dict[str, list[tuple[str, T]]] = {}
        for each, value in subscriptions:
            if each.enabled:
                by_filter.setdefault(each.topic, []).append((each.event or each.name, value))
        self._subscriptions = list(by_filter.values())
        self._trie = FilterTrie(zip(by_filter, range(len(by_filter)), strict=True))
        self._by_topic: dict[str, _Takers[T]] = {}
        self._by_filters: dict[tuple[int, ...], _Takers[T]] = {}
        """Topics that the same filters match share what is compiled for them."""

    def takers(self, topic: str, name: str | None) -> list[T]:
        """The values of the subscriptions that take an event of this name on this topic; one
        without a name goes to all whose topic matches."""
        takers = self._by_topic.get(topic) or self._compile(topic)
        return takers.of(name)

    def _compile(self, topic: str) -> _Takers[T]:
        filters = tuple(sorted(self._trie.matching(topic)))
        takers = self._by_filters.get(filters)
        if takers is None:
            if len(self._by_filters) >= FILTERS_REMEMBERED:
                self._by_filters.clear()
            matching = chain.from_iterable(self._subscriptions[each] for each in filters)
            takers = self._by_filters[filters] = _Takers(matching)
        if len(topic) <= MAX_REMEMBERED:
            if len(self._by_topic) >= TOPICS_REMEMBERED:
                self._by_topic.clear()
            self._by_topic[topic] = takers
        return takers
