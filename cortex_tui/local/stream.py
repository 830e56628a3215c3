"""The socket between a paho client and its broker: reads ahead, and gathers what is written.

paho takes it for its socket. Messages never reach paho (see `splitter`), and acknowledgements go
around it: many in one `send`.
"""

import ssl
from typing import Any

from paho.mqtt.client import Client, time_func
from paho.mqtt.enums import MQTTErrorCode

from cortex_tui.local.splitter import Malformed, Publish, Splitter

READ_SIZE = 131_072
"""Bytes asked of the socket at once."""
MAX_READ = 1_048_576
"""Bytes read from one connection before the others have their turn."""

_CONNACK = 0x20
"""The first byte a broker sends (MQTT 5 §3.2)."""


class Stream:
    """Quacks like a non-blocking socket, as far as paho needs one."""

    def __init__(self, sock: Any, splitter: Splitter) -> None:
        self.real = sock
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._splitter = splitter
        self._unsent = bytearray()
        self._answered = False
        self._ended = False

    # -- for whoever drives the connection ----------------------------------------------------

    def receive(self) -> list[Publish]:
        """Read what is there, at most about `MAX_READ`, and return the messages in it.

        Raises `Malformed`, at the first byte where the other side does not speak MQTT. The end of
        the connection, however it ends, is for paho to find.
        """
        pieces: list[bytes] = []
        left = MAX_READ
        try:
            # TLS gives a record at a time, and may hold decrypted bytes that no selector sees.
            while left > 0 or (self._tls and self.real.pending()):
                piece = self.real.recv(READ_SIZE)
                pieces.append(piece)
                left -= len(piece)
                if not piece or (len(piece) < READ_SIZE and not self._tls):
                    break
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self._ended = True
        if pieces and not pieces[-1]:
            self._ended = True
        data = b"".join(pieces)
        if data and not self._answered:
            # paho would take it for a packet, and wait for its end.
            if data[0] != _CONNACK:
                raise Malformed("something that is not MQTT")
            self._answered = True
        return self._splitter.feed(data) if pieces else []

    @property
    def for_paho(self) -> bool:
        """Whether paho has something to read: a packet, or the end."""
        return bool(self._splitter.others) or self._ended

    @property
    def unsent(self) -> bool:
        """Whether something waits until the socket takes more."""
        return bool(self._unsent)

    def flush(self) -> None:
        """Send as much as the socket takes."""
        try:
            while self._unsent:
                del self._unsent[: self.real.send(self._unsent)]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self._ended = True

    # -- for paho -----------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """The next bytes of packets that are no messages; none at the end of the connection."""
        others = self._splitter.others
        if not others and not self._ended:
            raise BlockingIOError
        taken = bytes(others[:size])
        del others[:size]
        return taken

    def send(self, data: bytes | bytearray) -> int:
        """Take all of `data`, to be sent by `flush`."""
        self._unsent += data
        return len(data)

    def close(self) -> None:
        """Paho closes right after it has written DISCONNECT, which is still to be sent."""
        self.flush()
        self.abandon()

    def abandon(self) -> None:
        """Close, and send nothing more."""
        self._unsent.clear()
        self.real.close()

    def fileno(self) -> int:
        return int(self.real.fileno())

    def setblocking(self, flag: bool) -> None:
        self.real.setblocking(flag)


class StreamingClient(Client):
    """A paho client over a `Stream`, which knows how long the answer to its last ping took."""

    ping_ms: int | None = None

    def __init__(self, *arguments: Any, v5: bool, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._v5 = v5
        self.stream: Stream | None = None

    def _create_socket(self) -> Any:
        self.stream = Stream(super()._create_socket(), Splitter(v5=self._v5))
        return self.stream

    def _handle_pingresp(self) -> MQTTErrorCode:
        self.ping_ms = round((time_func() - self._ping_t) * 1_000)
        return super()._handle_pingresp()
