"""A terminal that may go away while something is drawn on it, as with a dropped SSH line."""

from contextlib import suppress
from typing import IO, Any

from textual.drivers.linux_driver import LinuxDriver


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
    """Textual's driver for POSIX terminals, which survives the loss of its terminal."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file: Any = Unbroken(self._file)
