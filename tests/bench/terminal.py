"""What the application costs at the end of a line, measured through a pseudo-terminal."""

import asyncio
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft

ROUNDS = 5
BARE = """
import sys
from textual.app import App
from textual.widgets import DataTable
class Bare(App):
    def compose(self):
        yield DataTable()
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns(*"abcdefg")
        for number in range(int(sys.argv[1])):
            table.add_row(f"Product {number:04}", *"123456")
Bare().run()
"""


def run() -> None:
    for count in (3, 1_000):
        with tempfile.TemporaryDirectory() as folder:
            database = asyncio.run(_products(Path(folder), count))
            bare, ours, quit_after = [], [], []
            for _ in range(ROUNDS):
                with Program([sys.executable, "-c", BARE, str(count)]) as program:
                    bare.append(program.until(b"Product 0000"))
                command = [sys.executable, "-m", "cortex_tui", "--db", str(database)]
                with Program(command) as program:
                    ours.append(program.until(b"Product 0000"))
                    if count == 3 and len(ours) == ROUNDS:
                        _idle(program)
                    quit_after.append(program.quit(b"q"))
        first, yardstick = min(ours), min(bare)
        print(
            f"  first frame, {count:>5,} products  {first:.2f} s   bare Textual {yardstick:.2f} s"
            f"   ratio {first / yardstick:.2f}   quits in {min(quit_after):.2f} s"
        )


async def _products(folder: Path, count: int) -> Path:
    backend = await LocalBackend.open(folder / "bench.db")
    for number in range(count):
        await backend.create_product(ProductDraft(name=f"Product {number:04}"))
    await backend.aclose()
    return folder / "bench.db"


def _idle(program: "Program", seconds: float = 10.0) -> None:
    program.read(2.0)
    cpu = program.cpu_seconds()
    size = len(program.read(seconds))
    used = (program.cpu_seconds() - cpu) / seconds
    print(f"  idle, not configured         {size / seconds:.0f} B/s, {used:.1%} CPU")


class Program:
    """A command behind a pseudo-terminal of 120 by 36."""

    def __init__(self, command: list[str]) -> None:
        self._started = time.perf_counter()
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.environ.update(TERM="xterm-256color", LANG="C.UTF-8")
            os.execvp(command[0], command)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def read(self, seconds: float) -> bytes:
        """What it writes within `seconds`."""
        output, end = b"", time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self._terminal], [], [], left)[0]:
                try:
                    output += os.read(self._terminal, 65_536)
                except OSError:
                    break
        return output

    def until(self, text: bytes) -> float:
        """Seconds from its start until it has written `text`."""
        output = b""
        while text not in output:
            if not (read := self.read(0.005)) and time.perf_counter() - self._started > 30:
                sys.exit(f"{text!r} never appeared")
            output += read
        return time.perf_counter() - self._started

    def quit(self, key: bytes) -> float:
        """Seconds from `key` to the end of the process."""
        start = time.perf_counter()
        os.write(self._terminal, key)
        while True:
            self.read(0.005)
            if os.waitpid(self._pid, os.WNOHANG)[0]:
                self._pid = 0
                return time.perf_counter() - start
            if time.perf_counter() - start > 30:
                sys.exit("it does not quit")

    def cpu_seconds(self) -> float:
        """Processor time it has used."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
