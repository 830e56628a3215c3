"""Which subscriptions take an event."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_tui.events import MAX_PAYLOAD
from cortex_tui.models import Subscription
from cortex_tui.routing import NAME_KEYS, Router, Unreadable, decode, event_name, refusal

MOMENT = datetime(2026, 1, 23, tzinfo=UTC)


def subscription(number: int, name: str, topic: str = "a/b", **more: object) -> Subscription:
    values = {"id": number, "name": name, "topic": topic, "enabled": True, **more}
    return Subscription.model_validate({**values, "created_at": MOMENT, "updated_at": MOMENT})


@pytest.mark.parametrize("key", NAME_KEYS)
def test_a_name_is_found_under_every_key(key: str) -> None:
    assert event_name({key: "paid"}) == "paid"


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ({"type": "t", "event": "e"}, "e"),
        ({"event": {"id": 1}, "event_name": "n"}, "n"),
        ({"name": 3}, None),
        (["event"], None),
        (None, None),
    ],
)
def test_the_first_string_counts(payload: object, name: str | None) -> None:
    assert event_name(payload) == name


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "empty"),
        (b"{'a': 1}", "not JSON: line 1, column 2"),
        (b"{\n]", "not JSON: line 2, column 1"),
        (b"NaN", "not JSON: line 1, column 1"),
        (b"\xff\xfe", "not UTF-8"),
        (b'"\xc3"', "not UTF-8"),
        (b"[" * 5_000 + b"]" * 5_000, "nested too deep"),
        (b" " * (MAX_PAYLOAD + 1), "larger than 1,048,576 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_says_why(payload: bytes, why: str) -> None:
    with pytest.raises(Unreadable) as error:
        decode(payload)
    assert str(error.value) == why


@given(st.binary(max_size=200))
def test_no_payload_is_another_exception(payload: bytes) -> None:
    with suppress(Unreadable):
        event_name(decode(payload))


def router_of(*subscriptions: Subscription) -> Router[int]:
    return Router((each, each.id) for each in subscriptions)


@given(
    topic=st.sampled_from(["a/b", "a/c", "x"]),
    name=st.sampled_from([None, "paid", "other"]),
    wanted=st.sampled_from([None, "paid", "*"]),
    listens=st.sampled_from(["a/b", "a/+", "#", "x/y"]),
    enabled=st.booleans(),
)
def test_the_reason_in_words_agrees_with_the_router(
    topic: str, name: str | None, wanted: str | None, listens: str, enabled: bool
) -> None:
    one = subscription(1, "own", listens, event=wanted, enabled=enabled)
    taken = router_of(one).takers(topic, name) == [1]
    assert taken is (refusal(one, topic, name) is None)


def test_a_subscription_takes_its_own_name_another_or_every_event() -> None:
    router = router_of(
        subscription(1, "paid"),
        subscription(2, "other", event="paid"),
        subscription(3, "all", event="*"),
        subscription(4, "paid elsewhere", topic="x/y", event="paid"),
        subscription(5, "off", event="*", enabled=False),
    )
    assert router.takers("a/b", "paid") == [3, 1, 2]
    assert router.takers("a/b", "unknown") == [3]
    assert router.takers("a/b", None) == [1, 2, 3]
    assert router.takers("nowhere", "paid") == []


def test_topics_beyond_the_remembered_ones_are_found_too() -> None:
    router = router_of(subscription(1, "paid", topic="+/b"))
    for number in range(5_000):
        assert router.takers(f"{number}/b", "paid") == [1]
