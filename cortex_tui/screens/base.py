"""What every screen shares: commands that are carried out or say why not, and live states."""

from collections.abc import Collection, Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.css.query import QueryError
from textual.dom import DOMError, DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from cortex_tui.backend import Backend, BackendError
from cortex_tui.commands import COMMANDS, Command, Scope, binding, bindings
from cortex_tui.widgets.listing import Listing
from cortex_tui.widgets.text import DISABLED, EMPHASES, KEY, MUTED

if TYPE_CHECKING:
    from cortex_tui.app import CortexApp
    from cortex_tui.screens.find import Entry

Result = TypeVar("Result")

MAX_KEYS = 6


class Commanded(Screen[Result], Generic[Result]):
    """A screen that carries out the commands of some scopes.

    The node of a scope has a method `do_<command>` for each of its commands, and may have
    `refusal(command)`, which says why one cannot be carried out now. A method that is a coroutine
    runs as a worker; a `BackendError` out of it is told to the person. A node may also have
    `copies()`, which gives the texts that can be copied from it, each by what it is.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {emphasis[1:] for emphasis in EMPHASES}
    ALSO_SHOWN: ClassVar[frozenset[str]] = frozenset()
    """Commands that one comes here for: the key line shows them too."""

    @property
    def cortex(self) -> "CortexApp":
        """The app, by its own type."""
        return cast("CortexApp", self.app)

    @property
    def backend(self) -> Backend:
        """The orchestrator; commands that need it are refused until it is there."""
        backend = self.cortex.watched.backend
        assert backend is not None
        return backend

    @property
    def scopes(self) -> Mapping[Scope, DOMNode]:
        """Who carries out which scope at this moment."""
        raise NotImplementedError

    def available(self) -> Iterator[Command]:
        """The commands of this screen as it is now, those that are refused among them."""
        for command in COMMANDS.values():
            if self._node(command) is not None:
                yield command

    def why_not(self, command: Command) -> str | None:
        """Why `command` cannot be carried out now, or none when it can."""
        if command.changes and self.cortex.read_only:
            return "This context is read-only."
        backend = self.cortex.watched.backend
        if backend and command.needs and command.needs not in backend.capabilities:
            return f"This orchestrator does not {command.needs.value}."
        refusal = getattr(self._node(command), "refusal", None)
        return refusal(command.name) if refusal else None

    def offer(self, command_id: str, what: str) -> str:
        """`n  create the first one`, with the key that the command has; nothing where it is
        refused now."""
        if self.why_not(COMMANDS[command_id]):
            return ""
        return f"{self.cortex.key_of(command_id)}  {what}"

    def choices(self, command: Command) -> "list[Entry]":
        """What a command can be told to take."""
        entries: list[Entry] = getattr(self._node(command), "choices")(command.name)  # noqa: B009
        return entries

    def copyable(self) -> list[tuple[str, str]]:
        """What can be copied now, each by what it is: the value of a field, else what the cursor
        is on. A password is not copied."""
        from textual.widgets import TextArea

        field = self.focused
        if isinstance(field, TextArea):
            marked = field.selected_text
            return [("selection", marked)] if marked else [("text", field.text)]
        if isinstance(field, Input):
            return [] if field.password else [("value", field.value)]
        nodes = [node for node in dict.fromkeys(self.scopes.values()) if hasattr(node, "copies")]
        return [pair for node in nodes for pair in node.copies()]

    def key_line(self) -> Content:
        """The keys to press now, at most six; those of refused commands are greyed."""
        keys = {command: shown.split()[0] for command, shown in self.keys_of_commands().items()}
        footer = [
            command
            for command in COMMANDS.values()
            if command.id in keys and (command.footer or command.id in self.ALSO_SHOWN)
        ]
        own = getattr(self.focused, "hints", ())
        parts = [Content.assemble((key, KEY), (f" {label}", MUTED)) for key, label in own]
        for command in footer[: MAX_KEYS - len(parts)]:
            key, label = keys[command.id], f" {self.label_of(command)}"
            if self.why_not(command):
                parts.append(Content.styled(key + label, DISABLED))
            else:
                parts.append(Content.assemble((key, KEY), (label, MUTED)))
        return Content("   ").join(parts)

    def label_of(self, command: Command) -> str:
        """What the key line calls a command."""
        return command.label

    def keys_of_commands(self) -> dict[str, str]:
        """The keys of each command by its id, but those that a field takes for itself now."""
        keys: dict[str, list[str]] = {}
        field = self.focused
        for active in self.active_bindings.values():
            shown = self.app.get_key_display(active.binding)
            typed = field is not None and len(shown) == 1 and field.check_consume_key(shown, shown)
            if active.binding.id in COMMANDS and not typed:
                keys.setdefault(active.binding.id, []).append(shown)
        return {command: " ".join(shown) for command, shown in keys.items()}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "command":
            return self._node(COMMANDS[str(parameters[0])]) is not None
        return super().check_action(action, parameters)

    def action_command(self, command_id: str) -> None:
        """Carry out a command, or say why not."""
        command = COMMANDS[command_id]
        if self._is_refused(command):
            return
        outcome = getattr(self._node(command), f"do_{command.name}")()
        if isinstance(outcome, Coroutine):
            self.begin(self._unless_refused(command, outcome))

    async def _unless_refused(self, command: Command, work: Coroutine[Any, Any, None]) -> None:
        """Do `work`, unless what it is about has gone just now."""
        if self._is_refused(command):
            work.close()
        else:
            await work

    def _is_refused(self, command: Command) -> bool:
        """Whether it cannot be carried out now; says why."""
        reason = self.why_not(command)
        if reason:
            self.app.notify(f"{command.label}: {reason}", severity="warning")
        return bool(reason)

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close this screen and those above it; where it was closed before, nothing."""
        if self not in self.app.screen_stack:
            return AwaitComplete()
        while (above := self.app.screen) is not self:
            above.dismiss()
        return super().dismiss(result)

    async def may_leave(self) -> bool:
        """Whether the person lets this screen go; asks where something would be lost."""
        return True

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` run; a `BackendError` out of it is told to the person."""
        self.run_worker(self._told(work), group="commands")

    async def _told(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BackendError as error:
            self.cortex.tell(error)
        except (DOMError, QueryError):
            # Textual takes a screen's widgets down before it cancels the screen's workers: what
            # comes in between has no place to be shown any more.
            if not self._pruning:
                raise

    def _node(self, command: Command) -> DOMNode | None:
        node = self.app if command.scope is Scope.APP else self.scopes.get(command.scope)
        return node if hasattr(node, f"do_{command.name}") else None


class Pane(Vertical):
    """A part of a page that carries out a scope of its own."""

    @property
    def page(self) -> Commanded[object]:
        """The screen it is on."""
        return cast("Commanded[object]", self.screen)

    @property
    def cortex(self) -> "CortexApp":
        """The app, by its own type."""
        return self.page.cortex

    @property
    def backend(self) -> Backend:
        """The orchestrator."""
        return self.page.backend


class TablePane(Pane):
    """A pane that is a table."""

    listing: Listing[Any]

    def do_filter(self) -> None:
        """Let the person type a filter."""
        self.listing.open_filter()


class Page(Commanded[None]):
    """A whole screen that follows the states of products while it is in view."""

    _in_view: set[int] | None = None

    def on_screen_resume(self) -> None:
        self.follow(None)

    def follow(self, changed: frozenset[int] | None) -> None:
        """The app calls this on the topmost screen only; others catch up when they come back."""
        if not self.children:
            return  # not composed yet, or on its way out
        self.show_states(changed)
        self.refresh_bindings()
        in_view = set(self.products_in_view())
        backend = self.cortex.watched.backend
        if backend is not None and (changed is None or in_view != self._in_view):
            self._in_view = in_view
            backend.focus(in_view)

    def products_in_view(self) -> Collection[int]:
        """The products whose states this page shows now; others need not be asked for."""
        raise NotImplementedError

    def show_states(self, changed: frozenset[int] | None) -> None:
        """Bring the view up to the app's states: those that changed, or none for all; an empty set
        means that only time has passed."""
        raise NotImplementedError


class Dialog(Commanded[Result], ModalScreen[Result], Generic[Result]):
    """A question or a small form above the page."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.DIALOG),
        binding(COMMANDS["app.help"]),
        binding(COMMANDS["app.copy"]),
        binding(COMMANDS["app.leave"]),
    ]

    def on_mount(self) -> None:
        self.cortex.end_toasts()  # they were about the page, and would cover the title
