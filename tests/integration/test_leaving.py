"""Leaving the application: at once, and with the terminal as it was."""

import os
import pty
import re
import select
import socket
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.processes import run
from tests.waiting import wait_until


class Seen:
    """A program behind a pseudo-terminal, and what it wrote so far."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(self.ours)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cortex_tui", *arguments],
            env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        self._theirs = theirs
        self.output = b""

    def shows(self, text: bytes) -> bool:
        while select.select([self.ours], [], [], 0)[0]:
            self.output += os.read(self.ours, 65_536)
        return text in self.output

    def ends(self) -> bool:
        self.shows(b"")
        return self.process.poll() is not None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self._theirs)


@pytest.mark.parametrize("key", [b"q", b"\x03", b"\x11"])
def test_the_terminal_is_left_as_it_was(environment: dict[str, str], key: bytes) -> None:
    seen = Seen(environment)
    try:
        wait_until(lambda: seen.shows(b"No products yet"))
        os.write(seen.ours, key)
        wait_until(seen.ends)
        assert seen.process.returncode == 0
        assert termios.tcgetattr(seen.ours) == seen.before
        for left in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l"):
            assert left in seen.output, left
        assert b"Traceback" not in seen.output
    finally:
        seen.close()


def test_without_a_mouse_none_is_asked_for(environment: dict[str, str]) -> None:
    seen = Seen(environment, "--no-mouse")
    try:
        wait_until(lambda: seen.shows(b"No products yet"))
        os.write(seen.ours, b"q")
        wait_until(seen.ends)
        assert b"\x1b[?1000h" not in seen.output
    finally:
        seen.close()


@pytest.mark.parametrize(
    ("locale", "drawn"),
    [
        ({"LANG": "C"}, "ASCII"),
        ({"LANG": "POSIX"}, "ASCII"),
        ({"LANG": "en_US.ISO-8859-1"}, "ASCII"),
        ({"LC_CTYPE": "C", "LANG": "C.UTF-8"}, "ASCII"),
        ({"LC_ALL": "C", "LANG": "C.UTF-8"}, "ASCII"),
        ({"LANG": "C.UTF-8"}, "Unicode"),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, "Unicode"),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, "Unicode"),
        ({}, "Unicode"),
    ],
)
def test_the_locale_says_what_is_drawn(
    environment: dict[str, str], locale: dict[str, str], drawn: str
) -> None:
    for variable in ("LC_ALL", "LC_CTYPE", "LANG"):
        environment.pop(variable, None)
    seen = Seen({**environment, **locale})
    try:
        wait_until(lambda: seen.shows(b"No products yet"))
        os.write(seen.ours, b"?")  # the help has a scrollbar
        wait_until(lambda: seen.shows(b"Turn the order round"))
        assert ("ASCII" if seen.output.isascii() else "Unicode") == drawn
    finally:
        seen.close()


def test_keys_that_cannot_be_are_refused_before_anything_is_drawn(
    environment: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[keys]\n"products.new" = "r"\n')
    seen = Seen({**environment, "CORTEX_CONFIG": str(config)})
    try:
        wait_until(seen.ends)
        assert seen.process.returncode == 2
        assert b"r would mean both products.new and products.reconnect" in seen.output
        assert b"\x1b[?1049h" not in seen.output
    finally:
        seen.close()


def test_the_demo_remembers_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    seen = Seen(environment, "demo")
    try:
        wait_until(lambda: seen.shows(b"Car tyres"), deadline=60)
        os.write(seen.ours, b"t")
        wait_until(lambda: seen.shows(b"latched"), deadline=60)
        os.write(seen.ours, b"\x03")
        wait_until(seen.ends)
    finally:
        seen.close()
    assert not list(tmp_path.rglob("remembered.json"))


def test_a_demo_can_be_asked_from_a_second_terminal(environment: dict[str, str]) -> None:
    seen = Seen(environment, "demo", "--port", "0")
    try:
        wait_until(lambda: seen.shows(b"Travel insurance"))
        url, *_ = re.findall(r"http://127\.0\.0\.1:[0-9]+", seen.output.decode())
        asked = run(environment, "--url", url, "products")
        assert (asked.returncode, "Travel insurance" in asked.stdout) == (0, True)
        os.write(seen.ours, b"q")
        wait_until(seen.ends)
        assert seen.process.returncode == 0
        assert run(environment, "--url", url, "products").returncode == 3
    finally:
        seen.close()


def test_a_demo_is_not_served_where_it_cannot_be(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for options, says in (
            (["demo", "--port", port], b"choose one with --port"),
            (
                ["--read-only", "demo", "--port", "0"],
                b"--read-only is given, and the HTTP API changes things",
            ),
        ):
            seen = Seen(environment, *options)
            try:
                wait_until(seen.ends)
                assert seen.process.returncode in (2, 3)
                assert says in seen.output
                assert b"\x1b[?1049h" not in seen.output
            finally:
                seen.close()
