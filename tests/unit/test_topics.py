"""The laws of topics: what matches, what covers, and what the broker is sent."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from cortex_tui.models import TopicsConfig
from cortex_tui.topics import FilterTrie, broker_filters, effective_topic, matched_by, shared_ends

PLAIN = TopicsConfig(use_shared=False)
levels = st.sampled_from(["a", "b", "", "$SYS"])
topic_names = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)


@st.composite
def topic_filters(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.one_of(levels, st.just("+")), max_size=3))
    if draw(st.booleans()) or not any(parts):
        parts.append("#")
    return "/".join(parts)


@given(topic_filters(), topic_names)
def test_the_trie_matches_as_the_specification_says(topic_filter: str, topic: str) -> None:
    found = FilterTrie([(topic_filter, True)]).matching(topic) == [True]
    assert found == topic_matches_sub(topic_filter, topic)


@given(st.lists(topic_filters(), min_size=1, max_size=6), topic_names)
def test_the_covering_set_takes_exactly_the_topics_of_all(wanted: list[str], topic: str) -> None:
    sent = broker_filters(PLAIN, wanted)
    assert any(topic_matches_sub(f, topic) for f in sent) == any(
        topic_matches_sub(f, topic) for f in wanted
    )


@given(st.lists(topic_filters(), min_size=1, max_size=6))
def test_no_filter_of_the_covering_set_covers_another(wanted: list[str]) -> None:
    for one, other in product(sent := broker_filters(PLAIN, wanted), repeat=2):
        if one != other:
            assert broker_filters(PLAIN, [one, other]) == tuple(sorted([one, other])), sent


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (["a/b", "a/b"], ("a/b",)),
        (["a/+", "a/b"], ("a/+",)),
        (["a/#", "a/+/c", "a"], ("a/#",)),
        (["a/+", "+/b"], ("+/b", "a/+")),
        (["#", "$SYS/#"], ("#", "$SYS/#")),
        (["+/x", "$a/x"], ("$a/x", "+/x")),
        ([], ()),
    ],
)
def test_the_smallest_set(wanted: list[str], sent: tuple[str, ...]) -> None:
    assert broker_filters(PLAIN, wanted) == sent


def test_shared_filters_name_their_group() -> None:
    topics = TopicsConfig(use_shared=True, shared_group="bre")
    topic = effective_topic(topics, application_id="ABC123")
    assert broker_filters(topics, [topic]) == (
        "$share/bre//v3/applications/ABC123/business-events",
    )


@pytest.mark.parametrize(
    ("prefix", "pattern", "application_id", "topic"),
    [
        ("/v3/apps", "{application_id}/business-events", "A", "/v3/apps/A/business-events"),
        ("/v3/apps", "{application_id}/x", None, "/v3/apps/+/x"),
        ("base/", "/{application_id}", "A", "base/A"),
        ("", "{application_id}/x", "A", "A/x"),
        ("base", "all/#", None, "base/all/#"),
    ],
)
def test_derived_topics(prefix: str, pattern: str, application_id: str | None, topic: str) -> None:
    topics = TopicsConfig(prefix=prefix, pattern=pattern)
    assert effective_topic(topics, application_id=application_id) == topic


def test_a_topic_given_in_full_stays() -> None:
    assert effective_topic(PLAIN, topic="some/where") == "some/where"


def test_looking_up_does_not_cost_by_the_number_of_filters() -> None:
    trie = FilterTrie((f"base/{number}/events", number) for number in range(10_000))
    assert trie.matching("base/77/events") == [77]
    assert trie.matching("base/77/other") == []


@pytest.mark.parametrize(
    ("topic_filter", "topic"),
    [
        ("a/b", "a/b"),
        ("$share/bre//v3/+/events", "/v3/cortex-test/events"),
        ("#", "cortex-test"),
        ("a/+/#", "a/cortex-test/cortex-test"),
    ],
)
def test_a_topic_that_a_filter_takes(topic_filter: str, topic: str) -> None:
    assert matched_by(topic_filter) == topic


@pytest.mark.parametrize(
    ("topics", "start", "end"),
    [
        (["/v3/apps/A1/events", "/v3/apps/B2/events"], "/v3/apps", "events"),
        (["a/b", "a/b/c"], "a", ""),
        (["a", "b"], "", ""),
        (["a/x/x", "a/x"], "a", ""),
        (["/v3/apps/A1/events"], "/v3/apps", ""),
        (["a"], "", ""),
        ([], "", ""),
    ],
)
def test_what_topics_share(topics: list[str], start: str, end: str) -> None:
    assert shared_ends(topics) == (len(start), len(end))


@given(st.lists(topic_names, unique=True, min_size=2, max_size=5))
def test_topics_still_differ_without_what_they_share(topics: list[str]) -> None:
    start, end = shared_ends(topics)
    rests = [topic[start : len(topic) - end] for topic in topics]
    assert len(set(rests)) == len(topics)
    assert len({topic[:start] for topic in topics}) == 1
    assert len({topic[len(topic) - end :] for topic in topics}) == 1
