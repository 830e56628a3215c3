"""What became of the events of one subscription, in a few lines."""

from datetime import datetime

from textual.content import Content

from cortex_tui.models import Subscription
from cortex_tui.widgets.text import BAD, MUTED, STRONG, WARN, ago, number, per_second, said

LINES = 4


def counters(row: Subscription, now: datetime, *, beyond: bool, error_key: str) -> list[Content]:
    """The counters of a subscription; `beyond` those that only the reference has. `error_key`
    shows the event that met the last error."""
    stats = row.stats
    if not beyond:
        return [
            _counted("received", stats.messages_received),
            _join(
                _counted("actions executed", stats.actions_executed),
                _counted("failed", stats.actions_failed, BAD),
            ),
        ]
    lines = [
        _join(
            _counted("received", stats.messages_received),
            _rate(stats.rate_1m, "over 1 minute"),
            _rate(stats.rate_5m, "over 5 minutes"),
        ),
        _join(
            _counted("matched", stats.matched),
            _counted("condition false", stats.condition_false),
            _counted("evaluation failed", stats.evaluation_failed, BAD),
        ),
        _join(
            _counted("executed", stats.actions_executed),
            _counted("attempts failed", stats.attempts_failed, WARN),
            _counted("given up", stats.actions_failed, BAD),
            _counted("dead letter" if stats.dead == 1 else "dead letters", stats.dead, BAD),
        ),
    ]
    if stats.last_error and stats.last_error_at:
        kept = stats.last_error_event_id is not None
        way = (f"   {error_key} shows its event", MUTED) if kept else ""
        when = f"✗ {ago(stats.last_error_at, now)}"
        lines.append(Content.assemble((when, BAD), way, ("   ", ""), said(stats.last_error, BAD)))
    return lines


def _counted(what: str, count: int, style: str = STRONG) -> Content:
    return Content.assemble((number(count), style if count else MUTED), (f" {what}", MUTED))


def _rate(rate: float, over: str) -> Content:
    return Content.assemble((per_second(rate), STRONG if rate else MUTED), (f" {over}", MUTED))


def _join(*parts: Content) -> Content:
    return Content("   ").join(parts)
