"""Splits what a broker sends: PUBLISH packets are read here, all others are left to paho. Pure.

paho reads a packet a few bytes at a time, which costs more than all that is then done with it.
This reads every PUBLISH of a buffer in one pass (MQTT 3.1.1 §3.3, MQTT 5 §3.3).
"""

from dataclasses import dataclass

from cortex_tui.events import MAX_PAYLOAD

MAX_HEAD = 131_072
"""Bytes of topic and properties that a PUBLISH may have."""
MAX_OTHER = 1_048_576
"""Bytes that any other packet may have."""
TOPICS_REMEMBERED, MAX_REMEMBERED = 1_024, 1_024
"""Topics whose text is remembered, and the bytes one may have for that."""

_PUBLISH = 0x30
_MORE = 0x80
"""In a length: another byte follows (MQTT 5 §1.5.5)."""


class Malformed(Exception):
    """The broker sent what no MQTT packet looks like, or one that is too large to be meant."""


@dataclass(slots=True)
class Publish:
    """A message as it came. `payload` is cut where `size` is beyond `MAX_PAYLOAD`, and empty where
    properties beyond all measure stand before it."""

    topic: str
    payload: bytes
    size: int
    """Bytes of the whole payload."""
    qos: int
    dup: bool
    packet_id: bytes
    """Two bytes, as they go into the acknowledgement; empty for QoS 0."""


class Splitter:
    """One connection's incoming bytes, in pieces of any size."""

    def __init__(self, *, v5: bool) -> None:
        self.others = bytearray()
        """Whole packets for paho, in their order; whoever takes them empties it."""
        self._v5 = v5
        self._rest = bytearray()
        self._needed = 0
        """Bytes that `_rest` must have before it is worth another look."""
        self._cut: Publish | None = None
        """A message that is too large to be kept, told once all of it has passed."""
        self._skip = 0
        self._topics: dict[bytes, str] = {}

    def feed(self, data: bytes) -> list[Publish]:
        """The messages that are complete with `data`. Raises `Malformed`."""
        found: list[Publish] = []
        if self._skip:
            data = self._pass_over(data, found)
        buffer = data
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return found
            buffer = bytes(self._rest)
        at, size, needed = 0, len(buffer), 0
        while size - at >= 2:
            length, start = buffer[at + 1], at + 2
            if length >= _MORE:
                length, start = _length(buffer, at + 1)
                if start == 0:
                    break  # the length itself is not all there
            end = start + length
            if buffer[at] & 0xF0 != _PUBLISH:
                if length > MAX_OTHER:
                    raise Malformed(f"a packet of {length:,} bytes that is no message")
                if end > size:
                    needed = end - at
                    break
                self.others += buffer[at:end]
            elif end <= size:
                found.append(self._publish(buffer, at, start, end))
            elif size - start < MAX_HEAD + MAX_PAYLOAD:
                needed = min(end, start + MAX_HEAD + MAX_PAYLOAD) - at
                break
            else:
                self._cut = self._publish(buffer, at, start, end)
                self._skip = end - size
                at = size
                break
            at = end
        self._rest, self._needed = bytearray(buffer[at:]), needed
        return found

    def _pass_over(self, data: bytes, found: list[Publish]) -> bytes:
        passed = min(self._skip, len(data))
        self._skip -= passed
        if not self._skip and self._cut is not None:
            found.append(self._cut)
            self._cut = None
        return data[passed:]

    def _publish(self, buffer: bytes, at: int, start: int, end: int) -> Publish:
        """The PUBLISH that begins `at`, its body at `start`. `end` may lie beyond the buffer."""
        flags = buffer[at]
        qos = flags >> 1 & 3
        if qos == 3 or end - start < 2:
            raise Malformed("a PUBLISH without a quality of service or a topic")
        begin = start + 2 + (buffer[start] << 8 | buffer[start + 1])
        raw = buffer[start + 2 : begin]
        packet_id = b""
        if qos:
            packet_id = buffer[begin : begin + 2]
            begin += 2
        if self._v5 and begin < end:
            # Nothing in the properties changes what is done with a message: we allow no alias.
            properties = buffer[begin] if begin < len(buffer) else _MORE
            if properties >= _MORE:
                properties, begin = _length(buffer, begin)
                if begin == 0:
                    raise Malformed("a PUBLISH with broken properties")
            else:
                begin += 1
            begin += properties
        size = end - begin
        if size < 0:
            raise Malformed("a PUBLISH whose parts are longer than itself")
        topic = self._topics.get(raw)
        if topic is None:
            topic = self._topic(raw)
        return Publish(
            topic,
            buffer[begin:end] if size <= MAX_PAYLOAD else buffer[begin : begin + MAX_PAYLOAD],
            size,
            qos,
            flags & 8 != 0,
            packet_id,
        )

    def _topic(self, raw: bytes) -> str:
        try:
            topic = raw.decode()
        except UnicodeDecodeError:
            raise Malformed("a PUBLISH with a topic that is not UTF-8") from None
        if not topic:
            raise Malformed("a PUBLISH without a topic")
        if len(raw) <= MAX_REMEMBERED:
            if len(self._topics) >= TOPICS_REMEMBERED:
                self._topics.clear()
            self._topics[raw] = topic
        return topic


def _length(buffer: bytes, at: int) -> tuple[int, int]:
    """The variable byte integer that begins `at`, and where it ends; 0 where it is not all there
    (MQTT 5 §1.5.5)."""
    value = 0
    for position in range(4):
        if at + position >= len(buffer):
            return 0, 0
        byte = buffer[at + position]
        value |= (byte & 0x7F) << 7 * position
        if byte < _MORE:
            return value, at + position + 1
    raise Malformed("a length of more than four bytes")
