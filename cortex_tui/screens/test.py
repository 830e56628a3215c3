"""The connection test: tries the values it is given, beside the running connection."""

from collections.abc import Iterator, Mapping

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Static

from cortex_tui.backend import BackendError
from cortex_tui.commands import Scope
from cortex_tui.diagnosis import Diagnosis, Outcome, StageResult
from cortex_tui.models import ConnectionTest, ConnectionTestResult
from cortex_tui.screens.base import Dialog
from cortex_tui.widgets.bars import KeyBar
from cortex_tui.widgets.text import BAD, MUTED, OK, STRONG, WARN, said

MARKS = {
    Outcome.OK: ("✓", OK),
    Outcome.FAILED: ("✗", BAD),
    Outcome.SKIPPED: ("·", MUTED),
}


class TestDialog(Dialog[None]):
    """Runs a test and shows how it went; closing it gives the test up."""

    __test__ = False  # for pytest: this tests brokers

    def __init__(self, product_id: int, test: ConnectionTest) -> None:
        super().__init__()
        self._product_id = product_id
        self._test = test

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -small"):
            yield Static(said(f"Test of {self._test.address}", STRONG), classes="dialog-title")
            with VerticalScroll(classes="dialog-body"):
                yield Static(id="result")
            yield KeyBar(self.key_line)

    def on_mount(self) -> None:
        self.begin(self.do_again())

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.DIALOG: self}

    async def do_again(self) -> None:
        """Run the test, and show its result."""
        user = self._test.username
        how = [f"as {user}" if user else "without a user name", "TLS" if self._test.use_tls else ""]
        self._show(
            said(f"Connecting {', '.join(filter(None, how))}…"),
            said("The running connection is not disturbed.", MUTED),
        )
        try:
            result = await self.backend.test_connection(self._product_id, self._test)
        except BackendError as error:
            self._show(said(f"✗ {error.message}", BAD), said(error.hint))
        else:
            self._show(*_told(result))

    def _show(self, *lines: Content) -> None:
        self.query_one("#result", Static).update(Content("\n").join(lines))

    def do_close(self) -> None:
        self.dismiss()


def _told(result: ConnectionTestResult) -> Iterator[Content]:
    if result.connected:
        took = f" in {result.latency_ms} ms" if result.latency_ms is not None else ""
        yield said(f"✓ Connected{took}", OK)
    else:
        yield said(f"✗ {result.error or 'Not connected'}", BAD)
    yield said(result.details)
    if isinstance(result, Diagnosis):
        for warning in result.warnings:
            yield said(f"⚠ {warning}", WARN)
        yield Content()
        yield from map(_rung, result.stages)


def _rung(stage: StageResult) -> Content:
    mark, style = MARKS[stage.outcome]
    took = f"{stage.ms} ms" if stage.ms is not None else ""
    return Content.assemble(
        (f"{mark} {stage.stage.value:<11}", style), (f"{took:>8}  ", MUTED), said(stage.seen)
    )
