"""Typeahead: each key is dealt with before the next is looked at.

Textual hands keys out as they come. Over a slow line many come at once, and those behind one that
opens a dialog or leads to another field would go to where the focus was before: what is typed
behind a `:` would be a row of commands. Nor is a key looked at before the screen has read what its
keys are about.
"""

from collections import deque
from functools import partial
from typing import Any, TypeVar

from textual import events, on
from textual.app import App
from textual.await_complete import AwaitComplete
from textual.message import Message
from textual.screen import Screen

ROUNDS = 2
"""Ways up to the app: that of the key itself, and that of a message it made a widget send."""
PATIENCE = 1.0
"""Seconds after which the next key is looked at in any case: a widget that goes takes along what it
was sent, and a page may have to read from far away."""
LOOKS = 10
"""Steps in which it is waited: a machine that stands still for long is late by one of them, and
what was under way comes before the next."""

ReturnType = TypeVar("ReturnType")


class Dealt(Message):
    """Follows a key on its way up to the app, and comes there when all have dealt with it."""

    def __init__(self, place: object, rounds: int) -> None:
        super().__init__()
        self.place = place
        self.rounds = rounds


class Settled(Message):
    """What the keys of the screen are about is known: it is `settled` from now on."""


class TypeaheadApp(App[ReturnType]):
    """An app to which one may type ahead. Keys wait for a screen that has a property `settled`,
    which is false until it sends `Settled`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._typed: deque[events.Key | events.Paste] = deque()
        self._awaited: Dealt | None = None
        """What follows the key that is being dealt with."""
        self._slow: Screen[object] | None = None
        """It was waited for, and is waited for no more."""

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        if isinstance(event, events.Key) and await self._check_bindings(event.key, priority=True):
            return  # it waits for nothing
        self._typed.append(event)
        if self._awaited is None:
            await self._take_next()
        elif len(self._typed) == 1:
            self._go_on_in_any_case()

    def pop_screen(self) -> AwaitComplete:
        popped = super().pop_screen()
        self._slow = None
        if self._awaited is not None:
            self._await_round(1)  # the screen that goes takes along what it was sent
        return popped

    async def _take_next(self) -> None:
        """Hand out what was typed, up to the next key that may lead elsewhere."""
        self._awaited = None
        while self._typed and self._awaited is None and self.screen_stack:
            event, target = self._typed.popleft(), self.focused or self.screen
            await super().on_event(event)
            if isinstance(event, events.Key) and not target.check_consume_key(
                event.key, event.character
            ):
                self._await_round(ROUNDS)

    def _await_round(self, rounds: int) -> None:
        place = (self.screen, self.focused)
        self._awaited = Dealt(place, rounds)
        (self.focused or self.screen).post_message(self._awaited)
        if self._typed:
            self._go_on_in_any_case()

    def _go_on_in_any_case(self) -> None:
        self._look_later(self._awaited, LOOKS)

    def _look_later(self, awaited: Dealt | None, looks: int) -> None:
        self.set_timer(PATIENCE / LOOKS, partial(self._look, awaited, looks - 1))

    async def _look(self, awaited: Dealt | None, looks: int) -> None:
        if awaited is not self._awaited or not self.screen_stack:
            return
        if looks:
            self._look_later(awaited, looks)
        else:
            self._slow = self.screen
            await self._take_next()

    @on(Dealt)
    async def _dealt(self, dealt: Dealt) -> None:
        if dealt is not self._awaited or not self.screen_stack:
            return  # it was late, or the app is leaving
        if dealt.rounds > 1 or dealt.place != (self.screen, self.focused):
            self._await_round(max(1, dealt.rounds - 1))
        elif getattr(self.screen, "settled", True) or self.screen is self._slow:
            await self._take_next()
        else:
            self._go_on_in_any_case()

    @on(Settled)
    def _look_again(self) -> None:
        if self._awaited is not None and self.screen_stack:
            self._await_round(1)
