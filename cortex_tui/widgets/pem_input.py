"""A field for certificates or a key: it takes the path of a file, or pasted PEM text."""

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from textual import events, on
from textual.message import Message
from textual.widgets import Input
from textual.worker import Worker, WorkerError

from cortex_tui.diagnosis import Certificate
from cortex_tui.files import read_text
from cortex_tui.widgets.line_input import LineInput
from cortex_tui.widgets.text import plain

READING = "the file is being read"

PEM_START = "-----BEGIN "
PEM_BLOCK = re.compile(PEM_START + r"([A-Z ]+)-----.*-----END \1-----")

SETTLED = 0.2
"""Seconds without a key after which what was typed is taken for a whole path."""


class PemInput(LineInput):
    """Holds PEM text, and says what is in it; a path that is typed is read, and stays in view.

    Where nothing is typed it holds what was loaded or pasted, which its placeholder names. Del,
    ctrl+u and Backspace in the empty field remove that, but not the Backspace that is one too many
    after something typed was erased. A terminal that does not bracket what it pastes types it, with
    Enter for the line ends: such text is masked, and held as soon as a block of it is whole.
    """

    class Examined(Message):
        """The file was read, or what is in the text is known now."""

    def __init__(self, *, key: bool = False) -> None:
        """Of a `key` nothing is ever shown."""
        super().__init__()
        self._key = key
        self._held = ""
        """What was loaded or pasted."""
        self._typing = False
        """What is held was typed, and may go on."""
        self._erasing = False
        """Something else was typed, or stood here as the field was entered."""
        self._from_file: str | None = None
        self._looking: Worker[None] | None = None
        self.problem: str | None = None
        """Why the file cannot be used."""
        self.certificates: tuple[Certificate, ...] = ()
        """What is in the text, once it was looked at."""

    @property
    def text(self) -> str:
        """The PEM text, or nothing; a path while its file is being read, or cannot be."""
        if not self.value:
            return self._held
        return self.value if self._from_file is None else self._from_file

    def hold(self, text: str | None) -> None:
        """Take PEM text as it is, and forget what was typed."""
        self._held, self._typing, self._erasing = text or "", False, False
        with self.prevent(Input.Changed):
            self.value = ""
        self._take(None)

    async def settle(self) -> None:
        """Wait until the file that is named was read."""
        if self._looking is not None:
            with suppress(WorkerError):
                await self._looking.wait()

    # -- what a person does -------------------------------------------------------------------

    def _on_paste(self, event: events.Paste) -> None:
        if PEM_START in event.text:
            event.stop()
            event.prevent_default()
            self.hold(event.text)
            self.post_message(self.Changed(self, self.value))

    async def action_submit(self) -> None:
        if PEM_START in self.value:
            return  # it ends a line of what is pasted
        if self.value or self._typing:
            self.run_worker(self._submit(), group="submit", exclusive=True)
        else:
            await super().action_submit()

    async def _submit(self) -> None:
        """Go on where nothing follows that Enter, which else is within a chain that is pasted, and
        the file can be read."""
        before = self.value, self._held
        await asyncio.sleep(SETTLED)
        await self.settle()
        if self.has_focus and self.problem is None and before == (self.value, self._held):
            await super().action_submit()

    def on_focus(self) -> None:
        self._erasing = bool(self.value)

    def on_blur(self) -> None:
        self._typing = False

    @on(Input.Changed)
    def _typed(self) -> None:
        self.password = PEM_START in self.value
        if PEM_BLOCK.search(self.value):
            self.hold(f"{self._held if self._typing else ''}{self.value}\n")
            self._typing = True
        else:
            self._erasing = self._erasing or bool(self.value)
            self._take(self.value or None)

    def action_delete_left(self) -> None:
        self._remove() if not (self.value or self._erasing) else super().action_delete_left()

    def action_delete_right(self) -> None:
        self._remove() if not self.value else super().action_delete_right()

    def action_delete_left_all(self) -> None:
        self._remove() if not self.value else super().action_delete_left_all()

    def _remove(self) -> None:
        if self._held:
            self.hold(None)
            self.post_message(self.Changed(self, self.value))

    # -- looking at it ------------------------------------------------------------------------

    def _take(self, path: str | None) -> None:
        self._from_file, self.certificates = None, ()
        self.problem = None if path is None else self.problem or READING
        self.placeholder = "pasted" if self._key and self._held else ""
        look = partial(self._examine, path, self._held)
        self._looking = self.run_worker(look, group="pem", exclusive=True)

    async def _examine(self, path: str | None, text: str) -> None:
        if path is not None:
            await asyncio.sleep(SETTLED)
            try:
                if PEM_START in path:
                    raise ValueError("the PEM text has no end yet: it ends with -----END …-----")
                self._typing = False
                text = self._from_file = await asyncio.to_thread(read_text, path)
                self.problem = None
            except ValueError as error:
                self.problem, text = str(error), ""
        if text and not self._key:
            self.certificates = await asyncio.to_thread(_read, text)
        if path is None and self.certificates:
            self.placeholder = plain(self.certificates[0].subject)
        self.post_message(self.Examined())


def _read(text: str) -> tuple[Certificate, ...]:
    from cortex_tui.certificates import read_pem  # heavy

    try:
        return read_pem(text, datetime.now(UTC))
    except ValueError:
        return ()  # the model says what is wrong
