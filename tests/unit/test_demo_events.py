"""The demo's events: repeatable, and in the form that the reference's actions ask for."""

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import orjson
from hypothesis import given
from hypothesis import strategies as st

from cortex_tui import syntax
from cortex_tui.demo.events import APPLICATION_IDS, EVENT_NAMES, Event, random_event

MOMENT = datetime(2026, 1, 23, 14, 3, 25, 590525, tzinfo=UTC)


def _day(seed: int, count: int = 500) -> Iterator[Event]:
    random = Random(seed)
    return (random_event(random, MOMENT) for _ in range(count))


def test_the_same_seed_gives_the_same_day() -> None:
    assert list(_day(7)) == list(_day(7))
    assert list(_day(7)) != list(_day(8))


def test_a_day_holds_every_event_of_every_application() -> None:
    day = list(_day(1))
    assert {event.name for event in day} == set(EVENT_NAMES)
    assert {event.application_id for event in day} == set(APPLICATION_IDS)
    assert {
        "payment_marked_as_pending",
        "distributor_successful_created_policy",
    } < set(EVENT_NAMES)
    assert {
        event.payload["sendEmail"]
        for event in day
        if event.name == "distributor_successful_created_policy"
    } == {True, False}


@given(st.integers(min_value=0))
def test_each_event_is_what_an_orchestrator_expects(seed: int) -> None:
    for event in _day(seed, count=5):
        payload = orjson.loads(event.body)
        assert payload == event.payload
        assert payload["event_type"] == event.name
        assert payload["occurred_at"] == "2026-01-23T14:03:25.590525"
        assert UUID(payload["event_id"]).version == 4
        assert payload["policy_id"].startswith("POL-")
        assert event.topic == f"/v3/applications/{event.application_id}/business-events"
        syntax.topic_name(event.topic)
        if event.name == "payment_marked_as_pending":
            assert payload["payment"]["status"] == "pending"
        # The envelope's own keys come before any other that could be taken for the event's name.
        assert not {"event", "event_name", "eventName"} & payload.keys()


def test_event_ids_do_not_repeat() -> None:
    day = list(_day(3))
    assert len({event.payload["event_id"] for event in day}) == len(day)
