"""A broker of our own: a process on a free loopback port, started and stopped with a `with`.

`Mosquitto` does everything the demo and the tests need. `Amqtt`, in pure Python, stands in where
mosquitto is not installed: MQTT 3.1.1 only, and it grants shared subscriptions without ever
delivering to them, hence `sharing`.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Self

LOOPBACK = "127.0.0.1"

START_TIMEOUT = 15.0
"""Seconds a broker may take until it listens; amqtt needs about one."""

STOP_TIMEOUT = 3.0
"""Seconds a broker may take to end by itself before it is killed."""

_PORT_ATTEMPTS = 5
_POLL = 0.01
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


class BrokerFailed(Exception):
    """The broker did not start; the message ends with what it said last."""


class Broker(ABC):
    """A broker process that listens on `host` and `port`, with a temporary folder of its own.

    `stop` leaves folder, port and log in place, so that `start` brings the same broker back;
    leaving the `with` removes them.
    """

    sharing: ClassVar[bool]
    """Whether messages reach shared subscriptions (`$share/group/filter`)."""

    _listening: ClassVar[str]
    """What its log says once it listens."""

    def __init__(self) -> None:
        self.host = LOOPBACK
        self.port = 0
        """Chosen at the first start, and kept."""
        self._temporary = TemporaryDirectory(prefix="cortex-broker-")
        self.folder = Path(self._temporary.name)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """Name and version, as in `mosquitto 2.0.18`."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Write the configuration for `host` and `port`; the command that runs it."""

    @property
    def log(self) -> str:
        """Everything it has logged so far, over all its starts."""
        try:
            return (self.folder / "log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it listens. Raises `BrokerFailed`."""
        if self.running:
            return
        fixed = self.port != 0
        for attempts_left in reversed(range(1 if fixed else _PORT_ATTEMPTS)):
            self.port = self.port if fixed else _free_port(self.host)
            said = self._launch()
            if self.running:
                return
            # Somebody may have taken the port since it was found free: then try another.
            if "address already in use" not in said.lower() or not attempts_left:
                raise BrokerFailed(
                    f"the broker did not start on {self.host}:{self.port}\n{said[-2_000:]}".rstrip()
                )

    def _launch(self) -> str:
        """Run the command until it listens, ends or is too slow; what it logged."""
        logged_before = len(self.log)
        with (self.folder / "log").open("ab") as output:
            # A session of its own: ctrl+c at the terminal must not end it before its clients.
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while self.running:
            if self._listening in self.log[logged_before:]:
                break
            if time.monotonic() > deadline:
                self.stop()
                break
            time.sleep(_POLL)
        return self.log[logged_before:]

    def stop(self) -> None:
        """End the process, forcibly if it must be; harmless when it has ended."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop and start on the same port; sessions and retained messages are gone."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._temporary.cleanup()


class Mosquitto(Broker):
    """Eclipse mosquitto 1.6 or later: MQTT 3.1 to 5, TLS, users, ACLs, shared subscriptions.

    `lines` are added to its configuration, after the `listener` line that they then belong to;
    without any, everybody may do everything. `log_packets` logs each packet, as in `Received
    SUBSCRIBE from …`, at the cost of speed.
    """

    sharing = True
    _listening = " running"

    def __init__(
        self, lines: Sequence[str] = ("allow_anonymous true",), *, log_packets: bool = False
    ) -> None:
        program = mosquitto_program()
        if program is None:
            raise BrokerFailed("mosquitto is not installed")
        super().__init__()
        self._program = program
        self._lines = lines
        self._log_packets = log_packets

    @property
    def name(self) -> str:
        told = re.search(r"mosquitto version (\S+)", self.log)
        return f"mosquitto {told[1]}" if told else "mosquitto"

    def _command(self) -> list[str]:
        configuration = [
            "user root",  # started by root it would drop its rights, and not read our folder
            "persistence false",
            "log_dest stderr",
            *(
                ["log_type all"]
                if self._log_packets
                else [f"log_type {kind}" for kind in ("error", "warning", "notice", "information")]
            ),
            f"listener {self.port} {self.host}",
            *self._lines,
        ]
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join(configuration) + "\n")
        return [self._program, "-c", str(path)]


class Amqtt(Broker):
    """aMQTT, from the extra `demo`: anybody may connect, or with `refusing` nobody."""

    sharing = False
    _listening = "' bind to "

    def __init__(self, *, refusing: bool = False) -> None:
        if not amqtt_installed():
            raise BrokerFailed("amqtt is not installed")
        super().__init__()
        self._refusing = refusing

    @property
    def name(self) -> str:
        return f"amqtt {version('amqtt')}"

    def _command(self) -> list[str]:
        users = self.folder / "users"
        users.touch()
        plugins = (
            {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(users)}}
            if self._refusing
            else {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        )
        configuration = {
            "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
            "plugins": plugins,
        }
        path = self.folder / "amqtt.yaml"
        path.write_text(json.dumps(configuration))  # every JSON document is a YAML document
        return [sys.executable, "-m", "cortex_tui.demo.amqtt_process", "-c", str(path)]


def mosquitto_program() -> str | None:
    """Where mosquitto is: distributions put it into a folder that a user's PATH often lacks."""
    return shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *_SBIN)))


def amqtt_installed() -> bool:
    try:
        version("amqtt")
    except PackageNotFoundError:
        return False
    return True


def best_broker(*, refusing: bool = False) -> Broker:
    """Mosquitto where it is installed, else amqtt; not started yet.

    It takes every client, or with `refusing` none, whatever user name and password it brings.
    Raises `BrokerFailed` where neither is installed.
    """
    if mosquitto_program() is not None:
        return Mosquitto([f"allow_anonymous {'false' if refusing else 'true'}"])
    if amqtt_installed():
        return Amqtt(refusing=refusing)
    raise BrokerFailed(
        "no broker is installed: install mosquitto, or run: pip install 'cortex-tui[demo]'"
    )


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
