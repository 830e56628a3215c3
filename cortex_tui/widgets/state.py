"""How a connection state looks: a glyph, a word and a colour, never a colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content

from cortex_tui.states import DEGRADED, ConnectionState, word_of
from cortex_tui.widgets.text import ACCENT, BAD, MUTED, OK, WARN

if TYPE_CHECKING:
    from cortex_tui.states import Listed


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
        Look("⚠", DEGRADED, WARN, 4),
        _look(ConnectionState.CONNECTING, "◐", ACCENT, 5),
        _look(ConnectionState.CONNECTED, "●", OK, 6),
        _look(ConnectionState.NOT_CONFIGURED, "○", MUTED, 7),
        _look(ConnectionState.DISABLED, "–", MUTED, 8),
    )
}
"""Every look by its word, the most urgent first."""


def look_of(product: Listed) -> Look:
    """How a product looks at a glance."""
    return LOOKS[word_of(product)]


def urgency_of(product: Listed) -> float:
    """How soon a person should look, the lower the sooner: at actions that failed right after what
    is wrong with connections."""
    urgency = look_of(product).urgency
    return min(urgency, LOOKS[DEGRADED].urgency + 0.5) if product.actions_dead else urgency


def state_mark(product: Listed) -> Content:
    """`● connected`."""
    look = look_of(product)
    return Content.styled(f"{look.glyph} {look.word}", look.style)
