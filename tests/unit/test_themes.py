"""The colours of the house: what is written in them can be read."""

import pytest
from textual.color import Color
from textual.theme import Theme

from cortex_tui.app import CortexApp
from cortex_tui.backend import Backend
from cortex_tui.settings import Colour, Context, Remembered, Target
from cortex_tui.themes import CONTEXTS, DARK, OURS, tint

READABLE = 4.5
"""The contrast that text needs (WCAG 2, 1.4.3)."""
WRITTEN = ("foreground", "text-primary", "text-warning")
"""What the line at the top is written in: the way, "cortex", "read-only"."""


def luminance(colour: Color) -> float:
    """As WCAG 2 defines it."""
    linear = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4
        for each in colour.normalized
    )
    return sum(share * each for share, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: Color, other: Color) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", OURS.values(), ids=OURS)
@pytest.mark.parametrize("colour", CONTEXTS)
def test_what_stands_on_the_colour_of_a_context_can_be_read(theme: Theme, colour: Colour) -> None:
    values = theme.to_color_system().generate()
    panel = Color.parse(values["panel"])
    painted = panel.tint(Color.parse(tint(colour, dark=theme.dark)))
    assert painted != panel
    for name in WRITTEN:
        text = Color.parse(values[name])
        enough = min(READABLE, contrast(text, panel))
        assert contrast(text, painted) >= enough, name


@pytest.mark.parametrize("kept", ["gone", 5, ["nord"], {"nord": 1}], ids=str)
def test_what_is_remembered_and_no_theme_leaves_that_of_the_house(kept: object) -> None:
    async def never(_: Target) -> Backend:
        raise AssertionError

    remembered = Remembered(None)
    remembered.set("theme", kept)
    app = CortexApp(never, Target("local", Context()), remembered=remembered)
    assert app.theme == DARK.name
