"""Which subscriptions take an event."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_tui.local.routing import MAX_PAYLOAD_BYTES, NAME_KEYS, Router, event_name
from cortex_tui.models import Subscription

MOMENT = datetime(2026, 1, 23, tzinfo=UTC)


def subscription(number: int, name: str, topic: str = "a/b", **more: object) -> Subscription:
    values = {"id": number, "name": name, "topic": topic, "enabled": True, **more}
    return Subscription.model_validate({**values, "created_at": MOMENT, "updated_at": MOMENT})


@pytest.mark.parametrize("key", NAME_KEYS)
def test_a_name_is_found_under_every_key(key: str) -> None:
    assert event_name(f'{{"{key}": "paid"}}'.encode()) == "paid"


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (b'{"type": "t", "event": "e"}', "e"),
        (b'{"event": {"id": 1}, "event_name": "n"}', "n"),
        (b'{"name": 3}', None),
        (b'["event"]', None),
        (b"null", None),
        (b"", None),
        (b"\xff\xfe", None),
        (b"[" * 5_000, None),
        (b'{"event": "' + b"x" * MAX_PAYLOAD_BYTES + b'"}', None),
    ],
)
def test_the_first_string_counts(payload: bytes, name: str | None) -> None:
    assert event_name(payload) == name


@given(st.binary(max_size=200))
def test_no_payload_is_an_exception(payload: bytes) -> None:
    event_name(payload)


def test_a_subscription_takes_its_own_name_another_or_every_event() -> None:
    router = Router(
        [
            subscription(1, "paid"),
            subscription(2, "other", event="paid"),
            subscription(3, "all", event="*"),
            subscription(4, "paid elsewhere", topic="x/y", event="paid"),
            subscription(5, "off", event="*", enabled=False),
        ]
    )
    assert router.takers("a/b", "paid") == [3, 1, 2]
    assert router.takers("a/b", "unknown") == [3]
    assert router.takers("a/b", None) == [1, 2, 3]
    assert router.takers("nowhere", "paid") == []


def test_topics_beyond_the_remembered_ones_are_found_too() -> None:
    router = Router([subscription(1, "paid", topic="+/b")])
    for number in range(3_000):
        assert router.takers(f"{number}/b", "paid") == [1]
