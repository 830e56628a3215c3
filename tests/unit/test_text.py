"""What is left of a text where it does not fit."""

import pytest
from textual.content import Content

from cortex_tui.widgets.hanging import hung
from cortex_tui.widgets.text import MUTED, middle_of, said

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
