"""Rates and their history, from counters that grow, stand still and start anew."""

from hypothesis import given
from hypothesis import strategies as st

from cortex_tui.rates import POINT, POINTS, WINDOW, Rate
from cortex_tui.widgets.text import sparkline


def watched(*totals: int, every: float = POINT, start: float = 1_000.0) -> Rate:
    rate = Rate()
    for index, total in enumerate(totals):
        rate.observe(total, start + index * every)
    return rate


def test_a_rate_is_the_growth_in_the_window() -> None:
    rate = watched(0, 10, 20, every=1.0)
    assert rate.per_second(1_002.0) == 10.0
    assert rate.per_second(1_002.0 + WINDOW) == 0.0


def test_a_history_has_a_point_for_every_five_seconds_that_were_watched() -> None:
    rate = watched(100, 110, 110, 160)
    assert rate.history(1_020.0, 5) == [None, None, 2.0, 0.0, 10.0]


def test_the_point_that_is_not_over_is_left_out() -> None:
    rate = watched(0, 10)
    rate.observe(1_000, 1_006.0)
    assert rate.history(1_007.0, 2) == [None, None]
    assert rate.history(1_010.0, 2) == [None, 200.0]


def test_a_counter_that_was_reset_begins_anew() -> None:
    rate = watched(100, 200, 5, 15)
    assert rate.history(1_020.0, 4) == [None, None, None, 2.0]
    assert rate.per_second(1_015.0) == 2.0


def test_a_counter_that_was_never_seen_has_no_rate() -> None:
    assert Rate().per_second(5.0) == 0.0
    assert Rate().history(5.0, 2) == [None, None]


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=200), st.floats(0.1, 20.0))
def test_a_history_is_bounded_and_loses_nothing_that_is_in_it(
    steps: list[int], every: float
) -> None:
    rate, total = Rate(), 0
    for index, step in enumerate(steps):
        total += step
        rate.observe(total, index * every)
    assert len(rate._points) <= POINTS + 1
    end = len(steps) * every + POINT
    shown = [value or 0.0 for value in rate.history(end, POINTS)]
    assert len(shown) == POINTS
    assert sum(shown) * POINT <= total + 1e-6


def test_a_sparkline_is_scaled_to_its_own_peak() -> None:
    assert sparkline([None, 0.0, 1.0, 4.0, 8.0]).plain == " ▁▃▄▇"
    assert sparkline([0.0, 0.0]).plain == "▁▁"
    assert sparkline([None, None]).plain == "  "
    assert sparkline([0.001, 1000.0]).plain == "▂▇", "what is little is not nothing"
