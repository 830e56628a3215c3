"""Server-sent events, as far as the status stream uses them (HTML Living Standard §9.2): pure."""

from collections.abc import Iterator


class EventTooLarge(ValueError):
    """More came without the end of an event than anybody should have to hold."""


class EventReader:
    """Puts the data of events together from pieces of any size."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._searched = 0
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of each event that `piece` completes; comments and other fields are ignored.

        Raises `EventTooLarge` once an event has more bytes than the limit.
        """
        self._rest += piece
        while (end := self._rest.find(b"\n", self._searched)) >= 0:
            line = bytes(self._rest[:end]).removesuffix(b"\r")
            del self._rest[: end + 1]
            self._searched = 0
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                self._size += len(line)
            elif not line and self._data:
                data, self._data, self._size = b"\n".join(self._data), [], 0
                yield data
            self._check()
        self._searched = len(self._rest)
        self._check()

    def _check(self) -> None:
        if self._size + self._searched > self._limit:
            raise EventTooLarge
