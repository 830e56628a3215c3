"""How a connection state looks: a glyph, a word and a colour, never a colour alone."""

from typing import NamedTuple

from textual.content import Content

from cortex_tui.models import ConnectionState
from cortex_tui.widgets.text import ACCENT, BAD, MUTED, OK, WARN


class Look(NamedTuple):
    """A glyph of one cell, a colour, and how soon a person should look: the lower the sooner."""

    glyph: str
    style: str
    urgency: int


LOOKS = {
    ConnectionState.LATCHED: Look("✗", BAD, 0),
    ConnectionState.RETRYING: Look("↻", WARN, 1),
    ConnectionState.DISCONNECTED: Look("◌", WARN, 2),
    ConnectionState.UNKNOWN: Look("?", WARN, 3),
    ConnectionState.CONNECTING: Look("◐", ACCENT, 4),
    ConnectionState.CONNECTED: Look("●", OK, 5),
    ConnectionState.NOT_CONFIGURED: Look("○", MUTED, 6),
    ConnectionState.DISABLED: Look("–", MUTED, 7),
}


def state_mark(state: ConnectionState) -> Content:
    """`● connected`."""
    look = LOOKS[state]
    return Content.styled(f"{look.glyph} {state.value}", look.style)
