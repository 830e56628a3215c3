"""The connection test: tries the values it is given, beside the running connection."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Static

from cortex_tui.backend import BackendError
from cortex_tui.commands import Scope, bindings
from cortex_tui.diagnosis import (
    Certificate,
    Diagnosis,
    FilterGrant,
    Outcome,
    Stage,
    StageResult,
    as_text,
    described,
    granted,
)
from cortex_tui.models import ConnectionTest, ConnectionTestResult, Model
from cortex_tui.screens.base import Dialog
from cortex_tui.screens.dialogs import FormDialog, Option, Question
from cortex_tui.topics import matched_by
from cortex_tui.values import TopicName
from cortex_tui.widgets.bars import KeyBar
from cortex_tui.widgets.certificate import certificate_lines, halves
from cortex_tui.widgets.field import Field
from cortex_tui.widgets.hanging import Hanging, Line, line
from cortex_tui.widgets.text import ACCENT, BAD, MUTED, OK, STRONG, WARN, plain, said
from cortex_tui.wording import worded, worded_result, worded_stage

MARKS = {
    Outcome.OK: ("✓", OK),
    Outcome.FAILED: ("✗", BAD),
    Outcome.SKIPPED: ("·", MUTED),
}
RUNNING = ("…", ACCENT)
WAITING = (" ", MUTED)

MAX_USER = 60
"""Characters of a user name in the title."""
BESIDE = "Connecting beside the running connection, which is not disturbed."
ALONE = "Connecting, for a test only."


class TestDialog(Dialog[Certificate | None]):
    """Runs a test and shows each stage as it ends; closing it gives the test up.

    Its result is a certificate that the person decided to trust.
    """

    __test__ = False  # for pytest: this tests brokers

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.TEST)]
    ALSO_SHOWN = frozenset({"app.copy"})

    def __init__(self, product_id: int, test: ConnectionTest, why: str | None = None) -> None:
        """`why` says what is to be known of this test while it runs; by default, what it means for
        the connection of the product."""
        super().__init__()
        self._product_id = product_id
        self._test = test
        self._why = why
        self._stages: dict[Stage, StageResult] = {}
        self._result: ConnectionTestResult | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -test"):
            yield Static(self._title(), classes="dialog-title")
            yield Hanging(id="verdict")
            with VerticalScroll(classes="dialog-body"):
                yield Hanging(id="ladder")
                yield Hanging(id="found")
            yield KeyBar(self.key_line)

    def on_mount(self) -> None:
        self.do_again()

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.TEST: self, Scope.DIALOG: self}

    def _title(self) -> Content:
        user = self._test.username
        how = f"as {plain(user, MAX_USER)}" if user else "without a user name"
        tls = ", with TLS" if self._test.use_tls else ""
        return Content.assemble(
            said(f"Test of {self._test.address}", STRONG), said(f"  {how}{tls}", MUTED)
        )

    # -- running ------------------------------------------------------------------------------

    def do_again(self) -> None:
        """Run the test, anew where it runs already."""
        state = self.cortex.watched.states.get(self._product_id)
        runs = state is not None and state.status is not None and state.status.connected
        self._start(self._test, self._why or (BESIDE if runs else ALONE))

    def _start(self, test: ConnectionTest, why: str) -> None:
        self.run_worker(self._told(self._run(test, why)), group="test", exclusive=True)

    async def _run(self, test: ConnectionTest, why: str) -> None:
        self._result = None
        self._stages.clear()
        self._say(line("… ", why, MUTED))
        self._show_ladder()
        self.query_one("#found", Hanging).show([])
        self.refresh_bindings()
        try:
            result = await self.backend.test_connection(self._product_id, test, on_stage=self._take)
        except BackendError as error:
            self._say(line("✗ ", worded(error.message), BAD))
            self.query_one("#ladder", Hanging).show([line("  ", worded(error.hint))])
        else:
            self._result = worded_result(result)
            self._show_result(self._result)
        self.refresh_bindings()

    def _take(self, told: StageResult) -> None:
        """One stage has ended."""
        if self.is_mounted and self._result is None:
            self._stages[told.stage] = worded_stage(told)
            self._show_ladder()

    # -- showing ------------------------------------------------------------------------------

    def _say(self, verdict: Line) -> None:
        self.query_one("#verdict", Hanging).show([verdict])

    def _show_ladder(self) -> None:
        self.query_one("#ladder", Hanging).show(_ladder(self._stages))

    def _show_result(self, result: ConnectionTestResult) -> None:
        self._say(_verdict(result))
        found: list[Line] = []
        if isinstance(result, Diagnosis) and result.stages:
            self._stages = {told.stage: told for told in result.stages}
            self._show_ladder()
            found = list(_found(result))
        else:  # an orchestrator that knows only the reference
            self.query_one("#ladder", Hanging).show([line("  ", result.details)])
        self.query_one("#found", Hanging).show(found)

    # -- commands -----------------------------------------------------------------------------

    def refusal(self, command: str) -> str | None:
        """Why a command has nothing to do."""
        if command == "trust" and self._untrusted is None:
            return "Trust is not what is missing: no unknown issuer was met."
        if command == "round_trip" and self._result is not None and not self._result.connected:
            return "The test did not get as far as that."
        return None

    @property
    def result(self) -> ConnectionTestResult | None:
        """How the test went; none while it runs."""
        return self._result

    @property
    def _untrusted(self) -> Certificate | None:
        return self._result.untrusted if isinstance(self._result, Diagnosis) else None

    def copyable(self) -> list[tuple[str, str]]:
        """The result as text, for a ticket."""
        return [("result", as_text(self._result, self._heading()))] if self._result else []

    def _heading(self) -> str:
        now = datetime.now(UTC)
        return f"{self._title().plain}, {now:%Y-%m-%d %H:%M} UTC"

    async def do_trust(self) -> None:
        certificate = self._untrusted
        assert certificate is not None
        if await self.app.push_screen_wait(trust(certificate)):
            self.dismiss(certificate)

    async def do_round_trip(self) -> None:
        confirmed: list[RoundTripTopic] = []

        async def publish(asked: RoundTripTopic, _: set[str]) -> None:
            confirmed.append(asked)

        await self.app.push_screen_wait(RoundTripDialog(self._test.filters, publish))
        for asked in confirmed:
            # This once: another run publishes nothing unless it is asked for again.
            update = {"round_trip_topic": asked.round_trip_topic}
            self._start(
                self._test.model_copy(update=update), f"Publishing on {asked.round_trip_topic}…"
            )

    def do_close(self) -> None:
        self.dismiss(None)


# -- what is asked ----------------------------------------------------------------------------


def trust(certificate: Certificate) -> Question[bool]:
    """Whether to trust the issuer of a broker's certificate from now on."""
    authority = certificate.is_authority
    name, _, validity, fingerprint = described(certificate)
    first, second = halves(fingerprint.removeprefix("SHA-256 "))
    return Question(
        f"Trust this {'certificate authority' if authority else 'certificate, and no other'}?",
        [
            said(name),
            said(validity),
            Content(),
            said("SHA-256", MUTED),
            said(f"  {first}", STRONG),
            said(f"  {second}", STRONG),
            Content(),
            "Ask whoever runs the broker for this fingerprint, and compare it: somebody in between "
            "could show a certificate of their own.",
            "It is filled in as CA certificate; nothing is saved yet.",
        ],
        (Option("The same: trust it", "y", True), Option("Do not trust", "n", False)),
    )


