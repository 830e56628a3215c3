"""How values become text on the screen: inert, bounded, and in one manner everywhere.

What comes from a broker, an orchestrator or a file is hostile until it went through `plain`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from textual.content import Content

MAX_SHOWN = 2_000
"""Characters of one value that are ever shown; the rest is cut with an ellipsis."""

UNSHOWN = "�"
"""Stands for a character that a terminal would obey instead of showing."""

# Emphasis is named by meaning; the style sheet says how each meaning looks.
OK = ".ok"
WARN = ".warn"
BAD = ".bad"
ACCENT = ".accent"
MUTED = ".muted"
STRONG = ".strong"
KEY = ".key"
DISABLED = ".refused"
NAME = ".name"
QUOTED = ".quoted"
LITERAL = ".literal"
EMPHASES = (OK, WARN, BAD, ACCENT, MUTED, STRONG, KEY, DISABLED, NAME, QUOTED, LITERAL)

_LEVELS = "▂▃▄▅▆▇"
"""Not the full block: the pictures of two rows of a table would touch."""

# Zero-width characters that belong to ordinary words and emoji: dropped without a mark.
_JOINERS = dict.fromkeys([0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFE0E, 0xFEFF, 0xFE0F])


def plain(value: object, limit: int = MAX_SHOWN) -> str:
    """`value` as one line that no terminal obeys.

    White space becomes a space; control characters (C0, C1, ESC), bidirectional overrides,
    surrogates and unassigned characters become `UNSHOWN`.
    """
    text = str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_inert, text.translate(_JOINERS)))


def _inert(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() and character not in "\x1c\x1d\x1e\x1f\x85" else UNSHOWN


def said(value: object, style: str = "") -> Content:
    """`value` as inert content, never markup."""
    return Content.styled(plain(value), style) if style else Content(plain(value))


def start_of(text: Content, width: int) -> Content:
    """As much of the start of `text` as fits into `width` columns, with an ellipsis behind it."""
    return text.truncate(width, ellipsis=True)


def middle_of(text: Content, width: int, start: int, end: int) -> Content:
    """As much of `text` as fits into `width` columns: all of it, else without its first `start`
    characters, else without its last `end` ones too. Those tell nothing new."""
    if text.cell_length <= width:
        return text
    dots = Content("…", list(text[:1].spans))
    short = dots + text[start:] if start else text
    if short.cell_length > width and end:
        short = short[:-end] + dots
    return start_of(short, width)


def number(value: int) -> str:
    """`1,247`."""
    return f"{value:,}"


def size(count: int) -> str:
    """`312 B`, `1.2 kB`, `64 kB`, `1.0 MB`: at most six characters up to a gigabyte."""
    for unit, factor in (("MB", 1_000_000), ("kB", 1_000)):
        if count >= factor:
            value = count / factor
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    return f"{count} B"


def per_second(rate: float) -> str:
    """`0/s`, `0.3/s`, `12/s`, `7.2k/s`, `12k/s`: at most six characters."""
    if rate <= 0:
        return "0/s"
    if rate < 9.95:
        return f"{max(rate, 0.1):.1f}/s"
    if rate < 999.5:
        return f"{rate:.0f}/s"
    if rate < 9_950:
        return f"{rate / 1_000:.1f}k/s"
    return f"{rate / 1000:.0f}k/s"


def sparkline(values: Sequence[float | None]) -> Content:
    """A column a value, as high as it is beside the highest; nothing where none is known.

    What is little is still higher than what is nothing.
    """
    peak = max((value for value in values if value), default=0.0)
    columns = "".join(
        " " if value is None else _LEVELS[round(value / peak * 5)] if value else "▁"
        for value in values
    )
    return Content.styled(columns, ACCENT if peak else MUTED)


def age(since: datetime | None, now: datetime) -> str:
    """`now`, `25s`, `4m`, `3h`, `12d`: coarse, so that an idle screen rarely changes."""
    if since is None:
        return "–"
    seconds = int((now - since).total_seconds())
    if seconds < 5:
        return "now"
    if seconds < 60:
        return f"{seconds // 5 * 5}s"
    if seconds < 3_600:
        return f"{seconds // 60}m"
    if seconds < 86_400:
        return f"{seconds // 3_600}h"
    return f"{seconds // 86_400}d"


def ago(since: datetime, now: datetime) -> str:
    """`just now` or `4m ago`."""
    text = age(since, now)
    return "just now" if text == "now" else f"{text} ago"


def clock(moment: datetime, now: datetime) -> str:
    """`moment` in local time: `14:02:11`, with the date where it is not today."""
    local, today = _local(moment), now.astimezone().date()
    if local.date() == today:
        return local.strftime("%H:%M:%S")
    return local.strftime("%Y-%m-%d %H:%M:%S")


def time_of(moment: datetime, now: datetime) -> str:
    """`moment` in local time in eight characters: `14:02:11`, or `24 Nov` where it is not today."""
    local = _local(moment)
    return local.strftime("%H:%M:%S" if local.date() == now.astimezone().date() else "%d %b")


def _local(moment: datetime) -> datetime:
    try:
        return moment.astimezone()
    except OverflowError:  # the first hours of the year 1, which some write for "never"
        return moment


def countdown(until: datetime, now: datetime) -> str:
    """`in 12s`, rounded up; `now` when the time has come."""
    left = until - now
    if left <= timedelta(0):
        return "now"
    seconds = -(-left // timedelta(seconds=1))
    return f"in {seconds}s" if seconds < 120 else f"in {seconds // 60}m"
