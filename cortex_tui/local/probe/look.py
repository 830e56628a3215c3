"""A second look at a port that does not speak what was asked of it: what does it speak?

Each question is put on a connection of its own and carries no credentials: the other side is not
what the person takes it for.
"""

import base64
import re
import secrets
import ssl
from contextlib import suppress
from typing import Protocol

from cortex_tui.diagnosis import Stage, printable
from cortex_tui.local.causes import Cause, PeerClosed, explain
from cortex_tui.local.probe import packets
from cortex_tui.local.probe.clock import Clock
from cortex_tui.local.probe.packets import Kind, NotMqtt
from cortex_tui.local.probe.wire import Wire
from cortex_tui.models import BrokerAccess


class Dial(Protocol):
    """Connects anew, with TLS, not verified, or without."""

    def __call__(self, clock: Clock, *, secure: bool) -> Wire: ...


_MAX_ANSWER = 8_192
_LOCATION = re.compile(rb"^location:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake message of TLS begin."""

_MQTT_PORT = "Use the broker's MQTT port (usually 1883, or 8883 with TLS)"


def look_again(
    problem: Exception, broker: BrokerAccess, stage: Stage, dial: Dial, clock: Clock
) -> Cause | None:
    """A better cause for the failure of `stage` than `problem` itself tells, if there is one."""
    if isinstance(problem, ssl.SSLError) and _spoke_tls(problem):
        return None
    look = _Look(broker, stage, dial)
    recognised = None
    if isinstance(problem, NotMqtt):
        recognised = look.recognise(problem.data)
        questions = [look.ask_http] if problem.data.startswith(b"HTTP/") else []
    elif stage is Stage.TLS:
        questions = [look.ask_plain_mqtt, look.ask_http]
    elif broker.use_tls:
        questions = [look.await_alert, look.ask_http]
    else:
        questions = [look.ask_tls, look.ask_http]
    for asked, question in enumerate(questions):
        share = clock.at_most(clock.remaining / (len(questions) - asked))
        with suppress(OSError):
            if cause := question(share):
                return cause
    return recognised


def _spoke_tls(error: ssl.SSLError) -> bool:
    """Whether only somebody who speaks TLS can have caused this."""
    return "ALERT" in (error.reason or "") or error.reason in (
        "UNSUPPORTED_PROTOCOL",
        "TLSV1_UNRECOGNIZED_NAME",
        "DH_KEY_TOO_SMALL",
    )


class _Look:
    def __init__(self, broker: BrokerAccess, stage: Stage, dial: Dial) -> None:
        self._broker = broker
        self._stage = stage
        self._dial = dial
        self._within_tls = broker.use_tls and stage is not Stage.TLS

    def recognise(self, data: bytes) -> Cause:
        """What the other side is, by the first bytes it said."""
        where = self._broker.address
        line = printable(data.split(b"\n")[0].decode("latin-1"), 80)
        if data.startswith(b"HTTP/"):
            if data.split(b" ")[1:2] == [b"101"]:
                return self._cause(f"{where} speaks MQTT over WebSocket", _MQTT_PORT)
            moved = _LOCATION.search(data)
            target = f", to {printable(moved[1].decode('latin-1'), 80)}" if moved else ""
            return self._cause(f"{where} is an HTTP server ({line}{target})", _MQTT_PORT)
        if data.startswith(b"SSH-"):
            return self._cause(f"{where} is an SSH server ({line})", _MQTT_PORT)
        if data.startswith(_TLS_RECORDS):
            return self._speaks_tls()
        if self._stage is Stage.TLS and data[0] == Kind.CONNACK << 4:
            return self._cause(
                f"{where} speaks MQTT without TLS",
                "Turn off use_tls, or use the broker's TLS port (usually 8883)",
            )
        evidence = line if data[:16].isascii() and line else data[:16].hex(" ")
        return self._cause(f"{where} answers something that is not MQTT ({evidence})", _MQTT_PORT)

    def ask_tls(self, clock: Clock) -> Cause | None:
        """Whether a port that was spoken to without TLS wants it."""
        try:
            with self._dial(clock, secure=True):
                return self._speaks_tls()
        except ssl.SSLError as error:
            return self._speaks_tls() if _spoke_tls(error) else None

    def ask_plain_mqtt(self, clock: Clock) -> Cause | None:
        """What a port that does not speak TLS says to an MQTT client without a name."""
        with self._dial(clock, secure=False) as wire:
            wire.send(packets.connect("", packets.V311), clock)
            data = wire.receive(clock)
        # An HTTP server has more to say when asked in HTTP, and that TLS is spoken is no news.
        return None if data.startswith((b"HTTP/", *_TLS_RECORDS)) else self.recognise(data)

    def ask_http(self, clock: Clock) -> Cause | None:
        """Whether an HTTP server listens, and whether it takes MQTT over WebSocket."""
        with self._dial(clock, secure=self._within_tls) as wire:
            wire.send(self._upgrade_request(), clock)
            data = b""
            with suppress(OSError):
                while b"\r\n\r\n" not in data and len(data) < _MAX_ANSWER:
                    data += wire.receive(clock)
        return self.recognise(data) if data.startswith(b"HTTP/") else None

    def await_alert(self, clock: Clock) -> Cause | None:
        """Why a broker cuts off after a TLS handshake that went well for us: in TLS 1.3 it judges
        our certificate after that, and its alert is lost when we were sending meanwhile."""
        try:
            with self._dial(clock, secure=True) as wire:
                return self.recognise(wire.receive(clock))
        except ssl.SSLError as error:
            return explain(error, self._broker)
        except (PeerClosed, ConnectionError, TimeoutError):
            return None

    def _speaks_tls(self) -> Cause:
        return self._cause(f"{self._broker.address} wants TLS", "Turn on use_tls", "use_tls")

    def _cause(self, message: str, advice: str, field: str = "port") -> Cause:
        return Cause(self._stage, message, advice, field=field)

    def _upgrade_request(self) -> bytes:
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        lines = (
            "GET /mqtt HTTP/1.1",
            f"Host: {self._broker.address}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: mqtt",
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()
