"""The MQTT packets a connection test exchanges, written and read as bytes.

Pure. Covers what the test needs of MQTT 5 and 3.1.1, and takes nothing on trust: whatever the
other side sends that no broker may send becomes `NotMqtt`, with the bytes as evidence.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from cortex_tui.local.reasons import reason_of_v3

V5 = 5
V311 = 4

FAILURE = 128
"""Reason codes from here on are failures (MQTT 5 §2.4)."""

UNSUPPORTED_VERSION = 132

_KEEP_ALIVE = 60
"""Seconds; longer than any test."""

MAX_PACKET = 65_536
"""Bytes of a packet that are kept; brokers answer a test with far less."""


class Kind(IntEnum):
    """The control packet types (MQTT 5 §2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Property(IntEnum):
    """The properties a test reads or writes (MQTT 5 §2.2.2.2)."""

    SESSION_EXPIRY = 17
    ASSIGNED_CLIENT_ID = 18
    SERVER_KEEP_ALIVE = 19
    SERVER_REFERENCE = 28
    REASON_STRING = 31
    RECEIVE_MAXIMUM = 33
    MAX_QOS = 36
    RETAIN_AVAILABLE = 37
    MAX_PACKET_SIZE = 39
    WILDCARD_AVAILABLE = 40
    SHARED_AVAILABLE = 42


_BYTE, _SHORT, _LONG, _VARINT, _TEXT, _BINARY, _PAIR = "B", "H", "I", "v", "s", "b", "p"
_PROPERTY_TYPES = (
    dict.fromkeys((1, 23, 25, 36, 37, 40, 41, 42), _BYTE)
    | dict.fromkeys((19, 33, 34, 35), _SHORT)
    | dict.fromkeys((2, 17, 24, 39), _LONG)
    | dict.fromkeys((3, 8, 18, 21, 26, 28, 31), _TEXT)
    | {11: _VARINT, 9: _BINARY, 22: _BINARY, 38: _PAIR}
)

Properties = dict[int, int | str]


class NotMqtt(Exception):
    """What arrived is no MQTT; `data` holds its first bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__("not MQTT")
        self.data = data[:512]


@dataclass(frozen=True)
class Packet:
    """One packet as it arrived: its type, its flags, and what follows the fixed header."""

    kind: Kind
    flags: int
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What a CONNACK, SUBACK, PUBACK, PUBREC or DISCONNECT says."""

    reasons: tuple[int, ...]
    packet_id: int = 0
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """A PUBLISH."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int


# -- writing ----------------------------------------------------------------------------------


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while True:
        number, digit = divmod(number, 128)
        encoded.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(encoded)


def _field(data: str | bytes) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return struct.pack("!H", len(raw)) + raw


def _packet(kind: Kind, flags: int, body: bytes) -> bytes:
    return bytes([kind << 4 | flags]) + _varint(len(body)) + body


def _no_properties(version: int) -> bytes:
    return b"\0" if version == V5 else b""


def connect(
    client_id: str, version: int, username: str | None = None, password: str | None = None
) -> bytes:
    """A CONNECT for a clean session (MQTT 5 §3.1)."""
    if username is None:
        password = None  # MQTT 3.1.1 §3.1.2.9 forbids one without the other
    flags = 0x02 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    body = _field("MQTT") + struct.pack("!BBH", version, flags, _KEEP_ALIVE)
    body += _no_properties(version) + _field(client_id)
    for text in (username, password):
        if text is not None:
            body += _field(text)
    return _packet(Kind.CONNECT, 0, body)


def subscribe(packet_id: int, topic_filter: str, version: int) -> bytes:
    """A SUBSCRIBE for one filter at QoS 2, so that the answer tells the most the broker grants.

    For MQTT 5 without retained messages, except where they are what is wanted (§3.8.3.1).
    """
    wants_retained = topic_filter.startswith("$SYS/")
    options = 2 | (0x20 if version == V5 and not wants_retained else 0)
    body = struct.pack("!H", packet_id) + _no_properties(version)
    return _packet(Kind.SUBSCRIBE, 2, body + _field(topic_filter) + bytes([options]))


def publish(packet_id: int, topic: str, payload: bytes, qos: int, version: int) -> bytes:
    """A PUBLISH, not retained (MQTT 5 §3.3)."""
    body = _field(topic) + (struct.pack("!H", packet_id) if qos else b"")
    return _packet(Kind.PUBLISH, qos << 1, body + _no_properties(version) + payload)


def acknowledge(kind: Kind, packet_id: int) -> bytes:
    """A PUBACK, PUBREC, PUBREL or PUBCOMP that says "success"; the same in either version."""
    return _packet(kind, 2 if kind is Kind.PUBREL else 0, struct.pack("!H", packet_id))


PINGREQ = _packet(Kind.PINGREQ, 0, b"")
DISCONNECT = _packet(Kind.DISCONNECT, 0, b"")


# -- reading ----------------------------------------------------------------------------------


def header(data: bytes) -> tuple[Kind, int, int, int] | None:
    """Type, flags, size of the fixed header and size of the rest; none while it is incomplete."""
    if not data:
        return None
    try:
        kind = Kind(data[0] >> 4)
    except ValueError:
        raise NotMqtt(data) from None
    length = 0
    for position, digit in enumerate(data[1:5]):
        length |= (digit & 0x7F) << 7 * position
        if not digit & 0x80:
            return kind, data[0] & 0x0F, position + 2, length
    if len(data) >= 5:
        raise NotMqtt(data)
    return None


class _Reader:
    """Takes fields off the front of a packet's body."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise NotMqtt(self._data)
        piece, self._position = self._data[self._position : end], end
        return piece

    def number(self, layout: str) -> int:
        (number,) = struct.unpack(f"!{layout}", self.take(struct.calcsize(f"!{layout}")))
        return int(number)

    def varint(self) -> int:
        number = 0
        for position in range(4):
            digit = self.number(_BYTE)
            number |= (digit & 0x7F) << 7 * position
            if not digit & 0x80:
                return number
        raise NotMqtt(self._data)

    def text(self) -> str:
        return self.take(self.number(_SHORT)).decode(errors="replace")

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._position)

    def properties(self) -> Properties:
        inner = _Reader(self.take(self.varint()))
        found: Properties = {}
        while inner._position < len(inner._data):
            identifier = inner.varint()
            match _PROPERTY_TYPES.get(identifier):
                case "B" | "H" | "I" as layout:
                    found[identifier] = inner.number(layout)
                case "v":
                    found[identifier] = inner.varint()
                case "s":
                    found[identifier] = inner.text()
                case "b":
                    inner.take(inner.number(_SHORT))
                case "p":
                    inner.text(), inner.text()
                case _:
                    raise NotMqtt(self._data)
        return found


