"""From a product's topic settings to the filters its broker is sent, and back from a topic to
whoever wants it. Pure.
"""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from cortex_tui import syntax
from cortex_tui.models import TopicsConfig

T = TypeVar("T")

SOME_LEVEL = "example"
"""Stands in a topic for what a wildcard leaves open."""


def effective_topic(
    topics: TopicsConfig, *, topic: str | None = None, application_id: str | None = None
) -> str:
    """The filter of one subscription: `topic` if it is given in full, else prefix and pattern with
    `application_id` filled in, `+` where there is none (API reference, note 6)."""
    if topic is not None:
        return topic
    pattern = syntax.fill_pattern(topics.pattern, {"application_id": application_id or "+"})
    if not topics.prefix:
        return pattern
    return f"{topics.prefix.rstrip('/')}/{pattern.lstrip('/')}"


def unshared(topic_filter: str) -> str:
    """A filter without the `$share/{group}/` that it may begin with."""
    if not topic_filter.startswith("$share/"):
        return topic_filter
    return topic_filter.removeprefix("$share/").partition("/")[2]


def shared_ends(topics: Iterable[str]) -> tuple[int, int]:
    """How many characters all of `topics` begin with, and end with: whole levels, without the
    slash beside what they differ in. Where there is one topic, all but its last two levels."""
    levels = [topic.split("/") for topic in set(topics)]
    if len(levels) < 2:
        return sum(len("/".join(each[:-2])) for each in levels), 0
    shortest = min(map(len, levels))

    def same(at: int) -> bool:
        return len({each[at] for each in levels}) == 1

    start = next((count for count in range(shortest) if not same(count)), shortest - 1)
    both = range(shortest - start)
    end = next((count for count in both if not same(-1 - count)), shortest - start - 1)
    first = levels[0]
    return len("/".join(first[:start])), len("/".join(first[len(first) - end :]))


def broker_filters(topics: TopicsConfig, wanted: Iterable[str]) -> tuple[str, ...]:
    """The smallest set of filters that covers `wanted`, as the broker is sent them: each as
    `$share/{group}/{filter}` when the subscription is shared (API reference, note 5)."""
    distinct = sorted(set(wanted))
    trie: FilterTrie[str] = FilterTrie((each, each) for each in distinct)
    needed = [each for each in distinct if all(other == each for other in trie.matching(each))]
    if topics.use_shared:
        return tuple(f"$share/{topics.shared_group}/{each}" for each in needed)
    return tuple(needed)


def example_topic(topic_filter: str) -> str:
    """A topic that `topic_filter` matches."""
    return topic_filter.replace("+", SOME_LEVEL).replace("#", SOME_LEVEL)


class FilterTrie(Generic[T]):
    """Values under topic filters; a look-up costs by the topic's depth, not by their number."""

    def __init__(self, items: Iterable[tuple[str, T]] = ()) -> None:
        self._root: _Node[T] = _Node()
        for topic_filter, value in items:
            self.add(topic_filter, value)

    def add(self, topic_filter: str, value: T) -> None:
        """Put `value` under `topic_filter`; one filter may hold many values."""
        node = self._root
        for level in topic_filter.split("/"):
            node = node.children.setdefault(level, _Node())
        node.values.append(value)

    def matching(self, topic: str) -> list[T]:
        """The values whose filter matches the topic name (MQTT 5 §4.7) or, given a filter, matches
        every topic which that one does: its own value among them."""
        return list(self._find(topic.split("/"), topic.startswith("$")))

    def _find(self, levels: list[str], system: bool) -> Iterator[T]:
        # A wildcard in the first level does not match topics that begin with $ (MQTT 5 §4.7.2).
        nodes = [self._root]
        for depth, level in enumerate(levels):
            wildcards = depth > 0 or not system
            following = []
            for node in nodes:
                if wildcards and (rest := node.children.get("#")):
                    yield from rest.values
                if level == "#":
                    continue  # only another # covers it
                if exact := node.children.get(level):
                    following.append(exact)
                if wildcards and level != "+" and (any_level := node.children.get("+")):
                    following.append(any_level)
            nodes = following
        for node in nodes:
            yield from node.values
            # "a/#" matches its parent "a" too (MQTT 5 §4.7.1.2).
            if rest := node.children.get("#"):
                yield from rest.values


class _Node(Generic[T]):
    __slots__ = ("children", "values")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.values: list[T] = []


def matched_by(topic_filter: str) -> str:
    """A topic that a filter takes, shared or not."""
    levels = unshared(topic_filter).split("/")
    return "/".join("cortex-test" if level in ("+", "#") else level for level in levels)
