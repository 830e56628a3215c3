"""Bytes over one connection, with or without TLS, each wait bounded by a clock."""

import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Self, TypeVar

from cortex_tui.local.causes import PeerClosed
from cortex_tui.local.probe.clock import Clock

T = TypeVar("T")

_CHUNK = 16_384


class Wire:
    """A connected, non-blocking socket. Close it by leaving its `with`."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def secure(self, context: ssl.SSLContext, server_name: str) -> None:
        """Speak TLS from here on, once the handshake is made."""
        self._socket = context.wrap_socket(
            self._socket, server_hostname=server_name, do_handshake_on_connect=False
        )

    def handshake(self, clock: Clock) -> None:
        """Make the TLS handshake, or go on with one that was not over when its clock ended.

        Raises `ssl.SSLError`, `OSError`, `TimeoutError`.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            self._patiently(self._socket.do_handshake, clock)

    @property
    def tls(self) -> str:
        """Version and cipher of TLS, or nothing without."""
        if not isinstance(self._socket, ssl.SSLSocket):
            return ""
        cipher = self._socket.cipher()
        return f"{self._socket.version()} {cipher[0] if cipher else ''}".strip()

    def certificate_chain(self) -> list[bytes]:
        """The certificates the other side presented, in DER form, its own first, verified or
        not."""
        if not isinstance(self._socket, ssl.SSLSocket):
            return []
        if hasattr(self._socket, "get_unverified_chain"):  # since Python 3.13
            return list(self._socket.get_unverified_chain())
        presented = self._socket._sslobj.get_unverified_chain() or []  # type: ignore[attr-defined]
        return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in presented]

    def send(self, data: bytes, clock: Clock) -> None:
        """Send all of `data`."""
        while data:
            sent = self._patiently(partial(self._socket.send, data), clock, to_write=True)
            data = data[sent:]

    def receive(self, clock: Clock) -> bytes:
        """Whatever arrives next. Raises `PeerClosed` where nothing more will."""
        try:
            data = self._patiently(partial(self._socket.recv, _CHUNK), clock)
        except ssl.SSLZeroReturnError:
            data = b""
        if not data:
            raise PeerClosed
        return data

    def _patiently(self, attempt: Callable[[], T], clock: Clock, *, to_write: bool = False) -> T:
        while True:
            try:
                return attempt()
            except BlockingIOError:
                clock.wait(self._socket.fileno(), to_write=to_write)
            except ssl.SSLWantReadError:
                clock.wait(self._socket.fileno())
            except ssl.SSLWantWriteError:
                clock.wait(self._socket.fileno(), to_write=True)
