"""A form over a model: its fields, their limits and their messages are the model's own."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import ValidationError
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static, TextArea

from cortex_tui.backend import FieldProblem, field_problems
from cortex_tui.models import Model
from cortex_tui.widgets.choice import Choice
from cortex_tui.widgets.field import Field, FieldRow, control_for
from cortex_tui.widgets.lines import Lines
from cortex_tui.widgets.pem_input import READING, PemInput
from cortex_tui.widgets.text import BAD, MUTED, plain
from cortex_tui.wording import worded

ROOMY = 72
"""Columns from which on notes stand beside the fields."""

_NEEDLESS_COMMA = re.compile(r",\s*([\]}])")

M = TypeVar("M", bound=Model)


class Form(Vertical, Generic[M]):
    """Controls for some fields of `model`, checked as they are typed. Enter and the arrows go from
    one to the next, but in a field of several lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_on", "Next field, or done", show=False),
        Binding("down", "app.focus_next", "Next field", show=False),
        Binding("up", "app.focus_previous", "Previous field", show=False),
    ]

    class Edited(Message):
        """A value, or what is wrong with one, is no longer what it was."""

    class Finished(Message):
        """Enter was pressed in the last field."""

    def __init__(self, model: type[M], fields: Sequence[Field], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._model = model
        self._rows = {
            field.name: FieldRow(
                field, control_for(field, model.model_fields[field.name].annotation)
            )
            for field in fields
        }
        self._touched: set[str] = set()
        self._problems: list[FieldProblem] = []
        self._checked: list[Any] = []
        self.draft: M | None = None
        """What the form says, or none while something is wrong with it."""

    def compose(self) -> ComposeResult:
        yield from self._rows.values()
        yield Static(classes="problem", markup=False)
        yield Lines(classes="help")

    def on_resize(self, event: events.Resize) -> None:
        cramped = event.size.width < ROOMY
        self.set_class(cramped, "-cramped")
        for row in self._rows.values():
            row.help_inside(cramped)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Where help has no room beside the fields, that of the focused one stands below all."""
        for row in self._rows.values():
            row.set_class(row.control is event.widget, "-entered")
            if row.control is event.widget:
                help_line = Content.styled(row.field.help, MUTED)
                self.query_one(".help", Lines).show([help_line])

    @on(Input.Submitted)
    def action_go_on(self) -> None:
        """To the next field, or, from the last, to whoever knows what comes then."""
        fields = [row.control for row in self._rows.values() if row.control.focusable]
        if self.screen.focused is fields[-1]:
            self.post_message(self.Finished())
        else:
            self.screen.focus_next()

    def on_descendant_blur(self) -> None:
        for row in self._rows.values():
            row.remove_class("-entered")

    def load(self, values: Mapping[str, Any]) -> None:
        """Take `values` as what is stored; nothing is changed then."""
        self._touched.clear()
        for name, row in self._rows.items():
            row.load(values.get(name, self._default(name)))
        self._check()

    def fill(self, values: Mapping[str, Any]) -> None:
        """Put `values` into their fields as if they were typed: what is stored stays known."""
        for name, value in values.items():
            if name in self._rows:
                self._rows[name].fill(value)
                if isinstance(control := self._rows[name].control, Input) and control.has_focus:
                    control.action_end()  # what is typed goes on from there
        self._take_edits()

    @property
    def values(self) -> dict[str, Any]:
        """What the controls hold, by field."""
        return {name: row.value for name, row in self._rows.items()}

    def edited_since(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """The values that are others than `before`."""
        return {name: value for name, value in self.values.items() if value != before[name]}

    def write(self, name: str, text: str) -> None:
        """Put a text into a field of several lines as if it were typed."""
        control = self._rows[name].control
        assert isinstance(control, TextArea)
        control.text = text

    def _default(self, name: str) -> Any:
        field = self._model.model_fields[name]
        return None if field.is_required() else field.default

    # -- what it says -------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        """What the control of a field holds."""
        return self._rows[name].value

    @property
    def changed(self) -> set[str]:
        """The fields that differ from what was loaded."""
        return {name for name, row in self._rows.items() if row.changed}

    @property
    def problems(self) -> list[FieldProblem]:
        """What is wrong, said or not yet."""
        return self._problems

    def note(self, name: str, text: Content, *, keep: bool = False) -> None:
        """Say something beside a field; where there is no room, only what is to `keep`."""
        self._rows[name].note(text, keep)

    def detail(self, name: str, lines: Sequence[Content]) -> None:
        """Say more about a field while it has the focus."""
        self._rows[name].detail(lines)

    def pem(self, name: str) -> PemInput:
        """The field of certificates or a key."""
        control = self._rows[name].control
        assert isinstance(control, PemInput)
        return control

    def offer(self, names: Iterable[str], *, visible: bool, enabled: bool = True) -> None:
        """Show some fields, or not; one that was changed stays in view."""
        for name in names:
            row = self._rows[name]
            row.display = visible or row.changed
            row.control.disabled = not enabled
            if row.control.has_focus and not (row.display and enabled):
                self.enter()

    async def settle(self) -> None:
        """Wait until files that are named were read."""
        for row in self._rows.values():
            if isinstance(row.control, PemInput):
                await row.control.settle()
        self._take_edits()

    def blame(self, name: str | None, why: str | None) -> None:
        """Say beside a field why its stored value does not do, until it is edited."""
        for row in self._rows.values():
            row.blame(why if row.field.name == name else None)

    def find(self, name: str | None, fault: str | None) -> None:
        """Say beside a field why its value as it stands, stored or not, does not do; with no name,
        what was found is no longer so."""
        for row in self._rows.values():
            row.find(fault if row.field.name == name else None)

    def enter(self) -> None:
        """Go to the first field with a wrong value, else to the one that is blamed; else to the
        first."""
        rows = list(self._rows.values())
        wrong = next((row for row in rows if row.has_class("-wrong")), None)
        blamed = next((row for row in rows if row.has_class("-blamed")), None)
        row = wrong or blamed or rows[0]
        row.control.focus()
        self.call_after_refresh(row.scroll_visible)  # its tab may not be laid out yet

    def complain(self, problems: Iterable[FieldProblem] | None = None) -> None:
        """Say everything that is wrong, or these problems, and go to the first of them."""
        if problems is not None:
            self._problems = list(problems)
        self._touched.update(self._rows)
        self._say()
        if self._problems:
            self.enter()

    # -- checking -----------------------------------------------------------------------------

    @on(Input.Changed)
    @on(Choice.Changed)
    @on(TextArea.Changed)
    def _edited(self, event: Message) -> None:
        event.stop()
        self._take_edits()

    @on(PemInput.Examined)
    def _examined(self, event: PemInput.Examined) -> None:
        event.stop()
        if self._typed() != self._checked:
            self._take_edits()
        else:  # what an orchestrator said of these values still stands
            self.post_message(self.Edited())

    def _take_edits(self) -> None:
        for name, row in self._rows.items():
            if row.changed:
                self._touched.add(name)
            row.mark()
        self._check()

    def _typed(self) -> list[Any]:
        """What all the fields say; equal as long as nothing was edited."""
        return [(row.value, getattr(row.control, "problem", None)) for row in self._rows.values()]

    def _check(self) -> None:
        self._checked = self._typed()
        self.draft, self._problems = None, []
        values: dict[str, Any] = {}
        for name, row in self._rows.items():
            values[name] = row.value
            if isinstance(row.control, PemInput) and row.control.problem:
                self._problems.append(FieldProblem((name,), row.control.problem))
            if row.field.json:
                try:
                    values[name] = json.loads(row.value or "[]")
                except ValueError as error:
                    values[name] = self._default(name)
                    self._problems.append(FieldProblem((name,), _json_problem(error)))
        try:
            draft = self._model.model_validate(values)
        except ValidationError as error:
            unread = {problem.loc for problem in self._problems}
            found = field_problems(error)
            self._problems += [each for each in found if each.loc[:1] not in unread]
        else:
            self.draft = None if self._problems else draft
        self._say()
        self.post_message(self.Edited())

    def _say(self) -> None:
        told: dict[str, list[str]] = {}
        for problem in self._problems:
            name = str(problem.loc[0]) if problem.loc else ""
            name = name if name in self._rows else ""
            if problem.message == READING:
                continue  # it is not known yet whether there is one
            if name in self._touched or (not name and self._touched):
                item = self._rows[name].field.item if name else ""
                told.setdefault(name, []).append(in_words(problem, item))
        said = {name: _first_of(problems) for name, problems in told.items()}
        for name, row in self._rows.items():
            row.complain(said.get(name))
        below = self.query_children(".problem").first(Static)
        below.update(Content.styled(f"✗ {plain(said[''])}", BAD) if "" in said else Content())
        below.display = "" in said


def in_words(problem: FieldProblem, item: str = "") -> str:
    """What a problem says to a person; pydantic's own kinds in our words. `item` is what one value
    of the field is called, where it is a list."""
    context = problem.context or {}
    where = [str(part) for part in problem.loc[1:]]
    inside = ".".join(where)
    if item and where and isinstance(problem.loc[1], int):
        inside = ", ".join(filter(None, (f"{item} {problem.loc[1] + 1}", ".".join(where[1:]))))
    match problem.kind:
        case "int_parsing" | "int_type":
            text = "give a whole number"
        case "less_than_equal":
            text = f"give at most {context['le']:,}"
        case "greater_than_equal":
            text = f"give at least {context['ge']:,}"
        case "string_too_long":
            text = f"give at most {context['max_length']:,} characters"
        case "missing":
            text = "is required"
        case "tuple_type":
            text = "a list is expected: put [ ] around it"
        case "model_type" if item:
            text = f'an {item} is an object, such as {{"type": "record"}}'
        case "dict_type":
            text = 'an object is expected, such as {"id": 7}'
        case "string_type":
            text = "give a text, in quotes"
        case _:
            text = worded(problem.message)
    return f"{inside}: {text}" if inside else text


def _first_of(problems: Sequence[str]) -> str:
    """The first, and how many there are besides."""
    more = len(problems) - 1
    return f"{problems[0]} (and {more:,} more)" if more else problems[0]


def _json_problem(error: ValueError) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return "not valid JSON"
    cure = error.msg
    for comma in _NEEDLESS_COMMA.finditer(error.doc):
        if comma.start() <= error.pos < comma.end():  # which of it depends on Python's version
            cure = f"remove the comma before {comma[1]}"
    return f"not valid JSON: line {error.lineno}, column {error.colno}: {cure}"
