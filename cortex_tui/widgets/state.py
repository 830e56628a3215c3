"""How a connection state looks: a glyph, a word and a colour, never a colour alone."""

from typing import NamedTuple

from textual.content import Content

from cortex_tui.models import ConnectionState, ProductState
from cortex_tui.widgets.text import ACCENT, BAD, MUTED, OK, WARN


class Look(NamedTuple):
    """A glyph of one cell, a word, a colour, and how soon a person should look: the lower the
    sooner."""

    glyph: str
    word: str
    style: str
    urgency: int


def _look(state: ConnectionState, glyph: str, style: str, urgency: int) -> Look:
    return Look(glyph, state.value, style, urgency)


LOOKS = {
    look.word: look
    for look in (
        _look(ConnectionState.LATCHED, "✗", BAD, 0),
        _look(ConnectionState.RETRYING, "↻", WARN, 1),
        _look(ConnectionState.DISCONNECTED, "◌", WARN, 2),
        _look(ConnectionState.UNKNOWN, "?", WARN, 3),
        Look("⚠", "degraded", WARN, 4),
        _look(ConnectionState.CONNECTING, "◐", ACCENT, 5),
        _look(ConnectionState.CONNECTED, "●", OK, 6),
        _look(ConnectionState.NOT_CONFIGURED, "○", MUTED, 7),
        _look(ConnectionState.DISABLED, "–", MUTED, 8),
    )
}
"""Every look by its word, the most urgent first."""

_DEGRADED = LOOKS["degraded"]
"""Connected, but the broker refused some of the filters, or nothing is taken at present."""


def look_of(product: ProductState) -> Look:
    """How a product looks at a glance."""
    status, state = product.status, product.state
    if state is ConnectionState.CONNECTED and status and (status.refused_filters or status.paused):
        return _DEGRADED
    return LOOKS[state.value]


def state_mark(product: ProductState) -> Content:
    """`● connected`."""
    look = look_of(product)
    return Content.styled(f"{look.glyph} {look.word}", look.style)
