"""The columns of the table of products."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from textual.content import Content

from cortex_tui.widgets.state import state_mark, urgency_of
from cortex_tui.widgets.status import failed_actions, trouble
from cortex_tui.widgets.table import Column
from cortex_tui.widgets.text import MUTED, age, number, per_second, said, sparkline

if TYPE_CHECKING:
    from cortex_tui.app import CortexApp
    from cortex_tui.states import Listed

TREND = 12
"""Points of the little picture of a rate: a minute."""


def product_columns(app: CortexApp) -> list[Column[Listed]]:
    """All of them; a narrow table leaves those of the highest rank out."""

    def rate_of(row: Listed) -> float:
        return app.watched.rate(row.product.id)

    def rate(row: Listed) -> Content:
        return _quiet(per_second(rate_of(row)), rate_of(row))

    def trend(row: Listed) -> Content:
        return sparkline(app.watched.rates(row.product.id, TREND))

    def last(row: Listed) -> Content:
        return _quiet(age(_last_at(row), app.now()), _last_at(row))

    def by_last(row: Listed) -> float:
        at = _last_at(row)
        return at.timestamp() if at else 0.0

    return [
        Column("state", "STATE", state_mark, 16, sort=_by_urgency),
        Column("name", "NAME", _name, 18, grow=2, sort=_by_name),
        Column("id", "ID", _id, 4, right=True, sort=lambda row: row.product.id, rank=3),
        Column("broker", "BROKER", _broker, 20, grow=2, sort=lambda row: row.broker or "", rank=5),
        Column("subs", "SUBS", _subs, 5, right=True, rank=1),
        Column("messages", "MESSAGES", _messages, 10, right=True, sort=_received, falling=True),
        Column("trend", "LAST MINUTE", trend, TREND, rank=4),
        Column("rate", "RATE", rate, 6, right=True, sort=rate_of, falling=True),
        Column("last", "LAST", last, 5, right=True, sort=by_last, falling=True, rank=2),
        Column("error", "ERROR", _error, 24, grow=3, rank=6),
    ]


def _quiet(text: str, value: object) -> Content:
    return Content.styled(text, "" if value else MUTED)


def _by_urgency(row: Listed) -> tuple[float, tuple[str, int]]:
    return (urgency_of(row), _by_name(row))


def _name(row: Listed) -> Content:
    return said(row.product.name)


def _by_name(row: Listed) -> tuple[str, int]:
    return (row.product.name.casefold(), row.product.id)


def _id(row: Listed) -> Content:
    return Content.styled(str(row.product.id), MUTED)


def _broker(row: Listed) -> Content:
    return said(row.broker or "–", MUTED)


def _subs(row: Listed) -> Content:
    return _quiet(f"{row.subscriptions_enabled}/{row.subscriptions_total}", row.subscriptions_total)


def _received(row: Listed) -> int:
    return row.status.messages_received if row.status else 0


def _messages(row: Listed) -> Content:
    return _quiet(number(_received(row)), _received(row))


def _last_at(row: Listed) -> datetime | None:
    return row.status.last_message_at if row.status else None


def _error(row: Listed) -> Content:
    wrong = trouble(row) if row.status or row.problem else []
    if row.actions_dead:
        wrong.append(failed_actions(row.actions_dead))
    return next(iter(wrong), Content())
