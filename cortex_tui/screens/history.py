"""The history of a configuration: who changed what and when, and a way back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Static

from cortex_tui.commands import Scope
from cortex_tui.differences import Difference, differences
from cortex_tui.models import ConfigVersion
from cortex_tui.screens.base import Dialog
from cortex_tui.widgets.bars import KeyBar
from cortex_tui.widgets.lines import Lines
from cortex_tui.widgets.table import Column, Table
from cortex_tui.widgets.text import ACCENT, MUTED, STRONG, age, clock, said
from cortex_tui.wording import label_of

SHOWN = 6
"""Differences that are shown of one version."""


class HistoryDialog(Dialog[ConfigVersion | None]):
    """The versions of a configuration, the newest first; the one that is chosen, or none."""

    def __init__(
        self, title: str, versions: Sequence[ConfigVersion], now: Callable[[], datetime]
    ) -> None:
        """`versions` are at least one, the newest first."""
        super().__init__()
        self._title = title
        self._current = versions[0]
        self._versions = versions
        self._now = now
        self._table: Table[ConfigVersion] = Table(
            [
                Column(
                    "version",
                    "VERSION",
                    self._number,
                    8,
                    sort=lambda each: each.version,
                    falling=True,
                ),
                Column("when", "WHEN", self._when, 22),
                Column("who", "WHO", lambda each: said(each.saved_by or "–", MUTED), 12, grow=1),
                Column("what", "WHAT", self._what, 16, grow=2),
            ],
            key=lambda each: each.version,
            text=lambda each: str(each.version),
            sort="version",
        )

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -history"):
            yield Static(said(f"History of {self._title}", STRONG), classes="dialog-title")
            yield self._table
            yield Lines(id="differences")
            yield KeyBar(self.key_line)

    def on_mount(self) -> None:
        self._table.replace(self._versions)
        self._table.focus()

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.DIALOG: self}

    def _number(self, each: ConfigVersion) -> Content:
        now = (" now", ACCENT) if each is self._current else ""
        return Content.assemble(str(each.version), now)

    def _when(self, each: ConfigVersion) -> Content:
        now = self._now()
        return Content.assemble(clock(each.saved_at, now), (f" {age(each.saved_at, now)}", MUTED))

    def _what(self, each: ConfigVersion) -> Content:
        if each is self._versions[-1]:
            first = "first" if each.version == 1 else "the oldest that is kept"
            return Content.styled(first, MUTED)
        return said(", ".join(map(label_of, each.changed)) or "nothing")

    @on(Table.Moved)
    def _show_differences(self) -> None:
        each = self._table.selected
        lines: list[Content] = []
        if each is not None and each is not self._current:
            found = differences(self._current, each)
            lines = [Content.styled("Loading it would change:", MUTED), *changes(found[:SHOWN])]
            if len(found) > SHOWN:
                lines.append(Content.styled(f"and {len(found) - SHOWN} more", MUTED))
            if not found:
                lines = [Content.styled("It is as what is saved now, but for secrets.", MUTED)]
        self.query_one("#differences", Lines).show(lines)
        self.refresh_bindings()

    def refusal(self, command: str) -> str | None:
        """Why a command has nothing to do."""
        if command == "load" and self._table.selected is self._current:
            return "This is what is saved now."
        return None

    def copies(self) -> list[tuple[str, str]]:
        """What can be copied of the version under the cursor."""
        each = self._table.selected
        return [("version", each.model_dump_json(indent=2))] if each else []

    @on(Table.Chosen)
    def do_load(self) -> None:
        self.dismiss(self._table.selected)

    def do_close(self) -> None:
        self.dismiss(None)


def changes(found: Sequence[Difference]) -> list[Content]:
    """`Port  1883 → 8883`, a field a line."""
    labels = [label_of(each.field) for each in found]
    width = max(map(len, labels), default=0)
    return [
        Content.assemble(
            (f"  {label:<{width}}  ", MUTED),
            said(each.one),
            (" → ", MUTED),
            said(each.other, ACCENT),
        )
        for label, each in zip(labels, found, strict=True)
    ]
