"""How one product is doing: a panel beside the page, or a strip above it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from textual.content import Content

from cortex_tui.states import ConnectionState
from cortex_tui.widgets.lines import Lines
from cortex_tui.widgets.state import look_of, state_mark
from cortex_tui.widgets.text import (
    BAD,
    MUTED,
    STRONG,
    WARN,
    age,
    clock,
    countdown,
    number,
    per_second,
    plain,
    said,
    sparkline,
)
from cortex_tui.wording import label_of, worded

if TYPE_CHECKING:
    from cortex_tui.models import ConnectionStatus, ProductState
    from cortex_tui.states import Listed

LABEL = 11
STRIP_LINES = 3
"""Lines of the strip; it has more only where what is wrong does not fit into them."""
STRIP_SHARE = 4
"""At most one of so many lines of the terminal is then the strip's."""
TREND = 36
"""Points of the picture of the rate in the panel: three minutes."""
SHORT_TREND = 12
"""And in the strip."""
MAX_REFUSED = 3
"""Refused filters that are shown."""
MAX_FILTER = 120
"""Characters of a refused filter, or of a client id, that are shown."""


class StatusPanel(Lines):
    """The status of one product, in the form its width asks for."""

    def show_state(
        self, state: ProductState, rate: float, history: Sequence[float | None], now: datetime
    ) -> None:
        """Draw `state`; only lines that differ are repainted. `history` has `TREND` points."""
        if self.screen.has_class("-wide"):
            self.show(folded(panel(state, rate, history, now), self.size.width))
        else:
            most = max(STRIP_LINES, self.screen.size.height // STRIP_SHARE)
            self.show(strip(state, rate, history, now, width=self.size.width, most=most))


def folded(lines: Iterable[Content], width: int) -> list[Content]:
    """`lines`, those that are wider than `width` broken between words."""
    return [
        part
        for line in lines
        for part in (line.wrap(width) if 0 < width < line.cell_length else [line])
    ]


def at_most(count: int, lines: Sequence[Content]) -> list[Content]:
    """Exactly `count` lines: empty ones below, or an ellipsis where some had to go."""
    if len(lines) > count:
        return [*lines[: count - 1], lines[count - 1] + "…"]
    return [*lines, *[Content()] * (count - len(lines))]


def since(state: Listed, now: datetime) -> Content:
    """What goes with the state's word: since when, which attempt, what next."""
    status = state.status
    if state.unknown_since:
        return Content(f"since {clock(state.unknown_since, now)} ({age(state.unknown_since, now)})")
    if status is None:
        return Content()
    match status.state:
        case ConnectionState.CONNECTED if status.last_connected_at:
            at = status.last_connected_at
            return Content(f"since {clock(at, now)} ({age(at, now)})")
        case ConnectionState.CONNECTING if status.attempt > 1:
            return Content(f"attempt {status.attempt}")
        case ConnectionState.RETRYING:
            attempt = f"attempt {status.attempt}"
            if status.next_attempt_at:
                return Content(f"{attempt}, next {countdown(status.next_attempt_at, now)}")
            return Content(attempt)
        case ConnectionState.LATCHED:
            return Content("stopped: it needs you")
    return Content()


def trouble(state: Listed) -> list[Content]:
    """What is wrong and what to do about it; nothing when all is well."""
    if state.unknown_since:
        return [said(state.problem or "The orchestrator cannot be asked.", WARN)]
    status = state.status
    if status is None:
        return (
            []
            if state.broker
            else [Content.styled("Not configured yet: Enter leads to its broker.", MUTED)]
        )
    lines = []
    if status.connection_error and status.state is not ConnectionState.CONNECTED:
        lines.append(said(worded(status.connection_error), look_of(state).style))
    if status.hint and status.state is not ConnectionState.CONNECTED:
        lines.append(said(worded(status.hint)))
    if status.paused:
        lines.append(said(f"Paused: {status.paused}", WARN))
    for refused in status.refused_filters[:MAX_REFUSED]:
        lines.append(
            Content.assemble(said(f"✗ {refused.reason}: ", BAD), plain(refused.filter, MAX_FILTER))
        )
    if more := len(status.refused_filters[MAX_REFUSED:]):
        lines.append(Content.styled(f"✗ {number(more)} more; a test shows each", BAD))
    if status.requires_restart:
        what = ", ".join(map(label_of, status.waiting_changes))
        lines.append(said(f"Saved changes wait for a reconnect{what and ': '}{what}", WARN))
    return lines


def failed_actions(count: int) -> Content:
    """`✗ 3 actions failed`."""
    what = "action failed" if count == 1 else "actions failed"
    return said(f"✗ {number(count)} {what}", BAD)


def strip(
    state: ProductState,
    rate: float,
    history: Sequence[float | None],
    now: datetime,
    *,
    width: int,
    most: int,
) -> list[Content]:
    """Three lines for a narrow screen; what is wrong goes before what is counted, and has up to
    `most` lines."""
    status = state.status
    lines = [
        Content.assemble(state_mark(state), "  ", since(state, now)),
        *folded(trouble(state), width),
    ]
    if status and len(lines) < STRIP_LINES:
        counts = Content.assemble(
            (number(status.messages_received), STRONG),
            (" message  " if status.messages_received == 1 else " messages  ", MUTED),
            (per_second(rate), STRONG),
            "  ",
            sparkline(history[-SHORT_TREND:]),
            ("  last ", MUTED),
            age(status.last_message_at, now),
        )
        lines = [*lines, counts, Content(", ").join(_broker(state, status))][:STRIP_LINES]
    return at_most(min(most, max(STRIP_LINES, len(lines))), lines)


def panel(
    state: ProductState, rate: float, history: Sequence[float | None], now: datetime
) -> Iterator[Content]:
    """The whole status, a fact a line."""
    status = state.status
    yield state_mark(state)
    if beside := since(state, now):
        yield Content.assemble("  ", beside)
    if wrong := trouble(state):
        yield Content()
        yield from wrong
    yield Content()
    if status is None:
        yield _fact("Messages", Content.styled("none yet", MUTED))
        return
    yield _fact("Messages", Content.styled(number(status.messages_received), STRONG))
    yield _fact("Rate", Content.styled(per_second(rate), STRONG if rate else MUTED))
    yield sparkline(history)
    yield _fact("Last", _moment(status.last_message_at, now))
    yield Content()
    yield from _connection(state, status)
    if status.last_disconnected_at:
        yield Content()
        yield _fact("Last ended", _moment(status.last_disconnected_at, now))
        if status.last_disconnect_reason:
            yield said(status.last_disconnect_reason, MUTED)


def _connection(state: ProductState, status: ConnectionStatus) -> Iterator[Content]:
    if state.broker:
        yield _fact("Broker", said(state.broker))
    if status.broker_info:
        yield _fact("Protocol", Content(", ").join(_broker(state, status)[1:]))
    if status.connected:
        ping = "not needed yet" if status.ping_ms is None else f"{status.ping_ms} ms"
        yield _fact("Ping", Content.styled(ping, MUTED if status.ping_ms is None else ""))
    refused = len(status.refused_filters)
    yield _fact(
        "Filters",
        Content.assemble(
            f"{status.subscribed_topics_count} granted",
            (f", {refused} refused", BAD) if refused else "",
        ),
    )
    yield _fact(
        "Enabled",
        Content(f"{state.subscriptions_enabled} of {state.subscriptions_total} subscriptions"),
    )
    if state.actions_pending or state.actions_dead:
        failed = (f"   ✗ {number(state.actions_dead)} failed", BAD) if state.actions_dead else ""
        waiting = f"{number(state.actions_pending)} waiting"
        yield _fact("Actions", Content.assemble(waiting, failed))
    for label, count in (
        ("Unreadable", status.messages_unreadable),
        ("Dropped", status.messages_dropped),
    ):
        if count:
            yield _fact(label, Content.styled(number(count), WARN))
    if status.client_id:
        yield _fact("Client id", Content(plain(status.client_id, MAX_FILTER)))


def _moment(at: datetime | None, now: datetime) -> Content:
    return Content(f"{clock(at, now)} ({age(at, now)})") if at else Content.styled("–", MUTED)


def _fact(label: str, value: Content) -> Content:
    return Content.assemble((f"{label:<{LABEL}}", MUTED), value)


def _broker(state: ProductState, status: ConnectionStatus) -> list[Content]:
    facts = [said(state.broker)] if state.broker else []
    info = status.broker_info
    if info and info.version:
        facts.append(said(f"MQTT {info.version}"))
    if info and info.max_qos is not None:
        facts.append(Content(f"QoS up to {info.max_qos}"))
    return facts
