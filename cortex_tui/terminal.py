"""A terminal that may go away while something is drawn on it, as with a dropped SSH line, and
that is left without waiting for a key."""

import os
import selectors
from codecs import getincrementaldecoder
from contextlib import suppress
from typing import IO, Any

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

KEY_PAUSE = 0.1
"""Seconds without a byte after which an escape is the key of that name."""


class Unbroken:
    """Writes to `file` until that fails, and then to nothing.

    Textual draws from a thread that an error would end, and whoever draws next, or quits, would
    wait for that thread for ever.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()


class TerminalDriver(LinuxDriver):
    """Textual's driver for POSIX terminals, which survives the loss of its terminal, and whose
    thread for the keys ends at once: Textual's own waits for two pauses."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file: Any = Unbroken(self._file)
        self._woken, self._wake = os.pipe()

    def disable_input(self) -> None:
        if self._key_thread is not None and self._key_thread.is_alive():
            os.write(self._wake, b"!")
        super().disable_input()

    def run_input_thread(self) -> None:
        parser, decode = XTermParser(self._debug), getincrementaldecoder("utf-8")().decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                for key, _ in selector.select(KEY_PAUSE):
                    if key.fd == self.fileno:
                        for event in parser.feed(decode(os.read(self.fileno, 4_096))):
                            self.process_message(event)
                    else:
                        os.read(self._woken, 64)
                for event in parser.tick():
                    self.process_message(event)
