"""What is left of a text where it does not fit, and times that are none."""

import time
from datetime import UTC, datetime

import pytest
from textual.content import Content

from cortex_tui.widgets.hanging import hung
from cortex_tui.widgets.text import MUTED, clock, middle_of, said, time_of

TOPIC = "/v3/apps/A1/events"
START, END = len("/v3/apps"), len("events")


@pytest.mark.parametrize(
    ("width", "left"),
    [
        (18, "/v3/apps/A1/events"),
        (17, "…/A1/events"),
        (11, "…/A1/events"),
        (10, "…/A1/…"),
        (6, "…/A1/…"),
        (4, "…/A…"),
    ],
)
def test_what_all_share_goes_first(width: int, left: str) -> None:
    short = middle_of(said(TOPIC, MUTED), width, START, END)
    assert short.plain == left
    assert {span.style for span in short.spans} == {MUTED}


def test_what_shares_nothing_loses_its_end() -> None:
    assert middle_of(Content(TOPIC), 9, 0, 0).plain == "/v3/apps…"


def test_a_text_goes_on_below_itself() -> None:
    lines = hung(Content("  ✗ "), Content("the condition cannot be evaluated"), 24)
    assert [line.plain for line in lines] == ["  ✗ the condition cannot", "    be evaluated"]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_time_at_the_end_of_all_times_is_shown(
    monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    now = datetime(2026, 1, 23, tzinfo=UTC)
    try:
        for moment, day in ((datetime.min, "01 Jan"), (datetime.max, "31 Dec")):
            at = moment.replace(tzinfo=UTC)
            assert clock(at, now).startswith(("1-01-01 ", "0001-01-01 ", "9999-12-31 "))
            assert time_of(at, now) == day
    finally:
        monkeypatch.undo()
        time.tzset()
