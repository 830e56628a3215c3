"""What nobody foresaw: a clean terminal, a short message, and a log without secrets."""

import os
import pty
import subprocess
import sys
from pathlib import Path

BROKEN = """
import sys
from cortex_tui import app, cli

def broken(self, *_):
    password = "hunter2-hunter2"
    raise RuntimeError("unforeseen")

app.CortexApp.on_mount = broken
sys.argv = ["cortex"]
cli.main()
"""

FULL = """
import logging, resource, signal
from cortex_tui import cli, settings

cli._log_to_file()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = settings.log_file().stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
logging.getLogger("cortex_tui").warning("no room")
"""


def test_the_application_fails_in_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", BROKEN], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    output = b""
    while True:
        try:
            output += os.read(ours, 65_536)
        except OSError:
            break
    os.close(ours)
    assert process.wait(timeout=30) == 70
    shown = output.decode(errors="replace")
    assert "this is a fault of the program" in shown
    assert "Traceback" not in shown
    assert "\x1b[?1049l" in shown, "the alternate screen was left"
    log = (tmp_path / "state" / "cortex" / "cortex.log").read_text()
    assert "RuntimeError: unforeseen" in log
    for text in (shown, log):
        assert "hunter2-hunter2" not in text.replace('password = "hunter2-hunter2"', "")


def test_a_log_that_cannot_be_written_is_no_traceback(environment: dict[str, str]) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", FULL],
        env=environment, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (finished.returncode, finished.stderr) == (0, "")