def connack(packet: Packet, version: int) -> Answer:
    """A CONNACK (MQTT 5 §3.2), its reason always as MQTT 5 numbers it.

    One of two bytes is of MQTT 3.1.1, whatever was asked. Success in that form for a client of
    MQTT 5 means that the broker did not understand the version.
    """
    if len(packet.body) < 2:
        raise NotMqtt(packet.body)
    if len(packet.body) == 2:
        reason = reason_of_v3(packet.body[1])
        return Answer((UNSUPPORTED_VERSION if version == V5 and not reason else reason,))
    reader = _Reader(packet.body[1:])
    return Answer((reader.number(_BYTE),), properties=reader.properties())


def suback(packet: Packet, version: int) -> Answer:
    """A SUBACK (MQTT 5 §3.9)."""
    reader = _Reader(packet.body)
    packet_id = reader.number(_SHORT)
    properties = reader.properties() if version == V5 else {}
    return Answer(tuple(reader.rest()), packet_id, properties)


def acknowledgement(packet: Packet) -> Answer:
    """A PUBACK or PUBREC (MQTT 5 §3.4.2.1): two bytes alone mean success."""
    reader = _Reader(packet.body)
    packet_id = reader.number(_SHORT)
    return Answer((reader.number(_BYTE) if len(packet.body) > 2 else 0,), packet_id)


def disconnect(packet: Packet) -> Answer:
    """A DISCONNECT from the broker (MQTT 5 §3.14); an empty one means "normal"."""
    reader = _Reader(packet.body)
    reason = reader.number(_BYTE) if packet.body else 0
    properties = reader.properties() if len(packet.body) > 1 else {}
    return Answer((reason,), properties=properties)


def message(packet: Packet, version: int) -> Message:
    """A PUBLISH (MQTT 5 §3.3)."""
    reader = _Reader(packet.body)
    qos = packet.flags >> 1 & 3
    topic = reader.text()
    packet_id = reader.number(_SHORT) if qos else 0
    if version == V5:
        reader.properties()
    return Message(topic, reader.rest(), qos, packet_id)