class RoundTripTopic(Model):
    """Where to publish."""

    round_trip_topic: TopicName


class RoundTripDialog(FormDialog[RoundTripTopic]):
    """Asks for the topic of a round trip, and says what publishing there means."""

    def __init__(
        self,
        filters: Sequence[str],
        publish: Callable[[RoundTripTopic, set[str]], Awaitable[object]],
    ) -> None:
        suggested = {"round_trip_topic": matched_by(filters[0])} if filters else {}
        fields = (Field("round_trip_topic", "Topic", "one that the broker delivers to you"),)
        super().__init__("Round trip", RoundTripTopic, fields, suggested, publish, accept="Publish")

    def compose_more(self) -> ComposeResult:
        key = self.cortex.key_of("dialog.accept")
        yield Static(said(f"{key} {_PUBLISHES}"), id="publishes")


_PUBLISHES = (
    "publishes a short text on this topic with QoS 0, 1 and 2, not retained, and waits for it to "
    "come back. Whoever listens there gets it too, a product that runs among them."
)


# -- how it reads -----------------------------------------------------------------------------


def _verdict(result: ConnectionTestResult) -> Line:
    if result.status == "success":
        took = f" in {result.latency_ms} ms" if result.latency_ms is not None else ""
        return line("✓ ", f"Connected{took}", OK)
    stages = result.stages if isinstance(result, Diagnosis) else ()
    failed = (f"{told.stage}: {told.cause}" for told in stages if told.cause)
    return line("✗ ", next(failed, result.error or "Not connected"), BAD)


def _ladder(stages: Mapping[Stage, StageResult]) -> Iterator[Line]:
    """A rung for each stage; the first that was not told yet is the one that runs."""
    running = next((stage for stage in Stage if stage not in stages), None)
    for stage in Stage:
        told = stages.get(stage)
        if told is None:
            mark, style = RUNNING if stage is running else WAITING
            yield said(f"{mark} {stage.value}", style), Content()
            continue
        mark, style = MARKS[told.outcome]
        took = f"{told.ms} ms" if told.ms is not None else ""
        rung = Content.assemble((f"{mark} {stage.value:<11}", style), (f"{took:>8}  ", MUTED))
        yield rung, said(told.seen, MUTED if told.outcome is Outcome.SKIPPED else "")
        if told.cause:
            yield line("    ", told.cause, BAD)
        if told.advice:
            yield said("  → ", ACCENT), said(told.advice)


def _found(result: Diagnosis) -> Iterator[Line]:
    for warning in result.warnings:
        yield line("⚠ ", warning, WARN)
    if result.filters:
        yield from _heading("Filters, and the highest QoS the broker grants")
        yield from map(_filter, result.filters)
    if result.round_trips:
        yield from _heading("Round trip")
        for trip in result.round_trips:
            back = trip.ms is not None
            answer = f"back in {trip.ms} ms" if back else "did not come back"
            mark, style = ("✓", OK) if back else ("✗", BAD)
            yield said(f"{mark} QoS {trip.qos}  ", style), said(answer)
    if result.grants:
        yield from _heading("What the broker grants")
        for name, value in granted(result.grants):
            yield said(f"  {name:<24}", MUTED), said(value)
    if result.certificates:
        yield from _heading("Certificates it presents")
        for certificate in result.certificates:
            yield from certificate_lines(certificate)


def _heading(text: str) -> Iterator[Line]:
    yield Content(), Content()
    yield said(text, STRONG), Content()


def _filter(grant: FilterGrant) -> Line:
    if grant.granted_qos is None:
        refused = Content.assemble(said(grant.filter), ("  ", ""), said(grant.reason or "", BAD))
        return said("✗ refused      ", BAD), refused
    return said(f"✓ up to QoS {grant.granted_qos}  ", OK), said(grant.filter)
