"""The application: one backend, one worker that watches it, and the screens that show it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.filter import LineFilter
from textual.reactive import Initialize, Reactive
from textual.screen import Screen
from textual.theme import Theme

from cortex_tui import commands, themes
from cortex_tui.backend import Backend
from cortex_tui.commands import COMMANDS, Scope
from cortex_tui.screens.base import Commanded, Page
from cortex_tui.screens.find import (
    Entry,
    FindDialog,
    JumpDialog,
    ThemeDialog,
    commands_and_products,
    copy_entries,
    product_entries,
    target_entries,
    theme_entries,
)
from cortex_tui.screens.help import HelpDialog
from cortex_tui.screens.products import ProductsScreen
from cortex_tui.settings import Remembered, Target
from cortex_tui.terminal import TerminalDriver
from cortex_tui.toasts import ToastingApp
from cortex_tui.watched import Watched
from cortex_tui.widgets.inert import Ascii, EightBit, Inert, speaks_utf8
from cortex_tui.widgets.text import KEY, MUTED, STRONG, WARN, plain, said

if TYPE_CHECKING:
    from cortex_tui.models import Product
    from cortex_tui.states import StoredProduct

log = logging.getLogger(__name__)

OpenBackend = Callable[[Target], Awaitable[Backend]]
ReadStored = Callable[[Target], Awaitable["Mapping[int, StoredProduct]"]]
Undo = Callable[[], Awaitable[bool]]
"""Takes something back; whether that went well, where it did not say so itself."""

TICK = 1.0
"""Seconds between two looks at the clock: ages, countdowns and rates."""

KEY_NAMES = {"enter": "Enter", "escape": "Esc", "space": "Space", "delete": "Del"}

UNDOABLE = 50
"""Switchings on or off that can be taken back."""
LARGEST_COPY = 100_000
"""Bytes of a text that is copied; many terminals ignore a longer one without a word."""

STORED_WAIT = 0.1
"""Seconds that the first frame waits for what is stored."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CortexApp(ToastingApp):
    """Paints its first frame at once, and opens its backend behind it."""

    CSS_PATH = "cortex.tcss"
    TITLE = "Cortex"
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings(Scope.APP)]
    ENABLE_COMMAND_PALETTE = False

    def _first_theme(self) -> str:
        wanted = self._wanted_theme
        known = isinstance(wanted, str) and wanted in self.available_themes
        return wanted if known else themes.DARK.name

    # Right from the start: a theme that is set later has all styles read anew.
    theme: Reactive[str] = Reactive(Initialize(_first_theme))

    @property
    def available_themes(self) -> dict[str, Theme]:
        """Every theme by its name, ours among them."""
        return {**super().available_themes, **themes.OURS}

    def __init__(
        self,
        open_backend: OpenBackend,
        target: Target,
        *,
        others: Sequence[Target] = (),
        theme: str | None = None,
        keymap: Mapping[str, str] | None = None,
        remembered: Remembered | None = None,
        ascii_only: bool | None = None,
        read_stored: ReadStored | None = None,
        test_limit: float = 10.0,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Opens `target`, and any of `others` when a person switches to it; one of them that has
        the name of `target` is not to be had.

        `theme` none means the one that was chosen last; `keymap` has the keys of commands that a
        person gave others. `read_stored` tells what is stored in a target, to be shown while it
        is being opened. `ascii_only` none means: where the locale is not UTF-8. `test_limit`
        are the seconds a connection test may take. `now` is the clock.
        """
        colourless = "NO_COLOR" in os.environ
        self.target = target
        self.remembered = remembered or Remembered(None)
        self._given_theme = theme
        self._wanted_theme = "ansi-dark" if colourless else theme or self.remembered.get("theme")
        super().__init__(TerminalDriver, ansi_color=True if colourless else None)
        self.animation_level = "none"
        self._targets = {each.name: each for each in (*others, target)}
        self.test_limit = test_limit
        self.now = now
        self._undo: deque[tuple[str, Undo]] = deque(maxlen=UNDOABLE)
        self._open_backend = open_backend
        self._read_stored = read_stored
        self.watched = self._to_be_watched()
        """The orchestrator that is open, or is being opened."""
        self._last_filters: list[LineFilter] = [Inert()]
        if not speaks_utf8() if ascii_only is None else ascii_only:
            self._last_filters.append(Ascii())
        if self.console.color_system == "256":
            self._last_filters.append(EightBit())
        self._keys = dict(keymap or {})
        self.set_keymap(self._keys)

    # -- the backend --------------------------------------------------------------------------

    async def on_load(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(STORED_WAIT):
                await self.watched.look_at_stored()

    def get_default_screen(self) -> Screen[Any]:
        return ProductsScreen()

    def get_css_variables(self) -> dict[str, str]:
        """A breath of the colour of the context is in the line that names it."""
        tint = themes.tint(self.target.context.colour, dark=self.current_theme.dark)
        return {**super().get_css_variables(), "context-tint": tint}

    def on_ready(self) -> None:
        self._begin_watching()  # the first frame is there
        if self._given_theme and self._given_theme not in self.available_themes:
            self.notify(
                f"There is no theme “{plain(self._given_theme, 30)}”: "
                f"{self.key_of('app.theme')} shows all there are.",
                severity="warning",
                timeout=8,
            )
        self.set_interval(TICK, lambda: self._beat(frozenset()))

    @property
    def read_only(self) -> bool:
        """Whether every change is refused."""
        return self.target.context.read_only

    async def switch(self, target: Target) -> None:
        """Leave what is open, and open another orchestrator."""
        if not await self.may_leave():
            return
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        await self._let_go()
        self.target = target
        self.refresh_css()
        self._undo.clear()
        self._open()
        if isinstance(self.screen, ProductsScreen):
            self.screen.recall()
            self.screen.show_states(None)

    def retry(self) -> None:
        """Open `target` anew, where it could not be opened or cannot be asked: at once, so that
        there is nothing to retry until that has come to something."""
        before = self.watched
        self._open()
        self.run_worker(before.close(), group="closing")

    async def _let_go(self) -> None:
        self.workers.cancel_group(self, "backend")
        await self.watched.close()

    def _open(self) -> None:
        self.watched = self._to_be_watched()
        self._begin_watching()

    def _to_be_watched(self) -> Watched:
        async def stored() -> Mapping[int, StoredProduct]:
            return await self._read_stored(self.target) if self._read_stored else {}

        return Watched(
            lambda: self._open_backend(self.target), stored, now=self.now, on_change=self._beat
        )

    def _begin_watching(self) -> None:
        self.run_worker(self._watch(), group="backend", exclusive=True)

    async def _watch(self) -> None:
        watched = self.watched
        await watched.look_at_stored()
        if watched.stored:
            self._beat(None)
            with suppress(TimeoutError):  # as where another screen comes before this
                async with asyncio.timeout(STORED_WAIT):
                    await self.screen.wait_for_refresh()  # what follows keeps the processor busy
        if await watched.open():
            await asyncio.to_thread(import_module, "cortex_tui.screens.product")  # needed soon
            await watched.follow()

    def _beat(self, changed: frozenset[int] | None) -> None:
        """Tell the topmost page whose states changed: none for all, and an empty set when only
        time has passed."""
        page = self.screen if self.screen_stack else None  # none, where the application ends
        if isinstance(page, Page):
            page.call_next(page.follow, changed)

    def _fatal_error(self) -> None:
        # Textual would print a traceback with the values of all variables, secrets among them.
        log.critical("the application failed", exc_info=True)
        self._close_messages_no_wait()

    async def on_unmount(self) -> None:
        await self.watched.close()

    def title_line(self, *crumbs: str) -> tuple[Content, Content]:
        """Where we are, for the top of a page: the way here, and the context."""
        way = [Content.styled("cortex", KEY), *(said(crumb, STRONG) for crumb in crumbs)]
        context = said(self.target.name, MUTED)
        if self.target.context.colour:
            context = said(f" {self.target.name} ", themes.on_colour(self.target.context.colour))
        if self.read_only:
            context = Content.assemble(context, ("  read-only", WARN))
        return Content.styled(" › ", MUTED).join(way), context

    # -- how it looks -------------------------------------------------------------------------

    def get_key_display(self, binding: Binding) -> str:
        """`F2`, `Enter`, `^p`, `n`."""
        shown = KEY_NAMES.get(binding.key) or super().get_key_display(binding)
        return shown.upper() if binding.key[0] == "f" and binding.key[1:].isdigit() else shown

    def key_of(self, command_id: str) -> str:
        """The key to press for a command, for a text that names it: the first it has."""
        keys = self._keys.get(command_id, COMMANDS[command_id].keys)
        return self.get_key_display(Binding(keys.split(",")[0], "", ""))

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._last_filters]

    # -- remembering, each context for itself -------------------------------------------------

    def remember(self, name: str, value: object) -> None:
        """Keep a value until the next run, for the context that is open."""
        if value != self.recall(name):
            self.remembered.set(f"{name} {self.target.name}", value)

    def recall(self, name: str) -> Any:
        """A value that was kept; it may be anything, since it comes from a file."""
        return self.remembered.get(f"{name} {self.target.name}")

    def recall_order(self, name: str) -> tuple[str, bool]:
        """The order a table was left in: a column, and whether the other way round."""
        match self.recall(name):
            case [str() as key, bool() as reverse]:
                return key, reverse
        return "name", False

    # -- commands -----------------------------------------------------------------------------

    def action_command(self, command_id: str) -> None:
        """Commands of the scope "everywhere" come here; the screen carries them out."""
        if isinstance(self.screen, Commanded):
            self.screen.action_command(command_id)
        elif command_id == "app.leave":
            self.do_leave()

    def do_help(self) -> None:
        if isinstance(self.screen, Commanded):
            self.push_screen(HelpDialog(self.screen))

    def do_find(self) -> None:
        if isinstance(self.screen, Commanded):
            self.push_screen(FindDialog("a command, a product", commands_and_products(self.screen)))

    def do_jump(self) -> None:
        if isinstance(self.screen, Commanded):
            self.push_screen(JumpDialog(self.screen))

    def choices(self, command: str) -> list[Entry]:
        """What `product`, `context` and `theme` can be told to take."""
        if command == "product":
            return product_entries(self._commanded)
        if command == "theme":
            return theme_entries(sorted(self.available_themes), self.theme, self._dress)
        others = [each for name, each in self._targets.items() if name != self.target.name]
        return target_entries(others, lambda target: self.run_worker(self.switch(target)))

    def refusal(self, command: str) -> str | None:
        """Why a command has nothing to work on."""
        if command == "context" and not self.choices("context"):
            return "There is no other context: name them in config.toml."
        if command == "product" and not self.watched.states:
            return "There are no products."
        if command == "undo" and not self._undo:
            return "Nothing was switched on or off."
        if command == "copy" and not self._commanded.copyable():
            return "There is nothing to copy under the cursor."
        return None

    @property
    def _commanded(self) -> Commanded[Any]:
        assert isinstance(self.screen, Commanded)
        return self.screen

    def do_product(self) -> None:
        self.push_screen(FindDialog("a product", self.choices("product")))

    def do_theme(self) -> None:
        self.push_screen(ThemeDialog(self.choices("theme"), self.theme))

    def do_context(self) -> None:
        self.push_screen(FindDialog("a context", self.choices("context")))

    def _dress(self, theme: str) -> None:
        self.theme = theme
        self.remembered.set("theme", theme)
        if self._given_theme:
            self.notify("For this run: another theme is given in config.toml or by --theme.")

    async def do_home(self) -> None:
        if await self.may_leave():
            while len(self.screen_stack) > 1:
                await self.pop_screen()

    def do_copy(self) -> None:
        texts = self._commanded.copyable()
        if len(texts) == 1:
            self._copy(*texts[0])
        else:
            self.push_screen(FindDialog("what to copy", copy_entries(texts, self._copy)))

    def _copy(self, what: str, text: str) -> None:
        encoded = text.encode(errors="replace")  # half a surrogate pair is no text
        text, size = encoded.decode(), len(encoded)
        if size > LARGEST_COPY:
            self.notify(
                f"The {what} has {size:,} bytes: more than {LARGEST_COPY:,}, which terminals drop.",
                severity="warning",
            )
            return
        self.copy_to_clipboard(text)
        self.notify(
            f"Sent to the terminal, which may put it on its clipboard: the {what}, "
            f"{len(text):,} characters."
        )

    async def enable(self, product: Product, enabled: bool) -> None:
        """Enable or disable a product, so that it can be taken back."""
        from cortex_tui.models import ProductChange

        target = self.target

        async def switch(enabled: bool) -> bool:
            backend = self.watched.backend
            if backend is None:
                return False
            await backend.update_product(product.id, ProductChange(enabled=enabled))
            return self.target is target  # else another has a product of that id

        if not await switch(enabled):
            return
        done, undone = ("enabled", "disabled") if enabled else ("disabled", "enabled")
        self.can_undo(
            f"{product.name} {done}",
            lambda: switch(not enabled),
            undone=f"{product.name} is {undone} again",
        )

    def can_undo(self, what: str, undo: Undo, *, undone: str) -> None:
        """Tell what was switched, and keep how to take it back; `undone` is how it is then."""
        if not self.screen_stack:
            return  # the person has quit meanwhile
        self._undo.append((undone, undo))
        keys = self._commanded.keys_of_commands().get("app.undo", "")
        hint = f" {keys.split()[0]} takes it back." if keys else ""
        self.notify(f"{what}.{hint}")

    async def do_undo(self) -> None:
        undone, undo = self._undo.pop()
        if await undo():
            self.notify(f"{undone}.")

    async def do_quit(self) -> None:
        if await self.may_leave():
            self.exit()

    def do_leave(self) -> None:
        self.exit()

    async def may_leave(self) -> bool:
        """Whether every screen can go: one with unsaved changes asks."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, Commanded) and not await screen.may_leave():
                return False
        return True

    async def show_product(self, product_id: int) -> None:
        """Leave what is open, and open a product."""
        from cortex_tui.screens.product import ProductScreen

        if await self.may_leave():
            while len(self.screen_stack) > 1:
                await self.pop_screen()
            self.push_screen(ProductScreen(product_id))
