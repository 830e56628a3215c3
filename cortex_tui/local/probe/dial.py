"""From a host name to a connected socket: the name service, and TCP over IPv6 and IPv4.

Sockets of our own, because the libraries above lose which address failed, and why.
"""

import errno
import ipaddress
import os
import queue
import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, cast

from cortex_tui.local.probe.clock import Clock

STAGGER = 0.25
"""Seconds one address gets before the next is tried beside it (RFC 8305 §5)."""


@dataclass(frozen=True)
class Address:
    """One address a name stands for, ready to connect to."""

    family: int
    sockaddr: tuple[Any, ...]

    @property
    def ip(self) -> str:
        return str(self.sockaddr[0])

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.ip.split("%")[0]).is_loopback


class Unreached(Exception):
    """No address could be connected to; `failures` says why, address by address."""

    def __init__(self, failures: dict[Address, OSError]) -> None:
        super().__init__("no address could be connected to")
        self.failures = failures

    @property
    def telling(self) -> OSError:
        """The failure that says most: one of a machine that answered, before one of the network,
        before silence. A missing IPv6 route is the least of them: IPv4 may have been meant."""
        return min(self.failures.values(), key=_how_little_it_says)


def _how_little_it_says(failure: OSError) -> int:
    if isinstance(failure, ConnectionError):
        return 0
    if isinstance(failure, TimeoutError):
        return 2
    return 3 if failure.errno in (errno.ENETUNREACH, errno.EADDRNOTAVAIL) else 1


def resolve(host: str, port: int, clock: Clock) -> list[Address]:
    """Every address of `host`, in the order to try them.

    The name service blocks whoever asks it, outside every timeout, so a thread asks; one that is
    still waiting when the clock ends is left behind as a daemon, which the system's own timeout
    ends. Raises `socket.gaierror`, `UnicodeError`, `TimeoutError`.
    """
    answers: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([Address(family, sockaddr) for family, _, _, _, sockaddr in found])
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, name="cortex-dns", daemon=True).start()
    while True:
        with suppress(queue.Empty):
            answer = answers.get(timeout=clock.tick())
            if isinstance(answer, Exception):
                raise answer
            return _interleaved(answer)


def _interleaved(addresses: list[Address]) -> list[Address]:
    """IPv6 and IPv4 in turn, so that one that does not work costs little (RFC 8305 §4)."""
    unique = list(dict.fromkeys(addresses))
    first = [address for address in unique if address.family == unique[0].family]
    others = [address for address in unique if address.family != unique[0].family]
    return [address for address in chain(*zip_longest(first, others)) if address is not None]


def connect(
    addresses: list[Address], clock: Clock
) -> tuple[socket.socket, Address, dict[Address, OSError]]:
    """Connect to the first address that answers: its socket, non-blocking, and what went wrong
    with others before. Tries the next one when one fails or has had `STAGGER` seconds (RFC 8305).

    Raises `Unreached`.
    """
    waiting = list(addresses)
    failures: dict[Address, OSError] = {}
    started: dict[socket.socket, Address] = {}
    next_start = 0.0
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or started:
                timeout = clock.tick()
                if waiting and time.monotonic() >= next_start:
                    address = waiting.pop(0)
                    try:
                        attempt = _start(address)
                    except OSError as error:
                        failures[address] = error
                        continue
                    started[attempt] = address
                    selector.register(attempt, selectors.EVENT_WRITE)
                    next_start = time.monotonic() + STAGGER
                for key, _ in selector.select(timeout):
                    attempt = cast("socket.socket", key.fileobj)
                    selector.unregister(attempt)
                    address = started.pop(attempt)
                    error_number = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not error_number:
                        return attempt, address, failures
                    attempt.close()
                    failures[address] = OSError(error_number, os.strerror(error_number))
                    next_start = 0.0
        except TimeoutError:
            failures |= {address: TimeoutError() for address in [*started.values(), *waiting]}
        finally:
            for attempt in started:
                attempt.close()
    raise Unreached(failures)


def _start(address: Address) -> socket.socket:
    """A socket on its way to `address`."""
    attempt = socket.socket(address.family, socket.SOCK_STREAM)
    attempt.setblocking(False)
    attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    error = attempt.connect_ex(address.sockaddr)
    if error not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        attempt.close()
        raise OSError(error, os.strerror(error))
    return attempt
