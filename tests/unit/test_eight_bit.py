"""In 256 colours a screen looks as near as can be to what it is in all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color as RichColor
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.theme import Theme

from cortex_tui.themes import DARK, LIGHT
from cortex_tui.widgets.inert import EightBit

GREYS = range(232, 256)


def drawn(colour: str) -> RichColor:
    """The foreground that a text of a `colour` is drawn in."""
    [segment] = EightBit().apply([Segment("x", Style(color=colour))], Color(0, 0, 0))
    assert segment.text == "x"
    assert segment.style is not None
    assert segment.style.color is not None
    return segment.style.color


@pytest.mark.parametrize("muted", ["#8592a3", "#26323f", "#1d2935", "#64707d"])
def test_a_grey_that_is_a_little_blue_stays_grey(muted: str) -> None:
    assert drawn(muted).number in GREYS


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_errors_warnings_and_successes_are_told_apart(theme: Theme) -> None:
    red, orange, green = (
        drawn(str(colour)).get_truecolor() for colour in (theme.error, theme.warning, theme.success)
    )
    assert red.green == red.blue < red.red
    assert orange.blue < orange.green < orange.red
    assert green.green > max(green.red, green.blue)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_no_colour_is_one_that_terminals_give_another_look(parts: tuple[int, int, int]) -> None:
    colour = drawn(RichColor.from_rgb(*parts).name)
    assert colour.type is ColorType.EIGHT_BIT
    assert colour.number is not None
    assert colour.number >= 16


@pytest.mark.parametrize("own", ["default", "red", "color(4)"])
def test_the_terminals_own_colours_stay_as_they_are(own: str) -> None:
    assert drawn(own) == RichColor.parse(own)


def test_what_has_no_style_has_none_after_it() -> None:
    assert EightBit().apply([Segment("x")], Color(0, 0, 0)) == [Segment("x")]
