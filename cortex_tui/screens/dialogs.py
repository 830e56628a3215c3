"""Questions, and small forms that stand above the page."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Button, Static

from cortex_tui.backend import BackendError, Conflict, FieldProblem, Invalid
from cortex_tui.commands import Command, Scope
from cortex_tui.models import Model
from cortex_tui.screens.base import Dialog
from cortex_tui.typeahead import Settled
from cortex_tui.widgets.bars import KeyBar
from cortex_tui.widgets.field import Field
from cortex_tui.widgets.form import Form
from cortex_tui.widgets.lines import Lines
from cortex_tui.widgets.reader import Reader
from cortex_tui.widgets.text import BAD, STRONG, said

Answer = TypeVar("Answer")
M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Option(Generic[Answer]):
    """One answer to a question: the button, its key, and what it gives."""

    label: str
    key: str
    answer: Answer
    danger: bool = False


class Question(Dialog[Answer | None], Generic[Answer]):
    """A question with a few answers; Esc gives none. The last answer is the safe one, by `n`. A
    dangerous one is given by a key that was pressed when the question was there: not by one that
    was typed ahead, or pasted."""

    def __init__(
        self, title: str, lines: Sequence[str | Content], options: Sequence[Option[Answer]]
    ) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._options = options
        self._shown_at = math.inf

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -small"):
            yield Static(said(self._title, STRONG), classes="dialog-title")
            body = [line if isinstance(line, Content) else said(line) for line in self._lines]
            if body:
                yield Static(Content("\n").join(body), classes="dialog-body")
            with Horizontal(classes="buttons"):
                for index, option in enumerate(self._options):
                    yield Button(
                        Content(f"{option.label} ({option.key})"),
                        variant="error" if option.danger else "default",
                        id=f"option-{index}",
                        compact=True,
                    )

    def on_mount(self) -> None:
        self.query(Button).last().focus()
        self._shown_at = time.monotonic()

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.DIALOG: self}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # The keys are those of the answers.
        return parameters != ("app.copy",) and super().check_action(action, parameters)

    def on_key(self, event: events.Key) -> None:
        ahead = event.time < self._shown_at
        if ahead and event.key in ("left", "right", "tab", "shift+tab"):
            event.stop()  # Enter behind it would give another answer than the safe one
            return
        if event.key in ("left", "right"):
            self.focus_next() if event.key == "right" else self.focus_previous()
        for option in self._options:
            if event.character == option.key:
                event.stop()
                if not (ahead and option.danger):
                    self.dismiss(option.answer)
                return

    @on(Button.Pressed)
    def _chosen(self, event: Button.Pressed) -> None:
        index = int(str(event.button.id).removeprefix("option-"))
        self.dismiss(self._options[index].answer)

    def do_close(self) -> None:
        self.dismiss(None)


def deletion(what: str, *lines: str) -> Question[bool]:
    """Whether to delete something; says what goes with it."""
    options = (Option("Delete", "y", True, danger=True), Option("Keep", "n", False))
    return Question(f"Delete {what}?", [*lines, "This cannot be undone."], options)


class ReadingDialog(Dialog[Answer], Generic[Answer]):
    """A long text to read, under a title; `about` is a line between them, for those that use it."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self.about = Lines()
        self.reader = Reader()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -reading"):
            yield Static(said(self._title, STRONG), classes="dialog-title")
            yield self.about
            yield self.reader
            yield KeyBar(self.key_line)

    def on_mount(self) -> None:
        self.reader.focus()


class FormDialog(Dialog[None], Generic[M]):
    """A form that is saved by `save` and then closes; what `save` raises is said in it."""

    AUTO_FOCUS = ""  # not before there is a value to select

    def __init__(
        self,
        title: str,
        model: type[M],
        fields: Sequence[Field],
        values: Mapping[str, Any],
        save: Callable[[M, set[str]], Awaitable[object]],
        *,
        accept: str = "Save",
    ) -> None:
        """`save` is given the model and the names of the fields that were changed; `accept` is
        what the key line calls that."""
        super().__init__()
        self._accept = accept
        self._title = title
        self._values = values
        self._save = save
        self.settled = True
        """Nothing is being saved: what is typed meanwhile waits for what comes of that."""
        self.form: Form[M] = Form(model, fields)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(said(self._title, STRONG), classes="dialog-title")
            with VerticalScroll(can_focus=False, classes="dialog-body"):
                yield self.form
                yield from self.compose_more()
            yield Static(classes="problem")
            yield KeyBar(self.key_line)

    def label_of(self, command: Command) -> str:
        return self._accept if command.name == "accept" else super().label_of(command)

    def compose_more(self) -> ComposeResult:
        """What goes below the form."""
        yield from ()

    def on_mount(self) -> None:
        self.form.load(self._values)
        self.form.enter()

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        return {Scope.DIALOG: self}

    def refusal(self, command: str) -> str | None:
        """Why it can neither be saved nor closed now."""
        if command in ("accept", "close") and not self.settled:
            return "It is being saved."
        return None

    @on(Form.Finished)
    def _finished(self) -> None:
        self.action_command("dialog.accept")

    async def do_accept(self) -> None:
        draft = self.form.draft
        if draft is None:
            self.form.complain()
        elif self.settled:
            self.settled = False
            await self._accept_draft(draft)
            self.settled = True
            self.post_message(Settled())

    async def _accept_draft(self, draft: M) -> None:
        self._say_below("")
        try:
            await self._save(draft, self.form.changed)
        except Invalid as error:
            self.form.complain(error.problems)
        except BackendError as error:
            if isinstance(error, Conflict) and "name" in self.form.values:
                self.form.complain([FieldProblem(("name",), error.text)])  # it is taken
            else:
                self._say_below(error.text)
        else:
            self.dismiss()

    def _say_below(self, problem: str) -> None:
        """Say what belongs to no field, in view whatever there is above."""
        below = self.query_one(".dialog > .problem", Static)
        below.update(said(f"✗ {problem}", BAD))
        below.display = bool(problem)
        self.query_one(".dialog").set_class(bool(problem), "-refused")

    async def do_close(self) -> None:
        if await self.may_leave():
            self.dismiss()

    async def may_leave(self) -> bool:
        if not self.form.changed:
            return True
        question: Question[bool] = Question(
            "Discard what you typed?",
            [],
            (Option("Discard", "d", True, danger=True), Option("Stay", "n", False)),
        )
        answer = await self.app.push_screen_wait(question)
        return bool(answer)
