"""The line drops: the application ends, and everything it started with it."""

import os
import pty
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from cortex_tui.terminal import Unbroken
from tests.waiting import wait_until


@pytest.mark.parametrize("arguments", [["demo", "--rate", "100"], []])
def test_the_terminal_goes_away_without_a_word(arguments: list[str], tmp_path: Path) -> None:
    process, terminal = pty.fork()
    if process == 0:
        kept = {name: value for name, value in os.environ.items() if "CORTEX_" not in name}
        folders = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "LANG": "C.UTF-8"}
        command = [sys.executable, "-m", "cortex_tui", *arguments]
        environment = {**kept, **folders, "TERM": "xterm-256color"}
        os.execve(command[0], command, {**environment, "CORTEX_DB": str(tmp_path / "c.db")})
    shown, deadline = b"", time.monotonic() + 40
    while (b"connected" if arguments else b"No products yet") not in shown:
        assert time.monotonic() < deadline, shown
        shown += os.read(terminal, 65_536)
    os.close(terminal)
    try:
        wait_until(lambda: os.waitpid(process, os.WNOHANG)[0] == process)
    except AssertionError:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise
    assert not list(tmp_path.glob("cortex-*"))


def test_whoever_draws_on_a_terminal_that_is_gone_does_not_wait() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as gone:
        writer = WriterThread(Unbroken(gone))  # type: ignore[arg-type]
        writer.start()
        os.close(ours)

        def draw() -> None:
            for _ in range(3 * MAX_QUEUED_WRITES):
                writer.write("x")
            writer.stop()

        drawing = threading.Thread(target=draw, daemon=True)
        drawing.start()
        wait_until(lambda: not drawing.is_alive())
        with suppress(OSError):
            gone.close()
