"""One field of a form: its label, its control, and what is said of its value."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static, TextArea

from cortex_tui.widgets.choice import ON_OFF, Choice, Options
from cortex_tui.widgets.line_input import LineInput
from cortex_tui.widgets.lines import Lines
from cortex_tui.widgets.lines_input import LinesInput
from cortex_tui.widgets.pem_input import PemInput
from cortex_tui.widgets.text import ACCENT, BAD, MUTED, plain
from cortex_tui.wording import worded

Control = Input | Choice | TextArea


@dataclass(frozen=True)
class Field:
    """How one field of a model is asked for."""

    name: str
    label: str
    help: str = ""
    """A few words beside the control; a problem goes below it."""
    options: Options | None = None
    """The values to choose from; a bool has its own."""
    secret: bool = False
    json: bool = False
    """Several lines of JSON."""
    pem: bool = False
    """Certificates, or a key where it is `secret`."""
    lines: bool = False
    """Several lines of any text."""
    item: str = ""
    """What one of its values is called, where they are a list."""
    apart: bool = False
    """An empty line above it: another matter begins."""


class FieldRow(Vertical):
    """A label, a control, a note beside it and a problem below it."""

    def __init__(self, field: Field, control: Control) -> None:
        super().__init__()
        self.set_class(field.json or field.lines, "-tall")
        self.set_class(field.apart, "-apart")
        self.field = field
        self.control = control
        self.loaded: Any = self.value  # nothing is changed before there is a stored value
        self._problem: str | None = None
        self._told: str | None = None
        """What is said below the control."""
        self._blame: str | None = None
        self._fault: tuple[str, Any] | None = None
        """What was found wrong, with the value that was in the field then."""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Lines(classes="label")
            yield self.control
            yield Lines(classes="beside")
        yield Lines(classes="below")
        yield Lines(classes="details")
        yield Static(classes="problem", markup=False)

    def on_mount(self) -> None:
        self.mark()
        self.note(Content())

    @property
    def value(self) -> Any:
        """What the control holds."""
        control = self.control
        return control.text if isinstance(control, TextArea | PemInput) else control.value

    @property
    def changed(self) -> bool:
        """Whether that is another value than the one that was loaded."""
        return bool(self.value != self.loaded)

    def load(self, value: Any) -> None:
        """Put a stored value into the control."""
        self._fault = None
        self.fill(value)
        self.loaded = self.value
        self.mark()

    def fill(self, value: Any) -> None:
        """Put a value into the control, as if it were typed."""
        if isinstance(self.control, TextArea):
            self.control.text = _inert_json(value) if self.field.json and value else value or ""
        elif isinstance(self.control, PemInput):
            self.control.hold(value)
        elif isinstance(self.control, Choice):
            self.control.value = value
        else:
            self.control.value = "" if value is None else plain(value)

    def mark(self) -> None:
        """Show whether the field was changed."""
        mark = "• " if self.changed else "  "
        self.query_one(".label", Lines).show([Content.assemble((mark, ACCENT), self.field.label)])
        self._show_problem()

    def note(self, text: Content, keep: bool = False) -> None:
        """Show a note, or the help where there is none. One to `keep` goes below the control where
        there is no room beside it; others are then left out."""
        self.query_one(".beside", Lines).show([text or Content.styled(self.field.help, MUTED)])
        self.query_one(".below", Lines).show([text])
        self.set_class(keep, "-noted")

    def help_inside(self, inside: bool) -> None:
        """Show the help in the control while that is empty, where there is no room beside it."""
        if isinstance(self.control, LineInput) and not isinstance(self.control, PemInput):
            self.control.placeholder = self.field.help if inside else ""

    def blame(self, why: str | None) -> None:
        """Say why the stored value does not do, until it is edited."""
        self._blame = why
        self._show_problem()

    def find(self, fault: str | None) -> None:
        """Say why the value as it stands, stored or not, does not do, until it is edited."""
        self._fault = (fault, self.value) if fault else None
        self._show_problem()

    @property
    def _wrong(self) -> str | None:
        """What is known to be wrong with the value as it stands."""
        if self._fault and self._fault[1] == self.value:
            return self._fault[0]
        return None if self.changed else self._blame

    def detail(self, lines: Sequence[Content]) -> None:
        """Show more about the value while the field has the focus."""
        self.query_one(".details", Lines).show(lines)

    def complain(self, problem: str | None) -> None:
        """Show what is wrong with the value, or that nothing is."""
        self._problem = problem
        self.set_class(problem is not None, "-wrong")
        self._show_problem()

    def _show_problem(self) -> None:
        wrong = self._wrong
        self.set_class(wrong is not None, "-blamed")
        told = self._problem or (worded(wrong) if wrong else None)
        if told != self._told:
            self._told = told
            line = self.query_one(".problem", Static)
            line.update(Content.styled(f"✗ {plain(told)}", BAD) if told else Content())
            line.display = told is not None


def control_for(field: Field, kind: object) -> Control:
    """What asks for a field of a model that is of a `kind`."""
    if field.json or field.lines:
        return LinesInput()
    if field.pem:
        return PemInput(key=field.secret)
    options = ON_OFF if kind is bool else field.options
    if options:
        return Choice(options)
    return LineInput(password=field.secret)


def _inert_json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(
        character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1]
        for character in text
    )
